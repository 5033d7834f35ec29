/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /overview: the first page of the dashboard: how the project is protected, what runs, what needs
 * somebody. It asks for counts, for what is wrong, and for the newest: never for everything, so it
 * costs much the same for a hundred plans and a hundred thousand.
 */
#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/coverage.h"
#include "core/operation.h"
#include "core/target_history.h"
#include "flow/flow_query.h"

#define DAY_US INT64_C(86400000000)
#define PLANS_MOST 100
#define RUNNING_MOST 50
#define SOME 10 /* of each kind of trouble */
#define PLATFORMS_MOST 200
#define TARGETS_MOST 100
#define FULL_SOON_US (14 * DAY_US)

struct overview {
	struct api_call *c;
	int64_t now;
	json_t *all; /* what is answered */
	json_t *errors, *warnings;
};

static json_t *or_null(const struct db_rows *r, int column)
{
	return db_is_null(r, column) ? json_null() : json_integer(db_int(r, column));
}

static json_t *time_of(const struct db_rows *r, int column)
{
	return json_time(db_is_null(r, column) ? 0 : (uint64_t)db_int(r, column));
}

/* Something that somebody has to look at; takes over `text`. */
static void attention(struct overview *o, bool error, const char *kind, char *text,
		      const char *type, const char *id, const char *name, const char *action)
{
	json_t *v = json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:s}", "kind", kind, "severity",
			      error ? "error" : "warning", "text", text, "subject", "type", type,
			      "id", id, "name", name, "action", action);

	json_array_append_new(error ? o->errors : o->warnings, v);
	free(text);
}

/* ---- resources ---- */

static json_t *no_counts(void)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "total", 0, "protected", 0, "late", 0,
			 "failing", 0, "unprotected", 0, "excluded", 0);
}

static void count(json_t *counts, const char *name, int64_t n)
{
	json_int_t was = json_integer_value(json_object_get(counts, name));

	json_object_set_new(counts, name, json_integer(was + n));
}

/* By platform, and all together. */
static int count_resources(struct overview *o, json_t *by_platform, json_t *sum, struct err *e)
{
	AUTO(db_rows)
	r = db_query(
		o->c->t, e,
		"SELECT platform_id, protection, count(*) FROM (SELECT platform_id, " COVERAGE_SQL(
			"$2") " AS protection FROM resources WHERE project_id = $1 AND "
			      "gone_at IS NULL) r GROUP BY platform_id, protection",
		db_t(o->c->project), db_i(o->now));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		json_t *of = json_object_get(by_platform, db_text(r, 0));

		if (!of) {
			of = no_counts();
			json_object_set_new(by_platform, db_text(r, 0), of);
		}
		count(of, db_text(r, 1), db_int(r, 2));
		count(of, "total", db_int(r, 2));
		count(sum, db_text(r, 1), db_int(r, 2));
		count(sum, "total", db_int(r, 2));
	}
	return have;
}

/* Its own, and those of others that have something of it. */
static int add_platforms(struct overview *o, const json_t *by_platform, struct err *e)
{
	AUTO(db_rows)
	r = db_query(o->c->t, e,
		     "SELECT id, name, status, coalesce(reason, ''), coalesce(project_id, '') FROM "
		     "platforms WHERE project_id = $1 OR id IN (SELECT DISTINCT platform_id FROM "
		     "resources WHERE project_id = $1) ORDER BY name, id LIMIT $2",
		     db_t(o->c->project), db_i(PLATFORMS_MOST));
	json_t *platforms = json_array();
	int have = r ? 1 : -1;

	json_object_set_new(o->all, "platforms", platforms);
	while (have > 0 && (have = db_next(r, e)) > 0) {
		json_t *of = json_object_get(by_platform, db_text(r, 0));

		json_array_append_new(platforms,
				      json_pack("{s:s, s:s, s:s, s:o}", "id", db_text(r, 0), "name",
						db_text(r, 1), "status", db_text(r, 2), "resources",
						of ? json_incref(of) : no_counts()));
		if (strcmp(db_text(r, 2), "error") == 0)
			attention(o, true, "platform_error",
				  xasprintf("Platform %s cannot be listed: %s", db_text(r, 1),
					    db_text(r, 3)),
				  "platform", db_text(r, 0), db_text(r, 1),
				  "See to it that its mover reaches it, then look for resources "
				  "again.");
	}
	return have;
}

