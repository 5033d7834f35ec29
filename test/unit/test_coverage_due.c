/* SPDX-License-Identifier: Apache-2.0 */
#include "core/coverage_due.h"

#include <string.h>

#include "testing.h"

#define SECOND_US UINT64_C(1000000)
#define HOUR_US (3600 * SECOND_US)
#define DAY_US (24 * HOUR_US)
#define MIDNIGHT (20779 * DAY_US) /* 2026-11-22 */
#define WINDOW_US (900 * SECOND_US)

static struct zones *zones;

static struct promises *with(const char *properties, uint64_t from_us)
{
	struct promises *p = promises_new();

	promises_add(p, zones, "00000000-0000-4000-8000-000000000001", properties, from_us);
	return p;
}

#define NIGHTLY                                                                                    \
	"{\"format\": \"crontab\", \"pattern\": \"0 2 * * *\", \"start_time\": \"2026-01-01 "      \
	"00:00:00\""

static void a_firing_is_due_when_it_could_have_begun(void **state)
{
	AUTO(promises) p = with(NIGHTLY "}", 0);
	uint64_t firing = MIDNIGHT + 2 * HOUR_US;

	(void)state;
	/* One that was begun at its moment has kept it, one before has not. */
	assert_int_equal(promises_due(p, firing - 1, 0), firing + WINDOW_US);
	assert_int_equal(promises_due(p, firing, 0), firing + DAY_US + WINDOW_US);
	assert_int_equal(promises_due(p, MIDNIGHT, HOUR_US), firing + WINDOW_US + 2 * HOUR_US);
	/* A duration that cannot be true does not put it off for ever. */
	assert_true(promises_due(p, MIDNIGHT, UINT64_MAX) <= firing + WINDOW_US + 14 * DAY_US);
}

static void a_window_and_jitter_count(void **state)
{
	AUTO(promises) wide = with(NIGHTLY ", \"window\": 3600}", 0);
	AUTO(promises) some = with(NIGHTLY ", \"jitter\": 600}", 0);
	uint64_t firing = MIDNIGHT + 2 * HOUR_US, due;

	(void)state;
	assert_int_equal(promises_due(wide, MIDNIGHT, 0), firing + HOUR_US);
	due = promises_due(some, MIDNIGHT, 0);
	assert_in_range(due, firing + WINDOW_US, firing + WINDOW_US + 600 * SECOND_US);
	assert_int_equal(due, promises_due(some, MIDNIGHT, 0));
}

static void a_firing_waits_for_the_window_of_the_policy(void **state)
{
	static const char window[] = "{\"timezone\": \"UTC\", \"schedules\": [{\"name\": \"s\", "
				     "\"trigger\": {\"format\": "
				     "\"crontab\", \"pattern\": \"0 2 * * *\"}, \"retention\": "
				     "{\"last\": 3}}], \"window\": "
				     "{\"start\": \"05:00\", \"end\": \"06:00\"}}";
	AUTO(promises) p = with(NIGHTLY "}", 0);

	(void)state;
	promises_within(p, OK_PTR(policy_parse_text(window, strlen(window), zones, MIDNIGHT, e)));
	assert_int_equal(promises_due(p, MIDNIGHT, 0), MIDNIGHT + 5 * HOUR_US + WINDOW_US);
}

/* However often it fires: only how old the newest is. */
static void the_rpo_of_a_policy_counts_alone(void **state)
{
	static const char rpo[] = "{\"rpo\": \"12h\"}";
	AUTO(promises) p = with(NIGHTLY "}", 0);
	AUTO(promises) none = promises_new();

	(void)state;
	promises_within(p, OK_PTR(policy_parse_text(rpo, strlen(rpo), zones, MIDNIGHT, e)));
	promises_within(none, OK_PTR(policy_parse_text(rpo, strlen(rpo), zones, MIDNIGHT, e)));
	assert_int_equal(promises_due(p, MIDNIGHT, HOUR_US), MIDNIGHT + 12 * HOUR_US);
	assert_int_equal(promises_due(none, MIDNIGHT, 0), MIDNIGHT + 12 * HOUR_US);
}

static void a_schedule_promises_from_when_it_was_changed(void **state)
{
	AUTO(promises) p = with(NIGHTLY "}", MIDNIGHT);

	(void)state;
	assert_int_equal(promises_due(p, MIDNIGHT - 300 * DAY_US, 0),
			 MIDNIGHT + 2 * HOUR_US + WINDOW_US);
}

static void the_first_of_several_counts(void **state)
{
	AUTO(promises) p = with(NIGHTLY "}", 0);

	(void)state;
	promises_add(p, zones, "00000000-0000-4000-8000-000000000002",
		     "{\"format\": \"crontab\", \"pattern\": \"0 1 * * *\", \"start_time\": "
		     "\"2026-01-01 00:00:00\"}",
		     0);
	assert_int_equal(promises_due(p, MIDNIGHT, 0), MIDNIGHT + HOUR_US + WINDOW_US);
}

static void what_never_fires_is_never_late(void **state)
{
	AUTO(promises) none = promises_new();
	AUTO(promises) over = with(NIGHTLY ", \"end_time\": \"2026-02-01 00:00:00\"}", 0);
	AUTO(promises) wrong = with("{\"format\": \"crontab\", \"pattern\": \"61 * * * *\"}", 0);

	(void)state;
	assert_int_equal(promises_due(none, MIDNIGHT, 0), 0);
	assert_int_equal(promises_due(over, MIDNIGHT, 0), 0);
	assert_int_equal(promises_due(wrong, MIDNIGHT, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_firing_is_due_when_it_could_have_begun),
		cmocka_unit_test(a_window_and_jitter_count),
		cmocka_unit_test(a_firing_waits_for_the_window_of_the_policy),
		cmocka_unit_test(the_rpo_of_a_policy_counts_alone),
		cmocka_unit_test(a_schedule_promises_from_when_it_was_changed),
		cmocka_unit_test(the_first_of_several_counts),
		cmocka_unit_test(what_never_fires_is_never_late),
	};
	int failed;

	zones = zones_new(NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	zones_free(zones);
	return failed;
}
