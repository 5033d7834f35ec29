/* SPDX-License-Identifier: Apache-2.0 */
#include "core/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checkpoint.h"
#include "core/keeper_priv.h"
#include "core/operation.h"
#include "core/scheduled.h"
#include "core/table.h"

#define BATCH 100 /* deletions in one transaction */

/* ---- what there is ---- */

/* What judging added. */
static void forget(struct keeping *g)
{
	for (size_t i = 0; i < g->n_groups; i++) {
		struct keeping_group *group = &g->groups[i];

		free(group->sets);
		retention_result_done(&group->result);
		*group = (struct keeping_group){.first = group->first, .n = group->n};
	}
	plan_policy_free(g->rules);
	free(g->firings);
	free(g->scheduled);
	g->rules = NULL;
	g->firings = NULL;
	g->scheduled = NULL;
	g->n_firings = g->n_scheduled = g->n_kept = 0;
}

void keeping_free(struct keeping *g)
{
	if (!g)
		return;
	forget(g);
	for (size_t i = 0; i < g->n; i++) {
		struct keeping_row *r = &g->rows[i];

		free(r->id);
		free(r->maker);
		free(r->status);
		free(r->provider);
		free(r->copy_of);
	}
	free(g->name);
	free(g->project);
	free(g->policy);
	free(g->rows);
	free(g->points);
	free(g->groups);
	free(g);
}

static enum retention_state state_of(const char *status, bool failed_verification)
{
	if (strcmp(status, "available") == 0)
		return failed_verification ? RETENTION_DAMAGED : RETENTION_GOOD;
	/* Deleting it again is tried like removing a failure. */
	if (strcmp(status, "error") == 0 || strcmp(status, "error-deleting") == 0)
		return RETENTION_FAILED;
	return RETENTION_UNFINISHED;
}

static void add_row(struct keeping *g, const struct db_rows *r, size_t *cap)
{
	uint64_t created = (uint64_t)db_int(r, 7);
	struct keeping_row *row;

	if (g->n == *cap) {
		*cap = MAX(2 * *cap, 64);
		g->rows = xreallocarray(g->rows, *cap, sizeof(*g->rows));
		g->points = xreallocarray(g->points, *cap, sizeof(*g->points));
	}
	row = &g->rows[g->n];
	*row = (struct keeping_row){.id = xstrdup(db_text(r, 0)),
				    .status = xstrdup(db_text(r, 1)),
				    .maker = xstrdup(db_text(r, 2)),
				    .provider = xstrdup(db_text(r, 3)),
				    .copy_of = xstrdup0(db_text_or_null(r, 4))};
	g->points[g->n++] = (struct retention_point){
		.id = row->id,
		.maker = row->maker,
		.held = db_int(r, 5) != 0,
		.instant_us = db_is_null(r, 6) ? created : (uint64_t)db_int(r, 6),
		.committed_us = db_is_null(r, 8) ? created : (uint64_t)db_int(r, 8),
		.state = state_of(row->status, !db_is_null(r, 9) && db_int(r, 9) == 0),
		.verified = !db_is_null(r, 9) && db_int(r, 9) == 1};
}

static bool same_group(const struct keeping_row *a, const struct keeping_row *b)
{
	if (!a->copy_of || !b->copy_of)
		return !a->copy_of && !b->copy_of;
	return strcmp(a->provider, b->provider) == 0;
}

static void make_groups(struct keeping *g)
{
	for (size_t i = 0; i < g->n; i++) {
		if (i == 0 || !same_group(&g->rows[i - 1], &g->rows[i])) {
			g->groups = xreallocarray(g->groups, g->n_groups + 1, sizeof(*g->groups));
			g->groups[g->n_groups++] = (struct keeping_group){.first = i};
		}
		g->groups[g->n_groups - 1].n++;
	}
}

static int load_plan(struct keeping *g, struct db_tx *t, const char *project, const char *plan,
		     struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT id, project_id, policy_id, name FROM plans WHERE id = $1",
		     db_t(plan));
	int have = r ? db_next(r, e) : -1;

	if (have < 0)
		return -1;
	if (!have || (project && strcmp(project, db_text(r, 1)) != 0))
		return err_set(e, ERR_NOENT, "There is no plan '%s'.", plan);
	snprintf(g->id, sizeof(g->id), "%s", db_text(r, 0));
	g->project = xstrdup(db_text(r, 1));
	g->policy = xstrdup(db_text(r, 2));
	g->name = xstrdup(db_text(r, 3));
	return 0;
}

struct keeping *keeping_load(struct db_tx *t, const char *project, const char *plan, struct err *e)
{
	AUTO(keeping) g = xcalloc(1, sizeof(*g));
	AUTO(db_rows) r = NULL;
	size_t cap = 0;
	int have;

