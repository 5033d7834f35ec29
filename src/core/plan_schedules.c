/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan_schedules.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/coverage.h"
#include "core/plan.h"
#include "core/policy_store.h"
#include "core/scheduled.h"
#include "core/trigger.h"

#define PLANS_MOST 10000 /* that one change of a policy reaches */

/* ---- one schedule ---- */

static int remove_one(struct db_tx *t, const char *plan, const char *name, const char *trigger,
		      const char *scheduled, struct err *e)
{
	struct err why = {ERR_NONE};

	/* Somebody may have removed them by hand. */
	if (scheduled_remove(t, NULL, scheduled, &why) < 0 && why.kind != ERR_NOENT)
		goto failed;
	why.kind = ERR_NONE;
	if (trigger_remove(t, NULL, trigger, &why) < 0 && why.kind != ERR_NOENT &&
	    why.kind != ERR_BUSY) /* something else uses it, too: it stays */
		goto failed;
	return db_exec(t, NULL, e, "DELETE FROM plan_schedules WHERE plan_id = $1 AND name = $2",
		       db_t(plan), db_t(name));
failed:
	if (e)
		*e = why;
	return -1;
}

static int make_trigger(struct core *c, struct db_tx *t, const struct plan *p,
			const struct policy_schedule *s, char ret_id[UUID_TEXT], struct err *e)
{
	AUTO(trigger) g = xcalloc(1, sizeof(*g));

	snprintf(g->project, sizeof(g->project), "%s", p->project);
	g->name = xasprintf("%.120s: %.60s", p->name, s->name);
	g->type = xstrdup(TRIGGER_TIME);
	g->properties = json_deep_copy(s->trigger);
	g->enabled = true;
	if (trigger_insert(t, c->zones, g, "policy", clock_wall_us(), NULL, e) < 0)
		return -1;
	memcpy(ret_id, g->id, UUID_TEXT);
	return 0;
}

static int make_scheduled(struct db_tx *t, const struct plan *p, const struct policy_schedule *s,
			  const char *trigger, char ret_id[UUID_TEXT], struct err *e)
{
	AUTO(scheduled_operation) o = xcalloc(1, sizeof(*o));

	snprintf(o->project, sizeof(o->project), "%s", p->project);
	snprintf(o->trigger, sizeof(o->trigger), "%s", trigger);
	o->name = xasprintf("%.120s: %.60s", p->name, s->name);
	o->operation_type = xstrdup("protect");
	o->definition = json_pack("{s:s, s:s, s:s}", "plan_id", p->id, "provider_id", p->provider,
				  "schedule", s->name);
	o->created_by = xstrdup("policy");
	o->enabled = !p->paused;
	if (scheduled_insert(t, o, clock_wall_us(), e) < 0)
		return -1;
	memcpy(ret_id, o->id, UUID_TEXT);
	return 0;
}

static int make_one(struct core *c, struct db_tx *t, const struct plan *p,
		    const struct policy_schedule *s, const char *properties, struct err *e)
{
	char trigger[UUID_TEXT], scheduled[UUID_TEXT];

	if (make_trigger(c, t, p, s, trigger, e) < 0 ||
	    make_scheduled(t, p, s, trigger, scheduled, e) < 0)
		return -1;
	return db_exec(t, NULL, e,
		       "INSERT INTO plan_schedules (plan_id, name, properties, trigger_id, "
		       "scheduled_operation_id) VALUES ($1, $2, $3, $4, $5)",
		       db_t(p->id), db_t(s->name), db_t(properties), db_t(trigger),
		       db_t(scheduled));
}

/* ---- all of a plan ---- */

/* Whether the policies still have the schedule of that name, with these properties. */
static bool is_wanted(const struct policy *p, const char *name, const char *properties)
{
	for (size_t i = 0; p && i < p->n_schedules; i++) {
		const struct policy_schedule *s = &p->schedules[i];
		AUTO_FREE char *now = NULL;

		if (!s->trigger || strcmp(s->name, name) != 0)
			continue;
		now = json_text(s->trigger);
		return strcmp(now, properties) == 0;
	}
	return false;
}

static int remove_old(struct db_tx *t, const char *plan, const struct policy *p, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT name, properties, trigger_id, scheduled_operation_id FROM "
		     "plan_schedules WHERE plan_id = $1",
		     db_t(plan));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (is_wanted(p, db_text(r, 0), db_text(r, 1)))
			continue;
		if (remove_one(t, plan, db_text(r, 0), db_text(r, 2), db_text(r, 3), e) < 0)
			return -1;
	}
	return have;
}

static int has(struct db_tx *t, const char *plan, const char *name, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT 1 FROM plan_schedules WHERE plan_id = $1 AND name = $2",
		     db_t(plan), db_t(name));

	return r ? db_next(r, e) : -1;
}

static int add_new(struct core *c, struct db_tx *t, const struct plan *p,
		   const struct policy *policy, struct err *e)
{
	for (size_t i = 0; i < policy->n_schedules; i++) {
		const struct policy_schedule *s = &policy->schedules[i];
		AUTO_FREE char *properties = s->trigger ? json_text(s->trigger) : NULL;
		int there = properties ? has(t, p->id, s->name, e) : 1;

		if (there < 0 || (!there && make_one(c, t, p, s, properties, e) < 0))
			return -1;
	}
	return 0;
}

int plan_schedules_pause(struct db_tx *t, const char *plan, bool paused, struct err *e)
{
	return db_exec(t, NULL, e,
		       "UPDATE scheduled_operations SET enabled = $2 WHERE id IN (SELECT "
		       "scheduled_operation_id FROM plan_schedules WHERE plan_id = $1)",
		       db_t(plan), db_i(!paused));
}

int plan_schedules_clear(struct db_tx *t, const char *plan, struct err *e)
{
	return remove_old(t, plan, NULL, e);
}

int plan_schedules_sync(struct core *c, struct db_tx *t, const char *plan, struct err *e)
{
	struct err why = {ERR_NONE};
	AUTO(plan) p = plan_load(t, NULL, plan, &why);
	AUTO(plan_policy) all = NULL;

	if (!p && why.kind == ERR_NOENT)
		return remove_old(t, plan, NULL, e);
	if (!p) {
		if (e)
			*e = why;
		return -1;
	}
	all = plan_policy_load(t, c->zones, p->project, p->policy, NULL, clock_wall_us(), e);
	if (!all || remove_old(t, plan, all->merged, e) < 0 || add_new(c, t, p, all->merged, e) < 0)
		return -1;
	return coverage_points(t, c->zones, plan, e);
}

int plan_schedules_sync_policy(struct core *c, struct db_tx *t, const char *policy,
			       const char *project, bool mandatory, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id FROM plans WHERE policy_id = $1 OR ($2 = 1 AND ($3 = '' OR "
		     "project_id = $3)) LIMIT $4",
		     db_t(policy), db_i(mandatory), db_t(project ? project : ""), db_i(PLANS_MOST));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		if (plan_schedules_sync(c, t, db_text(r, 0), e) < 0)
			return -1;
	return have;
}
