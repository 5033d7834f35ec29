/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow/flow_priv.h"

#define LIMIT_MOST 1000
#define PRUNE_BATCH 200

/* ---- rows as objects ---- */

static void put_text(json_t *o, const char *key, const struct db_rows *r, int column)
{
	if (!db_is_null(r, column))
		json_object_set_new(o, key, json_string(db_text(r, column)));
}

static void put_int(json_t *o, const char *key, const struct db_rows *r, int column)
{
	if (!db_is_null(r, column))
		json_object_set_new(o, key, json_integer(db_int(r, column)));
}

static void put_flag(json_t *o, const char *key, const struct db_rows *r, int column)
{
	json_object_set_new(o, key, json_boolean(db_int(r, column)));
}

static void put_json(json_t *o, const char *key, const struct db_rows *r, int column)
{
	json_t *v = NULL;

	if (!db_is_null(r, column) && flow_load_json(db_text(r, column), &v, NULL) == 0)
		json_object_set_new(o, key, v);
}

#define OPERATION_COLUMNS                                                                          \
	"id, project_id, kind, subject, name, created_by, priority, state, reason, detail, "       \
	"progress, cancel_asked, created_at, not_before, deadline_at, started_at, ended_at, "      \
	"revision"

static json_t *operation_object(const struct db_rows *r)
{
	static const char *const texts[] = {"id",	  "project", "kind",  "subject", "name",
					    "created_by", NULL,	     "state", "reason"};
	static const char *const times[] = {"created_at", "not_before", "deadline_at",
					    "started_at", "ended_at",	"revision"};
	json_t *o = json_object();

	for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
		if (texts[i])
			put_text(o, texts[i], r, i);
	put_int(o, "priority", r, 6);
	put_json(o, "detail", r, 9);
	put_json(o, "progress", r, 10);
	put_flag(o, "cancel_asked", r, 11);
	for (int i = 0; i < (int)ARRAY_LEN(times); i++)
		put_int(o, times[i], r, 12 + i);
	return o;
}

/* ---- progress ---- */

static void add_numbers(json_t *sum, const json_t *p)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)p, key, v)
	{
		json_int_t old = json_integer_value(json_object_get(sum, key));

		if (json_is_integer(v))
			json_object_set_new(sum, key, json_integer(old + json_integer_value(v)));
	}
}

int flow_progress(struct db_tx *t, const char *operation, json_t **ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT state, progress FROM steps WHERE operation_id = $1",
		     db_t(operation));
	json_int_t n = 0, done = 0;
	json_t *sum = json_object();
	int rc = -1;

	while (r && (rc = db_next(r, e)) > 0) {
		json_t *p = NULL;

		n++;
		done += strcmp(db_text(r, 0), STEP_DONE) == 0;
		if (flow_load_json(db_text_or_null(r, 1), &p, NULL) == 0)
			add_numbers(sum, p);
		json_decref(p);
	}
	if (rc < 0) {
		json_decref(sum);
		return -1;
	}
	json_object_set_new(sum, "steps", json_integer(n));
	json_object_set_new(sum, "steps_done", json_integer(done));
	*ret = sum;
	return 0;
}

/* What has ended has its progress in the row. */
static int put_progress(struct db_tx *t, json_t *o, struct err *e)
{
	json_t *p;

	if (json_object_get(o, "ended_at"))
		return 0;
	if (flow_progress(t, json_string_value(json_object_get(o, "id")), &p, e) < 0)
		return -1;
	json_object_set_new(o, "progress", p);
	return 0;
}

/* ---- one ---- */

static json_t *step_object(const struct db_rows *r)
{
	json_t *s = json_object();

	put_text(s, "id", r, 0);
	put_text(s, "name", r, 1);
	put_text(s, "kind", r, 2);
	put_text(s, "place", r, 3);
	put_text(s, "state", r, 4);
	put_flag(s, "undoing", r, 5);
	put_int(s, "attempt", r, 6);
	put_text(s, "taken_by", r, 7);
	put_int(s, "not_before", r, 8);
	put_json(s, "progress", r, 9);
	put_json(s, "result", r, 10);
	put_text(s, "reason", r, 11);
	put_int(s, "started_at", r, 12);
	put_int(s, "ended_at", r, 13);
	put_int(s, "undo_started_at", r, 14);
	put_int(s, "undo_ended_at", r, 15);
	json_object_set_new(s, "needs", json_array());
	return s;
}

