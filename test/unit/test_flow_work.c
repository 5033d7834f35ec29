/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that run steps: with the real clock.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "flow_fixture.h"

static atomic_uint runs, running, most, cancelled, undone;

/* Until it is told to stop, or `ms` of its input have passed. */
static int busy(const struct flow_run *r, json_t **ret_result, struct err *e)
{
	json_int_t ms = json_integer_value(json_object_get(r->step->input, "ms"));
	unsigned now = atomic_fetch_add(&running, 1) + 1;

	if (now > atomic_load(&most))
		atomic_store(&most, now);
	atomic_fetch_add(&runs, 1);
	for (json_int_t i = 0; i < ms && !cancel_asked(r->cancel); i++)
		clock_sleep_ms(1);
	atomic_fetch_sub(&running, 1);
	if (cancel_asked(r->cancel)) {
		atomic_fetch_add(&cancelled, 1);
		return err_set(e, ERR_IO, "interrupted");
	}
	*ret_result = json_pack("{s:I}", "ms", ms);
	return 0;
}

static int take_back(const struct flow_run *r, json_t **ret_result, struct err *e)
{
	(void)ret_result;
	(void)e;
	if (json_integer_value(json_object_get(r->step->result, "ms")) ==
	    json_integer_value(json_object_get(r->step->input, "ms")))
		atomic_fetch_add(&undone, 1);
	return 0;
}

/* Says that it was stopped, but nobody has told it. */
static int lies(const struct flow_run *r, json_t **ret_result, struct err *e)
{
	(void)r;
	(void)ret_result;
	return err_set(e, ERR_CANCELLED, "just so");
}

static const struct flow_kind kind_busy = {
	.name = "busy", .run = busy, .undo = take_back, .lease_s = 2};
static const struct flow_kind kind_late = {
	.name = "late", .run = busy, .deadline_s = 1, .attempts = 1};
static const struct flow_kind kind_lies = {.name = "lies", .run = lies};
static const struct flow_kind *const kinds[] = {&kind_busy, &kind_late, &kind_lies, NULL};
static const struct flow_operation_kind op = {.name = "op"};
static const struct flow_operation_kind *const operations[] = {&op, NULL};

static int up(void **state)
{
	struct flow_fixture *x = xcalloc(1, sizeof(*x));

	assert_true(db_fixture_new(&x->db, *state ? *state : "sqlite"));
	db_fixture_reopen(&x->db);
	x->f = OK_PTR(flow_new(x->db.db, "test", kinds, operations, e));
	x->f->pause_first_us = 10000;
	runs = running = most = cancelled = undone = 0;
	*state = x;
	return 0;
}

#define WORK_TEST(fn) cmocka_unit_test_setup_teardown(fn, up, flow_fixture_down)

struct making {
	struct flow_fixture *x;
	const char *kind;
	unsigned n; /* steps, and another that needs all */
	int ms, last_ms;
	char id[UUID_TEXT];
};

static int make(struct db_tx *t, void *arg, struct err *e)
{
	struct making *m = arg;
	struct flow_operation_new o = {.kind = "op", .project = "p", .subject = "subject"};
	struct flow_step_new s = {.kind = m->kind, .place = FLOW_WORKER, .name = "s"};
	char ids[64][UUID_TEXT];
	const char *needs[64];
	int rc = flow_start(m->x->f, t, &o, m->id, e);

	s.input = json_pack("{s:i}", "ms", m->ms);
	for (unsigned i = 0; i < m->n && rc == 0; i++) {
		rc = flow_add(m->x->f, t, m->id, &s, ids[i], e);
		needs[i] = ids[i];
	}
	json_decref(s.input);
	s.input = json_pack("{s:i}", "ms", m->last_ms);
	s.needs = needs;
	s.n_needs = m->n;
	if (rc == 0 && m->last_ms >= 0)
		rc = flow_add(m->x->f, t, m->id, &s, NULL, e);
	json_decref(s.input);
	return rc;
}

static void start(struct flow_fixture *x, struct making *m)
{
	m->x = x;
	OK(db_write(x->db.db, make, m, e));
}

static bool in_state(struct flow_fixture *x, const char *id, const char *state)
{
	AUTO_FREE char *states = flow_fixture_states(x, id);

	return strncmp(states, state, strlen(state)) == 0;
}

/* Wait for it, but not for ever. */
static void wait_for(struct flow_fixture *x, const char *id, const char *state)
{
	for (int i = 0; i < 3000; i++) {
		if (in_state(x, id, state))
			return;
		clock_sleep_ms(10);
	}
	STATES(x, id, state);
}

static void wait_running(unsigned n)
{
	for (int i = 0; i < 3000 && atomic_load(&running) < n; i++)
		clock_sleep_ms(10);
	assert_int_equal(atomic_load(&running), n);
}

