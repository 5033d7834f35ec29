/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /operations: everything that runs or ran, with its steps, log, and ways to stop or repeat it;
 * /operation_logs: the same as Karbor's clients know it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/retry.h"
#include "flow/flow_query.h"

/* ---- operations ---- */

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"kind", "kind", COLUMN_TEXT, true},
	{"subject", "subject", COLUMN_TEXT, false},
	{"name", "name", COLUMN_TEXT, true},
	{"state", "state", COLUMN_TEXT, true},
	{"reason", "reason", COLUMN_TEXT, false},
	{"priority", "priority", COLUMN_INT, true},
	{"created_by", "created_by", COLUMN_TEXT, false},
	{"cancel_asked", "cancel_asked", COLUMN_FLAG, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"started_at", "started_at", COLUMN_TIME, false},
	{"ended_at", "ended_at", COLUMN_TIME, false},
};
static const struct filter filters[] = {
	{"kind", "kind", FILTER_IS},
	{"state", "state", FILTER_IS},
	{"subject", "subject", FILTER_IS},
	{"created_from", "created_at", FILTER_FROM},
	{"created_until", "created_at", FILTER_BEFORE},
	{"about", "operation_id FROM operation_links WHERE id", FILTER_AMONG},
	{"resource_id",
	 "l.operation_id FROM operation_links l JOIN checkpoint_resources k ON k.checkpoint_id = "
	 "l.id AND l.kind = 'checkpoint' WHERE k.id",
	 FILTER_AMONG},
	{"live", "CASE WHEN ended_at IS NULL THEN 1 ELSE 0 END", FILTER_FLAG},
};
static const struct table operations = {.sql = "operations",
					.item = "operation",
					.items = "operations",
					TABLE_OF(columns, filters)};

int api_operations_live(struct api_call *c, size_t most, json_t **ret_array, struct err *e)
{
	struct list_query q = {.project = c->project, .limit = most};
	struct table live = operations;
	bool more;

	live.where = "ended_at IS NULL";
	return table_list(c->t, &live, &q, ret_array, &more, e);
}

/* flow_query's times are numbers; the API's are texts, as everywhere. */
static void show_times(json_t *o)
{
	static const char *const names[] = {
		"created_at",	   "started_at",    "ended_at",	   "not_before",
		"undo_started_at", "undo_ended_at", "deadline_at", "at"};
	char text[CLOCK_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const json_t *v = json_object_get(o, names[i]);

		if (json_is_integer(v))
			json_object_set_new(
				o, names[i],
				json_string(clock_rfc3339((uint64_t)json_integer_value(v), text)));
	}
}

void api_operation_json(json_t *o)
{
	json_object_set(o, "project_id", json_object_get(o, "project"));
	json_object_del(o, "project");
	show_times(o);
}

static int add_links(struct api_call *c, const char *id, json_t *o, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e, "SELECT kind, id FROM operation_links WHERE operation_id = $1",
		     db_t(id));
	json_t *links = json_object();
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		json_object_set_new(links, db_text(r, 0), json_string(db_text(r, 1)));
	json_object_set_new(o, "about", links);
	return have < 0 ? -1 : 0;
}

/* What a step was given is between server and mover; and what it gave, but for what somebody asked
 * to know. */
static void show_result(json_t *step)
{
	static const char *const asked[] = {"target.verify", "target.collect"};
	json_t *r = json_object_get(step, "result"), *oldest = json_object_get(r, "oldest_us");
	const char *kind = json_string_value(json_object_get(step, "kind"));
	bool shown = false;

	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		shown |= strcmp(kind, asked[i]) == 0;
	json_object_del(step, "input");
	if (!shown || !json_object_size(r)) {
		json_object_del(step, "result");
		return;
	}
	if (oldest)
		json_object_set_new(r, "oldest_at",
				    json_time((uint64_t)json_integer_value(oldest)));
	json_object_del(r, "oldest_us");
	json_object_del(r, "missing");
	json_object_del(r, "damaged_points");
}

