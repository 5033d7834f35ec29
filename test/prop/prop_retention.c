/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention against a plain model of it, over random plans and rules, in zones with all kinds of
 * clock changes; what must hold whatever the rules; the simulation against doing it step by step;
 * and years of hourly points, of which every promised period must have one at every moment.
 *
 * HF_SEED gives another seed, HF_HISTORIES how many plans.
 */
#include "retention_model.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Summer time, summer time of half an hour in the south, midnight that comes twice, none. */
static const char *const zones[] = {"CET-1CEST,M3.5.0,M10.5.0/3",
				    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
				    "<-04>4<-03>,M9.1.6/24,M4.1.6/24", "UTC0"};

static void set_zone(size_t i)
{
	setenv("TZ", zones[i % ARRAY_LEN(zones)], 1);
	tzset();
}

static int32_t local_offset(void *arg, int64_t unix_s)
{
	(void)arg;
	return (int32_t)model_local((uint64_t)unix_s * SECOND_US).tm_gmtoff;
}

static const struct retention_zone zone = {local_offset, NULL};

static uint64_t below(struct plan *l, uint64_t n)
{
	return random_below(&l->rnd, n);
}

static const char *const makers[] = {"s", "t", RETENTION_MANUAL, "gone"};

static void random_set(struct plan *l, struct retention_set *set)
{
	*set = (struct retention_set){.maker = makers[set - l->sets]};
	if (set == &l->sets[3])
		set->scope = below(l, 2) ? RETENTION_OF_EVERY : RETENTION_OF_OTHERS;
	set->forever = below(l, 10) == 0;
	set->both = below(l, 4) == 0;
	set->group = (unsigned)below(l, 2);
	for (size_t i = 0; i < RETENTION_LEVELS; i++)
		if (below(l, 3) == 0)
			set->keep[i] = below(l, 12) ? 1 + (uint32_t)below(l, 8) : RETENTION_ALL;
}

static void random_plan(struct plan *l, uint64_t seed)
{
	static const uint64_t steps[] = {600 * SECOND_US, DAY_US / 24, DAY_US / 4,
					 DAY_US,	  9 * DAY_US,  100 * DAY_US};
	uint64_t at = 1790000000 * SECOND_US;

	*l = (struct plan){.rnd = {seed * 2 + 1}};
	set_zone(seed);
	at += below(l, 1000) * DAY_US;
	l->n = below(l, MOST);
	for (size_t i = 0; i < l->n; i++) {
		at += below(l, steps[below(l, ARRAY_LEN(steps))]) / (60 * SECOND_US) * 60 *
		      SECOND_US;
		snprintf(l->names[i], sizeof(l->names[i]), "%zu", i);
		l->p[i] = (struct retention_point){.id = l->names[i],
						   .maker = makers[below(l, 8) % 5 % 4],
						   .instant_us = at,
						   .committed_us = at + below(l, DAY_US),
						   .verified = below(l, 6) == 0,
						   .held = below(l, 12) == 0};
		if (below(l, 6) == 0)
			l->p[i].state = (enum retention_state)below(l, 4);
		if (below(l, 12) == 0)
			l->p[i].locked_until_us = at + below(l, 100 * DAY_US);
	}
	l->now = at + below(l, 3) * DAY_US;
	if (below(l, 8) == 0 && l->n > 2)
		l->now = l->p[l->n - 2].instant_us;
	for (size_t i = 0; i < 4; i++)
		random_set(l, &l->sets[i]);
	l->r = (struct retention){.sets = l->sets,
				  .n_sets = below(l, 5),
				  .minimum = (uint32_t)below(l, 4),
				  .failed_days = (uint32_t)below(l, 20),
				  .proven = below(l, 2)};
}

/* Put the points in another order. */
static void shuffle(struct plan *l)
{
	for (size_t i = l->n; i > 1; i--) {
		size_t k = below(l, i);
		struct retention_point p = l->p[i - 1];

		l->p[i - 1] = l->p[k];
		l->p[k] = p;
	}
}

