/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points that count and the firings to come lie on one line of time, ascending. Each rule keeps a
 * point from its birth until some later point of the line arrives: the N-th after it (last N), the
 * first one of its own period or the first of the N-th period after it (daily N …), the first that
 * is so many days younger (days N). If that later point is there already, the rule does not keep it
 * now; if it is a firing, that is when the rule will stop to keep it. A point goes when the last of
 * its rules stops.
 *
 * That the points which go meanwhile need not be looked at follows from this: what a rule keeps is
 * counted from the newest, and only points that no rule keeps go, so taking them away moves nobody
 * towards the end. (The oldest point, which stays until a level is full, is the first of the line
 * as long as that matters: it goes only when no level wants it, and a level that is full stays so.)
 *
 * So each rule is one pass over the line, and time and memory are linear in points, firings and
 * rules.
 *
 * Damaged points are judged by a second run over the line with them on it, as if they were whole;
 * it says nothing about the others.
 */
#include "core/retention_priv.h"

#include <string.h>

#include "sched/civil.h"

/* ---- periods ---- */

/* The period that an item is in: ascending with time, the same within a period. */
static int64_t period_key(const struct retention_item *it, enum retention_level level)
{
	int64_t day = civil_div(it->local_s, DAY_S);
	struct civil date;

	switch (level) {
	case RETENTION_HOURLY: /* of UTC: the hour that comes twice in autumn is two */
		return (int64_t)(it->at_us / SECOND_US) / HOUR_S;
	case RETENTION_DAILY:
		return day;
	case RETENTION_WEEKLY: /* 1970-01-01 was a Thursday */
		return civil_div(day + 3, 7);
	default:
		date = civil_of_days(day);
		return level == RETENTION_MONTHLY ? (int64_t)date.year * 12 + date.month
						  : date.year;
	}
}

/* When the item's period began, in local time. */
static int64_t period_begin(const struct retention_item *it, enum retention_level level)
{
	int64_t day = civil_div(it->local_s, DAY_S);
	struct civil date;

	switch (level) {
	case RETENTION_HOURLY:
		return it->local_s - (int64_t)(it->at_us / SECOND_US) % HOUR_S;
	case RETENTION_DAILY:
		return day * DAY_S;
	case RETENTION_WEEKLY:
		return (civil_div(day + 3, 7) * 7 - 3) * DAY_S;
	default:
		date = civil_of_days(day);
		return civil_days(date.year, level == RETENTION_MONTHLY ? date.month : 1, 1) *
		       DAY_S;
	}
}

/* The moment of a local time; the earlier one where the clock shows it twice, or never. */
static int64_t moment_of(const struct retention_work *w, int64_t local_s)
{
	int64_t before = retention_offset(w, local_s - DAY_S);
	int64_t after = retention_offset(w, local_s + DAY_S);
	int64_t first = local_s - MAX(before, after), second = local_s - MIN(before, after);

	if (first == second || retention_offset(w, first) == local_s - first)
		return first;
	return retention_offset(w, second) == local_s - second ? second : first;
}

/* What is not later than this is too old, seen from an item: so long before, by the calendar. */
static int64_t cut_us(const struct retention_work *w, const struct retention_item *it,
		      enum retention_level level, uint32_t number)
{
	int64_t at = (int64_t)it->at_us;

	if (level == RETENTION_HOURS)
		return at - (int64_t)number * HOUR_S * SECOND_US;
	return moment_of(w, it->local_s - (int64_t)number * DAY_S) * SECOND_US + at % SECOND_US;
}

/* ---- telling ---- */

void retention_tell(struct retention_work *w, size_t point, const struct retention_reason *reason)
{
	if (w->n_told == w->cap_told) {
		w->cap_told = MAX(2 * w->cap_told, 256);
		w->told = xreallocarray(w->told, w->cap_told, sizeof(*w->told));
	}
	w->told[w->n_told++] = (struct retention_told){point, *reason};
}

/*
 * A rule keeps an item until `end_us`, or (0) does not. `why` is why it does, `not_why` why not.
 */
static void tell(struct retention_work *w, const struct retention_item *it, uint64_t end_us,
		 enum retention_why why, enum retention_why not_why, struct retention_reason reason)
{
	if (it->damaged != w->damaged)
		return;
	reason.why = end_us ? why : not_why;
	reason.ends_us = end_us == NEVER ? 0 : end_us;
	if (w->refusals) {
		if (it->exists && w->ends[it->source] == 0)
			retention_tell(w, it->source, &reason);
		return;
	}
	w->ends[it->source] = MAX(w->ends[it->source], end_us);
	if (end_us && it->exists && !w->silent)
		retention_tell(w, it->source, &reason);
}

/*
 * When what keeps the item at position `i` until the one at position `by` of the line comes will
 * end: 0 when that one exists, and the item too.
 */
