/* SPDX-License-Identifier: Apache-2.0 */
/* What schedules are called. */
#include "sched/words.h"

#include <string.h>

#include "testing.h"

/* 2026-11-22 00:00:00 UTC, a Sunday */
#define NOW (UINT64_C(1795305600) * 1000000)

static struct zones *zones;

static void check(const char *format, const char *pattern, const json_t *more, const char *want)
{
	AUTO(schedule) s = NULL;
	AUTO_FREE char *words = NULL;
	json_t *o = json_pack("{s:s, s:s}", "format", format, "pattern", pattern);

	json_object_update(o, (json_t *)more);
	s = OK_PTR(schedule_parse(o, zones, NOW, e));
	words = schedule_words(s, pattern);
	json_decref(o);
	if (strcmp(words, want) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", pattern, words, want);
}

struct row {
	const char *pattern, *want;
};

static void check_all(const char *format, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(format, rows[i].pattern, NULL, rows[i].want);
}

static void test_crontab(void **state)
{
	static const struct row rows[] = {
		{"30 2 * * *", "every day at 02:30 (UTC)"},
		{"@daily", "every day at 00:00 (UTC)"},
		{"0 2,14 * * *", "every day at 02:00 and 14:00 (UTC)"},
		{"0,30 2,14 * * *", "every day at 02:00, 02:30, 14:00 and 14:30 (UTC)"},
		{"@hourly", "every hour"},
		{"5 * * * *", "every hour at minute 5"},
		{"5,20,35 * * * *", "every hour at minutes 5, 20 and 35"},
		{"* * * * *", "every minute"},
		{"*/15 * * * *", "every 15 minutes"},
		{"0 */2 * * *", "every 2 hours (UTC)"},
		{"10 */2 * * *", "every 2 hours at minute 10 (UTC)"},
		{"0 8-17 * * *", "every hour from 08:00 to 17:00, every day (UTC)"},
		{"*/15 8-17 * * 1-5",
		 "every 15 minutes from 08:00 to 17:45, Monday to Friday (UTC)"},
		{"*/15 * * * 0", "every 15 minutes, Sunday (UTC)"},
		{"0 3 * * 1-5", "every Monday to Friday at 03:00 (UTC)"},
		{"0 3 * * 7", "every Sunday at 03:00 (UTC)"},
		{"0 3 * * 6,0", "every Saturday and Sunday at 03:00 (UTC)"},
		{"0 3 * * 1,3,5", "every Monday, Wednesday and Friday at 03:00 (UTC)"},
		{"0 3 1 * *", "on the 1st of every month at 03:00 (UTC)"},
		{"0 3 2,11,23 * *", "on the 2nd, 11th and 23rd of every month at 03:00 (UTC)"},
		{"0 3 1-7 * *", "on the 1st to 7th of every month at 03:00 (UTC)"},
		{"0 3 1 1,7 *", "on the 1st of January and July at 03:00 (UTC)"},
		{"0 3 * 6-8 *", "every day in June to August at 03:00 (UTC)"},
		{"0 3 * 6 1", "every Monday in June at 03:00 (UTC)"},
		{"0 3 1 * 1", "on the 1st of every month and every Monday at 03:00 (UTC)"},
		/* no simple words */
		{"7,9,11,13,15 3 * * *", "7,9,11,13,15 3 * * * (UTC)"},
		{"0 3 */2 * 1", "0 3 */2 * 1 (UTC)"},
		{"0 1,4,5,8,9 * * *", "0 1,4,5,8,9 * * * (UTC)"},
		{"0 3 1 1,3,5,7,9 *", "0 3 1 1,3,5,7,9 * (UTC)"},
		{"*/7 3 * * *", "*/7 3 * * * (UTC)"},
	};

	(void)state;
	check_all("crontab", rows, ARRAY_LEN(rows));
}

static void test_calendar(void **state)
{
	static const struct row rows[] = {
		{"RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "every day at 02:30 (UTC)"},
		{"DTSTART;TZID=Europe/Berlin:20260101T023000\\nRRULE:FREQ=DAILY",
		 "every day at 02:30 (Europe/Berlin)"},
		{"RRULE:FREQ=DAILY;INTERVAL=2;BYHOUR=2", "every 2 days at 02:00 (UTC)"},
		{"RRULE:FREQ=WEEKLY;BYHOUR=2", "every Sunday at 02:00 (UTC)"},
		{"RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;BYHOUR=2",
		 "every 2 weeks on Monday and Friday at 02:00 (UTC)"},
		{"RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=2",
		 "on the last Friday of every month at 02:00 (UTC)"},
		{"RRULE:FREQ=MONTHLY;BYDAY=2TU;BYHOUR=2",
		 "on the 2nd Tuesday of every month at 02:00 (UTC)"},
		{"RRULE:FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=1;BYHOUR=2",
		 "every 3 months on the 1st of the month at 02:00 (UTC)"},
		{"RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=2",
		 "on the last day of every month at 02:00 (UTC)"},
		{"RRULE:FREQ=MONTHLY;BYMONTHDAY=15,-1;BYHOUR=2",
		 "on the 15th and the last day of every month at 02:00 (UTC)"},
		{"RRULE:FREQ=YEARLY;BYHOUR=2", "on the 22nd of November at 02:00 (UTC)"},
		{"RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;BYHOUR=2",
		 "on the last Sunday of March at 02:00 (UTC)"},
		{"RRULE:FREQ=HOURLY", "every hour"},
		{"RRULE:FREQ=HOURLY;INTERVAL=7;BYMINUTE=5", "every 7 hours at minute 5 (UTC)"},
		{"RRULE:FREQ=DAILY;COUNT=3", "every day at 00:00, 3 times (UTC)"},
		{"RRULE:FREQ=DAILY;UNTIL=20270101T000000Z",
		 "every day at 00:00, until 2027-01-01 00:00:00 (UTC)"},
		{"RRULE:FREQ=DAILY\\nEXDATE:20261224T000000",
		 "every day at 00:00, with exceptions (UTC)"},
		{"DTSTART:20261224T180000", "once, 2026-12-24 18:00:00 (UTC)"},
		/* no simple words */
		{"RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
		 "RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1 (UTC)"},
		{"RRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
		 "RRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13 (UTC)"},
		{"RRULE:FREQ=YEARLY;BYDAY=20MO", "RRULE:FREQ=YEARLY;BYDAY=20MO (UTC)"},
		{"RRULE:FREQ=YEARLY;BYDAY=2MO", "RRULE:FREQ=YEARLY;BYDAY=2MO (UTC)"},
		{"RRULE:FREQ=YEARLY;INTERVAL=4", "RRULE:FREQ=YEARLY;INTERVAL=4 (UTC)"},
		{"RRULE:FREQ=MONTHLY;BYDAY=-2FR", "RRULE:FREQ=MONTHLY;BYDAY=-2FR (UTC)"},
		{"RRULE:FREQ=DAILY;INTERVAL=2;BYDAY=MO",
		 "RRULE:FREQ=DAILY;INTERVAL=2;BYDAY=MO (UTC)"},
	};

	(void)state;
	check_all("calendar", rows, ARRAY_LEN(rows));
}

static void test_around(void **state)
{
	json_t *more = json_pack("{s:s, s:s, s:i}", "timezone", "Europe/Berlin", "end_time",
				 "2026-12-31T23:00:00Z", "jitter", 300);

	(void)state;
	check("crontab", "30 2 * * *", more,
	      "every day at 02:30, until 2027-01-01 00:00:00, up to 5 min 00 s later "
	      "(Europe/Berlin)");
	check("crontab", "*/15 * * * *", more,
	      "every 15 minutes, until 2027-01-01 00:00:00, up to 5 min 00 s later "
	      "(Europe/Berlin)");
	json_decref(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crontab),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_around),
	};
	int failed;

	zones = zones_new(NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	zones_free(zones);
	return failed;
}
