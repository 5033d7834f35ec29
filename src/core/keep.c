/* SPDX-License-Identifier: Apache-2.0 */
#include "core/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/checkpoint.h"
#include "core/keeper.h"
#include "core/table.h"

/* Numbers, also as text, as Karbor's clients send them. */
static int64_t number_in(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return json_is_string(v) ? strtoll(json_string_value(v), NULL, 10) : json_integer_value(v);
}

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
		.retention =
			strcmp(s->operation_type, "retention_protect") == 0 ? s->definition : NULL,
	};

	(void)at_us;
	return checkpoint_protect(arg, t, &n, id, operation, e);
}

/* The rules that the scheduled operation itself brought, as Karbor's do. *ret_given: it brought
 * some. */
static int own_rules(struct db_tx *t, const char *operation, struct retention_set *ret,
		     bool *ret_given, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT detail FROM operations WHERE id = $1", db_t(operation));
	const json_t *rules;
	json_t *detail;
	int have = r ? db_next(r, e) : -1;

	*ret_given = false;
	if (have <= 0)
		return have;
	detail = json_of(db_text(r, 0), "{}");
	rules = json_object_get(detail, "retention");
	if (json_is_object(rules)) {
		*ret = retention_karbor(number_in(rules, "max_backups"),
					number_in(rules, "retention_duration"));
		*ret_given = true;
	}
	json_decref(detail);
	return 0;
}

int keep_after(struct core *c, struct db_tx *t, const char *operation, const char *plan,
	       struct err *e)
{
	const struct keeper k = {.zones = c->zones, .delete = keeper_delete, .arg = c};
	struct retention_set rules;
	struct err why = {ERR_NONE};
	size_t started;
	bool given, more;

	if (own_rules(t, operation, &rules, &given, e) < 0)
		return -1;
	if (keeper_plan(t, &k, plan, given ? &rules : NULL, clock_wall_us(), &started, &more,
			&why) == 0 ||
	    why.kind == ERR_NOENT) /* the plan is gone: its checkpoints stay until somebody deletes
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
