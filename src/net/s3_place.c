/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/human.h"

#define PART_BYTES ((uint64_t)128 << 20) /* a pack goes as a whole */
#define PART_MIN ((uint64_t)5 << 20)	 /* services take no smaller ones but the last */
#define PART_MAX ((uint64_t)5 << 30)
#define RETRY_US ((uint64_t)60 * 1000000)
#define ARBITER "arbiter="
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

void s3_place_done(struct s3_place *p)
{
	free(p->base);
	free(p->host);
	free(p->path);
	free(p->prefix);
	free(p->bucket);
	free(p->region);
	free(p->ca);
	*p = (struct s3_place){0};
}

/* ---- the place ---- */

enum style { STYLE_UNKNOWN, STYLE_PATH, STYLE_VIRTUAL };

struct parsing {
	struct s3_place *p;
	char *endpoint; /* "https://host:port", or NULL: Amazon's */
	enum style style;
};

static void set_text(char **p, const char *text)
{
	free(*p);
	*p = xstrdup(text);
}

static int take_option(struct parsing *g, const char *name, const char *value, struct err *e)
{
	if (strcmp(name, "region") == 0 && *value) {
		set_text(&g->p->region, value);
		return 0;
	}
	if (strcmp(name, "style") == 0 && strcmp(value, "path") == 0) {
		g->style = STYLE_PATH;
		return 0;
	}
	if (strcmp(name, "style") == 0 && strcmp(value, "virtual") == 0) {
		g->style = STYLE_VIRTUAL;
		return 0;
	}
	if (strcmp(name, "retry") == 0 && human_parse_duration(value, &g->p->retry_us))
		return 0;
	if (strcmp(name, "part") == 0 && human_parse_bytes(value, &g->p->part_bytes) &&
	    g->p->part_bytes >= PART_MIN && g->p->part_bytes <= PART_MAX)
		return 0;
	return err_set(e, ERR_INVALID,
		       "the target's option '%s=%s': write region=NAME, style=path, style=virtual, "
		       "retry=TIME (like 2m), part=SIZE (5M to 5G) or, last, arbiter=TARGET",
		       name, value);
}

/* The option that takes the rest of the text. */
static bool is_arbiter(const char *option)
{
	return strncmp(option, ARBITER, strlen(ARBITER)) == 0;
}

const char *s3_place_arbiter(const char *url)
{
	const char *o = strchr(url, '?');

	while (o && !is_arbiter(o + 1))
		o = strchr(o + 1, '&');
	return o ? o + 1 + strlen(ARBITER) : NULL;
}

static int take_options(struct parsing *g, char *text, struct err *e)
{
	char *rest = NULL;

	for (char *o = strtok_r(text, "&", &rest); o && !is_arbiter(o);
	     o = strtok_r(NULL, "&", &rest)) {
		char *eq = strchr(o, '=');

		if (eq)
			*eq = 0;
		if (take_option(g, o, eq ? eq + 1 : "", e) < 0)
			return -1;
	}
	return 0;
}

static int check_endpoint(const char *url, struct err *e)
{
	const char *host = strstr(url, "://");

	if ((strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) || !host[3] ||
	    host[3 + strspn(host + 3, LETTERS ".-:[]_")])
		return err_set(e, ERR_INVALID,
			       "the S3 service '%s': write http://HOST[:PORT] or "
			       "https://HOST[:PORT]",
			       url);
	return 0;
}

/* Take "https://host:port" off the front, or what the environment says. */
static int take_endpoint(struct parsing *g, const char **rest, struct err *e)
{
	const char *url = *rest, *given = env_either("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
	const char *host = strstr(url, "://");
	size_t n;

	if (host && host < url + strcspn(url, "/")) {
		n = (size_t)(host + 3 - url) + strcspn(host + 3, "/");
		g->endpoint = xstrndup(url, n);
		*rest = url + n + (url[n] == '/');
		return check_endpoint(g->endpoint, e);
	}
	if (strncmp(url, "//", 2) == 0)
		*rest = url + 2;
	if (!given)
		return 0;
	n = strlen(given);
	while (n && given[n - 1] == '/')
		n--;
	g->endpoint = xstrndup(given, n);
	return check_endpoint(g->endpoint, e);
}

static int take_bucket(struct parsing *g, const char *text, struct err *e)
{
	size_t n = strcspn(text, "/");
	const char *prefix = text + n + (text[n] == '/');
	size_t m = strlen(prefix);

	if (n < 3 || n > 63 || strspn(text, LETTERS ".-_") < n)
		return err_set(e, ERR_INVALID,
			       "the bucket '%.*s': a name has 3 to 63 letters, digits, '.', '-' or "
			       "'_'; write s3:BUCKET/PREFIX or s3:https://HOST/BUCKET/PREFIX",
			       (int)n, text);
	if (m > 256 || prefix[strspn(prefix, LETTERS "._-/")] || prefix[0] == '/' ||
	    strstr(prefix, "//") || strstr(prefix, ".."))
		return err_set(e, ERR_INVALID,
			       "the prefix '%s': write at most 256 letters, digits, '.', '-', '_' "
			       "and single '/' between them",
			       prefix);
	g->p->bucket = xstrndup(text, n);
	g->p->prefix = xasprintf("%s%s", prefix, m && prefix[m - 1] != '/' ? "/" : "");
	return 0;
}

/* Amazon wants the bucket in the host's name; others mostly know only the path. */
static void settle(struct parsing *g)
{
	struct s3_place *p = g->p;
	const char *region = env_either("AWS_REGION", "AWS_DEFAULT_REGION");
	const char *host;
	bool tls_name = strchr(p->bucket, '.') == NULL;

	if (!p->region)
		p->region = xstrdup(region ? region : "us-east-1");
	if (g->style == STYLE_UNKNOWN)
		g->style = g->endpoint || !tls_name ? STYLE_PATH : STYLE_VIRTUAL;
	if (!g->endpoint)
		g->endpoint = xasprintf("https://s3.%s.amazonaws.com", p->region);
	host = strstr(g->endpoint, "://") + 3;
	if (g->style == STYLE_VIRTUAL) {
		p->host = xasprintf("%s.%s", p->bucket, host);
		p->path = xstrdup("/");
	} else {
		p->host = xstrdup(host);
		p->path = xasprintf("/%s/", p->bucket);
	}
	p->base = xasprintf("%.*s%s", (int)(host - g->endpoint), g->endpoint, p->host);
	p->ca = xstrdup0(env_text("AWS_CA_BUNDLE"));
}

int s3_place_parse(const char *url, struct s3_place *ret, struct err *e)
{
	struct parsing g = {.p = ret};
	const char *query = strchr(url, '?'), *rest;
	AUTO_FREE char *plain = xstrndup(url, query ? (size_t)(query - url) : strlen(url));
	AUTO_FREE char *options = xstrdup(query ? query + 1 : "");
	int rc;

	*ret = (struct s3_place){.retry_us = RETRY_US, .part_bytes = PART_BYTES};
	rest = plain;
	rc = take_options(&g, options, e);
	if (rc == 0)
		rc = take_endpoint(&g, &rest, e);
	if (rc == 0)
		rc = take_bucket(&g, rest, e);
	if (rc == 0)
		settle(&g);
	else
		s3_place_done(ret);
	free(g.endpoint);
	return rc;
}