/* *ret_by_id: the same objects, borrowed, under their ids. */
static int load_steps(struct db_tx *t, const char *operation, json_t *array, json_t *by_id,
		      struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id, name, kind, place, state, undoing, attempt, leased_by, CASE "
		     "WHEN state = 'ready' AND not_before > 0 THEN not_before END, progress, "
		     "result, reason, started_at, ended_at, undo_started_at, undo_ended_at "
		     "FROM steps WHERE operation_id = $1 ORDER BY position",
		     db_t(operation));
	int rc = -1;

	while (r && (rc = db_next(r, e)) > 0) {
		json_t *s = step_object(r);

		json_object_set(by_id, db_text(r, 0), s);
		json_array_append_new(array, s);
	}
	return rc;
}

static int load_needs(struct db_tx *t, const char *operation, json_t *by_id, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT n.step_id, n.needs_id FROM steps s JOIN step_needs n ON "
		     "n.step_id = s.id WHERE s.operation_id = $1 ORDER BY s.position, "
		     "n.needs_id",
		     db_t(operation));
	int rc = -1;

	while (r && (rc = db_next(r, e)) > 0)
		json_array_append_new(
			json_object_get(json_object_get(by_id, db_text(r, 0)), "needs"),
			json_string(db_text(r, 1)));
	return rc;
}

int flow_get(struct db_tx *t, const char *project, const char *operation, json_t **ret,
	     struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT " OPERATION_COLUMNS " FROM operations WHERE id = $1",
		     db_t(operation));
	int rc = r ? db_next(r, e) : -1;
	json_t *o, *by_id;

	if (rc < 0)
		return -1;
	if (rc == 0 || (project && strcmp(db_text(r, 1), project) != 0))
		return err_set(e, ERR_NOENT, "there is no operation %s", operation);
	o = operation_object(r);
	json_object_set_new(o, "steps", json_array());
	by_id = json_object();
	rc = load_steps(t, operation, json_object_get(o, "steps"), by_id, e);
	if (rc == 0)
		rc = load_needs(t, operation, by_id, e);
	json_decref(by_id);
	if (rc < 0 || put_progress(t, o, e) < 0) {
		json_decref(o);
		return -1;
	}
	*ret = o;
	return 0;
}

/* ---- many ---- */

struct query {
	char sql[2048];
	struct db_value v[16];
	size_t n;
};

/* Add "AND column op $N". */
static void narrow(struct query *q, const char *condition, struct db_value v)
{
	size_t at = strlen(q->sql);

	q->v[q->n++] = v;
	snprintf(q->sql + at, sizeof(q->sql) - at, " AND %s $%zu", condition, q->n);
}

/* "TIME:ID" of the last one on the page before. */
static int read_marker(const char *marker, int64_t *ret_at, char ret_id[UUID_TEXT], struct err *e)
{
	struct uuid u;
	char *rest;
	long long at = strtoll(marker, &rest, 10);

	if (rest == marker || *rest != ':' || !uuid_parse(rest + 1, &u))
		return err_set(e, ERR_INVALID, "marker \"%.60s\" is none that a list has given",
			       marker);
	*ret_at = at;
	uuid_text(&u, ret_id);
	return 0;
}

static int build(struct query *q, const struct flow_filter *f, char marker_id[UUID_TEXT],
		 struct err *e)
{
	int64_t at = 0;
	size_t n;

	snprintf(q->sql, sizeof(q->sql),
		 "SELECT " OPERATION_COLUMNS " FROM operations WHERE 1 = 1");
	if (f->project)
		narrow(q, "project_id =", db_t(f->project));
	if (f->kind)
		narrow(q, "kind =", db_t(f->kind));
	if (f->subject)
		narrow(q, "subject =", db_t(f->subject));
	if (f->state && strcmp(f->state, "live") == 0)
		narrow(q, "ended_at IS NULL AND 0 <", db_i(1));
	else if (f->state)
		narrow(q, "state =", db_t(f->state));
	if (f->created_from_us)
		narrow(q, "created_at >=", db_i(f->created_from_us));
	if (f->created_until_us)
		narrow(q, "created_at <", db_i(f->created_until_us));
	if (f->marker) {
		if (read_marker(f->marker, &at, marker_id, e) < 0)
			return -1;
		q->v[q->n++] = db_i(at);
		q->v[q->n++] = db_t(marker_id);
		n = strlen(q->sql);
		snprintf(q->sql + n, sizeof(q->sql) - n, " AND (created_at, id) < ($%zu, $%zu)",
			 q->n - 1, q->n);
	}
	n = strlen(q->sql);
	snprintf(q->sql + n, sizeof(q->sql) - n, " ORDER BY created_at DESC, id DESC LIMIT %u",
		 f->limit + 1);
	return 0;
}