static int show_one(struct api_call *c, const char *id, struct err *e)
{
	json_t *o, *step;
	size_t i;

	if (flow_get(c->t, api_visible(c), id, &o, e) < 0)
		return -1;
	api_operation_json(o);
	json_array_foreach(json_object_get(o, "steps"), i, step)
	{
		show_times(step);
		show_result(step);
	}
	api_reply(c, 200, "operation", o);
	return add_links(c, id, o, e);
}

static int show(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_uuid(c, "operation_id", id, e) < 0 ? -1 : show_one(c, id, e);
}

static int cancel(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	if (api_own(c, &operations, "operation_id", id, e) < 0 ||
	    flow_cancel(c->core->flow, c->t, id, e) < 0 || show_one(c, id, e) < 0)
		return -1;
	c->status = 202;
	return 0;
}

static int retry(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	if (api_own(c, &operations, "operation_id", id, e) < 0 ||
	    operation_retry(c->core, c->t, id, e) < 0 || show_one(c, id, e) < 0)
		return -1;
	c->status = 202;
	return 0;
}

#define LOG_PAGE 1000

static int log_lines(struct api_call *c, struct err *e)
{
	const char *after = httpd_query(c->http, "after");
	char id[UUID_TEXT];
	json_t *lines, *v;
	char *end = NULL;
	uint64_t seq = after ? strtoull(after, &end, 10) : 0;
	size_t i;

	if (after && (*end || end == after || *after == '-'))
		return err_set(e, ERR_INVALID, "after '%.40s': it has to be the number of a line",
			       after);
	if (api_own(c, &operations, "operation_id", id, e) < 0 ||
	    flow_log_lines(c->t, id, seq, LOG_PAGE, &lines, e) < 0)
		return -1;
	json_array_foreach(lines, i, v)
	{
		show_times(v);
	}
	api_reply(c, 200, "log", lines);
	return 0;
}

/* ---- operation logs ---- */

#define LINK(kind)                                                                                 \
	"(SELECT l.id FROM operation_links l WHERE l.operation_id = operations.id AND l.kind = "   \
	"'" kind "')"

static const struct column log_columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"operation_type", "kind", COLUMN_TEXT, true},
	{"checkpoint_id", LINK("checkpoint"), COLUMN_TEXT, false},
	{"plan_id", LINK("plan"), COLUMN_TEXT, false},
	{"provider_id", LINK("provider"), COLUMN_TEXT, false},
	{"restore_id", LINK("restore"), COLUMN_TEXT, false},
	{"scheduled_operation_id", LINK("scheduled_operation"), COLUMN_TEXT, false},
	{"status", "state", COLUMN_TEXT, true},
	{"error_info", "reason", COLUMN_TEXT, false},
	{"extra_info", "detail", COLUMN_JSON_TEXT, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"started_at", "started_at", COLUMN_TIME, false},
	{"ended_at", "ended_at", COLUMN_TIME, false},
};
static const struct filter log_filters[] = {
	{"checkpoint_id", LINK("checkpoint"), FILTER_IS},
	{"plan_id", LINK("plan"), FILTER_IS},
	{"restore_id", LINK("restore"), FILTER_IS},
	{"status", "state", FILTER_IS},
	{"operation_type", "kind", FILTER_IS},
};
static const struct table logs = {
	.sql = "operations",
	.item = "operation_log",
	.items = "operation_logs",
	/* PostgreSQL calls columns that are queries after what they select: "id" is several. */
	.id = "operations.id",
	TABLE_OF(log_columns, log_filters),
	.where = "kind IN ('protect', 'restore', 'verify', 'copy', 'delete')"};

#define ONE "/v1/{project_id}/operations/{operation_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/operations", "operation:get", api_list_rows, 0, &operations},
	{"GET", ONE, "operation:get", show, 0},
	{"GET", ONE "/log", "operation:get", log_lines, 0},
	{"POST", ONE "/cancel", "operation:cancel", cancel, API_WRITES},
	{"POST", ONE "/retry", "operation:retry", retry, API_WRITES},
	{"GET", "/v1/{project_id}/operation_logs", "operation_log:list", api_list_rows, 0, &logs},
	{"GET", "/v1/{project_id}/operation_logs/{operation_log_id}", "operation_log:get",
	 api_show_row, 0, &logs},
};
const struct api_resource api_operations = {routes, ARRAY_LEN(routes)};
