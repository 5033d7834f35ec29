/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan has of each thing that it takes in. Nearly always its newest good checkpoint has all
 * of them: it is read once, beside the rows in the same order, and only what is not in it is looked
 * for by itself.
 */
#include <stdio.h>
#include <string.h>

#include "core/coverage.h"
#include "core/coverage_due.h"
#include "core/coverage_priv.h"
#include "core/json.h"

#define PLANS_SHOWN 20
#define PLANS_MOST 1000

/* A good checkpoint, of one thing or of a plan. */
struct good {
	char id[UUID_TEXT];  /* "": there is none */
	int64_t at, made_at; /* whose state; when it was begun */
	int64_t size, took;
};

/* The columns that good_of() reads. A copy is begun later than what it has. */
#define GOOD_COLUMNS                                                                               \
	"c.id, c.instant_at, CASE WHEN c.copy_of IS NULL THEN c.created_at ELSE c.instant_at "     \
	"END, coalesce(c.ended_at - c.created_at, 0)"

static void good_of(const struct db_rows *r, struct good *g)
{
	snprintf(g->id, sizeof(g->id), "%s", db_text(r, 0));
	g->at = db_int(r, 1);
	g->made_at = db_int(r, 2);
	g->took = MAX(db_int(r, 3), 0);
}

struct points {
	const char *plan;
	char *project;
	struct good newest;
	struct promises *promises;
	bool changed; /* of the plan, and so all that it takes in */
};

static void points_done(struct points *p)
{
	free(p->project);
	promises_free(p->promises);
}

static struct db_value or_null(int64_t v, bool there)
{
	return there ? db_i(v) : db_null();
}

static bool differs(const struct db_rows *r, int column, struct db_value v)
{
	if (db_is_null(r, column) || v.type == DB_NULL)
		return db_is_null(r, column) != (v.type == DB_NULL);
	return db_int(r, column) != v.i;
}

/* ---- the plan ---- */

static int newest_good(struct db_tx *t, struct points *p, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT " GOOD_COLUMNS " FROM checkpoints c WHERE c.plan_id = $1 AND "
		     "c." COVERAGE_GOOD " AND instant_at IS NOT NULL ORDER BY c.instant_at DESC, "
		     "c.id DESC LIMIT 1",
		     db_t(p->plan));
	int have = r ? db_next(r, e) : -1;

	if (have > 0)
		good_of(r, &p->newest);
	return have < 0 ? -1 : 0;
}

/* An attempt that ended in an error, if it was begun after all that is good. Rows: created_at,
 * reason. */
static struct db_rows *newest_failure(struct db_tx *t, const struct points *p, struct err *e)
{
	return db_query(t, e,
			"SELECT created_at, coalesce(reason, '') FROM checkpoints WHERE plan_id = "
			"$1 AND status = 'error' AND copy_of IS NULL AND created_at > $2 ORDER BY "
			"created_at DESC LIMIT 1",
			db_t(p->plan), db_i(*p->newest.id ? p->newest.made_at : -1));
}

static uint64_t due_of(const struct points *p, const struct good *g, int64_t since)
{
	return promises_due(p->promises, (uint64_t)(*g->id ? g->made_at : since),
			    (uint64_t)(*g->id ? g->took : p->newest.took));
}

static int store_plan(struct db_tx *t, struct points *p, const struct db_rows *old, struct err *e)
{
	AUTO(db_rows) bad = newest_failure(t, p, e);
	int have = bad ? db_next(bad, e) : -1;
	uint64_t due = due_of(p, &p->newest, db_int(old, 1));
	bool good = *p->newest.id;

	if (have < 0)
		return -1;
	p->changed = differs(old, 4, or_null(have ? db_int(bad, 0) : 0, have)) ||
		     strcmp(db_text(old, 5), have ? db_text(bad, 1) : "") != 0;
	if (!p->changed && !differs(old, 2, or_null(p->newest.at, good)) &&
	    !differs(old, 3, or_null((int64_t)due, due)))
		return 0;
	return db_exec(t, NULL, e,
		       "UPDATE plans SET good_at = $2, due_at = $3, failed_at = $4, failed_reason "
		       "= $5 WHERE id = $1",
		       db_t(p->plan), or_null(p->newest.at, good), or_null((int64_t)due, due),
		       or_null(have ? db_int(bad, 0) : 0, have),
		       db_t(have ? db_text(bad, 1) : NULL));
}

