/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/audit.h"

#include <stdio.h>
#include <string.h>

#include "auth/auth_priv.h"
#include "base/buf.h"
#include "base/hex.h"

#define LIMIT 1000

void audit_lines_free(struct audit_lines *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++) {
		struct audit_line *x = &l->v[i];
		char *texts[] = {x->project_id, x->user_id, x->user_name, x->address,
				 x->action,	x->subject, x->outcome,	  x->detail};

		for (size_t k = 0; k < ARRAY_LEN(texts); k++)
			free(texts[k]);
	}
	free(l->v);
	free(l);
}

static void read_line(const struct db_rows *r, struct audit_line *x)
{
	const void *hash;
	size_t n;

	auth_column_id(r, 0, x->id);
	x->seq = db_is_null(r, 1) ? 0 : (uint64_t)db_int(r, 1);
	x->at_us = (uint64_t)db_int(r, 2);
	x->project_id = auth_column(r, 3);
	x->user_id = auth_column(r, 4);
	x->user_name = auth_column(r, 5);
	x->address = auth_column(r, 6);
	x->action = auth_column(r, 7);
	x->subject = auth_column(r, 8);
	x->outcome = auth_column(r, 9);
	x->detail = auth_column(r, 10);
	hash = db_bytes(r, 11, &n);
	x->hash[0] = 0;
	if (hash && n == HASH_BYTES)
		hex_encode(hash, n, x->hash);
}

/* ---- the statement ---- */

struct where {
	struct buf sql;
	struct db_value v[12];
	size_t n;
};

/* `condition` has one %zu for the number of the parameter. */
static void and (struct where * w, const char *condition, const char *after, struct db_value v)
{
	w->v[w->n++] = v;
	buf_fmt(&w->sql, "%s %s $%zu%s", w->n > 1 ? " AND" : " WHERE", condition, w->n, after);
}

static void and_text(struct where *w, const char *condition, const char *text)
{
	if (text)
		and(w, condition, "", db_t(text));
}

static void and_action(struct where *w, const char *action)
{
	size_t n = strlen(action ? action : "");

	if (!n)
		return;
	if (action[n - 1] != ':') {
		and_text(w, "action =", action);
		return;
	}
	and(w, "SUBSTR(action, 1, LENGTH(", ")) =", db_t(action));
	w->v[w->n++] = db_t(action);
	buf_fmt(&w->sql, " $%zu", w->n);
}

/* The time of the marker's line, and its id. */
static int and_after(struct where *w, struct db_tx *t, const char *marker, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT at FROM audit WHERE id = $1", db_t(marker));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(e, ERR_NOENT, "marker: there is no line %.64s in the audit log",
			       marker);
	and(w, "(at, id) < (", ",", db_i(db_int(r, 0)));
	w->v[w->n++] = db_t(marker);
	buf_fmt(&w->sql, " $%zu)", w->n);
	return 0;
}

static int make_where(struct where *w, struct db_tx *t, const struct audit_filter *f, struct err *e)
{
	and_text(w, "project_id =", f->project);
	and_text(w, "user_id =", f->user_id);
	and_text(w, "outcome =", f->outcome);
	and_text(w, "subject =", f->subject);
	and_action(w, f->action);
	if (f->since_us)
		and(w, "at >=", "", db_i(f->since_us));
	if (f->until_us)
		and(w, "at <", "", db_i(f->until_us));
	return f->marker ? and_after(w, t, f->marker, e) : 0;
}

struct audit_lines *audit_list(struct db_tx *t, const struct audit_filter *f, struct err *e)
{
	AUTO(audit_lines) l = xcalloc(1, sizeof(*l));
	size_t limit = f->limit && f->limit < LIMIT ? f->limit : LIMIT;
	struct where w = {.sql = BUF_INIT};
	int rc = -1;

	buf_text(&w.sql, "SELECT id, seq, at, project_id, user_id, user_name, address, action, "
			 "subject, outcome, detail, hash FROM audit");
	if (!make_where(&w, t, f, e)) {
		buf_fmt(&w.sql, " ORDER BY at DESC, id DESC LIMIT %zu", limit);
		AUTO(db_rows) r = db_query_v(t, buf_str(&w.sql), w.v, w.n, e);
		l->v = xcalloc(limit, sizeof(*l->v));
		rc = r ? db_next(r, e) : -1;
		for (; rc > 0 && l->n < limit; rc = db_next(r, e))
			read_line(r, &l->v[l->n++]);
	}
	buf_done(&w.sql);
	return rc < 0 ? NULL : steal(&l);
}
