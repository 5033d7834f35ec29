/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a checkpoint, as a flow:
 *
 *	platform.list (for each platform, where the plan has selectors) ─┐
 *	                                                                 v
 *	                                     protect.prepare: which resources?
 *	                                                                 │ adds, for what it finds
 *	                       target.init ──> checkpoint.protect for each resource, or, where they
 *	                                       belong together, for those of each platform
 *
 * The end of the operation makes the checkpoint available, or, when what was done is undone, an
 *error.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/checkpoint.h"
#include "core/ids.h"
#include "core/keep.h"
#include "core/limits.h"
#include "core/operation.h"
#include "core/plan.h"
#include "core/platform.h"
#include "core/quota.h"
#include "core/storage.h"
#include "core/table.h"
#include "core/window.h"

/* ---- starting ---- */

static json_t *plan_json(const struct plan *p)
{
	return json_pack("{s:s, s:s, s:s, s:O, s:O, s:O, s:s, s:b}", "id", p->id, "name", p->name,
			 "provider_id", p->provider, "resources", p->resources, "selectors",
			 p->selectors, "parameters", p->parameters, "policy_id", p->policy,
			 "consistency_group", p->consistency_group);
}

static int insert(struct db_tx *t, const struct protect_new *n, const struct plan *p,
		  const char *id, struct err *e)
{
	json_t *extra = n->extra_info ? json_deep_copy(n->extra_info) : json_object();
	json_t *plan = plan_json(p);
	AUTO_FREE char *extra_text = NULL;
	AUTO_FREE char *plan_text = json_text(plan);

	if (!json_object_get(extra, "created_by"))
		json_object_set_new(extra, "created_by", json_string(n->made_by));
	extra_text = json_text(extra);
	json_decref(extra);
	json_decref(plan);
	return db_exec(
		t, NULL, e,
		"INSERT INTO checkpoints (id, project_id, provider_id, plan_id, plan, status, "
		"extra_info, made_by, hold, created_at, bytes_total, bytes_read, bytes_new, "
		"bytes_stored) VALUES ($1, $2, $3, $4, $5, 'protecting', $6, $7, 0, $8, 0, "
		"0, 0, 0)",
		db_t(id), db_t(p->project), db_t(p->provider), db_t(p->id), db_t(plan_text),
		db_t(extra_text), db_t(n->made_by), db_i(clock_wall_us()));
}

#define PLATFORMS_MAX 200

struct steps {
	char ids[PLATFORMS_MAX][UUID_TEXT];
	const char *v[PLATFORMS_MAX];
	size_t n;
};

/* What selectors may select has to be known as it is now. */
static int add_discovery(struct core *c, struct db_tx *t, const char *operation,
			 const struct plan *p, struct steps *s, struct err *e)
{
	AUTO(db_rows)
	r = db_query(
		t, e,
		"SELECT DISTINCT platform_id FROM resources WHERE project_id = $1 UNION SELECT "
		"id FROM platforms WHERE project_id = $1",
		db_t(p->project));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0 && s->n < PLATFORMS_MAX) {
		if (platform_add_list(c, t, operation, db_text(r, 0), s->ids[s->n], e) < 0)
			return -1;
		s->v[s->n] = s->ids[s->n];
		s->n++;
	}
	return have < 0 ? -1 : 0;
}

static int add_prepare(struct core *c, struct db_tx *t, const char *operation, const struct plan *p,
		       struct err *e)
{
	AUTO_FREE struct steps *lists = xcalloc(1, sizeof(*lists));
	struct flow_step_new s = {
		.kind = "protect.prepare", .place = FLOW_WORKER, .name = "find what to protect"};
	char step[UUID_TEXT];

	if (plan_has_selectors(p) && add_discovery(c, t, operation, p, lists, e) < 0)
		return -1;
	s.needs = lists->v;
	s.n_needs = lists->n;
	return flow_add(c->flow, t, operation, &s, step, e);
}

static int start(struct core *c, struct db_tx *t, const struct protect_new *n, const struct plan *p,
		 const char *id, char ret_operation[UUID_TEXT], struct err *e)
{
	const struct operation_link links[] = {{"checkpoint", id},
					       {"plan", p->id},
					       {"provider", p->provider},
					       {"scheduled_operation", n->scheduled}};
	AUTO_FREE char *name = xasprintf("protect plan %s", p->name);
	const struct flow_operation_new o = {.kind = "protect",
					     .project = p->project,
					     .subject = id,
					     .name = name,
					     .created_by = n->created_by};

	if (operation_start(c, t, &o, links, 4, ret_operation, e) < 0)
		return -1;
	return add_prepare(c, t, ret_operation, p, e);
}

