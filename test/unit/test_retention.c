/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retention.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "testing.h"

#define DAY_US 86400000000ULL
#define HOUR_US 3600000000ULL
#define MOST 64

/* "2026-11-20 02:00" of the machine's zone, which main() sets to that of Berlin. */
static uint64_t at(const char *text)
{
	struct tm tm = {.tm_isdst = -1};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (uint64_t)mktime(&tm) * 1000000;
}

static int32_t berlin(void *arg, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	(void)arg;
	localtime_r(&t, &tm);
	return (int32_t)tm.tm_gmtoff;
}

static const struct retention_zone zone = {berlin, NULL};

/* Points of "s", named by their place: "0", "1" … */
struct points {
	struct retention_point p[MOST];
	char names[MOST][8];
	size_t n;
};

static struct retention_point *add(struct points *all, uint64_t instant_us)
{
	struct retention_point *p = &all->p[all->n];

	assert_true(all->n < MOST);
	snprintf(all->names[all->n], sizeof(all->names[0]), "%zu", all->n);
	*p = (struct retention_point){.id = all->names[all->n++],
				      .maker = "s",
				      .instant_us = instant_us,
				      .committed_us = instant_us + 60000000};
	return p;
}

static void add_all(struct points *all, const char *const *texts)
{
	for (; *texts; texts++)
		add(all, at(*texts));
}

/* Which are kept: "1 0 1 …" without the spaces. */
static const char *kept(const struct retention *r, const struct points *all, uint64_t now_us)
{
	static char out[MOST + 1];
	struct retention_result res;

	retention_decide(r, all->p, all->n, NULL, 0, now_us, &zone, &res);
	for (size_t i = 0; i < all->n; i++) {
		out[i] = res.verdicts[i].keep ? '1' : '0';
		assert_true(res.verdicts[i].n_reasons > 0);
	}
	out[all->n] = 0;
	retention_result_done(&res);
	return out;
}

/* The reasons of a point, "; " between them. */
static const char *reasons(const struct retention *r, const struct points *all, size_t i,
			   uint64_t now_us)
{
	static char out[1024];
	struct retention_result res;
	char text[RETENTION_TEXT];

	out[0] = 0;
	retention_decide(r, all->p, all->n, NULL, 0, now_us, &zone, &res);
	for (size_t k = 0; k < res.verdicts[i].n_reasons; k++) {
		const struct retention_reason *x = &res.reasons[res.verdicts[i].first_reason + k];
		size_t len = strlen(out);

		assert_true(strlen(retention_reason_word(x)) > 0);
		snprintf(out + len, sizeof(out) - len, "%s%s", len ? "; " : "",
			 retention_reason_text(r, x, text));
	}
	retention_result_done(&res);
	return out;
}

#define SET(...)                                                                                   \
	&(const struct retention_set)                                                              \
	{                                                                                          \
		.scope = RETENTION_OF_MAKER, .maker = "s", .keep = { __VA_ARGS__ }                 \
	}
#define RULES(...) ((struct retention){.sets = SET(__VA_ARGS__), .n_sets = 1, .failed_days = 7})

static void test_last_in_any_order(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 2);
	struct points all = {0};

	(void)state;
	/* The order in which a bank listed its checkpoints decided what Karbor's retention
	 * removed. */
	add(&all, at("2026-11-18 02:00"));
	add(&all, at("2026-11-20 02:00"));
	add(&all, at("2026-11-17 02:00"));
	add(&all, at("2026-11-19 02:00"));
	assert_string_equal(kept(&r, &all, at("2026-11-21 00:00")), "0101");
	assert_string_equal(reasons(&r, &all, 0, at("2026-11-21 00:00")), "s: last 3 of 2");
	assert_string_equal(reasons(&r, &all, 1, at("2026-11-21 00:00")),
			    "s: last 1 of 2; the newest good point");
	r = RULES([RETENTION_LAST] = RETENTION_ALL);
	assert_string_equal(kept(&r, &all, at("2026-11-21 00:00")), "1111");
	assert_string_equal(reasons(&r, &all, 2, at("2026-11-21 00:00")), "s: last 4 of all");
}

