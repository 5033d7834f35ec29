/* SPDX-License-Identifier: Apache-2.0 */
/* Calendars and their rules; test_sched.py compares thousands with dateutil's answers. */
#include "sched/calendar.h"

#include <string.h>

#include "base/clock.h"
#include "sched/civil.h"
#include "testing.h"

/* Thursday 2026-11-26 00:00:00 UTC */
#define START 1795651200

static struct zones *zones;

static struct calendar *parse(const char *text, const char *zone, struct err *e)
{
	AUTO(zone) z = zones_get(zones, zone, e);

	return z ? calendar_parse(text, zones, z, START, e) : NULL;
}

static const struct {
	const char *text, *want; /* the first three, UTC */
} firings[] = {
	{"RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "26 01:30, 27 01:30, 28 01:30, "},
	{"BEGIN:VCALENDAR\\nBEGIN:VEVENT\\nRRULE:FREQ=WEEKLY;BYDAY=FR;BYHOUR=12\\nEND:"
	 "VEVENT\\nEND:VCALENDAR",
	 "27 11:00, 04 11:00, 11 11:00, "},
	/* Folded, lower case, CRLF, a description with \n in it. */
	{"begin:vevent\r\nDESCRIPTION:a\\nb\r\nrrule:FREQ=DA\r\n "
	 "ILY;COUNT=2;BYHOUR=5\r\nEND:VEVENT\r\n",
	 "26 04:00, 27 04:00, "},
	/* Two rules. */
	{"RRULE:FREQ=DAILY;BYHOUR=2\nRRULE:FREQ=DAILY;BYHOUR=2,3",
	 "26 01:00, 26 02:00, 27 01:00, "},
	{"DTSTART:20261127T100000\nRRULE:FREQ=DAILY", "27 09:00, 28 09:00, 29 09:00, "},
	{"DTSTART:20261127T100000Z\nRRULE:FREQ=DAILY", "27 10:00, 28 10:00, 29 10:00, "},
	{"DTSTART;TZID=America/New_York:20261127T100000\nRRULE:FREQ=DAILY",
	 "27 15:00, 28 15:00, 29 15:00, "},
	{"DTSTART;TZID=\"America/"
	 "New_York\";VALUE=DATE-TIME:20261127T100000\nRRULE:FREQ=DAILY;COUNT=1",
	 "27 15:00, "},
	{"DTSTART;VALUE=DATE:20261127\nRRULE:FREQ=DAILY;COUNT=1", "26 23:00, "},
	/* Once. */
	{"DTSTART:20261127T100000", "27 09:00, "},
	{"RDATE:20261127T100000Z,20261126T100000Z", "26 10:00, 27 10:00, "},
	{"DTSTART:20261127T100000\nRDATE;VALUE=DATE:20261130", "30 09:00, "},
	{"DTSTART:20261127T100000\nRRULE:FREQ=DAILY\nEXDATE:20261128T100000,"
	 "20261129T090000Z",
	 "27 09:00, 30 09:00, 01 09:00, "},
	{"DTSTART:20261127T000000\nRRULE:FREQ=HOURLY;INTERVAL=12\nEXDATE;VALUE=DATE:"
	 "20261127",
	 "27 23:00, 28 11:00, 28 23:00, "},
	{"DTSTART:20261127T100000\nRRULE:FREQ=DAILY;UNTIL=20261128", "27 09:00, 28 09:00, "},
	{"DTSTART:20261127T100000\nRRULE:FREQ=DAILY;UNTIL=20261128T085959Z", "27 09:00, "},
	{"DTSTART:20261127T100000\nRRULE:FREQ=DAILY;UNTIL=20261128T090000Z",
	 "27 09:00, 28 09:00, "},
	/* What a zone says about itself is not a schedule, nor is an alarm. */
	{"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nBEGIN:STANDARD\nDTSTART:19701025T030000\n"
	 "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:"
	 "VEVENT\n"
	 "DTSTART:20261127T100000\nBEGIN:VALARM\nRRULE:FREQ=HOURLY\nEND:VALARM\nEND:"
	 "VEVENT\nEND:VCALENDAR",
	 "27 09:00, "},
	{"RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=1", "27 00:00, 25 00:00, 29 00:00, "},
	{"RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=1",
	 "30 00:00, 31 00:00, 29 00:00, "},
	{"RRULE:FREQ=YEARLY;BYWEEKNO=1;BYHOUR=1", "07 00:00, 06 00:00, 04 00:00, "},
	{"RRULE:FREQ=YEARLY;BYYEARDAY=-1;BYHOUR=1", "31 00:00, 31 00:00, 31 00:00, "},
};

static void test_firings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(firings); i++) {
		AUTO(calendar) c = OK_PTR(parse(firings[i].text, "Europe/Berlin", e));
		AUTO_BUF got = BUF_INIT;
		int64_t s = START - 1;

		for (int n = 0; n < 3 && calendar_next(c, s, &s); n++) {
			struct civil d = civil_of_seconds(s);

			buf_fmt(&got, "%02d %02d:%02d, ", d.day, d.hour, d.minute);
		}
		if (strcmp(buf_str(&got), firings[i].want) != 0)
			fail_msg("%s: %s instead of %s", firings[i].text, buf_str(&got),
				 firings[i].want);
	}
}

