/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.c: transactions of the flow: locking an operation, its log, and functions of kinds.
 */
#include "flow/flow_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

void operation_done(struct operation *o)
{
	free(o->kind);
	free(o->project);
	free(o->subject);
	free(o->state);
	free(o->ending);
	free(o->reason);
	*o = (struct operation){0};
}

/*
 * SQLite commits in the order of this number. PostgreSQL does not: there it is the transaction's
 * own, and who reads knows which of them may still be under way (flow_changes). A common counter
 * would make every two transactions conflict.
 */
int turn_change(struct turn *x, int64_t *ret_n, struct err *e)
{
	bool many = *db_skip_locked(x->t);
	AUTO(db_rows)
	r = many ? db_query(x->t, e, "SELECT pg_current_xact_id()::text::bigint")
		 : db_query(x->t, e,
			    "UPDATE operation_changes SET n = n + 1 WHERE id = 1 "
			    "RETURNING n");
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_CORRUPT, "the table operation_changes has no row");
	*ret_n = db_int(r, 0);
	return 0;
}

static void operation_load(const struct db_rows *r, struct operation *o)
{
	snprintf(o->id, sizeof(o->id), "%s", db_text(r, 0));
	o->kind = xstrdup(db_text(r, 1));
	o->project = xstrdup(db_text(r, 2));
	o->subject = xstrdup(db_text(r, 3));
	o->state = xstrdup(db_text(r, 4));
	o->ending = xstrdup(db_text(r, 5));
	o->reason = xstrdup0(db_text_or_null(r, 6));
	o->undo_begun = db_int(r, 7) != 0;
	o->cancel_asked = db_int(r, 8) != 0;
	o->give_up = db_int(r, 9) != 0;
	o->ended = !db_is_null(r, 10);
}

int turn_lock(struct turn *x, const char *operation, struct operation *o, struct err *e)
{
	AUTO(db_rows) r = NULL;
	int64_t change;
	int rc;

	if (turn_change(x, &change, e) < 0)
		return -1;
	r = db_query(x->t, e,
		     "UPDATE operations SET revision = revision + 1, changed = $2 WHERE id = $1 "
		     "RETURNING id, kind, project_id, subject, state, ending, reason, undo_begun, "
		     "cancel_asked, give_up, ended_at",
		     db_t(operation), db_i(change));
	rc = r ? db_next(r, e) : -1;
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOENT, "there is no operation %s", operation);
	operation_load(r, o);
	return db_wake(x->t, WAKE_OPERATIONS, e);
}

int turn_log(struct turn *x, const char *operation, const char *step, const char *level,
	     struct err *e, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return flow_log(x->t, operation, step, level, text, e);
}

/* ---- functions of kinds ---- */

bool turn_hook_begin(struct turn *x, enum hook hook, const struct flow_step *s)
{
	if (x->skip & hook)
		return false;
	x->in = hook;
	flow_enter(x->f, s);
	return true;
}

void turn_hook_end(struct turn *x, int rc)
{
	flow_enter(NULL, NULL);
	if (rc == 0)
		x->in = HOOK_NONE;
}

struct write {
	struct flow *f;
	turn_fn *fn;
	void *arg;
	unsigned skip;
	enum hook failed;
	char why[512];
};

static int write_once(struct db_tx *t, void *arg, struct err *e)
{
	struct write *w = arg;
	struct turn x = {.f = w->f, .t = t, .now = flow_now(w->f), .skip = w->skip, .why = w->why};
	int rc = w->fn(&x, w->arg, e);

	w->failed = rc < 0 ? x.in : HOOK_NONE;
	return rc;
}

/* These come from the database, which may do it the next time. */
static bool of_database(enum err_kind kind)
{
	return kind == ERR_BUSY || kind == ERR_UNREACHABLE || kind == ERR_IO ||
	       kind == ERR_NOSPACE || kind == ERR_TIMEOUT;
}

int turn_write(struct flow *f, turn_fn *fn, void *arg, bool *ret_settle, struct err *e)
{
	struct write w = {.f = f, .fn = fn, .arg = arg};
	struct err why = {0};

	while (db_write(f->db, write_once, &w, &why) < 0) {
		if (e)
			*e = why;
		if (!w.failed || of_database(why.kind))
			return -1;
		if (w.failed == HOOK_SETTLE) {
			if (ret_settle)
				*ret_settle = true;
			return -1;
		}
		log_error("flow: a function was left out, because it failed: %s", why.msg);
		snprintf(w.why, sizeof(w.why), "%s", why.msg);
		w.skip |= w.failed;
	}
	return 0;
}
