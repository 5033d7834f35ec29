/* SPDX-License-Identifier: Apache-2.0 */
/* What is due, and what becomes of what was missed. */
#include "sched/schedule.h"

#include <string.h>

#include "testing.h"

#define S UINT64_C(1000000)
#define MINUTE (60 * S)
#define HOUR (3600 * S)
/* 2026-11-22 00:00:00 UTC */
#define NOW (UINT64_C(1795305600) * S)

static struct zones *zones;

/* JSON with ' for " */
static json_t *json_quoted(const char *text)
{
	AUTO_FREE char *copy = xstrdup(text);
	json_t *o;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	o = json_loads(copy, JSON_ALLOW_NUL, NULL);
	assert_non_null(o);
	return o;
}

static struct schedule *parse(const char *rest)
{
	AUTO_FREE char *text = xasprintf("{'format': 'crontab', 'pattern': '0 * * * *'%s}", rest);
	json_t *o = json_quoted(text);
	struct schedule *s;

	s = OK_PTR(schedule_parse(o, zones, NOW, e));
	json_decref(o);
	return s;
}

/* "F" fired, "f" with a reason, "m" missed; oldest first. */
static void check_due(const char *rest, uint64_t last_us, uint64_t now_us, const char *want)
{
	AUTO(schedule) s = parse(rest);
	struct schedule_due d;
	char got[SCHEDULE_LISTED + 2] = "";

	schedule_due(s, "id", last_us, now_us, &d);
	for (size_t i = 0; i < d.n; i++) {
		got[i] = !d.list[i].fire ? 'm' : d.list[i].reason[0] ? 'f' : 'F';
		assert_true(d.list[i].fire || d.list[i].reason[0]);
		assert_true(i == 0 || d.list[i].at_us > d.list[i - 1].at_us);
		assert_true(d.list[i].at_us > last_us && d.list[i].at_us <= now_us);
	}
	got[d.n] = 0;
	assert_true(d.next_us == 0 || d.next_us > now_us);
	schedule_due_done(&d);
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s instead of %s", rest, got, want);
}

static void test_due(void **state)
{
	(void)state;
	check_due("", NOW, NOW + HOUR - 1, "");
	check_due("", NOW, NOW + HOUR, "F");
	check_due("", NOW, NOW + HOUR + 900 * S, "F");
	check_due("", NOW, NOW + HOUR + 901 * S, "f");
	check_due(", 'misfire': 'skip'", NOW, NOW + HOUR + 901 * S, "m");
	check_due(", 'window': 1800, 'misfire': 'skip'", NOW, NOW + HOUR + 901 * S, "F");
	check_due(", 'window': '1800', 'misfire': 'skip'", NOW, NOW + HOUR + 901 * S, "F");
	check_due("", NOW, NOW + 4 * HOUR + S, "mmmF");
	check_due(", 'misfire': 'skip'", NOW, NOW + 4 * HOUR + S, "mmmF");
	check_due(", 'misfire': 'skip'", NOW, NOW + 4 * HOUR + HOUR / 2, "mmmm");
	check_due(", 'misfire': 'all'", NOW, NOW + 4 * HOUR + HOUR / 2, "ffff");
	check_due(", 'misfire': 'all'", NOW, NOW + 4 * HOUR, "fffF");
	check_due(", 'misfire': 'all', 'misfire_limit': 2", NOW, NOW + 4 * HOUR + HOUR / 2, "mmff");
	check_due(", 'start_time': '2026-11-22 03:00:00'", NOW, NOW + 4 * HOUR, "mF");
	check_due(", 'end_time': '2026-11-22T02:00:00Z'", NOW, NOW + 4 * HOUR, "mf");
	check_due(", 'end_time': '2026-11-22T02:00:00Z'", NOW + 2 * HOUR, NOW + 4 * HOUR, "");
}

static void test_after_a_year(void **state)
{
	AUTO(schedule) s = parse(", 'start_time': '2020-01-01 00:00:00', 'misfire': 'all'");
	struct schedule_due d;
	size_t fired = 0;

	(void)state;
	schedule_due(s, "id", NOW - 365 * 24 * HOUR, NOW + S, &d);
	assert_int_equal(d.n, SCHEDULE_LISTED + 1);
	/* The first tells of all that are not listed. */
	assert_true(d.list[0].at_us == NOW - 365 * 24 * HOUR + HOUR);
	assert_non_null(strstr(d.list[0].reason, "until"));
	assert_true(d.list[1].at_us == NOW - (SCHEDULE_LISTED - 1) * HOUR);
	for (size_t i = 0; i < d.n; i++)
		fired += d.list[i].fire;
	assert_int_equal(fired, SCHEDULE_MISFIRE_LIMIT);
	assert_true(d.next_us == NOW + HOUR);
	schedule_due_done(&d);
}

