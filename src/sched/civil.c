/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Years are counted from March, so that the day that comes and goes is the last of a year, and in
 * eras of 400 years, after which the calendar repeats.
 */
#include "sched/civil.h"

#include <stdio.h>

#define ERA_DAYS 146097
#define ERA_YEARS 400
/* Days from 0000-03-01 to 1970-01-01. */
#define EPOCH_DAYS 719468

int64_t civil_days(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = civil_div(y, ERA_YEARS);
	int64_t in_era = y - era * ERA_YEARS;
	/* From March: 0, 31, 61, 92 … */
	int64_t in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;

	return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - EPOCH_DAYS;
}

struct civil civil_of_days(int64_t days)
{
	int64_t from = days + EPOCH_DAYS;
	int64_t era = civil_div(from, ERA_DAYS);
	int64_t in_era = from - era * ERA_DAYS;
	/* Without the leap days of 4, 100 and 400 years. */
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (ERA_DAYS - 1)) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * in_year + 2) / 153;
	struct civil c = {0};

	c.day = (int)(in_year - (153 * month + 2) / 5 + 1);
	c.month = (int)(month < 10 ? month + 3 : month - 9);
	c.year = (int)(year + era * ERA_YEARS + (c.month <= 2));
	return c;
}

int64_t civil_seconds(const struct civil *c)
{
	return civil_days(c->year, c->month, c->day) * CIVIL_DAY_S + c->hour * 3600 +
	       c->minute * 60 + c->second;
}

struct civil civil_of_seconds(int64_t local_s)
{
	int64_t days = civil_div(local_s, CIVIL_DAY_S);
	int s = (int)(local_s - days * CIVIL_DAY_S);
	struct civil c = civil_of_days(days);

	c.hour = s / 3600;
	c.minute = s / 60 % 60;
	c.second = s % 60;
	return c;
}

int civil_weekday(int64_t days)
{
	/* 1970-01-01 was a Thursday. */
	int w = (int)((days + 4) % 7);

	return w < 0 ? w + 7 : w;
}

bool civil_is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int civil_month_length(int year, int month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && civil_is_leap(year) ? 29 : lengths[month - 1];
}

bool civil_valid(const struct civil *c)
{
	return c->year >= CIVIL_FIRST_YEAR && c->year <= CIVIL_LAST_YEAR && c->month >= 1 &&
	       c->month <= 12 && c->day >= 1 && c->day <= civil_month_length(c->year, c->month) &&
	       c->hour >= 0 && c->hour < 24 && c->minute >= 0 && c->minute < 60 && c->second >= 0 &&
	       c->second < 60;
}

char *civil_text(int64_t local_s, char *out)
{
	struct civil c = civil_of_seconds(local_s);

	snprintf(out, CIVIL_TEXT, "%04d-%02d-%02d %02d:%02d:%02d", c.year, c.month, c.day, c.hour,
		 c.minute, c.second);
	return out;
}
