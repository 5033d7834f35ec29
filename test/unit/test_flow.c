/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flow_fixture.h"

#define S INT64_C(1000000)
#define YEARS_10 (INT64_C(315576000) * S)

static void finish(struct flow_fixture *x, struct flow_step *s, enum err_kind kind)
{
	struct err why = {.kind = kind, .msg = "it went wrong"};

	OK(flow_finish(x->f, s->id, s->fence, NULL, kind ? &why : NULL, e));
	flow_step_free(s);
}

/* ---- forward ---- */

static void test_graph(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];
	struct flow_step *b, *c;

	flow_fixture_start(x, "a b<a c<a d<b,c", op);
	STATES(x, op, "queued: a=ready b=waiting c=waiting d=waiting");
	flow_fixture_do(x, "a", ERR_NONE);
	STATES(x, op, "running: a=done b=ready c=ready d=waiting");
	b = flow_fixture_take(x, FLOW_WORKER, "b");
	c = flow_fixture_take(x, FLOW_WORKER, "c");
	flow_fixture_take(x, FLOW_WORKER, NULL);
	finish(x, c, ERR_NONE);
	STATES(x, op, "running: a=done b=running c=done d=waiting");
	finish(x, b, ERR_NONE);
	flow_fixture_do(x, "d", ERR_NONE);
	STATES(x, op, "succeeded: a=done b=done c=done d=done");
	CALLS(x, op, "settle a, settle c, settle b, settle d, ended succeeded");
}

static void test_without_steps(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	flow_fixture_start(x, "", op);
	STATES(x, op, "queued:");
	flow_fixture_later(x, 0);
	STATES(x, op, "succeeded:");
	CALLS(x, op, "ended succeeded");
}

static void test_fence(void **state)
{
	struct flow_fixture *x = *state;
	struct err why = {.kind = ERR_IO, .msg = "late"};
	struct flow_step *old, *new;
	char op[UUID_TEXT];
	bool stop;

	flow_fixture_start(x, "a", op);
	old = flow_fixture_take(x, FLOW_WORKER, "a");
	assert_int_equal(old->attempt, 1);
	flow_fixture_later(x, 59 * S);
	OK(flow_renew(x->f, old->id, old->fence, NULL, &stop, e));
	assert_false(stop);
	flow_fixture_later(x, 59 * S);
	STATES(x, op, "running: a=running");
	flow_fixture_later(x, 2 * S);
	STATES(x, op, "running: a=ready");
	FAILS(ERR_CONFLICT, flow_renew(x->f, old->id, old->fence, NULL, &stop, e));
	FAILS(ERR_CONFLICT, flow_finish(x->f, old->id, old->fence, NULL, NULL, e));
	x->now += 10 * S;
	new = flow_fixture_take(x, FLOW_WORKER, "a");
	assert_int_equal(new->attempt, 2);
	assert_true(new->fence > old->fence);
	FAILS(ERR_CONFLICT, flow_finish(x->f, old->id, old->fence, NULL, NULL, e));
	FAILS(ERR_CONFLICT, flow_finish(x->f, old->id, old->fence, NULL, &why, e));
	FAILS(ERR_CONFLICT, flow_renew(x->f, old->id, old->fence, NULL, &stop, e));
	STATES(x, op, "running: a=running");
	OK(flow_finish(x->f, new->id, new->fence, NULL, NULL, e));
	FAILS(ERR_CONFLICT, flow_finish(x->f, new->id, new->fence, NULL, NULL, e));
	STATES(x, op, "succeeded: a=done");
	CALLS(x, op, "settle a, ended succeeded");
	flow_step_free(old);
	flow_step_free(new);
}

static void test_retries(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	flow_fixture_start(x, "a", op);
	for (int i = 1; i < FLOW_ATTEMPTS; i++) {
		flow_fixture_do(x, "a", ERR_UNREACHABLE);
		STATES(x, op, "running: a=ready");
		/* It pauses: at least so long, and with some chance a little longer. */
		x->now += (uint64_t)((2 * S << (i - 1)) * 3 / 4 - 1);
		flow_fixture_take(x, FLOW_WORKER, NULL);
		x->now += (uint64_t)(2 * S << (i - 1));
	}
	flow_fixture_do(x, "a", ERR_UNREACHABLE);
	STATES(x, op, "failed: a=failed");
	CALLS(x, op, "failed a, ended failed");
}

