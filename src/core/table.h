/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h: how a table of the catalogue is shown: rows as JSON objects, lists with filters, sorting
 * and paging. One description for each kind of thing, so that all lists behave alike.
 *
 * Pages go by marker, the id of the last row of the page before: no page is counted through, so the
 * last of a million rows costs as much as the first, and rows that come and go shift nothing.
 *
 * Threads: descriptions are constant; everything else belongs to its transaction.
 */
#ifndef HF_CORE_TABLE_H
#define HF_CORE_TABLE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/json.h"
#include "db/db.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_INT,
	COLUMN_TIME,	   /* shown as RFC 3339 */
	COLUMN_DATE,	   /* a time, shown as YYYY-MM-DD */
	COLUMN_FLAG,	   /* shown as true or false */
	COLUMN_JSON,	   /* kept as text, shown as what it is */
	COLUMN_JSON_TEXT,  /* shown as the text that it is */
	COLUMN_HIDDEN,	   /* not shown: for sorting */
	COLUMN_HIDDEN_INT, /* the same, of a number */
};

/* Of two columns with a name, lists are sorted by the first: a hidden one has no NULLs. */
struct column {
	const char *name; /* as it is shown */
	const char *sql;  /* an expression over the row; $NOW is the moment */
	enum column_kind kind;
	bool sorts; /* lists may be sorted by it; never NULL then */
};

enum filter_op {
	FILTER_IS,
	FILTER_CONTAINS,
	FILTER_FROM,
	FILTER_BEFORE,
	FILTER_FLAG,
	FILTER_AMONG, /* `sql` is "IDS FROM … WHERE COLUMN", and the row's id is one of IDS */
};

struct filter {
	const char *name;
	const char *sql;
	enum filter_op op;
};

struct table {
	const char *sql;   /* "plans" */
	const char *item;  /* "plan", for messages and as the key of one */
	const char *items; /* "plans", the key of a list */
	const struct column *columns;
	size_t n_columns;
	const struct filter *filters;
	size_t n_filters;
	bool shared;	     /* rows without a project belong to all */
	const char *where;   /* always true of what is shown; may be NULL */
	const char *id;	     /* expression of the id; NULL: "id" */
	const char *project; /* expression of the project; NULL: "project_id" */
	const char *own;     /* a parameter of queries that is read elsewhere; NULL: none */
};
/* In the initializer of one: what it shows, and what a list of it can be narrowed by. */
#define TABLE_COLUMNS(c) .columns = c, .n_columns = ARRAY_LEN(c)
#define TABLE_OF(c, f) TABLE_COLUMNS(c), .filters = f, .n_filters = ARRAY_LEN(f)

#define TABLE_LIMIT 1000 /* rows of a page at most */
#define TABLE_SORTS 4
#define TABLE_FILTERS 16

struct list_sort {
	const char *name;
	bool descending;
};

struct list_filter {
	const char *name, *value;
	int64_t number; /* FILTER_FROM, FILTER_BEFORE: microseconds; FILTER_FLAG: 0 or 1 */
};

struct list_query {
	const char *project; /* NULL: of all */
	const char *marker;  /* id of the last one seen; NULL: from the start */
	size_t limit;	     /* 1 … TABLE_LIMIT */
	size_t offset;
	struct list_sort sort[TABLE_SORTS]; /* none: the newest first */
	size_t n_sort;
	struct list_filter filters[TABLE_FILTERS];
	size_t n_filters;
};

const struct filter *table_filter(const struct table *t, const char *name);
const struct column *table_column(const struct table *t, const char *name);

/*
 * The rows as an array, which the caller owns. *ret_more: there is another page. ERR_INVALID: a
 * filter or sort key that the table has not, or a marker that is none.
 */
int table_list(struct db_tx *x, const struct table *t, const struct list_query *q,
	       json_t **ret_items, bool *ret_more, struct err *e);
/* One row, which the caller owns. ERR_NOENT also if it is another project's (`project` NULL: any).
 */
int table_get(struct db_tx *x, const struct table *t, const char *project, const char *id,
	      json_t **ret_item, struct err *e);

#endif
