/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three tables, from below: plan_resources (a plan and a thing that it takes in), plans (its newest
 * good checkpoint and its newest failure), resources (the worst of all plans that take it in). A
 * change goes up: which things a plan takes in, what it has of each, and then those resources of
 * which something is other than before.
 */
#include "core/coverage.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/coverage_due.h"
#include "core/coverage_priv.h"
#include "core/json.h"
#include "core/plan.h"
#include "core/protectable.h"

/* ---- things ---- */

void coverage_add(struct coverage_things *l, const char *type, const char *id)
{
	if (l->n == l->room) {
		l->room = MAX(16, 2 * l->room);
		l->v = xreallocarray(l->v, l->room, sizeof(*l->v));
	}
	l->v[l->n++] = (struct coverage_thing){xstrdup(type), xstrdup(id)};
}

void coverage_things_done(struct coverage_things *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].type);
		free(l->v[i].id);
	}
	free(l->v);
	*l = (struct coverage_things){NULL};
}

static int compare(const char *type, const char *id, const char *type2, const char *id2)
{
	int d = strcmp(type, type2);

	return d ? d : strcmp(id, id2);
}

static int compare_things(const void *a, const void *b)
{
	const struct coverage_thing *x = a, *y = b;

	return compare(x->type, x->id, y->type, y->id);
}

/* In order, each once. */
static void sort_things(struct coverage_things *l)
{
	size_t n = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), compare_things);
	for (size_t i = 0; i < l->n; i++) {
		if (n && compare_things(&l->v[n - 1], &l->v[i]) == 0) {
			free(l->v[i].type);
			free(l->v[i].id);
			continue;
		}
		l->v[n++] = l->v[i];
	}
	l->n = n;
}

/* ---- what a plan takes in ---- */

/* What it names, and what its selectors mean now. */
static int wanted(struct db_tx *t, const struct plan *p, struct coverage_things *l, struct err *e)
{
	AUTO(db_rows) r = NULL;
	const json_t *v;
	size_t i;
	int have = 0;

	json_array_foreach(p->resources, i, v)
	{
		if (strcmp(json_text_in(v, "type"), PROTECTABLE_PROJECT) != 0)
			coverage_add(l, json_text_in(v, "type"), json_text_in(v, "id"));
	}
	if (plan_has_selectors(p)) {
		r = db_query(t, e,
			     "SELECT platform_id, type, id, name, state FROM resources WHERE "
			     "project_id = $1 AND gone_at IS NULL",
			     db_t(p->project));
		have = r ? 1 : -1;
	}
	while (have > 0 && (have = db_next(r, e)) > 0) {
		const struct plan_candidate k = {db_text(r, 0), db_text(r, 1), db_text(r, 2),
						 db_text(r, 3), db_text(r, 4)};

		if (plan_selects(p, &k))
			coverage_add(l, k.type, k.id);
	}
	sort_things(l);
	return have;
}

static int take_in(struct db_tx *t, const char *plan, const char *project, const char *type,
		   const char *id, struct err *e)
{
	return db_exec(t, NULL, e,
		       "INSERT INTO plan_resources (plan_id, project_id, type, resource_id, since) "
		       "VALUES ($1, $2, $3, $4, $5)",
		       db_t(plan), db_t(project), db_t(type), db_t(id), db_i(clock_wall_us()));
}

static int let_go(struct db_tx *t, const char *plan, const char *type, const char *id,
		  struct err *e)
{
	return db_exec(t, NULL, e,
		       "DELETE FROM plan_resources WHERE plan_id = $1 AND type = $2 AND "
		       "resource_id = $3",
		       db_t(plan), db_t(type), db_t(id));
}

static struct db_rows *taken_in(struct db_tx *t, const char *plan, struct err *e)
{
	return db_query(t, e,
			"SELECT type, resource_id FROM plan_resources WHERE plan_id = $1 ORDER BY "
			"type, resource_id",
			db_t(plan));
}

/* Bring plan_resources to what is wanted; `l` becomes all that is or was taken in. */
static int take_all(struct db_tx *t, const struct plan *p, struct coverage_things *l, struct err *e)
{
	AUTO(db_rows) r = taken_in(t, p->id, e);
	size_t n = l->n, i = 0;
	int have = r ? db_next(r, e) : -1;

	while (have >= 0 && (have > 0 || i < n)) {
		int d = !have	 ? -1
			: i == n ? 1
				 : compare(l->v[i].type, l->v[i].id, db_text(r, 0), db_text(r, 1));

		if (d < 0 && take_in(t, p->id, p->project, l->v[i].type, l->v[i].id, e) < 0)
			return -1;
		if (d > 0) {
			if (let_go(t, p->id, db_text(r, 0), db_text(r, 1), e) < 0)
				return -1;
			coverage_add(l, db_text(r, 0), db_text(r, 1));
		}
		if (d <= 0)
			i++;
		if (d >= 0)
			have = db_next(r, e);
	}
	return have < 0 ? -1 : 0;
}

static int show(struct db_tx *t, const char *project, const struct coverage_things *l,
		struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (coverage_show(t, project, l->v[i].type, l->v[i].id, e) < 0)
			return -1;
	return 0;
}

int coverage_plan(struct db_tx *t, struct zones *zones, const char *plan, struct err *e)
{
	CLEANUP(coverage_things_done) struct coverage_things l = {NULL};
	struct err why = {ERR_NONE};
	AUTO(plan) p = plan_load(t, NULL, plan, &why);

	if (!p && why.kind == ERR_NOENT)
		return 0;
	if (!p) {
		if (e)
			*e = why;
		return -1;
	}
	if (wanted(t, p, &l, e) < 0 || take_all(t, p, &l, e) < 0 ||
	    db_exec(t, NULL, e, "UPDATE plans SET selects = $2, covered = 1 WHERE id = $1",
		    db_t(plan), db_i(plan_has_selectors(p))) < 0 ||
	    coverage_points(t, zones, plan, e) < 0)
		return -1;
	return show(t, p->project, &l, e);
}

