/* SPDX-License-Identifier: Apache-2.0 */
#include "core/target_work.h"

#include <string.h>

#include "base/clock.h"
#include "core/checkpoint.h"
#include "core/notify.h"
#include "core/operation.h"
#include "core/storage.h"
#include "core/table.h"

struct work {
	const char *operation, *step; /* their kinds */
	const char *title, *name;     /* of the operation, before the target's name; of its steps */
	const char *limit;	      /* one at a time in each repository */
	int priority;
};
static const struct work verifying = {"target_verify",	       "target.verify", "verify target",
				      "verify what is stored", "verify",	-5};
static const struct work collecting = {"collect",	  "target.collect", "give space back in",
				       "give space back", "collect",	    -10};

/* ---- starting ---- */

static int add_step(struct core *c, struct db_tx *t, const struct work *w, const char *operation,
		    const char *repository, json_t *options, struct err *e)
{
	AUTO_FREE char *limit = xasprintf("%s:%s", w->limit, repository);
	const char *limits[] = {limit};
	char place[OPERATION_PLACE], step[UUID_TEXT];
	struct flow_step_new s = {
		.kind = w->step, .place = place, .name = w->name, .limits = limits, .n_limits = 1};
	int done;

	if (repository_place(t, repository, place, e) < 0 || flow_set_limit(t, limit, 1, e) < 0)
		return -1;
	s.input = json_pack("{s:s}", "repository_id", repository);
	if (options)
		json_object_update(s.input, options);
	done = flow_add(c->flow, t, operation, &s, step, e);
	json_decref(s.input);
	return done;
}

/* The row's columns: repository, project, name of the target. */
#define REPOSITORIES                                                                               \
	"SELECT r.id, r.project_id, t.name FROM repositories r JOIN targets t ON t.id = "          \
	"r.target_id WHERE "

static bool is_dry(const json_t *options)
{
	return json_is_true(json_object_get(options, "dry_run"));
}

static int start(struct core *c, struct db_tx *t, const struct work *w, const struct target_work *n,
		 char ret_operation[UUID_TEXT], struct err *e)
{
	struct operation_link link = {"target", n->target};
	struct flow_operation_new o = {.kind = w->operation,
				       .project = n->project,
				       .subject = n->target,
				       .created_by = n->created_by,
				       .priority = w->priority};
	AUTO(db_rows)
	r = db_query(t, e,
		     REPOSITORIES "r.target_id = $1 AND r.made_at IS NOT NULL AND ($2 = 1 OR "
				  "r.project_id = $3) ORDER BY r.id",
		     db_t(n->target), db_i(n->all_projects), db_t(n->project));
	AUTO_FREE char *name = NULL;
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_CONFLICT, "Nothing is stored in target '%s' yet.", n->target);
	if (have < 0)
		return -1;
	name = xasprintf("%s %s", w->title, db_text(r, 2));
	o.name = name;
	if (operation_start(c, t, &o, &link, 1, ret_operation, e) < 0)
		return -1;
	for (; have > 0; have = db_next(r, e)) {
		/* By this link others find that it is being done; a dry run does not do it. */
		link = (struct operation_link){"repository", db_text(r, 0)};
		if ((!is_dry(n->options) && operation_link_add(t, ret_operation, &link, e) < 0) ||
		    add_step(c, t, w, ret_operation, link.id, n->options, e) < 0)
			return -1;
	}
	return have;
}

int target_verify(struct core *c, struct db_tx *t, const struct target_work *w,
		  char ret_operation[UUID_TEXT], struct err *e)
{
	return start(c, t, &verifying, w, ret_operation, e);
}

int target_collect(struct core *c, struct db_tx *t, const struct target_work *w,
		   char ret_operation[UUID_TEXT], struct err *e)
{
	return start(c, t, &collecting, w, ret_operation, e);
}

int repository_collect(struct core *c, struct db_tx *t, const char *id, const char *created_by,
		       char ret_operation[UUID_TEXT], struct err *e)
{
	const struct operation_link link = {"repository", id};
	struct flow_operation_new o = {.kind = collecting.operation,
				       .name = collecting.name,
				       .subject = id,
				       .created_by = created_by,
				       .priority = collecting.priority};
	AUTO(db_rows) r = db_query(t, e, REPOSITORIES "r.id = $1", db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have < 0 ? -1 : err_set(e, ERR_NOENT, "There is no repository '%s'.", id);
	have = operation_live(t, link.kind, id, collecting.operation, ret_operation, e);
	if (have)
		return have < 0 ? -1 : 0;
	o.project = db_text(r, 1);
	if (operation_start(c, t, &o, &link, 1, ret_operation, e) < 0)
		return -1;
	return add_step(c, t, &collecting, ret_operation, id, NULL, e);
}

/* ---- what came of it ---- */

static int64_t number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* The checkpoint that has this point there is damaged. */
static int damaged_point(struct db_tx *t, const struct flow_step *s, const char *point,
			 uint64_t now, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT k.id FROM checkpoint_resources r JOIN checkpoints k ON k.id = "
		     "r.checkpoint_id WHERE r.point_id = $1 AND r.repository_id = $2 AND k.status "
		     "= 'available'",
		     db_t(point), db_t(json_text_in(s->input, "repository_id")));
	int have = r ? db_next(r, e) : -1;

	return have > 0 ? checkpoint_verified(core_current(), t, db_text(r, 0), false, s->operation,
					      now, e)
			: have;
}

static int damaged_points(struct db_tx *t, const struct flow_step *s, uint64_t now, struct err *e)
{
	json_t *points = json_object_get(s->result, "damaged_points"), *v;
	size_t i;

	json_array_foreach(points, i, v)
	{
		if (json_is_string(v) && damaged_point(t, s, json_string_value(v), now, e) < 0)
			return -1;
	}
	return 0;
}

/*
 * That something is damaged is known from when it is found until all that is there was read and is
 * whole. What a bounded run passed over it has found whole before; what it left for the next time
 * may be what was damaged.
 */
static int settle_verify(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	const char *repository = json_text_in(s->input, "repository_id");
	bool stored = strcmp(json_text_in(s->result, "depth"), "stored") == 0;
	int64_t damaged = number(s->result, "damaged_objects");
	bool known = damaged > 0 || (stored && number(s->result, "due_objects") == 0);
	uint64_t now = clock_wall_us();

	if (damaged_points(t, s, now, e) < 0)
		return -1;
	if (!known)
		return 0;
	if (db_exec(t, NULL, e,
		    "UPDATE repositories SET verified_at = $2, damaged_objects = $3 WHERE id = $1",
		    db_t(repository), db_i(now), db_i(damaged)) < 0)
		return -1;
	return notify_repository(t, repository, damaged, s->operation, now, e);
}

static int ended(struct db_tx *t, const char *operation, const char *subject, const char *state,
		 const char *reason, struct err *e)
{
	(void)subject;
	(void)reason;
	return operation_ended(t, operation, state, e);
}

const struct flow_kind target_collect_kind = {.name = "target.collect", .lease_s = 120};
const struct flow_kind target_verify_kind = {
	.name = "target.verify", .settle = settle_verify, .lease_s = 120, .attempts = 3};
const struct flow_operation_kind operation_collect = {.name = "collect", .ended = ended};
const struct flow_operation_kind operation_target_verify = {.name = "target_verify",
							    .ended = ended};
