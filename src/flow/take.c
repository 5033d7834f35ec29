/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c: choosing the step that is next, and taking it.
 *
 * Choosing reads all that is ready at a place and sorts it: priority, then the share that its
 * project would have, then age. That is 20 ms where ten thousand are ready, so what it finds is
 * kept for a moment and taken from one by one. What was chosen is only a proposal: whether the step
 * is still there, and within its limits, is decided in the transaction that takes it.
 *
 * Limits hold exactly: who takes a step locks the keys of its limits, counts what holds them now,
 * and adds its own hold before it commits. One transaction locks those of one step, in one order.
 * What is locked is a number made of the key, for most keys have no row of their own; with one
 * writer nothing is. Who finishes a step only removes its holds, and locks nothing.
 */
#include "flow/flow_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define PROPOSALS 1024 /* read at once */
#define KEEP_FROM 64   /* fewer are read anew each time, so that the order is exact */
#define KEEP_MIN_US 100000
#define KEEP_MAX_US 1000000
#define QUEUES 256 /* whose proposals are kept */

struct proposal {
	char step[UUID_TEXT], operation[UUID_TEXT];
	int64_t priority, share, queued_at, position;
};

/* What is ready at one place. */
struct queue {
	char *name;
	struct proposal *v;
	size_t n, next;
	uint64_t until_us; /* by the clock that never goes back */
	bool reading;	   /* somebody is at it; others wait for what they find */
};

struct crowd {
	pthread_mutex_t lock;
	pthread_cond_t read;
	struct queue queues[QUEUES];
	size_t n, oldest;
};

struct crowd *crowd_new(void)
{
	struct crowd *c = xcalloc(1, sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->read, NULL);
	return c;
}

void crowd_free(struct crowd *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++) {
		free(c->queues[i].name);
		free(c->queues[i].v);
	}
	pthread_cond_destroy(&c->read);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- what is ready ---- */

/*
 * How many may run with the key of `k`; NULL: no limit. The row of the key says it, or else that of
 * its kind, which is its letters up to the ":". Rows are found by their keys: there may be many.
 */
#define MOST                                                                                       \
	"nullif(coalesce((SELECT most FROM flow_limits l WHERE l.limit_key = k.limit_key), "       \
	"(SELECT most FROM flow_limits l WHERE l.limit_key = substr(k.limit_key, 1, "              \
	"length(k.limit_key) - length(ltrim(k.limit_key, 'abcdefghijklmnopqrstuvwxyz'))))), 0) "

#define HELD "held AS (SELECT limit_key, count(*) AS n FROM step_holds GROUP BY limit_key), "
/* Keys that hold as much as they may. */
#define FULL "full_keys AS (SELECT k.limit_key FROM held k WHERE k.n >= " MOST ") "

/* `share`: how many its project would run with this one, if those before it are taken first. */
static const char ready_sql[] =
	"WITH " HELD FULL "SELECT id, operation_id, priority, share, queued_at, position FROM ("
	"SELECT s.id, s.operation_id, s.priority, s.queued_at, s.position, "
	"coalesce(h.n, 0) + row_number() OVER (PARTITION BY s.project_id ORDER BY s.priority DESC, "
	"s.queued_at, s.position, s.id) AS share FROM steps s "
	"LEFT JOIN held h ON h.limit_key = 'project:' || s.project_id "
	"WHERE s.state = 'ready' AND s.queue = $1 AND s.not_before <= $2 "
	"AND 'project:' || s.project_id NOT IN (SELECT limit_key FROM full_keys) "
	"AND (NOT EXISTS (SELECT 1 FROM full_keys) OR NOT EXISTS (SELECT 1 FROM full_keys k JOIN "
	"step_limits l ON l.limit_key = k.limit_key AND l.step_id = s.id))) x "
	"ORDER BY priority DESC, share, queued_at, position, id LIMIT $3";

struct reading {
	const char *queue;
	uint64_t now;
	struct proposal *v;
	size_t n;
};

