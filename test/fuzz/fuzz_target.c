/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request asks for: the first line is a path with its query, the second a method, the third
 * a Cookie header. Whatever is found must hold together.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/httpd_route.h"

static void never(struct httpd_call *c, void *arg)
{
	(void)c;
	(void)arg;
}

static const struct httpd_route routes[] = {
	{"GET", "/", never, NULL, 0, 0},
	{"GET", "/v1/{project_id}/plans", never, NULL, 0, 0},
	{"POST", "/v1/{project_id}/plans", never, NULL, 0, 0},
	{"GET", "/v1/{project_id}/plans/detail", never, NULL, 0, 0},
	{"DELETE", "/v1/{project_id}/plans/{plan_id}", never, NULL, 0, 0},
	{"*", "/v1/{project_id}/{kind}/{id}/{action}", never, NULL, 0, 0},
	{"GET", "/ui/{rest*}", never, NULL, 0, 0},
};

static void check(bool right)
{
	if (!right)
		abort();
}

static void look_up(const struct target *t, const char *method)
{
	AUTO(route_table) table = route_table_new(routes, ARRAY_LEN(routes));
	char allow[ROUTE_ALLOW];
	const struct httpd_route *r = route_find(table, t, method, allow);
	const char *rest;

	check(strlen(allow) < ROUTE_ALLOW);
	if (!r)
		return;
	check(!t->dots);
	if (strstr(r->path, "{project_id}"))
		check(route_part(r, t, "project_id")[0] != 0);
	rest = route_part(r, t, "rest");
	if (rest)
		check(rest[0] != '/' && strncmp(rest, "../", 3) != 0 && !strstr(rest, "/../") &&
		      !strstr(rest, "//"));
	check(!route_part(r, t, "none"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	char *save = NULL, *raw = strtok_r(text, "\n", &save),
	     *method = strtok_r(NULL, "\n", &save);
	char *cookie = strtok_r(NULL, "\n", &save);
	struct target t;

	if (raw && target_parse(raw, &t, NULL) == 0) {
		check(t.n_parts >= 1 && t.n_parts <= TARGET_PARTS && t.path[0] == '/');
		for (size_t i = 0; i < t.n_query; i++)
			check(t.query[i].name && t.query[i].value);
		look_up(&t, method ? method : "GET");
		target_done(&t);
	}
	if (cookie)
		free(cookie_find(cookie, "session"));
	return 0;
}
