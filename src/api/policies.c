/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /policies; what a change of one would do: /policy_simulations; and why each checkpoint of a plan
 * stays or goes: /plans/{plan_id}/retention.
 */
#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/keeper.h"
#include "core/plan.h"
#include "core/plan_schedules.h"
#include "core/policy_store.h"

#define PLANS 50 /* that one simulation looks at */
#define DAYS_MAX 3660
#define DAY_US ((uint64_t)86400 * 1000000)

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"description", "description", COLUMN_TEXT, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"spec", "spec", COLUMN_JSON, false},
	{"mandatory", "mandatory", COLUMN_FLAG, true},
	{"created_by", "created_by", COLUMN_TEXT, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_CONTAINS},
	{"description", "description", FILTER_CONTAINS},
	{"mandatory", "mandatory", FILTER_FLAG},
};
static const struct table policies = {.sql = "policies",
				      .item = "policy",
				      .items = "policies",
				      TABLE_OF(columns, filters),
				      .shared = true};

/* Errors of a document name the field as it stands in the request. */
static int in_spec(struct err *e)
{
	return err_wrap(e, "Invalid input for field/attribute policy.spec");
}

static int may_mandate(struct api_call *c, struct err *e)
{
	return auth_allow(c->core->auth, c->who, "policy:mandate", NULL, e);
}

/* The schedules of plans follow their policies. */
static int sync_plans(struct api_call *c, const char *id, const char *project, bool mandatory,
		      struct err *e)
{
	return plan_schedules_sync_policy(c->core, c->t, id, project, mandatory, e);
}

static int create(struct api_call *c, struct err *e)
{
	struct policy_new n = {.project = c->project};
	char id[UUID_TEXT], actor[300];
	struct input in;

	api_input(c, "policy", &in);
	n.name = input_name(&in, "name", REQUIRED);
	n.description = input_text(&in, "description", OPTIONAL, 255);
	n.spec = input_json(&in, "spec", REQUIRED, JSON_OBJECT, 100);
	n.mandatory = input_flag(&in, "mandatory", false);
	if (input_flag(&in, "shared", false))
		n.project = NULL;
	n.created_by = api_actor(c, actor, sizeof(actor));
	if (input_done(&in, e) < 0 || ((n.mandatory || !n.project) && may_mandate(c, e) < 0))
		return -1;
	if (policy_insert(c->t, c->core->zones, &n, id, e) < 0)
		return e->kind == ERR_INVALID || e->kind == ERR_LIMIT ? in_spec(e) : -1;
	if (sync_plans(c, id, n.project, n.mandatory, e) < 0 || api_show(c, &policies, id, e) < 0)
		return -1;
	c->status = 201;
	return 0;
}

/*
 * The policy of the path, if the caller may change it: mandatory ones only who may make such.
 * *ret_mandatory: it is one; *ret_project (AUTH_ID bytes): whose it is, "": all projects'.
 */
static int own(struct api_call *c, char ret_id[UUID_TEXT], bool *ret_mandatory, char *ret_project,
	       struct err *e)
{
	AUTO(db_rows) r = NULL;

	if (api_own(c, &policies, "policy_id", ret_id, e) < 0)
		return -1;
	r = db_query(c->t, e, "SELECT mandatory, project_id FROM policies WHERE id = $1",
		     db_t(ret_id));
	if (!r || db_next(r, e) < 0)
		return -1;
	*ret_mandatory = db_int(r, 0);
	snprintf(ret_project, AUTH_ID, "%s", db_text(r, 1));
	return *ret_mandatory ? may_mandate(c, e) : 0;
}

static int update(struct api_call *c, struct err *e)
{
	struct policy_change change = {0};
	char id[UUID_TEXT], project[AUTH_ID];
	struct input in;
	bool mandatory, was;

	if (own(c, id, &was, project, e) < 0)
		return -1;
	api_input(c, "policy", &in);
	change.name = input_name(&in, "name", OPTIONAL);
	change.description = input_text(&in, "description", OPTIONAL, 255);
	change.spec = input_json(&in, "spec", OPTIONAL, JSON_OBJECT, 100);
	mandatory = input_flag(&in, "mandatory", false);
	if (input_has(&in, "mandatory"))
		change.mandatory = &mandatory;
	if (input_done(&in, e) < 0 || (mandatory && may_mandate(c, e) < 0))
		return -1;
	if (policy_update(c->t, c->core->zones, id, &change, e) < 0)
		return e->kind == ERR_INVALID || e->kind == ERR_LIMIT ? in_spec(e) : -1;
	if (sync_plans(c, id, project, was || mandatory, e) < 0)
		return -1;
	return api_show(c, &policies, id, e);
}

static int delete (struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], project[AUTH_ID];
	bool was;

	if (own(c, id, &was, project, e) < 0 || policy_remove(c->t, id, e) < 0)
		return -1;
	return sync_plans(c, id, project, was, e);
}

/* ---- before a change ---- */

struct simulation {
	char policy[UUID_TEXT], plan[UUID_TEXT]; /* "": none */
	struct policy_draft draft;
	bool nothing; /* no plan has it yet: what would live in one that begins now? */
	int64_t days;
};