static int add_resources(struct overview *o, struct err *e)
{
	json_t *by_platform = json_object(), *sum = no_counts();
	json_int_t without;
	int done = count_resources(o, by_platform, sum, e);

	if (done == 0)
		done = add_platforms(o, by_platform, e);
	json_decref(by_platform);
	without = json_integer_value(json_object_get(sum, "unprotected"));
	json_object_set_new(o->all, "resources", sum);
	if (done == 0 && without > 0)
		attention(o, false, "resources_unprotected",
			  xasprintf("%lld of %lld resources are not protected.", (long long)without,
				    (long long)json_integer_value(json_object_get(sum, "total"))),
			  "project", o->c->project,
			  o->c->who->project_name ? o->c->who->project_name : "",
			  "Put them into a plan, or say that they need not be protected.");
	return done;
}

/* ---- plans ---- */

#define PLAN_COLUMNS                                                                               \
	"SELECT id, name, " COVERAGE_PLAN_SQL("$2") ", good_at, due_at, coalesce(failed_reason, "  \
						    "'') FROM plans WHERE project_id = $1 AND "

/* Those that need somebody first. */
static const char *const plan_lists[] = {
	PLAN_COLUMNS "failed_at IS NOT NULL ORDER BY failed_at DESC, id LIMIT $3",
	PLAN_COLUMNS "due_at <= $2 AND failed_at IS NULL ORDER BY due_at, id LIMIT $3",
	PLAN_COLUMNS "(due_at IS NULL OR due_at > $2) AND failed_at IS NULL ORDER BY created_at "
		     "DESC, id DESC LIMIT $3",
};

static void plan_trouble(struct overview *o, const struct db_rows *r)
{
	const char *id = db_text(r, 0), *name = db_text(r, 1), *state = db_text(r, 2);
	char due[CLOCK_TEXT];

	if (strcmp(state, "failing") == 0)
		attention(o, true, "plan_failing",
			  xasprintf("Plan %s: the newest attempt failed: %s", name, db_text(r, 5)),
			  "plan", id, name, "Look at what failed, then start it again.");
	else
		attention(o, false, "plan_late",
			  xasprintf("Plan %s: a good checkpoint was due by %s.", name,
				    clock_rfc3339((uint64_t)db_int(r, 4), due)),
			  "plan", id, name, "See whether its schedule runs, or start it by hand.");
}

static int add_plan(struct overview *o, const struct db_rows *r, json_t *plans, struct err *e)
{
	char operation[UUID_TEXT];
	int running = operation_live(o->c->t, "plan", db_text(r, 0), "protect", operation, e);

	json_array_append_new(plans, json_pack("{s:s, s:s, s:s, s:o, s:o, s:b}", "id",
					       db_text(r, 0), "name", db_text(r, 1), "state",
					       db_text(r, 2), "newest_good_at", time_of(r, 3),
					       "due_by", time_of(r, 4), "running", running > 0));
	return running < 0 ? -1 : 0;
}

static int add_plans(struct overview *o, struct err *e)
{
	json_t *plans = json_array();

	json_object_set_new(o->all, "plans", plans);
	for (size_t i = 0; i < ARRAY_LEN(plan_lists); i++) {
		size_t had = json_array_size(plans);
		AUTO(db_rows)
		r = had < PLANS_MOST ? db_query(o->c->t, e, plan_lists[i], db_t(o->c->project),
						db_i(o->now), db_i(PLANS_MOST - had))
				     : NULL;
		int have = had == PLANS_MOST ? 0 : r ? 1 : -1;

		while (have > 0 && (have = db_next(r, e)) > 0) {
			if (add_plan(o, r, plans, e) < 0)
				return -1;
			if (i < 2 && json_array_size(plans) <= had + SOME)
				plan_trouble(o, r);
		}
		if (have < 0)
			return -1;
	}
	return 0;
}

static int add_damaged(struct overview *o, struct err *e)
{
	AUTO(db_rows)
	r = db_query(o->c->t, e,
		     "SELECT k.id, coalesce(p.name, ''), k.instant_at FROM checkpoints k LEFT JOIN "
		     "plans p ON p.id = k.plan_id WHERE k.project_id = $1 AND k.status = "
		     "'available' AND k.verified_ok = 0 ORDER BY k.verified_at DESC LIMIT $2",
		     db_t(o->c->project), db_i(SOME));
	char at[CLOCK_TEXT];
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		clock_rfc3339((uint64_t)db_int(r, 2), at);
		attention(
			o, true, "checkpoint_damaged",
			xasprintf("The checkpoint of plan %s of %s is damaged.", db_text(r, 1), at),
			"checkpoint", db_text(r, 0), at,
			"Repair its target from a copy, and make a new checkpoint.");
	}
	return have;
}