static const struct {
	enum retention_level level;
	uint32_t number;
	const char *points[8], *want, *reason; /* of the first that stays */
} period_rows[] = {
	/* The last of each day; days without a point do not count; the oldest stays. */
	{RETENTION_DAILY,
	 3,
	 {"2026-11-01 01:00", "2026-11-17 08:00", "2026-11-17 20:00", "2026-11-20 08:00"},
	 "1011",
	 "s: daily 3 of 3, the last of 2026-11-01"},
	{RETENTION_DAILY,
	 2,
	 {"2026-11-01 01:00", "2026-11-17 08:00", "2026-11-17 20:00", "2026-11-20 08:00"},
	 "0011",
	 "s: daily 2 of 2, the last of 2026-11-17"},
	{RETENTION_DAILY,
	 3,
	 {"2026-11-17 08:00", "2026-11-17 20:00", "2026-11-20 08:00"},
	 "111",
	 "s: daily: the oldest, as there are points of 2 of 3 days"},
	/* Of the policy's zone: 23:30 UTC is tomorrow. */
	{RETENTION_DAILY,
	 2,
	 {"2026-11-19 23:59", "2026-11-20 00:01", "2026-11-20 23:59"},
	 "101",
	 "s: daily 2 of 2, the last of 2026-11-19"},
	/* Both hours from two to three when the clock is set back; one day. */
	{RETENTION_DAILY,
	 2,
	 {"2026-10-25 00:30", "2026-10-25 23:30", "2026-10-26 00:30"},
	 "011",
	 "s: daily 2 of 2, the last of 2026-10-25"},
	{RETENTION_HOURLY,
	 2,
	 {"2026-11-20 08:10", "2026-11-20 08:20", "2026-11-20 09:00", "2026-11-20 09:59"},
	 "0101",
	 "s: hourly 2 of 2, the last of the hour of 2026-11-20 08:00"},
	/* From Monday to Sunday. */
	{RETENTION_WEEKLY,
	 2,
	 {"2026-11-14 12:00", "2026-11-15 23:00", "2026-11-16 00:00", "2026-11-22 23:59"},
	 "0101",
	 "s: weekly 2 of 2, the last of the week of 2026-11-09"},
	{RETENTION_MONTHLY,
	 3,
	 {"2028-01-31 12:00", "2028-02-28 12:00", "2028-02-29 12:00", "2028-03-01 00:00"},
	 "1011",
	 "s: monthly 3 of 3, the last of 2028-01"},
	{RETENTION_YEARLY,
	 2,
	 {"2024-12-31 23:59", "2025-12-31 23:58", "2025-12-31 23:59", "2026-01-01 00:00"},
	 "0011",
	 "s: yearly 2 of 2, the last of 2025"},
};

static void test_periods(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(period_rows); i++) {
		struct retention_set set = {.maker = "s"};
		struct retention r = {.sets = &set, .n_sets = 1};
		struct points all = {0};
		uint64_t now = at("2030-01-01 00:00");

		set.keep[period_rows[i].level] = period_rows[i].number;
		add_all(&all, period_rows[i].points);
		assert_string_equal(kept(&r, &all, now), period_rows[i].want);
		assert_string_equal(reasons(&r, &all, strcspn(period_rows[i].want, "1"), now),
				    period_rows[i].reason);
	}
}

static void test_hour_that_comes_twice(void **state)
{
	struct retention r = RULES([RETENTION_HOURLY] = 3);
	struct points all = {0};
	uint64_t one = at("2026-10-25 01:30");

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		add(&all, one + i * HOUR_US); /* 01:30, 02:30, 02:30, 03:30 */
	assert_int_equal(one + 3 * HOUR_US, at("2026-10-25 03:30"));
	assert_string_equal(kept(&r, &all, one + DAY_US), "0111");
}

