/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finish.c: what follows when an attempt is over, and when an operation comes to its end.
 *
 *	waiting ──needs are done──> ready ──taken──> running ──> done ──┐ operation fails
 *	   │                          │ ^───pause, given back──┘ │      v
 *	   │   operation fails        │                          │   waiting ──wave──> ready <──>
 *running └──────> cancelled <───────┴───────── failed <────────┘                 undone,
 *undo_failed
 *
 * turn_advance() is the one place that decides what an operation does next, from the states of its
 * steps alone. It may be called at any time, and look_after calls it for every operation that
 *nobody works on: so an operation that a killed process left between two states goes on from there.
 */
#include "flow/flow_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* ---- the end ---- */

/* The reason, and what could not be undone. */
static int last_reason(struct turn *x, const struct operation *o, bool *ret_stuck, char **ret,
		       struct err *e)
{
	AUTO(db_rows)
	r = db_query(x->t, e,
		     "SELECT name, reason FROM steps WHERE operation_id = $1 AND "
		     "state = 'undo_failed' ORDER BY position LIMIT 1",
		     db_t(o->id));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	*ret_stuck = rc > 0;
	*ret = rc == 0 ? xstrdup0(o->reason)
		       : xasprintf("%s; and %s could not be undone: %s", o->reason ? o->reason : "",
				   db_text(r, 0), db_text(r, 1));
	return 0;
}

static int end_hook(struct turn *x, struct operation *o, const char *state, const char *reason,
		    struct err *e)
{
	const struct flow_operation_kind *k = flow_operation_find(x->f, o->kind);
	int rc;

	if (!k || !k->ended || !turn_hook_begin(x, HOOK_ENDED, NULL))
		return 0;
	rc = k->ended(x->t, o->id, o->subject, state, reason, e);
	turn_hook_end(x, rc);
	return rc;
}

static int end(struct turn *x, struct operation *o, struct err *e)
{
	const char *state = *o->ending ? o->ending : FLOW_SUCCEEDED;
	AUTO_FREE char *reason = NULL;
	AUTO_FREE char *progress = NULL;
	json_t *sum;
	bool stuck;

	if (last_reason(x, o, &stuck, &reason, e) < 0 || flow_progress(x->t, o->id, &sum, e) < 0)
		return -1;
	progress = flow_dump_json(sum);
	json_decref(sum);
	if (stuck)
		state = FLOW_FAILED;
	if (db_exec(x->t, NULL, e,
		    "UPDATE operations SET state = $2, reason = $3, progress = $4, ended_at = $5 "
		    "WHERE id = $1",
		    db_t(o->id), db_t(state), db_t(reason), db_t(progress), db_i(x->now)) < 0 ||
	    turn_log(x, o->id, NULL, strcmp(state, FLOW_FAILED) == 0 ? "error" : "info", e,
		     "Ended: %s%s%s", state, reason ? ": " : "", reason ? reason : "") < 0)
		return -1;
	if (x->skip && turn_log(x, o->id, NULL, "error", e,
				"A function of the server failed and was left out: %s", x->why) < 0)
		return -1;
	o->ended = true;
	return end_hook(x, o, state, reason, e);
}

/* ---- stopping ---- */

int turn_stop(struct turn *x, struct operation *o, const char *ending, const char *reason,
	      struct err *e)
{
	if (strcmp(o->state, FLOW_UNDOING) == 0 || o->ended)
		return 0;
	if (db_exec(x->t, NULL, e,
		    "UPDATE operations SET state = 'undoing', ending = $2, reason = $3 WHERE id = "
		    "$1",
		    db_t(o->id), db_t(ending), db_t(reason)) < 0)
		return -1;
	free(o->state);
	free(o->ending);
	free(o->reason);
	o->state = xstrdup(FLOW_UNDOING);
	o->ending = xstrdup(ending);
	o->reason = xstrdup(reason);
	return db_wake(x->t, WAKE_STOPS, e);
}

static int failed_hook(struct turn *x, const struct flow_step *s, const struct err *why,
		       struct err *e)
{
	const struct flow_kind *k = flow_kind_find(x->f, s->kind);
	int rc;

	if (!k || !k->failed || !turn_hook_begin(x, HOOK_FAILED, s))
		return 0;
	rc = k->failed(x->t, s, why, e);
	turn_hook_end(x, rc);
	return rc;
}