int checkpoint_protect(struct core *c, struct db_tx *t, const struct protect_new *n,
		       char ret_id[UUID_TEXT], char ret_operation[UUID_TEXT], struct err *e)
{
	AUTO(plan) p = plan_load(t, n->project, n->plan, e);

	if (!p)
		return -1;
	if (n->provider && strcmp(n->provider, p->provider) != 0)
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute checkpoint.plan_id. Value: %s. "
			       "The plan's provider is %s, not %s.",
			       p->id, p->provider, n->provider);
	if (quota_check(t, p->project, "checkpoints", e) < 0)
		return -1;
	new_id(ret_id);
	if (insert(t, n, p, ret_id, e) < 0)
		return -1;
	return start(c, t, n, p, ret_id, ret_operation, e);
}

/* ---- which resources ---- */

struct expanding {
	const char *checkpoint;
	json_t *resources;
	bool together;
};

static int expand(struct db_tx *t, void *arg, struct err *e)
{
	struct expanding *x = arg;
	AUTO(checkpoint) k = checkpoint_load(t, NULL, x->checkpoint, e);
	AUTO(plan) p = k ? plan_load(t, k->project, k->plan, e) : NULL;

	json_decref(x->resources);
	x->resources = NULL;
	x->together = p && p->consistency_group;
	return p ? plan_expand(t, p, &x->resources, e) : -1;
}

static int run_prepare(const struct flow_run *r, json_t **ret_result, struct err *e)
{
	struct expanding x = {.checkpoint = r->step->subject};

	if (db_read(r->db, expand, &x, e) < 0) {
		json_decref(x.resources);
		return -1;
	}
	*ret_result =
		json_pack("{s:o, s:b}", "resources", x.resources, "consistency_group", x.together);
	return 0;
}

static int insert_resource(struct db_tx *t, const char *checkpoint, const char *repository,
			   const json_t *v, struct err *e)
{
	AUTO_FREE char *extra = json_text(json_object_get(v, "extra_info"));

	return db_exec(
		t, NULL, e,
		"INSERT INTO checkpoint_resources (checkpoint_id, platform_id, type, id, "
		"name, extra_info, repository_id, status, bytes_total, bytes_read, bytes_new, "
		"bytes_stored) VALUES ($1, $2, $3, $4, $5, $6, $7, 'protecting', 0, 0, 0, 0)",
		db_t(checkpoint), db_t(json_text_in(v, "platform_id")),
		db_t(json_text_in(v, "type")), db_t(json_text_in(v, "id")),
		db_t(json_text_in(v, "name")), db_t(extra), db_t(repository));
}

/* One backup at a time of one machine; what more is asked for waits. */
static int add_machine(const struct flow_step *s, struct db_tx *t, const char *repository,
		       const json_t *v, struct limits *l, json_t *list, struct err *e)
{
	AUTO_FREE char *key =
		xasprintf("resource:%s/%s", json_text_in(v, "platform_id"), json_text_in(v, "id"));

	json_array_append_new(list,
			      json_pack("{s:s, s:s, s:s}", "type", json_text_in(v, "type"), "id",
					json_text_in(v, "id"), "name", json_text_in(v, "name")));
	limits_add(l, "resource", key + strlen("resource:"));
	return insert_resource(t, s->subject, repository, v, e) < 0 ? -1
								    : flow_set_limit(t, key, 1, e);
}

/* One step for machines of one platform: one, or those that belong together. */
static int add_protect(const struct flow_step *s, struct db_tx *t, const struct checkpoint *k,
		       const char *repository, const char *init, const json_t *machines,
		       struct err *e)
{
	struct core *c = core_current();
	const json_t *first = json_array_get(machines, 0), *v;
	const char *platform = json_text_in(first, "platform_id");
	size_t most = json_array_size(machines), i;
	AUTO_FREE char *name = most > 1 ? xasprintf("protect %zu machines together", most)
					: xasprintf("protect %s", json_text_in(first, "name"));
	AUTO_LIMITS limits = {0};
	const char *needs[] = {init};
	char place[OPERATION_PLACE], step[UUID_TEXT];
	struct flow_step_new n = {.kind = "checkpoint.protect",
				  .place = place,
				  .name = name,
				  .needs = needs,
				  .n_needs = 1};
	json_t *list;
	int done = 0;