static void test_ages(void **state)
{
	struct retention r = RULES([RETENTION_DAYS] = 2);
	struct points all = {0};
	uint64_t newest = at("2026-10-25 12:00");

	(void)state;
	/* Two days of the calendar, of which one has 25 hours. */
	add(&all, at("2026-10-23 12:00"));
	add(&all, at("2026-10-23 12:01"));
	add(&all, newest);
	assert_int_equal(newest - at("2026-10-23 12:00"), 49 * HOUR_US);
	assert_string_equal(kept(&r, &all, newest), "011");
	/* Nothing grows old where nothing new comes, however late the clock says it is. */
	assert_string_equal(kept(&r, &all, newest + 3650 * DAY_US), "011");
	assert_string_equal(reasons(&r, &all, 1, newest), "s: newer than 2 days");
	assert_string_equal(reasons(&r, &all, 0, newest), "s: older than 2 days");
	r = RULES([RETENTION_HOURS] = 49);
	assert_string_equal(kept(&r, &all, newest), "011");
	r = RULES([RETENTION_HOURS] = 50);
	assert_string_equal(kept(&r, &all, newest), "111");
	r = RULES([RETENTION_HOURS] = RETENTION_ALL);
	assert_string_equal(kept(&r, &all, newest), "111");
	r = RULES([RETENTION_DAYS] = RETENTION_DAYS_MAX + 1);
	assert_string_equal(kept(&r, &all, newest), "111");
}

static void test_each_maker_by_itself(void **state)
{
	struct retention_set sets[] = {
		{.maker = "s", .keep = {[RETENTION_LAST] = 1}},
		{.maker = RETENTION_MANUAL, .forever = true},
		{.scope = RETENTION_OF_OTHERS, .keep = {[RETENTION_LAST] = 1}},
	};
	struct retention r = {.sets = sets, .n_sets = 2};
	struct points all = {0};
	uint64_t now = at("2026-11-21 00:00");

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		add(&all, at("2026-11-20 00:00") + i * HOUR_US);
	all.p[2].maker = all.p[3].maker = RETENTION_MANUAL;
	all.p[4].maker = all.p[5].maker = "gone";
	/* What people made does not push out what the schedule made. */
	assert_string_equal(kept(&r, &all, now), "011111");
	assert_string_equal(reasons(&r, &all, 2, now), "manual: kept until it is deleted by hand");
	assert_string_equal(reasons(&r, &all, 4, now),
			    "no rule of the policy is for points like this one");
	r.n_sets = 3;
	assert_string_equal(kept(&r, &all, now), "011101");
	assert_string_equal(reasons(&r, &all, 4, now), "last 2 of 1");
	/* One set for all of them, as Karbor's max_backups. */
	r = (struct retention){.sets = &(struct retention_set){.scope = RETENTION_OF_EVERY,
							       .keep = {[RETENTION_LAST] = 2}},
			       .n_sets = 1};
	assert_string_equal(kept(&r, &all, now), "000011");
	/* No rules: nothing goes. */
	assert_string_equal(kept(&(struct retention){0}, &all, now), "111111");
}

static void test_karbor(void **state)
{
	struct retention_set set = retention_karbor(3, 10);
	struct retention r = {.sets = &set, .n_sets = 1};
	struct points all = {0};
	uint64_t now = at("2026-11-21 00:00");

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		add(&all, now - (28 - 7 * i) * DAY_US);
	assert_string_equal(kept(&r, &all, now), "00011");
	assert_string_equal(reasons(&r, &all, 3, now), "last 2 of 3; newer than 10 days");
	assert_string_equal(reasons(&r, &all, 2, now), "older than 10 days");
	assert_string_equal(reasons(&r, &all, 1, now), "last 4 of 3; older than 10 days");
	set = retention_karbor(3, 0);
	assert_string_equal(kept(&r, &all, now), "00111");
	set = retention_karbor(-1, 10);
	assert_string_equal(kept(&r, &all, now), "00011");
	set = retention_karbor(0, -1);
	assert_string_equal(kept(&r, &all, now), "11111");
	set = retention_karbor(INT64_MAX, INT64_MAX);
	assert_string_equal(kept(&r, &all, now), "11111");
}