/* Tell the steps that were tried and now never will be again. */
static int cancel_tried(struct turn *x, const struct operation *o, struct err *e)
{
	struct err why = {0};
	AUTO(db_rows)
	r = db_query(x->t, e,
		     "SELECT " FLOW_STEP_COLUMNS
		     " FROM steps s JOIN operations o ON o.id = s.operation_id "
		     "WHERE s.operation_id = $1 AND s.state IN ('waiting', 'ready', 'running') "
		     "AND s.state = 'ready' AND s.attempt > 0 ORDER BY s.position",
		     db_t(o->id));
	int rc = -1;

	err_set(&why, ERR_CANCELLED, "%s", o->reason ? o->reason : "stopped");
	while (r && (rc = db_next(r, e)) > 0) {
		AUTO(flow_step) s = flow_step_load(r, e);

		if (!s || failed_hook(x, s, &why, e) < 0)
			return -1;
	}
	return rc;
}

static int cancel_rest(struct turn *x, const struct operation *o, struct err *e)
{
	if (cancel_tried(x, o, e) < 0)
		return -1;
	return db_exec(x->t, NULL, e,
		       "UPDATE steps SET state = 'cancelled', ended_at = $2 WHERE operation_id = "
		       "$1 AND state IN ('waiting', 'ready')",
		       db_t(o->id), db_i(x->now));
}

/* Whether there is a step in one of the states that are not ends; with `running`, in that one. */
static int any_open(struct turn *x, const char *operation, bool running, bool *ret_any,
		    struct err *e)
{
	AUTO(db_rows)
	r = running ? db_query(x->t, e,
			       "SELECT 1 FROM steps WHERE operation_id = $1 AND state = "
			       "'running' AND state IN ('waiting', 'ready', 'running') LIMIT 1",
			       db_t(operation))
		    : db_query(x->t, e,
			       "SELECT 1 FROM steps WHERE operation_id = $1 AND state IN "
			       "('waiting', 'ready', 'running') LIMIT 1",
			       db_t(operation));
	int rc = r ? db_next(r, e) : -1;

	*ret_any = rc > 0;
	return MIN(rc, 0);
}

/* Undo steps that nobody takes: the mover that has to may never come back. */
static int give_up_undo(struct turn *x, const struct operation *o, struct err *e)
{
	AUTO(db_rows) r = NULL;
	int rc = -1;

	if (!o->give_up || !o->undo_begun)
		return 0;
	r = db_query(x->t, e,
		     "UPDATE steps SET state = 'undo_failed', undo_ended_at = $2, reason = 'nobody "
		     "came to undo it, and it was cancelled again' WHERE operation_id = $1 AND "
		     "state = 'ready' AND undoing = 1 AND (ready_at < $3 OR ready_at > $2) "
		     "RETURNING id, name",
		     db_t(o->id), db_i(x->now), db_i(x->now - FLOW_GIVE_UP_US));
	while (r && (rc = db_next(r, e)) > 0)
		if (turn_log(x, o->id, db_text(r, 0), "error", e,
			     "Undoing %s is given up: nobody took it", db_text(r, 1)) < 0)
			return -1;
	return rc;
}

int turn_advance(struct turn *x, struct operation *o, struct err *e)
{
	bool any;

	if (o->ended)
		return 0;
	if (strcmp(o->state, FLOW_UNDOING) == 0 && !o->undo_begun) {
		if (cancel_rest(x, o, e) < 0 || any_open(x, o->id, true, &any, e) < 0)
			return -1;
		if (any)
			return 0;
		if (turn_begin_undo(x, o, e) < 0)
			return -1;
	}
	if (o->undo_begun && (give_up_undo(x, o, e) < 0 || turn_next_wave(x, o, e) < 0))
		return -1;
	if (any_open(x, o->id, false, &any, e) < 0)
		return -1;
	return any ? 0 : end(x, o, e);
}

/* ---- one attempt ---- */

/* What an attempt was about. */
struct tried {
	struct flow_step *s;
	const struct flow_kind *k;
	struct operation *o;
	const struct attempt *a;
	char *name;
	unsigned given_back;
};

static uint64_t pause_after(const struct flow *f, unsigned attempt)
{
	uint64_t us = f->pause_first_us;
	uint16_t r;

	for (unsigned i = 1; i < attempt && us < f->pause_most_us; i++)
		us *= 2;
	us = MIN(us, f->pause_most_us);
	random_bytes(&r, sizeof(r));
	return us - us / 4 + us / 2 * r / UINT16_MAX;
}

