/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SELECT with all columns; the page begins after the marker's row, whose values of the sort
 * keys are asked first: (a, b, id) comes after (A, B, I) if a > A, or a = A and b > B, or both are
 * equal and id > I, with each comparison turned round where a key descends.
 */
#include "core/table.h"

#include <string.h>

#include "base/clock.h"

/* The k-th key of a marker is compared with k + 1 times; filters; project, moment, page. */
#define KEYS (TABLE_SORTS + 2)
#define VALUES (TABLE_FILTERS + KEYS * (KEYS + 1) / 2 + 5)

/* A statement that is put together, with its values. */
struct select {
	struct buf sql;
	struct db_value v[VALUES];
	size_t n;
	size_t now; /* the number of the parameter that $NOW is; 0: not asked for yet */
};

static void put(struct select *s, const char *text)
{
	buf_text(&s->sql, text);
}

static void put_value(struct select *s, struct db_value v)
{
	s->v[s->n++] = v;
	buf_fmt(&s->sql, "$%zu", s->n);
}

/* An expression of the table's. */
static void put_sql(struct select *s, const char *sql)
{
	for (const char *at; (at = strstr(sql, "$NOW")); sql = at + 4) {
		buf_add(&s->sql, sql, (size_t)(at - sql));
		if (!s->now) {
			s->v[s->n++] = db_i(clock_wall_us());
			s->now = s->n;
		}
		buf_fmt(&s->sql, "$%zu", s->now);
	}
	put(s, sql);
}

static const char *id_of(const struct table *t)
{
	return t->id ? t->id : "id";
}

const struct filter *table_filter(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_filters; i++)
		if (strcmp(t->filters[i].name, name) == 0)
			return &t->filters[i];
	return NULL;
}

const struct column *table_column(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

/* ---- a row as JSON ---- */

static json_t *time_json(int64_t us, bool date_only)
{
	char text[CLOCK_TEXT];

	clock_rfc3339((uint64_t)us, text);
	if (date_only)
		text[10] = 0;
	return json_string(text);
}

static json_t *value_json(const struct db_rows *r, int i, enum column_kind kind)
{
	if (db_is_null(r, i))
		return json_null();
	switch (kind) {
	case COLUMN_INT:
		return json_integer(db_int(r, i));
	case COLUMN_TIME:
	case COLUMN_DATE:
		return time_json(db_int(r, i), kind == COLUMN_DATE);
	case COLUMN_FLAG:
		return json_boolean(db_int(r, i) != 0);
	case COLUMN_JSON:
		return json_of(db_text(r, i), "null");
	default:
		return json_string(db_text(r, i));
	}
}

static json_t *row_json(const struct table *t, const struct db_rows *r)
{
	json_t *o = json_object();

	for (size_t i = 0; i < t->n_columns; i++)
		if (t->columns[i].kind != COLUMN_HIDDEN && t->columns[i].kind != COLUMN_HIDDEN_INT)
			json_object_set_new(o, t->columns[i].name,
					    value_json(r, (int)i, t->columns[i].kind));
	return o;
}

/* ---- the statement ---- */

static void put_project(struct buf *sql, const struct table *t, size_t parameter)
{
	const char *column = t->project ? t->project : "project_id";

	buf_fmt(sql, " AND (%s = $%zu", column, parameter);
	if (t->shared)
		buf_fmt(sql, " OR %s IS NULL", column);
	buf_text(sql, ")");
}

static void put_head(struct select *s, const struct table *t, const char *project)
{
	put(s, "SELECT ");
	for (size_t i = 0; i < t->n_columns; i++) {
		put(s, i ? ", " : "");
		put_sql(s, t->columns[i].sql);
	}
	buf_fmt(&s->sql, " FROM %s WHERE %s", t->sql, t->where ? t->where : "1 = 1");
	if (!project)
		return;
	s->v[s->n++] = db_t(project);
	put_project(&s->sql, t, s->n);
}

static int put_filter(struct select *s, const struct table *t, const struct list_filter *given,
		      struct err *e)
{
	const struct filter *f = table_filter(t, given->name);

	if (!f)
		return err_set(e, ERR_INVALID, "Lists of %s cannot be filtered by '%s'.", t->items,
			       given->name);
	buf_fmt(&s->sql, " AND ");
	switch (f->op) {
	case FILTER_CONTAINS:
		/* The same in both databases, and no character means anything else. */
		buf_fmt(&s->sql, "replace(%s, ", f->sql);
		put_value(s, db_t(given->value));
		buf_fmt(&s->sql, ", '') <> %s", f->sql);
		return 0;
	case FILTER_AMONG:
		buf_fmt(&s->sql, "%s IN (SELECT %s = ", id_of(t), f->sql);
		put_value(s, db_t(given->value));
		put(s, ")");
		return 0;
	case FILTER_IS:
		put_sql(s, f->sql);
		put(s, " = ");
		put_value(s, db_t(given->value));
		return 0;
	default:
		buf_fmt(&s->sql, "%s %s ", f->sql,
			f->op == FILTER_FROM	 ? ">="
			: f->op == FILTER_BEFORE ? "<"
						 : "=");
		put_value(s, db_i(given->number));
		return 0;
	}
}

struct key {
	const char *sql;
	bool descending;
	char *text; /* of the marker's row */
	int64_t number;
	bool is_number;
};

struct keys {
	struct key v[KEYS];
	size_t n;
};

static void keys_done(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i].text);
}

