/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/checkpoint.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/keep.h"
#include "core/limits.h"
#include "core/operation.h"
#include "core/plan.h"
#include "core/quota.h"
#include "core/storage.h"
#include "core/window.h"

/* Rows of the copy are those of its original, with no point yet. */
static int insert_rows(struct db_tx *t, const char *from, const char *to, const char *provider,
		       const char *repository, struct err *e)
{
	if (db_exec(t, NULL, e,
		    "INSERT INTO checkpoints (id, project_id, provider_id, plan_id, plan, status, "
		    "extra_info, made_by, copy_of, hold, instant_at, created_at, bytes_total, "
		    "bytes_read, bytes_new, bytes_stored) SELECT $1, project_id, $2, plan_id, "
		    "plan, "
		    "'copying', extra_info, made_by, id, 0, instant_at, $3, bytes_total, 0, 0, 0 "
		    "FROM checkpoints WHERE id = $4",
		    db_t(to), db_t(provider), db_i(clock_wall_us()), db_t(from)) < 0)
		return -1;
	return db_exec(t, NULL, e,
		       "INSERT INTO checkpoint_resources (checkpoint_id, platform_id, type, id, "
		       "name, extra_info, repository_id, status, consistency, "
		       "consistency_reason, frozen_us, instant_at, window_us, bytes_total, "
		       "bytes_read, bytes_new, bytes_stored) SELECT $1, platform_id, type, id, "
		       "name, extra_info, $2, 'protecting', consistency, consistency_reason, "
		       "frozen_us, instant_at, window_us, bytes_total, 0, 0, 0 FROM "
		       "checkpoint_resources WHERE checkpoint_id = $3",
		       db_t(to), db_t(repository), db_t(from));
}

/* The rows of one point, of which `r` is at the first, become a step; it is left at the row after.
 */
static int take_point(struct db_rows *r, json_t **ret_input, char **ret_name, struct err *e)
{
	AUTO_FREE char *point = xstrdup(db_text(r, 0));
	json_t *list = json_array();
	int have = 1;

	*ret_name = xasprintf("copy %s", db_text(r, 4));
	*ret_input = json_pack("{s:s, s:s, s:o}", "repository_id", db_text(r, 1), "point", point,
			       "resources", list);
	while (have > 0 && strcmp(db_text(r, 0), point) == 0) {
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "type", db_text(r, 2), "id", db_text(r, 3)));
		have = db_next(r, e);
	}
	return have;
}

static int add_steps(struct core *c, struct db_tx *t, const struct copy_new *n,
		     const char *operation, const char *from, const char *repository, struct err *e)
{
	AUTO_LIMITS limits = {0};
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT point_id, repository_id, type, id, name FROM checkpoint_resources "
		     "WHERE checkpoint_id = $1 ORDER BY point_id, type, name",
		     db_t(from));
	char place[OPERATION_PLACE], init[UUID_TEXT], step[UUID_TEXT];
	const char *needs[] = {init};
	int have;

	if (!r || repository_place(t, repository, place, e) < 0 ||
	    limits_of_plan(c, t, n->plan, repository, &limits, e) < 0)
		return -1;
	have = repository_add_init(c, t, operation, repository, init, e);
	if (have == 0)
		have = db_next(r, e);
	while (have > 0) {
		AUTO_FREE char *name = NULL;
		struct flow_step_new s = {
			.kind = "checkpoint.copy", .place = place, .needs = needs, .n_needs = 1};

		have = take_point(r, &s.input, &name, e);
		s.name = name;
		limits_of_step(&limits, &s);
		json_object_set_new(s.input, "to_repository_id", json_string(repository));
		if (have >= 0 && flow_add(c->flow, t, operation, &s, step, e) < 0)
			have = -1;
		json_decref(s.input);
	}
	return have;
}

