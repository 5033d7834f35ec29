/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is read twice: lines are unfolded and the few properties that count are kept; when
 * DTSTART is known, they are understood. Rules become times when somebody asks.
 */
#include "sched/calendar.h"

#include <string.h>
#include <strings.h>

#include "sched/calendar_priv.h"
#include "sched/calendar_time.h"
#include "sched/civil.h"

#define SHOWN 40 /* of what was typed, in a message */
#define DEPTH_MAX 8

enum kind { DTSTART, RRULE, RDATE, EXDATE, KINDS };

static const char *const kind_names[KINDS] = {"DTSTART", "RRULE", "RDATE", "EXDATE"};

/* A property that counts. All points into the text. */
struct property {
	enum kind kind;
	char *parameters; /* without the first semicolon; "" if there are none */
	char *value;
};

struct reader {
	struct property *list;
	size_t n;
	unsigned depth;	  /* of components */
	unsigned skipped; /* the depth from which on nothing counts; 0: all does */
};

/* ---- lines ---- */

/* If the text is one line, \n in it are line ends, as shells and JSON leave them. */
static void decode_line_ends(char *text)
{
	char *from, *to;

	if (strpbrk(text, "\r\n"))
		return;
	for (from = to = text; *from; from++) {
		if (from[0] == '\\' && (from[1] == 'n' || from[1] == 'N' || from[1] == 'r')) {
			from++;
			*to++ = '\n';
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
}

/* A line that starts with a blank goes on with the one before. */
static void unfold(char *text)
{
	char *from = text, *to = text;

	while (*from) {
		size_t end = strspn(from, "\r\n");

		if (end > 0 && (from[end] == ' ' || from[end] == '\t'))
			from += end + 1;
		else
			*to++ = *from++;
	}
	*to = 0;
}

/* Cut "NAME;PARAMETERS:value"; a colon in a quoted parameter does not count. */
static bool cut(char *line, char **ret_parameters, char **ret_value)
{
	bool quoted = false;
	char *p = line + strcspn(line, ";:");

	*ret_parameters = p;
	for (; *p && (quoted || *p != ':'); p++)
		if (*p == '"')
			quoted = !quoted;
	if (!*p)
		return false;
	*p = 0;
	*ret_value = p + 1;
	if (**ret_parameters == ';')
		*(*ret_parameters)++ = 0;
	return true;
}

static int component(struct reader *r, const char *name, const char *value, struct err *e)
{
	if (strcasecmp(name, "BEGIN") == 0) {
		if (++r->depth > DEPTH_MAX)
			return err_set(e, ERR_LIMIT,
				       "calendar: more than %d BEGIN inside each other", DEPTH_MAX);
		if (!r->skipped && strcasecmp(value, "VCALENDAR") != 0 &&
		    strcasecmp(value, "VEVENT") != 0)
			r->skipped = r->depth;
		return 0;
	}
	if (r->depth == 0)
		return err_set(e, ERR_INVALID, "calendar: END:%.*s without its BEGIN", SHOWN,
			       value);
	if (r->skipped == r->depth)
		r->skipped = 0;
	r->depth--;
	return 0;
}

static int keep(struct reader *r, enum kind kind, char *parameters, char *value, struct err *e)
{
	if (r->n == CALENDAR_DATES_MAX)
		return err_set(e, ERR_LIMIT, "calendar: more than %d RRULE, RDATE and EXDATE",
			       CALENDAR_DATES_MAX);
	r->list[r->n++] = (struct property){kind, parameters, value};
	return 0;
}

static int read_line(struct reader *r, char *line, struct err *e)
{
	char *parameters, *value;

	if (!cut(line, &parameters, &value))
		return err_set(e, ERR_INVALID,
			       "calendar: \"%.*s\" is not a line like RRULE:FREQ=DAILY;BYHOUR=2",
			       SHOWN, line);
	if (strcasecmp(line, "BEGIN") == 0 || strcasecmp(line, "END") == 0)
		return component(r, line, value, e);
	if (r->skipped)
		return 0;
	if (strcasecmp(line, "EXRULE") == 0)
		return err_set(
			e, ERR_UNSUPPORTED,
			"calendar: EXRULE is not supported (RFC 5545 took it out): use EXDATE");
	for (int kind = 0; kind < KINDS; kind++)
		if (strcasecmp(line, kind_names[kind]) == 0)
			return keep(r, (enum kind)kind, parameters, value, e);
	return 0;
}

static int read_lines(struct reader *r, char *text, struct err *e)
{
	char *save, *line;

	decode_line_ends(text);
	unfold(text);
	for (line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t");
		if (*line && read_line(r, line, e) < 0)
			return -1;
	}
	if (r->depth > 0)
		return err_set(e, ERR_INVALID, "calendar: %u BEGIN without END", r->depth);
	return 0;
}

/* ---- properties ---- */

/* The zone of TZID, or NULL without an error. */
static int read_parameters(const struct property *p, struct zones *zones, struct zone **ret_zone,
			   struct err *e)
{
	AUTO_FREE char *copy = xstrdup(p->parameters);
	const char *name = kind_names[p->kind];
	char *save, *word;

	*ret_zone = NULL;
	for (word = strtok_r(copy, ";", &save); word; word = strtok_r(NULL, ";", &save)) {
		size_t n = strlen(word);

		if (strncasecmp(word, "TZID=", 5) == 0 && !*ret_zone) {
			word += 5;
			if (n > 6 && word[0] == '"' && word[n - 6] == '"') {
				word[n - 6] = 0;
				word++;
			}
			*ret_zone = zones_get(zones, word, e);
			if (!*ret_zone)
				return err_wrap(e, "calendar: %s", name);
		} else if (strcasecmp(word, "VALUE=DATE") != 0 &&
			   strcasecmp(word, "VALUE=DATE-TIME") != 0) {
			zone_unref(*ret_zone);
			return err_set(e, ERR_UNSUPPORTED,
				       "calendar: %s: the parameter \"%.*s\" is not known here",
				       name, SHOWN, word);
		}
	}
	return 0;
}

static int read_time(const struct property *p, const char *word, struct calendar_time *ret_t,
		     struct err *e)
{
	if (!calendar_time_parse(word, ret_t))
		return err_set(e, ERR_INVALID,
			       "calendar: %s: \"%.*s\" is not a date or time like 20261231, "
			       "20261231T230000 or 20261231T230000Z",
			       kind_names[p->kind], SHOWN, word);
	return 0;
}

static int read_start(struct calendar *c, const struct property *p, struct zones *zones,
		      struct err *e)
{
	struct zone *zone;
	struct calendar_time t;

	if (read_time(p, p->value, &t, e) < 0 || read_parameters(p, zones, &zone, e) < 0)
		return -1;
	if (t.utc) {
		zone_unref(zone);
		zone = zones_get(zones, "UTC", e);
		if (!zone)
			return -1;
	}
	if (zone) {
		zone_unref(c->zone);
		c->zone = zone;
	}
	c->start_local_s = t.local_s;
	return 0;
}

static int dates_add(struct dates *d, int64_t s, struct err *e)
{
	if (d->n == CALENDAR_DATES_MAX)
		return err_set(e, ERR_LIMIT, "calendar: more than %d dates", CALENDAR_DATES_MAX);
	if (!d->s)
		d->s = xreallocarray(NULL, CALENDAR_DATES_MAX, sizeof(*d->s));
	d->s[d->n++] = s;
	return 0;
}

static int read_dates(struct calendar *c, const struct property *p, struct zones *zones,
		      struct err *e)
{
	AUTO_FREE char *copy = xstrdup(p->value);
	AUTO(zone) own = NULL;
	const struct zone *zone;
	char *save, *word;
	int64_t day_s = c->start_local_s % CIVIL_DAY_S;

	if (read_parameters(p, zones, &own, e) < 0)
		return -1;
	zone = own ? own : c->zone;
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		struct dates *to = p->kind == RDATE ? &c->also : &c->except;
		struct calendar_time t;
		int64_t s;

		if (read_time(p, word, &t, e) < 0)
			return -1;
		s = t.utc ? t.local_s : zone_to_utc(zone, t.local_s);
		/* A date: for RDATE at the time of the start, for EXDATE all day. */
		if (t.date_only && p->kind == RDATE)
			s = zone_to_utc(zone, t.local_s + day_s);
		if (t.date_only && p->kind == EXDATE) {
			to = &c->except_days;
			s = t.local_s;
		}
		if (dates_add(to, s, e) < 0)
			return -1;
	}
	return 0;
}

static int read_rule(struct calendar *c, const struct property *p, struct err *e)
{
	int64_t first_s;

	if (c->n_rules == CALENDAR_RULES_MAX)
		return err_set(e, ERR_LIMIT, "calendar: more than %d RRULE", CALENDAR_RULES_MAX);
	if (rrule_parse(p->value, c->start_local_s, &c->rules[c->n_rules], e) < 0)
		return err_wrap(e, "calendar");
	if (!rrule_next(&c->rules[c->n_rules], c->start_local_s - 1, &first_s))
		return err_set(e, ERR_INVALID, "calendar: RRULE:%.*s: this never fires", SHOWN,
			       p->value);
	c->n_rules++;
	return 0;
}

static int understand(struct calendar *c, const struct reader *r, struct zones *zones,
		      struct err *e)
{
	size_t starts = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->list[i].kind != DTSTART)
			continue;
		if (++starts > 1)
			return err_set(e, ERR_UNSUPPORTED,
				       "calendar: more than one DTSTART: make a trigger for each");
		if (read_start(c, &r->list[i], zones, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < r->n; i++) {
		const struct property *p = &r->list[i];

		if (p->kind == DTSTART)
			continue;
		if (p->kind == RRULE ? read_rule(c, p, e) < 0 : read_dates(c, p, zones, e) < 0)
			return -1;
	}
	if (c->n_rules > 0 || c->also.n > 0)
		return 0;
	if (starts == 0)
		return err_set(e, ERR_INVALID,
			       "calendar: there is no RRULE: give at least a line like "
			       "RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=0");
	return dates_add(&c->also, zone_to_utc(c->zone, c->start_local_s), e);
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void sort(struct dates *d)
{
	if (d->n > 0)
		qsort(d->s, d->n, sizeof(*d->s), ascending);
}

struct calendar *calendar_parse(const char *text, struct zones *zones, struct zone *zone,
				int64_t start_s, struct err *e)
{
	AUTO(calendar) c = NULL;
	AUTO_FREE char *copy = NULL;
	AUTO_FREE struct property *list = NULL;
	struct reader r = {0};

	if (strnlen(text, CALENDAR_TEXT_MAX + 1) > CALENDAR_TEXT_MAX) {
		err_set(e, ERR_LIMIT, "calendar: more than %d bytes", CALENDAR_TEXT_MAX);
		return NULL;
	}
	copy = xstrdup(text);
	r.list = list = xcalloc(CALENDAR_DATES_MAX, sizeof(*list));
	c = xcalloc(1, sizeof(*c));
	c->rules = xcalloc(CALENDAR_RULES_MAX, sizeof(*c->rules));
	c->zone = zone_ref(zone);
	c->start_local_s = zone_to_local(zone, start_s);
	if (read_lines(&r, copy, e) < 0 || understand(c, &r, zones, e) < 0)
		return NULL;
	sort(&c->also);
	sort(&c->except);
	sort(&c->except_days);
	c->rules = xreallocarray(c->rules, MAX(c->n_rules, 1), sizeof(*c->rules));
	return steal(&c);
}

void calendar_free(struct calendar *c)
{
	if (!c)
		return;
	zone_unref(c->zone);
	free(c->rules);
	free(c->also.s);
	free(c->except.s);
	free(c->except_days.s);
	free(c);
}

/* ---- times ---- */

static bool next_of_rule(const void *arg, int64_t local_s, int64_t *ret_s)
{
	return rrule_next(arg, local_s, ret_s);
}

static bool holds(const struct dates *d, int64_t s)
{
	return d->n > 0 && bsearch(&s, d->s, d->n, sizeof(s), ascending) != NULL;
}

/* The next firing of each rule is kept while it is still to come: a rare one costs most to find. */
struct search {
	int64_t of_rule[CALENDAR_RULES_MAX]; /* INT64_MAX: none */
};

static int64_t next_firing(const struct calendar *c, const struct rrule *r, int64_t utc_s)
{
	int64_t s;

	if (!zone_next(c->zone, next_of_rule, r, utc_s, &s))
		return INT64_MAX;
	return r->until == RRULE_UNTIL_UTC && s > r->until_s ? INT64_MAX : s;
}

/* Before what is excluded. INT64_MAX: none. */
static int64_t candidate(const struct calendar *c, struct search *k, int64_t utc_s)
{
	int64_t best_s = INT64_MAX;

	for (size_t i = 0; i < c->n_rules; i++) {
		if (k->of_rule[i] <= utc_s)
			k->of_rule[i] = next_firing(c, &c->rules[i], utc_s);
		best_s = MIN(best_s, k->of_rule[i]);
	}
	for (size_t i = 0; i < c->also.n; i++)
		if (c->also.s[i] > utc_s)
			return MIN(best_s, c->also.s[i]);
	return best_s;
}

bool calendar_next(const struct calendar *c, int64_t utc_s, int64_t *ret_s)
{
	struct search k;

	for (size_t i = 0; i < c->n_rules; i++)
		k.of_rule[i] = INT64_MIN;
	for (;;) {
		int64_t s = candidate(c, &k, utc_s), day_s;

		if (s == INT64_MAX)
			return false;
		day_s = zone_to_local(c->zone, s);
		day_s -= day_s % CIVIL_DAY_S;
		if (!holds(&c->except, s) && !holds(&c->except_days, day_s)) {
			*ret_s = s;
			return true;
		}
		/* To the next, or, where all day is excluded, to the next day. */
		utc_s = s;
		if (holds(&c->except_days, day_s))
			utc_s = MAX(s, zone_to_utc(c->zone, day_s + CIVIL_DAY_S) - 1);
	}
}