static void test_jitter(void **state)
{
	AUTO(schedule) s = parse(", 'jitter': 7200");
	AUTO(schedule) none = parse("");
	uint64_t most = 0, least = HOUR;

	(void)state;
	assert_true(schedule_begin(none, "a", NOW) == NOW);
	for (uint64_t at = NOW; at < NOW + 300 * HOUR; at += HOUR) {
		uint64_t by = schedule_begin(s, "a", at) - at;

		assert_true(by < HOUR);
		assert_true(schedule_begin(s, "a", at) == at + by);
		assert_true(schedule_begin(s, "b", at) != at + by);
		most = MAX(most, by);
		least = MIN(least, by);
	}
	assert_true(least < 2 * MINUTE && most > 58 * MINUTE);
	/* Due when it begins, not before. */
	for (uint64_t at = NOW + HOUR; at < NOW + 10 * HOUR; at += HOUR) {
		struct schedule_due d;

		schedule_due(s, "a", at - HOUR, schedule_begin(s, "a", at) - 1, &d);
		assert_int_equal(d.n, 0);
		assert_true(d.next_us == schedule_begin(s, "a", at));
		schedule_due_done(&d);
		schedule_due(s, "a", at - HOUR, schedule_begin(s, "a", at), &d);
		assert_int_equal(d.n, 1);
		assert_true(d.list[0].at_us == at && d.list[0].fire);
		schedule_due_done(&d);
	}
}

static void test_next_n(void **state)
{
	AUTO(schedule) s = parse(", 'end_time': '2026-11-22 03:00:00'");
	uint64_t at[5];

	(void)state;
	assert_int_equal(schedule_next_n(s, NOW, 2, at), 2);
	assert_int_equal(schedule_next_n(s, NOW, 5, at), 3);
	assert_true(at[2] == NOW + 3 * HOUR);
	/* From before its start, the start counts. */
	assert_int_equal(schedule_next_n(s, 0, 1, at), 1);
	assert_true(at[0] == NOW);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *named;
	} rows[] = {
		{"[]", "object"},
		{"{'format': 5, 'pattern': 'x'}", "format: give a text"},
		{"{'format': 'crontab', 'pattern': 'a\\u0000b'}", "pattern: give a text"},
		{"{'format': 'crontab', 'pattern': '@daily', 'window': 1.5}", "window"},
		{"{'format': 'crontab', 'pattern': '@daily', 'window': '15m'}", "window"},
		{"{'format': 'crontab', 'pattern': '@daily', 'window': 59}", "window: 59"},
		{"{'format': 'crontab', 'pattern': '@daily', 'jitter': -1}", "jitter"},
		{"{'format': 'crontab', 'pattern': '@daily', 'misfire': 'never'}", "misfire"},
		{"{'format': 'crontab', 'pattern': '@daily', 'misfire_limit': 0}", "misfire_limit"},
		{"{'format': 'crontab', 'pattern': '@daily', 'timezone': 5}", "timezone"},
		{"{'format': 'crontab', 'pattern': '@daily', 'end_time': '2026-11-21 00:00:00'}",
		 "end_time"},
		{"{'format': 'crontab', 'pattern': '@daily', 'end_time': 'x'}", "end_time"},
		{"{'format': 'calendar', 'pattern': 'x:y'}", "pattern: calendar"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *o = json_quoted(rows[i].text);
		struct err e = {0};

		if (schedule_parse(o, zones, NOW, &e))
			fail_msg("%s was taken", rows[i].text);
		if (!strstr(e.msg, rows[i].named))
			fail_msg("%s: %s", rows[i].text, e.msg);
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_due),	cmocka_unit_test(test_after_a_year),
		cmocka_unit_test(test_jitter),	cmocka_unit_test(test_next_n),
		cmocka_unit_test(test_refused),
	};
	int failed;

	zones = zones_new(NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	zones_free(zones);
	return failed;
}
