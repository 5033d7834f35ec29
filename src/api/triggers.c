/* SPDX-License-Identifier: Apache-2.0 */
/* /triggers, /scheduled_operations: when something is done by itself, and what. */
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/coverage.h"
#include "core/scheduled.h"
#include "core/trigger.h"

/* ---- triggers ---- */

static int create(struct api_call *c, struct err *e)
{
	AUTO(trigger) t = xcalloc(1, sizeof(*t));
	char actor[300], token[TRIGGER_TOKEN];
	const char *name, *type;
	json_t *properties;
	struct input in;

	api_input(c, "trigger_info", &in);
	name = input_name(&in, "name", REQUIRED);
	type = input_text(&in, "type", REQUIRED, 60);
	properties = input_json(&in, "properties", REQUIRED, JSON_OBJECT, 32);
	t->enabled = input_flag(&in, "enabled", true);
	if (input_done(&in, e) < 0)
		return -1;
	memcpy(t->project, c->project, strnlen(c->project, sizeof(t->project) - 1));
	t->name = xstrdup(name);
	t->type = xstrdup(type);
	t->properties = json_incref(properties);
	if (trigger_insert(c->t, c->core->zones, t, api_actor(c, actor, sizeof(actor)),
			   clock_wall_us(), token, e) < 0 ||
	    api_show(c, &trigger_table, t->id, e) < 0)
		return -1;
	if (*token)
		json_object_set_new(json_object_get(c->reply, trigger_table.item), "token",
				    json_string(token));
	c->status = 201;
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	AUTO(trigger) t = NULL;
	json_t *properties;
	const char *name;
	char id[UUID_TEXT];
	struct input in;

	if (api_uuid(c, "trigger_id", id, e) < 0)
		return -1;
	t = trigger_load(c->t, api_visible(c), id, e);
	if (!t)
		return -1;
	api_input(c, "trigger_info", &in);
	name = input_name(&in, "name", OPTIONAL);
	properties = input_json(&in, "properties", OPTIONAL, JSON_OBJECT, 32);
	t->enabled = input_flag(&in, "enabled", t->enabled);
	if (input_done(&in, e) < 0)
		return -1;
	if (name) {
		free(t->name);
		t->name = xstrdup(name);
	}
	/* Karbor's client always sends them, empty where nothing is to change. */
	if (json_object_size(properties) > 0) {
		json_decref(t->properties);
		t->properties = json_incref(properties);
	}
	if (trigger_store(c->t, c->core->zones, t, clock_wall_us(), e) < 0 ||
	    coverage_trigger(c->t, c->core->zones, id, e) < 0)
		return -1;
	return api_show(c, &trigger_table, id, e);
}

static int delete (struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_uuid(c, "trigger_id", id, e) < 0 ? -1
						    : trigger_remove(c->t, api_visible(c), id, e);
}

static int firings(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];
	const struct list_filter of = {.name = "trigger_id", .value = id};

	return api_own(c, &trigger_table, "trigger_id", id, e) < 0
		       ? -1
		       : api_list(c, &firing_table, &of, 1, e);
}

static int new_token(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], token[TRIGGER_TOKEN];

	if (api_uuid(c, "trigger_id", id, e) < 0 ||
	    trigger_new_token(c->t, api_visible(c), id, token, e) < 0)
		return -1;
	httpd_set_header(c->http, "Cache-Control", "no-store");
	api_reply(c, 200, "token", json_string(token));
	return 0;
}

/* The token is all that a caller needs; an event with an id counts once. */
static int call_hook(struct api_call *c, struct err *e)
{
	const char *token = httpd_header(c->http, "X-Holdfast-Token"), *event = NULL;
	char id[UUID_TEXT];
	struct input in;
	bool is_new;

	if (!token)
		token = httpd_query(c->http, "token");
	if (json_object_get(c->body, "event")) {
		api_input(c, "event", &in);
		event = input_text(&in, "id", OPTIONAL, 255);
		if (input_done(&in, e) < 0)
			return -1;
	}
	if (api_uuid(c, "trigger_id", id, e) < 0)
		return -1;
	if (trigger_call(c->t, id, token ? token : "", event, clock_wall_us(), &is_new, e) < 0) {
		c->status = e->kind == ERR_DENIED ? 401 : 0;
		return -1;
	}
	api_reply(c, 202, "new", json_boolean(is_new));
	return 0;
}

/* ---- scheduled operations ---- */

#define PAIRS_MAX 4096