static int list_rows(struct db_tx *t, struct db_rows *r, unsigned limit, json_t *array,
		     char **ret_marker, struct err *e)
{
	int rc;

	while ((rc = db_next(r, e)) > 0 && json_array_size(array) < limit) {
		json_t *o = operation_object(r);

		json_array_append_new(array, o);
		if (put_progress(t, o, e) < 0)
			return -1;
	}
	if (rc > 0) {
		json_t *last = json_array_get(array, limit - 1);

		*ret_marker = xasprintf("%" JSON_INTEGER_FORMAT ":%s",
					json_integer_value(json_object_get(last, "created_at")),
					json_string_value(json_object_get(last, "id")));
	}
	return MIN(rc, 0);
}

int flow_list(struct db_tx *t, const struct flow_filter *filter, json_t **ret_array,
	      char **ret_marker, struct err *e)
{
	struct query q = {.n = 0};
	char marker_id[UUID_TEXT];
	AUTO_FREE char *marker = NULL;
	AUTO(db_rows) r = NULL;
	json_t *array;

	if (filter->limit == 0 || filter->limit > LIMIT_MOST)
		return err_set(e, ERR_INVALID, "limit %u is not within 1 and %d", filter->limit,
			       LIMIT_MOST);
	if (build(&q, filter, marker_id, e) < 0)
		return -1;
	r = db_query_v(t, q.sql, q.v, q.n, e);
	if (!r)
		return -1;
	array = json_array();
	if (list_rows(t, r, filter->limit, array, &marker, e) < 0) {
		json_decref(array);
		return -1;
	}
	*ret_array = array;
	*ret_marker = steal(&marker);
	return 0;
}

int flow_ended_days(struct db_tx *t, const char *project, uint64_t since_us, json_t **ret_array,
		    struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT ended_at / 86400000000 AS day, kind, state, count(*) FROM operations "
		     "WHERE project_id = $1 AND ended_at >= $2 AND ended_at IS NOT NULL GROUP BY "
		     "day, kind, state",
		     db_t(project), db_i(since_us));
	json_t *array = json_array();
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(array, json_pack("{s:I, s:s, s:s, s:I}", "day",
						       (json_int_t)db_int(r, 0), "kind",
						       db_text(r, 1), "state", db_text(r, 2), "n",
						       (json_int_t)db_int(r, 3)));
	if (have < 0) {
		json_decref(array);
		return -1;
	}
	*ret_array = array;
	return 0;
}

int flow_log_lines(struct db_tx *t, const char *operation, uint64_t after, unsigned limit,
		   json_t **ret_array, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT seq, at, step_id, level, text FROM operation_log WHERE "
		     "operation_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
		     db_t(operation), db_i(after), db_i(MIN(limit, LIMIT_MOST)));
	json_t *array = json_array();
	int rc = -1;

	while (r && (rc = db_next(r, e)) > 0) {
		json_t *line = json_object();

		put_int(line, "seq", r, 0);
		put_int(line, "at", r, 1);
		put_text(line, "step", r, 2);
		put_text(line, "level", r, 3);
		put_text(line, "text", r, 4);
		json_array_append_new(array, line);
	}
	if (rc < 0) {
		json_decref(array);
		return -1;
	}
	*ret_array = array;
	return 0;
}

/* ---- changes ---- */

/*
 * Changes below *ret_next are all visible to this transaction. In PostgreSQL, the number of a
 * change is that of its transaction, and the lowest that is still under way is what is not known
 * yet.
 */
static int change_bounds(struct db_tx *t, uint64_t *ret_next, uint64_t *ret_end, struct err *e)
{
	bool many = *db_skip_locked(t);
	AUTO(db_rows)
	r = many ? db_query(t, e,
			    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, "
			    "pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
		 : db_query(t, e, "SELECT n + 1, n + 1 FROM operation_changes WHERE id = 1");
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_CORRUPT, "the table operation_changes has no row");
	*ret_next = (uint64_t)db_int(r, 0);
	*ret_end = (uint64_t)db_int(r, 1);
	return 0;
}

int flow_changes(struct db_tx *t, uint64_t since, json_t **ret_array, uint64_t *ret_next,
		 struct err *e)
{
	AUTO(db_rows) r = NULL;
	uint64_t next = 0, end = 0;
	json_t *array;
	int rc = -1;

