/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to a handler and back. In order: who is it, is the project of the path its own,
 * how often may it come, may it do this, is the body JSON; then the transaction: was this very
 * request answered before (Idempotency-Key), is the thing still as the client saw it (If-Match),
 * the handler, the answer kept under its key. What went wrong becomes an answer in Karbor's words.
 */
#include "api/api_priv.h"

#include <stdio.h>
#include <string.h>

#include "auth/rate.h"
#include "base/clock.h"
#include "base/log.h"

#define BURST_S 10 /* so many seconds' requests may come at once */
#define RATE_KEYS 4096

const struct api_resource *const api_resources[] = {
	&api_documents, &api_access,   &api_events,	  &api_plans,	 &api_checkpoints,
	&api_providers, &api_targets,  &api_platforms,	  &api_metrics,	 &api_movers,
	&api_policies,	&api_previews, &api_protectables, &api_restores, &api_operations,
	&api_quotas,	&api_triggers, &api_services,	  &api_login,	 &api_dashboard_files,
	&api_coverage,	&api_overview, &api_usage,	  &api_search,	 &api_notifications,
	NULL,
};

struct bound {
	struct api *api;
	const struct api_route *route, *shows; /* `shows`: GET of the same path, or NULL */
};

struct api {
	struct core *core;
	char *public_url; /* without a slash at its end */
	_Atomic uint64_t certificate_end_us;
	const char *prefix; /* what of it is a path; "" */
	char *dashboard;
	struct httpd_route *http;
	struct bound *bound;
	size_t n;
	struct rate *projects, *addresses;
	struct api_events *events;
};

/* ---- answers ---- */

static const char *fault_name(int status)
{
	switch (status) {
	case 400:
		return "badRequest";
	case 401:
		return "unauthorized";
	case 403:
		return "forbidden";
	case 404:
		return "itemNotFound";
	case 405:
		return "badMethod";
	case 409:
		return "conflictingRequest";
	case 413:
	case 429:
		return "overLimit";
	case 415:
		return "badMediaType";
	case 501:
		return "notImplemented";
	case 503:
		return "serviceUnavailable";
	default:
		return "computeFault";
	}
}

/* The caller frees. */
static char *text_of(const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT);

	return text ? text : xstrdup("");
}

static void send_text(struct httpd_call *http, int status, const char *text)
{
	httpd_answer(http, status, "application/json", text, strlen(text));
}

void api_fault(struct httpd_call *http, int status, const char *message, unsigned retry_after_s)
{
	json_t *v =
		json_pack("{s:{s:i, s:s}}", fault_name(status), "code", status, "message", message);
	AUTO_FREE char *text = NULL;
	char seconds[16];

	if (!v) /* a message that is no UTF-8: something of the client's is in it */
		v = json_pack("{s:{s:i, s:s}}", fault_name(status), "code", status, "message",
			      "The request is not in UTF-8.");
	if (retry_after_s || status == 413) {
		snprintf(seconds, sizeof(seconds), "%u", retry_after_s);
		httpd_set_header(http, "Retry-After", seconds);
	}
	text = text_of(v);
	send_text(http, status, text);
	json_decref(v);
}

/* What the client can do something about is told as it is; what it cannot is for the log, too. */
static void send_error(struct api_call *c, const struct err *why)
{
	int status = err_info(why->kind)->http;

	if (why->kind == ERR_UNREACHABLE || why->kind == ERR_TIMEOUT || why->kind == ERR_IO)
		status = 503;
	if (status >= 500)
		log_error("%s %s: %s", httpd_method(c->http), httpd_path(c->http), why->msg);
	api_fault(c->http, c->status >= 400 ? c->status : status, why->msg, status == 503);
}

void api_reply(struct api_call *c, int status, const char *key, json_t *value)
{
	c->status = status;
	json_decref(c->reply);
	c->reply = json_object();
	json_object_set_new(c->reply, key, value);
}

/* ---- before the transaction ---- */

static int identify(struct api_call *c, struct err *e)
{
	struct auth_request q = {
		.token = httpd_header(c->http, "X-Auth-Token"),
		.authorization = httpd_header(c->http, "Authorization"),
		.user = httpd_header(c->http, "X-Auth-User"),
		.key = httpd_header(c->http, "X-Auth-Key"),
		.cookie = httpd_cookie(c->http, API_COOKIE),
		.project = c->project,
		.address = httpd_address(c->http),
	};
	unsigned retry = 0;

	if (auth_identify(c->core->auth, &q, &c->who, &retry, e) < 0) {
		c->status = e->kind == ERR_DENIED ? 401 : e->kind == ERR_BUSY ? 429 : 503;
		return -1;
	}
	if (auth_is_cookie(&q) && strcmp(c->route->method, "GET") != 0 && api_check_origin(c, e))
		return -1;
	if (!c->project || c->who->admin || strcmp(c->project, c->who->project_id) == 0)
		return 0;
	c->status = 400;
	return err_set(e, ERR_DENIED,
		       "Malformed request url: you are not in project '%s', or your token is for "
		       "another one.",
		       c->project);
}

