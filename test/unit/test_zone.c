/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones; test_sched.py compares all of them with Python's zoneinfo. */
#include "sched/zone.h"

#include <string.h>

#include "base/fio.h"
#include "sched/civil.h"
#include "sched/when.h"
#include "testing.h"

static struct zones *zones;

static int64_t at(int year, int month, int day, int hour, int minute)
{
	struct civil c = {year, month, day, hour, minute, 0};

	return civil_seconds(&c);
}

static void test_gap_and_overlap(void **state)
{
	AUTO(zone) z = OK_PTR(zones_get(zones, "Europe/Berlin", e));

	(void)state;
	assert_string_equal(zone_name(z), "Europe/Berlin");
	assert_true(zone_to_utc(z, at(2026, 3, 29, 1, 59)) == at(2026, 3, 29, 0, 59));
	/* 02:30 does not exist and becomes 03:30. */
	assert_true(zone_to_utc(z, at(2026, 3, 29, 2, 30)) == at(2026, 3, 29, 1, 30));
	assert_true(zone_to_local(z, at(2026, 3, 29, 1, 30)) == at(2026, 3, 29, 3, 30));
	/* It exists twice: the first. */
	assert_true(zone_to_utc(z, at(2026, 10, 25, 2, 30)) == at(2026, 10, 25, 0, 30));
	assert_true(zone_to_local(z, at(2026, 10, 25, 1, 30)) == at(2026, 10, 25, 2, 30));
	/* By the rule behind the table, and after the last year that it is written out for. */
	assert_int_equal(zone_period(z, at(2150, 7, 1, 0, 0)).offset, 7200);
	assert_int_equal(zone_period(z, at(2150, 1, 1, 0, 0)).offset, 3600);
	assert_true(zone_period(z, at(2500, 7, 1, 0, 0)).until == INT64_MAX);
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",	     "/etc/passwd", "../zoneinfo/UTC", "Europe/",	 "Mars/Olympus",
		"Europe",    "right/UTC",   "posix/UTC",       "Europe//Berlin", "Europe/Berlin ",
		"tzdata.zi", "localtime"};
	AUTO(zone) a = OK_PTR(zones_get(zones, "America/New_York", e));
	AUTO(zone) b = OK_PTR(zones_get(zones, "America/New_York", e));
	AUTO(zone) c = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		FAILS_PTR(ERR_INVALID, zones_get(zones, bad[i], e));
	assert_ptr_equal(a, b);
	zones_forget(zones);
	c = OK_PTR(zones_get(zones, "America/New_York", e));
	assert_ptr_not_equal(a, c);
	assert_int_equal(zone_period(a, 0).offset, zone_period(c, 0).offset);
}

static void test_damaged_files(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	OK(fio_slurp("/usr/share/zoneinfo/Europe/Berlin", ZONE_FILE_MAX, &b, e));
	for (size_t n = 0; n < b.len; n += n < 100 ? 1 : 37)
		FAILS_PTR(ERR_CORRUPT, zone_parse("x", b.data, n, e));
	/* The rule at its end. */
	b.data[b.len - 3] = 'x';
	FAILS_PTR(ERR_CORRUPT, zone_parse("x", b.data, b.len, e));
}

/* A file without a table, of which only the rule counts. */
static struct zone *of_rule(const char *rule, struct err *e)
{
	AUTO_BUF b = BUF_INIT;

	for (int i = 0; i < 2; i++) {
		buf_text(&b, "TZif2");
		buf_fill(&b, 0, 15 + 16);
		buf_add(&b, "\0\0\0\1\0\0\0\1", 8);
		buf_fill(&b, 0, 7);
	}
	buf_fmt(&b, "\n%s\n", rule);
	return zone_parse("x", b.data, b.len, e);
}

static void test_rules(void **state)
{
	static const struct {
		const char *rule;
		int january, july;
	} rows[] = {
		{"UTC0", 0, 0},
		{"<+0545>-5:45", 20700, 20700},
		{"EST5EDT,M3.2.0,M11.1.0", -18000, -14400},
		{"AEST-10AEDT,M10.1.0,M4.1.0/3", 39600, 36000},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", 0, 3600},
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7200, -3600},
		{"XXX3YYY,J60,J300", -10800, -7200},
		{"XXX3YYY1:30,59/2,299/26", -10800, -5400},
	};
	static const char *const bad[] = {"X",
					  "XX3",
					  "EST",
					  "EST5EDT",
					  "EST5EDT,M3.2.0",
					  "EST5EDT,M13.2.0,M1.1.1",
					  "EST5EDT,M3.6.0,M1.1.1",
					  "EST5EDT,M3.2.7,M1.1.1",
					  "EST5EDT,366,1",
					  "EST5EDT,J0,J5",
					  "<X5",
					  "EST5EDT,M3.2.0,M11.1.0x",
					  "EST5EDT,M3.2.0/,M11.1.0",
					  "EST200",
					  "EST5:61",
					  "EST5EDTx"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(zone) z = OK_PTR(of_rule(rows[i].rule, e));

		assert_int_equal(zone_period(z, at(2030, 1, 15, 0, 0)).offset, rows[i].january);
		assert_int_equal(zone_period(z, at(2030, 7, 15, 0, 0)).offset, rows[i].july);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = {0};

		if (of_rule(bad[i], &e))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
}

static void test_instants_as_typed(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} rows[] = {
		{"2026-11-21 05:30:00", 1795239000},
		{"2026-11-21T05:30:00Z", 1795239000},
		{"2026-11-21T05:30:00.25Z", 1795239000},
		{"2026-11-21T06:30:00+01:00", 1795239000},
		{"2026-11-20T22:00:00-07:30", 1795239000},
		/* Berlin's. */
		{"2026-11-21T06:30:00", 1795239000},
		{"2026-11-21T06:30:00.5", 1795239000},
		{"2026-11-21 05:30", -1},
		{"2026-11-21 05:30:00Z", -1},
		{"2026-11-21", -1},
		{"2026-02-29 00:00:00", -1},
		{"2026-11-21T05:30:00+24:00", -1},
		{"2026-11-21T05:30:00+1:00", -1},
		{"2026-11-21T05:30:00z", -1},
		{"1969-12-31 23:59:59", -1},
		{"", -1},
	};
	AUTO(zone) z = OK_PTR(zones_get(zones, "Europe/Berlin", e));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t got = -1;
		bool good = when_parse(rows[i].text, z, &got);

		if (good != (rows[i].want >= 0) || got != rows[i].want)
			fail_msg("%s: %lld", rows[i].text, (long long)got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gap_and_overlap),	  cmocka_unit_test(test_names),
		cmocka_unit_test(test_damaged_files),	  cmocka_unit_test(test_rules),
		cmocka_unit_test(test_instants_as_typed),
	};
	int failed;

	zones = zones_new(NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	zones_free(zones);
	return failed;
}
