/* SPDX-License-Identifier: Apache-2.0 */
/* /providers: made by administrators, here and not in files. */
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "base/secret.h"
#include "core/ids.h"
#include "core/plan.h"
#include "core/protectable.h"
#include "core/storage.h"

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"description", "description", COLUMN_TEXT, false},
	{"target_id", "target_id", COLUMN_TEXT, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_IS},
	{"description", "description", FILTER_IS},
	{"target_id", "target_id", FILTER_IS},
};
static const struct table providers = {.sql = "providers",
				       .item = "provider",
				       .items = "providers",
				       TABLE_OF(columns, filters),
				       .shared = true};

static int list(struct api_call *c, struct err *e)
{
	json_t *schemas, *v;
	size_t i;

	if (api_list(c, &providers, NULL, 0, e) < 0)
		return -1;
	schemas = protectable_schemas(); /* the same for all */
	json_array_foreach(json_object_get(c->reply, "providers"), i, v)
	{
		json_object_set(v, "extended_info_schema", schemas);
	}
	json_decref(schemas);
	return 0;
}

static int show_one(struct api_call *c, const char *id, struct err *e)
{
	if (api_show(c, &providers, id, e) < 0)
		return -1;
	json_object_set_new(json_object_get(c->reply, "provider"), "extended_info_schema",
			    protectable_schemas());
	return 0;
}

static int show(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_uuid(c, "provider_id", id, e) < 0 ? -1 : show_one(c, id, e);
}

static int create(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], target[UUID_TEXT] = "";
	const char *name, *description;
	struct input in;
	bool shared;

	api_input(c, "provider", &in);
	name = input_name(&in, "name", REQUIRED);
	description = input_text(&in, "description", OPTIONAL, 255);
	input_uuid(&in, "target_id", REQUIRED, target);
	shared = input_flag(&in, "shared", false);
	if (shared && !c->who->admin)
		input_wrong(&in, "shared", "Only an administrator can share it with all projects.");
	if (input_done(&in, e) < 0 ||
	    plan_check_exists(c->t, "targets", target, c->project,
			      "Invalid input for field/attribute provider.target_id. The target "
			      "could not be found.",
			      e) < 0)
		return -1;
	new_id(id);
	if (db_exec(c->t, NULL, e,
		    "INSERT INTO providers (id, project_id, name, description, target_id, "
		    "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)",
		    db_t(id), shared ? db_null() : db_t(c->project), db_t(name),
		    db_t(description ? description : ""), db_t(target), db_i(clock_wall_us())) < 0)
		return -1;
	if (show_one(c, id, e) < 0)
		return -1;
	c->status = 201;
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	const char *name, *description;
	char id[UUID_TEXT];
	struct input in;

	if (api_own(c, &providers, "provider_id", id, e) < 0)
		return -1;
	api_input(c, "provider", &in);
	name = input_name(&in, "name", OPTIONAL);
	description = input_text(&in, "description", OPTIONAL, 255);
	if (input_done(&in, e) < 0 ||
	    db_exec(c->t, NULL, e,
		    "UPDATE providers SET name = coalesce($2, name), description = coalesce($3, "
		    "description), updated_at = $4 WHERE id = $1",
		    db_t(id), db_t(name), db_t(description), db_i(clock_wall_us())) < 0)
		return -1;
	return show_one(c, id, e);
}

static int delete (struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_own(c, &providers, "provider_id", id, e) < 0 ? -1 : provider_remove(c->t, id, e);
}

/*
 * With it and the target alone, everything of the project can be restored, without this server; so
 * somebody should keep it elsewhere. It is in the audit log who took it.
 */
static int show_key(struct api_call *c, struct err *e)
{
	char provider[UUID_TEXT], repository[UUID_TEXT];
	json_t *access, *own;
	AUTO_FREE char *key = NULL;

	if (api_uuid(c, "provider_id", provider, e) < 0 ||
	    table_get(c->t, &providers, c->project, provider, &own, e) < 0)
		return -1;
	json_decref(own);
	if (repository_of(c->core, c->t, provider, c->project, repository, e) < 0 ||
	    repository_access(c->core, c->t, repository, &access, e) < 0)
		return -1;
	key = xasprintf("holdfast-key-1:%s", json_text_in(access, "key"));
	api_reply(c, 200, "repository",
		  json_pack("{s:s, s:s}", "url", json_text_in(access, "url"), "key", key));
	secret_wipe(key, strlen(key));
	json_decref(access);
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/providers", "provider:get_all", list, 0},
	{"POST", "/v1/{project_id}/providers", "provider:create", create, API_WRITES},
	{"GET", "/v1/{project_id}/providers/{provider_id}", "provider:get", show, 0},
	{"PUT", "/v1/{project_id}/providers/{provider_id}", "provider:update", update, API_WRITES},
	{"DELETE", "/v1/{project_id}/providers/{provider_id}", "provider:delete", delete,
	 API_WRITES},
	{"POST", "/v1/{project_id}/providers/{provider_id}/key", "provider:key", show_key,
	 API_WRITES},
};
const struct api_resource api_providers = {routes, ARRAY_LEN(routes)};
