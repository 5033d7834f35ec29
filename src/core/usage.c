/* SPDX-License-Identifier: Apache-2.0 */
#include "core/usage.h"

#include <string.h>

#include "base/clock.h"

#define DAY_US INT64_C(86400000000)

/* ---- counting ---- */

enum { NEVER, NOW, ONCE }; /* checkpoints.counted */

struct item {
	const char *project, *target, *plan, *type, *id;
	int64_t points, logical, read, stored, restores;
};

static int add_day(struct db_tx *t, const struct item *v, struct err *e)
{
	return db_exec(
		t, NULL, e,
		"INSERT INTO usage_days (project_id, day, target_id, plan_id, type, resource_id, "
		"points, logical_bytes, read_bytes, stored_bytes, restores) VALUES ($1, $2, $3, "
		"$4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (project_id, day, target_id, "
		"plan_id, type, resource_id) DO UPDATE SET points = usage_days.points + "
		"excluded.points, logical_bytes = usage_days.logical_bytes + "
		"excluded.logical_bytes, read_bytes = usage_days.read_bytes + excluded.read_bytes, "
		"stored_bytes = usage_days.stored_bytes + excluded.stored_bytes, restores = "
		"usage_days.restores + excluded.restores",
		db_t(v->project), db_i((int64_t)clock_wall_us() / DAY_US), db_t(v->target),
		db_t(v->plan), db_t(v->type), db_t(v->id), db_i(v->points), db_i(v->logical),
		db_i(v->read), db_i(v->stored), db_i(v->restores));
}

/* `n` 1 or -1. A row of nothing goes. */
static int add_now(struct db_tx *t, const struct item *v, int n, struct err *e)
{
	if (db_exec(t, NULL, e,
		    "INSERT INTO usage_now (project_id, target_id, plan_id, type, resource_id, "
		    "points, logical_bytes, stored_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
		    "ON CONFLICT (project_id, target_id, plan_id, type, resource_id) DO UPDATE SET "
		    "points = usage_now.points + excluded.points, logical_bytes = "
		    "usage_now.logical_bytes + excluded.logical_bytes, stored_bytes = "
		    "usage_now.stored_bytes + excluded.stored_bytes",
		    db_t(v->project), db_t(v->target), db_t(v->plan), db_t(v->type), db_t(v->id),
		    db_i(n), db_i(n * v->logical), db_i(n * v->stored)) < 0)
		return -1;
	return n > 0 ? 0
		     : db_exec(t, NULL, e,
			       "DELETE FROM usage_now WHERE project_id = $1 AND target_id = $2 AND "
			       "plan_id = $3 AND type = $4 AND resource_id = $5 AND points <= 0",
			       db_t(v->project), db_t(v->target), db_t(v->plan), db_t(v->type),
			       db_t(v->id));
}

static int count(struct db_tx *t, const char *checkpoint, const char *project, const char *plan,
		 int n, bool first, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT p.target_id, k.type, k.id, k.bytes_total, k.bytes_read, "
		     "k.bytes_stored FROM checkpoint_resources k JOIN repositories p ON p.id = "
		     "k.repository_id WHERE k.checkpoint_id = $1 ORDER BY k.type, k.id",
		     db_t(checkpoint));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		const struct item v = {.project = project,
				       .target = db_text(r, 0),
				       .plan = plan,
				       .type = db_text(r, 1),
				       .id = db_text(r, 2),
				       .points = 1,
				       .logical = db_int(r, 3),
				       .read = db_int(r, 4),
				       .stored = db_int(r, 5)};

		if (add_now(t, &v, n, e) < 0 || (first && add_day(t, &v, e) < 0))
			return -1;
	}
	return have;
}

int usage_checkpoint(struct db_tx *t, const char *checkpoint, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT status, counted, project_id, plan_id FROM checkpoints WHERE id = $1",
		     db_t(checkpoint));
	int have = r ? db_next(r, e) : -1;
	bool is, was;

	if (have <= 0)
		return have;
	/* While it is being deleted, or could not be, it still lies there. */
	was = db_int(r, 1) == NOW;
	is = strcmp(db_text(r, 0), "available") == 0 ||
	     (was && (strcmp(db_text(r, 0), "deleting") == 0 ||
		      strcmp(db_text(r, 0), "error-deleting") == 0));
	if (is == was)
		return 0;
	if (count(t, checkpoint, db_text(r, 2), db_text(r, 3), is ? 1 : -1, db_int(r, 1) == NEVER,
		  e) < 0)
		return -1;
	return db_exec(t, NULL, e, "UPDATE checkpoints SET counted = $2 WHERE id = $1",
		       db_t(checkpoint), db_i(is ? NOW : ONCE));
}

int usage_restored(struct db_tx *t, const char *restore, const char *type, const char *id, int n,
		   struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT v.project_id, p.target_id, k.plan_id FROM restores v JOIN providers p "
		     "ON p.id = v.provider_id JOIN checkpoints k ON k.id = v.checkpoint_id WHERE "
		     "v.id = $1",
		     db_t(restore));
	int have = r ? db_next(r, e) : -1;
	struct item v = {.type = type, .id = id, .restores = n};

	if (have <= 0)
		return have;
	v.project = db_text(r, 0);
	v.target = db_text(r, 1);
	v.plan = db_text(r, 2);
	return add_day(t, &v, e);
}

/* ---- telling ---- */

const char *const usage_by_names[] = {"project", "target", "plan", "resource", NULL};

