/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "testing.h"

/* ---- sleep that is interrupted; nobody sleeps here ---- */

static struct timespec slept[4];
static int sleeps, interruptions;

int __wrap_nanosleep(const struct timespec *want, struct timespec *left);
int __wrap_nanosleep(const struct timespec *want, struct timespec *left)
{
	if (sleeps < 4)
		slept[sleeps] = *want;
	sleeps++;
	if (interruptions == 0)
		return 0;
	interruptions--;
	*left = (struct timespec){0, 1000 * interruptions + 5};
	errno = EINTR;
	return -1;
}

static bool no_format;
size_t __real_strftime(char *out, size_t cap, const char *fmt, const struct tm *tm);
size_t __wrap_strftime(char *out, size_t cap, const char *fmt, const struct tm *tm);
size_t __wrap_strftime(char *out, size_t cap, const char *fmt, const struct tm *tm)
{
	return no_format ? 0 : __real_strftime(out, cap, fmt, tm);
}

static void test_sleep(void **state)
{
	(void)state;
	sleeps = interruptions = 0;
	clock_sleep_ms(2345);
	assert_int_equal(sleeps, 1);
	assert_int_equal(slept[0].tv_sec, 2);
	assert_int_equal(slept[0].tv_nsec, 345000000);
}

/* A signal does not shorten it: it goes on with what is left. */
static void test_interrupted_sleep(void **state)
{
	(void)state;
	sleeps = 0;
	interruptions = 2;
	clock_sleep_ms(1);
	assert_int_equal(sleeps, 3);
	assert_int_equal(slept[0].tv_nsec, 1000000);
	assert_int_equal(slept[1].tv_nsec, 1005);
	assert_int_equal(slept[2].tv_nsec, 5);
}

static void test_never_goes_back(void **state)
{
	uint64_t last = clock_mono_us();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t now = clock_mono_us();

		assert_true(now >= last);
		last = now;
	}
}

static void test_wall_clock_is_the_systems(void **state)
{
	time_t before = time(NULL);
	uint64_t us = clock_wall_us();
	time_t after = time(NULL);

	(void)state;
	/* time() may lag behind by a tick. */
	assert_true(us / 1000000 + 1 >= (uint64_t)before);
	assert_true(us / 1000000 <= (uint64_t)after + 1);
}

static void test_watch(void **state)
{
	struct clock_watch w;

	(void)state;
	clock_watch_init(&w);
	assert_true(clock_watch_trusted(&w));
	/* As if it had stood ten years ago at the last look, and yet to come. */
	for (int i = -1; i <= 1; i += 2) {
		clock_watch_init(&w);
		w.wall_us += (uint64_t)(i * INT64_C(315576000000000));
		assert_false(clock_watch_trusted(&w));
		assert_false(clock_watch_trusted(&w));
		w.jumped_us -= UINT64_C(86400000000);
		assert_true(clock_watch_trusted(&w));
	}
	/* A minute is put right by whoever keeps the time. */
	w.jumped_us = 0;
	w.wall_us -= 60000000;
	assert_true(clock_watch_trusted(&w));
	w.wall_us += 60000000;
	assert_true(clock_watch_drift(&w) < -59000000);
}

static void test_texts(void **state)
{
	static const struct {
		uint64_t us;
		const char *utc, *local;
	} rows[] = {
		{0, "1970-01-01T00:00:00Z", "1969-12-31 19:00:00"},
		{999999, "1970-01-01T00:00:00Z", "1969-12-31 19:00:00"},
		{951782400000000, "2000-02-29T00:00:00Z", "2000-02-28 19:00:00"},
		{1795239000000000, "2026-11-21T05:30:00Z", "2026-11-21 00:30:00"},
		{4294967296000000, "2106-02-07T06:28:16Z", "2106-02-07 01:28:16"},
	};
	char out[CLOCK_TEXT];

	(void)state;
	setenv("TZ", "EST5", 1);
	tzset();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(clock_rfc3339(rows[i].us, out), rows[i].utc);
		assert_string_equal(clock_local(rows[i].us, out), rows[i].local);
	}
	/* Not sensible, but it fits. */
	assert_true(strlen(clock_rfc3339(UINT64_MAX, out)) < CLOCK_TEXT);
	assert_true(strlen(clock_local(UINT64_MAX, out)) < CLOCK_TEXT);
}

static void test_text_that_cannot_be_made(void **state)
{
	char out[CLOCK_TEXT] = "x";

	(void)state;
	no_format = true;
	assert_string_equal(clock_rfc3339(0, out), "");
	out[0] = 'x';
	assert_string_equal(clock_local(0, out), "");
	no_format = false;
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-22T07:19:02Z", 1795331942000000},
		{"2026-11-22T07:19:02.5Z", 1795331942000000},
		{"2026-11-22T07:19:02.000000999Z", 1795331942000000},
		{"2024-02-29T00:00:00Z", 1709164800000000},
		{"2016-12-31T23:59:60Z", 1483228800000000},
		{"9999-12-31T23:59:59Z", 253402300799000000},
	};
	static const char *const bad[] = {
		"",
		"Z",
		"2026-11-22",
		"2026-11-22T07:19:02",
		"2026-11-22T07:19:02.Z",
		"2026-11-22T07:19:02+00:00",
		"2026-11-22T07:19:02z",
		"2026-11-22 07:19:02Z",
		"2026-11-22T07:19:02Z ",
		" 2026-11-22T07:19:02Z",
		"2026-11-22T07:19:02xZ",
		"2026-11-22T7:19:02Z",
		"2023-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:61Z",
		"1969-12-31T23:59:59Z",
		"+026-01-01T00:00:00Z",
	};
	char text[CLOCK_TEXT];
	uint64_t us = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(clock_parse_rfc3339(rows[i].text, &us));
		assert_int_equal(us, rows[i].us);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		us = 7;
		if (clock_parse_rfc3339(bad[i], &us) || us != 7)
			fail_msg("'%s' is taken for a time", bad[i]);
	}
	for (uint64_t t = 0; t < 4000000000; t += 12345678) {
		assert_true(clock_parse_rfc3339(clock_rfc3339(t * 1000000, text), &us));
		assert_int_equal(us, t * 1000000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_interrupted_sleep),
		cmocka_unit_test(test_never_goes_back),
		cmocka_unit_test(test_wall_clock_is_the_systems),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_text_that_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