static int copy_one(struct core *c, struct db_tx *t, const struct copy_new *n, const char *from,
		    const char *repository, json_t *pairs, struct err *e)
{
	char id[UUID_TEXT], operation[UUID_TEXT];
	const struct operation_link links[] = {
		{"checkpoint", from}, {"copy", id}, {"plan", n->plan}, {"provider", n->to}};
	const struct flow_operation_new o = {.kind = "copy",
					     .project = n->project,
					     .subject = id,
					     .name = "copy a checkpoint",
					     .created_by = n->created_by,
					     .priority = -5};

	new_id(id);
	if (quota_check(t, n->project, "checkpoints", e) < 0 ||
	    insert_rows(t, from, id, n->to, repository, e) < 0 ||
	    operation_start(c, t, &o, links, 4, operation, e) < 0 ||
	    add_steps(c, t, n, operation, from, repository, e) < 0)
		return -1;
	json_array_append_new(pairs, json_pack("{s:s, s:s}", "checkpoint_protect_id", from,
					       "checkpoint_copy_id", id));
	return 0;
}

/* The checkpoints that have no copy there, the oldest first: so each is an increment of the one
 * before. */
#define MISSING                                                                                    \
	"SELECT id FROM checkpoints k WHERE plan_id = $1 AND provider_id = $2 AND project_id = "   \
	"$3 "                                                                                      \
	"AND status = 'available' AND ($5 = '' OR id = $5) AND NOT EXISTS (SELECT 1 FROM "         \
	"checkpoints o WHERE o.copy_of = k.id AND o.provider_id = $4 AND o.status IN ('copying', " \
	"'available')) ORDER BY created_at, id"

int copy_start(struct core *c, struct db_tx *t, const struct copy_new *n, json_t **ret_pairs,
	       struct err *e)
{
	AUTO(db_rows) r = NULL;
	char repository[UUID_TEXT];
	json_t *pairs;
	int have;

	if (strcmp(n->provider, n->to) == 0)
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute copy.parameters.provider_id. "
			       "Value: %s. It has to be another provider.",
			       n->to);
	if (plan_check_exists(t, "providers", n->to, n->project,
			      "Invalid input for field/attribute copy.parameters.provider_id. The "
			      "provider could not be found.",
			      e) < 0 ||
	    repository_of(c, t, n->to, n->project, repository, e) < 0)
		return -1;
	r = db_query(t, e, MISSING, db_t(n->plan), db_t(n->provider), db_t(n->project), db_t(n->to),
		     db_t(n->checkpoint ? n->checkpoint : ""));
	have = r ? 1 : -1;
	pairs = json_array();
	while (have > 0 && (have = db_next(r, e)) > 0)
		if (copy_one(c, t, n, db_text(r, 0), repository, pairs, e) < 0)
			have = -1;
	if (have == 0 && json_array_size(pairs) == 0)
		have = err_set(e, ERR_INVALID,
			       "No checkpoint of plan '%s' is without a copy at provider '%s'.",
			       n->plan, n->to);
	if (have < 0) {
		json_decref(pairs);
		return -1;
	}
	*ret_pairs = pairs;
	return 0;
}

/* ---- what came of it ---- */

static int settle(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	const json_t *point =
		json_object_get(json_array_get(json_object_get(s->result, "copies"), 0), "point");

	if (!point)
		return err_set(e, ERR_NOENT, "The recovery point %s is not in its target any more.",
			       json_text_in(s->input, "point"));
	return checkpoint_has_point(t, s, point, e);
}

static int failed(struct db_tx *t, const struct flow_step *s, const struct err *why, struct err *e)
{
	return checkpoint_no_point(t, s, "error", why->msg, e);
}

static int undone(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	return checkpoint_no_point(t, s, "deleted", NULL, e);
}

static int ended(struct db_tx *t, const char *operation, const char *subject, const char *state,
		 const char *reason, struct err *e)
{
	if (operation_ended(t, operation, state, e) < 0)
		return -1;
	if (strcmp(state, FLOW_SUCCEEDED) == 0)
		return checkpoint_available(core_current(), t, subject, e) < 0
			       ? -1
			       : keep_after_checkpoint(core_current(), t, operation, subject, e);
	return checkpoint_set_status(core_current(), t, subject, "error", reason, e);
}

const struct flow_kind checkpoint_copy_kind = {.name = "checkpoint.copy",
					       .may_begin = window_may_begin,
					       .settle = settle,
					       .failed = failed,
					       .undone = undone,
					       .mover_undoes = true,
					       .attempts = 3};
const struct flow_operation_kind operation_copy = {.name = "copy", .ended = ended};
