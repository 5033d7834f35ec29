/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rrule_parse.c: the text of a rule. A table says what each part may hold; what the parts mean
 * together is checked when all are read.
 */
#include "sched/rrule.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sched/calendar_time.h"
#include "sched/civil.h"

#define SHOWN 40 /* of what was typed, in a message */

static const char *const day_names[] = {"SU", "MO", "TU", "WE", "TH", "FR", "SA"};

/* One part while it is read: NAME=value,value. */
struct part {
	const char *name;
	const char *value; /* the whole value */
	const char *p;
};

static int bad(const struct part *p, struct err *e, enum err_kind kind, const char *why)
{
	return err_set(e, kind, "RRULE: %s=%.*s: %s", p->name, SHOWN, p->value, why);
}

/* [+-]digits, not 0 unless `low` is 0; a sign only where `low` is negative. */
static int read_number(struct part *p, int low, int high, int *ret_v, struct err *e)
{
	bool minus = *p->p == '-';
	int v = 0, digits = 0;

	if (low < 0 && (*p->p == '-' || *p->p == '+'))
		p->p++;
	for (; *p->p >= '0' && *p->p <= '9' && digits < 6; digits++)
		v = v * 10 + *p->p++ - '0';
	if (digits == 0)
		return bad(p, e, ERR_INVALID, "a number is missing");
	if (minus)
		v = -v;
	if (v < low || v > high || (v == 0 && low != 0)) {
		AUTO_FREE char *why =
			low < 0 ? xasprintf("numbers are 1 to %d and -%d to -1 here", high, high)
				: xasprintf("numbers are %d to %d here", low, high);

		return bad(p, e, ERR_INVALID, why);
	}
	*ret_v = v;
	return 0;
}

/* After a member of a list: 1 there is another, 0 it ends, -1. */
static int more(struct part *p, struct err *e)
{
	if (*p->p == ',') {
		p->p++;
		return 1;
	}
	return *p->p ? bad(p, e, ERR_INVALID, "this is not a list with commas") : 0;
}

static int one_number(struct part *p, int low, int high, int *ret_v, struct err *e)
{
	if (read_number(p, low, high, ret_v, e) < 0)
		return -1;
	return *p->p ? bad(p, e, ERR_INVALID, "one number is expected") : 0;
}

static int read_freq(struct part *p, struct rrule *r, struct err *e)
{
	static const char *const names[] = {"HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(p->value, names[i]) == 0) {
			r->freq = (enum rrule_freq)i;
			return 0;
		}
	if (strcasecmp(p->value, "MINUTELY") == 0 || strcasecmp(p->value, "SECONDLY") == 0)
		return bad(
			p, e, ERR_UNSUPPORTED,
			"rules are HOURLY or rarer: use the format crontab, like \"*/15 * * * *\"");
	return bad(p, e, ERR_INVALID, "give HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY");
}

static int read_interval(struct part *p, struct rrule *r, struct err *e)
{
	return one_number(p, 1, RRULE_INTERVAL_MAX, &r->interval, e);
}

static int read_count(struct part *p, struct rrule *r, struct err *e)
{
	return one_number(p, 1, RRULE_COUNT_MAX, &r->count, e);
}

static int read_until(struct part *p, struct rrule *r, struct err *e)
{
	struct calendar_time t;

	if (!calendar_time_parse(p->value, &t))
		return bad(
			p, e, ERR_INVALID,
			"give a date or time like 20261231, 20261231T230000 or 20261231T230000Z");
	r->until = t.utc ? RRULE_UNTIL_UTC : RRULE_UNTIL_LOCAL;
	/* A date means all of that day. */
	r->until_s = t.date_only ? t.local_s + CIVIL_DAY_S - 1 : t.local_s;
	return 0;
}

static int read_weekday(struct part *p, int *ret_day, struct err *e)
{
	for (int i = 0; i < 7; i++)
		if (strncasecmp(p->p, day_names[i], 2) == 0) {
			p->p += 2;
			*ret_day = i;
			return 0;
		}
	return bad(p, e, ERR_INVALID, "days are SU, MO, TU, WE, TH, FR, SA");
}

static int read_week_start(struct part *p, struct rrule *r, struct err *e)
{
	if (read_weekday(p, &r->week_start, e) < 0)
		return -1;
	return *p->p ? bad(p, e, ERR_INVALID, "one day is expected") : 0;
}

