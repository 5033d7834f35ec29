/* SPDX-License-Identifier: Apache-2.0 */
#include "core/window.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/operation.h"
#include "core/policy_store.h"
#include "core/table.h"
#include "core/trigger.h"
#include "flow/flow_query.h"

/* When work of a plan may begin: `now_us` if it may now. */
static int opens(struct core *c, struct db_tx *t, const char *plan, uint64_t now_us,
		 uint64_t *ret_us, struct err *e)
{
	AUTO(plan_policy) p = NULL;

	*ret_us = now_us;
	if (plan_policy_of(t, c->zones, plan, &p, e) < 0)
		return -1;
	if (p)
		*ret_us = policy_window_opens(p->merged, now_us);
	return 0;
}

/* How many operations of a trigger may wait for the window. Events are made up for once. */
static int may_wait(struct core *c, const char *type, const char *properties, uint64_t now_us,
		    unsigned *ret_n, struct err *e)
{
	AUTO(schedule) s = NULL;
	json_t *o;

	*ret_n = 1;
	if (strcmp(type, TRIGGER_TIME) != 0)
		return 0;
	o = json_of(properties, "{}");
	s = schedule_parse(o, c->zones, now_us, e);
	json_decref(o);
	if (!s)
		return -1;
	*ret_n = schedule_makes_up(s);
	return 0;
}

/* Those of this scheduled operation that have not ended: they wait, or are at work. */
static int count_live(struct db_tx *t, const char *scheduled, unsigned *ret_n, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT count(*) FROM operation_links l JOIN operations o ON o.id = "
		     "l.operation_id WHERE l.id = $1 AND l.kind = 'scheduled_operation' AND "
		     "o.ended_at IS NULL",
		     db_t(scheduled));

	if (!r || db_next(r, e) < 0)
		return -1;
	*ret_n = (unsigned)db_int(r, 0);
	return 0;
}

int window_admit(struct core *c, struct db_tx *t, const struct scheduled_operation *s,
		 uint64_t now_us, struct err *e)
{
	AUTO(db_rows) r = NULL;
	uint64_t opens_us;
	unsigned most, live;
	char when[CLOCK_TEXT];

	if (opens(c, t, s->plan, now_us, &opens_us, e) < 0)
		return -1;
	if (opens_us <= now_us)
		return 0;
	r = db_query(t, e, "SELECT type, properties FROM triggers WHERE id = $1", db_t(s->trigger));
	if (!r || db_next(r, e) < 0 ||
	    may_wait(c, db_text(r, 0), db_text(r, 1), now_us, &most, e) < 0 ||
	    count_live(t, s->id, &live, e) < 0)
		return -1;
	if (live < most)
		return 0;
	clock_rfc3339(opens_us, when);
	if (most == 0)
		return err_set(e, ERR_EXISTS,
			       "the window of its policy is closed until %s, and its misfire rule "
			       "is skip",
			       when);
	return err_set(e, ERR_EXISTS,
		       "the window of its policy is closed until %s, and %u that fired before "
		       "wait for it",
		       when, live);
}

/* ---- steps ---- */

/* What an operation began by. */
struct origin {
	bool automatic;
	char plan[UUID_TEXT];
	char *type, *properties; /* of its trigger; NULL: it has none */
};

static void origin_done(struct origin *o)
{
	free(o->type);
	free(o->properties);
}

static int load_origin(struct db_tx *t, const char *operation, struct origin *o, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT o.created_by, p.id, s.id, g.type, g.properties FROM operations o "
		     "LEFT JOIN operation_links p ON p.operation_id = o.id AND p.kind = 'plan' "
		     "LEFT JOIN operation_links s ON s.operation_id = o.id AND s.kind = "
		     "'scheduled_operation' LEFT JOIN scheduled_operations x ON x.id = s.id LEFT "
		     "JOIN triggers g ON g.id = x.trigger_id WHERE o.id = $1",
		     db_t(operation));
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	o->automatic = !db_is_null(r, 2) || strcmp(db_text(r, 0), "policy") == 0;
	snprintf(o->plan, sizeof(o->plan), "%s", db_text(r, 1));
	o->type = xstrdup0(db_text_or_null(r, 3));
	o->properties = xstrdup0(db_text_or_null(r, 4));
	return 0;
}

int window_may_begin(struct db_tx *t, const struct flow_step *s, uint64_t now_us,
		     uint64_t *ret_until_us, char why[FLOW_WHY], struct err *e)
{
	struct core *c = core_current();
	CLEANUP(origin_done) struct origin o = {0};
	unsigned most = 1;
	char when[CLOCK_TEXT];

	int begun = flow_has_begun(t, s->operation, s->kind, e);

	*ret_until_us = now_us;
	/* A checkpoint of several machines that has begun is made as a whole. */
	if (begun)
		return MIN(begun, 0);
	if (load_origin(t, s->operation, &o, e) < 0)
		return -1;
	if (!o.automatic || !*o.plan)
		return 0;
	if (opens(c, t, o.plan, now_us, ret_until_us, e) < 0 ||
	    (o.type && may_wait(c, o.type, o.properties, now_us, &most, e) < 0))
		return -1;
	if (*ret_until_us <= now_us)
		return 0;
	clock_rfc3339(*ret_until_us, when);
	if (most > 0) {
		snprintf(why, FLOW_WHY, "it waits for the window of its policy, until %s", when);
		return 0;
	}
	*ret_until_us = FLOW_NEVER;
	snprintf(why, FLOW_WHY,
		 "the window of its policy is closed until %s, and its misfire rule is skip", when);
	return 0;
}
