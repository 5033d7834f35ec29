/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words_rule.c: recurrence rules in words. One rule, with or without exceptions, or one date.
 */
#include "sched/words_priv.h"

#include "sched/calendar_priv.h"
#include "sched/civil.h"

#define RARE (RRULE_BY_WEEKNO | RRULE_BY_YEARDAY | RRULE_BY_SETPOS | RRULE_BY_SECOND)
#define NTH_MAX 5

/* BYDAY with numbers: one day with one number has words. */
static bool take_ordinal(const struct rrule *r, struct said *w)
{
	unsigned n = 0;

	for (unsigned day = 0; day < 7; day++)
		for (int i = 1; i <= NTH_MAX; i++) {
			bool pos = r->nth[day].pos >> i & 1, neg = r->nth[day].neg >> i & 1;

			if (neg && i > 1)
				return false;
			n += pos + neg;
			if (!pos && !neg)
				continue;
			w->weekdays = (uint8_t)(1u << day);
			w->nth = pos ? i : -1;
		}
	/* Without months, those of a rule of years are counted in the year. */
	return n == 1 && !r->weekdays && (r->freq == RRULE_MONTHLY || (r->given & RRULE_BY_MONTH));
}

static bool take_days(const struct rrule *r, struct said *w)
{
	if (r->month_days.pos || r->month_days.neg) {
		if (r->month_days.neg & ~2u)
			return false;
		w->month_days = r->month_days.pos;
		w->last_day = r->month_days.neg;
	}
	if (r->has_ordinals)
		return take_ordinal(r, w);
	if (r->weekdays)
		w->weekdays = r->weekdays;
	return true;
}

/* Every second day, and the like, of nothing that is restricted beside. */
static bool take_interval(const struct rrule *r, struct said *w)
{
	static const char *const units[] = {
		[RRULE_DAILY] = "days", [RRULE_WEEKLY] = "weeks", [RRULE_MONTHLY] = "months"};
	bool of_week = w->weekdays != ALL_WEEKDAYS;
	bool of_month = w->month_days != ALL_MONTH_DAYS || w->last_day;

	if (r->interval == 1)
		return true;
	if (r->freq == RRULE_YEARLY || r->freq == RRULE_HOURLY || w->months != ALL_MONTHS)
		return false;
	if (r->freq == RRULE_DAILY && (of_week || of_month))
		return false;
	if (r->freq == RRULE_MONTHLY && of_week && w->nth == 0)
		return false;
	w->unit = units[r->freq];
	w->interval = r->interval;
	return true;
}

/* Every seventh hour from a start that is not told: only what is left of it. */
static bool say_hourly(const struct rrule *r, const struct said *w, struct buf *b)
{
	if (w->hours != ALL_HOURS || w->weekdays != ALL_WEEKDAYS || w->last_day ||
	    w->month_days != ALL_MONTH_DAYS || w->months != ALL_MONTHS ||
	    w->minutes & (w->minutes - 1))
		return false;
	buf_fmt(b, "every %d hours at minute %d", r->interval, __builtin_ctzll(w->minutes));
	return true;
}

static bool say_rule(const struct rrule *r, struct buf *b, bool *ret_local)
{
	struct said w = {.minutes = r->minutes,
			 .hours = r->hours,
			 .second = r->second,
			 .weekdays = ALL_WEEKDAYS,
			 .month_days = ALL_MONTH_DAYS,
			 .months = r->months};

	if (r->given & RARE || !take_days(r, &w))
		return false;
	if (r->freq == RRULE_HOURLY && r->interval > 1)
		return say_hourly(r, &w, b);
	return take_interval(r, &w) && words_say(&w, b, ret_local);
}

static bool say_date(const struct calendar *c, struct buf *b)
{
	char text[CIVIL_TEXT];

	if (c->also.n != 1)
		return false;
	buf_fmt(b, "once, %s", civil_text(zone_to_local(c->zone, c->also.s[0]), text));
	return true;
}

bool words_of_calendar(const struct calendar *c, struct buf *b, bool *ret_local)
{
	const struct rrule *r = c->rules;

	if (c->n_rules == 0)
		return say_date(c, b);
	if (c->n_rules > 1 || c->also.n > 0 || !say_rule(r, b, ret_local))
		return false;
	if (c->except.n > 0 || c->except_days.n > 0)
		buf_text(b, ", with exceptions");
	if (r->count > 0)
		buf_fmt(b, ", %d time%s", r->count, r->count > 1 ? "s" : "");
	else if (r->until != RRULE_FOR_EVER)
		words_until(b, c->zone,
			    r->until == RRULE_UNTIL_UTC ? r->until_s
							: zone_to_utc(c->zone, r->until_s));
	return true;
}