/* Ready again after a pause. `counted`: this attempt is. */
static int again(struct turn *x, const struct tried *d, uint64_t pause, bool counted, struct err *e)
{
	if (db_exec(x->t, NULL, e,
		    "UPDATE steps SET state = 'ready', fence = fence + 1, attempt = $2, given_back "
		    "= given_back + $3, not_before = $4, ready_at = $5, reason = $6, leased_by = "
		    "NULL, lease_until = NULL WHERE id = $1",
		    db_t(d->s->id), db_i(counted ? d->s->attempt : d->s->attempt - 1),
		    db_i(!counted), db_i(x->now + pause), db_i(x->now), db_t(d->a->why->msg)) < 0)
		return -1;
	if (!counted)
		return turn_log(x, d->o->id, d->s->id, "info", e, "%s was given back: %s", d->name,
				d->a->why->msg);
	return turn_log(x, d->o->id, d->s->id, "warning", e,
			"%s%s: attempt %u failed: %s; again in %.1f s",
			d->s->undo ? "Undoing " : "", d->name, d->s->attempt, d->a->why->msg,
			(double)pause / 1e6);
}

static int record(struct turn *x, const struct tried *d, const char *state, const char *reason,
		  const char *result, struct err *e)
{
	if (d->s->undo)
		return db_exec(x->t, NULL, e,
			       "UPDATE steps SET state = $2, reason = $3, undo_ended_at = $4, "
			       "leased_by = NULL, lease_until = NULL WHERE id = $1",
			       db_t(d->s->id), db_t(state), db_t(reason), db_i(x->now));
	return db_exec(x->t, NULL, e,
		       "UPDATE steps SET state = $2, reason = $3, ended_at = $4, result = $5, "
		       "leased_by = NULL, lease_until = NULL WHERE id = $1",
		       db_t(d->s->id), db_t(state), db_t(reason), db_i(x->now), db_t(result));
}

static int call_settle(struct turn *x, const struct tried *d, struct err *e)
{
	int (*fn)(struct db_tx *, const struct flow_step *, struct err *) = NULL;
	int rc;

	if (d->k)
		fn = d->s->undo ? d->k->undone : d->k->settle;
	if (!fn || !turn_hook_begin(x, HOOK_SETTLE, d->s))
		return 0;
	rc = fn(x->t, d->s, e);
	turn_hook_end(x, rc);
	return rc;
}

static int succeeded(struct turn *x, struct tried *d, struct err *e)
{
	AUTO_FREE char *result = flow_dump_json(d->a->result);

	if (d->s->undo) {
		if (record(x, d, STEP_UNDONE, NULL, NULL, e) < 0)
			return -1;
		return call_settle(x, d, e);
	}
	json_decref(d->s->result);
	d->s->result = d->a->result ? json_incref((json_t *)d->a->result) : NULL;
	if (record(x, d, STEP_DONE, NULL, result, e) < 0 ||
	    db_exec(x->t, NULL, e,
		    "UPDATE steps SET unmet = unmet - 1, state = CASE WHEN unmet <= 1 THEN 'ready' "
		    "ELSE state END, ready_at = $2 WHERE state = 'waiting' AND id IN (SELECT "
		    "step_id FROM step_needs WHERE needs_id = $1)",
		    db_t(d->s->id), db_i(x->now)) < 0)
		return -1;
	return call_settle(x, d, e);
}

/* For good. */
static int gave_up(struct turn *x, struct tried *d, struct err *e)
{
	const struct err *why = d->a->why;
	bool stopped = strcmp(d->o->state, FLOW_UNDOING) == 0 &&
		       (why->kind == ERR_CANCELLED || d->a->expired);
	AUTO_FREE char *reason = xasprintf("%s: %s", d->name, why->msg);

	if (d->s->undo) {
		log_error("flow: operation %s: undoing %s failed for good: %s", d->o->id, d->name,
			  why->msg);
		if (turn_log(x, d->o->id, d->s->id, "error", e,
			     "Undoing %s failed %u times and is given up: %s", d->name,
			     d->s->attempt, why->msg) < 0)
			return -1;
		return record(x, d, STEP_UNDO_FAILED, why->msg, NULL, e);
	}
	if (record(x, d, stopped ? STEP_CANCELLED : STEP_FAILED, why->msg, NULL, e) < 0)
		return -1;
	if (!stopped &&
	    turn_log(x, d->o->id, d->s->id, "error", e, "%s failed: %s", d->name, why->msg) < 0)
		return -1;
	if (turn_stop(x, d->o, FLOW_FAILED, reason, e) < 0)
		return -1;
	return failed_hook(x, d->s, why, e);
}