static void test_run(void **state)
{
	struct flow_fixture *x = *state;
	struct making m = {.kind = "busy", .n = 8, .ms = 50, .last_ms = 1};

	OK(flow_workers(x->f, 4, e));
	start(x, &m);
	wait_for(x, m.id, "succeeded:");
	assert_int_equal(runs, 9);
	assert_in_range(most, 2, 4);
	FAILS(ERR_INVALID, flow_workers(x->f, 4, e));
	flow_stop(x->f, 1000);
}

/* It runs for longer than its lease, which is renewed. */
static void test_long(void **state)
{
	struct flow_fixture *x = *state;
	struct making m = {.kind = "busy", .n = 1, .ms = 4500, .last_ms = -1};

	OK(flow_workers(x->f, 2, e));
	start(x, &m);
	wait_running(1);
	for (int i = 0; i < 20; i++) {
		OK(flow_look_after(x->f, clock_wall_us(), e));
		clock_sleep_ms(200);
	}
	wait_for(x, m.id, "succeeded:");
	assert_int_equal(runs, 1);
}

static void test_cancel(void **state)
{
	struct flow_fixture *x = *state;
	struct making m = {.kind = "busy", .n = 3, .ms = 1, .last_ms = 60000};
	uint64_t since;

	OK(flow_workers(x->f, 3, e));
	start(x, &m);
	for (int i = 0; i < 3000 && atomic_load(&runs) < 4; i++)
		clock_sleep_ms(10);
	wait_running(1);
	since = clock_mono_us();
	flow_fixture_cancel(x, m.id);
	wait_for(x, m.id, "cancelled: s=undone s=undone s=undone s=cancelled");
	assert_true(clock_mono_us() - since < 20000000);
	assert_int_equal(cancelled, 1);
	assert_int_equal(undone, 3);
}

static void test_deadline(void **state)
{
	struct flow_fixture *x = *state;
	struct making m = {.kind = "late", .n = 1, .ms = 60000, .last_ms = -1};

	OK(flow_workers(x->f, 1, e));
	start(x, &m);
	wait_for(x, m.id, "failed: s=failed");
	assert_int_equal(cancelled, 1);
}

static void test_lies(void **state)
{
	struct flow_fixture *x = *state;
	struct making m = {.kind = "lies", .n = 1, .last_ms = -1};

	OK(flow_workers(x->f, 1, e));
	start(x, &m);
	wait_for(x, m.id, "failed: s=failed");
}

static int read_attempt(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT attempt, state FROM steps");

	if (!r || db_next(r, e) <= 0)
		return -1;
	*(int64_t *)arg = strcmp(db_text(r, 1), STEP_READY) == 0 ? db_int(r, 0) : -1;
	return 0;
}

/* Stopping gives back what does not end in time, and does not count it. */
static void test_drain(void **state)
{
	struct flow_fixture *x = *state;
	struct making m = {.kind = "busy", .n = 1, .ms = 60000, .last_ms = -1};
	int64_t attempt = -1;

	OK(flow_workers(x->f, 2, e));
	start(x, &m);
	wait_running(1);
	flow_stop(x->f, 100);
	assert_int_equal(cancelled, 1);
	OK(db_read(x->db.db, read_attempt, &attempt, e));
	assert_int_equal(attempt, 0);
	/* What ends in time is waited for. */
	OK(flow_workers(x->f, 2, e));
	flow_fixture_cancel(x, m.id);
	wait_for(x, m.id, "cancelled:");
	atomic_store(&cancelled, 0);
	m = (struct making){.kind = "busy", .n = 1, .ms = 300, .last_ms = -1};
	start(x, &m);
	wait_running(1);
	flow_stop(x->f, 60000);
	assert_int_equal(cancelled, 0);
	STATES(x, m.id, "succeeded: s=done");
}

static int steal_lease(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return db_exec(t, NULL, e, "UPDATE steps SET fence = fence + 1 WHERE state = 'running'");
}

/* Who has lost its lease is told to stop, and what it reports is not recorded. */
static void test_lost(void **state)
{
	struct flow_fixture *x = *state;
	struct making m = {.kind = "busy", .n = 1, .ms = 60000, .last_ms = -1};

	OK(flow_workers(x->f, 1, e));
	start(x, &m);
	wait_running(1);
	OK(db_write(x->db.db, steal_lease, NULL, e));
	for (int i = 0; i < 3000 && atomic_load(&cancelled) == 0; i++)
		clock_sleep_ms(10);
	assert_int_equal(cancelled, 1);
	clock_sleep_ms(100);
	STATES(x, m.id, "running: s=running");
	/* The lease runs out, and it is done by the next. */
	for (int i = 0; i < 3000 && atomic_load(&runs) < 2; i++)
		clock_sleep_ms(10);
	assert_true(runs >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORK_TEST(test_run),	  WORK_TEST(test_long), WORK_TEST(test_cancel),
		WORK_TEST(test_deadline), WORK_TEST(test_lies), WORK_TEST(test_drain),
		WORK_TEST(test_lost),
	};

	return flow_fixture_run(tests, ARRAY_LEN(tests));
}