static int read_queue(struct db_tx *t, void *arg, struct err *e)
{
	struct reading *g = arg;
	AUTO(db_rows) r = db_query(t, e, ready_sql, db_t(g->queue), db_i(g->now), db_i(PROPOSALS));
	int rc = -1;

	g->n = 0;
	while (r && (rc = db_next(r, e)) > 0) {
		struct proposal *p = &g->v[g->n++];

		snprintf(p->step, sizeof(p->step), "%s", db_text(r, 0));
		snprintf(p->operation, sizeof(p->operation), "%s", db_text(r, 1));
		p->priority = db_int(r, 2);
		p->share = db_int(r, 3);
		p->queued_at = db_int(r, 4);
		p->position = db_int(r, 5);
	}
	return rc;
}

/* Locked. The one of this name; NULL: there is none, or no room for it now. */
static struct queue *find_queue(struct crowd *c, const char *name, bool make)
{
	struct queue *q;

	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->queues[i].name, name) == 0)
			return &c->queues[i];
	if (!make)
		return NULL;
	q = &c->queues[c->n < QUEUES ? c->n++ : c->oldest++ % QUEUES];
	if (q->reading)
		return NULL;
	free(q->name);
	free(q->v);
	*q = (struct queue){.name = xstrdup(name)};
	return q;
}

static bool fresh(const struct queue *q)
{
	return q->next < q->n && clock_mono_us() < q->until_us;
}

/* Fill `q` anew. Locked, but for the reading itself. */
static int refresh(struct flow *f, struct queue *q, struct err *e)
{
	AUTO_FREE struct proposal *v = xcalloc(PROPOSALS, sizeof(*v));
	struct reading g = {.queue = q->name, .now = flow_now(f), .v = v};
	uint64_t since = clock_mono_us(), now;
	int rc;

	q->reading = true;
	pthread_mutex_unlock(&f->crowd->lock);
	rc = db_read(f->db, read_queue, &g, e);
	pthread_mutex_lock(&f->crowd->lock);
	q->reading = false;
	pthread_cond_broadcast(&f->crowd->read);
	if (rc < 0)
		return -1;
	free(q->v);
	q->v = xreallocarray(steal(&v), MAX(g.n, 1), sizeof(*v));
	q->n = g.n;
	q->next = 0;
	now = clock_mono_us();
	q->until_us = now + MIN(MAX(10 * (now - since), KEEP_MIN_US), KEEP_MAX_US);
	return 0;
}

/* `a` is to be taken before `b`. */
static bool before(const struct proposal *a, const struct proposal *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->share != b->share)
		return a->share < b->share;
	if (a->queued_at != b->queued_at)
		return a->queued_at < b->queued_at;
	return a->position < b->position;
}

/* Locked. See that `name` has proposals, if there are any. */
static int prepare(struct flow *f, const char *name, struct err *e)
{
	struct queue *q;

	while ((q = find_queue(f->crowd, name, true)) && q->reading)
		pthread_cond_wait(&f->crowd->read, &f->crowd->lock);
	return !q || fresh(q) ? 0 : refresh(f, q, e);
}

/* Locked. The proposal that comes first; NULL in *ret_q: there is none. */
static int first_of(struct flow *f, const char *const *places, size_t n, struct queue **ret_q,
		    struct err *e)
{
	struct queue *q;

	*ret_q = NULL;
	for (size_t i = 0; i < n; i++)
		if (prepare(f, places[i], e) < 0)
			return -1;
	/* Reading lets others in between, so what there is now is looked at once all are read. */
	for (size_t i = 0; i < n; i++) {
		q = find_queue(f->crowd, places[i], false);
		if (q && q->next < q->n &&
		    (!*ret_q || before(&q->v[q->next], &(*ret_q)->v[(*ret_q)->next])))
			*ret_q = q;
	}
	return 0;
}

/* The next proposal for `places`; false in *ret_any: there is none. */
static int propose(struct flow *f, const char *const *places, size_t n, struct proposal *ret_p,
		   bool *ret_any, struct err *e)
{
	struct queue *q;
	int rc;

	pthread_mutex_lock(&f->crowd->lock);
	rc = first_of(f, places, n, &q, e);
	*ret_any = rc == 0 && q;
	if (*ret_any) {
		*ret_p = q->v[q->next++];
		if (q->n < KEEP_FROM)
			q->n = 0;
	}
	pthread_mutex_unlock(&f->crowd->lock);
	return rc;
}