static bool is_number(enum column_kind k)
{
	return k == COLUMN_INT || k == COLUMN_TIME || k == COLUMN_DATE || k == COLUMN_FLAG ||
	       k == COLUMN_HIDDEN_INT;
}

/* What a list is sorted by: as was asked, then by age where that is known, then by id. */
static int keys_of(const struct table *t, const struct list_query *q, struct keys *k, struct err *e)
{
	static const struct list_sort newest = {"created_at", true};
	const struct list_sort *sort = q->n_sort ? q->sort : &newest;
	size_t n = q->n_sort ? q->n_sort : 1;
	bool descending = sort[0].descending;

	for (size_t i = 0; i < n; i++) {
		const struct column *c = table_column(t, sort[i].name);

		if ((!c || !c->sorts) && !q->n_sort)
			continue;
		if (!c || !c->sorts)
			return err_set(e, ERR_INVALID, "Lists of %s cannot be sorted by '%s'.",
				       t->items, sort[i].name);
		k->v[k->n++] = (struct key){.sql = c->sql,
					    .descending = sort[i].descending,
					    .is_number = is_number(c->kind)};
	}
	k->v[k->n++] = (struct key){.sql = id_of(t), .descending = descending};
	return 0;
}

static int load_marker(struct db_tx *x, const struct table *t, const struct list_query *q,
		       struct keys *k, struct err *e)
{
	struct select s = {.sql = BUF_INIT};
	AUTO(db_rows) r = NULL;
	int have;

	put(&s, "SELECT ");
	for (size_t i = 0; i < k->n; i++) {
		put(&s, i ? ", " : "");
		put_sql(&s, k->v[i].sql);
	}
	buf_fmt(&s.sql, " FROM %s WHERE %s = ", t->sql, id_of(t));
	put_value(&s, db_t(q->marker));
	if (q->project) {
		s.v[s.n++] = db_t(q->project);
		put_project(&s.sql, t, s.n);
	}
	r = db_query_v(x, buf_str(&s.sql), s.v, s.n, e);
	buf_done(&s.sql);
	have = r ? db_next(r, e) : -1;
	if (have < 0)
		return -1;
	if (!have)
		return err_set(
			e, ERR_INVALID,
			"marker '%s': there is no such %s any more; list again from the start",
			q->marker, t->item);
	for (size_t i = 0; i < k->n; i++) {
		if (k->v[i].is_number)
			k->v[i].number = db_int(r, (int)i);
		else
			k->v[i].text = xstrdup(db_text(r, (int)i));
	}
	return 0;
}

