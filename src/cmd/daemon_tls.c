/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pair lies in one file, written at once, so that a certificate and a key always fit.
 *
 * If interrupted after ca-key.pem: ca.pem is written at the next start, as whenever it differs.
 * After ca.pem: the server's certificate is made at the next start.
 */
#include "cmd/daemon_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fio.h"
#include "base/log.h"

#define PEM_MAX 262144u
#define NAMES_MAX 64
#define WARN_DAYS 14

/* ---- files ---- */

/* The whole file, ended by a NUL that its length does not count. */
static struct secret *read_secret(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO(secret) all = NULL;
	struct secret *s;
	ssize_t n;

	if (fd < 0) {
		err_sys(e, errno, "open '%s'", path);
		return NULL;
	}
	all = secret_new(PEM_MAX);
	n = fio_read(fd, all->data, PEM_MAX, path, e);
	if (n < 0)
		return NULL;
	if (n == PEM_MAX) {
		err_set(e, ERR_LIMIT, "'%s' is larger than %u bytes", path, PEM_MAX);
		return NULL;
	}
	s = secret_of(all->data, (size_t)n + 1);
	s->len--;
	return s;
}

/* A certificate, and after it the key. */
static int read_pair(const char *path, struct tls_pair *ret_p, struct err *e)
{
	AUTO(secret) all = read_secret(path, e);
	const char *text, *key;

	if (!all)
		return -1;
	text = (const char *)all->data;
	key = strstr(text, "-----BEGIN PRIVATE KEY-----");
	if (!key || key == text)
		return err_set(e, ERR_CORRUPT,
			       "'%s' does not hold a certificate and a key: remove it, and it is "
			       "made anew",
			       path);
	ret_p->certificate = xstrndup(text, (size_t)(key - text));
	ret_p->key = secret_of(key, strlen(key) + 1);
	ret_p->key->len--;
	return 0;
}

static int write_pair(const char *path, const struct tls_pair *p, struct err *e)
{
	size_t n = strlen(p->certificate);
	AUTO(secret) all = secret_new(n + p->key->len);

	memcpy(all->data, p->certificate, n);
	memcpy(all->data + n, p->key->data, p->key->len);
	return fio_replace(path, all->data, all->len, 0600, e);
}

/* ---- names ---- */

struct names {
	char *text[NAMES_MAX];
	size_t n;
};

static void names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->text[i]);
}

/* A host's name or address; what cannot stand in a certificate is left out. */
static void add_name(struct names *l, const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:";

	if (!name[0] || name[0] == '-' || name[0] == '.' || name[strspn(name, good)] ||
	    l->n == NAMES_MAX)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->text[i], name) == 0)
			return;
	}
	l->text[l->n++] = xstrdup(name);
}

/* "https://backup.example.com:8799/x": backup.example.com */
static void add_url(struct names *l, const char *url)
{
	const char *host = url ? strstr(url, "://") : NULL;
	bool bracket = host && host[3] == '[';
	AUTO_FREE char *name = NULL;

	if (!host)
		return;
	host += 3 + bracket;
	name = xstrndup(host, strcspn(host, bracket ? "]" : ":/?#"));
	add_name(l, name);
}

/* Of what is up, but for addresses that hold on one link only. */
static void add_addresses(struct names *l)
{
	char text[INET6_ADDRSTRLEN];
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		const struct sockaddr_in *four = (const struct sockaddr_in *)i->ifa_addr;
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)i->ifa_addr;

		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
			continue;
		if (i->ifa_addr->sa_family == AF_INET &&
		    inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text)))
			add_name(l, text);
		else if (i->ifa_addr->sa_family == AF_INET6 &&
			 !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) &&
			 inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text)))
			add_name(l, text);
	}
	freeifaddrs(all);
}

/* What clients may call this machine. The first is shown by programs. */
static void all_names(const struct config *c, struct names *l)
{
	char host[256] = "";
	uint16_t port;
	bool all = false;

	add_url(l, config_text(c, "server", "public_url"));
	gethostname(host, sizeof(host) - 1);
	add_name(l, host);
	add_name(l, "localhost");
	add_name(l, "127.0.0.1");
	add_name(l, "::1");
	for (const char *const *a = config_list(c, "server", "listen"); *a; a++) {
		if (config_address(*a, host, sizeof(host), &port, NULL) < 0)
			continue;
		all = all || strcmp(host, "*") == 0;
		add_name(l, host);
	}
	if (all)
		add_addresses(l);
}

