/* SPDX-License-Identifier: Apache-2.0 */
#include "core/limits.h"

#include <string.h>

#include "core/policy_store.h"
#include "core/table.h"

void limits_done(struct limits *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->keys[i]);
	l->n = 0;
}

void limits_add(struct limits *l, const char *kind, const char *id)
{
	if (l->n < LIMITS_MOST)
		l->keys[l->n++] = xasprintf("%s:%s", kind, id);
}

int limits_of_plan(struct core *c, struct db_tx *t, const char *plan, const char *repository,
		   struct limits *l, struct err *e)
{
	AUTO(plan_policy) p = NULL;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT target_id FROM repositories WHERE id = $1", db_t(repository));
	int have = r ? db_next(r, e) : -1;

	if (have < 0 || plan_policy_of(t, c->zones, plan, &p, e) < 0)
		return -1;
	if (have > 0)
		limits_add(l, "target", db_text(r, 0));
	if (p && p->own && p->own->concurrent)
		limits_add(l, "policy", p->own_id);
	for (size_t i = 0; p && i < p->n; i++)
		if (p->parts[i].policy->concurrent)
			limits_add(l, "policy", p->parts[i].id);
	return 0;
}

void limits_of_step(const struct limits *l, struct flow_step_new *s)
{
	s->limits = (const char *const *)l->keys;
	s->n_limits = l->n;
}

/* ---- what movers are told ---- */

static void set_pace(const struct policy *p, json_t *o)
{
	if (p->bandwidth)
		json_object_set_new(o, "bytes_per_s", json_integer((json_int_t)p->bandwidth));
}

int limits_add_pace(struct core *c, struct db_tx *t, const char *plan, json_t *o, struct err *e)
{
	AUTO(plan_policy) p = NULL;

	if (plan_policy_of(t, c->zones, plan, &p, e) < 0)
		return -1;
	if (p)
		set_pace(p->merged, o);
	return 0;
}

static bool is_full(const struct policy *p, const char *maker)
{
	for (size_t i = 0; i < p->n_schedules; i++)
		if (p->schedules[i].full && strcmp(p->schedules[i].name, maker) == 0)
			return true;
	return false;
}

int limits_add_ways(struct core *c, struct db_tx *t, const char *plan, const char *maker, json_t *o,
		    struct err *e)
{
	AUTO(plan_policy) p = NULL;
	const char *consistency;

	if (plan_policy_of(t, c->zones, plan, &p, e) < 0)
		return -1;
	if (!p)
		return 0;
	set_pace(p->merged, o);
	consistency = policy_stricter_consistency(
		json_string_value(json_object_get(o, "consistency")), p->merged->consistency);
	if (consistency && p->merged->consistency)
		json_object_set_new(o, "consistency", json_string(consistency));
	if (is_full(p->merged, maker))
		json_object_set_new(o, "full", json_true());
	return 0;
}
