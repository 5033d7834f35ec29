/* SPDX-License-Identifier: Apache-2.0 */
/* /plans */
#include <string.h>

#include "api/api_priv.h"
#include "core/coverage.h"
#include "core/plan.h"
#include "core/plan_schedules.h"

/* When the newest checkpoint in a state is of. */
#define NEWEST(state)                                                                              \
	"(SELECT coalesce(k.instant_at, k.created_at) FROM checkpoints k WHERE k.plan_id = "       \
	"plans.id AND k.status = " state " AND coalesce(k.verified_ok, 1) = 1 ORDER BY "           \
	"k.created_at DESC LIMIT 1)"

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"description", "description", COLUMN_TEXT, false},
	{"status", "status", COLUMN_TEXT, true},
	{"provider_id", "provider_id", COLUMN_TEXT, false},
	{"policy_id", "policy_id", COLUMN_TEXT, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"resources", "resources", COLUMN_JSON, false},
	{"selectors", "selectors", COLUMN_JSON, false},
	{"parameters", "parameters", COLUMN_JSON, false},
	{"created_by", "created_by", COLUMN_TEXT, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
	{"paused", "paused", COLUMN_FLAG, false},
	{"consistency_group", "consistency_group", COLUMN_FLAG, false},
	{"running", "CASE WHEN " NEWEST("'protecting'") " IS NULL THEN 0 ELSE 1 END", COLUMN_FLAG,
	 false},
	{"newest_good_at", NEWEST("'available'"), COLUMN_TIME, false},
	{"next_at",
	 "(SELECT min(g.next_at) FROM scheduled_operations s JOIN triggers g ON g.id = "
	 "s.trigger_id WHERE s.plan_id = plans.id AND s.enabled = 1 AND g.enabled = 1)",
	 COLUMN_TIME, false},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_CONTAINS},     {"description", "description", FILTER_CONTAINS},
	{"status", "status", FILTER_IS},       {"provider_id", "provider_id", FILTER_IS},
	{"policy_id", "policy_id", FILTER_IS},
};
static const struct table plans = {
	.sql = "plans", .item = "plan", .items = "plans", TABLE_OF(columns, filters)};

/* The fields that can be changed at any time; what is not sent stays. */
static void take_changes(struct input *in, struct plan *p)
{
	static const char *const statuses[] = {"suspended", "started", NULL};
	const char *name = input_name(in, "name", OPTIONAL);
	const char *description = input_text(in, "description", OPTIONAL, 255);
	int status = input_word(in, "status", OPTIONAL, statuses);
	json_t *resources = input_json(in, "resources", OPTIONAL, JSON_ARRAY, PLAN_RESOURCES);
	json_t *selectors = input_json(in, "selectors", OPTIONAL, JSON_ARRAY, PLAN_SELECTORS);
	json_t *parameters = input_json(in, "parameters", OPTIONAL, JSON_OBJECT, 2000);
	char policy[UUID_TEXT];

	p->paused = input_flag(in, "paused", p->paused);
	p->consistency_group = input_flag(in, "consistency_group", p->consistency_group);
	if (name) {
		free(p->name);
		p->name = xstrdup(name);
	}
	if (input_has(in, "description")) {
		free(p->description);
		p->description = xstrdup0(description);
	}
	if (status >= 0) {
		free(p->status);
		p->status = xstrdup(statuses[status]);
	}
	if (input_uuid(in, "policy_id", OPTIONAL, policy))
		memcpy(p->policy, policy, sizeof(policy));
	else if (input_has(in, "policy_id"))
		p->policy[0] = 0;
	if (resources)
		json_decref(p->resources), p->resources = json_incref(resources);
	if (selectors)
		json_decref(p->selectors), p->selectors = json_incref(selectors);
	if (parameters)
		json_decref(p->parameters), p->parameters = json_incref(parameters);
}

static int create(struct api_call *c, struct err *e)
{
	AUTO(plan) p = xcalloc(1, sizeof(*p));
	char actor[300];
	struct input in;

	memcpy(p->project, c->project, strnlen(c->project, sizeof(p->project) - 1));
	p->status = xstrdup("suspended");
	p->resources = json_array();
	p->selectors = json_array();
	p->parameters = json_object();
	api_input(c, "plan", &in);
	take_changes(&in, p);
	input_uuid(&in, "provider_id", REQUIRED, p->provider);
	if (!p->name)
		input_name(&in, "name", REQUIRED);
	if (input_done(&in, e) < 0 ||
	    plan_insert(c->t, p, api_actor(c, actor, sizeof(actor)), e) < 0 ||
	    plan_schedules_sync(c->core, c->t, p->id, e) < 0 ||
	    coverage_plan(c->t, c->core->zones, p->id, e) < 0 || api_show(c, &plans, p->id, e) < 0)
		return -1;
	c->status = 201;
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	AUTO(plan) p = NULL;
	char id[UUID_TEXT];
	struct input in;
	bool was;

	if (api_uuid(c, "plan_id", id, e) < 0)
		return -1;
	p = plan_load(c->t, c->project, id, e);
	if (!p)
		return -1;
	api_input(c, "plan", &in);
	if (in.object && json_object_size(in.object) == 0)
		return err_set(e, ERR_INVALID, "Missing updated resources in request body.");
	was = p->paused;
	take_changes(&in, p);
	if (input_done(&in, e) < 0 || plan_store(c->t, p, e) < 0 ||
	    plan_schedules_sync(c->core, c->t, id, e) < 0 ||
	    coverage_plan(c->t, c->core->zones, id, e) < 0)
		return -1;
	if (p->paused != was && plan_schedules_pause(c->t, id, p->paused, e) < 0)
		return -1;
	return api_show(c, &plans, id, e);
}

static int delete (struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	if (api_own(c, &plans, "plan_id", id, e) < 0 || plan_schedules_clear(c->t, id, e) < 0)
		return -1;
	return plan_remove(c->t, NULL, id, e);
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/plans", "plan:get_all", api_list_rows, 0, &plans},
	{"POST", "/v1/{project_id}/plans", "plan:create", create, API_WRITES},
	{"GET", "/v1/{project_id}/plans/{plan_id}", "plan:get", api_show_row, 0, &plans},
	{"PUT", "/v1/{project_id}/plans/{plan_id}", "plan:update", update, API_WRITES},
	{"DELETE", "/v1/{project_id}/plans/{plan_id}", "plan:delete", delete, API_WRITES},
};
const struct api_resource api_plans = {routes, ARRAY_LEN(routes)};