static void test_permanent(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	flow_fixture_start(x, "a b<a c", op);
	flow_fixture_do(x, "a", ERR_DENIED);
	STATES(x, op, "failed: a=failed b=cancelled c=cancelled");
	CALLS(x, op, "failed a, ended failed");
}

static void test_given_back(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_step *s;
	char op[UUID_TEXT];

	flow_fixture_start(x, "a/once", op);
	for (int i = 0; i < FLOW_GIVEN_BACK_MOST; i++) {
		s = flow_fixture_take(x, FLOW_WORKER, "a");
		assert_int_equal(s->attempt, 1);
		finish(x, s, ERR_CANCELLED);
		STATES(x, op, "running: a=ready");
		x->now += (uint64_t)(400 * S);
	}
	flow_fixture_do(x, "a", ERR_CANCELLED);
	STATES(x, op, "failed: a=failed");
}

/* ---- backward ---- */

/* Courses that end in undoing: the steps, what happens to each in turn, what is left and called. */
static const struct {
	const char *steps;
	const char *run; /* names; "!" before one that fails for good */
	const char *undo, *after, *calls;
} undoings[] = {
	/* in reverse, and only what was done */
	{"a/undo b/undo<a c<b d/undo<c e<d", "a b c !d", "b a",
	 "failed: a=undone b=undone c=done d=failed e=cancelled",
	 "settle a, settle b, settle c, failed d, undone b, undone a, ended failed"},
	/* through steps that have no undo */
	{"a/undo b<a c/undo<b d<c", "a b c !d", "c a", "failed: a=undone b=done c=undone d=failed",
	 "settle a, settle b, settle c, failed d, undone c, undone a, ended failed"},
	/* nothing to undo: it ends at once */
	{"a b<a", "a !b", "", "failed: a=done b=failed", "settle a, failed b, ended failed"},
	/* side by side */
	{"a/undo b/undo c<a,b", "a b !c", "a b", "failed: a=undone b=undone c=failed",
	 "settle a, settle b, failed c, undone a, undone b, ended failed"},
};

static void run_all(struct flow_fixture *x, const char *words)
{
	AUTO_FREE char *text = xstrdup(words);
	char *rest = text;
	char *word;

	while ((word = strtok_r(rest, " ", &rest)))
		flow_fixture_do(x, word[0] == '!' ? word + 1 : word,
				word[0] == '!' ? ERR_DENIED : ERR_NONE);
}

static void test_undo(void **state)
{
	struct flow_fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(undoings); i++) {
		char op[UUID_TEXT];

		flow_fixture_start(x, undoings[i].steps, op);
		run_all(x, undoings[i].run);
		run_all(x, undoings[i].undo);
		STATES(x, op, undoings[i].after);
		CALLS(x, op, undoings[i].calls);
	}
}

/* Undoing waits for what still runs, and takes that back, too. */
static void test_undo_waits(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_step *b, *c;
	char op[UUID_TEXT];
	bool stop;

	flow_fixture_start(x, "a/undo b/undo<a c<a d<a", op);
	flow_fixture_do(x, "a", ERR_NONE);
	b = flow_fixture_take(x, FLOW_WORKER, "b");
	c = flow_fixture_take(x, FLOW_WORKER, "c");
	flow_fixture_do(x, "d", ERR_DENIED);
	STATES(x, op, "undoing: a=done b=running c=running d=failed");
	flow_fixture_take(x, FLOW_WORKER, NULL);
	OK(flow_renew(x->f, b->id, b->fence, NULL, &stop, e));
	assert_true(stop);
	finish(x, b, ERR_NONE);
	STATES(x, op, "undoing: a=done b=done c=running d=failed");
	finish(x, c, ERR_CANCELLED);
	STATES(x, op, "undoing: -a=waiting -b=ready c=cancelled d=failed");
	b = flow_fixture_take(x, FLOW_WORKER, "b");
	assert_true(b->undo);
	OK(flow_renew(x->f, b->id, b->fence, NULL, &stop, e));
	assert_false(stop);
	finish(x, b, ERR_NONE);
	flow_fixture_do(x, "a", ERR_NONE);
	STATES(x, op, "failed: a=undone b=undone c=cancelled d=failed");
	CALLS(x, op, "settle a, failed d, settle b, cancelled c, undone b, undone a, ended failed");
}

