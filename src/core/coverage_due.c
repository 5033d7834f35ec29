/* SPDX-License-Identifier: Apache-2.0 */
#include "core/coverage_due.h"

#include <stdio.h>

#include "base/uuid.h"
#include "core/json.h"
#include "core/policy_store.h"
#include "sched/schedule.h"

#define SECOND_US UINT64_C(1000000)
#define TOOK_MOST_US (UINT64_C(7) * 86400 * SECOND_US)

struct promise {
	char trigger[UUID_TEXT];
	struct schedule *schedule;
	uint64_t from_us;
};

struct promises {
	struct promise *v;
	size_t n;
	struct policy *policy; /* whose window and rpo count; or NULL */
};

struct promises *promises_new(void)
{
	return xcalloc(1, sizeof(struct promises));
}

void promises_free(struct promises *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		schedule_free(p->v[i].schedule);
	free(p->v);
	policy_free(p->policy);
	free(p);
}

void promises_within(struct promises *p, struct policy *policy)
{
	policy_free(p->policy);
	p->policy = policy;
}

void promises_add(struct promises *p, struct zones *zones, const char *trigger,
		  const char *properties, uint64_t from_us)
{
	json_t *o = json_of(properties, "{}");
	struct promise a = {.schedule = schedule_parse(o, zones, from_us, NULL),
			    .from_us = from_us};

	snprintf(a.trigger, sizeof(a.trigger), "%s", trigger);
	json_decref(o);
	if (!a.schedule)
		return;
	p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
	p->v[p->n++] = a;
}

struct promises *promises_load(struct db_tx *t, struct zones *zones, const char *plan,
			       struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT t.id, t.properties, t.updated_at, s.updated_at FROM "
		     "scheduled_operations s JOIN triggers t ON t.id = s.trigger_id WHERE "
		     "s.plan_id = $1 AND s.operation_type = 'protect' AND s.enabled = 1 AND "
		     "t.enabled = 1 AND t.type = 'time' ORDER BY t.id",
		     db_t(plan));
	AUTO(promises) p = promises_new();
	AUTO(plan_policy) policies = NULL;
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		promises_add(p, zones, db_text(r, 0), db_text(r, 1),
			     (uint64_t)MAX(db_int(r, 2), db_int(r, 3)));
	if (have < 0 || plan_policy_of(t, zones, plan, &policies, e) < 0)
		return NULL;
	if (policies)
		promises_within(p, steal(&policies->merged));
	return steal(&p);
}

/* When a firing at `at_us` could have begun at the latest. */
static uint64_t latest(const struct promises *p, const struct promise *a, uint64_t at_us)
{
	uint64_t begin = schedule_begin(a->schedule, a->trigger, at_us);

	if (p->policy)
		begin = policy_window_opens(p->policy, begin);
	return begin + schedule_window_s(a->schedule) * SECOND_US;
}

uint64_t promises_due(const struct promises *p, uint64_t made_us, uint64_t took_us)
{
	uint64_t due = 0;

	if (p->policy && p->policy->rpo_s)
		return made_us + p->policy->rpo_s * SECOND_US;
	for (size_t i = 0; i < p->n; i++) {
		const struct promise *a = &p->v[i];
		uint64_t at;

		if (!schedule_next(a->schedule, MAX(made_us, a->from_us), &at))
			continue;
		at = latest(p, a, at) + 2 * MIN(took_us, TOOK_MOST_US);
		if (!due || at < due)
			due = at;
	}
	return due;
}