	if (most > PLAN_TOGETHER)
		return err_set(e, ERR_INVALID,
			       "The plan is a consistency group with %zu machines on one platform, "
			       "and %d can be protected together: divide it into several plans.",
			       most, PLAN_TOGETHER);
	limits_add(&limits, "platform", platform);
	list = json_array();
	json_array_foreach(machines, i, v)
	{
		if (done == 0)
			done = add_machine(s, t, repository, v, &limits, list, e);
	}
	n.input = json_pack("{s:s, s:s, s:s, s:o}", "checkpoint_id", s->subject, "platform_id",
			    platform, "repository_id", repository, "resources", list);
	if (done == 0 && (limits_of_plan(c, t, k->plan, repository, &limits, e) < 0 ||
			  platform_place(t, platform, place, e) < 0))
		done = -1;
	limits_of_step(&limits, &n);
	if (done == 0)
		done = flow_add(c->flow, t, s->operation, &n, step, e);
	json_decref(n.input);
	return done;
}

/* Those that one step takes with the i-th; NULL: it was taken with one before. */
static json_t *taken_with(const json_t *all, size_t i, bool together)
{
	const char *platform = json_text_in(json_array_get(all, i), "platform_id");
	json_t *list = json_array(), *v;
	size_t k;

	json_array_foreach(all, k, v)
	{
		if (k != i && (!together || strcmp(json_text_in(v, "platform_id"), platform) != 0))
			continue;
		if (k < i) {
			json_decref(list);
			return NULL;
		}
		json_array_append(list, v);
	}
	return list;
}

static int settle_prepare(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	AUTO(checkpoint) k = checkpoint_load(t, NULL, s->subject, e);
	const json_t *all = json_object_get(s->result, "resources");
	bool together = json_is_true(json_object_get(s->result, "consistency_group"));
	char repository[UUID_TEXT], init[UUID_TEXT];
	int done = 0;

	if (!k || repository_of(core_current(), t, k->provider, k->project, repository, e) < 0 ||
	    repository_add_init(core_current(), t, s->operation, repository, init, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(all) && done == 0; i++) {
		json_t *machines = taken_with(all, i, together);

		if (machines)
			done = add_protect(s, t, k, repository, init, machines, e);
		json_decref(machines);
	}
	return done;
}

/* ---- resources ---- */

static int settle_protect(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	return checkpoint_has_point(t, s, s->result, e);
}

static int failed_protect(struct db_tx *t, const struct flow_step *s, const struct err *why,
			  struct err *e)
{
	return checkpoint_no_point(t, s, "error", why->msg, e);
}

static int undone_protect(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	return checkpoint_no_point(t, s, "deleted", NULL, e);
}

/* ---- the end ---- */

static int ended_protect(struct db_tx *t, const char *operation, const char *subject,
			 const char *state, const char *reason, struct err *e)
{
	AUTO(checkpoint) k = checkpoint_load(t, NULL, subject, e);
	char delete[UUID_TEXT];

	if (!k || operation_ended(t, operation, state, e) < 0)
		return -1;
	/* Deleted while it was being made: what was made in time, or could not be undone, goes now.
	 */
	if (strcmp(k->status, "deleting") == 0)
		return db_exec(t, NULL, e, "UPDATE checkpoints SET status = 'error' WHERE id = $1",
			       db_t(subject)) < 0
			       ? -1
			       : checkpoint_delete(core_current(), t, NULL, subject, "server",
						   delete, e);
	if (strcmp(state, FLOW_SUCCEEDED) == 0)
		return checkpoint_available(core_current(), t, subject, e) < 0
			       ? -1
			       : keep_after(core_current(), t, operation, k->plan, e);
	if (checkpoint_set_status(core_current(), t, subject, "error", reason, e) < 0)
		return -1;
	/* An attempt whose word was lost may have left a point that no undo knows of. */
	return checkpoint_clean(core_current(), t, k, e);
}

const struct flow_kind protect_prepare = {.name = "protect.prepare",
					  .run = run_prepare,
					  .may_begin = window_may_begin,
					  .settle = settle_prepare,
					  .attempts = 3};
const struct flow_kind checkpoint_protect_kind = {.name = "checkpoint.protect",
						  .may_begin = window_may_begin,
						  .settle = settle_protect,
						  .failed = failed_protect,
						  .undone = undone_protect,
						  .mover_undoes = true,
						  .attempts = 3};
const struct flow_operation_kind operation_protect = {.name = "protect", .ended = ended_protect};
