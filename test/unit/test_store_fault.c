/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store that fails on purpose: which call fails, what it did, and what comes after it. A test
 * that relies on it is worth what is shown here.
 */
#include "testing.h"

#include <string.h>

#include "repo/store_fault.h"

#define ID "5d1f3c0e-8f3a-4c4e-9a53-0e6f5b3b7a11"

struct pair {
	struct store *inner, *s;
};

static void pair_init(struct pair *p, enum fault_mode mode, uint64_t at)
{
	p->inner = store_mem_new();
	p->s = store_fault_new(p->inner, mode, at);
}

static void pair_done(struct pair *p)
{
	store_free(p->s);
	store_free(p->inner);
}

static int ignore(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)arg;
	(void)key;
	(void)size;
	(void)e;
	return 0;
}

/* The calls that change a store, by number from 1. -1 as soon as one fails. */
enum {
	PUT = 1,
	BEGIN,
	RENEW,
	UPLOAD,
	WRITE,
	FINISH,
	COMMIT,
	REMOVE,
	REVOKE,
	CALLS = REVOKE,
	ADDING = COMMIT /* up to here they add bytes */
};

struct course {
	struct store_session *ss;
	struct store_upload *up;
};

static int step(struct store *s, struct course *c, int call, struct err *e)
{
	struct store_upload *up;

	switch (call) {
	case PUT:
		return store_put_new(s, "points/a", "one", 3, e);
	case BEGIN:
		c->ss = store_session_begin(s, ID, "state", 5, e);
		return c->ss ? 0 : -1;
	case RENEW:
		return c->ss->ops->renew(c->ss, "renewed", 7, e);
	case UPLOAD:
		c->up = c->ss->ops->upload(c->ss, e);
		return c->up ? 0 : -1;
	case WRITE:
		return c->up->ops->write(c->up, "pack", 4, e);
	case FINISH:
		up = steal(&c->up);
		return up->ops->finish(up, "packs/p", e);
	case COMMIT:
		return c->ss->ops->commit(c->ss, "point", 5, e);
	case REMOVE:
		return store_remove(s, "points/a", e);
	default:
		return store_session_revoke(s, ID, e);
	}
}

static void course_done(struct course *c)
{
	if (c->up)
		c->up->ops->abort(c->up);
	store_session_end(c->ss);
}

/* All calls but those after a failure; the number of the one that failed, or 0. */
static int run_course(struct store *s, struct err *e)
{
	struct course c = {0};
	int call = 1;

	while (call <= CALLS && step(s, &c, call, e) == 0)
		call++;
	course_done(&c);
	return call > CALLS ? 0 : call;
}

static bool there(struct store *s, const char *key)
{
	uint64_t size;

	return store_size(s, key, &size, NULL) == 0;
}

static void test_counts_only(void **state)
{
	struct pair p;
	char buf[3];

	(void)state;
	pair_init(&p, FAULT_NONE, 1);
	assert_int_equal(run_course(p.s, NULL), 0);
	assert_int_equal(store_fault_count(p.s), CALLS);
	OK(store_list(p.s, "points/", ignore, NULL, e));
	assert_int_equal(store_get(p.s, "packs/p", 0, buf, 3, NULL), 3);
	assert_int_equal(store_fault_count(p.s), CALLS);
	assert_non_null(strstr(p.s->url, "mem:"));
	pair_done(&p);
}

static void test_each_call_fails_once(void **state)
{
	(void)state;
	for (int at = 1; at <= CALLS; at++) {
		struct err why = {0};
		struct pair p;

		pair_init(&p, FAULT_ONCE, (uint64_t)at);
		assert_int_equal(run_course(p.s, &why), at);
		assert_int_equal(why.kind, ERR_IO);
		assert_int_equal(store_fault_count(p.s), at);
		/* Nothing of that call was done. */
		assert_int_equal(there(p.inner, "points/a"), at > PUT && at <= REMOVE);
		assert_int_equal(there(p.inner, "packs/p"), at > FINISH);
		assert_int_equal(there(p.inner, "points/" ID), at > COMMIT);
		/* And the next ones work. */
		OK(store_put_new(p.s, "points/b", "two", 3, e));
		assert_true(there(p.s, "points/b"));
		pair_done(&p);
	}
}

static void test_each_call_is_done_and_fails(void **state)
{
	(void)state;
	for (int at = 1; at <= CALLS; at++) {
		struct err why = {0};
		struct pair p;

		pair_init(&p, FAULT_ONCE_DONE, (uint64_t)at);
		assert_int_equal(run_course(p.s, &why), at);
		assert_int_equal(why.kind, ERR_IO);
		assert_int_equal(there(p.inner, "points/a"), at < REMOVE);
		assert_int_equal(there(p.inner, "packs/p"), at >= FINISH);
		assert_int_equal(there(p.inner, "points/" ID), at >= COMMIT);
		pair_done(&p);
	}
}

/* The inner call fails as well: the injected failure is the one that is told. */
static void test_done_in_vain(void **state)
{
	struct err why = {0};
	struct pair p;

	(void)state;
	pair_init(&p, FAULT_ONCE_DONE, 2);
	OK(store_put_new(p.s, "points/a", "one", 3, e));
	assert_int_equal(store_put_new(p.s, "points/a", "two", 3, &why), -1);
	assert_int_equal(why.kind, ERR_IO);
	assert_int_equal(store_put_new(p.s, "points/a", "two", 3, NULL), -1);
	pair_done(&p);
}

