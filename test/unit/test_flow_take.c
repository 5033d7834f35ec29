/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which step is next, how many may run, and what a wrong clock does.
 */
#include <string.h>

#include "base/buf.h"
#include "flow_fixture.h"

#define S INT64_C(1000000)
#define YEARS_10 (INT64_C(315576000) * S)

static void start_for(struct flow_fixture *x, const char *project, int priority, const char *steps)
{
	struct flow_operation_new o = {
		.kind = "op", .project = project, .subject = "subject", .priority = priority};
	char id[UUID_TEXT];

	flow_fixture_start_as(x, &o, steps, id);
	x->now++;
}

/* Take what can be taken, in this order: a text of the steps' names. */
static void takes(struct flow_fixture *x, const char *want)
{
	static const char *const places[] = {FLOW_WORKER};
	char got[64] = "";
	size_t n = 0;

	for (;;) {
		struct flow_step *s = NULL;

		OK(flow_take(x->f, "somebody", places, 1, &s, e));
		if (!s)
			break;
		assert_true(n < sizeof(got) - 1);
		got[n++] = flow_fixture_name(s)[0];
		got[n] = 0;
		flow_step_free(s);
	}
	assert_string_equal(got, want);
}

static void test_order(void **state)
{
	struct flow_fixture *x = *state;

	/* priority, then the project with the fewest running, then age */
	start_for(x, "one", 0, "a b c");
	start_for(x, "two", 0, "d e");
	start_for(x, "one", 10, "f");
	start_for(x, "three", -10, "g");
	start_for(x, "three", 0, "h");
	/* f makes project one run one, so d and h come before a */
	takes(x, "fdhaebcg");
}

static int add_many(struct db_tx *t, void *arg, struct err *e)
{
	struct flow_fixture *x = arg;
	struct flow_operation_new o = {.kind = "op", .project = "many", .subject = "subject"};
	struct flow_step_new s = {.kind = "plain", .place = FLOW_WORKER};
	char id[UUID_TEXT];
	int rc = flow_start(x->f, t, &o, id, e);

	s.input = json_pack("{s:s}", "name", "m");
	for (int i = 0; i < 300 && rc == 0; i++)
		rc = flow_add(x->f, t, id, &s, NULL, e);
	json_decref(s.input);
	return rc;
}

/* A crowd is taken from a list that was read a moment ago, and everybody has a turn. */
static void test_crowd(void **state)
{
	struct flow_fixture *x = *state;
	unsigned others = 0;

	OK(db_write(x->db.db, add_many, x, e));
	x->now++;
	start_for(x, "few", 0, "a b c");
	for (int i = 0; i < 8; i++) {
		static const char *const places[] = {FLOW_WORKER};
		struct flow_step *s = NULL;

		OK(flow_take(x->f, "somebody", places, 1, &s, e));
		others += strcmp(s->project, "few") == 0;
		flow_step_free(s);
	}
	assert_int_equal(others, 3);
}

static void test_limits(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_step *a;
	char op[UUID_TEXT];

	flow_fixture_limit(x, "host:1", 2);
	flow_fixture_start(x, "a#host:1 b#host:1 c#host:1 d#host:2 e", op);
	a = flow_fixture_take(x, FLOW_WORKER, "a");
	takes(x, "bde");
	OK(flow_finish(x->f, a->id, a->fence, NULL, NULL, e));
	flow_step_free(a);
	takes(x, "c");
	/* more room */
	x->now++;
	flow_fixture_start(x, "a#host:1 b#host:1", op);
	takes(x, "");
	flow_fixture_limit(x, "host:1", 3);
	takes(x, "a");
	flow_fixture_limit(x, "host:1", 0);
	takes(x, "b");
	/* a lease that has run out frees its place */
	flow_fixture_limit(x, "host:1", 1);
	x->now++;
	flow_fixture_start(x, "f#host:1", op);
	takes(x, "");
	flow_fixture_later(x, 61 * S);
	x->now += (uint64_t)(10 * S);
	takes(x, "bde");
}

static void test_project_limits(void **state)
{
	struct flow_fixture *x = *state;

	flow_fixture_limit(x, "project", 2);
	flow_fixture_limit(x, "project:big", 3);
	flow_fixture_limit(x, "project:free", 0);
	start_for(x, "small", 0, "a b c");
	start_for(x, "big", 0, "d e f g");
	start_for(x, "free", 0, "h i j k");
	start_for(x, "other", 0, "l m n");
	takes(x, "adhlbeimfjk");
}

/* What "project" is to projects, any kind is to its keys; and to no others. */
static void test_limits_of_a_kind(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_step *a;
	char op[UUID_TEXT];

	flow_fixture_limit(x, "resource", 1);
	flow_fixture_limit(x, "resource:big", 2);
	flow_fixture_limit(x, "resource:free", 0);
	flow_fixture_start(x,
			   "a#resource:x1 b#resource:x1 c#resource:x2 d#resource:big "
			   "e#resource:big f#resource:big g#resource:free h#resource:free "
			   "i#resources:x1 j#resources:x1 k#host:resource l#host:resource",
			   op);
	a = flow_fixture_take(x, FLOW_WORKER, "a");
	takes(x, "cdeghijkl");
	OK(flow_finish(x->f, a->id, a->fence, NULL, NULL, e));
	flow_step_free(a);
	takes(x, "b");
	flow_fixture_limit(x, "resource", 0);
	flow_fixture_start(x, "m#resource:x1 n#resource:big o#resource:y", op);
	takes(x, "mo");
}