	if (!*plan) {
		g->name = xstrdup("");
		g->project = xstrdup0(project);
		return steal(&g);
	}
	if (load_plan(g, t, project, plan, e) < 0)
		return NULL;
	r = db_query(t, e,
		     "SELECT id, status, made_by, provider_id, copy_of, hold, instant_at, "
		     "created_at, ended_at, verified_ok FROM checkpoints WHERE plan_id = $1 AND "
		     "status NOT IN ('deleting', 'deleted') ORDER BY CASE WHEN copy_of IS NULL "
		     "THEN '' ELSE provider_id END, coalesce(instant_at, created_at), id",
		     db_t(plan));
	if (!r)
		return NULL;
	while ((have = db_next(r, e)) > 0)
		add_row(g, r, &cap);
	if (have < 0)
		return NULL;
	make_groups(g);
	return steal(&g);
}

/* ---- judging ---- */

static int load_scheduled(struct keeping *g, struct db_tx *t, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT operation_definition FROM scheduled_operations WHERE plan_id = $1 AND "
		     "operation_type = 'retention_protect' AND enabled = 1 ORDER BY id",
		     db_t(g->id));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		json_t *definition = json_of(db_text(r, 0), "{}");

		g->scheduled =
			xreallocarray(g->scheduled, g->n_scheduled + 1, sizeof(*g->scheduled));
		g->scheduled[g->n_scheduled++] =
			retention_karbor(scheduled_number(definition, "max_backups"),
					 scheduled_number(definition, "retention_duration"));
		json_decref(definition);
	}
	return have;
}

/* The rules, with those of scheduled operations; then nobody has to say that manual points stay. */
static void add_scheduled(const struct keeping *g, struct keeping_group *group)
{
	const struct retention *r = &group->retention;
	size_t n = 0;

	group->sets = xcalloc(r->n_sets + g->n_scheduled, sizeof(*group->sets));
	for (size_t i = 0; i < r->n_sets; i++) {
		const struct retention_set *set = &r->sets[i];
		bool unsaid =
			set->forever && set->maker && strcmp(set->maker, RETENTION_MANUAL) == 0;

		if (!unsaid)
			group->sets[n++] = *set;
	}
	for (size_t i = 0; i < g->n_scheduled; i++)
		group->sets[n++] = g->scheduled[i];
	group->retention.sets = group->sets;
	group->retention.n_sets = n;
}

/* ---- what has to be copied first ---- */

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct retention_point *const *)a)->id,
		      (*(struct retention_point *const *)b)->id);
}

static int mark_awaited(struct db_tx *t, const char *plan, const char *provider,
			struct retention_point **sorted, size_t n, struct err *e)
{
	AUTO(db_rows)
	r = db_query(
		t, e,
		"SELECT k.id FROM checkpoints k WHERE k.plan_id = $1 AND k.copy_of IS NULL AND "
		"k.provider_id <> $2 AND k.status = 'available' AND coalesce(k.verified_ok, "
		"1) = 1 AND NOT EXISTS (SELECT 1 FROM checkpoints o WHERE o.copy_of = k.id "
		"AND o.provider_id = $2 AND o.good_at IS NOT NULL)",
		db_t(plan), db_t(provider));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		struct retention_point wanted = {.id = db_text(r, 0)}, *key = &wanted;
		struct retention_point **found =
			bsearch(&key, sorted, n, sizeof(struct retention_point *), by_id);

		if (found)
			(*found)->awaited = true;
	}
	return have;
}

/* Damaged ones are not waited for: they are not copied. */
static int await_copies(struct keeping *g, struct db_tx *t, const struct policy *p, struct err *e)
{
	AUTO_FREE struct retention_point **sorted = xcalloc(g->n + 1, sizeof(*sorted));

	for (size_t i = 0; i < g->n; i++) {
		g->points[i].awaited = false;
		sorted[i] = &g->points[i];
	}
	qsort(sorted, g->n, sizeof(struct retention_point *), by_id);
	for (size_t i = 0; i < p->n_copies; i++)
		if (p->copies[i].awaited &&
		    mark_awaited(t, g->id, p->copies[i].provider, sorted, g->n, e) < 0)
			return -1;
	return 0;
}

