/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schedule comes down to times of a day and days. Times are said one by one ("at 02:30 and
 * 14:30"), or as what repeats ("every 15 minutes from 08:00 to 17:45"); days likewise. Whatever
 * would take a list that nobody reads has no words.
 */
#include "sched/words.h"

#include <string.h>

#include "base/human.h"
#include "sched/calendar_priv.h"
#include "sched/civil.h"
#include "sched/schedule_priv.h"
#include "sched/words_priv.h"

#define MOST 4 /* that are listed one by one */

/* ---- lists ---- */

typedef void name_fn(struct buf *b, unsigned v);

static void weekday_name(struct buf *b, unsigned v)
{
	static const char *const names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
					    "Friday", "Saturday", "Sunday"};

	buf_text(b, names[v]);
}

static void month_name(struct buf *b, unsigned v)
{
	static const char *const names[] = {"January",	 "February", "March",	 "April",
					    "May",	 "June",     "July",	 "August",
					    "September", "October",  "November", "December"};

	buf_text(b, names[v - 1]);
}

static void ordinal(struct buf *b, unsigned v)
{
	const char *ends[] = {"th", "st", "nd", "rd"};

	buf_fmt(b, "%u%s", v, v % 10 < 4 && v / 10 != 1 ? ends[v % 10] : ends[0]);
}

static void number(struct buf *b, unsigned v)
{
	buf_fmt(b, "%u", v);
}

static unsigned lowest(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}

static unsigned highest(uint64_t bits)
{
	return 63 - (unsigned)__builtin_clzll(bits);
}

static unsigned count(uint64_t bits)
{
	return (unsigned)__builtin_popcountll(bits);
}

/* All from the lowest to the highest, which are at least three. */
static bool is_row(uint64_t bits)
{
	return count(bits) > 2 && count(bits) == highest(bits) - lowest(bits) + 1;
}

static bool can_list(uint64_t bits)
{
	return bits && (count(bits) <= MOST || is_row(bits));
}

/* "a, b and c", or "a to c". */
static void add_list(struct buf *b, uint64_t bits, name_fn *name)
{
	if (is_row(bits)) {
		name(b, lowest(bits));
		buf_text(b, " to ");
		name(b, highest(bits));
		return;
	}
	while (bits) {
		name(b, lowest(bits));
		bits &= bits - 1;
		if (bits)
			buf_text(b, bits & (bits - 1) ? ", " : " and ");
	}
}

/* ---- times of a day ---- */

static void add_clock(struct buf *b, unsigned hour, unsigned minute, int second)
{
	buf_fmt(b, "%02u:%02u", hour, minute);
	if (second > 0)
		buf_fmt(b, ":%02d", second);
}

static void say_times(const struct said *w, struct buf *b)
{
	unsigned left = count(w->hours) * count(w->minutes);

	buf_text(b, "at ");
	for (uint64_t hours = w->hours; hours; hours &= hours - 1)
		for (uint64_t minutes = w->minutes; minutes; minutes &= minutes - 1) {
			add_clock(b, lowest(hours), lowest(minutes), w->second);
			if (--left > 0)
				buf_text(b, left > 1 ? ", " : " and ");
		}
}

/* The n of 0, n, 2n … to the end of `all`, which n divides; 0: they are not such. */
static unsigned step_of(uint64_t bits, unsigned all)
{
	unsigned step;
	uint64_t want = 0;

	if (!(bits & 1) || count(bits) < 2)
		return 0;
	step = lowest(bits & ~UINT64_C(1));
	if (all % step != 0)
		return 0;
	for (unsigned i = 0; i < all; i += step)
		want |= UINT64_C(1) << i;
	return want == bits ? step : 0;
}

static void add_every(struct buf *b, unsigned n, const char *unit)
{
	if (n == 1)
		buf_fmt(b, "every %s", unit);
	else
		buf_fmt(b, "every %u %ss", n, unit);
}

/* Once in some hours. */
static bool say_hours(const struct said *w, struct buf *b)
{
	unsigned minute = lowest(w->minutes), step = step_of(w->hours, 24);

	if (step > 0) {
		add_every(b, step, "hour");
		if (minute > 0)
			buf_fmt(b, " at minute %u", minute);
		return true;
	}
	if (!is_row(w->hours))
		return false;
	buf_text(b, "every hour from ");
	add_clock(b, lowest(w->hours), minute, 0);
	buf_text(b, " to ");
	add_clock(b, highest(w->hours), minute, 0);
	return true;
}

/* Several times in some hours. */
static bool say_minutes(const struct said *w, struct buf *b)
{
	unsigned step = step_of(w->minutes, 60);

	if (w->hours == ALL_HOURS && step == 0 && can_list(w->minutes)) {
		buf_text(b, "every hour at minutes ");
		add_list(b, w->minutes, number);
		return true;
	}
	if (step == 0 || !(is_row(w->hours) || count(w->hours) == 1))
		return false;
	add_every(b, step, "minute");
	if (w->hours == ALL_HOURS)
		return true;
	buf_text(b, " from ");
	add_clock(b, lowest(w->hours), 0, 0);
	buf_text(b, " to ");
	add_clock(b, highest(w->hours), 60 - step, 0);
	return true;
}

/* ---- days ---- */