/* ---- each thing ---- */

static int find_good(struct db_tx *t, const struct points *p, const char *type, const char *id,
		     struct good *ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT " GOOD_COLUMNS ", k.bytes_total FROM checkpoint_resources k JOIN "
		     "checkpoints c ON c.id = k.checkpoint_id WHERE k.id = $3 AND k.type = $2 AND "
		     "c.plan_id = $1 AND c." COVERAGE_GOOD " AND c.instant_at IS NOT NULL ORDER BY "
		     "c.instant_at DESC, c.id DESC LIMIT 1",
		     db_t(p->plan), db_t(type), db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	good_of(r, ret);
	ret->size = db_int(r, 4);
	return 0;
}

/* `r`: type, resource_id, since, good_at, made_at, checkpoint_id, size_bytes, due_at */
static int store_one(struct db_tx *t, const struct points *p, const struct db_rows *r,
		     const struct good *g, struct err *e)
{
	uint64_t due = due_of(p, g, db_int(r, 2));
	bool good = *g->id;

	if (!differs(r, 3, or_null(g->at, good)) && !differs(r, 4, or_null(g->made_at, good)) &&
	    strcmp(db_text(r, 5), g->id) == 0 && !differs(r, 6, or_null(g->size, good)) &&
	    !differs(r, 7, or_null((int64_t)due, due)))
		return p->changed ? coverage_show(t, p->project, db_text(r, 0), db_text(r, 1), e)
				  : 0;
	if (db_exec(t, NULL, e,
		    "UPDATE plan_resources SET good_at = $4, made_at = $5, checkpoint_id = $6, "
		    "size_bytes = $7, due_at = $8 WHERE plan_id = $1 AND type = $2 AND "
		    "resource_id = $3",
		    db_t(p->plan), db_t(db_text(r, 0)), db_t(db_text(r, 1)), or_null(g->at, good),
		    or_null(g->made_at, good), db_t0(g->id), or_null(g->size, good),
		    or_null((int64_t)due, due)) < 0)
		return -1;
	return coverage_show(t, p->project, db_text(r, 0), db_text(r, 1), e);
}

/*
 * Go on in `in`, the rows of the newest good checkpoint in the same order, to this thing. *have:
 * whether there is a row. 1: it is this thing's.
 */
static int step_to(struct db_rows *in, const char *type, const char *id, int *have, struct err *e)
{
	while (*have > 0) {
		int d = strcmp(type, db_text(in, 0));

		d = d ? d : strcmp(id, db_text(in, 1));
		if (d <= 0)
			return d == 0;
		*have = db_next(in, e);
	}
	return *have;
}

static int store_all(struct db_tx *t, const struct points *p, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT type, resource_id, since, good_at, made_at, checkpoint_id, "
		     "size_bytes, due_at FROM plan_resources WHERE plan_id = $1 ORDER BY type, "
		     "resource_id",
		     db_t(p->plan));
	AUTO(db_rows)
	in = db_query(t, e,
		      "SELECT type, id, bytes_total FROM checkpoint_resources WHERE checkpoint_id "
		      "= $1 ORDER BY type, id",
		      db_t(p->newest.id));
	int more = r ? 1 : -1, have = in ? db_next(in, e) : -1;

	while (more > 0 && (more = db_next(r, e)) > 0) {
		struct good g = {.id = ""};
		int is = step_to(in, db_text(r, 0), db_text(r, 1), &have, e);

		if (is > 0) {
			g = p->newest;
			g.size = db_int(in, 2);
		} else if (*p->newest.id) {
			is = find_good(t, p, db_text(r, 0), db_text(r, 1), &g, e);
		}
		if (is < 0 || store_one(t, p, r, &g, e) < 0)
			return -1;
	}
	return more;
}

int coverage_points(struct db_tx *t, struct zones *zones, const char *plan, struct err *e)
{
	CLEANUP(points_done) struct points p = {.plan = plan};
	AUTO(db_rows)
	old = db_query(t, e,
		       "SELECT project_id, created_at, good_at, due_at, failed_at, failed_reason "
		       "FROM plans WHERE id = $1",
		       db_t(plan));
	int have = old ? db_next(old, e) : -1;

	if (have <= 0)
		return have;
	p.project = xstrdup(db_text(old, 0));
	p.promises = promises_load(t, zones, plan, e);
	if (!p.promises || newest_good(t, &p, e) < 0 || store_plan(t, &p, old, e) < 0)
		return -1;
	return store_all(t, &p, e);
}

