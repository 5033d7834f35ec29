/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.c: threads that run the steps of FLOW_WORKER, and one that keeps.
 *
 * The keeper renews the leases of what the others run, tells them to stop, and looks after the
 * rest. It renews first: when the clock has jumped, or the machine slept, its own steps are safe
 * before anybody's lease is judged by the new time. Those of others get one lease of time to be
 * heard of, when the keeper has reason to think that nobody could be: it was away itself, or the
 * two clocks disagree.
 */
#include "flow/flow_priv.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"

#define IDLE_MS 2000	 /* who waits looks again after so long in any case */
#define ROUND_MS 1000	 /* of the keeper */
#define LOOK_US 5000000	 /* between looking after everything */
#define AWAY_US 15000000 /* of silence: the keeper could not work */
#define JUMP_US 5000000	 /* between the two clocks, from one round to the next */
#define GRACE_US 60000000
#define THREADS_MOST 256

/* What one thread is at. */
struct job {
	struct workers *w;
	pthread_t thread;
	/* Under the lock of the workers, but for `cancel`. */
	const struct flow_step *step; /* NULL: idle */
	uint64_t lease_us, renew_us;  /* when to renew, and the next two: by the steady clock */
	uint64_t deadline_us;	      /* 0: none */
	bool lost, late, told;
	struct cancel cancel;
};

struct workers {
	struct flow *f;
	struct job *jobs;
	unsigned n, busy;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	/* Of those that rest one watches; who finds a step nudges the next, so not all look at
	 * once. */
	bool watched;
	unsigned nudges;
	pthread_cond_t nudged;
	pthread_t keeper;
	atomic_bool stopping; /* take no more */
	atomic_bool drained;  /* and stop what runs */
	atomic_bool over;     /* for the keeper */
};

/* ---- a job ---- */

static void job_begin(struct job *j, const struct flow_step *s)
{
	const struct flow_kind *k = flow_kind_find(j->w->f, s->kind);
	uint64_t now = clock_mono_us();

	pthread_mutex_lock(&j->w->lock);
	j->step = s;
	j->lease_us = flow_lease_us(k);
	j->renew_us = now + j->lease_us / 3;
	j->deadline_us = k && k->deadline_s ? now + UINT64_C(1000000) * k->deadline_s : 0;
	j->lost = j->late = j->told = false;
	atomic_store(&j->cancel.set, atomic_load(&j->w->drained));
	j->w->busy++;
	pthread_mutex_unlock(&j->w->lock);
}

static void job_end(struct job *j)
{
	pthread_mutex_lock(&j->w->lock);
	j->step = NULL;
	j->w->busy--;
	pthread_cond_broadcast(&j->w->idle);
	pthread_mutex_unlock(&j->w->lock);
}

/* Run what the step's kind says. */
static int call(struct job *j, const struct flow_step *s, json_t **ret_result, struct err *e)
{
	const struct flow_kind *k = flow_kind_find(j->w->f, s->kind);
	struct flow_run r = {.step = s, .cancel = &j->cancel, .flow = j->w->f, .db = j->w->f->db};

	if (!k)
		return err_set(e, ERR_UNSUPPORTED, "this holdfastd knows no steps of kind %s",
			       s->kind);
	if (s->undo)
		return k->undo ? k->undo(&r, ret_result, e) : 0;
	return k->run ? k->run(&r, ret_result, e) : 0;
}

/* What the failure of a step means that may have been told to stop. */
static void explain(struct job *j, struct err *why)
{
	const struct flow_kind *k = flow_kind_find(j->w->f, j->step->kind);

	pthread_mutex_lock(&j->w->lock);
	if (j->told)
		why->kind = ERR_CANCELLED;
	else if (j->late)
		err_set(why, ERR_TIMEOUT, "it took longer than %u s", k ? k->deadline_s : 0);
	else if (atomic_load(&j->w->drained))
		err_set(why, ERR_CANCELLED, "this holdfastd is stopping");
	else if (why->kind == ERR_CANCELLED || why->kind == ERR_NONE)
		why->kind = ERR_INTERNAL;
	pthread_mutex_unlock(&j->w->lock);
}

