/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trigger_fire.c: what one trigger does, in the scheduler's transaction.
 *
 * The firing is written first, as it will be. If somebody else's is there already, nothing is
 * started: the key decides. What a scheduled operation cannot start is known from an earlier try of
 * the transaction, which that error ended, and only written down in this one.
 *
 * If interrupted here: nothing has happened; all of it is in one transaction.
 */
#include "core/trigger_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/notify.h"
#include "sched/schedule.h"

/* A schedule that cannot be understood any more (a zone is gone) is looked at again after an hour.
 */
#define BROKEN_PAUSE_US (UINT64_C(3600) * 1000000)
/* Pending firings of one trigger in a transaction. */
#define EVENTS_MAX 20

/* What belongs to a trigger. */
struct things {
	struct scheduled_operation *const *list;
	size_t n;
};

/* The firing of a trigger, and what becomes of it. */
struct firing {
	const struct trigger *t;
	uint64_t at_us;
	bool event; /* it is there already, pending */
	const char *state, *reason;
};

/* Write the firing down. *ret_mine: nobody else had. */
static int put(struct db_tx *x, const struct firing *n, const json_t *operations, uint64_t now_us,
	       bool *ret_mine, struct err *e)
{
	AUTO_FREE char *text = operations ? json_text(operations) : xstrdup("[]");
	uint64_t changed;
	int status;

	if (n->event)
		status =
			db_exec(x, &changed, e,
				"UPDATE firings SET state = $3, reason = $4, operations = $5 WHERE "
				"trigger_id = $1 AND at = $2 AND state = 'pending'",
				db_t(n->t->id), db_i(n->at_us), db_t(n->state), db_t(n->reason),
				db_t(text));
	else
		status = db_exec(
			x, &changed, e,
			"INSERT INTO firings (trigger_id, at, state, reason, operations, "
			"created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
			db_t(n->t->id), db_i(n->at_us), db_t(n->state), db_t(n->reason), db_t(text),
			db_i(now_us));
	*ret_mine = status == 0 && changed > 0;
	return status;
}

static const struct fire_failure *known_failure(const struct fire *f, const char *id)
{
	for (size_t i = 0; i < f->n_failures; i++)
		if (strcmp(f->failures[i].id, id) == 0)
			return &f->failures[i];
	return NULL;
}

/* What will be started, and what is known not to start; *ret_skipped: a reason of those that a rule
 * skips, NULL if there are none. */
static json_t *describe(const struct things *s, const struct fire *f, size_t *ret_good,
			const char **ret_skipped)
{
	json_t *all = json_array();

	*ret_good = 0;
	*ret_skipped = NULL;
	for (size_t i = 0; i < s->n; i++) {
		const struct fire_failure *why = known_failure(f, s->list[i]->id);

		json_array_append_new(all,
				      json_pack("{s:s, s:s*}", "scheduled_operation_id",
						s->list[i]->id, "error", why ? why->reason : NULL));
		*ret_good += !why;
		if (why && why->skipped)
			*ret_skipped = why->reason;
	}
	return all;
}

static int start_all(struct db_tx *x, const struct things *s, uint64_t at_us, struct fire *f,
		     struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		if (known_failure(f, s->list[i]->id))
			continue;
		snprintf(f->starting, sizeof(f->starting), "%s", s->list[i]->id);
		if (f->start(x, s->list[i], at_us, f->arg, e) < 0)
			return -1;
		f->starting[0] = 0;
		f->counts.started++;
	}
	return 0;
}

/* Who wants to hear of it is told what could not be started, or that it can be again. What a rule
 * skips says neither. */
static int tell(struct db_tx *x, const struct firing *n, const struct things *s,
		const struct fire *f, size_t good, struct err *e)
{
	const char *why = NULL, *plan = NULL;
	int wanted = s->n ? notify_wanted(x, n->t->project, e) : 0;

	for (size_t i = 0; i < s->n && !why; i++) {
		const struct fire_failure *known = known_failure(f, s->list[i]->id);

		why = known && !known->skipped ? known->reason : NULL;
		plan = json_string_value(json_object_get(s->list[i]->definition, "plan_id"));
	}
	if (wanted <= 0 || (!why && good == 0))
		return wanted < 0 ? -1 : 0;
	return notify_firing(x, n->t->project, n->t->id, n->t->name, plan, why, f->now_us, e);
}

static int fire_one(struct db_tx *x, struct firing *n, const struct things *s, struct fire *f,
		    struct err *e)
{
	const char *skipped;
	size_t good;
	json_t *all = describe(s, f, &good, &skipped);
	bool mine;
	int status;

