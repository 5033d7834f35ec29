/* SPDX-License-Identifier: Apache-2.0 */
#include "core/operation.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/notify.h"
#include "core/trigger.h"

int operation_link_add(struct db_tx *t, const char *operation, const struct operation_link *link,
		       struct err *e)
{
	return db_exec(t, NULL, e,
		       "INSERT INTO operation_links (operation_id, kind, id) VALUES ($1, $2, $3) "
		       "ON CONFLICT DO NOTHING",
		       db_t(operation), db_t(link->kind), db_t(link->id));
}

int operation_start(struct core *c, struct db_tx *t, const struct flow_operation_new *o,
		    const struct operation_link *links, size_t n, char ret_id[UUID_TEXT],
		    struct err *e)
{
	if (flow_start(c->flow, t, o, ret_id, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!links[i].id || !*links[i].id)
			continue;
		if (operation_link_add(t, ret_id, &links[i], e) < 0)
			return -1;
	}
	return 0;
}

int operation_start_one(struct core *c, struct db_tx *t, const struct flow_operation_new *o,
			const struct operation_link *links, size_t n, const struct flow_step_new *s,
			char ret_id[UUID_TEXT], struct err *e)
{
	char step[UUID_TEXT];

	if (operation_start(c, t, o, links, n, ret_id, e) < 0)
		return -1;
	return flow_add(c->flow, t, ret_id, s, step, e);
}

char *operation_place(const char *mover, char out[OPERATION_PLACE])
{
	if (*mover)
		snprintf(out, OPERATION_PLACE, "mover:%s", mover);
	else
		snprintf(out, OPERATION_PLACE, "%s", FLOW_ANY_MOVER);
	return out;
}

int operation_live(struct db_tx *t, const char *link, const char *id, const char *kind,
		   char ret_id[UUID_TEXT], struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT o.id FROM operation_links l JOIN operations o ON o.id = "
		     "l.operation_id WHERE l.id = $1 AND l.kind = $2 AND o.ended_at IS NULL AND "
		     "($3 = '' OR o.kind = $3) ORDER BY o.created_at DESC LIMIT 1",
		     db_t(id), db_t(link), db_t(kind ? kind : ""));
	int have = r ? db_next(r, e) : -1;

	if (have > 0)
		snprintf(ret_id, UUID_TEXT, "%s", db_text(r, 0));
	return have;
}

/* The trigger whose scheduled operation started it, so that it does not fire itself; "" if none
 * did. */
#define STARTED_BY                                                                                 \
	"(SELECT s.trigger_id FROM operation_links l JOIN scheduled_operations s ON s.id = l.id "  \
	"WHERE l.operation_id = o.id AND l.kind = 'scheduled_operation')"
#define PLAN "(SELECT l.id FROM operation_links l WHERE l.operation_id = o.id AND l.kind = 'plan')"

int operation_ended(struct db_tx *t, const char *operation, const char *state, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT project_id, kind, " PLAN ", " STARTED_BY
		     ", revision FROM operations o WHERE id = $1",
		     db_t(operation));
	AUTO_FREE char *event = NULL;
	uint64_t now = clock_wall_us();
	struct trigger_event ev = {.state = state};
	unsigned fired;
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	/* One that is run again may end again. */
	event = xasprintf("%s/%lld", operation, (long long)db_int(r, 4));
	ev.id = event;
	ev.project = db_text(r, 0);
	ev.kind = db_text(r, 1);
	ev.plan = db_text_or_null(r, 2);
	ev.trigger = db_text_or_null(r, 3);
	if (notify_operation(t, operation, state, now, e) < 0)
		return -1;
	return trigger_tell(t, &ev, now, &fired, e);
}

struct core *core_current(void)
{
	return flow_user(flow_current());
}
