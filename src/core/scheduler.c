/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round: mark a batch of due triggers (READ COMMITTED, skipping what others hold), deal with it
 * in one SERIALIZABLE transaction, again until nothing is due. Schedulers therefore work on
 * different triggers and hardly ever meet; the mark is an aid, and nothing rests on it.
 *
 * When a transaction fails at something that one scheduled operation cannot start, the batch is
 * done anew one trigger at a time, and that operation's firing says why. When the database itself
 * fails, the round ends, and the marks run out.
 */
#include "core/scheduler.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/ids.h"
#include "core/service.h"
#include "core/trigger_priv.h"

#define BATCH 200
#define CLAIM_US (UINT64_C(15) * 1000000)
/* Scheduled operations of one trigger that fail to start; more are for the next round. */
#define FAILURES_MAX 64
#define LOOK_MS 10000 /* without a wake; other processes' wakes may be lost */
#define PAUSE_MS 3000 /* after an error */
#define PRUNE_US (UINT64_C(600) * 1000000)
#define ZONES_US (UINT64_C(3600) * 1000000)
#define KEEP_US (UINT64_C(86400) * 1000000)
#define KEEP_NEWEST 50
/* How far apart the clocks of machines may be. */
#define SKEW_US (UINT64_C(600) * 1000000)

struct scheduler {
	struct db *db;
	struct zones *zones;
	scheduler_start_fn *start;
	void *arg;
	pthread_t thread;
	bool runs;
	struct cancel stop;
	struct services *services; /* NULL: it is never disabled */
};

struct scheduler *scheduler_new(struct db *d, struct zones *zones, scheduler_start_fn *start,
				void *arg)
{
	struct scheduler *s = xcalloc(1, sizeof(*s));

	*s = (struct scheduler){.db = d, .zones = zones, .start = start, .arg = arg};
	return s;
}

void scheduler_obey(struct scheduler *s, struct services *services)
{
	s->services = services;
}

void scheduler_free(struct scheduler *s)
{
	if (!s)
		return;
	scheduler_stop(s);
	free(s);
}

/* ---- a batch ---- */

struct batch {
	struct scheduler *s;
	uint64_t now_us;
	char claim[UUID_TEXT];
	uint64_t marked;
	struct fire fire;
	char ids[BATCH][UUID_TEXT]; /* of what was marked */
	size_t n;
	const char *only; /* one trigger of it; NULL: all */
	struct fire_failure failures[FAILURES_MAX];
	size_t n_failures;
};

static int mark(struct db_tx *x, void *arg, struct err *e)
{
	struct batch *b = arg;
	AUTO_FREE char *sql = xasprintf(
		"UPDATE triggers SET claim = $1, claim_until = $2 WHERE id IN (SELECT id FROM "
		"triggers WHERE enabled = 1 AND next_at IS NOT NULL AND next_at <= $3 AND (claim "
		"IS NULL OR "
		"claim_until <= $3 OR claim_until > $4) ORDER BY next_at LIMIT %d%s)",
		BATCH, db_skip_locked(x));

	/* A mark of the far future is of a clock that was wrong. */
	return db_exec(x, &b->marked, e, sql, db_t(b->claim), db_i(b->now_us + CLAIM_US),
		       db_i(b->now_us), db_i(b->now_us + 4 * CLAIM_US));
}

static void free_list(struct trigger **list, size_t n)
{
	while (n > 0)
		trigger_free(list[--n]);
	free(list);
}

/* What is still ours, due and enabled. */
static struct trigger **load(struct db_tx *x, struct batch *b, size_t *ret_n, struct err *e)
{
	AUTO(db_rows) r = NULL;
	struct trigger **list = xcalloc(BATCH, sizeof(struct trigger *));
	size_t n = 0;
	int have;

	r = b->only ? db_query(x, e,
			       TRIGGER_SELECT
			       "id = $3 AND claim = $1 AND enabled = 1 AND next_at <= $2",
			       db_t(b->claim), db_i(b->now_us), db_t(b->only))
		    : db_query(x, e, TRIGGER_SELECT "claim = $1 AND enabled = 1 AND next_at <= $2",
			       db_t(b->claim), db_i(b->now_us));
	have = r ? 1 : -1;
	while (have > 0 && n < BATCH && (have = db_next(r, e)) > 0)
		list[n++] = trigger_from_row(r);
	if (have < 0) {
		free_list(list, n);
		return NULL;
	}
	*ret_n = n;
	return list;
}

/* The things of a trigger stand together; triggers are in no order that would be the same in all
 * databases. */
static int fire_all(struct db_tx *x, struct batch *b, struct trigger *const *list, size_t n,
		    struct scheduled_operation *const *things, size_t n_things, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		size_t from = 0, to;

		while (from < n_things && strcmp(things[from]->trigger, list[i]->id) != 0)
			from++;
		for (to = from; to < n_things && strcmp(things[to]->trigger, list[i]->id) == 0;)
			to++;
		if (trigger_fire(x, list[i], things + from, to - from, &b->fire, e) < 0)
			return -1;
	}
	return 0;
}

