/* SPDX-License-Identifier: Apache-2.0 */
/* /providers/{provider_id}/checkpoints, and /checkpoints: those of all providers */
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/checkpoint.h"
#include "core/copy.h"
#include "core/plan.h"

/* As Karbor shows it: `resource_graph` and `extra_info` are texts of JSON, `created_at` is a day.
 */
static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"provider_id", "provider_id", COLUMN_TEXT, false},
	{"status", "status", COLUMN_TEXT, true},
	{"reason", "reason", COLUMN_TEXT, false},
	{"protection_plan", "plan", COLUMN_JSON, false},
	{"plan_id", "plan_id", COLUMN_TEXT, false},
	{"extra_info", "extra_info", COLUMN_JSON_TEXT, false},
	{"created_at", "created_at", COLUMN_DATE, true},
	{"started_at", "created_at", COLUMN_TIME, false},
	{"ended_at", "ended_at", COLUMN_TIME, false},
	{"instant_at", "instant_at", COLUMN_TIME, false},
	{"made_by", "made_by", COLUMN_TEXT, false},
	{"copy_of", "copy_of", COLUMN_TEXT, false},
	{"hold", "hold", COLUMN_FLAG, false},
	{"hold_reason", "hold_reason", COLUMN_TEXT, false},
	{"verified_at", "verified_at", COLUMN_TIME, false},
	{"verified_ok", "verified_ok", COLUMN_FLAG, false},
	{"bytes_total", "bytes_total", COLUMN_INT, true},
	{"bytes_read", "bytes_read", COLUMN_INT, true},
	{"bytes_new", "bytes_new", COLUMN_INT, true},
	{"bytes_stored", "bytes_stored", COLUMN_INT, true},
};
static const struct filter filters[] = {
	{"plan_id", "plan_id", FILTER_IS},
	{"status", "status", FILTER_IS},
	{"start_date", "created_at", FILTER_FROM},
	{"end_date", "created_at", FILTER_BEFORE},
	{"provider_id", "provider_id", FILTER_IS},
	{"made_by", "made_by", FILTER_IS},
	{"copy_of", "copy_of", FILTER_IS},
	{"hold", "hold", FILTER_FLAG},
	{"resource_id", "checkpoint_id FROM checkpoint_resources WHERE id", FILTER_AMONG},
};
#define CHECKPOINT                                                                                 \
	.sql = "checkpoints", .item = "checkpoint", .items = "checkpoints", .columns = columns,    \
	.n_columns = ARRAY_LEN(columns), .filters = filters, .n_filters = ARRAY_LEN(filters)
static const struct table all = {CHECKPOINT};
/* What was deleted can still be asked for by its id. */
static const struct table alive = {CHECKPOINT, .where = "status <> 'deleted'"};

static json_t *number_or_null(const struct db_rows *r, int column)
{
	return db_text_or_null(r, column) ? json_integer((json_int_t)db_int(r, column))
					  : json_null();
}

/* What became of the resources of a checkpoint, or of one (`only`); the caller's. */
static json_t *resources_of(struct api_call *c, const char *id, const char *only, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e,
		     "SELECT k.type, k.id, k.name, k.status, k.reason, k.consistency, "
		     "k.bytes_total, k.bytes_read, k.bytes_new, k.bytes_stored, k.extra_info, "
		     "k.platform_id, k.point_id, r.url, k.consistency_reason, k.frozen_us FROM "
		     "checkpoint_resources k LEFT JOIN "
		     "repositories r ON r.id = k.repository_id WHERE k.checkpoint_id = $1 AND ($2 "
		     "= '' OR k.id = $2) ORDER BY k.type, k.name, k.id",
		     db_t(id), db_t(only ? only : ""));
	json_t *resources = json_array();
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(
			resources,
			json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:I, s:I, s:I, s:I, s:o, s:s, "
				  "s:s?, s:s, s:s?, s:o}",
				  "type", db_text(r, 0), "id", db_text(r, 1), "name", db_text(r, 2),
				  "status", db_text(r, 3), "reason", db_text_or_null(r, 4),
				  "consistency", db_text_or_null(r, 5), "bytes_total",
				  (json_int_t)db_int(r, 6), "bytes_read", (json_int_t)db_int(r, 7),
				  "bytes_new", (json_int_t)db_int(r, 8), "bytes_stored",
				  (json_int_t)db_int(r, 9), "extra_info",
				  json_of(db_text(r, 10), "{}"), "platform_id", db_text(r, 11),
				  "point_id", db_text_or_null(r, 12), "repository", db_text(r, 13),
				  "consistency_reason", db_text_or_null(r, 14), "frozen_us",
				  number_or_null(r, 15)));
	if (have == 0)
		return resources;
	json_decref(resources);
	return NULL;
}

/* A moment that some of its resources are of: the row that `r` is at is the first of its point. The
 * row after is the next. */
