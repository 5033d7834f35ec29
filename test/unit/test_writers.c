/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions that are there: who is alive, who is dead. */
#include "repo/writers.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "writer.h"

/* ---- a clock that goes only when somebody sleeps ---- */

static struct {
	bool used;
	uint64_t now_us, slept_us;
	struct writer *ends; /* this one, after so much sleep */
	uint64_t ends_us;
} hands;

uint64_t __real_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void)
{
	return hands.used ? hands.now_us : __real_clock_mono_us();
}

void __real_clock_sleep_ms(unsigned ms);
void __wrap_clock_sleep_ms(unsigned ms);
void __wrap_clock_sleep_ms(unsigned ms)
{
	if (!hands.used) {
		__real_clock_sleep_ms(ms);
		return;
	}
	hands.now_us += ms * UINT64_C(1000);
	hands.slept_us += ms * UINT64_C(1000);
	if (hands.ends && hands.slept_us >= hands.ends_us)
		writer_end(steal(&hands.ends));
}

static void test_counting_writers(void **state)
{
	struct repo_fixture *f = *state;
	struct writer a, b;
	size_t n;

	OK(writers_count(f->s, &n, e));
	assert_int_equal(n, 0);
	OK(writer_begin(&a, f->r, NULL, e));
	OK(writer_begin(&b, f->r, NULL, e));
	OK(store_put_new(f->s, "sessions/lost+found", "x", 1, e));
	OK(writers_count(f->s, &n, e));
	assert_int_equal(n, 2);
	writer_end(&a);
	/* What is none of ours is not waited for. */
	OK(writers_wait(f->s, 0, NULL, NULL, NULL, e));
	OK(writers_count(f->s, &n, e));
	assert_int_equal(n, 0);
	writer_end(&b);
}

struct stirring {
	struct store_session *s;
	atomic_bool enough;
};

static void *stir(void *arg)
{
	struct stirring *t = arg;

	for (unsigned i = 0; !atomic_load(&t->enough); i++) {
		OK(t->s->ops->renew(t->s, &i, sizeof(i), e));
		clock_sleep_ms(10);
	}
	return NULL;
}

/* Alive is whoever writes its object anew; nobody is waited for that does. */
static void test_burying(void **state)
{
	struct repo_fixture *f = *state;
	static const char *const id = "11111111-2222-4333-8444-555555555555";
	struct stirring t = {0};
	struct writer dead;
	pthread_t thread;
	size_t n;

	OK(writers_bury(f->s, 0, NULL, &n, e));
	assert_int_equal(n, 0);
	t.s = OK_PTR(store_session_begin(f->s, id, "x", 1, e));
	OK(writer_begin(&dead, f->r, NULL, e));
	assert_int_equal(pthread_create(&thread, NULL, stir, &t), 0);
	OK(writers_bury(f->s, 3000000, NULL, &n, e));
	atomic_store(&t.enough, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(test_count(f->s, "sessions/"), 1);
	t.s->ops->end(t.s);
	writer_end(&dead);
}

/* So long after work of so long. */
static uint64_t stands_still(struct yielding *y, uint64_t worked_us)
{
	hands.slept_us = 0;
	hands.now_us += worked_us;
	OK(yielding_pause(y, NULL, e));
	return hands.slept_us;
}

static void test_standing_back(void **state)
{
	struct repo_fixture *f = *state;
	struct cancel stop = {0};
	struct writer own, other;
	struct yielding y;

	OK(writer_begin(&own, f->r, NULL, e));
	hands.used = true;
	hands.now_us = 1;
	yielding_init(&y, f->s);
	assert_int_equal(stands_still(&y, 500000), 0);
	hands.used = false;
	OK(writer_begin(&other, f->r, NULL, e));
	hands.used = true;
	/* Every few milliseconds would be too often to look. */
	assert_int_equal(stands_still(&y, 5000), 0);
	assert_in_range(stands_still(&y, 45000), 50000 * YIELDING_TIMES, 51000 * YIELDING_TIMES);
	assert_in_range(stands_still(&y, 2000000), 2000000ULL * YIELDING_TIMES,
			2001000ULL * YIELDING_TIMES);
	cancel_set(&stop);
	hands.now_us += 100000;
	FAILS(ERR_CANCELLED, yielding_pause(&y, &stop, e));
	/* No longer than it is needed. */
	hands.ends = &other;
	hands.ends_us = 300000;
	assert_in_range(stands_still(&y, 900000), 300000, 350000);
	assert_int_equal(stands_still(&y, 900000), 0);
	hands.used = false;
	writer_end(&own);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_up, repo_fixture_down)
	const struct CMUnitTest tests[] = {
		T(test_counting_writers),
		T(test_burying),
		T(test_standing_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