int keeping_judge(struct keeping *g, struct db_tx *t, struct zones *zones,
		  const struct policy_draft *draft, size_t firings, uint64_t now_us, struct err *e)
{
	struct retention_zone zone;
	const struct policy *p;

	forget(g);
	g->rules = plan_policy_load(t, zones, g->project, g->policy, draft, now_us, e);
	if (!g->rules)
		return err_wrap(e, "plan %s", g->id);
	if (load_scheduled(g, t, e) < 0)
		return -1;
	p = g->rules->merged;
	if (await_copies(g, t, p, e) < 0)
		return -1;
	zone = policy_zone(p);
	if (firings > 0)
		g->firings =
			policy_foretell(p, now_us, now_us + KEEPING_US, firings, &g->n_firings);
	for (size_t i = 0; i < g->n_groups; i++) {
		struct keeping_group *group = &g->groups[i];
		const struct keeping_row *first = &g->rows[group->first];

		group->retention = policy_retention(p, first->copy_of ? first->provider : NULL);
		if (g->n_scheduled > 0)
			add_scheduled(g, group);
		retention_decide(&group->retention, g->points + group->first, group->n, g->firings,
				 g->n_firings, now_us, &zone, &group->result);
		g->n_kept += group->result.n_kept;
	}
	return 0;
}

/* ---- a plan ---- */

int keeper_delete(void *arg, struct db_tx *t, const char *project, const char *checkpoint,
		  struct err *e)
{
	static const char *const users[] = {"restore", "verify", "copy"};
	char operation[UUID_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		int live = operation_live(t, "checkpoint", checkpoint, users[i], operation, e);

		if (live)
			return live;
	}
	return checkpoint_delete(arg, t, project, checkpoint, "retention", operation, e);
}

int keeper_plan(struct db_tx *t, const struct keeper *k, const char *plan, uint64_t now_us,
		size_t *ret_started, bool *ret_more, struct err *e)
{
	AUTO(keeping) g = keeping_load(t, NULL, plan, e);
	size_t started = 0, most = k->most ? k->most : BATCH;

	if (!g || keeping_judge(g, t, k->zones, NULL, 0, now_us, e) < 0)
		return -1;
	*ret_more = false;
	for (size_t i = 0; i < g->n_groups && !*ret_more; i++) {
		const struct keeping_group *group = &g->groups[i];

		/* The oldest first. */
		for (size_t j = 0; j < group->n; j++) {
			int busy;

			if (group->result.verdicts[j].keep)
				continue;
			if (started == most) {
				*ret_more = true;
				break;
			}
			busy = k->delete (k->arg, t, g->project, g->rows[group->first + j].id, e);
			if (busy < 0)
				return err_wrap(e, "plan %s: checkpoint %s", plan,
						g->rows[group->first + j].id);
			started += !busy;
		}
	}
	*ret_started = started;
	return 0;
}

/* ---- all plans ---- */

/* Plans that have something that could go. */
static const char plans_sql[] =
	"SELECT p.id FROM plans p WHERE p.id > $1 AND EXISTS (SELECT 1 FROM checkpoints c WHERE "
	"c.plan_id = p.id AND c.status IN ('available', 'error', 'error-deleting')) ORDER BY p.id "
	"LIMIT $2";

struct turn {
	struct db *d;
	const struct keeper *k;
	const char *plan;
	uint64_t now_us;
	size_t started, plans, all;
	bool more;
};

/* Whether anything is to go: mostly nothing is, and who only reads is in nobody's way. */
static int look(struct db_tx *t, void *arg, struct err *e)
{
	struct turn *x = arg;
	AUTO(keeping) g = keeping_load(t, NULL, x->plan, e);

	if (!g || keeping_judge(g, t, x->k->zones, NULL, 0, x->now_us, e) < 0)
		return -1;
	x->more = g->n_kept < g->n;
	return 0;
}

static int look_after(struct db_tx *t, void *arg, struct err *e)
{
	struct turn *x = arg;

	return keeper_plan(t, x->k, x->plan, x->now_us, &x->started, &x->more, e);
}

static int look_after_plan(void *arg, const char *plan, struct err *e)
{
	struct turn *x = arg;
	struct err why = {0};
	int status;

	x->plan = plan;
	status = db_read(x->d, look, x, &why);
	while (status == 0 && x->more) {
		status = db_write(x->d, look_after, x, &why);
		if (status < 0)
			break;
		x->all += x->started;
		x->more = x->more && x->started > 0;
	}
	/* It may have gone since it was listed. */
	if (status < 0 && why.kind != ERR_NOENT) {
		*e = why;
		return -1;
	}
	x->plans += status == 0;
	return 0;
}

int keeper_run(struct db *d, const struct keeper *k, uint64_t now_us,
	       struct keeper_report *ret_report, struct err *e)
{
	struct turn x = {.d = d, .k = k, .now_us = now_us};
	struct plan_walk walk;

	if (plan_walk(d, plans_sql, look_after_plan, &x, &walk, e) < 0)
		return -1;
	*ret_report = (struct keeper_report){.plans = x.plans, .started = x.all, .walk = walk};
	return 0;
}
