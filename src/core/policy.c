/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"

#include <stdio.h>
#include <string.h>

#include "core/policy_priv.h"
#include "sched/civil.h"

#define SECOND_US 1000000
#define CHUNK 256

struct policy *policy_new(void)
{
	struct policy *p = xcalloc(1, sizeof(*p));

	p->minimum = 1;
	p->failed_days = POLICY_FAILED_DAYS;
	return p;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_schedules; i++) {
		struct policy_schedule *s = &p->schedules[i];

		free(s->name);
		if (s->lent)
			continue;
		json_decref(s->trigger);
		schedule_free(s->times);
	}
	for (size_t i = 0; i < p->n_copies; i++)
		free(p->copies[i].sets);
	free(p->schedules);
	free(p->sets);
	free(p->copies);
	zone_unref(p->zone);
	free(p);
}

/* ---- retention ---- */

struct retention policy_retention(const struct policy *p, const char *copies_at)
{
	struct retention r = {.sets = p->sets,
			      .n_sets = p->n_sets,
			      .minimum = p->minimum,
			      .failed_days = p->failed_days,
			      .proven = p->keep_verified};

	for (size_t i = 0; copies_at && i < p->n_copies; i++)
		if (strcmp(p->copies[i].provider, copies_at) == 0 && p->copies[i].n_sets > 0) {
			r.sets = p->copies[i].sets;
			r.n_sets = p->copies[i].n_sets;
		}
	return r;
}

static int32_t offset_of(void *zone, int64_t unix_s)
{
	return zone ? zone_period(zone, unix_s).offset : 0;
}

struct retention_zone policy_zone(const struct policy *p)
{
	return (struct retention_zone){offset_of, p->zone};
}

static int by_instant(const void *a, const void *b)
{
	const struct retention_firing *x = a, *y = b;

	if (x->instant_us != y->instant_us)
		return x->instant_us < y->instant_us ? -1 : 1;
	return strcmp(x->maker, y->maker);
}

struct retention_firing *policy_foretell(const struct policy *p, uint64_t now_us, uint64_t until_us,
					 size_t most, size_t *ret_n)
{
	struct retention_firing *all = NULL;
	uint64_t next[CHUNK];
	size_t n = 0;

	for (size_t i = 0; i < p->n_schedules; i++) {
		const struct policy_schedule *s = &p->schedules[i];
		uint64_t after = now_us;
		size_t got = s->times ? CHUNK : 0, from = n;

		while (got == CHUNK && after <= until_us && n - from < most) {
			got = schedule_next_n(s->times, after, CHUNK, next);
			all = xreallocarray(all, n + got + 1, sizeof(*all));
			for (size_t k = 0; k < got && next[k] <= until_us; k++)
				all[n++] = (struct retention_firing){s->name, next[k]};
			after = got ? next[got - 1] : after;
		}
	}
	if (n > 0)
		qsort(all, n, sizeof(*all), by_instant);
	*ret_n = MIN(n, most);
	return all;
}

/* ---- window ---- */

uint64_t policy_window_opens(const struct policy *p, uint64_t now_us)
{
	const struct policy_window *w = &p->window;
	int64_t now = (int64_t)(now_us / SECOND_US), today;

	if (!w->given)
		return now_us;
	today = (zone_to_local(w->zone, now) - (int64_t)w->start * 60) / CIVIL_DAY_S - 1;
	for (int64_t day = today; day < today + 10; day++) {
		int64_t local = day * CIVIL_DAY_S, from, to;

		if (!(w->days & 1u << (civil_weekday(day) + 6) % 7))
			continue;
		from = zone_to_utc(w->zone, local + (int64_t)w->start * 60);
		to = zone_to_utc(w->zone, local + (int64_t)w->end * 60 +
						  (w->end < w->start ? CIVIL_DAY_S : 0));
		if (now < to && from < to)
			return from <= now ? now_us : (uint64_t)from * SECOND_US;
	}
	return now_us;
}

/* ---- the document ---- */

static void add_retention(json_t *o, const char *field, const struct retention_set *set)
{
	json_t *r = json_object();

	for (enum retention_level l = 0; l < RETENTION_LEVELS; l++)
		if (set->keep[l] > 0)
			json_object_set_new(r, retention_level_name(l),
					    set->keep[l] == RETENTION_ALL
						    ? json_string("all")
						    : json_integer(set->keep[l]));
	json_object_set_new(o, field, r);
}