/* What rows are made by, and what is shown of that; missing ones are NULL. */
static const struct {
	const char *group; /* columns of the rows that are added up */
	const char *target, *plan, *type, *id;
} bys[] = {
	{"project_id", "NULL", "NULL", "NULL", "NULL"},
	{"project_id, target_id", "u.target_id", "NULL", "NULL", "NULL"},
	{"project_id, target_id, plan_id", "u.target_id", "u.plan_id", "NULL", "NULL"},
	{"project_id, target_id, plan_id, type, resource_id", "u.target_id", "u.plan_id", "u.type",
	 "u.resource_id"},
};

/*
 * What was done and what is kept, one under the other, added up. Names are looked up for the rows
 * of the answer only. CAST: PostgreSQL's sums of BIGINT are NUMERIC.
 */
static char *statement(const struct usage_query *q)
{
	const char *mine = q->project ? "project_id = $1" : "$1 = ''";

	return xasprintf(
		"SELECT u.project_id, (SELECT name FROM projects n WHERE n.id = u.project_id), %s, "
		"(SELECT name FROM targets n WHERE n.id = %s), %s, (SELECT name FROM plans n WHERE "
		"n.id = %s), %s, %s, (SELECT min(name) FROM resources n WHERE n.id = %s AND n.type "
		"= %s AND n.project_id = u.project_id), u.points, u.logical, u.read, u.stored, "
		"u.restores, u.kept, u.kept_logical, u.kept_stored FROM (SELECT %s, "
		"CAST(sum(points) AS BIGINT) AS points, CAST(sum(logical) AS BIGINT) AS logical, "
		"CAST(sum(read) AS BIGINT) AS read, CAST(sum(stored) AS BIGINT) AS stored, "
		"CAST(sum(restores) AS BIGINT) AS restores, CAST(sum(kept) AS BIGINT) AS kept, "
		"CAST(sum(kept_logical) AS BIGINT) AS kept_logical, CAST(sum(kept_stored) AS "
		"BIGINT) AS kept_stored FROM (SELECT project_id, target_id, plan_id, type, "
		"resource_id, points, logical_bytes AS logical, read_bytes AS read, stored_bytes "
		"AS stored, restores, 0 AS kept, 0 AS kept_logical, 0 AS kept_stored FROM "
		"usage_days WHERE %s AND day >= $2 AND day <= $3 UNION ALL SELECT project_id, "
		"target_id, plan_id, type, resource_id, 0, 0, 0, 0, 0, points, logical_bytes, "
		"stored_bytes FROM usage_now WHERE %s) s GROUP BY %s ORDER BY %s LIMIT $4) u ORDER "
		"BY %s",
		bys[q->by].target, bys[q->by].target, bys[q->by].plan, bys[q->by].plan,
		bys[q->by].type, bys[q->by].id, bys[q->by].id, bys[q->by].type, bys[q->by].group,
		mine, mine, bys[q->by].group, bys[q->by].group, bys[q->by].group);
}

/* Columns of a row, in the order of the statement and of the CSV. */
static const struct {
	const char *name;
	bool number;
} columns[] = {
	{"project_id", false},
	{"project_name", false},
	{"target_id", false},
	{"target_name", false},
	{"plan_id", false},
	{"plan_name", false},
	{"type", false},
	{"resource_id", false},
	{"resource_name", false},
	{"points", true},
	{"logical_bytes", true},
	{"read_bytes", true},
	{"stored_bytes", true},
	{"restores", true},
	{"kept_points", true},
	{"kept_logical_bytes", true},
	{"kept_stored_bytes", true},
};

static json_t *row_json(const struct db_rows *r)
{
	json_t *o = json_object();

	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		json_object_set_new(o, columns[i].name,
				    columns[i].number	    ? json_integer(db_int(r, (int)i))
				    : db_is_null(r, (int)i) ? json_null()
							    : json_string(db_text(r, (int)i)));
	return o;
}

int usage_list(struct db_tx *t, const struct usage_query *q, json_t **ret_rows, bool *ret_more,
	       struct err *e)
{
	AUTO_FREE char *sql = statement(q);
	AUTO(db_rows)
	r = db_query(t, e, sql, db_t(q->project ? q->project : ""), db_i(q->from_day),
		     db_i(q->to_day), db_i(q->limit + 1));
	json_t *rows = json_array();
	int have = r ? 1 : -1;

	*ret_more = false;
	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (json_array_size(rows) == q->limit) {
			*ret_more = true;
			have = 0;
		} else {
			json_array_append_new(rows, row_json(r));
		}
	}
	if (have < 0) {
		json_decref(rows);
		return -1;
	}
	*ret_rows = rows;
	return 0;
}

/* ---- CSV ---- */

void usage_csv_text(struct buf *out, const char *text)
{
	bool formula = *text && strchr("=+-@\t\r\n|", *text);

	if (!formula && !text[strcspn(text, ",\"\r\n")]) {
		buf_text(out, text);
		return;
	}
	buf_text(out, "\"");
	if (formula)
		buf_text(out, "'");
	for (; *text; text++) {
		if (*text == '"')
			buf_text(out, "\"");
		buf_add(out, text, 1);
	}
	buf_text(out, "\"");
}

void usage_csv(const json_t *rows, struct buf *out)
{
	const json_t *v, *o;
	size_t row;

	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		buf_fmt(out, "%s%s", i ? "," : "", columns[i].name);
	buf_text(out, "\r\n");
	json_array_foreach((json_t *)rows, row, o)
	{
		for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
			v = json_object_get(o, columns[i].name);
			buf_text(out, i ? "," : "");
			if (json_is_integer(v))
				buf_fmt(out, "%lld", (long long)json_integer_value(v));
			else
				usage_csv_text(out, json_is_string(v) ? json_string_value(v) : "");
		}
		buf_text(out, "\r\n");
	}
}