static int deal(struct db_tx *x, void *arg, struct err *e)
{
	struct batch *b = arg;
	struct scheduled_operation **things;
	struct trigger **list;
	size_t n, n_things;
	int status = -1;

	b->fire = (struct fire){.zones = b->s->zones,
				.start = b->s->start,
				.arg = b->s->arg,
				.now_us = b->now_us,
				.failures = b->failures,
				.n_failures = b->n_failures};
	list = load(x, b, &n, e);
	if (!list)
		return -1;
	if (!b->only) {
		b->n = n;
		for (size_t i = 0; i < n; i++)
			memcpy(b->ids[i], list[i]->id, UUID_TEXT);
	}
	if (scheduled_of_claim(x, b->claim, b->only, &things, &n_things, e) == 0) {
		status = fire_all(x, b, list, n, things, n_things, e);
		scheduled_list_free(things, n_things);
	}
	free_list(list, n);
	return status;
}

/* One trigger alone, as often as another of its operations turns out not to start. */
static int deal_alone(struct batch *b, const char *id, struct err *e)
{
	struct err why;

	b->only = id;
	b->n_failures = 0;
	for (;;) {
		struct fire_failure *f = &b->failures[b->n_failures];

		why = (struct err){0};
		if (db_write(b->s->db, deal, b, &why) == 0)
			return 0;
		if (!b->fire.starting[0] || err_info(why.kind)->retryable ||
		    b->n_failures == FAILURES_MAX - 1)
			break;
		memcpy(f->id, b->fire.starting, sizeof(f->id));
		snprintf(f->reason, sizeof(f->reason), "%s", why.msg);
		f->skipped = why.kind == ERR_EXISTS;
		b->n_failures++;
	}
	if (e)
		*e = why;
	return -1;
}

static void add(struct scheduler_counts *to, const struct scheduler_counts *c)
{
	if (!to)
		return;
	to->fired += c->fired;
	to->missed += c->missed;
	to->skipped += c->skipped;
	to->failed += c->failed;
	to->started += c->started;
}

static void deal_one_by_one(struct batch *b, struct scheduler_counts *counts, struct err *e)
{
	for (size_t i = 0; i < b->n; i++) {
		struct err why = {0};

		if (deal_alone(b, b->ids[i], &why) == 0) {
			add(counts, &b->fire.counts);
			continue;
		}
		/* It stays marked for a while, and the others are not held up. */
		err_wrap(&why, "trigger %s", b->ids[i]);
		*e = why;
	}
}

/*
 * *ret_marked: how many there were. 0 with an error in `e`: some of them have to wait, which does
 * not hold up the next batch.
 */
static int run_batch(struct scheduler *s, uint64_t now_us, struct scheduler_counts *counts,
		     uint64_t *ret_marked, struct err *e)
{
	AUTO_FREE struct batch *b = xcalloc(1, sizeof(*b));
	struct err why = {0};

	b->s = s;
	b->now_us = now_us;
	new_id(b->claim);
	if (db_claim(s->db, mark, b, e) < 0)
		return -1;
	*ret_marked = b->marked;
	if (b->marked == 0)
		return 0;
	if (db_write(s->db, deal, b, &why) == 0) {
		add(counts, &b->fire.counts);
		return 0;
	}
	if (b->fire.starting[0]) {
		deal_one_by_one(b, counts, e);
		return 0;
	}
	*e = why;
	return -1;
}

static int peek(struct db_tx *x, void *arg, struct err *e)
{
	uint64_t *next_us = arg;
	AUTO(db_rows)
	r = db_query(
		x, e,
		"SELECT next_at FROM triggers WHERE enabled = 1 AND next_at IS NOT NULL ORDER BY "
		"next_at LIMIT 1");
	int have = r ? db_next(r, e) : -1;

	*next_us = have > 0 ? (uint64_t)db_int(r, 0) : 0;
	return have < 0 ? -1 : 0;
}

int scheduler_run(struct scheduler *s, uint64_t now_us, struct scheduler_counts *counts,
		  uint64_t *ret_next_us, struct err *e)
{
	struct err why = {0};
	uint64_t next_us, marked = 1;

	for (;;) {
		if (db_read(s->db, peek, &next_us, e) < 0)
			return -1;
		if (marked == 0 || next_us == 0 || next_us > now_us || cancel_asked(&s->stop))
			break;
		if (run_batch(s, now_us, counts, &marked, &why) < 0)
			break;
	}
	*ret_next_us = next_us;
	if (why.kind == ERR_NONE)
		return 0;
	if (e)
		*e = why;
	return -1;
}

/* ---- old firings ---- */