/* ---- targets ---- */

static void target_trouble(struct overview *o, const struct db_rows *r, uint64_t full_at)
{
	const char *id = db_text(r, 0), *name = db_text(r, 1);
	char at[CLOCK_TEXT];
	bool full = !db_is_null(r, 4) && db_int(r, 5) > 0 && db_int(r, 4) < db_int(r, 5) / 20;

	if (strcmp(db_text(r, 2), "error") == 0)
		attention(o, true, "target_error",
			  xasprintf("Target %s cannot be reached: %s", name, db_text(r, 6)),
			  "target", id, name,
			  "See to it that its mover reaches it, then check it again.");
	if (full)
		attention(o, true, "target_full",
			  xasprintf("Target %s has less than 5 %% of its space left.", name),
			  "target", id, name, "Make room in it, or keep fewer checkpoints.");
	else if (full_at && (int64_t)full_at < o->now + FULL_SOON_US)
		attention(o, false, "target_full",
			  xasprintf("Target %s will be full by %s if it goes on as it did.", name,
				    clock_rfc3339(full_at, at)),
			  "target", id, name, "Make room in it, or keep fewer checkpoints.");
}

static int add_targets(struct overview *o, int64_t *ret_free, bool *ret_known, struct err *e)
{
	AUTO(db_rows)
	r = db_query(o->c->t, e,
		     "SELECT id, name, status, stored_bytes, free_bytes, total_bytes, "
		     "coalesce(reason, '') FROM targets WHERE project_id = $1 OR project_id IS "
		     "NULL ORDER BY name, id LIMIT $2",
		     db_t(o->c->project), db_i(TARGETS_MOST));
	json_t *targets = json_array();
	int have = r ? 1 : -1;

	json_object_set_new(o->all, "targets", targets);
	while (have > 0 && (have = db_next(r, e)) > 0) {
		uint64_t full_at;

		if (target_history_full_at(o->c->t, db_text(r, 0), (uint64_t)o->now, &full_at, e) <
		    0)
			return -1;
		json_array_append_new(targets,
				      json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "id",
						db_text(r, 0), "name", db_text(r, 1), "status",
						db_text(r, 2), "stored_bytes", or_null(r, 3),
						"free_bytes", or_null(r, 4), "total_bytes",
						or_null(r, 5), "full_at", json_time(full_at)));
		target_trouble(o, r, full_at);
		if (!db_is_null(r, 4)) {
			*ret_free += db_int(r, 4);
			*ret_known = true;
		}
	}
	return have;
}

static int add_damaged_targets(struct overview *o, struct err *e)
{
	AUTO(db_rows)
	r = db_query(o->c->t, e,
		     "SELECT t.id, t.name, r.damaged_objects FROM repositories r JOIN targets t ON "
		     "t.id = r.target_id WHERE r.project_id = $1 AND r.damaged_objects > 0 ORDER "
		     "BY t.name, t.id LIMIT $2",
		     db_t(o->c->project), db_i(SOME));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		attention(o, true, "target_damaged",
			  xasprintf("Target %s: %lld of the objects stored in it are damaged.",
				    db_text(r, 1), (long long)db_int(r, 2)),
			  "target", db_text(r, 0), db_text(r, 1),
			  "Repair it from a copy, and verify it again.");
	return have;
}

static int add_storage(struct overview *o, struct err *e)
{
	int64_t free_bytes = 0;
	bool known = false;
	int have = add_targets(o, &free_bytes, &known, e);
	AUTO(db_rows) r = NULL;

	if (have < 0)
		return -1;
	r = db_query(o->c->t, e,
		     "SELECT CAST(coalesce(sum(logical_bytes), 0) AS BIGINT), "
		     "CAST(coalesce(sum(stored_bytes), 0) AS BIGINT) FROM usage_now WHERE "
		     "project_id = $1",
		     db_t(o->c->project));
	if (!r || db_next(r, e) < 0)
		return -1;
	json_object_set_new(o->all, "storage",
			    json_pack("{s:I, s:I, s:o}", "logical_bytes", (json_int_t)db_int(r, 0),
				      "stored_bytes", (json_int_t)db_int(r, 1), "free_bytes",
				      known ? json_integer(free_bytes) : json_null()));
	return 0;
}

