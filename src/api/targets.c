/* SPDX-License-Identifier: Apache-2.0 */
/* /targets: where recovery points are stored. */
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/storage.h"
#include "core/target_history.h"
#include "core/target_work.h"

#define DAY_US UINT64_C(86400000000)

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"description", "description", COLUMN_TEXT, false},
	{"url", "url", COLUMN_TEXT, false},
	{"options", "options", COLUMN_JSON, false},
	{"mover_id", "mover_id", COLUMN_TEXT, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"status", "status", COLUMN_TEXT, true},
	{"reason", "reason", COLUMN_TEXT, false},
	{"total_bytes", "total_bytes", COLUMN_INT, false},
	{"free_bytes", "free_bytes", COLUMN_INT, false},
	{"stored_bytes", "stored_bytes", COLUMN_INT, false},
	{"checked_at", "checked_at", COLUMN_TIME, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_CONTAINS},
	{"status", "status", FILTER_IS},
};
static const struct table targets = {.sql = "targets",
				     .item = "target",
				     .items = "targets",
				     TABLE_OF(columns, filters),
				     .shared = true};

/* Checks; the object itself is sealed as it is. */
static json_t *take_credentials(struct input *in)
{
	json_t *v = json_object_get(in->object, "credentials");
	struct input k;

	if (!input_object(in, "credentials", OPTIONAL, &k))
		return NULL;
	if (!input_flag(&k, "from_host", false)) {
		input_text(&k, "access_key", REQUIRED, 255);
		input_text(&k, "secret_key", REQUIRED, 255);
		input_text(&k, "session_token", OPTIONAL, 4096);
	}
	input_done(&k, NULL);
	return v;
}

/* What would touch the machine of a mover, or all projects. */
static void check_rights(struct api_call *c, struct input *in, const char *url,
			 const json_t *credentials)
{
	if (c->who->admin)
		return;
	if (json_is_true(json_object_get(in->object, "shared")))
		input_wrong(in, "shared", "Only an administrator can share it with all projects.");
	if (url && target_uses_directory(url))
		input_wrong(in, "url", "Only an administrator can use directories.");
	if (json_is_true(json_object_get(credentials, "from_host")))
		input_wrong(in, "credentials", "Only an administrator can use those of a host.");
}

static int create(struct api_call *c, struct err *e)
{
	struct target_new n = {.project = c->project};
	char id[UUID_TEXT], mover[UUID_TEXT];
	struct input in, options;

	api_input(c, "target", &in);
	n.name = input_name(&in, "name", REQUIRED);
	n.description = input_text(&in, "description", OPTIONAL, 255);
	n.url = input_text(&in, "url", REQUIRED, 1024);
	n.mover = input_uuid(&in, "mover_id", OPTIONAL, mover) ? mover : NULL;
	n.options = json_object_get(in.object, "options");
	if (input_object(&in, "options", OPTIONAL, &options)) {
		input_number(&options, "parity", OPTIONAL, 1, 50, 0);
		input_done(&options, NULL);
	}
	n.credentials = take_credentials(&in);
	if (input_flag(&in, "shared", false))
		n.project = NULL;
	if (!n.description)
		n.description = "";
	check_rights(c, &in, n.url, n.credentials);
	if (input_done(&in, e) < 0 || target_insert(c->core, c->t, &n, id, e) < 0 ||
	    api_show(c, &targets, id, e) < 0)
		return -1;
	c->status = 201;
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	const char *name, *description;
	const json_t *credentials;
	char id[UUID_TEXT];
	struct input in;

	if (api_own(c, &targets, "target_id", id, e) < 0)
		return -1;
	api_input(c, "target", &in);
	name = input_name(&in, "name", OPTIONAL);
	description = input_text(&in, "description", OPTIONAL, 255);
	credentials = take_credentials(&in);
	check_rights(c, &in, NULL, credentials);
	if (input_done(&in, e) < 0 ||
	    db_exec(c->t, NULL, e,
		    "UPDATE targets SET name = coalesce($2, name), description = coalesce($3, "
		    "description), updated_at = $4 WHERE id = $1",
		    db_t(id), db_t(name), db_t(description), db_i(clock_wall_us())) < 0)
		return -1;
	if (credentials && target_set_credentials(c->core, c->t, id, credentials, e) < 0)
		return -1;
	return api_show(c, &targets, id, e);
}

static int delete (struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_own(c, &targets, "target_id", id, e) < 0 ? -1 : target_remove(c->t, id, e);
}

static int check(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], operation[UUID_TEXT], actor[300];

	if (api_own(c, &targets, "target_id", id, e) < 0 ||
	    target_check(c->core, c->t, c->project, id, api_actor(c, actor, sizeof(actor)),
			 operation, e) < 0)
		return -1;
	api_reply(c, 202, "operation_id", json_string(operation));
	return 0;
}