static int admit(struct api_call *c, const struct api_route *r, struct err *e)
{
	uint64_t now = clock_mono_us();
	unsigned retry = 1;

	if (c->api->addresses &&
	    !rate_take(c->api->addresses, httpd_address(c->http), 1, now, &retry))
		goto later;
	if (r->flags & API_OPEN)
		return 0;
	if (identify(c, e) < 0)
		return -1;
	if (c->project && c->api->projects &&
	    !rate_take(c->api->projects, c->project, 1, now, &retry))
		goto later;
	if (strcmp(r->action, API_SELF) == 0 ||
	    auth_allow(c->core->auth, c->who, r->action, c->project, e) == 0)
		return 0;
	api_audit_denied(c, r->action);
	return -1;
later:
	c->status = 429;
	return err_set(e, ERR_BUSY, "Too many requests: try again in %u s.", retry);
}

static int read_body(struct api_call *c, struct err *e)
{
	const char *type = httpd_header(c->http, "Content-Type");
	json_error_t why;
	size_t len;
	const void *body = httpd_body(c->http, &len);

	if (!len)
		return 0;
	if (type && strncasecmp(type, "application/json", 16) != 0) {
		c->status = 415;
		return err_set(e, ERR_INVALID, "Content-Type '%.60s': send application/json.",
			       type);
	}
	c->body = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	if (!c->body)
		return err_set(e, ERR_INVALID,
			       "Malformed request body: it is not JSON (line %d, column %d: %s).",
			       why.line, why.column, why.text);
	if (json_is_object(c->body))
		return 0;
	return err_set(e, ERR_INVALID, "Malformed request body: it has to be a JSON object.");
}

/* ---- in the transaction ---- */

struct work {
	struct api_call *call;
	const struct bound *bound;
	uint8_t request[HASH_BYTES];
	const char *key; /* Idempotency-Key, or NULL */
};

/* A transaction that is run again starts with an empty answer. */
static void forget_answer(struct api_call *c)
{
	json_decref(c->reply);
	c->reply = NULL;
	c->status = 0;
}

/* The thing is still what the client saw. */
static int check_match(struct work *w, struct err *e)
{
	struct api_call *c = w->call;
	const char *want = httpd_header(c->http, "If-Match");
	AUTO_FREE char *text = NULL;
	char tag[API_ETAG];

	if (!want || !w->bound->shows || strcmp(want, "*") == 0)
		return 0;
	c->route = w->bound->shows;
	if (c->route->fn(c, e) < 0)
		return -1;
	c->route = w->bound->route;
	text = text_of(c->reply);
	api_etag(text, tag);
	forget_answer(c);
	if (strcmp(want, tag) == 0)
		return 0;
	c->status = 412;
	return err_set(e, ERR_CONFLICT,
		       "If-Match %.80s: it was changed since (now %s); read it again.", want, tag);
}