int coverage_catch_up(struct db_tx *t, struct zones *zones, size_t most, size_t *ret_n,
		      struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT id FROM plans WHERE covered = 0 ORDER BY id LIMIT $1",
		     db_i(most));
	int have = r ? 1 : -1;

	*ret_n = 0;
	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (coverage_plan(t, zones, db_text(r, 0), e) < 0)
			return -1;
		(*ret_n)++;
	}
	return have;
}

int coverage_plan_gone(struct db_tx *t, const char *plan, struct err *e)
{
	CLEANUP(coverage_things_done) struct coverage_things l = {NULL};
	AUTO(db_rows)
	r = db_query(t, e, "SELECT project_id FROM plans WHERE id = $1", db_t(plan));
	AUTO(db_rows) rows = NULL;
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	rows = taken_in(t, plan, e);
	have = rows ? 1 : -1;
	while (have > 0 && (have = db_next(rows, e)) > 0)
		coverage_add(&l, db_text(rows, 0), db_text(rows, 1));
	if (have < 0 ||
	    db_exec(t, NULL, e, "DELETE FROM plan_resources WHERE plan_id = $1", db_t(plan)) < 0)
		return -1;
	return show(t, db_text(r, 0), &l, e);
}

/* ---- what was found ---- */

/* Whether `p` takes it in by more than its name, where it is now. */
static int is_selected(struct db_tx *t, const struct plan *p, const struct coverage_thing *thing,
		       struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT platform_id, name, state FROM resources WHERE project_id = $1 AND "
		     "type = $2 AND id = $3 AND gone_at IS NULL",
		     db_t(p->project), db_t(thing->type), db_t(thing->id));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		const struct plan_candidate k = {db_text(r, 0), thing->type, thing->id,
						 db_text(r, 1), db_text(r, 2)};

		if (plan_selects(p, &k))
			return 1;
	}
	return have;
}

static bool names(const struct plan *p, const struct coverage_thing *thing)
{
	const json_t *v;
	size_t i;

	json_array_foreach(p->resources, i, v)
	{
		if (compare(json_text_in(v, "type"), json_text_in(v, "id"), thing->type,
			    thing->id) == 0)
			return true;
	}
	return false;
}

/* One plan with selectors and all that changed. */
static int select_again(struct db_tx *t, struct zones *zones, const struct plan *p,
			const struct coverage_things *things, struct err *e)
{
	bool changed = false;

	for (size_t i = 0; i < things->n; i++) {
		const struct coverage_thing *k = &things->v[i];
		AUTO(db_rows)
		r = db_query(t, e,
			     "SELECT 1 FROM plan_resources WHERE plan_id = $1 AND type = $2 AND "
			     "resource_id = $3",
			     db_t(p->id), db_t(k->type), db_t(k->id));
		int has = r ? db_next(r, e) : -1;
		int is = names(p, k) ? 1 : is_selected(t, p, k, e);

		if (has < 0 || is < 0)
			return -1;
		if (is == has)
			continue;
		changed = true;
		if ((is ? take_in(t, p->id, p->project, k->type, k->id, e)
			: let_go(t, p->id, k->type, k->id, e)) < 0)
			return -1;
	}
	return changed ? coverage_points(t, zones, p->id, e) : 0;
}

int coverage_found(struct db_tx *t, struct zones *zones, const char *project,
		   const struct coverage_things *things, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT id FROM plans WHERE project_id = $1 AND selects = 1 ORDER BY id",
		     db_t(project));
	int have = r ? 1 : -1;

	while (have > 0 && things->n && (have = db_next(r, e)) > 0) {
		AUTO(plan) p = plan_load(t, NULL, db_text(r, 0), e);

		if (!p || select_again(t, zones, p, things, e) < 0)
			return -1;
	}
	return have < 0 ? -1 : show(t, project, things, e);
}

/* ---- what changed beside ---- */

int coverage_trigger(struct db_tx *t, struct zones *zones, const char *trigger, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT DISTINCT plan_id FROM scheduled_operations WHERE trigger_id = $1 AND "
		     "plan_id IS NOT NULL ORDER BY plan_id",
		     db_t(trigger));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		if (coverage_points(t, zones, db_text(r, 0), e) < 0)
			return -1;
	return have;
}

int coverage_checkpoint(struct db_tx *t, struct zones *zones, const char *checkpoint, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT plan_id, project_id FROM checkpoints WHERE id = $1",
		     db_t(checkpoint));
	AUTO(db_rows) others = NULL;
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	if (coverage_points(t, zones, db_text(r, 0), e) < 0)
		return -1;
	/* What the plan does not take in any more, or what is left of a plan that is gone. */
	others = db_query(
		t, e,
		"SELECT k.type, k.id FROM checkpoint_resources k WHERE k.checkpoint_id = $1 AND "
		"NOT EXISTS (SELECT 1 FROM plan_resources p WHERE p.plan_id = $2 AND p.type = "
		"k.type AND p.resource_id = k.id)",
		db_t(checkpoint), db_t(db_text(r, 0)));
	have = others ? 1 : -1;
	while (have > 0 && (have = db_next(others, e)) > 0)
		if (coverage_show(t, db_text(r, 1), db_text(others, 0), db_text(others, 1), e) < 0)
			return -1;
	return have;
}
