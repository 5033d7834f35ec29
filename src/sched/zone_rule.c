/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last line of a zoneinfo file says what comes after its table: two offsets and, where clocks
 * change, the two days of each year. The changes of all years are written out, so that there is one
 * way to look an offset up.
 */
#include "sched/zone_priv.h"

#include <string.h>

#include "sched/civil.h"

#define HOUR_S 3600

/* When clocks change: Jn (February 29th never counts), n (it does, from 0), Mm.w.d. */
struct rule_day {
	char kind; /* 'J', 'N', 'M' */
	int month, week, day;
	int time_s;
};

struct rule {
	int standard, summer; /* seconds east */
	bool changes;
	struct rule_day start, end;
};

static bool read_number(const char **p, int most, int *ret_v)
{
	int v = 0, digits = 0;

	for (; **p >= '0' && **p <= '9' && digits < 4; digits++)
		v = v * 10 + *(*p)++ - '0';
	if (digits == 0 || v > most)
		return false;
	*ret_v = v;
	return true;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **p, int *ret_s)
{
	int sign = **p == '-' ? -1 : 1, parts[3] = {0};

	if (**p == '-' || **p == '+')
		(*p)++;
	if (!read_number(p, 167, &parts[0]))
		return false;
	for (int i = 1; i < 3 && **p == ':'; i++) {
		(*p)++;
		if (!read_number(p, 59, &parts[i]))
			return false;
	}
	*ret_s = sign * (parts[0] * HOUR_S + parts[1] * 60 + parts[2]);
	return true;
}

/* "CET" or "<+01>" */
static bool skip_name(const char **p)
{
	size_t n;

	if (**p == '<') {
		n = strcspn(*p, ">");
		if ((*p)[n] != '>')
			return false;
		*p += n + 1;
		return true;
	}
	n = strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	*p += n;
	return n >= 3;
}

/* "m.w.d" */
static bool read_month_day(const char **p, struct rule_day *d)
{
	return read_number(p, 12, &d->month) && d->month >= 1 && *(*p)++ == '.' &&
	       read_number(p, 5, &d->week) && d->week >= 1 && *(*p)++ == '.' &&
	       read_number(p, 6, &d->day);
}

static bool read_day(const char **p, struct rule_day *ret_d)
{
	struct rule_day d = {.kind = 'N', .time_s = 2 * HOUR_S};

	if (*(*p)++ != ',')
		return false;
	if (**p == 'M') {
		d.kind = *(*p)++;
		if (!read_month_day(p, &d))
			return false;
	} else {
		if (**p == 'J')
			d.kind = *(*p)++;
		if (!read_number(p, 365, &d.day) || (d.kind == 'J' && d.day < 1))
			return false;
	}
	if (**p == '/') {
		(*p)++;
		if (!read_time(p, &d.time_s))
			return false;
	}
	*ret_d = d;
	return true;
}

static bool read_rule(const char *p, struct rule *ret_r)
{
	struct rule r = {0};
	int west;

	if (!skip_name(&p) || !read_time(&p, &west))
		return false;
	r.standard = -west;
	if (*p) {
		r.changes = true;
		r.summer = r.standard + HOUR_S;
		if (!skip_name(&p))
			return false;
		if (*p && *p != ',') {
			if (!read_time(&p, &west))
				return false;
			r.summer = -west;
		}
		if (!read_day(&p, &r.start) || !read_day(&p, &r.end) || *p)
			return false;
	}
	*ret_r = r;
	return true;
}

/* The local time of a change in a year. */
static int64_t change_in(const struct rule_day *d, int year)
{
	int64_t days, first;

	if (d->kind == 'M') {
		int length = civil_month_length(year, d->month);
		int day;

		first = civil_days(year, d->month, 1);
		day = (d->day - civil_weekday(first) + 7) % 7 + (d->week - 1) * 7;
		/* The fifth is the last, be it the fourth. */
		days = first + (day >= length ? day - 7 : day);
	} else {
		first = civil_days(year, 1, 1);
		days = first + d->day;
		if (d->kind == 'J')
			days -= !(civil_is_leap(year) && d->day >= 60);
	}
	return days * CIVIL_DAY_S + d->time_s;
}

int zone_add_rule(struct zone *z, const char *rule, struct err *e)
{
	int64_t last = z->n > 0 ? z->changes[z->n - 1].at : INT64_MIN;
	struct rule r;

	if (!read_rule(rule, &r))
		return err_set(e, ERR_CORRUPT,
			       "time zone %s: its file ends with a rule that cannot be "
			       "read; reinstall tzdata",
			       z->name);
	if (z->n == 0)
		z->first = r.standard;
	if (!r.changes)
		return 0;
	for (int year = CIVIL_FIRST_YEAR; year <= CIVIL_LAST_YEAR; year++) {
		int64_t start = change_in(&r.start, year) - r.standard;
		int64_t end = change_in(&r.end, year) - r.summer;

		/* In the south, summer ends before it starts. */
		if (end < start && end > last)
			zone_add(z, end, r.standard);
		if (start > last)
			zone_add(z, start, r.summer);
		if (end >= start && end > last)
			zone_add(z, end, r.standard);
	}
	return 0;
}