/* ---- what must hold ---- */

static void decide(const struct plan *l, struct retention_result *res)
{
	retention_decide(&l->r, l->p, l->n, NULL, 0, l->now, &zone, res);
}

static void check_model(const struct plan *l, uint64_t seed)
{
	struct retention_result res;
	char text[RETENTION_TEXT];

	decide(l, &res);
	for (size_t i = 0; i < l->n; i++) {
		const struct retention_verdict *v = &res.verdicts[i];

		if (v->keep != model_keeps(l, &l->p[i]))
			fail_msg("seed %llu: point %s is %s, and should not be: %s",
				 (unsigned long long)seed, l->p[i].id, v->keep ? "kept" : "removed",
				 retention_reason_text(&l->r, &res.reasons[v->first_reason], text));
		assert_true(v->n_reasons > 0);
		assert_true(v->goes_at_us >= l->now || v->goes_at_us == 0);
		for (size_t k = 0; k < v->n_reasons; k++)
			assert_int_equal(res.reasons[v->first_reason + k].why >=
						 RETENTION_NOT_COUNTED,
					 !v->keep);
	}
	retention_result_done(&res);
}

/* Take away what goes; returns how many that were. */
static size_t apply(struct plan *l)
{
	struct retention_result res;
	size_t n = 0, gone;

	decide(l, &res);
	for (size_t i = 0; i < l->n; i++)
		if (res.verdicts[i].keep)
			l->p[n++] = l->p[i];
	gone = l->n - n;
	l->n = n;
	retention_result_done(&res);
	return gone;
}

static size_t good(const struct plan *l)
{
	struct counted c;

	model_count(l, NULL, false, &c);
	return c.n;
}

static void check_safety(const struct plan *l, uint64_t seed)
{
	struct plan after = *l;
	size_t before = good(l), least = MIN(before, MAX(l->r.minimum, 1));

	after.r.sets = after.sets;
	apply(&after);
	if (good(&after) < least)
		fail_msg("seed %llu: %zu good points are left of %zu", (unsigned long long)seed,
			 good(&after), before);
	if (apply(&after) != 0)
		fail_msg("seed %llu: the second time removes more", (unsigned long long)seed);
}

/* More of any rule never removes more. */
static void check_more_keeps_more(struct plan *l, uint64_t seed)
{
	struct retention_result less, more;
	struct plan other = *l;
	struct retention_set *set = &other.sets[below(l, 4)];
	uint32_t *number = &set->keep[below(l, RETENTION_LEVELS)];

	/* Then its points were not judged at all, or only one of both limits was set. */
	if (model_empty(set) || set->both)
		return;
	other.r.sets = other.sets;
	*number = *number == RETENTION_ALL ? *number : *number + 1 + (uint32_t)below(l, 3);
	other.r.minimum += (uint32_t)below(l, 2);
	other.r.failed_days += (uint32_t)below(l, 2);
	decide(l, &less);
	decide(&other, &more);
	for (size_t i = 0; i < l->n; i++)
		if (less.verdicts[i].keep && !more.verdicts[i].keep)
			fail_msg("seed %llu: more rules remove point %s", (unsigned long long)seed,
				 l->p[i].id);
	retention_result_done(&less);
	retention_result_done(&more);
}

/* What one policy keeps, stays when others are put beside it. */
static void check_groups(const struct plan *l, uint64_t seed)
{
	struct retention_result all, some;
	struct retention_set sets[4];
	struct plan one = *l;

	decide(l, &all);
	for (unsigned group = 0; group < 2; group++) {
		one.r.sets = sets;
		one.r.n_sets = 0;
		for (size_t i = 0; i < l->r.n_sets; i++)
			if (l->sets[i].group == group)
				sets[one.r.n_sets++] = l->sets[i];
		decide(&one, &some);
		for (size_t i = 0; i < l->n; i++) {
			const struct retention_verdict *v = &some.verdicts[i];

			/* That no rule is for it is not a promise. */
			if (!v->keep || all.verdicts[i].keep ||
			    some.reasons[v->first_reason].why == RETENTION_UNCOVERED)
				continue;
			fail_msg("seed %llu: point %s goes because of another policy",
				 (unsigned long long)seed, l->p[i].id);
		}
		retention_result_done(&some);
	}
	retention_result_done(&all);
}