static bool is_lost(struct job *j)
{
	bool lost;

	pthread_mutex_lock(&j->w->lock);
	lost = j->lost;
	pthread_mutex_unlock(&j->w->lock);
	return lost;
}

/*
 * Record it, for as long as it takes: a database that is gone for a minute costs no result. When
 * this process has to stop, the lease will run out in its place.
 */
static void report(struct job *j, const struct flow_step *s, json_t *result, const struct err *why)
{
	struct err e = {0};

	while (!is_lost(j)) {
		if (flow_finish(j->w->f, s->id, s->fence, result, why, &e) == 0)
			return;
		if (e.kind == ERR_CONFLICT) {
			log_debug("flow: %s", e.msg);
			return;
		}
		log_warn("flow: the result of step %s cannot be recorded yet: %s", s->id, e.msg);
		if (atomic_load(&j->w->drained))
			return;
		clock_sleep_ms(500);
	}
}

static void run_step(struct job *j, struct flow_step *s)
{
	struct err why = {0};
	json_t *result = NULL;
	int rc;

	job_begin(j, s);
	rc = call(j, s, &result, &why);
	if (rc < 0) {
		explain(j, &why);
		json_decref(result);
		result = NULL;
	} else if (result && !json_is_object(result)) {
		rc = err_set(&why, ERR_INTERNAL, "what a step of kind %s returned is no object",
			     s->kind);
	}
	report(j, s, rc < 0 ? NULL : result, rc < 0 ? &why : NULL);
	json_decref(result);
	job_end(j);
	flow_step_free(s);
}

/* So many of those that rest are to look; if none rests, the next that would. */
static void nudge(struct workers *w, unsigned n)
{
	pthread_mutex_lock(&w->lock);
	w->nudges = MAX(w->nudges, n);
	for (unsigned i = 0; i < n; i++)
		pthread_cond_signal(&w->nudged);
	pthread_mutex_unlock(&w->lock);
}

/* Until there may be something to take; `seen`: before it was looked for. */
static void rest(struct workers *w, uint64_t seen)
{
	struct timespec until = cond_in_ms(IDLE_MS);
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	while (w->watched && w->nudges == 0 && rc == 0)
		rc = pthread_cond_timedwait(&w->nudged, &w->lock, &until);
	if (w->nudges > 0) {
		w->nudges--;
	} else if (!w->watched) {
		w->watched = true;
		pthread_mutex_unlock(&w->lock);
		db_wait(w->f->db, WAKE_STEPS, seen, IDLE_MS);
		pthread_mutex_lock(&w->lock);
		w->watched = false;
	}
	pthread_mutex_unlock(&w->lock);
}

static void *work(void *arg)
{
	static const char *const places[] = {FLOW_WORKER};
	struct job *j = arg;
	struct flow *f = j->w->f;
	bool told = false;

	while (!atomic_load(&j->w->stopping)) {
		uint64_t seen = db_woken(f->db, WAKE_STEPS);
		struct flow_step *s = NULL;
		struct err e = {0};

		if (f->may && !f->may(f->may_arg)) {
			db_wait(f->db, WAKE_STEPS, seen, IDLE_MS);
			continue;
		}
		if (flow_take(f, f->name, places, ARRAY_LEN(places), &s, &e) < 0) {
			if (!told)
				log_warn("flow: no step can be taken: %s", e.msg);
			told = true;
			clock_sleep_ms(500);
			continue;
		}
		told = false;
		if (s) {
			nudge(j->w, 1);
			run_step(j, s);
		} else if (!atomic_load(&j->w->stopping)) {
			rest(j->w, seen);
		}
	}
	return NULL;
}

/* ---- the keeper ---- */

/* A job whose lease is to be renewed, copied out of the lock. */
struct due {
	struct job *j;
	char step[UUID_TEXT];
	uint64_t fence;
};