static int read_by_day(struct part *p, struct rrule *r, struct err *e)
{
	int n, day = 0, again = 1;

	for (; again > 0; again = more(p, e)) {
		n = 0;
		if (*p->p == '+' || *p->p == '-' || (*p->p >= '0' && *p->p <= '9'))
			if (read_number(p, -53, 53, &n, e) < 0)
				return -1;
		if (read_weekday(p, &day, e) < 0)
			return -1;
		if (n == 0)
			r->weekdays |= (uint8_t)(1u << day);
		else if (n > 0)
			r->nth[day].pos |= UINT64_C(1) << n;
		else
			r->nth[day].neg |= UINT64_C(1) << -n;
		r->has_ordinals |= n != 0;
	}
	return again;
}

/* A list of numbers from 1 (or 0) to `high`, with their negatives where `neg` is not NULL. */
static int read_set(struct part *p, int low, int high, uint64_t *pos, uint64_t *neg, struct err *e)
{
	int v = 0, again = 1;

	for (; again > 0; again = more(p, e)) {
		if (read_number(p, neg ? -high : low, high, &v, e) < 0)
			return -1;
		if (v >= 0)
			pos[v / 64] |= UINT64_C(1) << v % 64;
		else
			neg[-v / 64] |= UINT64_C(1) << -v % 64;
	}
	return again;
}

static int read_by_month(struct part *p, struct rrule *r, struct err *e)
{
	uint64_t set = 0;
	int status = read_set(p, 1, 12, &set, NULL, e);

	r->months = (uint16_t)set;
	return status;
}

static int read_by_month_day(struct part *p, struct rrule *r, struct err *e)
{
	uint64_t pos = 0, neg = 0;
	int status = read_set(p, 1, 31, &pos, &neg, e);

	r->month_days = (struct rrule_month_days){(uint32_t)pos, (uint32_t)neg};
	return status;
}

static int read_by_year_day(struct part *p, struct rrule *r, struct err *e)
{
	return read_set(p, 1, 366, r->year_days.pos, r->year_days.neg, e);
}

static int read_by_week(struct part *p, struct rrule *r, struct err *e)
{
	return read_set(p, 1, 53, &r->weeks.pos, &r->weeks.neg, e);
}

static int read_by_hour(struct part *p, struct rrule *r, struct err *e)
{
	uint64_t set = 0;
	int status = read_set(p, 0, 23, &set, NULL, e);

	r->hours = (uint32_t)set;
	return status;
}

static int read_by_minute(struct part *p, struct rrule *r, struct err *e)
{
	return read_set(p, 0, 59, &r->minutes, NULL, e);
}

static int read_by_second(struct part *p, struct rrule *r, struct err *e)
{
	return one_number(p, 0, 59, &r->second, e);
}

static int read_by_position(struct part *p, struct rrule *r, struct err *e)
{
	int again = 1;

	for (; again > 0; again = more(p, e)) {
		if (r->n_positions == RRULE_POSITIONS)
			return bad(p, e, ERR_LIMIT, "more than 32 positions");
		if (read_number(p, -366, 366, &r->positions[r->n_positions], e) < 0)
			return -1;
		r->n_positions++;
	}
	return again;
}

#define BASIC(n) (1u << (16 + (n)))

static const struct {
	const char *name;
	int (*read)(struct part *p, struct rrule *r, struct err *e);
	unsigned bit;
} parts[] = {
	{"FREQ", read_freq, BASIC(0)},
	{"INTERVAL", read_interval, BASIC(1)},
	{"COUNT", read_count, BASIC(2)},
	{"UNTIL", read_until, BASIC(3)},
	{"WKST", read_week_start, BASIC(4)},
	{"BYMONTH", read_by_month, RRULE_BY_MONTH},
	{"BYWEEKNO", read_by_week, RRULE_BY_WEEKNO},
	{"BYYEARDAY", read_by_year_day, RRULE_BY_YEARDAY},
	{"BYMONTHDAY", read_by_month_day, RRULE_BY_MONTHDAY},
	{"BYDAY", read_by_day, RRULE_BY_DAY},
	{"BYHOUR", read_by_hour, RRULE_BY_HOUR},
	{"BYMINUTE", read_by_minute, RRULE_BY_MINUTE},
	{"BYSECOND", read_by_second, RRULE_BY_SECOND},
	{"BYSETPOS", read_by_position, RRULE_BY_SETPOS},
};