static int did_not(struct turn *x, struct tried *d, struct err *e)
{
	unsigned most = d->k && d->k->attempts ? d->k->attempts : FLOW_ATTEMPTS;
	bool undoing = strcmp(d->o->state, FLOW_UNDOING) == 0;
	/* A kind that this version does not know may be known to the next that takes it. */
	bool retryable = d->s->undo || !d->k || err_info(d->a->why->kind)->retryable;

	if (undoing && !d->s->undo)
		return gave_up(x, d, e);
	if (d->a->why->kind == ERR_CANCELLED && !d->a->expired &&
	    d->given_back < FLOW_GIVEN_BACK_MOST)
		return again(x, d, d->given_back ? pause_after(x->f, d->given_back) : 0, false, e);
	if (retryable && d->s->attempt < most)
		return again(x, d, pause_after(x->f, d->s->attempt), true, e);
	return gave_up(x, d, e);
}

/* Lock the step's operation. */
static int lock_of(struct turn *x, const struct attempt *a, struct operation *o, struct err *e)
{
	AUTO(db_rows)
	r = db_query(x->t, e, "SELECT operation_id FROM steps WHERE id = $1", db_t(a->step));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_CONFLICT, "there is no step %s any more", a->step);
	return turn_lock(x, db_text(r, 0), o, e);
}

#define TRIED                                                                                      \
	"SELECT " FLOW_STEP_COLUMNS ", s.name, s.given_back FROM steps s JOIN operations o ON "    \
	"o.id = s.operation_id WHERE s.id = $3 AND s.fence = $4 AND s.state = 'running' AND "

static int load_tried(struct turn *x, const struct attempt *a, struct tried *d, struct err *e)
{
	const char *sql = a->expired ? TRIED FLOW_EXPIRED_SQL : TRIED "$1 = $1 AND $2 = $2";
	AUTO(db_rows)
	r = db_query(x->t, e, sql, db_i(x->now), db_i(FLOW_SKEW_US), db_t(a->step), db_i(a->fence));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_CONFLICT,
			       "step %s is not leased under fence %llu: it has ended, or somebody "
			       "else has it",
			       a->step, (unsigned long long)a->fence);
	d->s = flow_step_load(r, e);
	if (!d->s)
		return -1;
	d->k = flow_kind_find(x->f, d->s->kind);
	d->name = xstrdup(db_text(r, FLOW_STEP_N));
	d->given_back = (unsigned)db_int(r, FLOW_STEP_N + 1);
	return 0;
}

static int attempt(struct turn *x, struct tried *d, struct err *e)
{
	if (load_tried(x, d->a, d, e) < 0)
		return -1;
	if (db_exec(x->t, NULL, e, "DELETE FROM step_holds WHERE step_id = $1", db_t(d->s->id)) < 0)
		return -1;
	if ((d->a->why ? did_not(x, d, e) : succeeded(x, d, e)) < 0 || turn_advance(x, d->o, e) < 0)
		return -1;
	/* Others may be ready now, and what it held is free. */
	return db_wake(x->t, WAKE_STEPS, e);
}

int turn_attempt(struct turn *x, void *arg, struct err *e)
{
	AUTO_OPERATION o = {0};
	struct tried d = {.a = arg, .o = &o};
	int rc = lock_of(x, arg, &o, e);

	if (rc == 0)
		rc = attempt(x, &d, e);
	flow_step_free(d.s);
	free(d.name);
	return rc;
}

int flow_finish(struct flow *f, const char *step, uint64_t fence, json_t *result,
		const struct err *why, struct err *e)
{
	struct attempt a = {.step = step, .fence = fence, .result = result, .why = why};
	struct err settle = {0};
	bool unsettled = false;

	if (result && (!json_is_object(result)))
		return err_set(e, ERR_INVALID, "the result of a step is no JSON object");
	if (turn_write(f, turn_attempt, &a, &unsettled, &settle) == 0)
		return 0;
	if (!unsettled) {
		if (e)
			*e = settle;
		return -1;
	}
	/* What it did cannot be recorded: this attempt has failed by that. */
	if (settle.kind == ERR_CANCELLED)
		settle.kind = ERR_INTERNAL;
	a = (struct attempt){.step = step, .fence = fence, .why = &settle};
	return turn_write(f, turn_attempt, &a, NULL, e);
}