static size_t list_due(struct workers *w, struct due *v)
{
	uint64_t now = clock_mono_us();
	size_t n = 0;

	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < w->n; i++) {
		struct job *j = &w->jobs[i];

		if (!j->step || j->lost)
			continue;
		if (j->deadline_us && now >= j->deadline_us) {
			j->late = true;
			cancel_set(&j->cancel);
		}
		if (now < j->renew_us)
			continue;
		j->renew_us = now + j->lease_us / 3;
		v[n] = (struct due){.j = j, .fence = j->step->fence};
		memcpy(v[n++].step, j->step->id, UUID_TEXT);
	}
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* Tell the job, if it is still at that step. */
static void tell(struct job *j, const char *step, uint64_t fence, bool lost)
{
	pthread_mutex_lock(&j->w->lock);
	if (j->step && strcmp(j->step->id, step) == 0 && j->step->fence == fence) {
		j->told = j->told || !lost;
		j->lost = j->lost || lost;
		cancel_set(&j->cancel);
	}
	pthread_mutex_unlock(&j->w->lock);
}

/* False: the database cannot be reached. */
static bool renew_due(struct workers *w)
{
	AUTO_FREE struct due *v = xcalloc(w->n + 1, sizeof(*v));
	size_t n = list_due(w, v);
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		struct err e = {0};
		bool stop = false;

		if (flow_renew(w->f, v[i].step, v[i].fence, NULL, &stop, &e) == 0) {
			if (stop)
				tell(v[i].j, v[i].step, v[i].fence, false);
		} else if (e.kind == ERR_CONFLICT) {
			tell(v[i].j, v[i].step, v[i].fence, true);
		} else {
			good = false;
		}
	}
	return good;
}

static int stop_told(struct db_tx *t, void *arg, struct err *e)
{
	struct workers *w = arg;
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT s.id, s.fence FROM steps s JOIN operations o ON o.id = "
		     "s.operation_id WHERE s.state = 'running' AND s.undoing = 0 AND "
		     "s.leased_by = $1 AND o.state = 'undoing'",
		     db_t(w->f->name));
	int rc = -1;

	while (r && (rc = db_next(r, e)) > 0)
		for (unsigned i = 0; i < w->n; i++)
			tell(&w->jobs[i], db_text(r, 0), (uint64_t)db_int(r, 1), false);
	return rc;
}

/* How long the keeper may wait: until a lease is to be renewed, or a deadline passes. */
static unsigned until_due(struct workers *w)
{
	uint64_t now = clock_mono_us();
	uint64_t due = now + ROUND_MS * 1000;

	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < w->n; i++) {
		const struct job *j = &w->jobs[i];

		if (!j->step || j->lost)
			continue;
		due = MIN(due, j->renew_us);
		if (j->deadline_us && !j->late)
			due = MIN(due, j->deadline_us);
	}
	pthread_mutex_unlock(&w->lock);
	return due > now ? (unsigned)((due - now + 999) / 1000) : 0;
}

struct clocks {
	uint64_t wall, mono; /* of the last round */
	uint64_t good;	     /* the last round in which the database answered */
	uint64_t look, grace;
};

/* Others were perhaps not able to renew: let them be heard of before they are judged. */
static void check_clocks(struct clocks *c, uint64_t wall, uint64_t mono)
{
	int64_t drift = (int64_t)(wall - c->wall) - (int64_t)(mono - c->mono);

	if (drift > JUMP_US || drift < -JUMP_US || mono - c->good > AWAY_US)
		c->grace = mono + GRACE_US;
	c->wall = wall;
	c->mono = mono;
}

struct passing {
	uint64_t from, to;
};

/* Steps that became due between two rounds: wake who waits for them. */
static int wake_due(struct db_tx *t, void *arg, struct err *e)
{
	struct passing *p = arg;
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT 1 FROM steps WHERE state = 'ready' AND not_before > $1 "
		     "AND not_before <= $2 LIMIT 1",
		     db_i(p->from), db_i(p->to));
	int rc = r ? db_next(r, e) : -1;

	return rc > 0 ? db_wake(t, WAKE_STEPS, e) : rc;
}

