/* SPDX-License-Identifier: Apache-2.0 */
/* Crontabs; test_sched.py compares thousands of them with croniter's answers. */
#include "sched/cron.h"

#include <string.h>

#include "sched/civil.h"
#include "testing.h"

static int64_t at(int year, int month, int day, int hour, int minute)
{
	struct civil c = {year, month, day, hour, minute, 0};

	return civil_seconds(&c);
}

static void test_next(void **state)
{
	static const struct {
		const char *pattern, *want;
	} rows[] = {
		/* After Wednesday 2026-11-25 10:30. */
		{"* * * * *", "2026-11-25 10:31:00"},
		{"30 10 * * *", "2026-11-26 10:30:00"},
		{"*/20 * * * *", "2026-11-25 10:40:00"},
		{"5/20 * * * *", "2026-11-25 10:45:00"},
		{"0 2 * * mon-fri", "2026-11-26 02:00:00"},
		{"0 2 * * sat-sun", "2026-11-28 02:00:00"},
		{"0 0 * * 7", "2026-11-29 00:00:00"},
		{"0 0 * * 0", "2026-11-29 00:00:00"},
		{"0 0 * * 5-7", "2026-11-27 00:00:00"},
		/* Both days: either; one with *: both. */
		{"0 0 13 * fri", "2026-11-27 00:00:00"},
		{"0 0 13 * *", "2026-12-13 00:00:00"},
		{"0 0 */2 * fri", "2026-11-27 00:00:00"},
		{"0 0 1,15 DEC *", "2026-12-01 00:00:00"},
		{"0 0 29 2 *", "2028-02-29 00:00:00"},
		{"0 0 31 * *", "2026-12-31 00:00:00"},
		{"59 23 31 12 *", "2026-12-31 23:59:00"},
		{"  @daily ", "2026-11-26 00:00:00"},
		{"@HOURLY", "2026-11-25 11:00:00"},
		{"@weekly", "2026-11-29 00:00:00"},
		{"@monthly", "2026-12-01 00:00:00"},
		{"@yearly", "2027-01-01 00:00:00"},
		{"0\t0 1-31/10 * *", "2026-12-01 00:00:00"},
	};
	char text[CIVIL_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cron c;
		int64_t got;

		OK(cron_parse(rows[i].pattern, &c, e));
		assert_true(cron_next(&c, at(2026, 11, 25, 10, 30), &got));
		if (strcmp(civil_text(got, text), rows[i].want) != 0)
			fail_msg("%s: %s instead of %s", rows[i].pattern, text, rows[i].want);
	}
}

static void test_never(void **state)
{
	struct cron c;
	int64_t got;

	(void)state;
	OK(cron_parse("0 0 30 2 *", &c, e));
	assert_false(cron_next(&c, 0, &got));
	OK(cron_parse("0 0 31 4,6,9,11 *", &c, e));
	assert_false(cron_next(&c, 0, &got));
	/* A leap day on a Monday, across 2100, which has none. */
	OK(cron_parse("0 0 29 2 */7", &c, e));
	assert_true(cron_next(&c, at(2096, 3, 1, 0, 0), &got));
}

static void test_refused(void **state)
{
	static const struct {
		const char *pattern, *named;
	} rows[] = {
		{"60 * * * *", "minute \"60\""},
		{"* 24 * * *", "hour \"24\""},
		{"* * 0 * *", "day of the month"},
		{"* * 32 * *", "day of the month"},
		{"* * * 13 *", "month"},
		{"* * * * 8", "day of the week"},
		{"* * * mond *", "no such name"},
		{"* mon * * *", "numbers only"},
		{"*/90 * * * *", "step"},
		{"*/0 * * * *", "step"},
		{"5-1 * * * *", "ends before"},
		{"1,,2 * * * *", "missing"},
		{"1;2 * * * *", "list"},
		{"-1 * * * *", "missing"},
		{"99999 * * * *", "too large"},
		{"* * L * *", "day of the month \"L\""},
		{"* * * * 5#2", "day of the week"},
		{"* * ? * *", "day of the month"},
		{"* * * *", "4 fields"},
		{"0 * * * * *", "6 fields"},
		{"", "0 fields"},
		{"@reboot", "@reboot"},
	};
	char longest[CRON_TEXT_MAX + 2];
	struct cron c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};

		if (cron_parse(rows[i].pattern, &c, &e) == 0)
			fail_msg("%s was taken", rows[i].pattern);
		if (e.kind != ERR_INVALID || !strstr(e.msg, rows[i].named))
			fail_msg("%s: %s", rows[i].pattern, e.msg);
	}
	memset(longest, ' ', sizeof(longest));
	longest[CRON_TEXT_MAX + 1] = 0;
	FAILS(ERR_LIMIT, cron_parse(longest, &c, e));
}

static void test_civil(void **state)
{
	(void)state;
	for (int64_t day = -800000; day < 800000; day += 13) {
		struct civil c = civil_of_days(day);

		assert_int_equal(civil_days(c.year, c.month, c.day), day);
		assert_int_equal(civil_weekday(day + 7), civil_weekday(day));
	}
	assert_int_equal(civil_weekday(0), 4);
	assert_int_equal(civil_weekday(-1), 3);
	assert_false(civil_valid(&(struct civil){2026, 2, 29, 0, 0, 0}));
	assert_true(civil_valid(&(struct civil){2028, 2, 29, 23, 59, 59}));
	assert_false(civil_valid(&(struct civil){2028, 2, 28, 24, 0, 0}));
	assert_false(civil_valid(&(struct civil){2200, 1, 1, 0, 0, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_civil),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