	if (change_bounds(t, &next, &end, e) < 0)
		return -1;
	r = db_query(t, e,
		     "SELECT " OPERATION_COLUMNS " FROM operations WHERE changed >= $1 AND changed "
		     "< $2",
		     db_i(since ? since : end), db_i(end));
	array = json_array();
	while (r && (rc = db_next(r, e)) > 0)
		json_array_append_new(array, operation_object(r));
	if (rc < 0) {
		json_decref(array);
		return -1;
	}
	*ret_array = array;
	*ret_next = next;
	return 0;
}

/* ---- for who hands steps out ---- */

void flow_ready_done(struct flow_ready_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].place);
	free(l->v);
	*l = (struct flow_ready_list){0};
}

int flow_ready(struct db_tx *t, struct flow_ready_list *l, struct err *e)
{
	AUTO(db_rows) r = NULL;
	int rc = -1;

	flow_ready_done(l);
	r = db_query(t, e,
		     "SELECT queue, COUNT(*) FROM steps WHERE state = 'ready' AND not_before <= $1 "
		     "AND queue <> $2 GROUP BY queue",
		     db_i(clock_wall_us()), db_t(FLOW_WORKER));
	while (r && (rc = db_next(r, e)) > 0) {
		l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
		l->v[l->n++] = (struct flow_ready){xstrdup(db_text(r, 0)),
						   (unsigned)MIN(db_int(r, 1), (int64_t)1000000)};
	}
	return rc;
}

int flow_has_lease(struct db_tx *t, const char *step, uint64_t fence, const char *who,
		   char ret_operation[UUID_TEXT], struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT operation_id FROM steps WHERE id = $1 AND fence = $2 "
		     "AND leased_by = $3",
		     db_t(step), db_i(fence), db_t(who));
	int rc = r ? db_next(r, e) : -1;

	if (rc > 0)
		snprintf(ret_operation, UUID_TEXT, "%s", db_text(r, 0));
	return rc;
}

int flow_leases(struct db_tx *t, const char *who, json_t **ret_array, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT id, fence FROM steps WHERE state = 'running' AND leased_by = $1",
		     db_t(who));
	json_t *list = json_array();
	int rc = -1;

	while (r && (rc = db_next(r, e)) > 0)
		json_array_append_new(list, json_pack("{s:s,s:I}", "step", db_text(r, 0), "fence",
						      (json_int_t)db_int(r, 1)));
	if (rc < 0) {
		json_decref(list);
		return -1;
	}
	*ret_array = list;
	return 0;
}

/* ---- what goes ---- */

struct pruning {
	uint64_t before;
	unsigned most;
	uint64_t n;
};

/* Steps first: until the operation itself is gone, what is left is found again. */
static int prune(struct db_tx *t, void *arg, struct err *e)
{
	static const char *const sql[] = {
#define OLD "(SELECT id FROM operations WHERE ended_at < $1 ORDER BY ended_at, id LIMIT $2)"
#define OLD_STEPS "(SELECT id FROM steps WHERE operation_id IN " OLD ")"
		"DELETE FROM step_needs WHERE step_id IN " OLD_STEPS,
		"DELETE FROM step_limits WHERE step_id IN " OLD_STEPS,
		"DELETE FROM steps WHERE operation_id IN " OLD,
		"DELETE FROM operation_log WHERE operation_id IN " OLD,
		"DELETE FROM operations WHERE id IN " OLD,
	};
	struct pruning *p = arg;

	for (size_t i = 0; i < ARRAY_LEN(sql); i++)
		if (db_exec(t, &p->n, e, sql[i], db_i(p->before), db_i(p->most)) < 0)
			return -1;
	return 0;
}

int flow_prune(struct flow *f, uint64_t before_us, unsigned most, unsigned *ret_n, struct err *e)
{
	*ret_n = 0;
	while (*ret_n < most) {
		struct pruning p = {.before = before_us, .most = MIN(PRUNE_BATCH, most - *ret_n)};

		if (db_write(f->db, prune, &p, e) < 0)
			return -1;
		*ret_n += (unsigned)p.n;
		if (p.n < p.most)
			break;
	}
	return 0;
}

int flow_has_begun(struct db_tx *t, const char *operation, const char *kind, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT 1 FROM steps WHERE operation_id = $1 AND kind = $2 AND attempt > 0 "
		     "LIMIT 1",
		     db_t(operation), db_t(kind));

	return r ? db_next(r, e) : -1;
}