/* ---- our own ---- */

static int make_authority(const char *path, struct tls_pair *ret_ca, struct err *e)
{
	char host[41] = "", print[TLS_FINGERPRINT];
	struct tls_pair ca = {0};

	gethostname(host, sizeof(host) - 1);
	if (tls_ca_new(host, &ca, e) < 0)
		return -1;
	if (write_pair(path, &ca, e) < 0 || tls_fingerprint(ca.certificate, print, e) < 0) {
		tls_pair_done(&ca);
		return -1;
	}
	log_info("made a certificate authority; SHA-256 of its certificate: %s", print);
	*ret_ca = ca;
	return 0;
}

/* The authority, made if it is not there; its certificate lies in `public`. */
static int find_authority(const char *folder, struct tls_pair *ret_ca, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/ca-key.pem", folder);
	AUTO_FREE char *public = xasprintf("%s/ca.pem", folder);
	struct tls_pair ca = {0};
	AUTO_BUF there = BUF_INIT;
	struct err why = {0};
	size_t n;

	if (read_pair(path, &ca, &why) < 0) {
		if (why.kind != ERR_NOENT)
			return err_set(e, why.kind, "%s", why.msg);
		if (make_authority(path, &ca, e) < 0)
			return -1;
	}
	n = strlen(ca.certificate);
	if ((fio_slurp(public, PEM_MAX, &there, NULL) < 0 || there.len != n ||
	     memcmp(there.data, ca.certificate, n) != 0) &&
	    fio_replace(public, ca.certificate, n, 0644, e) < 0) {
		tls_pair_done(&ca);
		return -1;
	}
	*ret_ca = ca;
	return 0;
}

static int find_own(const struct config *c, const struct tls_pair *ca, struct tls_pair *ret_p,
		    struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/server.pem", config_text(c, "state", "directory"));
	__attribute__((cleanup(names_done))) struct names names = {0};
	const char *const *list = (const char *const *)names.text;
	struct tls_pair p = {0};
	struct err why = {0};
	const char *outdated;

	all_names(c, &names);
	if (read_pair(path, &p, &why) < 0)
		outdated = why.kind == ERR_NOENT ? "there is none" : why.msg;
	else
		outdated = tls_ca_outdated(ca->certificate, p.certificate, list, names.n);
	if (!outdated) {
		*ret_p = p;
		return 0;
	}
	tls_pair_done(&p);
	p = (struct tls_pair){0};
	if (tls_ca_issue(ca, list, names.n, &p, e) < 0)
		return -1;
	if (write_pair(path, &p, e) < 0) {
		tls_pair_done(&p);
		return -1;
	}
	log_info("made a certificate for the server: %s", outdated);
	*ret_p = p;
	return 0;
}

/* ---- any ---- */

static int find_named(const struct config *c, struct tls_pair *ret_p, struct err *e)
{
	AUTO(secret) key = read_secret(config_text(c, "server", "key"), e);
	AUTO_BUF certificate = BUF_INIT;

	if (!key ||
	    fio_slurp(config_text(c, "server", "certificate"), PEM_MAX, &certificate, e) < 0)
		return -1;
	ret_p->certificate = xstrdup(buf_str(&certificate));
	ret_p->key = steal(&key);
	return 0;
}

int daemon_tls_load(const struct config *c, struct tls_pair *ret_p, char **ret_ca, struct err *e)
{
	struct tls_pair ca = {0};
	int rc;

	*ret_ca = NULL;
	if (config_text(c, "server", "certificate"))
		return find_named(c, ret_p, e);
	if (find_authority(config_text(c, "state", "directory"), &ca, e) < 0)
		return -1;
	rc = find_own(c, &ca, ret_p, e);
	if (rc == 0)
		*ret_ca = steal(&ca.certificate);
	tls_pair_done(&ca);
	return rc;
}

void daemon_tls_warn(const char *certificate)
{
	uint64_t end, now = clock_wall_us();
	char text[CLOCK_TEXT];

	if (tls_expiry(certificate, &end, NULL) == 0 &&
	    end < now + WARN_DAYS * UINT64_C(86400000000))
		log_warn("[server] certificate: it ends at %s: replace it and reload",
			 clock_rfc3339(end, text));
}