static json_t *schedules_json(const struct policy *p)
{
	json_t *array = json_array();

	for (size_t i = 0; i < p->n_schedules; i++) {
		const struct policy_schedule *s = &p->schedules[i];
		json_t *o = json_pack("{s:s}", "name", s->name);

		if (s->trigger)
			json_object_set(o, "trigger", s->trigger);
		if (s->full)
			json_object_set_new(o, "full", json_true());
		if (!p->sets[i].forever)
			add_retention(o, "retention", &p->sets[i]);
		json_array_append_new(array, o);
	}
	return array;
}

static json_t *window_json(const struct policy_window *w)
{
	char start[24], end[24];
	json_t *o, *days;

	snprintf(start, sizeof(start), "%02u:%02u", w->start / 60, w->start % 60);
	snprintf(end, sizeof(end), "%02u:%02u", w->end / 60, w->end % 60);
	o = json_pack("{s:s, s:s}", "start", start, "end", end);
	if (w->days == 0x7f)
		return o;
	days = json_array();
	for (unsigned i = 0; i < 7; i++)
		if (w->days & 1u << i)
			json_array_append_new(days, json_string(policy_days[i]));
	json_object_set_new(o, "days", days);
	return o;
}

static json_t *copies_json(const struct policy *p)
{
	json_t *array = json_array(), *o = NULL;

	for (size_t i = 0; i < p->n_copies; i++) {
		const struct policy_copy *c = &p->copies[i];

		o = json_pack("{s:s}", "provider_id", c->provider);
		if (c->n_sets > 0)
			add_retention(o, "retention", c->sets);
		if (c->awaited)
			json_object_set_new(o, "keep_until_copied", json_true());
		json_array_append_new(array, o);
	}
	if (p->n_copies != 1)
		return array;
	json_incref(o);
	json_decref(array);
	return o;
}

static void add_numbers(const struct policy *p, json_t *o)
{
	if (p->minimum > 1)
		json_object_set_new(o, "minimum", json_integer(p->minimum));
	if (p->keep_verified)
		json_object_set_new(o, "keep_verified", json_true());
	if (p->failed_days != POLICY_FAILED_DAYS)
		json_object_set_new(o, "failed", json_pack("{s:i}", "days", (int)p->failed_days));
	if (p->zone_given)
		json_object_set_new(o, "timezone", json_string(zone_name(p->zone)));
	if (p->consistency)
		json_object_set_new(o, "consistency", json_string(p->consistency));
}

static void add_verify(const struct policy *p, json_t *o)
{
	json_t *v = json_object();

	if (p->verify_days)
		json_object_set_new(v, "every_days", json_integer(p->verify_days));
	if (p->verify_after)
		json_object_set_new(v, "after", json_integer(p->verify_after));
	if (p->verify_structure)
		json_object_set_new(v, "depth", json_string("structure"));
	if (json_object_size(v) > 0)
		json_object_set(o, "verify", v);
	json_decref(v);
}

json_t *policy_json(const struct policy *p)
{
	json_t *o = json_object(), *limits = json_object();
	size_t set = p->n_schedules;

	if (p->n_schedules > 0)
		json_object_set_new(o, "schedules", schedules_json(p));
	if (p->manual)
		add_retention(o, "manual", &p->sets[set]);
	if (p->others)
		add_retention(o, "others", &p->sets[set + 1]);
	add_numbers(p, o);
	if (p->window.given)
		json_object_set_new(o, "window", window_json(&p->window));
	if (p->bandwidth)
		json_object_set_new(limits, "bandwidth", json_integer((json_int_t)p->bandwidth));
	if (p->concurrent)
		json_object_set_new(limits, "concurrent", json_integer(p->concurrent));
	if (json_object_size(limits) > 0)
		json_object_set(o, "limits", limits);
	add_verify(p, o);
	if (p->rpo_s)
		json_object_set_new(o, "rpo", json_integer(p->rpo_s));
	if (p->n_copies > 0)
		json_object_set_new(o, "copy", copies_json(p));
	json_decref(limits);
	return o;
}