static uint64_t end_at(const struct retention_work *w, const struct retention_line *l, size_t by)
{
	if (by < l->there)
		return 0;
	return by < l->n ? w->items[l->items[by]].at_us : NEVER;
}

/* ---- rules ---- */

static void rule_last(struct retention_work *w, uint32_t set, uint32_t number)
{
	const struct retention_line *l = &w->set;

	for (size_t i = 0; i < l->n; i++)
		tell(w, &w->items[l->items[i]],
		     number == RETENTION_ALL ? NEVER : end_at(w, l, i + number), RETENTION_COUNTED,
		     RETENTION_NOT_COUNTED,
		     (struct retention_reason){.set = set,
					       .level = RETENTION_LAST,
					       .number = (uint32_t)(l->there - i),
					       .of = number});
}

/* Looks for the first item of the plan for which an item is too old; items must be ascending. */
struct age {
	enum retention_level level;
	uint32_t number;
	size_t by;
	int64_t cut_us;
	bool all;
};

/* Ages are counted to the plan's newest point, whichever schedule made it. */
static struct age age_begin(const struct retention_work *w, enum retention_level level,
			    uint32_t number)
{
	const struct retention_line *plan = &w->plan;
	struct age a = {level, number, plan->there ? plan->there - 1 : 0, INT64_MIN, false};

	a.all = number > (level == RETENTION_DAYS ? 1 : 24) * RETENTION_DAYS_MAX;
	if (plan->n && !a.all)
		a.cut_us = cut_us(w, &w->items[plan->items[a.by]], level, number);
	return a;
}

static uint64_t age_end(struct age *a, const struct retention_work *w,
			const struct retention_item *it)
{
	const struct retention_line *plan = &w->plan;

	if (a->all)
		return NEVER;
	while (a->by < plan->n && a->cut_us < (int64_t)it->at_us)
		if (++a->by < plan->n)
			a->cut_us = MAX(a->cut_us, cut_us(w, &w->items[plan->items[a->by]],
							  a->level, a->number));
	return end_at(w, plan, a->by);
}

static void rule_age(struct retention_work *w, uint32_t set, enum retention_level level,
		     uint32_t number)
{
	struct age a = age_begin(w, level, number);

	for (size_t i = 0; i < w->set.n; i++) {
		const struct retention_item *it = &w->items[w->set.items[i]];

		tell(w, it, age_end(&a, w, it), RETENTION_YOUNG, RETENTION_NOT_YOUNG,
		     (struct retention_reason){.set = set, .level = level, .of = number});
	}
}

/* Both must hold: what ends first, ends it. */
static void rule_both(struct retention_work *w, uint32_t set, uint32_t number, uint32_t days)
{
	const struct retention_line *l = &w->set;
	struct age a = age_begin(w, RETENTION_DAYS, days);

	for (size_t i = 0; i < l->n; i++) {
		const struct retention_item *it = &w->items[l->items[i]];
		uint64_t counted = end_at(w, l, i + number), young = age_end(&a, w, it);
		uint64_t end = MIN(counted, young);
		struct retention_reason by_number = {.set = set,
						     .level = RETENTION_LAST,
						     .number = (uint32_t)(l->there - i),
						     .of = number};
		struct retention_reason by_age = {.set = set, .level = RETENTION_DAYS, .of = days};

		if (end || !counted)
			tell(w, it, end, RETENTION_COUNTED, RETENTION_NOT_COUNTED, by_number);
		if (end || !young)
			tell(w, it, end, RETENTION_YOUNG, RETENTION_NOT_YOUNG, by_age);
	}
}

/* Number the periods of the set's line; returns how many there are. */
static uint32_t number_periods(struct retention_work *w, enum retention_level level)
{
	const struct retention_line *l = &w->set;
	uint32_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		int64_t key = period_key(&w->items[l->items[i]], level);

		/* A clock that is set back over midnight does not bring the day before back. */
		if (i > 0 && key < w->key[i - 1])
			key = w->key[i - 1];
		w->key[i] = key;
		if (i == 0 || key != w->key[i - 1])
			w->begin[n++] = i;
		w->ordinal[i] = n - 1;
	}
	return n;
}