static void test_undo_fails(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	flow_fixture_start(x, "a/undo b/undo<a c<b", op);
	run_all(x, "a b !c");
	for (int i = 0; i < FLOW_ATTEMPTS; i++) {
		flow_fixture_do(x, "b", ERR_DENIED);
		x->now += (uint64_t)(400 * S);
	}
	STATES(x, op, "undoing: -a=ready b=undo_failed c=failed");
	flow_fixture_do(x, "a", ERR_NONE);
	STATES(x, op, "failed: a=undone b=undo_failed c=failed");
	/* and it can be run again */
	flow_fixture_retry(x, op);
	STATES(x, op, "queued: a=ready b=waiting c=waiting");
	run_all(x, "a b c");
	STATES(x, op, "succeeded: a=done b=done c=done");
}

static void test_movers(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_step *a, *b;
	json_t *result = json_pack("{s:i}", "made", 7);
	char op[UUID_TEXT];

	flow_fixture_start(x, "a/moved@mover:1 b/undo@mover c<a,b", op);
	flow_fixture_take(x, FLOW_WORKER, NULL);
	flow_fixture_take(x, "mover:2", NULL);
	a = flow_fixture_take(x, "mover:1", "a");
	assert_string_equal(a->place, "mover:1");
	OK(flow_finish(x->f, a->id, a->fence, result, NULL, e));
	flow_step_free(a);
	json_decref(result);
	b = flow_fixture_take(x, FLOW_ANY_MOVER, "b");
	finish(x, b, ERR_NONE);
	flow_fixture_do(x, "c", ERR_DENIED);
	STATES(x, op, "undoing: -a=ready -b=ready c=failed");
	/* "moved" is undone where it was done, and what was done is told; "undo" by a worker */
	a = flow_fixture_take(x, "mover:1", "a");
	assert_true(a->undo);
	assert_int_equal(json_integer_value(json_object_get(a->result, "made")), 7);
	finish(x, a, ERR_NONE);
	flow_fixture_take(x, FLOW_ANY_MOVER, NULL);
	flow_fixture_do(x, "b", ERR_NONE);
	STATES(x, op, "failed: a=undone b=undone c=failed");
}

/* ---- cancelling ---- */

static void test_cancel(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_step *b;
	char op[UUID_TEXT];

	/* queued */
	flow_fixture_start(x, "a b<a", op);
	flow_fixture_cancel(x, op);
	flow_fixture_take(x, FLOW_WORKER, NULL);
	flow_fixture_later(x, 0);
	STATES(x, op, "cancelled: a=cancelled b=cancelled");
	CALLS(x, op, "ended cancelled");

	/* one runs, one is done */
	flow_fixture_start(x, "a/undo b<a c<a", op);
	flow_fixture_do(x, "a", ERR_NONE);
	b = flow_fixture_take(x, FLOW_WORKER, "b");
	flow_fixture_cancel(x, op);
	flow_fixture_cancel(x, op);
	STATES(x, op, "undoing: a=done b=running c=ready");
	flow_fixture_take(x, FLOW_WORKER, NULL);
	finish(x, b, ERR_CANCELLED);
	STATES(x, op, "undoing: -a=ready b=cancelled c=cancelled");
	flow_fixture_do(x, "a", ERR_NONE);
	STATES(x, op, "cancelled: a=undone b=cancelled c=cancelled");
	CALLS(x, op, "settle a, cancelled b, undone a, ended cancelled");

	/* one pauses after a failure: it is told, for it was tried */
	flow_fixture_start(x, "a b", op);
	flow_fixture_do(x, "a", ERR_IO);
	flow_fixture_cancel(x, op);
	flow_fixture_later(x, 0);
	STATES(x, op, "cancelled: a=cancelled b=cancelled");
	CALLS(x, op, "cancelled a, ended cancelled");

	/* who runs it never comes back */
	flow_fixture_start(x, "a", op);
	flow_step_free(flow_fixture_take(x, FLOW_WORKER, "a"));
	flow_fixture_cancel(x, op);
	flow_fixture_later(x, 0);
	STATES(x, op, "undoing: a=running");
	flow_fixture_later(x, 61 * S);
	STATES(x, op, "cancelled: a=cancelled");
}

static int cancel_ended(struct db_tx *t, void *arg, struct err *why)
{
	struct flow_fixture *x = arg;

	(void)why;
	FAILS(ERR_NOENT, flow_cancel(x->f, t, "no-such-operation", e));
	FAILS(ERR_NOENT, flow_retry(x->f, t, "no-such-operation", e));
	return 0;
}

