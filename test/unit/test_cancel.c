/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cancel.h"

#include <signal.h>

#include "testing.h"

static struct cancel by_signal = {0};

static void on_signal(int sig)
{
	(void)sig;
	cancel_set(&by_signal);
}

static void test_raised_once_and_for_all(void **state)
{
	struct cancel c = {0};

	(void)state;
	assert_false(cancel_asked(&c));
	OK(cancel_check(&c, e));
	cancel_set(&c);
	cancel_set(&c);
	assert_true(cancel_asked(&c));
	FAILS(ERR_CANCELLED, cancel_check(&c, e));
	FAILS(ERR_CANCELLED, cancel_check(&c, e));
	assert_int_equal(cancel_check(&c, NULL), -1);
}

static void test_without_a_flag_nobody_cancels(void **state)
{
	(void)state;
	assert_false(cancel_asked(NULL));
	OK(cancel_check(NULL, e));
}

static void test_from_a_signal_handler(void **state)
{
	struct sigaction act = {.sa_handler = on_signal}, old;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &act, &old), 0);
	assert_false(cancel_asked(&by_signal));
	raise(SIGUSR1);
	assert_true(cancel_asked(&by_signal));
	sigaction(SIGUSR1, &old, NULL);
}

static void raise_or_wait(void *arg, unsigned number)
{
	struct cancel *c = arg;

	if (number == 3)
		cancel_set(c);
	while (!cancel_asked(c))
		;
}

static void test_all_threads_see_it(void **state)
{
	struct cancel c = {0};

	(void)state;
	test_threads(4, raise_or_wait, &c);
	assert_true(cancel_asked(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raised_once_and_for_all),
		cmocka_unit_test(test_without_a_flag_nobody_cancels),
		cmocka_unit_test(test_from_a_signal_handler),
		cmocka_unit_test(test_all_threads_see_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
