/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retry.h"

#include <stdio.h>
#include <string.h>

#include "core/operation.h"

/* In which state a thing is after an operation of a kind failed, and while it runs. */
static const struct rule {
	const char *operation, *table, *failed, *running;
	const char *besides; /* an operation that must not be at work on it meanwhile */
} rules[] = {
	{"protect", "checkpoints", "error", "protecting", "clean"},
	{"copy", "checkpoints", "error", "copying", NULL},
	{"delete", "checkpoints", "error-deleting", "deleting", NULL},
	{"clean", "checkpoints", "error", "error", "protect"},
	{"restore", "restores", "fail", "in_progress", NULL},
	{"verify", "verifications", "fail", "in_progress", NULL},
};

static const struct rule *rule_of(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (strcmp(rules[i].operation, kind) == 0)
			return &rules[i];
	return NULL;
}

static int check_besides(struct db_tx *t, const struct rule *r, const char *subject, struct err *e)
{
	char other[UUID_TEXT];
	int live = r->besides ? operation_live(t, "checkpoint", subject, r->besides, other, e) : 0;

	if (live > 0)
		return err_set(e, ERR_CONFLICT,
			       "Operation %s (%s) is at work on checkpoint '%s': try again when it "
			       "has ended.",
			       other, r->besides, subject);
	return live;
}

static int take_up(struct db_tx *t, const struct rule *r, const char *subject, struct err *e)
{
	AUTO_FREE char *sql = xasprintf("UPDATE %s SET status = $2, reason = NULL, ended_at = NULL "
					"WHERE id = $1 AND status = $3",
					r->table);
	uint64_t n;

	if (check_besides(t, r, subject, e) < 0 ||
	    db_exec(t, &n, e, sql, db_t(subject), db_t(r->running), db_t(r->failed)) < 0)
		return -1;
	return n ? 0
		 : err_set(e, ERR_CONFLICT,
			   "What this operation is about (%s) is not %s any more: start a new one.",
			   subject, r->failed);
}

int operation_retry(struct core *c, struct db_tx *t, const char *operation, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT kind, subject FROM operations WHERE id = $1", db_t(operation));
	const struct rule *rule;
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no operation '%s'.", operation);
	if (have < 0 || flow_retry(c->flow, t, operation, e) < 0)
		return -1;
	rule = rule_of(db_text(r, 0));
	return rule ? take_up(t, rule, db_text(r, 1), e) : 0;
}