/* `openstack data protection scheduledoperation create` sends what was typed: "name=value,…". */
static void read_pairs(json_t *operation)
{
	const char *text = json_string_value(json_object_get(operation, "operation_definition"));
	AUTO_FREE char *copy = text && strlen(text) < PAIRS_MAX ? xstrdup(text) : NULL;
	json_t *o;
	char *save = NULL;

	if (!copy || !strchr(copy, '='))
		return;
	o = json_object();
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *equals = strchr(p, '=');

		if (equals)
			*equals++ = 0;
		json_object_set_new(o, p, json_string(equals ? equals : ""));
	}
	json_object_set_new(operation, "operation_definition", o);
}

static int create_scheduled(struct api_call *c, struct err *e)
{
	AUTO(scheduled_operation) s = xcalloc(1, sizeof(*s));
	const char *name, *description, *type;
	json_t *definition;
	char actor[300];
	struct input in;

	read_pairs(json_object_get(c->body, "scheduled_operation"));
	api_input(c, "scheduled_operation", &in);
	name = input_name(&in, "name", REQUIRED);
	description = input_text(&in, "description", OPTIONAL, 255);
	type = input_text(&in, "operation_type", REQUIRED, 60);
	input_uuid(&in, "trigger_id", REQUIRED, s->trigger);
	definition = input_json(&in, "operation_definition", REQUIRED, JSON_OBJECT, 32);
	s->enabled = input_flag(&in, "enabled", true);
	if (input_done(&in, e) < 0)
		return -1;
	memcpy(s->project, c->project, strnlen(c->project, sizeof(s->project) - 1));
	s->name = xstrdup(name);
	s->description = xstrdup0(description);
	s->operation_type = xstrdup(type);
	s->definition = json_incref(definition);
	s->created_by = xstrdup(api_actor(c, actor, sizeof(actor)));
	if (scheduled_insert(c->t, s, clock_wall_us(), e) < 0 ||
	    coverage_points(c->t, c->core->zones, s->plan, e) < 0 ||
	    api_show(c, &scheduled_table, s->id, e) < 0)
		return -1;
	c->status = 201;
	return 0;
}

static int update_scheduled(struct api_call *c, struct err *e)
{
	AUTO(scheduled_operation) s = NULL;
	char id[UUID_TEXT];
	struct input in;
	bool enabled;

	if (api_own(c, &scheduled_table, "scheduled_operation_id", id, e) < 0)
		return -1;
	api_input(c, "scheduled_operation", &in);
	if (!input_has(&in, "enabled"))
		input_wrong(&in, "enabled", "It is what can be changed, and required.");
	enabled = input_flag(&in, "enabled", true);
	if (input_done(&in, e) < 0 ||
	    scheduled_set_enabled(c->t, NULL, id, enabled, clock_wall_us(), e) < 0)
		return -1;
	s = scheduled_load(c->t, NULL, id, e);
	if (!s || coverage_points(c->t, c->core->zones, s->plan, e) < 0)
		return -1;
	return api_show(c, &scheduled_table, id, e);
}

static int delete_scheduled(struct api_call *c, struct err *e)
{
	AUTO(scheduled_operation) s = NULL;
	char id[UUID_TEXT];

	if (api_uuid(c, "scheduled_operation_id", id, e) < 0)
		return -1;
	s = scheduled_load(c->t, api_visible(c), id, e);
	if (!s || scheduled_remove(c->t, NULL, id, e) < 0)
		return -1;
	return coverage_points(c->t, c->core->zones, s->plan, e);
}

#define ONE "/v1/{project_id}/triggers/{trigger_id}"
#define SCHEDULED "/v1/{project_id}/scheduled_operations/{scheduled_operation_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/triggers", "trigger:list", api_list_rows, 0, &trigger_table},
	{"POST", "/v1/{project_id}/triggers", "trigger:create", create, API_WRITES},
	{"GET", ONE, "trigger:get", api_show_row, 0, &trigger_table},
	{"PUT", ONE, "trigger:update", update, API_WRITES},
	{"DELETE", ONE, "trigger:delete", delete, API_WRITES},
	{"GET", ONE "/firings", "trigger:get", firings, 0},
	{"POST", ONE "/token", "trigger:update", new_token, API_WRITES},
	{"POST", "/v1/hooks/{trigger_id}", NULL, call_hook, API_WRITES | API_OPEN},
	{"GET", "/v1/{project_id}/scheduled_operations", "scheduled_operation:list", api_list_rows,
	 0, &scheduled_table},
	{"POST", "/v1/{project_id}/scheduled_operations", "scheduled_operation:create",
	 create_scheduled, API_WRITES},
	{"GET", SCHEDULED, "scheduled_operation:get", api_show_row, 0, &scheduled_table},
	{"PUT", SCHEDULED, "scheduled_operation:update", update_scheduled, API_WRITES},
	{"DELETE", SCHEDULED, "scheduled_operation:delete", delete_scheduled, API_WRITES},
};
const struct api_resource api_triggers = {routes, ARRAY_LEN(routes)};
