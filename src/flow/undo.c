/* SPDX-License-Identifier: Apache-2.0 */
/*
 * undo.c: taking back what was done, and running an operation again.
 *
 * What is to be undone gets a wave: one more than the highest wave of all that it needs, through
 * any number of steps without an undo. Waves are undone one after the other, the highest first, so
 * a step is undone when everything that was built on it is.
 */
#include "flow/graph.h"

#include <string.h>

struct undo {
	struct turn *x;
	struct operation *o;
	struct graph *g;
	unsigned *wave; /* the highest up to here, for each step */
	uint64_t n;	/* how many are to be undone */
};

/* A mover's step is undone by a worker, but for those that movers undo. */
static int undo_one(struct undo *u, size_t i, const struct flow_kind *k, struct err *e)
{
	u->n++;
	return db_exec(u->x->t, NULL, e,
		       "UPDATE steps SET state = 'waiting', undoing = 1, undo_wave = $2, attempt = "
		       "0, given_back = 0, not_before = 0, progress = NULL, reason = NULL, queue = "
		       "CASE WHEN $3 = 1 THEN place ELSE '" FLOW_WORKER "' END WHERE id = $1",
		       db_t(u->g->v[i].id), db_i(u->wave[i]), db_i(k->mover_undoes));
}

static int undo_all(struct undo *u, struct err *e)
{
	for (size_t i = 0; i < u->g->n; i++) {
		const struct graph_step *s = &u->g->v[i];
		const struct flow_kind *k = flow_kind_find(u->x->f, s->kind);
		bool undone = s->done && flow_has_undo(k);

		for (size_t j = 0; j < s->n_needs; j++)
			u->wave[i] = MAX(u->wave[i], u->wave[s->needs[j]]);
		u->wave[i] += undone;
		if (undone && undo_one(u, i, k, e) < 0)
			return -1;
	}
	return 0;
}

int turn_begin_undo(struct turn *x, struct operation *o, struct err *e)
{
	AUTO(graph) g = graph_load(x->t, o->id, e);
	AUTO_FREE unsigned *wave = NULL;
	struct undo u = {.x = x, .o = o, .g = g};

	if (!g)
		return -1;
	u.wave = wave = xcalloc(g->n + 1, sizeof(*wave));
	if (undo_all(&u, e) < 0 ||
	    db_exec(x->t, NULL, e, "UPDATE operations SET undo_begun = 1 WHERE id = $1",
		    db_t(o->id)) < 0)
		return -1;
	o->undo_begun = true;
	return u.n == 0 ? 0
			: turn_log(x, o->id, NULL, "info", e, "Undoing %llu steps that were done",
				   (unsigned long long)u.n);
}

/* What is open has an index of its own: this is asked after each step that was undone. */
#define OPEN "operation_id = $1 AND state IN ('waiting', 'ready', 'running') AND "

int turn_next_wave(struct turn *x, struct operation *o, struct err *e)
{
	uint64_t n;

	if (db_exec(x->t, &n, e,
		    "UPDATE steps SET state = 'ready', ready_at = $2 WHERE " OPEN
		    "state = 'waiting' AND undo_wave = (SELECT max(undo_wave) FROM steps "
		    "WHERE " OPEN
		    "state = 'waiting') AND NOT EXISTS (SELECT 1 FROM steps WHERE " OPEN
		    "state IN ('ready', 'running'))",
		    db_t(o->id), db_i(x->now)) < 0)
		return -1;
	return n == 0 ? 0 : db_wake(x->t, WAKE_STEPS, e);
}

/* ---- again ---- */

static int forget(struct db_tx *t, const char *id, struct err *e)
{
	if (db_exec(t, NULL, e, "DELETE FROM step_needs WHERE step_id = $1", db_t(id)) < 0 ||
	    db_exec(t, NULL, e, "DELETE FROM step_needs WHERE needs_id = $1", db_t(id)) < 0 ||
	    db_exec(t, NULL, e, "DELETE FROM step_limits WHERE step_id = $1", db_t(id)) < 0)
		return -1;
	return db_exec(t, NULL, e, "DELETE FROM steps WHERE id = $1", db_t(id));
}

static int reset(struct turn *x, const struct graph_step *s, unsigned unmet, struct err *e)
{
	return db_exec(x->t, NULL, e,
		       "UPDATE steps SET state = $2, unmet = $3, undoing = 0, undo_wave = 0, queue "
		       "= place, fence = fence + 1, attempt = 0, given_back = 0, not_before = $4, "
		       "ready_at = $4, result = NULL, progress = NULL, reason = NULL, started_at = "
		       "NULL, ended_at = NULL, undo_started_at = NULL, undo_ended_at = NULL WHERE "
		       "id = $1",
		       db_t(s->id), db_t(unmet ? STEP_WAITING : STEP_READY), db_i(unmet),
		       db_i(x->now));
}

/* How a step goes into the next run. */
enum fate { STAYS, RUNS, GOES };

static enum fate fate_of(const struct graph *g, const enum fate *fate, size_t i, unsigned *unmet)
{
	const struct graph_step *s = &g->v[i];
	bool runs = !s->done;

	*unmet = 0;
	if (s->added_by != GRAPH_NONE && fate[s->added_by] != STAYS)
		return GOES;
	for (size_t j = 0; j < s->n_needs; j++) {
		*unmet += fate[s->needs[j]] == RUNS;
		runs = runs || fate[s->needs[j]] != STAYS;
	}
	return runs ? RUNS : STAYS;
}

static int run_again(struct turn *x, const char *operation, struct err *e)
{
	AUTO(graph) g = graph_load(x->t, operation, e);
	AUTO_FREE enum fate *fate = NULL;
	unsigned unmet;

	if (!g)
		return -1;
	fate = xcalloc(g->n + 1, sizeof(*fate));
	for (size_t i = 0; i < g->n; i++) {
		fate[i] = fate_of(g, fate, i, &unmet);
		if (fate[i] == RUNS && reset(x, &g->v[i], unmet, e) < 0)
			return -1;
		if (fate[i] == GOES && forget(x->t, g->v[i].id, e) < 0)
			return -1;
	}
	return 0;
}

int flow_retry(struct flow *f, struct db_tx *t, const char *operation, struct err *e)
{
	struct turn x = {.f = f, .t = t, .now = flow_now(f)};
	AUTO_OPERATION o = {0};

	if (turn_lock(&x, operation, &o, e) < 0)
		return -1;
	if (!o.ended || strcmp(o.state, FLOW_SUCCEEDED) == 0)
		return err_set(
			e, ERR_CONFLICT,
			"operation %s is %s: only one that failed or was cancelled can be run "
			"again",
			operation, o.state);
	if (run_again(&x, operation, e) < 0 ||
	    turn_log(&x, operation, NULL, "info", e, "It is run again") < 0 ||
	    db_exec(t, NULL, e,
		    "UPDATE operations SET state = 'queued', ending = '', undo_begun = 0, "
		    "cancel_asked = 0, give_up = 0, reason = NULL, progress = NULL, started_at = "
		    "NULL, ended_at = NULL, not_before = 0, deadline_at = CASE WHEN deadline_at <= "
		    "$2 THEN NULL ELSE deadline_at END WHERE id = $1",
		    db_t(operation), db_i(x.now)) < 0)
		return -1;
	return db_wake(t, WAKE_STEPS, e);
}