static int in_transaction(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;
	struct api_call *c = w->call;
	bool done = false;

	c->t = t;
	forget_answer(c);
	if (w->key && api_replay(c, w->key, w->request, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	if (strcmp(w->bound->route->method, "GET") != 0 && check_match(w, e) < 0)
		return -1;
	if (w->bound->route->fn(c, e) < 0 || api_audit(c, w->bound->route, e) < 0)
		return -1;
	return w->key ? api_remember(c, w->key, w->request, e) : 0;
}

static int run(struct work *w, struct err *e)
{
	const struct api_route *r = w->bound->route;
	struct db *d = w->call->core->db;

	if (strcmp(r->method, "POST") == 0 && !(r->flags & API_OUTSIDE))
		w->key = httpd_header(w->call->http, "Idempotency-Key");
	if (w->key && api_request_hash(w->call, w->key, w->request, e) < 0)
		return -1;
	if (r->flags & API_OUTSIDE)
		return r->fn(w->call, e);
	return r->flags & API_WRITES ? db_write(d, in_transaction, w, e)
				     : db_read(d, in_transaction, w, e);
}

static void send_reply(struct api_call *c, const struct api_route *r)
{
	const char *known = httpd_header(c->http, "If-None-Match");
	AUTO_FREE char *text = NULL;
	char tag[API_ETAG];

	if (httpd_answered(c->http))
		return;
	if (!c->reply) {
		httpd_answer(c->http, c->status ? c->status : 204, NULL, NULL, 0);
		return;
	}
	text = text_of(c->reply);
	if (strcmp(r->method, "GET") == 0) {
		api_etag(text, tag);
		httpd_set_header(c->http, "ETag", tag);
		if (known && strcmp(known, tag) == 0) {
			httpd_answer(c->http, 304, NULL, NULL, 0);
			return;
		}
	}
	send_text(c->http, c->status ? c->status : 200, text);
}

static void handle(struct httpd_call *http, void *arg)
{
	const struct bound *b = arg;
	struct api_call c = {.api = b->api,
			     .route = b->route,
			     .core = b->api->core,
			     .http = http,
			     .project = b->route->flags & API_ASKS
						? httpd_query(http, "project")
						: httpd_part(http, "project_id")};
	struct work w = {.call = &c, .bound = b};
	struct err e = {ERR_NONE};

	if (admit(&c, b->route, &e) < 0 || read_body(&c, &e) < 0 || run(&w, &e) < 0)
		send_error(&c, &e);
	else
		send_reply(&c, b->route);
	json_decref(c.reply);
	json_decref(c.body);
	identity_free(c.who);
}

/* ---- for handlers ---- */

int api_uuid(struct api_call *c, const char *part, char ret[UUID_TEXT], struct err *e)
{
	const char *text = httpd_part(c->http, part);

	if (text && uuid_like(text, ret))
		return 0;
	return err_set(e, ERR_INVALID, "Invalid input for %s '%.80s': it has to be a UUID.", part,
		       text ? text : "");
}

void api_input(struct api_call *c, const char *item, struct input *in)
{
	input_init(in, json_object_get(c->body, item), item);
}

const char *api_actor(const struct api_call *c, char *out, size_t size)
{
	snprintf(out, size, "user %s", c->who ? c->who->user_name : "unknown");
	return out;
}

const char *api_base(const struct api_call *c, char *out, size_t size)
{
	const char *host = httpd_header(c->http, "Host");

	if (c->api->public_url)
		snprintf(out, size, "%s", c->api->public_url);
	else
		snprintf(out, size, "http%s://%s", httpd_is_tls(c->http) ? "s" : "",
			 host ? host : "localhost");
	return out;
}

const char *api_prefix(const struct api_call *c)
{
	return c->api->prefix;
}

json_t *api_roles(unsigned roles)
{
	json_t *a = json_array();

	for (unsigned bit = 1; bit <= AUTH_MOVER; bit <<= 1)
		if (roles & bit)
			json_array_append_new(a, json_string(auth_role_name(bit)));
	return a;
}

/* ---- setting up ---- */

static void take_public_url(struct api *a, const char *url)
{
	const char *host;
	size_t n;

	a->prefix = "";
	if (!url)
		return;
	a->public_url = xstrdup(url);
	for (n = strlen(url); n > 0 && url[n - 1] == '/'; n--)
		a->public_url[n - 1] = 0;
	host = strstr(a->public_url, "://");
	if (host && strchr(host + 3, '/'))
		a->prefix = strchr(host + 3, '/');
}

static const struct api_route *shows(const struct api_resource *r, const char *path)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->routes[i].method, "GET") == 0 && strcmp(r->routes[i].path, path) == 0)
			return &r->routes[i];
	return NULL;
}

static void bind(struct api *a, const struct api_resource *r)
{
	a->http = xreallocarray(a->http, a->n + r->n, sizeof(*a->http));
	for (size_t i = 0; i < r->n; i++) {
		const struct api_route *x = &r->routes[i];

		a->bound[a->n] = (struct bound){a, x, shows(r, x->path)};
		a->http[a->n] = (struct httpd_route){
			.method = x->method,
			.path = x->path,
			.fn = handle,
			.arg = &a->bound[a->n],
			/* Who is not known to the cache may cost a password's verification. */
			.flags = 0,
		};
		a->n++;
	}
}

static struct rate *new_rate(unsigned per_second)
{
	return per_second ? rate_new(per_second, (double)per_second * BURST_S, RATE_KEYS) : NULL;
}

struct api *api_new(struct core *core, const struct api_options *o, struct err *e)
{
	struct api *a = xcalloc(1, sizeof(*a));
	size_t n = 0;

	a->events = api_events_new(core, e);
	if (!a->events) {
		free(a);
		return NULL;
	}
	a->core = core;
	take_public_url(a, o->public_url);
	a->dashboard = xstrdup(o->dashboard);
	a->projects = new_rate(o->project_rate);
	a->addresses = new_rate(o->address_rate);
	for (size_t i = 0; api_resources[i]; i++)
		n += api_resources[i]->n;
	a->bound = xcalloc(n, sizeof(*a->bound));
	for (size_t i = 0; api_resources[i]; i++)
		bind(a, api_resources[i]);
	return a;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	api_events_free(a->events);
	rate_free(a->projects);
	rate_free(a->addresses);
	free(a->http);
	free(a->bound);
	free(a->public_url);
	free(a->dashboard);
	free(a);
}

struct api_events *api_events_of(struct api *a)
{
	return a->events;
}

void api_set_certificate_end(struct api *a, uint64_t at_us)
{
	a->certificate_end_us = at_us;
}

uint64_t api_certificate_end(const struct api *a)
{
	return a->certificate_end_us;
}

const char *api_dashboard(const struct api *a)
{
	return a->dashboard;
}

const struct httpd_route *api_httpd_routes(struct api *a, size_t *ret_n)
{
	*ret_n = a->n;
	return a->http;
}

static void refuse(struct httpd_call *http, int status, const char *reason, void *arg)
{
	(void)arg;
	api_fault(http, status, reason, 0);
}

void api_httpd_options(struct api *a, struct httpd_options *o)
{
	o->refuse = refuse;
	o->arg = a;
}