/* ---- taking it ---- */

struct claim {
	struct flow *f;
	const char *who;
	const struct proposal *p;
	struct flow_step *step; /* taken */
	uint64_t until_us;	/* its kind says: not before; 0: it may begin */
	char why[FLOW_WHY];
	bool gone; /* it is not there any more, is not due, or its limits are full */
};

/* Leave without a trace: what was done until here is rolled back. */
static int gone(struct claim *c, struct err *e)
{
	c->gone = true;
	return err_set(e, ERR_CONFLICT, "step %s was taken by somebody else", c->p->step);
}

/*
 * Lock the operation, unless somebody is at it: then another step is better. (The state of one that
 * was queued changes here, too.)
 */
static int claim_operation(struct claim *c, struct turn *x, struct err *e)
{
	AUTO_FREE char *sql = NULL;
	AUTO(db_rows) r = NULL;
	int64_t change;
	int rc;

	if (turn_change(x, &change, e) < 0)
		return -1;
	sql = xasprintf("UPDATE operations SET revision = revision + 1, changed = $2, state = CASE "
			"state WHEN 'queued' THEN 'running' ELSE state END, started_at = "
			"coalesce(started_at, $3) WHERE id = (SELECT id FROM operations WHERE id = "
			"$1 AND ended_at IS NULL%s) RETURNING state, undo_begun",
			db_skip_locked(x->t));
	r = db_query(x->t, e, sql, db_t(c->p->operation), db_i(change), db_i(x->now));
	rc = r ? db_next(r, e) : -1;
	if (rc < 0)
		return -1;
	if (rc == 0 || (strcmp(db_text(r, 0), FLOW_UNDOING) == 0 && !db_int(r, 1)))
		return gone(c, e);
	return db_wake(x->t, WAKE_OPERATIONS, e);
}

/* Those of the step $1 of the project $2. */
#define KEYS                                                                                       \
	"(SELECT limit_key FROM step_limits WHERE step_id = $1 UNION ALL SELECT 'project:' || "    \
	"$2) k "

/* 1: some are limited, and nobody else counts what holds them until this transaction has ended. */
static int lock_keys(const struct claim *c, struct turn *x, const char *project, struct err *e)
{
	AUTO(db_rows) r = NULL;

	if (!*db_skip_locked(x->t))
		return 1;
	r = db_query(x->t, e,
		     "SELECT pg_advisory_xact_lock(n) FROM (SELECT DISTINCT hashtextextended("
		     "current_schema() || ' ' || k.limit_key, 0) AS n FROM " KEYS "WHERE " MOST
		     "IS NOT NULL ORDER BY n) x",
		     db_t(c->p->step), db_t(project));
	return r ? db_next(r, e) : -1;
}

static int claim_limits(struct claim *c, struct turn *x, const char *project, struct err *e)
{
	AUTO(db_rows) full = NULL;
	int rc = lock_keys(c, x, project, e);

	if (rc <= 0)
		return rc;
	/* A statement of its own, so that it sees what was committed before the keys were ours. */
	full = db_query(x->t, e,
			"SELECT k.limit_key FROM " KEYS "WHERE (SELECT count(*) FROM step_holds h "
			"WHERE h.limit_key = k.limit_key) >= " MOST,
			db_t(c->p->step), db_t(project));
	rc = full ? db_next(full, e) : -1;
	return rc > 0 ? gone(c, e) : rc;
}

static int claim_step(struct claim *c, struct turn *x, struct err *e)
{
	AUTO(db_rows)
	r = db_query(x->t, e,
		     "SELECT " FLOW_STEP_COLUMNS
		     " FROM steps s JOIN operations o ON o.id = s.operation_id "
		     "WHERE s.id = $1 AND s.state = 'ready' AND s.not_before <= $2",
		     db_t(c->p->step), db_i(x->now));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return gone(c, e);
	c->step = flow_step_load(r, e);
	return c->step ? 0 : -1;
}