	n->state = "fired";
	if (s->n == 0)
		skipped = "no enabled scheduled operation uses this trigger";
	if (good == 0 && skipped) {
		n->state = "skipped";
		n->reason = skipped;
	} else if (good == 0) {
		n->state = "failed";
		n->reason = "none of its operations could be started";
	}
	status = put(x, n, all, f->now_us, &mine, e);
	json_decref(all);
	if (status < 0 || !mine)
		return status;
	f->counts.skipped += good == 0 && skipped;
	f->counts.failed += good == 0 && !skipped;
	f->counts.fired += good > 0;
	if (tell(x, n, s, f, good, e) < 0)
		return -1;
	return start_all(x, s, n->at_us, f, e);
}

/* ---- times ---- */

static int fire_due(struct db_tx *x, const struct trigger *t, const struct schedule_due *due,
		    const struct things *s, struct fire *f, struct err *e)
{
	for (size_t i = 0; i < due->n; i++) {
		const struct schedule_firing *d = &due->list[i];
		struct firing n = {t, d->at_us, false, "missed", d->reason};
		bool mine = false;

		if (d->fire ? fire_one(x, &n, s, f, e) < 0
			    : put(x, &n, NULL, f->now_us, &mine, e) < 0)
			return -1;
		f->counts.missed += mine;
	}
	return 0;
}

static int set_next(struct db_tx *x, const struct trigger *t, uint64_t last_us, uint64_t next_us,
		    struct err *e)
{
	return db_exec(x, NULL, e,
		       "UPDATE triggers SET last_at = $2, next_at = $3, claim = NULL WHERE id = $1",
		       db_t(t->id), db_i(last_us), next_us ? db_i(next_us) : db_null());
}

/* The properties, which were understood once, are not any more. */
static int tell_broken(struct db_tx *x, const struct trigger *t, struct fire *f,
		       const struct err *why, struct err *e)
{
	struct firing n = {t, f->now_us, false, "failed", why->msg};
	bool mine;

	f->counts.failed++;
	if (put(x, &n, NULL, f->now_us, &mine, e) < 0)
		return -1;
	return set_next(x, t, t->last_at_us, f->now_us + BROKEN_PAUSE_US, e);
}

static int fire_time(struct db_tx *x, const struct trigger *t, const struct things *things,
		     struct fire *f, struct err *e)
{
	struct err why = {0};
	AUTO(schedule) s = schedule_parse(t->properties, f->zones, f->now_us, &why);
	struct schedule_due due;
	uint64_t last_us = t->last_at_us;
	int status;

	if (!s)
		return tell_broken(x, t, f, &why, e);
	schedule_due(s, t->id, last_us, f->now_us, &due);
	status = fire_due(x, t, &due, things, f, e);
	if (due.n > 0)
		last_us = due.list[due.n - 1].at_us;
	if (status == 0)
		status = set_next(x, t, last_us, due.next_us, e);
	schedule_due_done(&due);
	return status;
}

/* ---- events ---- */

static int fire_event(struct db_tx *x, const struct trigger *t, const struct things *things,
		      struct fire *f, struct err *e)
{
	AUTO(db_rows)
	r = db_query(
		x, e,
		"SELECT at FROM firings WHERE trigger_id = $1 AND state = 'pending' ORDER BY at "
		"LIMIT $2",
		db_t(t->id), db_i(EVENTS_MAX + 1));
	uint64_t at[EVENTS_MAX];
	size_t n = 0;
	int have = r ? 1 : -1;

	while (have > 0 && n < EVENTS_MAX && (have = db_next(r, e)) > 0)
		at[n++] = (uint64_t)db_int(r, 0);
	if (have > 0)
		have = db_next(r, e);
	if (have < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct firing one = {t, at[i], true, "fired", ""};

		if (fire_one(x, &one, things, f, e) < 0)
			return -1;
	}
	/* `last_at` names events: it stays. If there are more, it is due again. */
	return set_next(x, t, t->last_at_us, have > 0 ? f->now_us : 0, e);
}

int trigger_fire(struct db_tx *x, const struct trigger *t, struct scheduled_operation *const *list,
		 size_t n, struct fire *f, struct err *e)
{
	struct things things = {list, n};

	return strcmp(t->type, TRIGGER_EVENT) == 0 ? fire_event(x, t, &things, f, e)
						   : fire_time(x, t, &things, f, e);
}
