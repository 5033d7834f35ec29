/* SPDX-License-Identifier: Apache-2.0 */
/* Called at once and again, by one thread, and never after it was stopped. */
#include "base/ticker.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "testing.h"

static atomic_int calls, inside;

static void count(void *arg)
{
	assert_int_equal(atomic_fetch_add(&inside, 1), 0);
	atomic_fetch_add(&calls, 1);
	clock_sleep_ms(*(const unsigned *)arg);
	atomic_fetch_sub(&inside, 1);
}

static void wait_for(int n)
{
	for (int i = 0; i < 5000 && atomic_load(&calls) < n; i++)
		clock_sleep_ms(1);
	assert_true(atomic_load(&calls) >= n);
}

static void test_again_and_again(void **state)
{
	unsigned takes_ms = 0;
	struct ticker *t;

	(void)state;
	atomic_store(&calls, 0);
	t = ticker_start(count, &takes_ms, 1, NULL);
	assert_non_null(t);
	wait_for(20);
	ticker_stop(t);
}

static void test_stopped_in_its_rest(void **state)
{
	unsigned takes_ms = 0;
	uint64_t began;
	struct ticker *t;

	(void)state;
	atomic_store(&calls, 0);
	t = ticker_start(count, &takes_ms, 60000, NULL);
	wait_for(1);
	began = clock_mono_us();
	ticker_stop(t);
	assert_true(clock_mono_us() - began < 30000000);
	assert_int_equal(atomic_load(&calls), 1);
}

static void test_stopped_while_it_works(void **state)
{
	unsigned takes_ms = 50;
	struct ticker *t;

	(void)state;
	atomic_store(&calls, 0);
	t = ticker_start(count, &takes_ms, 0, NULL);
	wait_for(1);
	ticker_stop(t);
	assert_int_equal(atomic_load(&inside), 0);
	ticker_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_again_and_again),
		cmocka_unit_test(test_stopped_in_its_rest),
		cmocka_unit_test(test_stopped_while_it_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