static void assert_dead(struct pair *p)
{
	struct store *s = p->s;
	uint64_t size;
	char buf[3];

	FAILS(ERR_IO, store_put_new(s, "points/b", "two", 3, e));
	FAILS(ERR_IO, store_remove(s, "points/a", e));
	FAILS(ERR_IO, store_size(s, "points/a", &size, e));
	FAILS(ERR_IO, store_get(s, "points/a", 0, buf, 3, e));
	FAILS(ERR_IO, store_list(s, "points/", ignore, NULL, e));
	FAILS_PTR(ERR_IO, store_session_begin(s, ID, "x", 1, e));
	FAILS(ERR_IO, store_session_revoke(s, ID, e));
	assert_false(there(p->inner, "points/b"));
}

static void test_dead_before_and_after(void **state)
{
	(void)state;
	for (int at = 1; at <= CALLS; at++) {
		struct pair p;

		pair_init(&p, FAULT_DEAD, (uint64_t)at);
		assert_int_equal(run_course(p.s, NULL), at);
		assert_int_equal(there(p.inner, "packs/p"), at > FINISH);
		assert_int_equal(there(p.inner, "points/" ID), at > COMMIT);
		assert_dead(&p);
		pair_done(&p);
		pair_init(&p, FAULT_DEAD_DONE, (uint64_t)at);
		assert_int_equal(run_course(p.s, NULL), at);
		assert_int_equal(there(p.inner, "packs/p"), at >= FINISH);
		assert_int_equal(there(p.inner, "points/" ID), at >= COMMIT);
		assert_dead(&p);
		pair_done(&p);
	}
}

/* Calls of a session and an upload that were begun before it died. */
static void test_dead_in_the_middle(void **state)
{
	struct course c = {0};
	struct pair p;

	(void)state;
	pair_init(&p, FAULT_DEAD, WRITE);
	for (int call = PUT; call < WRITE; call++)
		OK(step(p.s, &c, call, e));
	for (int call = WRITE; call <= COMMIT; call++)
		FAILS(ERR_IO, step(p.s, &c, call, e));
	FAILS(ERR_IO, step(p.s, &c, RENEW, e));
	FAILS(ERR_IO, step(p.s, &c, UPLOAD, e));
	course_done(&c);
	pair_done(&p);
}

static void test_reads(void **state)
{
	(void)state;
	for (uint64_t at = 1; at <= 3; at++) {
		struct pair p;
		uint64_t size;
		char buf[3];

		pair_init(&p, FAULT_READ, at);
		OK(store_put_new(p.s, "points/a", "one", 3, e)); /* is not counted */
		for (int round = 0; round < 2; round++) {
			bool fails = round == 0;

			assert_int_equal(store_size(p.s, "points/a", &size, NULL),
					 fails && at == 1 ? -1 : 0);
			assert_int_equal(store_get(p.s, "points/a", 0, buf, 3, NULL),
					 fails && at == 2 ? -1 : 3);
			assert_int_equal(store_list(p.s, "points/", ignore, NULL, NULL),
					 fails && at == 3 ? -1 : 0);
		}
		assert_int_equal(store_fault_count(p.s), 6);
		pair_done(&p);
	}
}

/* From one call on no byte fits in; what frees room and what reads still works. */
static void test_full(void **state)
{
	(void)state;
	for (int at = 1; at <= ADDING; at++) {
		struct course c = {0};
		struct err why = {0};
		struct pair p;
		char buf[3];

		pair_init(&p, FAULT_FULL, (uint64_t)at);
		assert_int_equal(run_course(p.s, &why), at);
		assert_int_equal(why.kind, ERR_NOSPACE);
		FAILS(ERR_NOSPACE, store_put_new(p.s, "points/b", "two", 3, e));
		OK(store_list(p.s, "points/", ignore, NULL, e));
		if (at > PUT)
			assert_int_equal(store_get(p.s, "points/a", 0, buf, 3, NULL), 3);
		OK(step(p.s, &c, REMOVE, e));
		OK(step(p.s, &c, REVOKE, e));
		assert_false(there(p.s, "points/a"));
		pair_done(&p);
	}
}

/* What the inner store refuses comes through. */
static void test_inner_failures(void **state)
{
	struct store_session *ss;
	struct pair p;

	(void)state;
	pair_init(&p, FAULT_NONE, 0);
	ss = OK_PTR(store_session_begin(p.s, ID, "x", 1, e));
	FAILS_PTR(ERR_EXISTS, store_session_begin(p.s, ID, "x", 1, e));
	OK(store_session_revoke(p.s, ID, e));
	FAILS(ERR_NOENT, ss->ops->renew(ss, "y", 1, e));
	FAILS(ERR_NOENT, ss->ops->commit(ss, "point", 5, e));
	store_session_end(ss);
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_only),
		cmocka_unit_test(test_each_call_fails_once),
		cmocka_unit_test(test_each_call_is_done_and_fails),
		cmocka_unit_test(test_done_in_vain),
		cmocka_unit_test(test_dead_before_and_after),
		cmocka_unit_test(test_dead_in_the_middle),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_inner_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