/* One that the caller sees, also one that is shared. */
static int seen(struct api_call *c, char ret_id[UUID_TEXT], struct err *e)
{
	json_t *row;

	if (api_uuid(c, "target_id", ret_id, e) < 0 ||
	    table_get(c->t, &targets, api_visible(c), ret_id, &row, e) < 0)
		return -1;
	json_decref(row);
	return 0;
}

/* ---- work on what is stored in it ---- */

static void take_number(struct input *in, const char *name, int64_t max, json_t *o, const char *as)
{
	int64_t n = input_number(in, name, OPTIONAL, 1, max, 0);

	if (n)
		json_object_set_new(o, as, json_integer(n));
}

static void take_verify(struct input *in, json_t *o)
{
	static const char *const depths[] = {"stored", "structure", "content", NULL};
	static const char *const bounds[] = {"max_age_s", "for_s", "limit_bytes"};
	int depth = input_has(in, "depth") ? input_word(in, "depth", OPTIONAL, depths) : 0;

	take_number(in, "max_age_s", INT32_MAX, o, "max_age_s");
	take_number(in, "for_s", INT32_MAX, o, "seconds");
	take_number(in, "limit_bytes", INT64_MAX, o, "bytes");
	take_number(in, "bytes_per_s", INT64_MAX, o, "bytes_per_s");
	for (size_t i = 0; depth > 0 && i < ARRAY_LEN(bounds); i++)
		if (input_has(in, bounds[i]))
			input_wrong(in, bounds[i], "Only the depth 'stored' has bounds.");
	if (depth >= 0)
		json_object_set_new(o, "depth", json_string(depths[depth]));
}

static void take_collect(struct input *in, json_t *o)
{
	if (input_flag(in, "dry_run", false))
		json_object_set_new(o, "dry_run", json_true());
	take_number(in, "waste", 100, o, "waste");
}

static int work(struct api_call *c, const char *item, void (*take)(struct input *in, json_t *o),
		int (*start)(struct core *c, struct db_tx *t, const struct target_work *w,
			     char ret_operation[UUID_TEXT], struct err *e),
		struct err *e)
{
	struct target_work w = {.project = c->project, .options = json_object()};
	char id[UUID_TEXT], operation[UUID_TEXT], actor[300];
	struct input in;
	int done;

	api_input(c, item, &in);
	take(&in, w.options);
	w.all_projects = input_flag(&in, "all_projects", false);
	if (w.all_projects && !c->who->admin)
		input_wrong(&in, "all_projects", "Only an administrator can ask for that.");
	w.target = id;
	w.created_by = api_actor(c, actor, sizeof(actor));
	done = input_done(&in, e) < 0 || seen(c, id, e) < 0 ||
			       start(c->core, c->t, &w, operation, e) < 0
		       ? -1
		       : 0;
	json_decref(w.options);
	if (done == 0)
		api_reply(c, 202, "operation_id", json_string(operation));
	return done;
}

static int verify(struct api_call *c, struct err *e)
{
	return work(c, "verify", take_verify, target_verify, e);
}

static int collect(struct api_call *c, struct err *e)
{
	return work(c, "collect", take_collect, target_collect, e);
}

static int history(struct api_call *c, struct err *e)
{
	static const char *const names[] = {"days", NULL};
	char id[UUID_TEXT];
	json_t *samples;
	long days = 90;

	if (seen(c, id, e) < 0 || api_query_only(c, names, e) < 0 ||
	    api_query_number(c, "days", 731, &days, e) < 0)
		return -1;
	if (target_history_list(c->t, id, clock_wall_us() - (uint64_t)days * DAY_US, &samples, e) <
	    0)
		return -1;
	api_reply(c, 200, "history", samples);
	return 0;
}

#define ONE "/v1/{project_id}/targets/{target_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/targets", "target:get", api_list_rows, 0, &targets},
	{"POST", "/v1/{project_id}/targets", "target:create", create, API_WRITES},
	{"GET", ONE, "target:get", api_show_row, 0, &targets},
	{"PUT", ONE, "target:update", update, API_WRITES},
	{"DELETE", ONE, "target:delete", delete, API_WRITES},
	{"POST", ONE "/check", "target:test", check, API_WRITES},
	{"POST", ONE "/verify", "target:verify", verify, API_WRITES},
	{"POST", ONE "/collect", "target:collect", collect, API_WRITES},
	{"GET", ONE "/history", "target:get", history, 0},
};
const struct api_resource api_targets = {routes, ARRAY_LEN(routes)};
