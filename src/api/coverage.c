/* SPDX-License-Identifier: Apache-2.0 */
/* /coverage: how well each resource that was found is protected, and why (core/coverage.h). */
#include <string.h>

#include "api/api_priv.h"
#include "core/coverage.h"

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"type", "type", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"status", "state", COLUMN_TEXT, true},
	{"platform_id", "platform_id", COLUMN_TEXT, true},
	{"platform_name", "(SELECT p.name FROM platforms p WHERE p.id = platform_id)", COLUMN_TEXT,
	 false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"protection", COVERAGE_SQL("$NOW"), COLUMN_TEXT, true},
	{"plans", "plans", COLUMN_JSON, false},
	{"newest_good_at", "coalesce(good_at, 0)", COLUMN_HIDDEN_INT, true},
	{"newest_good_at", "good_at", COLUMN_TIME, false},
	{"newest_checkpoint_id", "checkpoint_id", COLUMN_TEXT, false},
	{"due_by", "due_at", COLUMN_TIME, false},
	{"size_bytes", "coalesce(size_bytes, 0)", COLUMN_HIDDEN_INT, true},
	{"size_bytes", "size_bytes", COLUMN_INT, false},
	{"excluded", "excluded", COLUMN_FLAG, false},
	{"created_at", "first_seen_at", COLUMN_TIME, true},
	/* For the reason. */
	{"failed_reason", "failed_reason", COLUMN_TEXT, false},
	{"excluded_reason", "excluded_reason", COLUMN_TEXT, false},
};
static const struct filter filters[] = {
	{"type", "type", FILTER_IS},
	{"name", "name", FILTER_CONTAINS},
	{"status", "state", FILTER_IS},
	{"platform_id", "platform_id", FILTER_IS},
	{"protection", COVERAGE_SQL("$NOW"), FILTER_IS},
};
static const struct table coverage = {.sql = "resources",
				      .item = "coverage",
				      .items = "coverage",
				      TABLE_OF(columns, filters),
				      .where = "gone_at IS NULL"};

/* ---- why ---- */

static const char *text_in(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

/* The caller frees. */
static char *unprotected(const char *plan, const char *good, const char *due)
{
	if (!*plan && *good)
		return xasprintf("No plan takes it in; its newest good checkpoint is of %s.", good);
	if (!*plan)
		return xstrdup("No plan takes it in.");
	if (*due)
		return xasprintf("Plan %s takes it in and has made no checkpoint of it yet; the "
				 "first is due by %s.",
				 plan, due);
	return xasprintf("Plan %s takes it in and has made no checkpoint of it yet, and has no "
			 "schedule: start it by hand.",
			 plan);
}

static char *reason_of(const json_t *o)
{
	const char *protection = text_in(o, "protection"), *good = text_in(o, "newest_good_at");
	const char *plan = text_in(json_array_get(json_object_get(o, "plans"), 0), "name");
	const char *due = text_in(o, "due_by"), *why = text_in(o, "excluded_reason");

	if (strcmp(protection, "failing") == 0)
		return xasprintf("The newest attempt failed. Plan %s", text_in(o, "failed_reason"));
	if (strcmp(protection, "late") == 0)
		return *good ? xasprintf("Its newest good checkpoint is of %s; a newer one was due "
					 "by %s.",
					 good, due)
			     : xasprintf("There is no good checkpoint; one was due by %s.", due);
	if (strcmp(protection, "protected") == 0)
		return *due ? xasprintf("Its newest good checkpoint is of %s; the next is due by "
					"%s.",
					good, due)
			    : xasprintf("Its newest good checkpoint is of %s; no schedule asks for "
					"a newer one.",
					good);
	if (strcmp(protection, "excluded") == 0)
		return *why ? xasprintf("It need not be protected: %s", why)
			    : xstrdup("It need not be protected.");
	return unprotected(plan, good, due);
}

static void finish(json_t *o)
{
	AUTO_FREE char *reason = reason_of(o);

	json_object_set_new(o, "reason", json_string(reason));
	json_object_del(o, "failed_reason");
	json_object_del(o, "excluded_reason");
}

/* ---- routes ---- */

static int list(struct api_call *c, struct err *e)
{
	json_t *v;
	size_t i;

	if (api_list(c, &coverage, NULL, 0, e) < 0)
		return -1;
	json_array_foreach(json_object_get(c->reply, "coverage"), i, v) finish(v);
	return 0;
}

static int show(struct api_call *c, struct err *e)
{
	if (api_show(c, &coverage, httpd_part(c->http, "resource_id"), e) < 0)
		return -1;
	finish(json_object_get(c->reply, "coverage"));
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	const char *id = httpd_part(c->http, "resource_id"), *reason;
	struct input in;
	bool excluded;
	uint64_t n;

	api_input(c, "coverage", &in);
	if (!input_has(&in, "excluded"))
		input_wrong(&in, "excluded", "It is required: true or false.");
	excluded = input_flag(&in, "excluded", false);
	reason = input_text(&in, "reason", OPTIONAL, 255);
	if (input_done(&in, e) < 0 ||
	    db_exec(c->t, &n, e,
		    "UPDATE resources SET excluded = $3, excluded_reason = $4 WHERE id = $1 AND "
		    "project_id = $2 AND gone_at IS NULL",
		    db_t(id), db_t(c->project), db_i(excluded),
		    db_t0(excluded ? reason : NULL)) < 0)
		return -1;
	return n ? show(c, e) : err_set(e, ERR_NOENT, "There is no resource '%.80s'.", id);
}

#define ONE "/v1/{project_id}/coverage/{resource_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/coverage", "coverage:get", list, 0},
	{"GET", ONE, "coverage:get", show, 0},
	{"PUT", ONE, "coverage:update", update, API_WRITES},
};
const struct api_resource api_coverage = {routes, ARRAY_LEN(routes)};
