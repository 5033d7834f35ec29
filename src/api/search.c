/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /search: everything that the project sees whose name has these letters in it, or whose id begins
 * so. Of what there may be a million of, only ids are looked at: by an index.
 */
#include <ctype.h>
#include <string.h>

#include "api/api_priv.h"

#define ID_MIN 8 /* fewer characters are no beginning of an id */
#define TEXT_MAX 255

/* $1 project, $2 what is looked for, $3 how many */
#define NAMED "replace(lower(name), lower($2), '') <> lower(name)"
#define NAMED_OR_ID                                                                                \
	"(" NAMED " OR (length($2) >= 8 AND substr(lower(id), 1, length($2)) = lower($2)))"
#define MINE "project_id = $1 AND "
#define SEEN "(project_id = $1 OR project_id IS NULL) AND "
#define BY_NAME " ORDER BY name, id LIMIT $3"

static const struct {
	const char *type, *sql;
} named[] = {
	{"resource", "SELECT id, name, type FROM resources WHERE " MINE
		     "gone_at IS NULL AND " NAMED_OR_ID BY_NAME},
	{"plan",
	 "SELECT id, name, coalesce(description, '') FROM plans WHERE " MINE NAMED_OR_ID BY_NAME},
	{"policy", "SELECT id, name, description FROM policies WHERE " SEEN NAMED_OR_ID BY_NAME},
	{"platform", "SELECT id, name, uri FROM platforms WHERE " SEEN NAMED_OR_ID BY_NAME},
	{"target", "SELECT id, name, url FROM targets WHERE " SEEN NAMED_OR_ID BY_NAME},
	{"provider", "SELECT id, name, description FROM providers WHERE " SEEN NAMED_OR_ID BY_NAME},
	{"trigger", "SELECT id, name, type FROM triggers WHERE " MINE NAMED_OR_ID BY_NAME},
};

/* $1 project, $2 and $3 from which id to which, $4 how many. Ids are hexadecimal. */
#define RANGE " WHERE k.id >= $2 AND k.id < $3 AND k.project_id = $1 ORDER BY k.id LIMIT $4"

static const struct {
	const char *type, *sql;
} by_id[] = {
	{"checkpoint", "SELECT k.id, coalesce(p.name, k.id), k.status FROM checkpoints k LEFT JOIN "
		       "plans p ON p.id = k.plan_id" RANGE},
	{"operation", "SELECT k.id, k.name, k.state FROM operations k" RANGE},
	{"restore", "SELECT k.id, k.id, k.status FROM restores k" RANGE},
	{"verification", "SELECT k.id, k.id, k.status FROM verifications k" RANGE},
};

static int add_rows(struct db_rows *r, const char *type, json_t *results, struct err *e)
{
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(results, json_pack("{s:s, s:s, s:s, s:s}", "type", type, "id",
							 db_text(r, 0), "name", db_text(r, 1),
							 "text", db_text(r, 2)));
	return have;
}

static int add_named(struct api_call *c, const char *q, long most, json_t *results, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		AUTO(db_rows)
		r = db_query(c->t, e, named[i].sql, db_t(c->project), db_t(q), db_i(most));

		if (add_rows(r, named[i].type, results, e) < 0)
			return -1;
	}
	return 0;
}

/* The beginning of an id, in lower case. */
static bool is_id(const char *q, char lower[UUID_TEXT + 1])
{
	size_t n = strlen(q);

	if (n < ID_MIN || n >= UUID_TEXT || q[strspn(q, "0123456789abcdefABCDEF-")])
		return false;
	for (size_t i = 0; i <= n; i++)
		lower[i] = (char)tolower((unsigned char)q[i]);
	return true;
}

static int add_by_id(struct api_call *c, const char *from, long most, json_t *results,
		     struct err *e)
{
	AUTO_FREE char *to = xasprintf("%sg", from); /* behind the last digit */

	for (size_t i = 0; i < ARRAY_LEN(by_id); i++) {
		AUTO(db_rows)
		r = db_query(c->t, e, by_id[i].sql, db_t(c->project), db_t(from), db_t(to),
			     db_i(most));

		if (add_rows(r, by_id[i].type, results, e) < 0)
			return -1;
	}
	return 0;
}

static int search(struct api_call *c, struct err *e)
{
	static const char *const names[] = {"q", "limit", NULL};
	const char *q = httpd_query(c->http, "q");
	char id[UUID_TEXT + 1];
	json_t *results;
	long most = 10;

	if (api_query_only(c, names, e) < 0 || api_query_number(c, "limit", 50, &most, e) < 0)
		return -1;
	if (!q || !*q || strlen(q) > TEXT_MAX)
		return err_set(e, ERR_INVALID, "q: give 1 to %d characters to look for", TEXT_MAX);
	results = json_array();
	if (add_named(c, q, most, results, e) < 0 ||
	    (is_id(q, id) && add_by_id(c, id, most, results, e) < 0)) {
		json_decref(results);
		return -1;
	}
	api_reply(c, 200, "results", results);
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/search", "search:get", search, 0},
};
const struct api_resource api_search = {routes, ARRAY_LEN(routes)};