/* ---- clocks ---- */

/* Whatever the clock says, the result of who has the fence counts, and nobody waits for long. */
static void test_clock_jumps(void **state)
{
	static const int64_t jumps[] = {YEARS_10, -YEARS_10, 2 * S, -2 * S, 3600 * S, -3600 * S};
	struct flow_fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
		struct flow_step *s;
		char op[UUID_TEXT];

		flow_fixture_start(x, "a b<a", op);
		s = flow_fixture_take(x, FLOW_WORKER, "a");
		x->now += (uint64_t)jumps[i];
		/* Nobody has looked yet: it counts. */
		OK(flow_finish(x->f, s->id, s->fence, NULL, NULL, e));
		flow_step_free(s);
		flow_fixture_later(x, 0);
		STATES(x, op, "running: a=done b=ready");

		/* Who has b is dead. It is given to somebody else within minutes. */
		s = flow_fixture_take(x, FLOW_WORKER, "b");
		x->now += (uint64_t)jumps[i];
		flow_fixture_later(x, 0);
		for (int m = 0; m < 12; m++)
			flow_fixture_later(x, 60 * S);
		STATES(x, op, "running: a=done b=ready");
		FAILS(ERR_CONFLICT, flow_finish(x->f, s->id, s->fence, NULL, NULL, e));
		flow_step_free(s);

		/* It pauses, and the clock jumps: not for ten years. */
		x->now += (uint64_t)(60 * S);
		flow_fixture_do(x, "b", ERR_IO);
		x->now += (uint64_t)jumps[i];
		flow_fixture_later(x, 0);
		for (int m = 0; m < 30; m++)
			flow_fixture_later(x, 60 * S);
		flow_fixture_do(x, "b", ERR_NONE);
		STATES(x, op, "succeeded: a=done b=done");
		CALLS(x, op, "settle a, settle b, ended succeeded");
	}
}

/* What somebody has asked to be done later is not done now. */
static void test_not_before(void **state)
{
	struct flow_fixture *x = *state;
	struct flow_operation_new o = {.kind = "op",
				       .project = "p",
				       .subject = "subject",
				       .not_before_us = x->now + (uint64_t)YEARS_10};
	char op[UUID_TEXT];

	flow_fixture_start_as(x, &o, "a", op);
	flow_fixture_later(x, 60 * S);
	takes(x, "");
	STATES(x, op, "queued: a=ready");
	flow_fixture_later(x, YEARS_10);
	takes(x, "a");
}

/* ---- functions of kinds that fail ---- */

static const struct {
	struct flow_fixture_fault fault;
	const char *run, *states, *calls;
} faults[] = {
	/* settling: the attempt has failed, and is made again where that may help */
	{{"b", HOOK_SETTLE, ERR_CONFLICT}, "a b", "running: a=done b=ready c=waiting", "settle a"},
	{{"b", HOOK_SETTLE, ERR_INVALID},
	 "a b a",
	 "failed: a=undone b=failed c=cancelled",
	 "settle a, failed b, undone a, ended failed"},
	/* the others are left out, so that it ends */
	{{"b", HOOK_FAILED, ERR_INTERNAL},
	 "a !b a",
	 "failed: a=undone b=failed c=cancelled",
	 "settle a, undone a, ended failed"},
	{{"a", HOOK_UNDONE, ERR_INTERNAL},
	 "a !b a",
	 "undoing: -a=ready b=failed c=cancelled",
	 "settle a, failed b"},
	{{"", HOOK_ENDED, ERR_NOENT},
	 "a b c",
	 "succeeded: a=done b=done c=done",
	 "settle a, settle b, settle c"},
};

static void test_hooks_fail(void **state)
{
	struct flow_fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		char op[UUID_TEXT];

		flow_fixture_fault = faults[i].fault;
		flow_fixture_start(x, "a/undo b<a c<b", op);
		for (const char *p = faults[i].run; *p; p++) {
			char name[2] = {*p == '!' ? p[1] : p[0], 0};

			if (*p == ' ')
				continue;
			flow_fixture_do(x, name, *p == '!' ? ERR_DENIED : ERR_NONE);
			p += *p == '!';
		}
		STATES(x, op, faults[i].states);
		CALLS(x, op, faults[i].calls);
		/* Whatever it is in, it comes to an end. */
		flow_fixture_fault = (struct flow_fixture_fault){0};
		if (strstr(faults[i].states, "ready"))
			flow_fixture_cancel(x, op);
		flow_fixture_later(x, 400 * S);
		if (strstr(faults[i].states, "done"))
			for (struct flow_step *s;;) {
				static const char *const places[] = {FLOW_WORKER};

				OK(flow_take(x->f, "w", places, 1, &s, e));
				if (!s)
					break;
				OK(flow_finish(x->f, s->id, s->fence, NULL, NULL, e));
				flow_step_free(s);
			}
		x->now += (uint64_t)(1000 * S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_order),
		FLOW_TEST(test_crowd),
		FLOW_TEST(test_limits),
		FLOW_TEST(test_project_limits),
		FLOW_TEST(test_limits_of_a_kind),
		FLOW_TEST(test_clock_jumps),
		FLOW_TEST(test_not_before),
		FLOW_TEST(test_hooks_fail),
	};

	return flow_fixture_run(tests, ARRAY_LEN(tests));
}