/* ---- the resource ---- */

struct sum {
	json_t *plans;
	int64_t n, good_at, made_at, size, due_at, failed_at;
	char checkpoint[UUID_TEXT];
	char *reason;
};

static void sum_done(struct sum *s)
{
	json_decref(s->plans);
	free(s->reason);
}

/* `r`: id, name, good_at, made_at, checkpoint_id, size_bytes, due_at, failed_at, failed_reason */
static void add_plan(struct sum *s, const struct db_rows *r)
{
	if (s->n++ < PLANS_SHOWN)
		json_array_append_new(s->plans, json_pack("{s:s, s:s}", "id", db_text(r, 0), "name",
							  db_text(r, 1)));
	if (!db_is_null(r, 2) && db_int(r, 2) > s->good_at) {
		s->good_at = db_int(r, 2);
		s->size = db_int(r, 5);
		snprintf(s->checkpoint, sizeof(s->checkpoint), "%s", db_text(r, 4));
	}
	s->made_at = MAX(s->made_at, db_int(r, 3));
	if (!db_is_null(r, 6) && (!s->due_at || db_int(r, 6) < s->due_at))
		s->due_at = db_int(r, 6);
	if (db_int(r, 7) > s->failed_at) {
		s->failed_at = db_int(r, 7);
		free(s->reason);
		s->reason = xasprintf("%s: %s", db_text(r, 1), db_text(r, 8));
	}
}

static int sum_plans(struct db_tx *t, const char *project, const char *type, const char *id,
		     struct sum *s, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT p.id, p.name, k.good_at, k.made_at, k.checkpoint_id, k.size_bytes, "
		     "k.due_at, p.failed_at, p.failed_reason FROM plan_resources k JOIN plans p ON "
		     "p.id = k.plan_id WHERE k.project_id = $1 AND k.type = $2 AND k.resource_id = "
		     "$3 ORDER BY p.name, p.id LIMIT $4",
		     db_t(project), db_t(type), db_t(id), db_i(PLANS_MOST));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		add_plan(s, r);
	return have;
}

/* What no plan takes in may still have been protected once. */
static int find_orphan(struct db_tx *t, const char *project, const char *type, const char *id,
		       struct sum *s, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT c.id, c.instant_at, k.bytes_total FROM checkpoint_resources k JOIN "
		     "checkpoints c ON c.id = k.checkpoint_id WHERE k.id = $3 AND k.type = $2 AND "
		     "c.project_id = $1 AND c." COVERAGE_GOOD " AND c.instant_at IS NOT NULL ORDER "
		     "BY c.instant_at DESC, c.id DESC LIMIT 1",
		     db_t(project), db_t(type), db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	snprintf(s->checkpoint, sizeof(s->checkpoint), "%s", db_text(r, 0));
	s->good_at = db_int(r, 1);
	s->size = db_int(r, 2);
	return 0;
}

int coverage_show(struct db_tx *t, const char *project, const char *type, const char *id,
		  struct err *e)
{
	CLEANUP(sum_done)
	struct sum s = {.plans = json_array(), .good_at = -1, .made_at = -1, .failed_at = -1};
	AUTO_FREE char *plans = NULL;
	bool good, failing;

	if (sum_plans(t, project, type, id, &s, e) < 0 ||
	    (s.n == 0 && find_orphan(t, project, type, id, &s, e) < 0))
		return -1;
	plans = json_text(s.plans);
	good = *s.checkpoint;
	failing = s.failed_at > s.made_at;
	return db_exec(
		t, NULL, e,
		"UPDATE resources SET plans = $4, n_plans = $5, good_at = $6, checkpoint_id = $7, "
		"size_bytes = $8, due_at = $9, failing = $10, failed_reason = $11 WHERE project_id "
		"= $1 AND type = $2 AND id = $3",
		db_t(project), db_t(type), db_t(id), db_t(plans), db_i(s.n),
		or_null(s.good_at, good), db_t0(s.checkpoint), or_null(s.size, good),
		or_null(s.due_at, s.due_at), db_i(failing), db_t(failing ? s.reason : NULL));
}
