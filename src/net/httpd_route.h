/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd_route.h: what a request line asks for, and which route takes it. Pure functions: no
 * sockets, no server.
 *
 * A target is "/part/part?name=value&name". Each part is decoded for itself, so that "%2F" in it
 * is a slash in its name. Nothing is normalised: an empty part is a part, and "." and ".." lead
 * nowhere. Refused: what does not begin with a slash, percent signs without two digits, control
 * characters, text that is not UTF-8, and what is over the limits below.
 *
 * Threads: a target belongs to one thread; a table is read-only.
 */
#ifndef HF_NET_HTTPD_ROUTE_H
#define HF_NET_HTTPD_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/httpd.h"

#define TARGET_PATH_MAX 4096 /* bytes, as they come */
#define TARGET_PARTS 32
#define TARGET_QUERY 64 /* parameters */

struct target {
	char *text;	  /* holds all of the strings */
	const char *path; /* decoded, of all parts */
	size_t n_parts;	  /* at least 1: "/" has one that is empty */
	const char *parts[TARGET_PARTS];
	const char *from[TARGET_PARTS]; /* where each part begins in `path` */
	bool dots;			/* a part is "." or ".." */
	size_t n_query;
	struct {
		const char *name, *value;
	} query[TARGET_QUERY];
};

/* ERR_INVALID with what is wrong with it, for the client. `raw` need not live on. */
int target_parse(const char *raw, struct target *ret_t, struct err *e);
void target_done(struct target *t);

struct route_table;

#define ROUTE_ALLOW 128 /* room for the methods of one path */

/* Routes are borrowed; that a path is well-formed is asserted. Never NULL. */
struct route_table *route_table_new(const struct httpd_route *routes, size_t n);
void route_table_free(struct route_table *t);
/*
 * The route for a method and target, or NULL. Then `ret_allow` (ROUTE_ALLOW bytes) says which
 * methods the path has, "" where it has none. A part's own name goes before "{…}", and that before
 * "{…*}"; GET takes HEAD.
 */
const struct httpd_route *route_find(const struct route_table *t, const struct target *target,
				     const char *method, char *ret_allow);
/* What the part of this name is in the target, for a route that route_find() gave; NULL: none. */
const char *route_part(const struct httpd_route *r, const struct target *t, const char *name);

/*
 * The value of a cookie in the text of a Cookie header, copied; NULL: it is not there. Quotes
 * around a value are removed; nothing is decoded.
 */
char *cookie_find(const char *header, const char *name);

DEFINE_AUTO(route_table, route_table_free);

#endif