/* Nobody else changes it: the operation is locked. */
static int claim_record(struct claim *c, struct turn *x, struct err *e)
{
	struct flow_step *s = c->step;
	const struct flow_kind *k = flow_kind_find(c->f, s->kind);
	uint64_t lease = flow_lease_us(k);
	uint64_t deadline = k ? UINT64_C(1000000) * k->deadline_s : 0;

	s->fence++;
	s->attempt++;
	if (db_exec(x->t, NULL, e,
		    "UPDATE steps SET state = 'running', reason = CASE attempt WHEN 0 THEN NULL "
		    "ELSE reason END, fence = $2, attempt = $3, leased_by = $4, "
		    "lease_until = $5, lease_us = $6, deadline_at = $7, started_at = CASE undoing "
		    "WHEN 0 THEN $8 ELSE started_at END, undo_started_at = CASE undoing WHEN 1 "
		    "THEN $8 ELSE undo_started_at END WHERE id = $1",
		    db_t(s->id), db_i(s->fence), db_i(s->attempt), db_t(c->who),
		    db_i(x->now + lease), db_i(lease),
		    deadline ? db_i(x->now + deadline) : db_null(), db_i(x->now)) < 0)
		return -1;
	return db_exec(x->t, NULL, e,
		       "INSERT INTO step_holds (limit_key, step_id) SELECT 'project:' || $2, $1 "
		       "UNION SELECT limit_key, step_id FROM step_limits WHERE step_id = $1",
		       db_t(s->id), db_t(s->project));
}

/* Whether its kind lets it begin. If not, this transaction leaves no trace, and put_off() follows.
 */
static int ask_kind(struct claim *c, struct turn *x, struct err *e)
{
	const struct flow_step *s = c->step;
	const struct flow_kind *k = flow_kind_find(c->f, s->kind);
	struct err why = {0};
	uint64_t until_us = 0;
	int rc;

	if (!k || !k->may_begin || s->attempt > 0 || s->undo)
		return 0;
	flow_enter(c->f, s);
	rc = k->may_begin(x->t, s, x->now, &until_us, c->why, &why);
	flow_enter(NULL, NULL);
	if (rc < 0 && err_info(why.kind)->retryable) {
		if (e)
			*e = why;
		return -1;
	}
	/* It must not keep others from being taken. */
	if (rc < 0) {
		until_us = FLOW_NEVER - 1;
		snprintf(c->why, sizeof(c->why), "%.*s", FLOW_WHY - 1, why.msg);
		text_clean(c->why);
	}
	if (until_us <= x->now)
		return 0;
	c->until_us =
		until_us == FLOW_NEVER ? until_us : MIN(until_us, x->now + FLOW_PUT_OFF_MOST_US);
	return gone(c, e);
}

/*
 * It is looked at again later. That it was "given back" makes it one of the steps whose pause is
 * cut when the clock jumps back (keep.c).
 */
static int put_off_step(struct turn *x, const struct claim *c, struct err *e)
{
	uint64_t changed;

	/* Told once. */
	if (db_exec(x->t, &changed, e,
		    "UPDATE steps SET given_back = 1 WHERE id = $1 AND state = 'ready' AND attempt "
		    "= 0 AND given_back = 0",
		    db_t(c->p->step)) < 0 ||
	    (changed > 0 && turn_log(x, c->p->operation, c->p->step, "info", e, "%s", c->why) < 0))
		return -1;
	return db_exec(x->t, NULL, e,
		       "UPDATE steps SET not_before = $2, reason = $3 WHERE id = $1 AND state = "
		       "'ready' AND attempt = 0",
		       db_t(c->p->step), db_i(c->until_us), db_t(c->why));
}

static int put_off(struct turn *x, void *arg, struct err *e)
{
	const struct claim *c = arg;
	AUTO_OPERATION o = {0};

	if (turn_lock(x, c->p->operation, &o, e) < 0)
		return -1;
	if (o.ended || strcmp(o.state, FLOW_UNDOING) == 0)
		return 0;
	if (c->until_us != FLOW_NEVER)
		return put_off_step(x, c, e);
	if (turn_log(x, o.id, c->p->step, "warning", e, "It is cancelled: %s", c->why) < 0 ||
	    turn_stop(x, &o, FLOW_CANCELLED, c->why, e) < 0)
		return -1;
	return turn_advance(x, &o, e);
}