static int add_instant(struct db_rows *r, json_t *instants, struct err *e)
{
	AUTO_FREE char *point = xstrdup(db_text(r, 0));
	AUTO_FREE char *platform = xstrdup(db_text(r, 1));
	char at[CLOCK_TEXT];
	int64_t window_us = db_int(r, 3);
	json_t *ids = json_array();
	bool frozen = true;
	int have = 1;

	clock_rfc3339((uint64_t)db_int(r, 2), at);
	while (have > 0 && strcmp(db_text(r, 0), point) == 0) {
		frozen = frozen && (strcmp(db_text(r, 5), "quiesced") == 0 ||
				    strcmp(db_text(r, 5), "shut-off") == 0);
		json_array_append_new(ids, json_string(db_text(r, 4)));
		have = db_next(r, e);
	}
	json_array_append_new(instants,
			      json_pack("{s:s, s:s, s:s, s:I, s:b, s:o}", "point_id", point,
					"platform_id", platform, "at", at, "window_us",
					(json_int_t)window_us, "frozen", frozen, "resources", ids));
	return have;
}

static int add_instants(struct api_call *c, const char *id, json_t *v, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e,
		     "SELECT point_id, platform_id, instant_at, coalesce(window_us, 0), id, "
		     "coalesce(consistency, '') FROM checkpoint_resources WHERE checkpoint_id = $1 "
		     "AND point_id IS NOT NULL ORDER BY instant_at, point_id, name, id",
		     db_t(id));
	json_t *instants = json_array();
	int have = r ? db_next(r, e) : -1;

	while (have > 0)
		have = add_instant(r, instants, e);
	json_object_set_new(v, "instants", instants);
	return have;
}

/* With the graph that Karbor's clients read. */
static int add_resources(struct api_call *c, const char *id, json_t *v, struct err *e)
{
	json_t *resources = resources_of(c, id, NULL, e);
	AUTO_FREE char *graph = NULL;

	if (!resources)
		return -1;
	graph = json_array_size(resources) ? checkpoint_graph(resources) : NULL;
	/* One that has none yet has an empty one: OpenStack's client reads it in any case. */
	json_object_set_new(v, "resource_graph", json_string(graph ? graph : "[{}, []]"));
	json_object_set_new(v, "resources", resources);
	return add_instants(c, id, v, e);
}

/*
 * The graph of each would be a query for each; it is there in the checkpoint itself. Who asks for
 * the checkpoints of one resource gets what became of that.
 */
static int finish_list(struct api_call *c, struct err *e)
{
	const char *only = httpd_query(c->http, "resource_id");
	json_t *v, *resources;
	size_t i;

	json_array_foreach(json_object_get(c->reply, "checkpoints"), i, v)
	{
		json_object_set_new(v, "resource_graph", json_null());
		if (!only)
			continue;
		resources = resources_of(c, json_text_in(v, "id"), only, e);
		if (!resources)
			return -1;
		json_object_set_new(v, "resources", resources);
	}
	return 0;
}

static int list(struct api_call *c, struct err *e)
{
	char provider[UUID_TEXT];
	const struct list_filter of = {.name = "provider_id", .value = provider};

	if (api_uuid(c, "provider_id", provider, e) < 0 || api_list(c, &alive, &of, 1, e) < 0)
		return -1;
	return finish_list(c, e);
}

static int list_all(struct api_call *c, struct err *e)
{
	return api_list(c, &alive, NULL, 0, e) < 0 ? -1 : finish_list(c, e);
}

static int add_operation(struct api_call *c, const char *id, json_t *v, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e,
		     "SELECT l.operation_id FROM operation_links l JOIN operations o ON o.id = "
		     "l.operation_id WHERE l.id = $1 AND l.kind = 'checkpoint' ORDER BY "
		     "o.created_at DESC, o.id LIMIT 1",
		     db_t(id));
	int have = r ? db_next(r, e) : -1;

	json_object_set_new(v, "operation_id", have > 0 ? json_string(db_text(r, 0)) : json_null());
	return have < 0 ? -1 : 0;
}

/* The checkpoint of the path, which has to be of the provider of the path. */
static struct checkpoint *named(struct api_call *c, struct err *e)
{
	AUTO(checkpoint) k = NULL;
	char provider[UUID_TEXT], id[UUID_TEXT];

	if (api_uuid(c, "provider_id", provider, e) < 0 || api_uuid(c, "checkpoint_id", id, e) < 0)
		return NULL;
	k = checkpoint_load(c->t, api_visible(c), id, e);
	if (k && strcmp(k->provider, provider) != 0) {
		err_set(e, ERR_NOENT, "There is no checkpoint '%s' of provider '%s'.", id,
			provider);
		return NULL;
	}
	return steal(&k);
}

static int show_one(struct api_call *c, const char *id, struct err *e)
{
	json_t *v;

	if (api_show(c, &all, id, e) < 0)
		return -1;
	v = json_object_get(c->reply, "checkpoint");
	return add_resources(c, id, v, e) < 0 ? -1 : add_operation(c, id, v, e);
}

static int show(struct api_call *c, struct err *e)
{
	AUTO(checkpoint) k = named(c, e);

	return k ? show_one(c, k->id, e) : -1;
}

