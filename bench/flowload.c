/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flowload: how many operations a second are accepted and done, with many that ended lying about.
 *
 *	flowload DATABASE [ENDED [OPERATIONS]]
 *
 * DATABASE is "sqlite:/path" or "postgresql://…", and is filled: with ENDED old operations of three
 * steps (1,000,000), if it has fewer. Then OPERATIONS (10,000) of three steps are accepted from 16
 * threads, taken by one and by 16 callers without being run, and done by 8 workers. Prints a line
 * for each.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow/flow_priv.h"
#include "flow/flow_query.h"

#define CALLERS 16
#define WORKERS 8
#define FILL 2000 /* operations in one transaction */

static const struct flow_kind kind = {.name = "nothing"};
static const struct flow_kind *const kinds[] = {&kind, NULL};
static const struct flow_operation_kind op = {.name = "op"};
static const struct flow_operation_kind *const operations[] = {&op, NULL};

static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "flowload: %s: %s\n", what, e->msg);
	exit(1);
}

struct load {
	struct db *db;
	struct flow *f;
	long todo; /* of each caller */
	uint64_t not_before;
	_Atomic uint64_t slowest, sum, n;
};

/* ---- old ones ---- */

static int count(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT count(*) FROM operations");

	if (!r || db_next(r, e) <= 0)
		return -1;
	*(long *)arg = (long)db_int(r, 0);
	return 0;
}

struct fill {
	long from;
	uint64_t now;
};

#define NUMBERS                                                                                    \
	"WITH RECURSIVE k (n) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT n + 1 FROM k WHERE "  \
	"n < $2) "

static int fill(struct db_tx *t, void *arg, struct err *e)
{
	struct fill *w = arg;
	long to = w->from + FILL - 1;

	if (db_exec(t, NULL, e,
		    NUMBERS
		    "INSERT INTO operations (id, project_id, kind, subject, name, created_by, "
		    "priority, state, ending, undo_begun, cancel_asked, give_up, created_at, "
		    "not_before, started_at, ended_at, steps_added, log_lines, revision, changed) "
		    "SELECT 'old-' || n, 'project-' || (n % 1000), 'op', 'subject-' || n, 'old', "
		    "'bench', 0, 'succeeded', '', 0, 0, 0, $3 + n, 0, $3 + n, $3 + n, 3, 1, 7, 0 "
		    "FROM k",
		    db_i(w->from), db_i(to), db_i(w->now)) < 0)
		return -1;
	return db_exec(t, NULL, e,
		       NUMBERS
		       "INSERT INTO steps (id, operation_id, position, project_id, priority, "
		       "queued_at, kind, name, place, queue, state, undoing, undo_wave, unmet, "
		       "attempt, given_back, fence, not_before, started_at, ended_at) SELECT "
		       "'old-' || n || '-' || p.position, 'old-' || n, p.position, 'project-' || "
		       "(n % 1000), 0, $3 + n, 'nothing', 'old', 'worker', 'worker', 'done', 0, 0, "
		       "0, 1, 0, 1, 0, $3 + n, $3 + n FROM k CROSS JOIN (SELECT 1 AS position "
		       "UNION ALL SELECT 2 UNION ALL SELECT 3) p",
		       db_i(w->from), db_i(to), db_i(w->now));
}

static void fill_up(struct load *l, long ended)
{
	struct err e = {0};
	long have;

	if (db_read(l->db, count, &have, &e) < 0)
		die("count", &e);
	for (; have < ended; have += FILL) {
		struct fill w = {.from = have, .now = clock_wall_us() - UINT64_C(1000000000000)};

		if (db_claim(l->db, fill, &w, &e) < 0)
			die("fill", &e);
	}
}

/* ---- accepting ---- */

static int accept_one(struct db_tx *t, void *arg, struct err *e)
{
	struct load *l = arg;
	char project[32], id[UUID_TEXT], first[UUID_TEXT];
	uint16_t r;
	struct flow_operation_new o = {.kind = "op",
				       .project = project,
				       .subject = "subject",
				       .not_before_us = l->not_before};
	const char *needs[] = {first};
	struct flow_step_new s = {.kind = "nothing", .place = FLOW_WORKER, .name = "a step"};

	random_bytes(&r, sizeof(r));
	snprintf(project, sizeof(project), "project-%u", r % 1000);
	if (flow_start(l->f, t, &o, id, e) < 0 || flow_add(l->f, t, id, &s, first, e) < 0)
		return -1;
	s.needs = needs;
	s.n_needs = 1;
	return flow_add(l->f, t, id, &s, NULL, e) < 0 ? -1 : flow_add(l->f, t, id, &s, NULL, e);
}

