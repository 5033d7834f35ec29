/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time is cut into periods of the rule: years, months, weeks, days, hours; every INTERVAL-th
 * counts. In a period, the days that pass all BY parts, each with all times of day, are the set,
 * and BYSETPOS chooses from it. The period that holds a given time is computed, so nothing is
 * counted from the start of the rule. Months and days without firings are left out at once, so that
 * a rule that never fires costs some ten thousand looks at a day.
 */
#include "sched/rrule.h"

#include <string.h>

#include "base/mem.h"
#include "sched/civil.h"

#define HOUR_S 3600
#define DAYS_MAX 366 /* in a period */
#define TIMES_MAX 1440
/*
 * Days that passed, one after the other, on which nothing fired: hours or positions that never
 * come. Which hours come repeats after 24 times INTERVAL, and the rare days are not counted.
 */
#define LOOKS_MAX 20000

/* A period: days, and of HOURLY the hour. */
struct period {
	int64_t first_day;
	int days;
	int hour; /* -1: the whole days */
};

/* ---- which days pass ---- */

static bool has(const struct rrule_ordinals *o, int pos, int neg)
{
	return (o->pos >> pos | o->neg >> neg) & 1;
}

/* Number of the week that holds a day, and from the end; 53 may be the last or not. */
static void week_number(const struct rrule *r, int64_t day, int *ret_n, int *ret_from_end)
{
	/* A week belongs to the year of its fourth day. */
	int64_t fourth = day + 3 - (civil_weekday(day) - r->week_start + 7) % 7;
	int year = civil_of_days(fourth).year;
	int in_year = (int)(fourth - civil_days(year, 1, 1));
	int left = (int)(civil_days(year + 1, 1, 1) - 1 - fourth);

	*ret_n = in_year / 7 + 1;
	*ret_from_end = left / 7 + 1;
}

static bool weekday_passes(const struct rrule *r, const struct civil *c, int64_t day)
{
	int weekday = civil_weekday(day);
	int before, after;

	if (r->weekdays >> weekday & 1)
		return true;
	if (!r->has_ordinals)
		return false;
	/* The n-th of the month, but of the year in YEARLY without BYMONTH. */
	if (r->freq == RRULE_YEARLY && !(r->given & RRULE_BY_MONTH)) {
		before = (int)(day - civil_days(c->year, 1, 1));
		after = (int)(civil_days(c->year, 12, 31) - day);
	} else {
		before = c->day - 1;
		after = civil_month_length(c->year, c->month) - c->day;
	}
	return has(&r->nth[weekday], before / 7 + 1, after / 7 + 1);
}

static bool year_day_passes(const struct rrule *r, const struct civil *c, int64_t day)
{
	int n = (int)(day - civil_days(c->year, 1, 1)) + 1;
	int from_end = (int)(civil_days(c->year, 12, 31) - day) + 1;

	return (r->year_days.pos[n / 64] >> n % 64 |
		r->year_days.neg[from_end / 64] >> from_end % 64) &
	       1;
}

static bool day_passes(const struct rrule *r, const struct civil *c, int64_t day)
{
	int n, from_end;

	if (!(r->months >> c->month & 1))
		return false;
	if (r->month_days.pos | r->month_days.neg) {
		from_end = civil_month_length(c->year, c->month) - c->day + 1;
		if (!((r->month_days.pos >> c->day | r->month_days.neg >> from_end) & 1))
			return false;
	}
	if ((r->weekdays || r->has_ordinals) && !weekday_passes(r, c, day))
		return false;
	if (r->given & RRULE_BY_YEARDAY && !year_day_passes(r, c, day))
		return false;
	if (r->given & RRULE_BY_WEEKNO) {
		week_number(r, day, &n, &from_end);
		return has(&r->weeks, n, from_end);
	}
	return true;
}

/* ---- periods ---- */

/* The number of the period, counted from 1970 and not yet by INTERVAL, that holds a time. */
static int64_t period_number(const struct rrule *r, int64_t local_s)
{
	int64_t day = civil_div(local_s, CIVIL_DAY_S);
	struct civil c = civil_of_days(day);

	switch (r->freq) {
	case RRULE_HOURLY:
		return civil_div(local_s, HOUR_S);
	case RRULE_DAILY:
		return day;
	case RRULE_WEEKLY:
		/* 1970-01-01 was a Thursday (4); weeks start at week_start. */
		return civil_div(day + (4 - r->week_start + 7) % 7, 7);
	case RRULE_MONTHLY:
		return (c.year - 1970) * 12 + c.month - 1;
	default:
		return c.year - 1970;
	}
}

static struct period period_of(const struct rrule *r, int64_t n)
{
	int year, month;

	switch (r->freq) {
	case RRULE_HOURLY:
		return (struct period){civil_div(n, 24), 1, (int)(n - civil_div(n, 24) * 24)};
	case RRULE_DAILY:
		return (struct period){n, 1, -1};
	case RRULE_WEEKLY:
		return (struct period){n * 7 - (4 - r->week_start + 7) % 7, 7, -1};
	case RRULE_MONTHLY:
		year = (int)(1970 + civil_div(n, 12));
		month = (int)(n - civil_div(n, 12) * 12) + 1;
		return (struct period){civil_days(year, month, 1), civil_month_length(year, month),
				       -1};
	default:
		year = (int)(1970 + n);
		return (struct period){civil_days(year, 1, 1), civil_is_leap(year) ? 366 : 365, -1};
	}
}

