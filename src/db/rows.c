/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows are copied out of the database as a whole, so that they are the same thing whichever it is:
 * what is written while somebody walks over them does not change them.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "db/db_priv.h"

struct cell {
	enum db_type type;
	union {
		int64_t i;
		double d;
		size_t at; /* in the bytes of all rows */
	};
	size_t len;
	char number[32]; /* as text, when somebody asked for it */
};

struct db_rows {
	unsigned columns;
	size_t row; /* 1: the first */
	size_t n, cap;
	struct cell *cells;
	struct buf bytes; /* each text or value followed by a NUL */
};

struct db_rows *rows_new(unsigned columns)
{
	struct db_rows *r = xcalloc(1, sizeof(*r));

	r->columns = columns;
	return r;
}

static struct cell *add(struct db_rows *r, enum db_type type)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : r->columns;
		r->cells = xreallocarray(r->cells, r->cap, sizeof(*r->cells));
	}
	r->cells[r->n] = (struct cell){.type = type};
	return &r->cells[r->n++];
}

void rows_null(struct db_rows *r)
{
	add(r, DB_NULL);
}

void rows_int(struct db_rows *r, int64_t v)
{
	add(r, DB_INT)->i = v;
}

void rows_real(struct db_rows *r, double v)
{
	add(r, DB_REAL)->d = v;
}

static void add_bytes(struct db_rows *r, enum db_type type, const void *p, size_t n)
{
	struct cell *c = add(r, type);

	c->at = r->bytes.len;
	c->len = n;
	if (n)
		buf_add(&r->bytes, p, n);
	buf_u8(&r->bytes, 0);
}

void rows_text(struct db_rows *r, const void *p, size_t n)
{
	add_bytes(r, DB_TEXT, p, n);
}

void rows_bytes(struct db_rows *r, const void *p, size_t n)
{
	add_bytes(r, DB_BYTES, p, n);
}

bool rows_hex(struct db_rows *r, const char *digits, size_t n)
{
	size_t at = r->bytes.len;

	buf_reserve(&r->bytes, n + 1);
	if (!hex_decode(digits, n, r->bytes.data + at))
		return false;
	r->bytes.len += n;
	buf_u8(&r->bytes, 0);
	*add(r, DB_BYTES) = (struct cell){.type = DB_BYTES, .at = at, .len = n};
	return true;
}

void db_rows_free(struct db_rows *r)
{
	if (!r)
		return;
	buf_done(&r->bytes);
	free(r->cells);
	free(r);
}

int db_next(struct db_rows *r, struct err *e)
{
	(void)e;
	if (r->columns == 0 || r->row == r->n / r->columns)
		return 0;
	r->row++;
	return 1;
}

static struct cell *cell(const struct db_rows *r, int column)
{
	assert(r->row > 0 && column >= 0 && (unsigned)column < r->columns);
	return &r->cells[(r->row - 1) * r->columns + (unsigned)column];
}

static const char *bytes_of(const struct db_rows *r, const struct cell *c)
{
	return (const char *)r->bytes.data + c->at;
}

bool db_is_null(const struct db_rows *r, int column)
{
	return cell(r, column)->type == DB_NULL;
}

int64_t db_int(const struct db_rows *r, int column)
{
	const struct cell *c = cell(r, column);

	switch (c->type) {
	case DB_INT:
		return c->i;
	case DB_REAL:
		return (int64_t)c->d;
	case DB_TEXT:
		return strtoll(bytes_of(r, c), NULL, 10);
	default:
		return 0;
	}
}

double db_real(const struct db_rows *r, int column)
{
	const struct cell *c = cell(r, column);

	switch (c->type) {
	case DB_INT:
		return (double)c->i;
	case DB_REAL:
		return c->d;
	case DB_TEXT:
		return strtod(bytes_of(r, c), NULL);
	default:
		return 0;
	}
}

const char *db_text_or_null(const struct db_rows *r, int column)
{
	struct cell *c = cell(r, column);

	switch (c->type) {
	case DB_NULL:
		return NULL;
	case DB_INT:
		snprintf(c->number, sizeof(c->number), "%" PRId64, c->i);
		return c->number;
	case DB_REAL:
		snprintf(c->number, sizeof(c->number), "%.17g", c->d);
		return c->number;
	default:
		return bytes_of(r, c);
	}
}

const char *db_text(const struct db_rows *r, int column)
{
	const char *s = db_text_or_null(r, column);

	return s ? s : "";
}

const void *db_bytes(const struct db_rows *r, int column, size_t *ret_len)
{
	const struct cell *c = cell(r, column);
	bool some = c->type == DB_BYTES || c->type == DB_TEXT;

	*ret_len = some ? c->len : 0;
	return some ? bytes_of(r, c) : NULL;
}
