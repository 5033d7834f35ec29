/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retention.h"

#include <string.h>

#include "core/retention_priv.h"

/* ---- what is not on the line ---- */

static void keep_point(struct retention_work *w, size_t i, uint64_t end_us, enum retention_why why,
		       uint32_t of)
{
	struct retention_reason reason = {
		.why = why, .of = of, .ends_us = end_us == NEVER ? 0 : end_us};

	w->ends[i] = MAX(w->ends[i], end_us);
	if (!w->silent)
		retention_tell(w, i, &reason);
}

static bool from_future(const struct retention_work *w, const struct retention_point *p)
{
	return p->state <= RETENTION_DAMAGED && p->instant_us > w->now_us;
}

/* When a failure ended, as far as is known. */
static uint64_t failed_at(const struct retention_point *p)
{
	return MAX(p->instant_us, p->committed_us);
}

/* Failures go by the clock: where everything fails there are no new points to count ages to. */
static void judge_failures(struct retention_work *w)
{
	const struct retention_point *newest = NULL;
	uint32_t days = w->r->failed_days;
	uint64_t wait_us = (uint64_t)MIN(days, RETENTION_DAYS_MAX) * DAY_S * SECOND_US;

	for (size_t i = 0; i < w->n_points; i++) {
		const struct retention_point *p = &w->points[i];

		if (p->state == RETENTION_FAILED &&
		    (!newest || failed_at(p) > failed_at(newest) ||
		     (failed_at(p) == failed_at(newest) && strcmp(p->id, newest->id) > 0)))
			newest = p;
	}
	for (size_t i = 0; i < w->n_points; i++) {
		const struct retention_point *p = &w->points[i];

		if (p->state != RETENTION_FAILED)
			continue;
		if (p == newest)
			keep_point(w, i, NEVER, RETENTION_FAILED_LAST, 0);
		if (days > RETENTION_DAYS_MAX)
			keep_point(w, i, NEVER, RETENTION_FAILED_YOUNG, days);
		else if (failed_at(p) + wait_us > w->now_us)
			keep_point(w, i, failed_at(p) + wait_us, RETENTION_FAILED_YOUNG, days);
	}
}

static void judge_others(struct retention_work *w)
{
	for (size_t i = 0; i < w->n_points; i++) {
		const struct retention_point *p = &w->points[i];

		if (p->held)
			keep_point(w, i, NEVER, RETENTION_HELD, 0);
		if (p->awaited)
			keep_point(w, i, NEVER, RETENTION_AWAITED, 0);
		if (p->locked_until_us > w->now_us)
			keep_point(w, i, p->locked_until_us, RETENTION_LOCKED, 0);
		if (p->state == RETENTION_UNFINISHED)
			keep_point(w, i, NEVER, RETENTION_BEING_MADE, 0);
		else if (from_future(w, p))
			keep_point(w, i, NEVER, RETENTION_FROM_FUTURE, 0);
	}
	judge_failures(w);
}

/* ---- all of it ---- */

static int by_time(const void *a, const void *b)
{
	const struct retention_item *x = a, *y = b;
	int d;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	if (x->committed_us != y->committed_us)
		return x->committed_us < y->committed_us ? -1 : 1;
	d = strcmp(x->id, y->id);
	if (d)
		return d;
	return x->source < y->source ? -1 : x->source > y->source;
}

static void add_item(struct retention_work *w, struct retention_item it)
{
	int64_t at = (int64_t)(it.at_us / SECOND_US);

	it.local_s = at + retention_offset(w, at);
	w->items[w->n_items++] = it;
}

static void work_init(struct retention_work *w, const struct retention_firing *firings,
		      size_t n_firings, uint64_t until_us)
{
	size_t most = w->n_points + n_firings;

	w->items = xcalloc(most + 1, sizeof(*w->items));
	w->ends = xcalloc(most + 1, sizeof(*w->ends));
	for (size_t i = 0; i < w->n_points; i++) {
		const struct retention_point *p = &w->points[i];

		if (p->state > RETENTION_DAMAGED || from_future(w, p))
			continue;
		add_item(w, (struct retention_item){.at_us = p->instant_us,
						    .committed_us = p->committed_us,
						    .id = p->id,
						    .maker = p->maker,
						    .source = i,
						    .exists = true,
						    .damaged = p->state == RETENTION_DAMAGED,
						    .verified = p->verified});
	}
	for (size_t i = 0; i < n_firings; i++)
		if (firings[i].instant_us > w->now_us && firings[i].instant_us <= until_us)
			add_item(w, (struct retention_item){.at_us = firings[i].instant_us,
							    .id = "",
							    .maker = firings[i].maker,
							    .source = w->n_points + i});
	/* A list from a database is ascending already. */
	for (size_t i = 1; i < w->n_items; i++)
		if (by_time(&w->items[i - 1], &w->items[i]) > 0) {
			qsort(w->items, w->n_items, sizeof(*w->items), by_time);
			break;
		}
	w->plan.items = xcalloc(w->n_items + 1, sizeof(size_t));
	w->set.items = xcalloc(w->n_items + 1, sizeof(size_t));
	w->ordinal = xcalloc(w->n_items + 1, sizeof(*w->ordinal));
	w->key = xcalloc(w->n_items + 1, sizeof(*w->key));
	w->begin = xcalloc(w->n_items + 1, sizeof(*w->begin));
}

static void work_done(struct retention_work *w)
{
	free(w->items);
	free(w->ends);
	free(w->plan.items);
	free(w->set.items);
	free(w->ordinal);
	free(w->key);
	free(w->begin);
	free(w->told);
}

