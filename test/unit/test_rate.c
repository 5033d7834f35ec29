/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/rate.h"

#include <stdio.h>
#include <string.h>

#include "auth/throttle.h"
#include "testing.h"

#define S 1000000ull

static void test_burst_then_rate(void **state)
{
	AUTO(rate) r = rate_new(10, 5, 100);
	unsigned retry = 0;
	uint64_t now = 1000 * S;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(rate_take(r, "a", 1, now, &retry));
	assert_false(rate_take(r, "a", 1, now, &retry));
	assert_int_equal(retry, 1);
	/* Another one is not slowed down. */
	assert_true(rate_take(r, "b", 1, now, &retry));
	/* A tenth of a second later there is one, and only one. */
	assert_true(rate_take(r, "a", 1, now + S / 10, &retry));
	assert_false(rate_take(r, "a", 1, now + S / 10, &retry));
	/* After long it is full, not fuller. */
	for (int i = 0; i < 5; i++)
		assert_true(rate_take(r, "a", 1, now + 1000 * S, &retry));
	assert_false(rate_take(r, "a", 1, now + 1000 * S, &retry));
}

static void test_retry_after_is_right(void **state)
{
	AUTO(rate) r = rate_new(0.1, 1, 100);
	unsigned retry = 0;

	(void)state;
	assert_true(rate_take(r, "a", 1, 5 * S, &retry));
	assert_false(rate_take(r, "a", 1, 6 * S, &retry));
	assert_int_equal(retry, 9);
	assert_false(rate_take(r, "a", 1, 14 * S, NULL));
	assert_true(rate_take(r, "a", 1, (6 + 9) * S, &retry));
}

static void test_clock_of_another_thread(void **state)
{
	AUTO(rate) r = rate_new(1, 2, 8);

	(void)state;
	assert_true(rate_take(r, "a", 1, 10 * S, NULL));
	/* A thread that asked for the time earlier comes later: no credit twice. */
	assert_true(rate_take(r, "a", 1, 9 * S, NULL));
	assert_false(rate_take(r, "a", 1, 10 * S, NULL));
	assert_true(rate_take(r, "a", 1, 11 * S, NULL));
}

static void test_change_of_limits(void **state)
{
	AUTO(rate) r = rate_new(1, 1, 8);

	(void)state;
	assert_true(rate_take(r, "a", 1, S, NULL));
	assert_false(rate_take(r, "a", 1, S, NULL));
	rate_set(r, 1, 3);
	assert_true(rate_take(r, "a", 2, S, NULL));
	assert_false(rate_take(r, "a", 1, S, NULL));
}

/* Many others do not make it forget one who has taken much. */
static void test_bounded(void **state)
{
	AUTO(rate) r = rate_new(1, 100, 64);
	char key[32];

	(void)state;
	assert_true(rate_take(r, "greedy", 100, S, NULL));
	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "10.0.%d.%d", i / 250, i % 250);
		assert_true(rate_take(r, key, 1, S, NULL));
	}
	assert_false(rate_take(r, "greedy", 1, S, NULL));
}

struct many {
	struct rate *r;
	_Atomic unsigned taken;
};

static void take_many(void *arg, unsigned number)
{
	struct many *m = arg;

	(void)number;
	for (int i = 0; i < 1000; i++)
		m->taken += rate_take(m->r, "a", 1, S, NULL);
}

static void test_threads_share(void **state)
{
	AUTO(rate) r = rate_new(1, 1500, 8);
	struct many m = {.r = r};

	(void)state;
	test_threads(4, take_many, &m);
	assert_int_equal(m.taken, 1500);
}

/* ---- who guesses ---- */

static void test_throttle_doubles(void **state)
{
	static const unsigned waits[] = {1, 2, 4, 8, 10, 10};
	const struct throttle_limit l = {3, 10};
	AUTO(throttle) t = throttle_new(64);
	uint64_t now = 100 * S;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(throttle_attempt(t, "a", l, now), 0);
	assert_int_equal(throttle_attempt(t, "a", l, now), 0);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		assert_int_equal(throttle_attempt(t, "a", l, now), waits[i]);
		now += waits[i] * S - 1;
		assert_int_equal(throttle_attempt(t, "a", l, now), 1);
		now += 1;
		assert_int_equal(throttle_attempt(t, "a", l, now), 0);
	}
	assert_int_equal(throttle_attempt(t, "b", l, now), 0);
	/* Right: nothing is held against it. */
	throttle_forgive(t, "a");
	for (int i = 0; i < 4; i++)
		assert_int_equal(throttle_attempt(t, "a", l, now), 0);
	assert_int_equal(throttle_attempt(t, "a", l, now), 1);
	/* Forgotten after a while. */
	now += (THROTTLE_FORGET_S + 1) * S;
	for (int i = 0; i < 4; i++)
		assert_int_equal(throttle_attempt(t, "a", l, now), 0);
	assert_int_equal(throttle_attempt(t, "a", l, now), 1);
}

static void test_throttle_takes_back(void **state)
{
	const struct throttle_limit l = {1, 10};
	AUTO(throttle) t = throttle_new(64);

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(throttle_attempt(t, "a", l, S * 1000), 0);
		throttle_take_back(t, "a");
	}
	throttle_take_back(t, "a");
	throttle_take_back(t, "unknown");
	assert_int_equal(throttle_attempt(t, "a", l, S * 1000), 0);
	assert_int_equal(throttle_attempt(t, "a", l, S * 1000), 0);
	assert_int_equal(throttle_attempt(t, "a", l, S * 1000), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_then_rate),
		cmocka_unit_test(test_retry_after_is_right),
		cmocka_unit_test(test_clock_of_another_thread),
		cmocka_unit_test(test_change_of_limits),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_threads_share),
		cmocka_unit_test(test_throttle_doubles),
		cmocka_unit_test(test_throttle_takes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