/* Step by step: the points that there were, those that firings made, and who lives. */
struct steps {
	struct retention_point all[MOST + 25];
	bool alive[MOST + 25];
	size_t n;
};

static void apply_step(struct steps *s, const struct plan *l, uint64_t now_us)
{
	struct retention_point some[MOST + 25] = {0};
	size_t from[MOST + 25], left = 0;
	struct retention_result r;

	for (size_t i = 0; i < s->n; i++)
		if (s->alive[i]) {
			from[left] = i;
			some[left++] = s->all[i];
		}
	retention_decide(&l->r, some, left, NULL, 0, now_us, &zone, &r);
	for (size_t i = 0; i < left; i++)
		s->alive[from[i]] = r.verdicts[i].keep;
	retention_result_done(&r);
}

static void check_step(const struct steps *s, const struct plan *l,
		       const struct retention_timeline *t, const struct retention_result *res,
		       uint64_t now_us, uint64_t seed)
{
	for (size_t i = 0; i < t->n; i++) {
		size_t k = t->lives[i].index + (t->lives[i].future ? l->n : 0);
		uint64_t gone = t->lives[i].gone_us;

		if (k < s->n && (gone == 0 || gone > now_us) != s->alive[k])
			fail_msg("seed %llu: point %zu of %zu should %s", (unsigned long long)seed,
				 k, s->n, s->alive[k] ? "live" : "have gone");
		if (k >= l->n)
			continue;
		gone = res->verdicts[k].goes_at_us;
		if ((gone == 0 || gone > now_us) != s->alive[k])
			fail_msg("seed %llu: point %zu goes at another time",
				 (unsigned long long)seed, k);
	}
}

/* The simulation, and the foretold end of each point, are what happens step by step. */
static void check_simulation(struct plan *l, uint64_t seed)
{
	struct retention_firing f[25];
	struct retention_timeline t;
	struct retention_result res;
	struct steps s = {.n = l->n};
	size_t n_f = below(l, 25);
	uint64_t at;

	for (size_t i = 0; i < l->n; i++) /* what comes from the future is not foretold */
		l->now = MAX(l->now, l->p[i].instant_us);
	at = l->now;
	for (size_t i = 0; i < n_f; i++) {
		at += 1 + below(l, below(l, 2) ? DAY_US / 12 : 20 * DAY_US);
		f[i] = (struct retention_firing){makers[below(l, 2)], at};
	}
	memcpy(s.all, l->p, l->n * sizeof(s.all[0]));
	memset(s.alive, true, l->n);
	retention_decide(&l->r, l->p, l->n, f, n_f, l->now, &zone, &res);
	retention_simulate(&l->r, l->p, l->n, f, n_f, l->now, at, &zone, &t);
	apply_step(&s, l, l->now);
	check_step(&s, l, &t, &res, l->now, seed);
	for (size_t i = 0; i < n_f; i++) {
		s.all[s.n] = (struct retention_point){
			.id = "", .maker = f[i].maker, .instant_us = f[i].instant_us};
		s.alive[s.n++] = true;
		apply_step(&s, l, f[i].instant_us);
		check_step(&s, l, &t, &res, f[i].instant_us, seed);
	}
	retention_result_done(&res);
	retention_timeline_done(&t);
}

