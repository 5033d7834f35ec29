/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "testing.h"

static bool no_threads, no_affinity;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

int __real_sched_getaffinity(pid_t pid, size_t n, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t n, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t n, cpu_set_t *set)
{
	if (!no_affinity)
		return __real_sched_getaffinity(pid, n, set);
	errno = EINVAL;
	return -1;
}

struct work {
	struct crew *crew;
	atomic_uint begun, ended, stops, unmasked;
	atomic_int fails; /* so many members fail, the others wait for the stop */
};

static void stop(void *arg)
{
	struct work *w = arg;

	w->stops++;
}

static int member(void *arg, struct err *e)
{
	struct work *w = arg;
	sigset_t blocked;

	w->begun++;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	w->unmasked += !sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGINT);
	if (w->fails-- > 0)
		return err_set(e, ERR_BUSY, "the member failed");
	while (!crew_stopping(w->crew))
		sched_yield();
	w->ended++;
	return err_set(e, ERR_CANCELLED, "stopped");
}

static int succeed(void *arg, struct err *e)
{
	struct work *w = arg;

	(void)e;
	w->ended++;
	return 0;
}

static void test_all_succeed(void **state)
{
	struct work w = {0};

	(void)state;
	w.crew = crew_new(stop, &w);
	for (int i = 0; i < 5; i++)
		OK(crew_add(w.crew, succeed, &w, e));
	OK(crew_join(w.crew, e));
	assert_int_equal(w.ended, 5);
	assert_int_equal(w.stops, 0);
	assert_false(crew_stopping(w.crew));
	/* It can be used again. */
	OK(crew_add(w.crew, succeed, &w, e));
	OK(crew_join(w.crew, e));
	assert_int_equal(w.ended, 6);
	crew_free(w.crew);
	crew_free(NULL);
}

/* The failure that was first is the one that is told, though others fail because of it. */
static void test_first_failure_stops_the_others(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct work w = {.fails = 1 + i % 2};

		w.crew = crew_new(stop, &w);
		for (int j = 0; j < 4; j++)
			OK(crew_add(w.crew, member, &w, e));
		FAILS(ERR_BUSY, crew_join(w.crew, e));
		assert_int_equal(w.begun, 4);
		assert_int_equal(w.ended, 3 - i % 2);
		assert_int_equal(w.stops, 1);
		assert_int_equal(w.unmasked, 0);
		assert_int_equal(crew_join(w.crew, NULL), -1);
		crew_free(w.crew);
	}
}

static void test_failure_from_outside(void **state)
{
	struct err why = {.kind = ERR_NOSPACE, .msg = "full"}, later = {.kind = ERR_IO};
	struct work w = {0};

	(void)state;
	w.crew = crew_new(stop, &w);
	OK(crew_add(w.crew, member, &w, e));
	crew_fail(w.crew, &why);
	crew_fail(w.crew, &later);
	assert_true(crew_stopping(w.crew));
	FAILS(ERR_NOSPACE, crew_join(w.crew, e));
	assert_int_equal(w.stops, 1);
	crew_free(w.crew);
}

static void test_free_joins(void **state)
{
	struct work w = {0};

	(void)state;
	w.crew = crew_new(NULL, NULL);
	for (int i = 0; i < 3; i++)
		OK(crew_add(w.crew, succeed, &w, e));
	crew_free(w.crew);
	assert_int_equal(w.ended, 3);
}

static void test_without_a_hook(void **state)
{
	struct work w = {.fails = 1};

	(void)state;
	w.crew = crew_new(NULL, NULL);
	OK(crew_add(w.crew, member, &w, e));
	FAILS(ERR_BUSY, crew_join(w.crew, e));
	crew_free(w.crew);
}

static void test_no_thread_to_be_had(void **state)
{
	struct work w = {0};
	sigset_t before, after;

	(void)state;
	w.crew = crew_new(stop, &w);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	no_threads = true;
	FAILS(ERR_IO, crew_add(w.crew, succeed, &w, e));
	no_threads = false;
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
	OK(crew_join(w.crew, e));
	assert_int_equal(w.ended, 0);
	crew_free(w.crew);
}

static void test_cores_are_those_we_may_use(void **state)
{
	cpu_set_t all, one;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(crew_cores(), CPU_COUNT(&all));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &all)) {
			CPU_SET(i, &one);
			break;
		}
	}
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(crew_cores(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	no_affinity = true;
	assert_int_equal(crew_cores(), 1);
	no_affinity = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_succeed),
		cmocka_unit_test(test_first_failure_stops_the_others),
		cmocka_unit_test(test_failure_from_outside),
		cmocka_unit_test(test_free_joins),
		cmocka_unit_test(test_without_a_hook),
		cmocka_unit_test(test_no_thread_to_be_had),
		cmocka_unit_test(test_cores_are_those_we_may_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