static const struct {
	const char *text, *named;
} refusals[] = {
	{"", "no RRULE"},
	{"BEGIN:VEVENT\nEND:VEVENT", "no RRULE"},
	{"FREQ=DAILY", "is not a line"},
	{"BEGIN:VEVENT\nRRULE:FREQ=DAILY", "without END"},
	{"RRULE:FREQ=DAILY\nEND:VEVENT", "without its BEGIN"},
	{"DTSTART:20261127T100000\nDTSTART:20261128T100000\nRRULE:FREQ=DAILY", "DTSTART"},
	{"DTSTART:tomorrow", "DTSTART"},
	{"DTSTART:20260230T100000", "DTSTART"},
	{"DTSTART;TZID=Mars/Olympus:20261127T100000", "Mars/Olympus"},
	{"DTSTART;COLOUR=red:20261127T100000", "COLOUR"},
	{"DTSTART;TZID=UTC;X=1:20261127T100000", "X=1"},
	{"RRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY", "EXRULE"},
	{"RRULE:FREQ=DAILY\nRDATE;VALUE=PERIOD:20261127T100000Z/PT1H", "PERIOD"},
	{"RRULE:FREQ=DAILY\nEXDATE:x", "EXDATE"},
	{"RRULE:FREQ=SECONDLY", "SECONDLY"},
	{"RRULE:FREQ=MINUTELY", "crontab"},
	{"RRULE:FREQ=OFTEN", "FREQ=OFTEN"},
	{"RRULE:INTERVAL=2", "FREQ"},
	{"RRULE:FREQ=DAILY;FREQ=DAILY", "twice"},
	{"RRULE:FREQ=DAILY;INTERVAL=0", "INTERVAL"},
	{"RRULE:FREQ=DAILY;COUNT=100000", "COUNT"},
	{"RRULE:FREQ=DAILY;COUNT=1;UNTIL=20261128", "UNTIL"},
	{"RRULE:FREQ=DAILY;UNTIL=soon", "UNTIL"},
	{"RRULE:FREQ=DAILY;BYHOUR=24", "BYHOUR"},
	{"RRULE:FREQ=DAILY;BYHOUR=1 2", "BYHOUR"},
	{"RRULE:FREQ=DAILY;BYMINUTE=60", "BYMINUTE"},
	{"RRULE:FREQ=DAILY;BYSECOND=1,2", "BYSECOND"},
	{"RRULE:FREQ=DAILY;BYMONTH=13", "BYMONTH"},
	{"RRULE:FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY"},
	{"RRULE:FREQ=DAILY;BYMONTHDAY=-32", "BYMONTHDAY"},
	{"RRULE:FREQ=DAILY;BYDAY=XX", "BYDAY"},
	{"RRULE:FREQ=DAILY;BYDAY=1MO", "BYDAY"},
	{"RRULE:FREQ=DAILY;BYDAY=", "BYDAY"},
	{"RRULE:FREQ=MONTHLY;BYDAY=54MO", "BYDAY"},
	{"RRULE:FREQ=DAILY;BYWEEKNO=1", "BYWEEKNO"},
	{"RRULE:FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY"},
	{"RRULE:FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"},
	{"RRULE:FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "BYWEEKNO"},
	{"RRULE:FREQ=DAILY;BYSETPOS=1", "BYSETPOS"},
	{"RRULE:FREQ=DAILY;WKST=MOON", "WKST"},
	{"RRULE:FREQ=DAILY;RSCALE=GREGORIAN", "RSCALE"},
	{"RRULE:FREQ=DAILY;X", "NAME=value"},
	{"RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never"},
	{"RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "never"},
	{"BEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:A\nBEGIN:"
	 "A\n",
	 "BEGIN"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct err e = {0};

		if (parse(refusals[i].text, "UTC", &e))
			fail_msg("%s was taken", refusals[i].text);
		if (!strstr(e.msg, refusals[i].named))
			fail_msg("%s: %s", refusals[i].text, e.msg);
	}
}

static void test_limits(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	for (int i = 0; i <= CALENDAR_RULES_MAX; i++)
		buf_text(&b, "RRULE:FREQ=DAILY\n");
	FAILS_PTR(ERR_LIMIT, parse(buf_str(&b), "UTC", e));
	b.len = 0;
	for (int i = 0; i < 1010; i++)
		buf_text(&b, "EXDATE:\n");
	FAILS_PTR(ERR_LIMIT, parse(buf_str(&b), "UTC", e));
	b.len = 0;
	buf_text(&b, "RRULE:FREQ=DAILY\nEXDATE:");
	for (int i = 0; i < 1001; i++)
		buf_text(&b, "20261126,");
	FAILS_PTR(ERR_LIMIT, parse(buf_str(&b), "UTC", e));
	b.len = 0;
	buf_fill(&b, 'x', CALENDAR_TEXT_MAX + 1);
	FAILS_PTR(ERR_LIMIT, parse(buf_str(&b), "UTC", e));
	b.len = 0;
	buf_text(&b, "RRULE:FREQ=DAILY;");
	buf_fill(&b, ';', 2001);
	FAILS_PTR(ERR_LIMIT, parse(buf_str(&b), "UTC", e));
	b.len = 0;
	buf_text(&b, "RRULE:FREQ=MONTHLY;BYHOUR=1,2;BYSETPOS=1");
	for (int i = 0; i < 33; i++)
		buf_text(&b, ",2");
	FAILS_PTR(ERR_LIMIT, parse(buf_str(&b), "UTC", e));
}

/* The dearest that the limits allow, once each. */
static void test_hostile_texts_take_no_time(void **state)
{
	AUTO_BUF b = BUF_INIT;
	AUTO(calendar) c = NULL;
	uint64_t begun_us;
	int64_t s;

	(void)state;
	buf_text(&b, "RRULE:FREQ=DAILY\n");
	for (int i = 1; i < CALENDAR_RULES_MAX; i++)
		buf_text(&b, "RRULE:FREQ=YEARLY;INTERVAL=86;BYMONTH=2;BYMONTHDAY=28,29;BYDAY=MO,TU,"
			     "WE,TH,"
			     "FR,SA,SU\n");
	for (int i = 0; i < 999 - CALENDAR_RULES_MAX; i++) {
		struct civil d = civil_of_days(START / 86400 + i);

		buf_fmt(&b, "EXDATE:%04d%02d%02d\n", d.year, d.month, d.day);
	}
	if (b.len > CALENDAR_TEXT_MAX)
		b.len = CALENDAR_TEXT_MAX - CALENDAR_TEXT_MAX % 16;
	while (b.data[b.len - 1] != '\n')
		b.len--;
	begun_us = clock_mono_us();
	c = OK_PTR(parse(buf_str(&b), "Europe/Berlin", e));
	assert_true(calendar_next(c, START, &s));
	/* A few ms; with valgrind a hundred times that. */
	assert_in_range(clock_mono_us() - begun_us, 0, 3000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firings),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hostile_texts_take_no_time),
	};
	int failed;

	zones = zones_new(NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	zones_free(zones);
	return failed;
}