static void rule_period(struct retention_work *w, uint32_t set, enum retention_level level,
			uint32_t number)
{
	const struct retention_line *l = &w->set;
	uint32_t n = number_periods(w, level), have;

	have = l->there ? w->ordinal[l->there - 1] + 1 : 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct retention_item *it = &w->items[l->items[i]];
		uint32_t mine = w->ordinal[i];
		size_t by = number < n - mine ? w->begin[mine + number] : l->n;
		bool later = i + 1 < l->n && w->ordinal[i + 1] == mine;
		struct retention_reason reason = {.set = set, .level = level, .of = number};
		uint64_t end, full;

		if (later)
			by = MIN(by, i + 1);
		reason.period_s = it->exists && !w->silent ? period_begin(it, level) : 0;
		reason.number = have - mine;
		end = end_at(w, l, by);
		/* The oldest stays until there are as many periods as are wanted. */
		full = i > 0 ? 0 : end_at(w, l, number <= n ? w->begin[number - 1] : l->n);
		if (!end && full)
			reason.number = have;
		tell(w, it, MAX(end, full), end ? RETENTION_PERIOD : RETENTION_OLDEST,
		     later && i + 1 < l->there ? RETENTION_NOT_LAST : RETENTION_NOT_RECENT, reason);
	}
}

static void rule_forever(struct retention_work *w, uint32_t set)
{
	for (size_t i = 0; i < w->set.n; i++)
		tell(w, &w->items[w->set.items[i]], NEVER, RETENTION_FOREVER, RETENTION_FOREVER,
		     (struct retention_reason){.set = set});
}

/* The rules that hold for the whole plan. */
static void rule_plan(struct retention_work *w)
{
	const struct retention_line *l = &w->plan;
	uint32_t minimum = MAX(w->r->minimum, 1);

	for (size_t i = 0; i < l->n && !w->refusals; i++) {
		uint64_t end = end_at(w, l, i + 1), of_minimum = end_at(w, l, i + minimum);
		const struct retention_item *it = &w->items[l->items[i]];
		struct retention_reason reason = {.number = (uint32_t)(l->there - i),
						  .of = minimum};

		tell(w, it, end, RETENTION_IS_NEWEST, RETENTION_IS_NEWEST, reason);
		if (minimum > 1)
			tell(w, it, of_minimum, RETENTION_MINIMUM, RETENTION_MINIMUM, reason);
		if (!it->covered)
			tell(w, it, NEVER, RETENTION_UNCOVERED, RETENTION_UNCOVERED, reason);
	}
	for (size_t i = l->there; w->r->proven && !w->refusals && i-- > 0;) {
		const struct retention_item *it = &w->items[l->items[i]];

		if (!it->verified || it->damaged)
			continue;
		tell(w, it, NEVER, RETENTION_IS_PROVEN, RETENTION_IS_PROVEN,
		     (struct retention_reason){0});
		break;
	}
}

/* ---- a run ---- */

static bool says_nothing(const struct retention_set *set)
{
	bool nothing = !set->forever;

	for (size_t i = 0; i < RETENTION_LEVELS; i++)
		nothing &= set->keep[i] == 0;
	return nothing;
}

static bool is_for(const struct retention *r, const struct retention_set *set,
		   const struct retention_item *it)
{
	if (set->scope == RETENTION_OF_MAKER)
		return strcmp(set->maker, it->maker) == 0;
	for (size_t i = 0; i < r->n_sets && set->scope == RETENTION_OF_OTHERS; i++) {
		const struct retention_set *other = &r->sets[i];

		if (other->scope == RETENTION_OF_MAKER && other->group == set->group &&
		    !says_nothing(other) && strcmp(other->maker, it->maker) == 0)
			return false;
	}
	return true;
}

/* Put the items of this run on a line: all, or those that a set is for. */
static void draw_line(struct retention_work *w, const struct retention_set *set,
		      struct retention_line *l)
{
	l->n = l->there = 0;
	for (size_t i = 0; i < w->n_items; i++) {
		struct retention_item *it = &w->items[i];

		if ((it->damaged && !w->damaged) || (w->refusals && !it->exists) ||
		    (set && !is_for(w->r, set, it)))
			continue;
		if (set)
			it->covered = true;
		l->items[l->n++] = i;
		l->there += it->exists;
	}
}

static void run_set(struct retention_work *w, uint32_t number)
{
	const struct retention_set *set = &w->r->sets[number];

	if (says_nothing(set))
		return;
	draw_line(w, set, &w->set);
	if (set->forever)
		rule_forever(w, number);
	if (set->both && set->keep[RETENTION_LAST] && set->keep[RETENTION_DAYS]) {
		rule_both(w, number, set->keep[RETENTION_LAST], set->keep[RETENTION_DAYS]);
		return;
	}
	for (enum retention_level level = 0; level < RETENTION_LEVELS; level++) {
		if (set->keep[level] == 0)
			continue;
		if (level == RETENTION_LAST)
			rule_last(w, number, set->keep[level]);
		else if (level == RETENTION_HOURS || level == RETENTION_DAYS)
			rule_age(w, number, level, set->keep[level]);
		else
			rule_period(w, number, level, set->keep[level]);
	}
}

void retention_run(struct retention_work *w)
{
	draw_line(w, NULL, &w->plan);
	for (uint32_t i = 0; i < w->r->n_sets; i++)
		run_set(w, i);
	rule_plan(w);
}