static bool all_days(const struct said *w)
{
	return !w->unit && w->weekdays == ALL_WEEKDAYS && w->month_days == ALL_MONTH_DAYS &&
	       w->months == ALL_MONTHS;
}

/* Monday first. */
static uint64_t week(const struct said *w)
{
	return (w->weekdays >> 1 | w->weekdays << 6) & ALL_WEEKDAYS;
}

static void add_months(const struct said *w, struct buf *b)
{
	if (w->months == ALL_MONTHS)
		buf_text(b, w->unit ? "the month" : "every month");
	else
		add_list(b, w->months, month_name);
}

static void say_month_days(const struct said *w, struct buf *b)
{
	buf_text(b, "on the ");
	if (w->nth > 0)
		ordinal(b, (unsigned)w->nth);
	else if (w->nth < 0)
		buf_text(b, "last");
	if (w->nth != 0) {
		buf_text(b, " ");
		add_list(b, week(w), weekday_name);
	} else {
		add_list(b, w->month_days, ordinal);
		if (w->last_day)
			buf_text(b, w->month_days ? " and the last day" : "last day");
	}
	buf_text(b, " of ");
	add_months(w, b);
}

static void say_weekdays(const struct said *w, struct buf *b, const char *every)
{
	buf_text(b, every);
	add_list(b, week(w), weekday_name);
	if (w->months == ALL_MONTHS || w->either)
		return;
	buf_text(b, " in ");
	add_months(w, b);
}

static bool days_have_words(const struct said *w)
{
	bool of_month = w->month_days != ALL_MONTH_DAYS || w->last_day;
	bool of_week = w->weekdays != ALL_WEEKDAYS;

	if (w->months != ALL_MONTHS && !can_list(w->months))
		return false;
	if (w->nth != 0)
		return of_week && count(w->weekdays) == 1 && !of_month;
	if (of_month && w->month_days && !can_list(w->month_days))
		return false;
	return !of_month || !of_week || w->either;
}

/* Those that no day of the month or the week restricts. */
static void say_any_day(const struct said *w, struct buf *b)
{
	if (w->unit)
		return;
	buf_text(b, "every day");
	if (w->months == ALL_MONTHS)
		return;
	buf_text(b, " in ");
	add_months(w, b);
}

/* `every` stands before days of the week: not where something else is what repeats. */
static void say_days(const struct said *w, struct buf *b, const char *every)
{
	bool of_month = w->month_days != ALL_MONTH_DAYS || w->last_day || w->nth != 0;
	bool of_week = w->weekdays != ALL_WEEKDAYS && w->nth == 0;

	if (w->unit)
		buf_fmt(b, "every %d %s%s", w->interval, w->unit, of_month || of_week ? " " : "");
	if (of_month)
		say_month_days(w, b);
	if (of_month && of_week)
		buf_text(b, " and every ");
	if (of_week)
		say_weekdays(w, b, w->unit ? "on " : of_month ? "" : every);
	if (!of_month && !of_week)
		say_any_day(w, b);
}

bool words_say(const struct said *w, struct buf *b, bool *ret_local)
{
	AUTO_BUF times = BUF_INIT;
	bool hourly = w->hours == ALL_HOURS;

	if (!w->hours || !w->minutes || !days_have_words(w))
		return false;
	if (count(w->hours) * count(w->minutes) <= MOST) {
		say_days(w, b, "every ");
		buf_text(b, " ");
		say_times(w, b);
		*ret_local = true;
		return true;
	}
	if (count(w->minutes) == 1 ? !say_hours(w, &times) : !say_minutes(w, &times))
		return false;
	buf_text(b, buf_str(&times));
	*ret_local = !hourly || !all_days(w);
	if (all_days(w) && (hourly || step_of(w->hours, 24) > 0))
		return true;
	buf_text(b, ", ");
	say_days(w, b, "");
	return true;
}

/* ---- the whole ---- */

static bool words_of_cron(const struct cron *c, struct buf *b, bool *ret_local)
{
	const struct said w = {.minutes = c->minutes,
			       .hours = c->hours,
			       .weekdays = c->weekdays,
			       .month_days = c->days,
			       .either = c->either_day,
			       .months = c->months};

	return words_say(&w, b, ret_local);
}

void words_until(struct buf *b, const struct zone *zone, int64_t utc_s)
{
	char text[CIVIL_TEXT];

	buf_fmt(b, ", until %s", civil_text(zone_to_local(zone, utc_s), text));
}

char *schedule_words(const struct schedule *s, const char *pattern)
{
	AUTO_BUF b = BUF_INIT;
	const struct zone *zone = s->calendar ? s->calendar->zone : s->zone;
	bool local = true;
	char late[HUMAN_TEXT];

	if (s->calendar ? !words_of_calendar(s->calendar, &b, &local)
			: !words_of_cron(&s->cron, &b, &local))
		buf_text(&b, pattern);
	if (s->end_s != INT64_MAX) {
		words_until(&b, zone, s->end_s);
		local = true;
	}
	if (s->jitter_s > 0) {
		human_duration((uint64_t)s->jitter_s * SECOND_US, late);
		buf_fmt(&b, ", up to %s later", late);
	}
	if (local)
		buf_fmt(&b, " (%s)", zone_name(zone));
	return xstrdup(buf_str(&b));
}