static int read_part(char *text, struct rrule *r, struct err *e)
{
	char *equals = strchr(text, '=');
	struct part p = {.name = text};

	if (!equals)
		return err_set(e, ERR_INVALID, "RRULE: \"%.*s\" is not NAME=value", SHOWN, text);
	*equals = 0;
	p.value = p.p = equals + 1;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (strcasecmp(text, parts[i].name) != 0)
			continue;
		p.name = parts[i].name;
		if (r->given & parts[i].bit)
			return bad(&p, e, ERR_INVALID, "it is given twice");
		r->given |= parts[i].bit;
		return parts[i].read(&p, r, e);
	}
	return err_set(e, ERR_INVALID, "RRULE: there is no part \"%.*s\" here", SHOWN, text);
}

/* What the RFC does not allow together; `with` are all of its bits. */
static int check(const struct rrule *r, struct err *e)
{
	const struct {
		unsigned with;
		bool wrong;
		const char *why;
	} rows[] = {
		{0, !(r->given & BASIC(0)), "FREQ is missing"},
		{BASIC(2) | BASIC(3), true, "COUNT and UNTIL exclude each other"},
		{RRULE_BY_WEEKNO, r->freq != RRULE_YEARLY, "BYWEEKNO needs FREQ=YEARLY"},
		{RRULE_BY_YEARDAY, r->freq != RRULE_YEARLY && r->freq != RRULE_HOURLY,
		 "BYYEARDAY needs FREQ=YEARLY or HOURLY"},
		{RRULE_BY_MONTHDAY, r->freq == RRULE_WEEKLY,
		 "BYMONTHDAY cannot be with FREQ=WEEKLY"},
		{RRULE_BY_DAY, r->has_ordinals && r->freq < RRULE_MONTHLY,
		 "BYDAY with numbers needs FREQ=MONTHLY or YEARLY"},
		{RRULE_BY_DAY | RRULE_BY_WEEKNO, r->has_ordinals,
		 "BYDAY with numbers cannot be with BYWEEKNO"},
		{RRULE_BY_SETPOS, !(r->given & (RRULE_BY_SETPOS - 1)),
		 "BYSETPOS needs another BY part to choose from"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].wrong && (r->given & rows[i].with) == rows[i].with)
			return err_set(e, ERR_INVALID, "RRULE: %s", rows[i].why);
	return 0;
}

/* What the text does not say comes from the start. */
static void complete(struct rrule *r)
{
	struct civil start = civil_of_seconds(r->start_s);
	unsigned days = RRULE_BY_WEEKNO | RRULE_BY_YEARDAY | RRULE_BY_MONTHDAY | RRULE_BY_DAY;
	int weekday = civil_weekday(civil_days(start.year, start.month, start.day));

	if (r->freq == RRULE_YEARLY && !(r->given & (days | RRULE_BY_MONTH)))
		r->months = (uint16_t)(1u << start.month);
	else if (!(r->given & RRULE_BY_MONTH))
		r->months = 0x1ffe;
	if (r->freq >= RRULE_MONTHLY && !(r->given & days))
		r->month_days.pos = 1u << start.day;
	else if ((r->freq == RRULE_WEEKLY && !(r->given & days)) ||
		 (r->given & days) == RRULE_BY_WEEKNO)
		r->weekdays = (uint8_t)(1u << weekday);
	if (!(r->given & RRULE_BY_HOUR))
		r->hours = r->freq == RRULE_HOURLY ? 0xffffff : 1u << start.hour;
	if (!(r->given & RRULE_BY_MINUTE))
		r->minutes = UINT64_C(1) << start.minute;
	if (!(r->given & RRULE_BY_SECOND))
		r->second = start.second;
}

/* COUNT becomes UNTIL: the last of so many. */
static void count_out(struct rrule *r)
{
	int64_t last = r->start_s - 1;

	for (int i = 0; i < r->count; i++)
		if (!rrule_next(r, last, &last))
			return;
	if (r->count > 0) {
		r->until = RRULE_UNTIL_LOCAL;
		r->until_s = last;
	}
}

int rrule_parse(const char *text, int64_t start_s, struct rrule *ret_r, struct err *e)
{
	struct rrule r = {.interval = 1, .week_start = 1, .start_s = start_s};
	AUTO_FREE char *copy = NULL;
	char *save, *word;

	if (strnlen(text, RRULE_TEXT_MAX + 1) > RRULE_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "RRULE: more than %d characters", RRULE_TEXT_MAX);
	copy = xstrdup(text);
	for (word = strtok_r(copy, ";", &save); word; word = strtok_r(NULL, ";", &save))
		if (read_part(word, &r, e) < 0)
			return -1;
	if (check(&r, e) < 0)
		return -1;
	complete(&r);
	count_out(&r);
	*ret_r = r;
	return 0;
}
