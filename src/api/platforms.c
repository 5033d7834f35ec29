/* SPDX-License-Identifier: Apache-2.0 */
/* /platforms: hosts and clouds, and what was found on them. */
#include "api/api_priv.h"
#include "base/clock.h"
#include "core/platform.h"

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"description", "description", COLUMN_TEXT, false},
	{"kind", "kind", COLUMN_TEXT, true},
	{"uri", "uri", COLUMN_TEXT, false},
	{"mover_id", "mover_id", COLUMN_TEXT, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"status", "status", COLUMN_TEXT, true},
	{"reason", "reason", COLUMN_TEXT, false},
	{"resources",
	 "(SELECT count(*) FROM resources r WHERE r.platform_id = platforms.id AND r.gone_at IS "
	 "NULL)",
	 COLUMN_INT, false},
	{"offers", "offers", COLUMN_JSON, false},
	{"checked_at", "checked_at", COLUMN_TIME, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_CONTAINS},
	{"kind", "kind", FILTER_IS},
	{"status", "status", FILTER_IS},
};
static const struct table platforms = {
	.sql = "platforms", .item = "platform", .items = "platforms", TABLE_OF(columns, filters)};

/* libvirt runs commands that stand in a URI, on the mover's host. */
static void check_rights(struct api_call *c, struct input *in, const char *uri)
{
	if (uri && !c->who->admin)
		input_wrong(in, "uri",
			    "Only an administrator says which platform a mover talks to.");
}

int api_sees_platform(struct api_call *c, const char *id, struct err *e)
{
	json_t *v;

	if (table_get(c->t, &platforms, api_visible(c), id, &v, e) < 0)
		return -1;
	json_decref(v);
	return 0;
}

static int create(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], mover[UUID_TEXT], operation[UUID_TEXT], actor[300];
	struct platform_new n = {.project = c->project};
	struct input in;

	api_input(c, "platform", &in);
	n.name = input_name(&in, "name", REQUIRED);
	n.description = input_text(&in, "description", OPTIONAL, 255);
	n.kind = input_text(&in, "kind", REQUIRED, 60);
	n.uri = input_text(&in, "uri", REQUIRED, 1024);
	n.mover = input_uuid(&in, "mover_id", OPTIONAL, mover) ? mover : NULL;
	if (input_flag(&in, "shared", false))
		n.project = NULL;
	check_rights(c, &in, n.uri);
	if (!n.description)
		n.description = "";
	if (input_done(&in, e) < 0 || platform_insert(c->t, &n, id, e) < 0 ||
	    platform_discover(c->core, c->t, id, api_actor(c, actor, sizeof(actor)), operation, e) <
		    0 ||
	    api_show(c, &platforms, id, e) < 0)
		return -1;
	json_object_set_new(json_object_get(c->reply, "platform"), "operation_id",
			    json_string(operation));
	c->status = 201;
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	const char *name, *description, *uri;
	char id[UUID_TEXT];
	struct input in;

	if (api_own(c, &platforms, "platform_id", id, e) < 0)
		return -1;
	api_input(c, "platform", &in);
	name = input_name(&in, "name", OPTIONAL);
	description = input_text(&in, "description", OPTIONAL, 255);
	uri = input_text(&in, "uri", OPTIONAL, 1024);
	check_rights(c, &in, uri);
	if (input_done(&in, e) < 0 ||
	    db_exec(c->t, NULL, e,
		    "UPDATE platforms SET name = coalesce($2, name), description = coalesce($3, "
		    "description), uri = coalesce($4, uri), updated_at = $5 WHERE id = $1",
		    db_t(id), db_t(name), db_t(description), db_t(uri), db_i(clock_wall_us())) < 0)
		return -1;
	return api_show(c, &platforms, id, e);
}

static int delete (struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_own(c, &platforms, "platform_id", id, e) < 0
		       ? -1
		       : platform_remove(c->core, c->t, id, e);
}

static int discover(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], operation[UUID_TEXT], actor[300];

	if (api_own(c, &platforms, "platform_id", id, e) < 0 ||
	    platform_discover(c->core, c->t, id, api_actor(c, actor, sizeof(actor)), operation, e) <
		    0)
		return -1;
	api_reply(c, 202, "operation_id", json_string(operation));
	return 0;
}

static int assign(struct api_call *c, struct err *e)
{
	const char *type, *resource, *project;
	char id[UUID_TEXT];
	struct input in;

	if (api_own(c, &platforms, "platform_id", id, e) < 0)
		return -1;
	api_input(c, "assign", &in);
	type = input_text(&in, "type", REQUIRED, 255);
	resource = input_text(&in, "id", REQUIRED, 255);
	project = input_text(&in, "project_id", OPTIONAL, 64);
	if (!c->who->admin)
		input_wrong(&in, "project_id",
			    "Only an administrator gives resources to projects.");
	if (input_done(&in, e) < 0)
		return -1;
	return resource_assign(c->core, c->t, id, type, resource, project ? project : "", e);
}

#define ONE "/v1/{project_id}/platforms/{platform_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/platforms", "platform:get", api_list_rows, 0, &platforms},
	{"POST", "/v1/{project_id}/platforms", "platform:create", create, API_WRITES},
	{"GET", ONE, "platform:get", api_show_row, 0, &platforms},
	{"PUT", ONE, "platform:update", update, API_WRITES},
	{"DELETE", ONE, "platform:delete", delete, API_WRITES},
	{"POST", ONE "/discover", "platform:test", discover, API_WRITES},
	{"POST", ONE "/assign", "platform:update", assign, API_WRITES},
};
const struct api_resource api_platforms = {routes, ARRAY_LEN(routes)};
