/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A URI as libpq reads it, plus parameters of ours, which are taken out: pool=N, the most
 * connections, and patience=S, how many seconds a transaction is tried while the database cannot be
 * reached or others come in between.
 */
#include <stdio.h>
#include <string.h>

#include "db/postgres_priv.h"

#define POOL 8
#define POOL_MAX 200
#define PATIENCE_S 30
#define PATIENCE_MAX_S 3600

static int take_number(const char *name, const char *text, size_t len, unsigned max, unsigned *ret,
		       struct err *e)
{
	unsigned n = 0;

	for (size_t i = 0; i < len && n <= max; i++) {
		if (text[i] < '0' || text[i] > '9')
			n = max;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	if (n < 1 || n > max)
		return err_set(e, ERR_INVALID, "%s=%.*s in the URL of the database: 1 … %u", name,
			       (int)MIN(len, 40), text, max);
	*ret = n;
	return 0;
}

static bool is_named(const char *part, const char *name)
{
	return strncmp(part, name, strlen(name)) == 0 && part[strlen(name)] == '=';
}

/* Copy the parameters but for ours. */
static int take_ours(const char *part, struct buf *out, struct postgres_url *u, struct err *e)
{
	char before = '?';

	for (; *part; part += strspn(part, "&")) {
		size_t len = strcspn(part, "&");
		int r = 0;

		if (is_named(part, "pool")) {
			r = take_number("pool", part + 5, len - 5, POOL_MAX, &u->connections, e);
		} else if (is_named(part, "patience")) {
			r = take_number("patience", part + 9, len - 9, PATIENCE_MAX_S,
					&u->patience_ms, e);
			u->patience_ms *= 1000;
		} else {
			buf_u8(out, (uint8_t)before);
			buf_add(out, part, len);
			before = '&';
		}
		if (r < 0)
			return -1;
		part += len;
	}
	return 0;
}

static const char *option(const PQconninfoOption *o, const char *name)
{
	for (; o->keyword; o++) {
		if (strcmp(o->keyword, name) == 0)
			return o->val ? o->val : "";
	}
	return "";
}

static int name_it(struct postgres_url *u, struct err *e)
{
	PQconninfoOption *o = PQconninfoParse(u->libpq, NULL);
	const char *host, *port;

	/* What libpq says about it may hold the password. */
	if (!o)
		return err_set(e, ERR_INVALID,
			       "the URL of the database cannot be read: write "
			       "postgresql://USER@HOST:PORT/NAME?PARAMETERS as PostgreSQL's manual "
			       "has it under \"Connection URIs\"; special characters of a password "
			       "as %%XX");
	host = option(o, "host");
	port = option(o, "port");
	u->name = xasprintf("%s%sat %s%s%s", option(o, "dbname"), *option(o, "dbname") ? " " : "",
			    *host ? host : "its local socket", *port ? ":" : "", port);
	PQconninfoFree(o);
	return 0;
}

int postgres_url_parse(const char *text, struct postgres_url *ret_url, struct err *e)
{
	struct postgres_url u = {.connections = POOL, .patience_ms = PATIENCE_S * 1000};
	size_t len = strcspn(text, "?");
	AUTO_BUF out = BUF_INIT;

	buf_add(&out, text, len);
	if (text[len] == '?' && take_ours(text + len + 1, &out, &u, e) < 0)
		return -1;
	u.libpq = xstrdup(buf_str(&out));
	if (name_it(&u, e) < 0) {
		postgres_url_done(&u);
		return -1;
	}
	*ret_url = u;
	return 0;
}

void postgres_url_done(struct postgres_url *u)
{
	free(u->libpq);
	free(u->name);
}