static int create(struct api_call *c, struct err *e)
{
	char provider[UUID_TEXT], plan[UUID_TEXT] = "", id[UUID_TEXT], operation[UUID_TEXT];
	struct protect_new n = {
		.plan = plan, .project = c->project, .provider = provider, .made_by = "manual"};
	char actor[300];
	json_t *old_name;
	struct input in;

	if (api_uuid(c, "provider_id", provider, e) < 0)
		return -1;
	api_input(c, "checkpoint", &in);
	input_uuid(&in, "plan_id", REQUIRED, plan);
	/* Karbor's client writes it with a hyphen, its documents with an underscore. */
	n.extra_info = input_metadata(&in, "extra_info");
	old_name = input_metadata(&in, "extra-info");
	if (!n.extra_info)
		n.extra_info = old_name;
	n.created_by = api_actor(c, actor, sizeof(actor));
	if (input_done(&in, e) < 0 || checkpoint_protect(c->core, c->t, &n, id, operation, e) < 0 ||
	    show_one(c, id, e) < 0)
		return -1;
	c->status = 202;
	return 0;
}

static int delete (struct api_call *c, struct err *e)
{
	AUTO(checkpoint) k = named(c, e);
	char operation[UUID_TEXT], actor[300];

	if (!k || checkpoint_delete(c->core, c->t, NULL, k->id, api_actor(c, actor, sizeof(actor)),
				    operation, e) < 0)
		return -1;
	c->status = 202;
	c->reply = json_object();
	if (*operation)
		json_object_set_new(c->reply, "operation_id", json_string(operation));
	return 0;
}

static int reset(struct api_call *c, const struct checkpoint *k, struct err *e)
{
	static const char *const states[] = {"available", "error", NULL};
	struct input in;
	int state;

	api_input(c, "os-resetState", &in);
	state = input_word(&in, "state", REQUIRED, states);
	if (input_done(&in, e) < 0 || checkpoint_reset(c->core, c->t, k->id, states[state], e) < 0)
		return -1;
	c->reply = json_object();
	return 0;
}

static int hold(struct api_call *c, const struct checkpoint *k, struct err *e)
{
	const char *reason;
	struct input in;
	bool on;

	api_input(c, "hold", &in);
	on = input_flag(&in, "on", true);
	reason = input_text(&in, "reason", OPTIONAL, 255);
	if (input_done(&in, e) < 0 ||
	    auth_allow(c->core->auth, c->who, "checkpoint:hold", c->project, e) < 0 ||
	    checkpoint_hold(c->t, k->id, on, reason, e) < 0)
		return -1;
	return show_one(c, k->id, e);
}

static int update(struct api_call *c, struct err *e)
{
	AUTO(checkpoint) k = named(c, e);

	if (!k)
		return -1;
	if (json_object_get(c->body, "hold"))
		return hold(c, k, e);
	return reset(c, k, e);
}

/* Karbor: {"copy": {"plan_id", "parameters": {"provider_id": where to, "checkpoint_id": only this
 * one}}} */
static int act(struct api_call *c, struct err *e)
{
	char provider[UUID_TEXT], plan[UUID_TEXT] = "", to[UUID_TEXT] = "", only[UUID_TEXT];
	struct copy_new n = {.project = c->project, .provider = provider, .plan = plan, .to = to};
	struct input in, parameters;
	char actor[300];
	json_t *pairs;

	if (api_uuid(c, "provider_id", provider, e) < 0)
		return -1;
	api_input(c, "copy", &in);
	input_uuid(&in, "plan_id", REQUIRED, plan);
	if (input_object(&in, "parameters", REQUIRED, &parameters)) {
		input_uuid(&parameters, "provider_id", REQUIRED, to);
		if (input_uuid(&parameters, "checkpoint_id", OPTIONAL, only))
			n.checkpoint = only;
		input_done(&parameters, NULL);
	}
	n.created_by = api_actor(c, actor, sizeof(actor));
	if (input_done(&in, e) < 0 || copy_start(c->core, c->t, &n, &pairs, e) < 0)
		return -1;
	api_reply(c, 202, "copy",
		  json_pack("{s:s, s:s, s:s, s:o, s:O}", "project_id", c->project, "provider_id",
			    provider, "plan_id", plan, "checkpoint_id", pairs, "parameters",
			    json_object_get(json_object_get(c->body, "copy"), "parameters")));
	return 0;
}

#define ONE "/v1/{project_id}/providers/{provider_id}/checkpoints/{checkpoint_id}"
#define MANY "/v1/{project_id}/providers/{provider_id}/checkpoints"

static const struct api_route routes[] = {
	{"GET", MANY, "provider:checkpoint_get_all", list, 0},
	{"GET", "/v1/{project_id}/checkpoints", "provider:checkpoint_get_all", list_all, 0},
	{"POST", MANY, "provider:checkpoint_create", create, API_WRITES},
	{"GET", ONE, "provider:checkpoint_get", show, 0},
	{"PUT", ONE, "provider:checkpoint_update", update, API_WRITES},
	{"POST", MANY "/action", "copy:create", act, API_WRITES},
	{"DELETE", ONE, "provider:checkpoint_delete", delete, API_WRITES},
};
const struct api_resource api_checkpoints = {routes, ARRAY_LEN(routes)};