static bool keep_round(struct workers *w, struct clocks *c, struct err *e)
{
	uint64_t wall = flow_now(w->f), mono = clock_mono_us();
	struct passing p = {.from = c->wall, .to = wall};
	bool good;

	check_clocks(c, wall, mono);
	good = renew_due(w) && db_read(w->f->db, stop_told, w, e) == 0 &&
	       flow_end_stopped(w->f, wall, e) == 0;
	if (good && p.from < p.to)
		good = db_claim(w->f->db, wake_due, &p, e) == 0;
	if (good && mono >= c->look && mono >= c->grace) {
		c->look = mono + LOOK_US;
		good = flow_look_after(w->f, wall, e) == 0;
	}
	if (good)
		c->good = clock_mono_us();
	return good;
}

static void *keep(void *arg)
{
	struct workers *w = arg;
	uint64_t mono = clock_mono_us();
	struct clocks c = {.wall = flow_now(w->f), .mono = mono, .good = mono};
	bool told = false;

	for (;;) {
		/* Before it looks whether it is over: who ends it wakes it after he said so. */
		uint64_t seen = db_woken(w->f->db, WAKE_STOPS);
		struct err e = {0};
		bool good;

		if (atomic_load(&w->over))
			break;
		good = keep_round(w, &c, &e);
		if (!good && !told && e.kind)
			log_warn("flow: looking after steps failed: %s", e.msg);
		told = !good;
		if (good)
			db_wait(w->f->db, WAKE_STOPS, seen, until_due(w));
		else
			clock_sleep_ms(ROUND_MS);
	}
	return NULL;
}

/* ---- starting and stopping ---- */

static void workers_join(struct workers *w)
{
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->jobs[i].thread, NULL);
	atomic_store(&w->over, true);
}

static void workers_free(struct workers *w)
{
	pthread_cond_destroy(&w->idle);
	pthread_cond_destroy(&w->nudged);
	pthread_mutex_destroy(&w->lock);
	free(w->jobs);
	free(w);
}

int flow_workers(struct flow *f, unsigned n, struct err *e)
{
	struct workers *w;
	int sys = 0;

	if (f->workers || n == 0 || n > THREADS_MOST)
		return err_set(e, ERR_INVALID, "a flow has 1 to %d workers, started once; not %u",
			       THREADS_MOST, n);
	w = xcalloc(1, sizeof(*w));
	w->f = f;
	w->jobs = xcalloc(n, sizeof(*w->jobs));
	pthread_mutex_init(&w->lock, NULL);
	cond_init(&w->idle);
	cond_init(&w->nudged);
	while (w->n < n && sys == 0) {
		w->jobs[w->n].w = w;
		sys = pthread_create(&w->jobs[w->n].thread, NULL, work, &w->jobs[w->n]);
		w->n += sys == 0;
	}
	if (sys == 0)
		sys = pthread_create(&w->keeper, NULL, keep, w);
	if (sys) {
		atomic_store(&w->stopping, true);
		workers_join(w);
		workers_free(w);
		return err_sys(e, sys, "start %u workers", n);
	}
	f->workers = w;
	return 0;
}

static void wait_idle(struct workers *w, unsigned timeout_ms)
{
	struct timespec until = cond_in_ms(timeout_ms);

	pthread_mutex_lock(&w->lock);
	while (w->busy && pthread_cond_timedwait(&w->idle, &w->lock, &until) == 0)
		;
	for (unsigned i = 0; i < w->n; i++)
		if (w->jobs[i].step)
			cancel_set(&w->jobs[i].cancel);
	atomic_store(&w->drained, true);
	pthread_mutex_unlock(&w->lock);
}

void flow_stop(struct flow *f, unsigned timeout_ms)
{
	struct workers *w = f->workers;

	if (!w)
		return;
	atomic_store(&w->stopping, true);
	db_wake_here(f->db, WAKE_STEPS);
	nudge(w, w->n);
	wait_idle(w, timeout_ms);
	workers_join(w);
	db_wake_here(f->db, WAKE_STOPS);
	pthread_join(w->keeper, NULL);
	f->workers = NULL;
	workers_free(w);
}
