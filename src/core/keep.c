/* SPDX-License-Identifier: Apache-2.0 */
#include "core/keep.h"

#include "base/clock.h"
#include "core/checkpoint.h"
#include "core/duties.h"
#include "core/keeper.h"
#include "core/window.h"

int keep_start(struct db_tx *t, const struct scheduled_operation *s, uint64_t at_us, void *arg,
	       struct err *e)
{
	const char *schedule = json_string_value(json_object_get(s->definition, "schedule"));
	char id[UUID_TEXT], operation[UUID_TEXT];
	AUTO_FREE char *by = xasprintf("schedule %s", s->name);
	const struct protect_new n = {
		.plan = s->plan,
		.project = s->project,
		.made_by = schedule ? schedule : s->name,
		.created_by = by,
		.scheduled = s->id,
	};

	(void)at_us;
	if (window_admit(arg, t, s, clock_wall_us(), e) < 0)
		return -1;
	return checkpoint_protect(arg, t, &n, id, operation, e);
}

int keep_after(struct core *c, struct db_tx *t, const char *operation, const char *plan,
	       struct err *e)
{
	const struct keeper k = {.zones = c->zones, .delete = keeper_delete, .arg = c};
	struct err why = {ERR_NONE};
	size_t started;
	bool more;

	if (keeper_plan(t, &k, plan, clock_wall_us(), &started, &more, &why) == 0)
		return duties_after(c, t, operation, plan, e);
	if (why.kind == ERR_NOENT) /* the plan is gone: its checkpoints stay until somebody deletes
				      them */
		return 0;
	/* What is wrong with a policy must not cost the checkpoint. What is wrong with the database
	 * does. */
	if (why.kind == ERR_INVALID || why.kind == ERR_UNSUPPORTED || why.kind == ERR_LIMIT)
		return flow_log(t, operation, NULL, "error", why.msg, e);
	if (e)
		*e = why;
	return -1;
}

int keep_after_checkpoint(struct core *c, struct db_tx *t, const char *operation,
			  const char *checkpoint, struct err *e)
{
	AUTO(checkpoint) k = checkpoint_load(t, NULL, checkpoint, e);

	return k ? keep_after(c, t, operation, k->plan, e) : -1;
}