static int claim(struct db_tx *t, void *arg, struct err *e)
{
	struct claim *c = arg;
	struct turn x = {.f = c->f, .t = t, .now = flow_now(c->f)};

	flow_step_free(steal(&c->step));
	c->gone = false;
	c->until_us = 0;
	if (claim_operation(c, &x, e) < 0 || claim_step(c, &x, e) < 0 || ask_kind(c, &x, e) < 0 ||
	    claim_limits(c, &x, c->step->project, e) < 0)
		return -1;
	return claim_record(c, &x, e);
}

int flow_take(struct flow *f, const char *who, const char *const *places, size_t n_places,
	      struct flow_step **ret_step, struct err *e)
{
	struct proposal p;
	bool any;

	/* Each proposal is used once; so many fail only where others take them all. */
	for (int tries = 0; tries < PROPOSALS; tries++) {
		struct claim c = {.f = f, .who = who, .p = &p};
		struct err why = {0};

		if (propose(f, places, n_places, &p, &any, e) < 0)
			return -1;
		if (!any)
			break;
		if (db_claim(f->db, claim, &c, &why) == 0) {
			*ret_step = c.step;
			return 0;
		}
		flow_step_free(c.step);
		if (c.until_us && turn_write(f, put_off, &c, NULL, e) < 0)
			return -1;
		if (!c.gone) {
			if (e)
				*e = why;
			return -1;
		}
	}
	*ret_step = NULL;
	return 0;
}

/* ---- renewing ---- */

struct renewal {
	struct flow *f;
	const char *step;
	uint64_t fence;
	char *progress;
	bool stop;
};

static int lost(const struct renewal *w, struct err *e)
{
	return err_set(e, ERR_CONFLICT,
		       "step %s is not leased under fence %llu: it has ended, or somebody else has "
		       "it",
		       w->step, (unsigned long long)w->fence);
}

/* The operation's row comes first, always; and only progress is news to who watches. */
static int renew_operation(struct turn *x, const struct renewal *w, struct err *e)
{
	AUTO(db_rows) r = NULL;
	AUTO_OPERATION o = {0};
	int rc;

	if (!w->progress)
		return 0;
	r = db_query(x->t, e, "SELECT operation_id FROM steps WHERE id = $1", db_t(w->step));
	rc = r ? db_next(r, e) : -1;
	if (rc <= 0)
		return rc < 0 ? -1 : lost(w, e);
	return turn_lock(x, db_text(r, 0), &o, e);
}

static int renew(struct db_tx *t, void *arg, struct err *e)
{
	struct renewal *w = arg;
	struct turn x = {.f = w->f, .t = t, .now = flow_now(w->f)};
	AUTO(db_rows) r = NULL;
	AUTO(db_rows) o = NULL;
	int rc;

	if (renew_operation(&x, w, e) < 0)
		return -1;
	r = db_query(t, e,
		     "UPDATE steps SET lease_until = $3 + lease_us, progress = coalesce($4, "
		     "progress) WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING "
		     "operation_id, undoing, deadline_at",
		     db_t(w->step), db_i(w->fence), db_i(x.now), db_t(w->progress));
	rc = r ? db_next(r, e) : -1;
	if (rc <= 0)
		return rc < 0 ? -1 : lost(w, e);
	w->stop = !db_is_null(r, 2) && (uint64_t)db_int(r, 2) <= x.now;
	o = db_query(t, e, "SELECT state FROM operations WHERE id = $1", db_t(db_text(r, 0)));
	rc = o ? db_next(o, e) : -1;
	if (rc > 0 && !db_int(r, 1) && strcmp(db_text(o, 0), FLOW_UNDOING) == 0)
		w->stop = true;
	return MIN(rc, 0);
}

int flow_renew(struct flow *f, const char *step, uint64_t fence, const json_t *progress,
	       bool *ret_stop, struct err *e)
{
	AUTO_FREE char *text = flow_dump_json(progress);
	struct renewal w = {.f = f, .step = step, .fence = fence, .progress = text};

	if (progress && (!json_is_object(progress) || !text || strlen(text) > 8192))
		return err_set(e, ERR_INVALID, "progress is no JSON object of at most 8192 bytes");
	if (db_claim(f->db, renew, &w, e) < 0)
		return -1;
	*ret_stop = w.stop;
	return 0;
}
