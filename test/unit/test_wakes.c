/* SPDX-License-Identifier: Apache-2.0 */
#include "db/wakes.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "db_fixture.h"

struct crowd {
	struct db *db;
	atomic_uint wrong, done;
};

static int wake(struct db_tx *t, void *arg, struct err *e)
{
	return db_wake(t, arg, e);
}

static int wake_and_fail(struct db_tx *t, void *arg, struct err *e)
{
	return db_wake(t, arg, e) < 0 ? -1 : err_set(e, ERR_LIMIT, "no");
}

static void test_wake(void **state)
{
	struct db_fixture *f = *state;
	uint64_t seen, steps;

	seen = db_woken(f->db, "events");
	steps = db_woken(f->db, "steps");
	FAILS(ERR_LIMIT, db_write(f->db, wake_and_fail, "steps", e));
	assert_int_equal(db_woken(f->db, "steps"), steps);
	OK(db_write(f->db, wake, "steps", e));
	assert_int_equal(db_wait(f->db, "steps", steps, 60000), steps + 1);
	assert_int_equal(db_wait(f->db, "steps", steps + 1, 20), steps + 1);
	assert_int_equal(db_woken(f->db, "events"), seen);
	FAILS(ERR_INTERNAL, db_write(f->db, wake, "no such", e));
	FAILS(ERR_INTERNAL, db_write(f->db, wake, "", e));
	assert_int_equal(db_woken(f->db, "NO"), 0);
	assert_int_equal(db_wait(f->db, "NO", 5, 60000), 5);
}

static void wait_or_wake(void *arg, unsigned number)
{
	struct crowd *c = arg;

	if (number == 0) {
		while (c->done < 3)
			clock_sleep_ms(1);
		clock_sleep_ms(20);
		c->wrong += db_write(c->db, wake, "threads", NULL) < 0;
		return;
	}
	c->done++;
	c->wrong += db_wait(c->db, "threads", db_woken(c->db, "threads"), 60000) == 0;
}

static void test_all_who_wait_are_woken(void **state)
{
	struct db_fixture *f = *state;
	struct crowd c = {.db = f->db};

	test_threads(4, wait_or_wake, &c);
	assert_int_equal(c.wrong, 0);
}

static void test_channels_are_few(void **state)
{
	struct wakes *w = wakes_new();
	char name[WAKES_NAME + 2] = "";

	(void)state;
	for (int i = 0; i < WAKES_MAX; i++) {
		memset(name, 'a' + i % 26, (size_t)i / 26 + 1);
		assert_int_equal(wakes_number(w, name), i);
		assert_int_equal(wakes_number(w, name), i);
		assert_string_equal(wakes_name(w, (unsigned)i), name);
	}
	assert_int_equal(wakes_number(w, "another"), -1);
	memset(name, 'a', WAKES_NAME + 1);
	assert_int_equal(wakes_number(w, name), -1);
	wakes_bump(w, UINT64_MAX);
	assert_int_equal(wakes_count(w, 63), 1);
	assert_int_equal(wakes_wait(w, 63, 1, 999), 1);
	wakes_free(w);
	wakes_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channels_are_few),
		DB_TEST(test_wake),
		DB_TEST(test_all_who_wait_are_woken),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