static void put_compare(struct select *s, const struct key *k, const char *op)
{
	put_sql(s, k->sql);
	buf_fmt(&s->sql, " %s ", op);
	put_value(s, k->is_number ? db_i(k->number) : db_t(k->text));
}

static void put_marker(struct select *s, const struct keys *k)
{
	/* What follows from the rest, said first: so an index is walked from there. */
	put(s, " AND ");
	put_compare(s, &k->v[0], k->v[0].descending ? "<=" : ">=");
	put(s, " AND (");
	for (size_t i = 0; i < k->n; i++) {
		put(s, i ? " OR (" : "(");
		for (size_t j = 0; j < i; j++) {
			put_compare(s, &k->v[j], "=");
			put(s, " AND ");
		}
		put_compare(s, &k->v[i], k->v[i].descending ? "<" : ">");
		put(s, ")");
	}
	put(s, ")");
}

static void put_tail(struct select *s, const struct keys *k, const struct list_query *q)
{
	put(s, " ORDER BY ");
	for (size_t i = 0; i < k->n; i++) {
		put(s, i ? ", " : "");
		put_sql(s, k->v[i].sql);
		put(s, k->v[i].descending ? " DESC" : "");
	}
	buf_fmt(&s->sql, " LIMIT %zu OFFSET %zu", q->limit + 1, q->offset);
}

static int put_list(struct db_tx *x, struct select *s, const struct table *t,
		    const struct list_query *q, struct keys *k, struct err *e)
{
	put_head(s, t, q->project);
	for (size_t i = 0; i < q->n_filters; i++)
		if (put_filter(s, t, &q->filters[i], e) < 0)
			return -1;
	if (keys_of(t, q, k, e) < 0)
		return -1;
	if (q->marker) {
		if (load_marker(x, t, q, k, e) < 0)
			return -1;
		put_marker(s, k);
	}
	put_tail(s, k, q);
	return 0;
}

static int fetch(struct db_tx *x, const struct table *t, struct select *s, size_t limit,
		 json_t *items, bool *ret_more, struct err *e)
{
	AUTO(db_rows) r = db_query_v(x, buf_str(&s->sql), s->v, s->n, e);
	int have;

	*ret_more = false;
	if (!r)
		return -1;
	while ((have = db_next(r, e)) > 0) {
		if (json_array_size(items) == limit) {
			*ret_more = true;
			return 0;
		}
		json_array_append_new(items, row_json(t, r));
	}
	return have;
}

int table_list(struct db_tx *x, const struct table *t, const struct list_query *q,
	       json_t **ret_items, bool *ret_more, struct err *e)
{
	struct select s = {.sql = BUF_INIT};
	struct keys k = {.n = 0};
	json_t *items = json_array();
	int r = put_list(x, &s, t, q, &k, e);

	if (r == 0)
		r = fetch(x, t, &s, q->limit, items, ret_more, e);
	buf_done(&s.sql);
	keys_done(&k);
	if (r < 0) {
		json_decref(items);
		return -1;
	}
	*ret_items = items;
	return 0;
}

int table_get(struct db_tx *x, const struct table *t, const char *project, const char *id,
	      json_t **ret_item, struct err *e)
{
	struct select s = {.sql = BUF_INIT};
	json_t *items = json_array();
	bool more;
	int r;

	put_head(&s, t, project);
	buf_fmt(&s.sql, " AND %s = ", id_of(t));
	put_value(&s, db_t(id));
	r = fetch(x, t, &s, 1, items, &more, e);
	buf_done(&s.sql);
	if (r == 0 && json_array_size(items) == 0)
		r = err_set(e, ERR_NOENT, "There is no %s '%s'.", t->item, id);
	if (r == 0)
		*ret_item = json_incref(json_array_get(items, 0));
	json_decref(items);
	return r;
}