/* The first number from `n` on that INTERVAL leaves. */
static int64_t align(const struct rrule *r, int64_t first, int64_t n)
{
	return n <= first ? first : first + DIV_UP(n - first, r->interval) * r->interval;
}

/*
 * The next period that is worth a look. Where a day or its month do not pass, those of HOURLY and
 * DAILY go on behind it.
 */
static int64_t period_after(const struct rrule *r, int64_t first, int64_t n)
{
	struct period p = period_of(r, n);
	struct civil c = civil_of_days(p.first_day);
	int64_t day = p.first_day + 1;

	if (r->freq > RRULE_DAILY || day_passes(r, &c, p.first_day))
		return n + r->interval;
	if (!(r->months >> c.month & 1))
		day = p.first_day + civil_month_length(c.year, c.month) - c.day + 1;
	return align(r, first, r->freq == RRULE_HOURLY ? day * 24 : day);
}

/* ---- what fires in a period ---- */

struct set {
	int days[DAYS_MAX]; /* from the period's first */
	int n_days;
	int times[TIMES_MAX]; /* seconds of the day */
	int n_times;
};

static void fill_times(const struct rrule *r, int hour, struct set *s)
{
	s->n_times = 0;
	for (int h = 0; h < 24; h++) {
		if (!(r->hours >> h & 1) || (hour >= 0 && h != hour))
			continue;
		for (int m = 0; m < 60; m++)
			if (r->minutes >> m & 1)
				s->times[s->n_times++] = h * HOUR_S + m * 60 + r->second;
	}
}

static void fill_days(const struct rrule *r, const struct period *p, struct set *s)
{
	struct civil c = civil_of_days(p->first_day);

	s->n_days = 0;
	for (int i = 0; i < p->days; i++) {
		if (day_passes(r, &c, p->first_day + i))
			s->days[s->n_days++] = i;
		/* Cheaper than to compute each date anew. */
		if (++c.day > civil_month_length(c.year, c.month)) {
			c.day = 1;
			c.month = c.month % 12 + 1;
			c.year += c.month == 1;
		}
	}
}

static int64_t member(const struct period *p, const struct set *s, int64_t i)
{
	return (p->first_day + s->days[i / s->n_times]) * CIVIL_DAY_S + s->times[i % s->n_times];
}

static int64_t next_member(const struct period *p, const struct set *s, int64_t after_s)
{
	int64_t low = 0, high = (int64_t)s->n_days * s->n_times;

	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (member(p, s, middle) <= after_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low < (int64_t)s->n_days * s->n_times ? member(p, s, low) : INT64_MAX;
}

static int64_t next_position(const struct rrule *r, const struct period *p, const struct set *s,
			     int64_t after_s)
{
	int64_t n = (int64_t)s->n_days * s->n_times, best = INT64_MAX;

	for (unsigned k = 0; k < r->n_positions; k++) {
		int64_t i = r->positions[k] > 0 ? r->positions[k] - 1 : n + r->positions[k];

		if (i >= 0 && i < n && member(p, s, i) > after_s)
			best = MIN(best, member(p, s, i));
	}
	return best;
}

/* INT64_MAX: none in this period. */
static int64_t next_in(const struct rrule *r, const struct period *p, struct set *s,
		       int64_t after_s)
{
	fill_days(r, p, s);
	if (s->n_days == 0)
		return INT64_MAX;
	if (p->hour >= 0)
		fill_times(r, p->hour, s);
	if (s->n_times == 0)
		return INT64_MAX;
	return r->n_positions > 0 ? next_position(r, p, s, after_s) : next_member(p, s, after_s);
}

bool rrule_next(const struct rrule *r, int64_t local_s, int64_t *ret_s)
{
	int64_t last_day = civil_days(CIVIL_LAST_YEAR + 1, 1, 1);
	int64_t after_s = MAX(local_s, r->start_s - 1);
	int64_t first = period_number(r, r->start_s);
	int64_t n = align(r, first, period_number(r, after_s));
	struct set s;
	int looks = 0;

	if (r->until == RRULE_UNTIL_LOCAL)
		last_day = MIN(last_day, civil_div(r->until_s, CIVIL_DAY_S) + 1);
	fill_times(r, -1, &s);
	while (looks < LOOKS_MAX) {
		struct period p = period_of(r, n);
		int64_t found;

		if (p.first_day >= last_day)
			return false;
		found = next_in(r, &p, &s, after_s);
		if (found != INT64_MAX) {
			if (found >= last_day * CIVIL_DAY_S ||
			    (r->until == RRULE_UNTIL_LOCAL && found > r->until_s))
				return false;
			*ret_s = found;
			return true;
		}
		looks += s.n_days > 0;
		n = period_after(r, first, n);
	}
	return false;
}
