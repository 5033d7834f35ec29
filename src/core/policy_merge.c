/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sets of all policies stand side by side, each policy's in a group of its own, so that a point
 * is kept as long as any of them keeps it, and nothing that one policy says changes what another
 * one counts. For the rest see policy.h: the stricter holds.
 */
#include "core/policy_priv.h"

#include <stdio.h>
#include <string.h>

/* 0: no limit. */
static uint64_t stricter(uint64_t a, uint64_t b)
{
	return a && b ? MIN(a, b) : MAX(a, b);
}

const char *policy_stricter_consistency(const char *a, const char *b)
{
	static const char *const order[] = {"required", "best-effort", "off"};

	if (!a || !b)
		return a ? a : b;
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (strcmp(a, order[i]) == 0 || strcmp(b, order[i]) == 0)
			return order[i];
	return a;
}

static void add_sets(struct retention_set **sets, size_t *n, const struct retention_set *more,
		     size_t n_more)
{
	*sets = xreallocarray(*sets, *n + n_more + 1, sizeof(**sets));
	if (n_more > 0)
		memcpy(*sets + *n, more, n_more * sizeof(*more));
	*n += n_more;
}

/* The schedules of one policy, under their names in the merged one, and its sets. */
static void add_schedules(struct policy *p, const struct policy *part, const char *id,
			  unsigned group)
{
	size_t first = p->n_sets;

	p->schedules = xreallocarray(p->schedules, p->n_schedules + part->n_schedules + 1,
				     sizeof(*p->schedules));
	add_sets(&p->sets, &p->n_sets, part->sets, part->n_sets);
	for (size_t i = 0; i < part->n_schedules; i++) {
		struct policy_schedule *s = &p->schedules[p->n_schedules++];

		*s = part->schedules[i];
		s->lent = true;
		s->name = id ? xasprintf("%s/%s", id, s->name) : xstrdup(s->name);
		p->sets[first + i].maker = s->name;
	}
	p->schedules[p->n_schedules] = (struct policy_schedule){0};
	for (size_t i = first; i < p->n_sets; i++)
		p->sets[i].group = group;
	/* That nothing was said of manual points is not a demand. */
	if (!part->manual)
		p->sets[first + part->n_schedules] = (struct retention_set){.group = group};
}

static void add_rest(struct policy *p, const struct policy *part, bool mandatory)
{
	p->manual |= part->manual;
	p->others |= part->others;
	p->minimum = MAX(p->minimum, part->minimum);
	p->failed_days = MAX(p->failed_days, part->failed_days);
	p->keep_verified |= part->keep_verified;
	p->consistency = policy_stricter_consistency(p->consistency, part->consistency);
	if (part->window.given && (mandatory || !p->window.given))
		p->window = part->window;
	p->bandwidth = stricter(p->bandwidth, part->bandwidth);
	p->concurrent = (uint32_t)stricter(p->concurrent, part->concurrent);
	p->rpo_s = (uint32_t)stricter(p->rpo_s, part->rpo_s);
	if ((part->verify_days || part->verify_after) && !part->verify_structure)
		p->verify_structure = false;
	else if (!p->verify_days && !p->verify_after)
		p->verify_structure = part->verify_structure;
	p->verify_days = (uint32_t)stricter(p->verify_days, part->verify_days);
	p->verify_after = (uint32_t)stricter(p->verify_after, part->verify_after);
}

static struct policy_copy *find_copy(struct policy *p, const char *provider)
{
	for (size_t i = 0; i < p->n_copies; i++)
		if (strcmp(p->copies[i].provider, provider) == 0)
			return &p->copies[i];
	return NULL;
}

/* After all sets are there. */
static void add_copies(struct policy *p, const struct policy *part)
{
	p->copies = xreallocarray(p->copies, p->n_copies + part->n_copies + 1, sizeof(*p->copies));
	for (size_t i = 0; i < part->n_copies; i++) {
		const struct policy_copy *from = &part->copies[i];
		struct policy_copy *to = find_copy(p, from->provider);

		if (!to) {
			to = &p->copies[p->n_copies++];
			*to = (struct policy_copy){0};
			memcpy(to->provider, from->provider, sizeof(to->provider));
		}
		to->awaited |= from->awaited;
		/* Those without a retention of their own ask for that of the checkpoints. */
		if (from->n_sets > 0)
			add_sets(&to->sets, &to->n_sets, from->sets, from->n_sets);
		else
			add_sets(&to->sets, &to->n_sets, p->sets, p->n_sets);
	}
}

static void set_zone(struct policy *p, const struct policy *part)
{
	if (!part || p->zone_given || (p->zone && !part->zone_given))
		return;
	zone_unref(p->zone);
	p->zone = zone_ref(part->zone);
	p->zone_given = part->zone_given;
}

struct policy *policy_merge(const struct policy *own, const struct policy_mandatory *mandatory,
			    size_t n)
{
	struct policy *p = policy_new();

	p->failed_days = own || n > 0 ? 0 : p->failed_days;
	if (own) {
		add_schedules(p, own, NULL, 0);
		add_rest(p, own, false);
	}
	for (size_t i = 0; i < n; i++) {
		add_schedules(p, mandatory[i].policy, mandatory[i].id, (unsigned)i + 1);
		add_rest(p, mandatory[i].policy, true);
	}
	if (!p->manual)
		add_sets(&p->sets, &p->n_sets,
			 &(struct retention_set){.maker = RETENTION_MANUAL, .forever = true}, 1);
	if (own)
		add_copies(p, own);
	for (size_t i = 0; i < n; i++) {
		add_copies(p, mandatory[i].policy);
		set_zone(p, mandatory[i].policy);
	}
	set_zone(p, own);
	return p;
}
