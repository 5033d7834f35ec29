/* SPDX-License-Identifier: Apache-2.0 */
/*
 * civil.h: the calendar (proleptic Gregorian), without zones and without a clock.
 *
 * A local time is the seconds since 1970-01-01 00:00:00 of the same place, as if it had no time
 * zone: 86400 for each day, in winter and in summer. What instant it is, zone.h tells. Any thread.
 */
#ifndef HF_SCHED_CIVIL_H
#define HF_SCHED_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

/* Times that are typed lie in these years; firings are not looked for after them. */
#define CIVIL_FIRST_YEAR 1970
#define CIVIL_LAST_YEAR 2199
#define CIVIL_DAY_S 86400

struct civil {
	int year;
	int month; /* 1 … 12 */
	int day;   /* 1 … 31 */
	int hour, minute, second;
};

/* a / b for b > 0, rounded down also before 1970. */
static inline int64_t civil_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}
/* Days since 1970-01-01 of a date. The day may lie outside of its month: 0 is the day before. */
int64_t civil_days(int year, int month, int day);
/* The date of such a day; the time of it is 0. */
struct civil civil_of_days(int64_t days);
int64_t civil_seconds(const struct civil *c);
struct civil civil_of_seconds(int64_t local_s);
/* 0 Sunday … 6 Saturday */
int civil_weekday(int64_t days);
bool civil_is_leap(int year);
int civil_month_length(int year, int month);
/* A date and time that exist, within the years above. */
bool civil_valid(const struct civil *c);

#define CIVIL_TEXT 24
/* "2026-11-21 05:30:00" into `out` (CIVIL_TEXT bytes); returns `out`. */
char *civil_text(int64_t local_s, char *out);

#endif