static int overview(struct api_call *c, struct err *e)
{
	static const char *const names[] = {NULL};
	struct overview o = {.c = c, .now = (int64_t)clock_wall_us()};
	json_t *running;
	int done;

	if (api_query_only(c, names, e) < 0 ||
	    api_operations_live(c, RUNNING_MOST, &running, e) < 0)
		return -1;
	o.all = json_pack("{s:o}", "running", running);
	o.errors = json_array();
	o.warnings = json_array();
	done = add_resources(&o, e) < 0 || add_plans(&o, e) < 0 || add_damaged(&o, e) < 0 ||
			       add_damaged_targets(&o, e) < 0 || add_storage(&o, e) < 0
		       ? -1
		       : 0;
	json_array_extend(o.errors, o.warnings);
	json_decref(o.warnings);
	json_object_set_new(o.all, "attention", o.errors);
	if (done == 0)
		api_reply(c, 200, "overview", json_incref(o.all));
	json_decref(o.all);
	return done;
}

/* ---- days ---- */

/* What looks after the server itself would drown the rest. */
static bool is_of_people(const char *kind)
{
	static const char *const kinds[] = {"protect", "restore", "verify", "copy", "delete"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i], kind) == 0)
			return true;
	return false;
}

static json_t *empty_days(int64_t first, long days)
{
	json_t *array = json_array();
	char text[CLOCK_TEXT];

	for (int64_t day = first; day < first + days; day++) {
		clock_rfc3339((uint64_t)(day * DAY_US), text);
		text[10] = 0;
		json_array_append_new(array, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}",
						       "date", text, "succeeded", 0, "failed", 0,
						       "cancelled", 0, "logical_bytes", 0,
						       "read_bytes", 0, "stored_bytes", 0));
	}
	return array;
}

static int add_operations(struct api_call *c, int64_t first, json_t *days, struct err *e)
{
	json_t *counts, *v;
	size_t i;

	if (flow_ended_days(c->t, c->project, (uint64_t)(first * DAY_US), &counts, e) < 0)
		return -1;
	json_array_foreach(counts, i, v)
	{
		json_int_t day = json_integer_value(json_object_get(v, "day"));

		if (is_of_people(json_string_value(json_object_get(v, "kind"))))
			count(json_array_get(days, (size_t)(day - first)),
			      json_string_value(json_object_get(v, "state")),
			      json_integer_value(json_object_get(v, "n")));
	}
	json_decref(counts);
	return 0;
}

static int add_bytes(struct api_call *c, int64_t first, json_t *days, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e,
		     "SELECT day, CAST(sum(logical_bytes) AS BIGINT), CAST(sum(read_bytes) AS "
		     "BIGINT), CAST(sum(stored_bytes) AS BIGINT) FROM usage_days WHERE project_id "
		     "= $1 AND day >= $2 GROUP BY day",
		     db_t(c->project), db_i(first));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		json_t *day = json_array_get(days, (size_t)(db_int(r, 0) - first));

		if (!day)
			continue;
		count(day, "logical_bytes", db_int(r, 1));
		count(day, "read_bytes", db_int(r, 2));
		count(day, "stored_bytes", db_int(r, 3));
	}
	return have;
}

static int history(struct api_call *c, struct err *e)
{
	static const char *const names[] = {"days", NULL};
	long days = 30;
	int64_t first;
	json_t *array;

	if (api_query_only(c, names, e) < 0 || api_query_number(c, "days", 366, &days, e) < 0)
		return -1;
	first = (int64_t)clock_wall_us() / DAY_US - days + 1;
	array = empty_days(first, days);
	if (add_operations(c, first, array, e) < 0 || add_bytes(c, first, array, e) < 0) {
		json_decref(array);
		return -1;
	}
	api_reply(c, 200, "history", array);
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/overview", "coverage:get", overview, 0},
	{"GET", "/v1/{project_id}/overview/history", "coverage:get", history, 0},
};
const struct api_resource api_overview = {routes, ARRAY_LEN(routes)};