static int refuse_both(struct db_tx *t, void *arg, struct err *why)
{
	struct flow_fixture *x = arg;
	struct flow_filter all = {.limit = 10};
	char *marker = NULL;
	json_t *list;
	const char *id;

	(void)why;
	OK(flow_list(t, &all, &list, &marker, e));
	id = json_string_value(json_object_get(json_array_get(list, 0), "id"));
	FAILS(ERR_CONFLICT, flow_cancel(x->f, t, id, e));
	FAILS(ERR_CONFLICT, flow_retry(x->f, t, id, e));
	json_decref(list);
	return 0;
}

static void test_refused(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	OK(db_write(x->db.db, cancel_ended, x, e));
	flow_fixture_start(x, "a", op);
	flow_fixture_do(x, "a", ERR_NONE);
	OK(db_write(x->db.db, refuse_both, x, e));
	STATES(x, op, "succeeded: a=done");
}

/* A mover that is gone must not keep an operation for ever. */
static void test_cancel_undoing(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	flow_fixture_start(x, "a/moved@mover:1 b<a", op);
	finish(x, flow_fixture_take(x, "mover:1", "a"), ERR_NONE);
	flow_fixture_cancel(x, op);
	flow_fixture_later(x, 0);
	STATES(x, op, "undoing: -a=ready b=cancelled");
	flow_fixture_later(x, 1000 * S);
	STATES(x, op, "undoing: -a=ready b=cancelled");
	flow_fixture_cancel(x, op);
	flow_fixture_later(x, 0);
	STATES(x, op, "failed: a=undo_failed b=cancelled");
	CALLS(x, op, "settle a, ended failed");
}

static void test_deadline(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_operation_new o = {.kind = "op",
				       .project = "p",
				       .subject = "subject",
				       .deadline_us = x->now + (uint64_t)(100 * S),
				       .not_before_us = x->now + (uint64_t)(50 * S)};
	char op[UUID_TEXT];

	flow_fixture_start_as(x, &o, "a b<a", op);
	flow_fixture_take(x, FLOW_WORKER, NULL);
	flow_fixture_later(x, 50 * S);
	flow_fixture_do(x, "a", ERR_NONE);
	flow_fixture_later(x, 49 * S);
	STATES(x, op, "running: a=done b=ready");
	flow_fixture_later(x, 1 * S);
	STATES(x, op, "cancelled: a=done b=cancelled");
	/* It has passed, so it does not count any more. */
	flow_fixture_retry(x, op);
	flow_fixture_later(x, 1 * S);
	flow_fixture_do(x, "b", ERR_NONE);
	STATES(x, op, "succeeded: a=done b=done");
}

/* ---- again ---- */

static void test_retry(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	/* What is done stays, but for what was built on something that is done anew. */
	flow_fixture_start(x, "a b/undo<a c<b d<a e<c,d", op);
	run_all(x, "a b c d !e");
	run_all(x, "b");
	STATES(x, op, "failed: a=done b=undone c=done d=done e=failed");
	flow_fixture_retry(x, op);
	STATES(x, op, "queued: a=done b=ready c=waiting d=done e=waiting");
	run_all(x, "b c e");
	STATES(x, op, "succeeded: a=done b=done c=done d=done e=done");
	CALLS(x, op,
	      "settle a, settle b, settle c, settle d, failed e, undone b, ended failed, "
	      "settle b, settle c, settle e, ended succeeded");
}

/* Steps that a step adds are not there twice when it runs again. */
static void test_added(void **state)
{
	struct flow_fixture *x = *state;
	char op[UUID_TEXT];

	flow_fixture_start(x, "a/adds b<a", op);
	run_all(x, "a");
	STATES(x, op, "running: a=done b=ready more=ready");
	run_all(x, "!b a");
	STATES(x, op, "failed: a=undone b=failed more=cancelled");
	flow_fixture_retry(x, op);
	STATES(x, op, "queued: a=ready b=waiting");
	run_all(x, "a b more");
	STATES(x, op, "succeeded: a=done b=done more=done");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_graph),		FLOW_TEST(test_without_steps),
		FLOW_TEST(test_fence),		FLOW_TEST(test_retries),
		FLOW_TEST(test_permanent),	FLOW_TEST(test_given_back),
		FLOW_TEST(test_undo),		FLOW_TEST(test_undo_waits),
		FLOW_TEST(test_undo_fails),	FLOW_TEST(test_movers),
		FLOW_TEST(test_cancel),		FLOW_TEST(test_refused),
		FLOW_TEST(test_cancel_undoing), FLOW_TEST(test_deadline),
		FLOW_TEST(test_retry),		FLOW_TEST(test_added),
	};

	return flow_fixture_run(tests, ARRAY_LEN(tests));
}
