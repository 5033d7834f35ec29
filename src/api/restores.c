/* SPDX-License-Identifier: Apache-2.0 */
/* /restores and /verifications, which look alike. */
#include "api/api_priv.h"
#include "core/restore.h"

#define COLUMNS                                                                                    \
	{"id", "id", COLUMN_TEXT, true}, {"project_id", "project_id", COLUMN_TEXT, false},         \
		{"provider_id", "provider_id", COLUMN_TEXT, false},                                \
		{"checkpoint_id", "checkpoint_id", COLUMN_TEXT, false},                            \
		{"parameters", "parameters", COLUMN_JSON, false},                                  \
		{"status", "status", COLUMN_TEXT, true}, {"reason", "reason", COLUMN_TEXT, false}, \
		{"resources_status", "resources_status", COLUMN_JSON, false},                      \
		{"resources_reason", "resources_reason", COLUMN_JSON, false},                      \
		{"created_by", "created_by", COLUMN_TEXT, false},                                  \
		{"created_at", "created_at", COLUMN_TIME, true},                                   \
	{                                                                                          \
		"ended_at", "ended_at", COLUMN_TIME, false                                         \
	}

static const struct column restore_columns[] = {
	COLUMNS,
	{"restore_target", "restore_target", COLUMN_TEXT, false},
};
static const struct column verification_columns[] = {COLUMNS};
static const struct filter filters[] = {
	{"status", "status", FILTER_IS},
	{"checkpoint_id", "checkpoint_id", FILTER_IS},
	{"provider_id", "provider_id", FILTER_IS},
};
static const struct table restores = {.sql = "restores",
				      .item = "restore",
				      .items = "restores",
				      TABLE_OF(restore_columns, filters)};
static const struct table verifications = {.sql = "verifications",
					   .item = "verification",
					   .items = "verifications",
					   TABLE_OF(verification_columns, filters)};

/* What both take; ids are put into the two texts. */
static void take(struct input *in, struct restore_new *n, char provider[UUID_TEXT],
		 char checkpoint[UUID_TEXT])
{
	provider[0] = checkpoint[0] = 0;
	input_uuid(in, "provider_id", REQUIRED, provider);
	input_uuid(in, "checkpoint_id", REQUIRED, checkpoint);
	n->provider = provider;
	n->checkpoint = checkpoint;
	n->parameters = input_json(in, "parameters", OPTIONAL, JSON_OBJECT, 2000);
}

static int answer(struct api_call *c, const struct table *t, const char *id, const char *operation,
		  struct err *e)
{
	if (api_show(c, t, id, e) < 0)
		return -1;
	json_object_set_new(json_object_get(c->reply, t->item), "operation_id",
			    json_string(operation));
	c->status = 202;
	return 0;
}

/* A directory is of the mover's host, and what is restored is written there with the mover's
 * rights. */
static void check_rights(struct api_call *c, struct input *in, const json_t *parameters)
{
	const char *key;
	json_t *options;

	json_object_foreach((json_t *)parameters, key, options)
	{
		if (!c->who->admin && json_object_get(options, "directory"))
			input_wrong(in, "parameters",
				    "Only an administrator can choose a directory: name a pool, or "
				    "leave both out.");
	}
}

/*
 * restore_auth was for the cloud that restore_target named; with us a target is a platform, which
 * has its own access. So that is refused, and never quietly left out.
 */
static int create_restore(struct api_call *c, struct err *e)
{
	char provider[UUID_TEXT], checkpoint[UUID_TEXT], platform[UUID_TEXT];
	char id[UUID_TEXT], operation[UUID_TEXT], actor[300];
	struct restore_new n = {.project = c->project};
	struct input in;

	api_input(c, "restore", &in);
	take(&in, &n, provider, checkpoint);
	if (input_uuid(&in, "restore_target", OPTIONAL, platform))
		n.target = platform;
	check_rights(c, &in, n.parameters);
	if (input_json(&in, "restore_auth", OPTIONAL, JSON_OBJECT, 8))
		input_wrong(&in, "restore_auth",
			    "A platform has its own access: name it in restore_target.");
	n.created_by = api_actor(c, actor, sizeof(actor));
	if (input_done(&in, e) < 0)
		return -1;
	if (n.target && api_sees_platform(c, n.target, e) < 0)
		return -1;
	if (restore_start(c->core, c->t, &n, id, operation, e) < 0)
		return -1;
	return answer(c, &restores, id, operation, e);
}

static int create_verification(struct api_call *c, struct err *e)
{
	char provider[UUID_TEXT], checkpoint[UUID_TEXT];
	char id[UUID_TEXT], operation[UUID_TEXT], actor[300];
	struct restore_new n = {.project = c->project};
	struct input in;

	api_input(c, "verification", &in);
	take(&in, &n, provider, checkpoint);
	n.created_by = api_actor(c, actor, sizeof(actor));
	if (input_done(&in, e) < 0 || verification_start(c->core, c->t, &n, id, operation, e) < 0)
		return -1;
	return answer(c, &verifications, id, operation, e);
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/restores", "restore:get_all", api_list_rows, 0, &restores},
	{"POST", "/v1/{project_id}/restores", "restore:create", create_restore, API_WRITES},
	{"GET", "/v1/{project_id}/restores/{restore_id}", "restore:get", api_show_row, 0,
	 &restores},
	{"GET", "/v1/{project_id}/verifications", "verification:get_all", api_list_rows, 0,
	 &verifications},
	{"POST", "/v1/{project_id}/verifications", "verification:create", create_verification,
	 API_WRITES},
	{"GET", "/v1/{project_id}/verifications/{verification_id}", "verification:get",
	 api_show_row, 0, &verifications},
};
const struct api_resource api_restores = {routes, ARRAY_LEN(routes)};
