/* SPDX-License-Identifier: Apache-2.0 */
#include "core/target_history.h"

#include "db_fixture.h"

#define HOUR_US UINT64_C(3600000000)
#define DAY_US (24 * HOUR_US)
#define NOW (20779 * DAY_US + 10 * HOUR_US)
#define GIB INT64_C(1073741824)

static void a_line_is_drawn_on(void **state)
{
	struct forecast_sample v[100];

	(void)state;
	for (size_t i = 0; i < 100; i++)
		v[i] = (struct forecast_sample){NOW + i * HOUR_US, (1000 - (int64_t)i) * GIB};
	/* 901 GiB are left, and one goes in an hour. */
	assert_in_range(forecast_full(v, 100), v[99].at_us + 901 * HOUR_US - HOUR_US / 60,
			v[99].at_us + 901 * HOUR_US + HOUR_US / 60);
	/* Ups and downs do not matter. */
	for (size_t i = 0; i < 100; i++)
		v[i].free_bytes += i % 2 ? 3 * GIB : -3 * GIB;
	assert_in_range(forecast_full(v, 100), v[99].at_us + 850 * HOUR_US,
			v[99].at_us + 950 * HOUR_US);
	for (size_t i = 0; i < 100; i++)
		v[i].free_bytes = 0 - (int64_t)i;
	assert_int_equal(forecast_full(v, 100), v[99].at_us);
}

static void no_answer_without_a_reason(void **state)
{
	struct forecast_sample v[100];

	(void)state;
	for (size_t i = 0; i < 100; i++)
		v[i] = (struct forecast_sample){NOW + i * HOUR_US, (1000 - (int64_t)i) * GIB};
	assert_int_equal(forecast_full(v, 0), 0);
	assert_int_equal(forecast_full(v, 2), 0);
	/* Less than two days. */
	assert_int_equal(forecast_full(v, 48), 0);
	assert_int_not_equal(forecast_full(v, 49), 0);
	/* It grows, stays, or lasts for longer than anybody plans. */
	for (size_t i = 0; i < 100; i++)
		v[i].free_bytes = (1000 + (int64_t)i) * GIB;
	assert_int_equal(forecast_full(v, 100), 0);
	for (size_t i = 0; i < 100; i++)
		v[i].free_bytes = 5;
	assert_int_equal(forecast_full(v, 100), 0);
	for (size_t i = 0; i < 100; i++)
		v[i].free_bytes = (INT64_C(1) << 60) - (int64_t)i;
	assert_int_equal(forecast_full(v, 100), 0);
	/* All at one moment. */
	for (size_t i = 0; i < 100; i++)
		v[i].at_us = NOW;
	assert_int_equal(forecast_full(v, 100), 0);
}

/* ---- samples ---- */

static int put_target(struct db_tx *t, void *arg, struct err *e)
{
	const uint64_t *checked = arg;

	return db_exec(t, NULL, e,
		       "INSERT INTO targets (id, name, description, url, options, status, "
		       "checked_at, free_bytes, created_at, updated_at) VALUES ('t', 't', '', "
		       "'dir:/t', '{}', 'available', $1, 7, 1, 1) ON CONFLICT (id) DO UPDATE SET "
		       "checked_at = excluded.checked_at",
		       db_i(*checked));
}

static int sample(struct db_tx *t, void *arg, struct err *e)
{
	const uint64_t *now = arg;

	return target_history_sample(t, *now, e) < 0 ? -1 : target_history_prune(t, *now, e);
}

static int count(struct db_tx *t, void *arg, struct err *e)
{
	json_t *list;

	if (target_history_list(t, "t", 0, &list, e) < 0)
		return -1;
	*(size_t *)arg = json_array_size(list);
	json_decref(list);
	return 0;
}

static size_t samples(struct db *d)
{
	size_t n = 0;

	OK(db_read(d, count, &n, e));
	return n;
}

/* Every hour for weeks: as many as are promised stay. */
static void samples_are_bounded(void **state)
{
	struct db_fixture *f = *state;
	uint64_t now = NOW;

	OK(db_write(f->db, put_target, &now, e));
	OK(db_write(f->db, sample, &now, e));
	OK(db_write(f->db, sample, &now, e));
	assert_int_equal(samples(f->db), 1);
	now += 3 * HOUR_US; /* nobody has looked since: no news */
	OK(db_write(f->db, sample, &now, e));
	assert_int_equal(samples(f->db), 1);
	for (size_t i = 0; i < 20 * 24; i++) {
		now += HOUR_US;
		OK(db_write(f->db, put_target, &now, e));
		OK(db_write(f->db, sample, &now, e));
	}
	/* Two weeks of hours, and one of each of the six days before. */
	assert_in_range(samples(f->db), 14 * 24, 14 * 24 + 1 + 7);
	now += 800 * DAY_US;
	OK(db_write(f->db, sample, &now, e));
	assert_int_equal(samples(f->db), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_drawn_on),
		cmocka_unit_test(no_answer_without_a_reason),
		DB_TEST(samples_are_bounded),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