static void test_random_plans(void **state)
{
	const char *often = getenv("HF_HISTORIES");
	uint64_t n = often ? strtoull(often, NULL, 10) : 2000, first = random_seed();

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		struct plan l;

		random_plan(&l, first + i);
		check_model(&l, first + i);
		check_safety(&l, first + i);
		check_more_keeps_more(&l, first + i);
		check_groups(&l, first + i);
		shuffle(&l);
		check_model(&l, first + i);
		check_simulation(&l, first + i);
	}
}

/* ---- years ---- */

/* The names of the newest periods that had a good point. */
struct promised {
	char names[64][LABEL];
	size_t n;
};

static void promise(struct promised *p, enum retention_level level, uint64_t at_us, uint32_t number)
{
	char name[LABEL];

	model_period(at_us, level, name);
	if (p->n && strcmp(p->names[p->n - 1], name) == 0)
		return;
	if (p->n == number) {
		memmove(p->names[0], p->names[1], (p->n - 1) * LABEL);
		p->n--;
	}
	memcpy(p->names[p->n++], name, LABEL);
}

static void check_promise(const struct promised *p, enum retention_level level,
			  const struct retention_point *points, size_t n)
{
	char name[LABEL];
	size_t at = 0;

	for (size_t i = 0; i < n && at < p->n; i++) {
		model_period(points[i].instant_us, level, name);
		at += strcmp(name, p->names[at]) == 0;
	}
	if (at < p->n)
		fail_msg("%s: no point of %s, %zu of %zu", retention_level_name(level),
			 p->names[at], at + 1, p->n);
}

/* Points every `step_us` for years, retention after each; some fail, some are found damaged. */
static void live_for_years(uint64_t step_us, unsigned years, size_t zone_number)
{
	static const enum retention_level levels[] = {RETENTION_HOURLY, RETENTION_DAILY,
						      RETENTION_WEEKLY, RETENTION_MONTHLY,
						      RETENTION_YEARLY};
	const struct retention_set set = {.maker = "s",
					  .keep = {[RETENTION_LAST] = 3,
						   [RETENTION_DAYS] = 2,
						   [RETENTION_HOURLY] = 12,
						   [RETENTION_DAILY] = 7,
						   [RETENTION_WEEKLY] = 5,
						   [RETENTION_MONTHLY] = 12,
						   [RETENTION_YEARLY] = 3}};
	const struct retention r = {.sets = &set, .n_sets = 1};
	struct promised promised[ARRAY_LEN(levels)] = {0};
	uint64_t at = 1830000000 * SECOND_US, end; /* 2027-12-28: over a leap day */
	struct random rnd = {random_seed()};
	static struct retention_point p[200];
	size_t n = 0, most = 0;

	set_zone(zone_number);
	for (end = at + years * 365 * DAY_US; at < end; at += step_us) {
		struct retention_result res;
		size_t left = 0;

		if (random_below(&rnd, 20) == 0)
			continue; /* it failed */
		assert_true(n < ARRAY_LEN(p));
		p[n++] = (struct retention_point){.id = "", .maker = "s", .instant_us = at};
		for (size_t i = 0; i < ARRAY_LEN(levels); i++)
			promise(&promised[i], levels[i], at, set.keep[levels[i]]);
		retention_decide(&r, p, n, NULL, 0, at, &zone, &res);
		for (size_t i = 0; i < n; i++)
			if (res.verdicts[i].keep)
				p[left++] = p[i];
		n = left;
		most = MAX(most, n);
		retention_result_done(&res);
		for (size_t i = 0; i < ARRAY_LEN(levels); i++)
			check_promise(&promised[i], levels[i], p, n);
	}
	/* Each level was full, and no more was kept than what was asked for. */
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		assert_int_equal(promised[i].n, MIN(set.keep[levels[i]], i == 4 ? years : 100));
	assert_true(most <= 3 + 12 + 7 + 5 + 12 + 3 + 1 + 2 * DAY_US / step_us + 2);
}

static void test_years(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		live_for_years(DAY_US, 3, i);
		live_for_years(DAY_US / 24 + 7 * SECOND_US, 3, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_plans),
		cmocka_unit_test(test_years),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