/* About the good points, then about the damaged ones. */
static void run_both(struct retention_work *w)
{
	for (int damaged = 0; damaged <= w->some_damaged; damaged++) {
		w->damaged = damaged;
		retention_run(w);
	}
}

static void judge(struct retention_work *w)
{
	for (size_t i = 0; i < w->n_items; i++)
		w->some_damaged |= w->items[i].damaged;
	judge_others(w);
	run_both(w);
}

/* Why those that go do not stay. */
static void refuse(struct retention_work *w)
{
	w->refusals = true;
	run_both(w);
	for (size_t i = 0; i < w->n_points; i++)
		if (w->points[i].state == RETENTION_FAILED && w->ends[i] == 0)
			retention_tell(w, i,
				       &(struct retention_reason){.why = RETENTION_FAILED_OLD,
								  .of = w->r->failed_days});
}

/* The reasons of each point together, in the order in which they were told. */
static void collect(const struct retention_work *w, struct retention_result *res)
{
	size_t at = 0;

	res->n = w->n_points;
	res->verdicts = xcalloc(w->n_points + 1, sizeof(*res->verdicts));
	res->n_reasons = w->n_told;
	res->reasons = xcalloc(w->n_told + 1, sizeof(*res->reasons));
	for (size_t i = 0; i < w->n_told; i++)
		res->verdicts[w->told[i].point].n_reasons++;
	for (size_t i = 0; i < w->n_points; i++) {
		struct retention_verdict *v = &res->verdicts[i];

		v->first_reason = at;
		at += v->n_reasons;
		v->n_reasons = 0;
		v->keep = w->ends[i] != 0;
		v->goes_at_us = !v->keep ? w->now_us : w->ends[i] == NEVER ? 0 : w->ends[i];
		res->n_kept += v->keep;
	}
	for (size_t i = 0; i < w->n_told; i++) {
		struct retention_verdict *v = &res->verdicts[w->told[i].point];

		res->reasons[v->first_reason + v->n_reasons++] = w->told[i].reason;
	}
}

void retention_decide(const struct retention *r, const struct retention_point *points, size_t n,
		      const struct retention_firing *firings, size_t n_firings, uint64_t now_us,
		      const struct retention_zone *zone, struct retention_result *ret_result)
{
	struct retention_work w = {
		.r = r, .points = points, .n_points = n, .zone = zone, .now_us = now_us};
	struct retention_result res = {0};

	work_init(&w, firings, n_firings, UINT64_MAX);
	judge(&w);
	refuse(&w);
	collect(&w, &res);
	work_done(&w);
	*ret_result = res;
}

void retention_result_done(struct retention_result *r)
{
	free(r->verdicts);
	free(r->reasons);
	*r = (struct retention_result){0};
}

/* ---- simulation ---- */

static int by_birth(const void *a, const void *b)
{
	const struct retention_life *x = a, *y = b;

	if (x->born_us != y->born_us)
		return x->born_us < y->born_us ? -1 : 1;
	if (x->future != y->future)
		return x->future ? 1 : -1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static uint64_t gone(const struct retention_work *w, size_t source, uint64_t until_us)
{
	uint64_t end = w->ends[source];

	if (end == 0)
		return w->now_us;
	return end > until_us ? 0 : end;
}

void retention_simulate(const struct retention *r, const struct retention_point *points, size_t n,
			const struct retention_firing *firings, size_t n_firings, uint64_t now_us,
			uint64_t until_us, const struct retention_zone *zone,
			struct retention_timeline *ret_timeline)
{
	struct retention_work w = {.r = r,
				   .points = points,
				   .n_points = n,
				   .zone = zone,
				   .now_us = now_us,
				   .silent = true};
	struct retention_timeline t = {0};

	work_init(&w, firings, n_firings, until_us);
	judge(&w);
	t.lives = xcalloc(n + n_firings + 1, sizeof(*t.lives));
	for (size_t i = 0; i < n; i++) {
		t.lives[t.n++] = (struct retention_life){false, i, points[i].instant_us,
							 gone(&w, i, until_us)};
		t.gone_now += w.ends[i] == 0;
	}
	for (size_t i = 0; i < n_firings; i++)
		if (firings[i].instant_us > now_us && firings[i].instant_us <= until_us)
			t.lives[t.n++] = (struct retention_life){true, i, firings[i].instant_us,
								 gone(&w, n + i, until_us)};
	qsort(t.lives, t.n, sizeof(*t.lives), by_birth);
	work_done(&w);
	*ret_timeline = t;
}

void retention_timeline_done(struct retention_timeline *t)
{
	free(t->lives);
	*t = (struct retention_timeline){0};
}

size_t retention_timeline_alive(const struct retention_timeline *t, uint64_t at_us)
{
	size_t alive = 0;

	for (size_t i = 0; i < t->n && t->lives[i].born_us <= at_us; i++)
		alive += t->lives[i].gone_us == 0 || t->lives[i].gone_us > at_us;
	return alive;
}

struct retention_set retention_karbor(int64_t max_backups, int64_t retention_duration)
{
	struct retention_set set = {.scope = RETENTION_OF_EVERY, .both = true};

	if (max_backups > 0)
		set.keep[RETENTION_LAST] = (uint32_t)MIN(max_backups, RETENTION_ALL);
	if (retention_duration > 0)
		set.keep[RETENTION_DAYS] = (uint32_t)MIN(retention_duration, RETENTION_ALL);
	return set;
}