static int prune(struct db_tx *x, void *arg, struct err *e)
{
	const uint64_t *now_us = arg;

	if (*now_us < KEEP_US)
		return 0;
	return db_exec(
		x, NULL, e,
		"DELETE FROM firings WHERE created_at < $1 AND state <> 'pending' AND at < "
		"(SELECT f.at FROM firings f WHERE f.trigger_id = firings.trigger_id ORDER BY "
		"f.at DESC LIMIT 1 OFFSET $2)",
		db_i(*now_us - KEEP_US), db_i(KEEP_NEWEST - 1));
}

int scheduler_prune(struct scheduler *s, uint64_t now_us, struct err *e)
{
	return db_write(s->db, prune, &now_us, e);
}

/* ---- a clock that jumped ---- */

static int mend(struct db_tx *x, void *arg, struct err *e)
{
	const uint64_t *now_us = arg;

	/* The key of a firing is its time: none of them is started a second time. */
	return db_exec(x, NULL, e,
		       "UPDATE triggers SET last_at = $1, next_at = CASE WHEN next_at IS NULL THEN "
		       "NULL ELSE $1 END WHERE type = $2 AND last_at > $3",
		       db_i(*now_us), db_t(TRIGGER_TIME), db_i(*now_us + SKEW_US));
}

static int any_of_future(struct db_tx *x, void *arg, struct err *e)
{
	const uint64_t *now_us = arg;
	AUTO(db_rows)
	r = db_query(x, e, "SELECT 1 FROM triggers WHERE type = $1 AND last_at > $2 LIMIT 1",
		     db_t(TRIGGER_TIME), db_i(*now_us + SKEW_US));
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "none is of the future");
	return MIN(have, 0);
}

int scheduler_mend(struct scheduler *s, uint64_t now_us, struct err *e)
{
	struct err why = {0};

	if (db_read(s->db, any_of_future, &now_us, &why) == 0)
		return db_write(s->db, mend, &now_us, e);
	if (why.kind == ERR_NOENT)
		return 0;
	if (e)
		*e = why;
	return -1;
}

/* ---- the thread ---- */

/* What it does now and then, by the clock that does not jump. */
struct care {
	uint64_t pruned_us, zones_us;
	struct clock_watch clock;
	bool mended;
};

/* How long until the next trigger, but not longer than a look takes. */
static unsigned pause_ms(uint64_t next_us, uint64_t now_us)
{
	if (next_us == 0 || next_us > now_us + (uint64_t)LOOK_MS * 1000)
		return LOOK_MS;
	/* What is due already is another scheduler's just now. */
	return next_us <= now_us ? 200 : (unsigned)((next_us - now_us) / 1000) + 1;
}

/* Before triggers are looked at. */
static void watch_clock(struct scheduler *s, struct care *c)
{
	int64_t drift = clock_watch_drift(&c->clock);
	struct err e = {0};

	if (c->mended && drift > -(int64_t)SKEW_US)
		return;
	c->mended = scheduler_mend(s, clock_wall_us(), &e) == 0;
	if (!c->mended)
		log_warn("scheduler: triggers of a wrong clock could not be mended: %s", e.msg);
}

static void look_after(struct scheduler *s, struct care *c)
{
	uint64_t mono_us = clock_mono_us();
	struct err e = {0};

	if (mono_us - c->zones_us >= ZONES_US) {
		c->zones_us = mono_us;
		zones_forget(s->zones);
	}
	if (mono_us - c->pruned_us < PRUNE_US)
		return;
	c->pruned_us = mono_us;
	c->mended = false; /* another machine's clock may have been put right */
	if (scheduler_prune(s, clock_wall_us(), &e) < 0)
		log_warn("scheduler: old firings could not be removed: %s", e.msg);
}

static void *run(void *arg)
{
	struct scheduler *s = arg;
	uint64_t mono_us = clock_mono_us();
	struct care care = {.pruned_us = mono_us, .zones_us = mono_us};

	clock_watch_init(&care.clock);
	while (!cancel_asked(&s->stop)) {
		uint64_t seen = db_woken(s->db, TRIGGER_CHANNEL), next_us;
		struct err e = {0};
		unsigned ms = PAUSE_MS;

		watch_clock(s, &care);
		if (s->services && !services_may(s->services, SERVICE_SCHEDULER))
			ms = LOOK_MS;
		else if (scheduler_run(s, clock_wall_us(), NULL, &next_us, &e) == 0)
			ms = pause_ms(next_us, clock_wall_us());
		else
			log_error("scheduler: %s", e.msg);
		look_after(s, &care);
		if (!cancel_asked(&s->stop))
			db_wait(s->db, TRIGGER_CHANNEL, seen, ms);
	}
	return NULL;
}

int scheduler_begin(struct scheduler *s, struct err *e)
{
	int failed = pthread_create(&s->thread, NULL, run, s);

	if (failed)
		return err_sys(e, failed, "scheduler: start a thread");
	s->runs = true;
	return 0;
}

void scheduler_stop(struct scheduler *s)
{
	if (!s->runs)
		return;
	cancel_set(&s->stop);
	db_wake_here(s->db, TRIGGER_CHANNEL);
	pthread_join(s->thread, NULL);
	s->runs = false;
}