static void *accept_many(void *arg)
{
	struct load *l = arg;
	struct err e = {0};

	for (long i = 0; i < l->todo; i++) {
		uint64_t since = clock_mono_us(), us;

		if (db_write(l->db, accept_one, l, &e) < 0)
			die("accept", &e);
		us = clock_mono_us() - since;
		atomic_fetch_add(&l->sum, us);
		atomic_fetch_add(&l->n, 1);
		if (us > atomic_load(&l->slowest))
			atomic_store(&l->slowest, us);
	}
	return NULL;
}

/* ---- taking ---- */

static void *take_many(void *arg)
{
	static const char *const places[] = {FLOW_WORKER};
	struct load *l = arg;
	struct err e = {0};

	for (long i = 0; i < l->todo; i++) {
		uint64_t since = clock_mono_us(), us;
		struct flow_step *s = NULL;

		if (flow_take(l->f, "bench", places, 1, &s, &e) < 0)
			die("take", &e);
		if (!s)
			break;
		us = clock_mono_us() - since;
		atomic_fetch_add(&l->sum, us);
		atomic_fetch_add(&l->n, 1);
		if (us > atomic_load(&l->slowest))
			atomic_store(&l->slowest, us);
		if (flow_finish(l->f, s->id, s->fence, NULL, NULL, &e) < 0)
			die("finish", &e);
		flow_step_free(s);
	}
	return NULL;
}

static void run(struct load *l, const char *what, void *(*fn)(void *), unsigned n, long todo)
{
	pthread_t threads[CALLERS];
	uint64_t since = clock_mono_us();
	double s;

	l->todo = todo / n;
	l->slowest = l->sum = l->n = 0;
	for (unsigned i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, fn, l);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	s = (double)(clock_mono_us() - since) / 1e6;
	printf("%-34s %7lu in %6.1f s: %7.0f/s, mean %.1f ms, slowest %.0f ms\n", what,
	       (unsigned long)l->n, s, (double)l->n / s,
	       (double)l->sum / (double)MAX(l->n, 1) / 1e3, (double)l->slowest / 1e3);
	fflush(stdout);
}

/* ---- doing ---- */

struct left {
	long queued, live;
};

static int count_left(struct db_tx *t, void *arg, struct err *e)
{
	struct left *w = arg;
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT count(CASE state WHEN 'queued' THEN 1 END), count(*) "
		     "FROM operations WHERE ended_at IS NULL");

	if (!r || db_next(r, e) <= 0)
		return -1;
	w->queued = (long)db_int(r, 0);
	w->live = (long)db_int(r, 1);
	return 0;
}

/* All become due at the same moment. */
static void run_due(struct load *l, long n)
{
	struct err e = {0};
	struct left w;
	uint64_t since;
	bool told = false;

	l->not_before = clock_wall_us() + UINT64_C(1000000) * (uint64_t)(5 + n / 500);
	run(l, "accepted, due later", accept_many, CALLERS, n);
	while (clock_wall_us() < l->not_before)
		clock_sleep_ms(1);
	since = clock_mono_us();
	if (flow_workers(l->f, WORKERS, &e) < 0)
		die("workers", &e);
	for (;;) {
		if (db_read(l->db, count_left, &w, &e) < 0)
			die("count", &e);
		if (w.queued == 0 && !told)
			printf("%-34s %7ld in %6.1f s\n", "due at once, all started", n,
			       (double)(clock_mono_us() - since) / 1e6);
		told = w.queued == 0;
		if (w.live == 0)
			break;
		clock_sleep_ms(50);
	}
	printf("%-34s %7ld in %6.1f s\n", "due at once, all ended", n,
	       (double)(clock_mono_us() - since) / 1e6);
	flow_stop(l->f, 10000);
}

int main(int argc, char **argv)
{
	long ended = argc > 2 ? strtol(argv[2], NULL, 10) : 1000000;
	long n = argc > 3 ? strtol(argv[3], NULL, 10) : 10000;
	struct err e = {0};
	struct load l = {0};

	if (argc < 2) {
		fprintf(stderr, "usage: flowload DATABASE [ENDED [OPERATIONS]]\n");
		return 2;
	}
	l.db = db_open(argv[1], &e);
	l.f = l.db ? flow_new(l.db, "bench", kinds, operations, &e) : NULL;
	if (!l.f)
		die(argv[1], &e);
	fill_up(&l, ended);
	run(&l, "accepted by 1 thread", accept_many, 1, n / 10);
	run(&l, "accepted by 16 threads", accept_many, CALLERS, n);
	run(&l, "taken and finished by 1 thread", take_many, 1, n / 10);
	run(&l, "taken and finished by 16 threads", take_many, CALLERS, n * 4);
	run_due(&l, n);
	flow_free(l.f);
	db_close(l.db);
	return 0;
}
