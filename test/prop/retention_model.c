/* SPDX-License-Identifier: Apache-2.0 */
#include "retention_model.h"

#include <string.h>

struct tm model_local(uint64_t at_us)
{
	time_t t = (time_t)(at_us / SECOND_US);
	struct tm tm;

	localtime_r(&t, &tm);
	return tm;
}

bool model_empty(const struct retention_set *set)
{
	static const uint32_t nothing[RETENTION_LEVELS];

	return !set->forever && memcmp(set->keep, nothing, sizeof(nothing)) == 0;
}

/* Whether a set is for a maker. */
static bool model_is_for(const struct retention *r, const struct retention_set *set,
			 const char *maker)
{
	bool named = false;

	for (size_t i = 0; i < r->n_sets; i++)
		named |= r->sets[i].group == set->group && !model_empty(&r->sets[i]) &&
			 r->sets[i].scope == RETENTION_OF_MAKER &&
			 strcmp(r->sets[i].maker, maker) == 0;
	if (model_empty(set))
		return false;
	if (set->scope == RETENTION_OF_MAKER)
		return strcmp(set->maker, maker) == 0;
	return set->scope == RETENTION_OF_EVERY || !named;
}

void model_period(uint64_t at_us, enum retention_level level, char out[LABEL])
{
	struct tm tm = model_local(at_us);
	time_t t = (time_t)(at_us / SECOND_US);

	if (level == RETENTION_HOURLY)
		gmtime_r(&t, &tm);
	switch (level) {
	case RETENTION_HOURLY:
		strftime(out, LABEL, "%Y-%m-%d %H", &tm);
		break;
	case RETENTION_DAILY:
		strftime(out, LABEL, "%Y-%m-%d", &tm);
		break;
	case RETENTION_WEEKLY:
		strftime(out, LABEL, "%G-%V", &tm);
		break;
	case RETENTION_MONTHLY:
		strftime(out, LABEL, "%Y-%m", &tm);
		break;
	default:
		strftime(out, LABEL, "%Y", &tm);
	}
}

/* So many days before: the first moment with that local time, or what it would have been. */
static uint64_t model_days_before(uint64_t at_us, uint32_t days)
{
	struct tm want = model_local(at_us), tm;
	int64_t wanted = (int64_t)timegm(&want) - (int64_t)days * 86400, most = -86400;

	for (int64_t off = 15 * 3600; off >= -15 * 3600; off -= 900) {
		tm = model_local((uint64_t)(wanted - off) * SECOND_US);
		if (tm.tm_gmtoff == off)
			return (uint64_t)(wanted - off) * SECOND_US + at_us % SECOND_US;
	}
	for (int64_t d = -86400; d <= 86400; d += 2 * 86400)
		most = MAX(most, model_local((uint64_t)(wanted + d) * SECOND_US).tm_gmtoff);
	return (uint64_t)(wanted - most) * SECOND_US + at_us % SECOND_US;
}

static bool model_newer(const struct retention_point *a, const struct retention_point *b)
{
	if (a->instant_us != b->instant_us)
		return a->instant_us > b->instant_us;
	if (a->committed_us != b->committed_us)
		return a->committed_us > b->committed_us;
	return strcmp(a->id, b->id) > 0;
}

void model_count(const struct plan *l, const struct retention_set *set, bool damaged_too,
		 struct counted *c)
{
	c->n = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct retention_point *p = &l->p[i];
		size_t k = c->n;

		if (p->state > (damaged_too ? RETENTION_DAMAGED : RETENTION_GOOD) ||
		    p->instant_us > l->now || (set && !model_is_for(&l->r, set, p->maker)))
			continue;
		for (; k > 0 && model_newer(p, c->p[k - 1]); k--)
			c->p[k] = c->p[k - 1];
		c->p[k] = p;
		c->n++;
	}
}

static bool model_level(const struct counted *c, const struct counted *plan, size_t i,
			enum retention_level level, uint32_t number)
{
	char mine[LABEL], label[LABEL], last[LABEL] = "";
	uint32_t periods = 0;
	bool keep = false;

	if (number == RETENTION_ALL && level <= RETENTION_DAYS)
		return true;
	if (level == RETENTION_LAST)
		return i < number;
	if (level == RETENTION_HOURS)
		return c->p[i]->instant_us > plan->p[0]->instant_us - number * 3600ULL * SECOND_US;
	if (level == RETENTION_DAYS)
		return c->p[i]->instant_us > model_days_before(plan->p[0]->instant_us, number);
	model_period(c->p[i]->instant_us, level, mine);
	for (size_t k = 0; k < c->n; k++) {
		model_period(c->p[k]->instant_us, level, label);
		if (strcmp(label, last) == 0)
			continue;
		periods++;
		keep |= k == i && periods <= number;
		snprintf(last, sizeof(last), "%s", label);
	}
	return keep || (i == c->n - 1 && periods < number);
}

static bool model_set(const struct retention_set *set, const struct counted *c,
		      const struct counted *plan, size_t i)
{
	uint32_t last = set->keep[RETENTION_LAST], days = set->keep[RETENTION_DAYS];
	bool keep = false;

	if (set->both && last && days)
		return model_level(c, plan, i, RETENTION_LAST, last) &&
		       model_level(c, plan, i, RETENTION_DAYS, days);
	for (enum retention_level v = 0; v < RETENTION_LEVELS; v++)
		keep |= set->keep[v] && model_level(c, plan, i, v, set->keep[v]);
	return keep;
}

/* Whether a counted point stays, of those that count when this one does. */
static bool model_counted(const struct plan *l, const struct retention_point *p)
{
	bool damaged_too = p->state == RETENTION_DAMAGED, keep = false, covered = false;
	struct counted plan, c;

	model_count(l, NULL, damaged_too, &plan);
	for (size_t s = 0; s < l->r.n_sets; s++) {
		const struct retention_set *set = &l->r.sets[s];

		model_count(l, set, damaged_too, &c);
		for (size_t i = 0; i < c.n; i++) {
			if (c.p[i] != p)
				continue;
			covered = true;
			keep |= set->forever;
			keep |= model_set(set, &c, &plan, i);
		}
	}
	for (size_t i = 0; i < plan.n; i++)
		keep |= plan.p[i] == p && i < MAX(l->r.minimum, 1);
	for (size_t i = 0; i < plan.n && l->r.proven; i++) {
		if (!plan.p[i]->verified || plan.p[i]->state)
			continue;
		keep |= plan.p[i] == p;
		break;
	}
	return keep || !covered;
}

bool model_keeps(const struct plan *l, const struct retention_point *p)
{
	uint64_t ended = MAX(p->instant_us, p->committed_us);

	if (p->held || p->locked_until_us > l->now || p->state == RETENTION_UNFINISHED)
		return true;
	if (p->state != RETENTION_FAILED)
		return p->instant_us > l->now || model_counted(l, p);
	if (ended + l->r.failed_days * DAY_US > l->now)
		return true;
	for (size_t i = 0; i < l->n; i++) {
		uint64_t other = MAX(l->p[i].instant_us, l->p[i].committed_us);

		if (l->p[i].state == RETENTION_FAILED &&
		    (other > ended || (other == ended && strcmp(l->p[i].id, p->id) > 0)))
			return false;
	}
	return true;
}