/* One plan that was named, or those that the policy is for. */
static struct db_rows *affected(struct api_call *c, const struct simulation *s, struct err *e)
{
	if (*s->plan)
		return db_query(c->t, e, "SELECT id FROM plans WHERE id = $1 AND project_id = $2",
				db_t(s->plan), db_t(c->project));
	if (s->draft.mandatory)
		return db_query(c->t, e,
				"SELECT id FROM plans WHERE project_id = $1 ORDER BY id LIMIT $2",
				db_t(c->project), db_i(PLANS + 1));
	return db_query(c->t, e,
			"SELECT id FROM plans WHERE policy_id = $1 AND project_id = $2 ORDER BY id "
			"LIMIT $3",
			db_t(s->policy), db_t(c->project), db_i(PLANS + 1));
}

/* Their ids: one more than are looked at says that there are more. */
static int list_affected(struct api_call *c, const struct simulation *s, json_t *ids, struct err *e)
{
	AUTO(db_rows) r = affected(c, s, e);
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(ids, json_string(db_text(r, 0)));
	if (have == 0 && *s->plan && json_array_size(ids) == 0)
		return err_set(e, ERR_NOENT, "There is no plan '%s'.", s->plan);
	return have;
}

static int simulate_plans(struct api_call *c, const struct simulation *s, const json_t *ids,
			  json_t *plans, struct err *e)
{
	uint64_t now = clock_wall_us(), until = now + (uint64_t)s->days * DAY_US;
	json_t *id;
	size_t i;

	json_array_foreach((json_t *)ids, i, id)
	{
		json_t *v = i == PLANS ? NULL
				       : keeper_simulate(c->t, c->core->zones, c->project,
							 json_string_value(id), &s->draft, now,
							 until, e);

		if (i == PLANS)
			break;
		if (!v)
			return -1;
		json_array_append_new(plans, v);
	}
	return 0;
}

static int run_simulation(struct api_call *c, const struct simulation *s, struct err *e)
{
	json_t *ids = json_array(), *plans = json_array();
	int done = 0;

	if (s->nothing)
		json_array_append_new(ids, json_string(""));
	else
		done = list_affected(c, s, ids, e);

	if (done == 0)
		done = simulate_plans(c, s, ids, plans, e);
	if (done == 0)
		api_reply(c, 200, "policy_simulation",
			  json_pack("{s:O, s:b}", "plans", plans, "more",
				    json_array_size(ids) > PLANS));
	json_decref(ids);
	json_decref(plans);
	return done;
}

static int simulate(struct api_call *c, struct err *e)
{
	AUTO(policy) p = NULL;
	struct simulation s = {0};
	struct input in;
	json_t *spec;

	api_input(c, "policy_simulation", &in);
	spec = input_json(&in, "spec", REQUIRED, JSON_OBJECT, 100);
	s.draft.mandatory = input_flag(&in, "mandatory", false);
	s.days = input_number(&in, "days", OPTIONAL, 1, DAYS_MAX, 365);
	if (!input_uuid(&in, "policy_id", OPTIONAL, s.policy))
		s.policy[0] = 0;
	if (!input_uuid(&in, "plan_id", OPTIONAL, s.plan))
		s.plan[0] = 0;
	s.nothing = !*s.policy && !*s.plan && !s.draft.mandatory;
	if (input_done(&in, e) < 0)
		return -1;
	p = policy_parse(spec, c->core->zones, clock_wall_us(), e);
	if (!p)
		return err_wrap(e, "Invalid input for field/attribute policy_simulation.spec");
	s.draft.id = *s.policy ? s.policy : NULL;
	s.draft.policy = p;
	return run_simulation(c, &s, e);
}

/* ---- why ---- */

static int explain(struct api_call *c, struct err *e)
{
	const char *checkpoint = httpd_query(c->http, "checkpoint_id");
	char plan[UUID_TEXT], id[UUID_TEXT];
	json_t *v;

	if (api_uuid(c, "plan_id", plan, e) < 0)
		return -1;
	if (checkpoint && !uuid_like(checkpoint, id))
		return err_set(e, ERR_INVALID, "checkpoint_id: '%.60s' is no id of a checkpoint.",
			       checkpoint);
	v = keeper_explain(c->t, c->core->zones, api_visible(c), plan, checkpoint ? id : NULL,
			   TABLE_LIMIT, clock_wall_us(), e);
	if (!v)
		return -1;
	api_reply(c, 200, "retention", v);
	return 0;
}

#define ONE "/v1/{project_id}/policies/{policy_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/policies", "policy:get", api_list_rows, 0, &policies},
	{"POST", "/v1/{project_id}/policies", "policy:create", create, API_WRITES},
	{"GET", ONE, "policy:get", api_show_row, 0, &policies},
	{"PUT", ONE, "policy:update", update, API_WRITES},
	{"DELETE", ONE, "policy:delete", delete, API_WRITES},
	{"POST", "/v1/{project_id}/policy_simulations", "policy:simulate", simulate, API_WRITES},
	{"GET", "/v1/{project_id}/plans/{plan_id}/retention", "plan:get", explain, 0},
};
const struct api_resource api_policies = {routes, ARRAY_LEN(routes)};
