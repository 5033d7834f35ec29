/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A field is a set of bits. The next firing is found day by day, and months that do not match are
 * left out, so that even what never fires is known after some thousand steps.
 */
#include "sched/cron.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sched/civil.h"

#define FIELDS 5
#define SEARCH_YEARS 100
#define SHOWN 40 /* of what was typed, in a message */

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
					  "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field {
	const char *name;
	unsigned low, high;
	const char *const *names; /* of low, low + 1 …; or NULL */
	size_t n_names;
};

static const struct field fields[FIELDS] = {
	{"minute", 0, 59, NULL, 0},
	{"hour", 0, 23, NULL, 0},
	{"day of the month", 1, 31, NULL, 0},
	{"month", 1, 12, month_names, 12},
	{"day of the week", 0, 7, day_names, 7},
};

/* One field while it is read. */
struct reader {
	const struct field *f;
	const char *word; /* the whole field */
	const char *p;
};

static int bad(const struct reader *r, struct err *e, const char *why)
{
	return err_set(e, ERR_INVALID, "crontab: %s \"%.*s\": %s (%u to %u)", r->f->name, SHOWN,
		       r->word, why, r->f->low, r->f->high);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Digits; at most 3, which is more than any field needs. */
static int read_number(struct reader *r, unsigned *ret_v, struct err *e)
{
	const char *start = r->p;
	unsigned v = 0;

	while (is_digit(*r->p) && r->p - start < 4)
		v = v * 10 + (unsigned)(*r->p++ - '0');
	if (r->p == start)
		return bad(r, e, "a number is missing or has a sign that is not known here");
	if (r->p - start > 3)
		return bad(r, e, "the number is too large");
	*ret_v = v;
	return 0;
}

static int read_name(struct reader *r, unsigned *ret_v, struct err *e)
{
	size_t n = 0;

	while (is_letter(r->p[n]))
		n++;
	for (size_t i = 0; i < r->f->n_names; i++)
		if (n == 3 && strncasecmp(r->p, r->f->names[i], 3) == 0) {
			r->p += n;
			*ret_v = (unsigned)i + r->f->low;
			return 0;
		}
	return bad(r, e,
		   r->f->names ? "no such name: use the first three letters in English"
			       : "this field takes numbers only");
}

static int read_value(struct reader *r, unsigned *ret_v, struct err *e)
{
	unsigned v = 0;

	if (is_letter(*r->p) ? read_name(r, &v, e) < 0 : read_number(r, &v, e) < 0)
		return -1;
	if (v < r->f->low)
		return bad(r, e, "a value is less than the smallest");
	if (v > r->f->high)
		return bad(r, e, "a value is more than the largest");
	*ret_v = v;
	return 0;
}

/* The part before a step: "*", "3", "3-5". *ret_open: a single value, which a step leaves open. */
static int read_range(struct reader *r, unsigned *ret_from, unsigned *ret_to, bool *ret_open,
		      struct err *e)
{
	unsigned from, to;

	*ret_open = false;
	if (*r->p == '*') {
		r->p++;
		*ret_from = r->f->low;
		/* 7 is Sunday again: */
		*ret_to = r->f == &fields[WEEKDAY] ? 6 : r->f->high;
		return 0;
	}
	if (read_value(r, &from, e) < 0)
		return -1;
	to = from;
	*ret_open = *r->p != '-';
	if (*r->p == '-') {
		r->p++;
		if (read_value(r, &to, e) < 0)
			return -1;
		/* fri-sun, 5-0: the Sunday at the end of the week. */
		if (r->f == &fields[WEEKDAY] && to == 0 && from > 0)
			to = 7;
		if (to < from)
			return bad(r, e, "a range ends before it starts");
	}
	*ret_from = from;
	*ret_to = to;
	return 0;
}

static int read_part(struct reader *r, uint64_t *set, struct err *e)
{
	unsigned from = 0, to = 0, step = 1;
	bool open;

	if (read_range(r, &from, &to, &open, e) < 0)
		return -1;
	if (*r->p == '/') {
		r->p++;
		if (read_number(r, &step, e) < 0)
			return -1;
		if (step == 0)
			return bad(r, e, "a step of 0");
		/* A step of 90 minutes would silently be one of an hour. */
		if (step > r->f->high)
			return bad(r, e,
				   "a step is more than the largest value, and steps start "
				   "anew with each field");
		if (open)
			to = r->f == &fields[WEEKDAY] ? MAX(6, from) : r->f->high;
	}
	for (unsigned v = from; v <= to; v += step)
		*set |= UINT64_C(1) << v;
	return 0;
}

static int read_field(const struct field *f, const char *word, uint64_t *ret_set, struct err *e)
{
	struct reader r = {f, word, word};
	uint64_t set = 0;

	for (;;) {
		if (read_part(&r, &set, e) < 0)
			return -1;
		if (*r.p != ',')
			break;
		r.p++;
	}
	if (*r.p)
		return bad(&r, e, "this is not a list of values, ranges and steps");
	*ret_set = set;
	return 0;
}

static const char *expand_nickname(const char *text)
{
	static const char *const nicknames[][2] = {
		{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
		{"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
	};

	for (size_t i = 0; i < ARRAY_LEN(nicknames); i++)
		if (strcasecmp(text, nicknames[i][0]) == 0)
			return nicknames[i][1];
	return text;
}

/* Cut a copy of the text into exactly five words. */
static int split(char *copy, char *words[FIELDS], struct err *e)
{
	static const char hint[] = "give minute, hour, day of the month, month, day of the week, "
				   "like \"30 2 * * mon-fri\", or @daily";
	char *save, *word;
	size_t n = 0;

	for (word = strtok_r(copy, " \t\r\n", &save); word; word = strtok_r(NULL, " \t\r\n", &save))
		if (n++ < FIELDS)
			words[n - 1] = word;
	if (n > 0 && words[0][0] == '@')
		return err_set(e, ERR_INVALID, "crontab: there is no \"%.*s\": %s", SHOWN, words[0],
			       hint);
	if (n != FIELDS)
		return err_set(e, ERR_INVALID, "crontab: %zu fields instead of 5: %s", n, hint);
	return 0;
}

/* Without the blanks around it, which nicknames must not have. */
static char *trimmed(const char *text)
{
	size_t n;

	text += strspn(text, " \t\r\n");
	n = strlen(text);
	while (n > 0 && strchr(" \t\r\n", text[n - 1]))
		n--;
	return xstrndup(text, n);
}

int cron_parse(const char *text, struct cron *ret_c, struct err *e)
{
	AUTO_FREE char *plain = NULL;
	AUTO_FREE char *copy = NULL;
	char *words[FIELDS] = {NULL};
	uint64_t sets[FIELDS];

	if (strnlen(text, CRON_TEXT_MAX + 1) > CRON_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "crontab: more than %d characters", CRON_TEXT_MAX);
	plain = trimmed(text);
	copy = xstrdup(expand_nickname(plain));
	if (split(copy, words, e) < 0)
		return -1;
	for (size_t i = 0; i < FIELDS; i++)
		if (read_field(&fields[i], words[i], &sets[i], e) < 0)
			return -1;
	*ret_c = (struct cron){
		.minutes = sets[MINUTE],
		.hours = (uint32_t)sets[HOUR],
		.days = (uint32_t)sets[DAY],
		.months = (uint16_t)sets[MONTH],
		.weekdays = (uint8_t)((sets[WEEKDAY] | sets[WEEKDAY] >> 7) & 0x7f),
		.either_day = words[DAY][0] != '*' && words[WEEKDAY][0] != '*',
	};
	return 0;
}

bool cron_is_hourly(const struct cron *c)
{
	return c->hours == 0xffffff;
}

static bool day_matches(const struct cron *c, int64_t days, int day)
{
	bool of_month = c->days >> day & 1;
	bool of_week = c->weekdays >> civil_weekday(days) & 1;

	return c->either_day ? of_month || of_week : of_month && of_week;
}

/* The first minute of a day, from `minute` on, that matches; -1: none. */
static int next_minute(const struct cron *c, int minute)
{
	for (int hour = minute / 60, from = minute % 60; hour < 24; hour++, from = 0) {
		uint64_t left = c->minutes >> from;

		if (c->hours >> hour & 1 && left)
			return hour * 60 + from + __builtin_ctzll(left);
	}
	return -1;
}

bool cron_next(const struct cron *c, int64_t local_s, int64_t *ret_s)
{
	/* The start of the next minute. */
	struct civil t = civil_of_seconds(local_s + 60);
	int64_t days = civil_days(t.year, t.month, t.day);
	int minute = t.hour * 60 + t.minute, last_year = t.year + SEARCH_YEARS;

	while (t.year <= last_year) {
		int length = civil_month_length(t.year, t.month);

		for (; c->months >> t.month & 1 && t.day <= length; t.day++, days++, minute = 0) {
			int found = day_matches(c, days, t.day) ? next_minute(c, minute) : -1;

			if (found >= 0) {
				*ret_s = days * CIVIL_DAY_S + found * 60;
				return true;
			}
		}
		days += length - t.day + 1;
		t = civil_of_days(days);
		minute = 0;
	}
	return false;
}
