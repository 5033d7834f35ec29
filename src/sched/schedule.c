/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Due firings are found from the end: those of the last hour, of the last four hours …, until there
 * are enough or the last one that was dealt with is reached. So a scheduler that was away for a
 * year does not go through half a million firings of which it would start ten.
 */
#include "sched/schedule.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "sched/schedule_priv.h"

#define FIRST_SPAN_US (UINT64_C(3600) * SECOND_US)

unsigned schedule_makes_up(const struct schedule *s)
{
	return s->misfire == MISFIRE_SKIP ? 0 : s->misfire == MISFIRE_ONCE ? 1 : s->misfire_limit;
}

static bool next_of_cron(const void *arg, int64_t local_s, int64_t *ret_s)
{
	return cron_next(arg, local_s, ret_s);
}

bool schedule_next(const struct schedule *s, uint64_t after_us, uint64_t *ret_at_us)
{
	int64_t after_s = MAX((int64_t)(after_us / SECOND_US), s->start_s - 1), at_s;
	bool found;

	if (s->calendar)
		found = calendar_next(s->calendar, after_s, &at_s);
	else if (cron_is_hourly(&s->cron))
		found = zone_next_shown(s->zone, next_of_cron, &s->cron, after_s, &at_s);
	else
		found = zone_next(s->zone, next_of_cron, &s->cron, after_s, &at_s);
	if (!found || at_s > s->end_s)
		return false;
	*ret_at_us = (uint64_t)at_s * SECOND_US;
	return true;
}

size_t schedule_next_n(const struct schedule *s, uint64_t after_us, size_t n, uint64_t *ret_at_us)
{
	size_t i;

	for (i = 0; i < n && schedule_next(s, after_us, &ret_at_us[i]); i++)
		after_us = ret_at_us[i];
	return i;
}

/* FNV-1a with a last stir: spreads what differs in a few characters. */
static uint64_t hash(const char *text, uint64_t v)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ v;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

unsigned schedule_window_s(const struct schedule *s)
{
	return s->window_s;
}

uint64_t schedule_begin(const struct schedule *s, const char *trigger, uint64_t at_us)
{
	uint64_t most = (uint64_t)s->jitter_s * SECOND_US, next_us;

	if (most == 0)
		return at_us;
	/* A firing never begins after the next one. */
	if (schedule_next(s, at_us, &next_us))
		most = MIN(most, next_us - at_us - 1);
	return at_us + hash(trigger, at_us) % (most + 1);
}

/* What is due, while it is looked for. */
struct search {
	const struct schedule *s;
	const char *trigger;
	uint64_t now_us;
	uint64_t ring[SCHEDULE_LISTED]; /* the newest */
	size_t n;			/* how many there were */
	uint64_t next_us;
};

/* Firings after `from_us` that are due. */
static void look(struct search *k, uint64_t from_us)
{
	uint64_t at_us = from_us;

	k->n = 0;
	k->next_us = 0;
	while (schedule_next(k->s, at_us, &at_us)) {
		uint64_t begin_us = schedule_begin(k->s, k->trigger, at_us);

		if (begin_us > k->now_us) {
			k->next_us = begin_us;
			return;
		}
		k->ring[k->n++ % SCHEDULE_LISTED] = at_us;
	}
}

static uint64_t nth(const struct search *k, size_t i)
{
	return k->ring[i % SCHEDULE_LISTED];
}

static void find_due(struct search *k, uint64_t last_us)
{
	uint64_t span_us = FIRST_SPAN_US, from_us;

	do {
		from_us = last_us;
		if (k->now_us > span_us)
			from_us = MAX(last_us, k->now_us - span_us);
		look(k, from_us);
		span_us *= 4;
	} while (from_us > last_us && k->n < SCHEDULE_LISTED);
}

static void set_reason(struct schedule_firing *f, const char *what, uint64_t us)
{
	char time[CLOCK_TEXT];

	snprintf(f->reason, sizeof(f->reason), "%s %s", what, clock_rfc3339(us, time));
}

static uint64_t late_us(const struct search *k, size_t i)
{
	return k->now_us - schedule_begin(k->s, k->trigger, nth(k, i));
}

/* The newest is on time, or it makes up for all. */
static bool newest_fires(const struct search *k)
{
	return k->s->misfire == MISFIRE_ONCE ||
	       late_us(k, k->n - 1) <= (uint64_t)k->s->window_s * SECOND_US;
}

static void decide(const struct search *k, size_t i, struct schedule_firing *f)
{
	const struct schedule *s = k->s;
	bool newest = i == k->n - 1;
	char late[HUMAN_TEXT];

	f->at_us = nth(k, i);
	human_duration(late_us(k, i), late);
	if (newest ? newest_fires(k) || s->misfire == MISFIRE_ALL
		   : s->misfire == MISFIRE_ALL && k->n - i <= s->misfire_limit) {
		f->fire = true;
		if (late_us(k, i) > (uint64_t)s->window_s * SECOND_US)
			snprintf(f->reason, sizeof(f->reason), "made up for, %s late", late);
	} else if (s->misfire == MISFIRE_ALL) {
		snprintf(f->reason, sizeof(f->reason), "missed: %u newer ones were missed too",
			 s->misfire_limit);
	} else if (newest_fires(k)) {
		set_reason(f, "missed: made up for by the firing of", nth(k, k->n - 1));
	} else {
		snprintf(f->reason, sizeof(f->reason),
			 "missed: noticed %s late, the window is %u s", late, s->window_s);
	}
}

void schedule_due(const struct schedule *s, const char *trigger, uint64_t last_us, uint64_t now_us,
		  struct schedule_due *ret_due)
{
	struct search k = {.s = s, .trigger = trigger, .now_us = now_us};
	struct schedule_due d = {0};
	uint64_t first_us;
	size_t first, listed;

	find_due(&k, last_us);
	d.next_us = k.next_us;
	listed = MIN(k.n, SCHEDULE_LISTED);
	first = k.n - listed;
	if (listed > 0)
		d.list = xcalloc(listed + 1, sizeof(*d.list));
	if (listed > 0 && schedule_next(s, last_us, &first_us) && first_us < nth(&k, first)) {
		d.list[0].at_us = first_us;
		set_reason(&d.list[d.n++], "missed, as all that would have been until",
			   nth(&k, first) - 1);
	}
	for (size_t i = first; i < k.n; i++)
		decide(&k, i, &d.list[d.n++]);
	*ret_due = d;
}

void schedule_due_done(struct schedule_due *d)
{
	free(d->list);
	*d = (struct schedule_due){0};
}
