/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.c: looking after what nobody else does: leases that have run out, deadlines, operations that
 * were cancelled, or that a killed process left between two states, and old ones that may go.
 *
 * Each thing that is found is done in a transaction of its own, which looks again first. Any number
 * of processes may do it at once.
 */
#include "flow/flow_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define BATCH 1000 /* found at once */

struct found {
	char id[UUID_TEXT];
	uint64_t fence;
	char who[64];
};

struct looking {
	struct flow *f;
	const char *sql;
	uint64_t now;
	struct found *v;
	size_t n;
};

static int look(struct db_tx *t, void *arg, struct err *e)
{
	struct looking *l = arg;
	AUTO(db_rows) r = db_query(t, e, l->sql, db_i(l->now), db_i(FLOW_SKEW_US), db_i(BATCH));
	int rc = -1;

	l->n = 0;
	while (r && l->n < BATCH && (rc = db_next(r, e)) > 0) {
		struct found *w = &l->v[l->n++];

		snprintf(w->id, sizeof(w->id), "%s", db_text(r, 0));
		w->fence = (uint64_t)db_int(r, 1);
		snprintf(w->who, sizeof(w->who), "%s", db_text(r, 2));
	}
	return r ? MIN(rc, 0) : -1;
}

static int find(struct looking *l, const char *sql, struct err *e)
{
	l->sql = sql;
	return db_read(l->f->db, look, l, e);
}

/* What one of those found is about. */
struct care {
	const struct found *w;
	uint64_t now;
};

/* ---- leases ---- */

static const char expired_sql[] = "SELECT s.id, s.fence, coalesce(s.leased_by, '') FROM steps s "
				  "WHERE s.state = 'running' AND " FLOW_EXPIRED_SQL " LIMIT $3";

static int expire(struct turn *x, void *arg, struct err *e)
{
	struct care *c = arg;
	struct err why = {0};
	struct attempt a = {.step = c->w->id, .fence = c->w->fence, .why = &why, .expired = true};

	x->now = c->now;
	err_set(&why, ERR_TIMEOUT, "its lease ran out: %s was not heard of in time", c->w->who);
	return turn_attempt(x, &a, e);
}

/*
 * A pause that began before the clock jumped back would last for as long as the jump. Steps that
 * were never tried wait for the time that somebody has asked for.
 */
static int shorten(struct db_tx *t, void *arg, struct err *e)
{
	struct looking *l = arg;
	uint64_t n;

	if (db_exec(t, &n, e,
		    "UPDATE steps SET not_before = $1 WHERE state = 'ready' AND not_before > $2 "
		    "AND "
		    "(attempt > 0 OR given_back > 0)",
		    db_i(l->now), db_i(l->now + 2 * l->f->pause_most_us + FLOW_SKEW_US)) < 0)
		return -1;
	return n ? db_wake(t, WAKE_STEPS, e) : 0;
}

static const char long_pause_sql[] =
	"SELECT id, fence, '' FROM steps WHERE state = 'ready' AND not_before > $1 + $2 AND "
	"(attempt > 0 OR given_back > 0) LIMIT $3";

/* ---- operations ---- */

static const char overdue_sql[] = "SELECT id, 0, '' FROM operations WHERE ended_at IS NULL AND "
				  "state IN ('queued', 'running') "
				  "AND deadline_at <= $1 AND $2 = $2 LIMIT $3";

static int overdue(struct turn *x, void *arg, struct err *e)
{
	struct care *c = arg;
	AUTO_OPERATION o = {0};

	x->now = c->now;
	if (turn_lock(x, c->w->id, &o, e) < 0)
		return -1;
	if (o.ended || strcmp(o.state, FLOW_UNDOING) == 0)
		return 0;
	if (turn_log(x, o.id, NULL, "warning", e, "Its deadline has passed: it is cancelled") < 0 ||
	    turn_stop(x, &o, FLOW_CANCELLED, "not done by its deadline", e) < 0)
		return -1;
	return turn_advance(x, &o, e);
}

/* Those that nobody will move on. */
#define IDLE                                                                                       \
	"SELECT o.id, 0, '' FROM operations o WHERE o.ended_at IS NULL AND $1 = $1 AND $2 = $2 "   \
	"AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.operation_id = o.id AND s.state IN "        \
	"('waiting', 'ready', 'running') AND (s.state = 'running' OR o.state <> 'undoing' OR "     \
	"(o.undo_begun = 1 AND o.give_up = 0))) "
static const char idle_sql[] = IDLE "LIMIT $3";
/* The same, and quick. */
static const char stopped_sql[] = IDLE "AND o.state = 'undoing' LIMIT $3";

static int move_on(struct turn *x, void *arg, struct err *e)
{
	struct care *c = arg;
	AUTO_OPERATION o = {0};

	x->now = c->now;
	if (turn_lock(x, c->w->id, &o, e) < 0)
		return -1;
	return turn_advance(x, &o, e);
}

/* ---- all of it ---- */

/* Do `fn` for each; one that cannot be done does not keep the others from it. */
static int each(struct looking *l, const char *sql, turn_fn *fn, struct err *e)
{
	int rc = 0;

	if (find(l, sql, e) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		struct care c = {.w = &l->v[i], .now = l->now};
		struct err why = {0};

		if (turn_write(l->f, fn, &c, NULL, &why) == 0 || why.kind == ERR_CONFLICT ||
		    why.kind == ERR_NOENT)
			continue;
		if (e)
			*e = why;
		rc = -1;
	}
	return rc;
}

int flow_end_stopped(struct flow *f, uint64_t now_us, struct err *e)
{
	AUTO_FREE struct found *v = xcalloc(BATCH, sizeof(*v));
	struct looking l = {.f = f, .now = now_us, .v = v};

	return each(&l, stopped_sql, move_on, e);
}

int flow_look_after(struct flow *f, uint64_t now_us, struct err *e)
{
	AUTO_FREE struct found *v = xcalloc(BATCH, sizeof(*v));
	struct looking l = {.f = f, .now = now_us, .v = v};
	int rc = each(&l, expired_sql, expire, e);

	if (each(&l, overdue_sql, overdue, e) < 0 || each(&l, idle_sql, move_on, e) < 0)
		rc = -1;
	if (find(&l, long_pause_sql, e) < 0 || (l.n > 0 && db_write(f->db, shorten, &l, e) < 0))
		rc = -1;
	return rc;
}