static void test_minimum(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 1);
	struct points all = {0};
	uint64_t now = at("2026-11-21 00:00");

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		add(&all, at("2026-11-20 00:00") + i * HOUR_US);
	r.minimum = 3;
	assert_string_equal(kept(&r, &all, now), "00111");
	assert_string_equal(reasons(&r, &all, 2, now), "minimum of 3 good points: number 3");
	/* Of the whole plan, and good ones. */
	all.p[4].state = RETENTION_DAMAGED;
	all.p[3].maker = "t";
	assert_string_equal(kept(&r, &all, now), "01111");
	/* The newest of a plan stays where its own set would not keep it. */
	r = RULES([RETENTION_HOURS] = 1);
	r.sets = &(struct retention_set){.maker = "t", .keep = {[RETENTION_LAST] = 1}};
	assert_string_equal(kept(&r, &all, now), "11111");
}

static void test_damage(void **state)
{
	struct retention r = RULES([RETENTION_DAILY] = 2);
	struct points all = {0};
	uint64_t now = at("2026-11-21 12:00");

	(void)state;
	add_all(&all,
		(const char *const[]){"2026-11-18 08:00", "2026-11-19 08:00", "2026-11-19 20:00",
				      "2026-11-20 08:00", "2026-11-20 20:00", NULL});
	assert_string_equal(kept(&r, &all, now), "00101");
	/* Who is damaged takes nobody's place, and waits to be mended. */
	all.p[4].state = RETENTION_DAMAGED;
	assert_string_equal(kept(&r, &all, now), "00111");
	assert_string_equal(reasons(&r, &all, 3, now),
			    "s: daily 1 of 2, the last of 2026-11-20; the newest good point");
	assert_string_equal(reasons(&r, &all, 4, now),
			    "s: daily 1 of 2, the last of 2026-11-20; the newest good point");
	all.p[3].state = RETENTION_DAMAGED;
	assert_string_equal(kept(&r, &all, now), "10101");
	assert_string_equal(reasons(&r, &all, 3, now), "s: daily 2: 2026-11-20 has a later point");
	for (size_t i = 0; i < all.n; i++)
		all.p[i].state = RETENTION_DAMAGED;
	assert_string_equal(kept(&r, &all, now), "00101");
}

static void test_failures(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 1);
	struct points all = {0};
	uint64_t now = at("2026-11-21 12:00");

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		add(&all, now - (20 - i) * DAY_US)->state = RETENTION_FAILED;
	add(&all, now - 30 * DAY_US);
	add(&all, now - DAY_US)->state = RETENTION_UNFINISHED;
	assert_string_equal(kept(&r, &all, now), "000111");
	assert_string_equal(reasons(&r, &all, 0, now), "failed 7 days ago or earlier");
	assert_string_equal(reasons(&r, &all, 3, now), "the newest failure, to see why");
	assert_string_equal(reasons(&r, &all, 5, now), "it is being made");
	r.failed_days = 18;
	assert_string_equal(kept(&r, &all, now), "001111");
	assert_string_equal(reasons(&r, &all, 2, now), "failed less than 18 days ago");
	r.failed_days = RETENTION_ALL;
	assert_string_equal(kept(&r, &all, now), "111111");
}

static void test_holds_locks_and_the_future(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 1);
	struct points all = {0};
	uint64_t now = at("2026-11-21 12:00");

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		add(&all, now - (10 - i) * DAY_US);
	all.p[0].held = true;
	all.p[1].locked_until_us = now + 1;
	all.p[2].locked_until_us = now;
	all.p[4].instant_us = now + 1;
	all.p[5].instant_us = now;
	assert_string_equal(kept(&r, &all, now), "110011");
	assert_string_equal(reasons(&r, &all, 0, now), "legal hold");
	assert_string_equal(reasons(&r, &all, 4, now), "its time is in the future: does not count");
	all.p[1].locked_until_us = at("2027-01-01 01:00");
	assert_string_equal(reasons(&r, &all, 1, now), "locked until 2027-01-01T00:00:00Z");
	/* A hundred points from the future push out none. */
	for (unsigned i = 0; i < 4; i++)
		all.p[i] = (struct retention_point){
			.id = "x", .maker = "s", .instant_us = now + (i + 1) * DAY_US};
	assert_string_equal(kept(&r, &all, now), "111111");
}

