/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server listens with: one listener for each address, all with the same routes.
 */
#include "cmd/parts.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "cmd/daemon_tls.h"
#include "net/httpd.h"
#include "net/networks.h"

/* ---- routes ---- */

/* For load balancers: tells no more than which part, to anybody who asks. */
static void answer_health(struct httpd_call *c, void *arg)
{
	const char *part = NULL;
	struct err e = {0};
	bool good = daemon_health(arg, &part, &e) == 0;
	json_t *j = json_pack("{s:s,s:s*}", "status", good ? "ok" : "failing", "part", part);
	AUTO_FREE char *text = json_dumps(j, JSON_COMPACT);

	json_decref(j);
	if (!good)
		log_debug("health: %s: %s", part, e.msg);
	httpd_set_header(c, "Cache-Control", "no-store");
	httpd_answer(c, good ? 200 : 503, "application/json", text, strlen(text));
}

/* Alive: it takes requests and answers. */
static void answer_alive(struct httpd_call *c, void *arg)
{
	(void)arg;
	httpd_set_header(c, "Cache-Control", "no-store");
	httpd_answer(c, 200, "text/plain", "alive\n", 6);
}

/* ---- configuration ---- */

static bool is_own_machine(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static void check(const struct config *c, struct config_problems *p)
{
	const char *certificate = config_text(c, "server", "certificate");
	const char *key = config_text(c, "server", "key");
	char host[INET6_ADDRSTRLEN];
	uint16_t port;

	if (certificate && !key)
		config_problem(c, "server", "certificate", p, "[server] key must be set, too");
	if (key && !certificate)
		config_problem(c, "server", "key", p, "[server] certificate must be set, too");
	if (config_bool(c, "server", "tls"))
		return;
	for (const char *const *a = config_list(c, "server", "listen"); *a; a++) {
		if (config_address(*a, host, sizeof(host), &port, NULL) == 0 &&
		    !is_own_machine(host))
			config_problem(c, "server", "tls", p,
				       "'%s' can be reached by other machines, and passwords "
				       "would be readable on the way: listen on 127.0.0.1 or [::1] "
				       "only, or leave TLS on",
				       *a);
	}
}

/* ---- listeners ---- */

/* All addresses of both families; of IPv4 where the kernel has no IPv6. */
static const char *all_addresses(void)
{
	return access("/proc/net/if_inet6", F_OK) == 0 ? "::" : "0.0.0.0";
}

void daemon_add_routes(struct daemon *d, const struct httpd_route *routes, size_t n)
{
	d->routes = xreallocarray(d->routes, d->n_routes + n, sizeof(*routes));
	memcpy(d->routes + d->n_routes, routes, n * sizeof(*routes));
	d->n_routes += n;
}

static int listen_at(struct daemon *d, const char *address, struct httpd_options *o, struct err *e)
{
	const char *scheme = o->certificate ? "https" : "http";
	char host[INET6_ADDRSTRLEN];
	struct httpd *h;
	bool six;

	if (config_address(address, host, sizeof(host), &o->port, e) < 0)
		return -1;
	o->address = strcmp(host, "*") == 0 ? all_addresses() : host;
	six = strchr(o->address, ':') != NULL;
	h = httpd_start(o, d->routes, d->n_routes, e);
	if (!h)
		return err_wrap(e, "[server] listen '%s'", address);
	d->httpds = xreallocarray(d->httpds, d->n_httpds + 1, sizeof(struct httpd *));
	d->httpds[d->n_httpds++] = h;
	log_info("listens at %s://%s%s%s:%u", scheme, six ? "[" : "", o->address, six ? "]" : "",
		 (unsigned)httpd_port(h));
	return 0;
}

/* ---- the certificate ---- */

/* What the listeners show now; for the main thread, but for `ca`, which does not change. */
static struct {
	struct tls_pair pair;
	char *ca; /* of our own authority, or NULL */
} shown;

/* To whoever wants to trust the server: to be compared with the fingerprint in its log. */
static void answer_ca(struct httpd_call *c, void *arg)
{
	(void)arg;
	httpd_answer(c, 200, "application/x-pem-file", shown.ca, strlen(shown.ca));
}

static void forget_certificate(void)
{
	tls_pair_done(&shown.pair);
	free(shown.ca);
	shown.ca = NULL;
}

static void tell_end(struct daemon *d)
{
	uint64_t at;

	if (d->api && tls_expiry(shown.pair.certificate, &at, NULL) == 0)
		api_set_certificate_end(d->api, at);
}

/* Show what is there now, if it is another: files may have been replaced, or ours be made anew. */
static int renew(struct daemon *d, struct err *e)
{
	struct tls_pair p = {0};
	AUTO_FREE char *ca = NULL;

	if (!config_bool(d->config, "server", "tls"))
		return 0;
	if (daemon_tls_load(d->config, &p, &ca, e) < 0)
		return -1;
	if (!ca)
		daemon_tls_warn(p.certificate);
	if (strcmp(p.certificate, shown.pair.certificate) == 0 &&
	    secret_equal(p.key, shown.pair.key)) {
		tls_pair_done(&p);
		return 0;
	}
	for (size_t i = 0; i < d->n_httpds; i++) {
		if (httpd_set_certificate(d->httpds[i], p.certificate, (char *)p.key->data, e) <
		    0) {
			tls_pair_done(&p);
			return err_wrap(e, "[server] certificate");
		}
	}
	tls_pair_done(&shown.pair);
	shown.pair = p;
	tell_end(d);
	log_info("shows another certificate from now on");
	return 0;
}

/* ---- life ---- */

static struct networks *trusted; /* proxies; for as long as there are listeners */

static void stop(struct daemon *d, unsigned timeout_ms)
{
	while (d->n_httpds > 0)
		httpd_stop(d->httpds[--d->n_httpds], timeout_ms);
	free(d->httpds);
	free(d->routes);
	d->httpds = NULL;
	d->routes = NULL;
	d->n_routes = 0;
	forget_certificate();
	networks_free(steal(&trusted));
}

static int load_certificate(struct daemon *d, struct httpd_options *o, struct err *e)
{
	const struct httpd_route ca = {"GET", "/ca.pem", answer_ca, NULL, HTTPD_QUICK, 0};

	if (!config_bool(d->config, "server", "tls"))
		return 0;
	if (daemon_tls_load(d->config, &shown.pair, &shown.ca, e) < 0)
		return -1;
	tell_end(d);
	if (shown.ca)
		daemon_add_routes(d, &ca, 1);
	else
		daemon_tls_warn(shown.pair.certificate);
	o->certificate = shown.pair.certificate;
	o->key = (const char *)shown.pair.key->data;
	return 0;
}

static int start(struct daemon *d, struct err *e)
{
	const struct httpd_route own[] = {
		{"GET", "/healthz", answer_health, d, 0, 0},
		{"GET", "/livez", answer_alive, NULL, HTTPD_QUICK, 0},
	};
	const struct config *c = d->config;
	struct httpd_options o = d->http;
	int rc;

	o.threads = (unsigned)config_int(c, "server", "threads");
	o.connections = (unsigned)config_int(c, "server", "connections");
	o.connections_per_address = (unsigned)config_int(c, "limits", "connections_per_address");
	o.idle_s = (unsigned)(config_us(c, "server", "idle") / 1000000);
	o.trusted_proxies = trusted = networks_new(config_list(c, "server", "trusted_proxies"), e);
	if (!trusted)
		return -1;
	o.body_max = config_size(c, "server", "body_max");
	daemon_add_routes(d, own, ARRAY_LEN(own));
	rc = load_certificate(d, &o, e);
	for (const char *const *a = config_list(c, "server", "listen"); *a && rc == 0; a++)
		rc = listen_at(d, *a, &o, e);
	if (rc < 0)
		stop(d, 0);
	return rc;
}

static void look_after(struct daemon *d)
{
	struct err e = {0};

	if (renew(d, &e) < 0)
		log_warn("listeners go on with the certificate that they have: %s", e.msg);
}

const struct daemon_part part_httpd = {
	.name = "listeners",
	.check = check,
	.start = start,
	.reload = renew,
	.look_after = look_after,
	.stop = stop,
};
