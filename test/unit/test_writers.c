/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions that are there: who is alive, who is dead. */
#include "repo/writers.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "writer.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_up, repo_fixture_down)
	const struct CMUnitTest tests[] = {
		T(test_counting_writers),
		T(test_burying),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