static void test_proven(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 1);
	struct points all = {0};
	uint64_t now = at("2026-11-21 12:00");

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		add(&all, now - (10 - i) * DAY_US)->verified = i < 2;
	assert_string_equal(kept(&r, &all, now), "0001");
	r.proven = true;
	assert_string_equal(kept(&r, &all, now), "0101");
	assert_string_equal(reasons(&r, &all, 1, now), "the newest point that was verified");
}

static void test_when_it_goes(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 2, [RETENTION_DAILY] = 3);
	struct retention_firing coming[10];
	struct retention_result res;
	struct points all = {0};
	uint64_t first = at("2026-11-16 08:00"), now;

	(void)state;
	/* Twice a day: 16th and 17th are there, and the morning of the 18th. */
	for (unsigned i = 0; i < 5; i++)
		add(&all, first + i * DAY_US / 2);
	now = all.p[4].instant_us + 1;
	for (unsigned i = 0; i < 10; i++)
		coming[9 - i] =
			(struct retention_firing){"s", all.p[4].instant_us + (i + 1) * DAY_US / 2};
	all.p[3].held = true;
	retention_decide(&r, all.p, all.n, coming, 10, now, &zone, &res);
	assert_false(res.verdicts[0].keep);
	assert_int_equal(res.verdicts[0].goes_at_us, now);
	/* The evening of the 16th: when the 19th begins. */
	assert_int_equal(res.verdicts[1].goes_at_us, at("2026-11-19 08:00"));
	assert_false(res.verdicts[2].keep);
	assert_int_equal(res.verdicts[3].goes_at_us, 0);
	/* The morning of the 18th: when it is neither the day's last nor among the last two. */
	assert_int_equal(res.verdicts[4].goes_at_us, at("2026-11-19 08:00"));
	assert_int_equal(res.n_kept, 3);
	retention_result_done(&res);
	/* Without a schedule nobody knows. */
	retention_decide(&r, all.p, all.n, NULL, 0, now, &zone, &res);
	assert_int_equal(res.verdicts[4].goes_at_us, 0);
	retention_result_done(&res);
}

static void test_timeline(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 2);
	struct retention_firing coming[4];
	struct retention_timeline t;
	struct points all = {0};
	uint64_t now = at("2026-11-21 12:00");

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add(&all, now - (3 - i) * HOUR_US);
	for (unsigned i = 0; i < 4; i++)
		coming[i] = (struct retention_firing){"s", now + i * HOUR_US};
	retention_simulate(&r, all.p, all.n, coming, 4, now, now + 2 * HOUR_US, &zone, &t);
	/* The firing at now has its point already; the last one is later than asked for. */
	assert_int_equal(t.n, 5);
	assert_int_equal(t.gone_now, 1);
	assert_int_equal(t.lives[0].gone_us, now);
	assert_int_equal(t.lives[1].gone_us, now + HOUR_US);
	assert_true(t.lives[3].future);
	assert_int_equal(t.lives[3].index, 1);
	assert_int_equal(t.lives[3].gone_us, 0);
	assert_int_equal(retention_timeline_alive(&t, now), 2);
	assert_int_equal(retention_timeline_alive(&t, now + 2 * HOUR_US), 2);
	retention_timeline_done(&t);
	retention_simulate(&r, NULL, 0, NULL, 0, now, now, NULL, &t);
	assert_int_equal(t.n, 0);
	retention_timeline_done(&t);
}

static void test_same_instant(void **state)
{
	struct retention r = RULES([RETENTION_LAST] = 1);
	struct points all = {0};
	uint64_t now = at("2026-11-21 12:00");

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add(&all, now);
	assert_string_equal(kept(&r, &all, now), "001");
	all.p[1].committed_us++;
	assert_string_equal(kept(&r, &all, now), "010");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_in_any_order),
		cmocka_unit_test(test_periods),
		cmocka_unit_test(test_hour_that_comes_twice),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_each_maker_by_itself),
		cmocka_unit_test(test_karbor),
		cmocka_unit_test(test_minimum),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_holds_locks_and_the_future),
		cmocka_unit_test(test_proven),
		cmocka_unit_test(test_when_it_goes),
		cmocka_unit_test(test_timeline),
		cmocka_unit_test(test_same_instant),
	};

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
