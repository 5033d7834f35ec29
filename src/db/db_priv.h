/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_priv.h: what db.c, the two databases below it and migrate.c share; also for their tests.
 */
#ifndef HF_DB_DB_PRIV_H
#define HF_DB_DB_PRIV_H

#include "base/buf.h"
#include "db/db.h"
#include "db/wakes.h"

#define DB_VALUES_MAX 64 /* of one statement */

enum db_mode { DB_READ, DB_WRITE, DB_CLAIM };

struct db_ops {
	const char *name; /* also after "-- only:" in a migration */
	const char *skip_locked;
	int (*run)(struct db *d, enum db_mode mode, db_fn *fn, void *arg, struct err *e);
	/* `ret_rows` or `ret_changed` is NULL: not wanted. */
	int (*statement)(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
			 struct db_rows **ret_rows, uint64_t *ret_changed, struct err *e);
	/* Several statements without parameters. */
	int (*script)(struct db_tx *t, const char *sql, struct err *e);
	/* Before and after a migration: keep other processes out; what only this database needs. */
	int (*migrate_begin)(struct db_tx *t, struct err *e);
	int (*migrate_end)(struct db_tx *t, struct err *e);
	/* Once, when the schema is up to date. */
	int (*start)(struct db *d, struct err *e);
	void (*close)(struct db *d);
};

struct db {
	const struct db_ops *ops;
	struct wakes *wakes;
};

struct db_tx {
	struct db *db;
	bool failed;	  /* a statement failed: nothing of it can be committed */
	struct err first; /* why */
	uint64_t wake;	  /* channels, as of wakes_number() */
};

/* Remember the first failure of a statement in `t`; always -1, with `e` set. */
int db_tx_fail(struct db_tx *t, const struct err *why, struct err *e);
/* What `fn` comes to: -1 also where a statement failed and it did not notice. */
int db_tx_run(struct db_tx *t, db_fn *fn, void *arg, struct err *e);

/* Open without looking at the schema; db_open() is this, migrate() and start(). */
struct db *db_open_bare(const char *url, struct err *e);
struct db *sqlite_open(const char *path, struct err *e);
struct db *postgres_open(const char *url, struct err *e);

/* ---- rows, as the databases fill them ---- */

struct db_rows *rows_new(unsigned columns);
/* The next cell; a row is complete when it has all its cells. */
void rows_null(struct db_rows *r);
void rows_int(struct db_rows *r, int64_t v);
void rows_real(struct db_rows *r, double v);
void rows_text(struct db_rows *r, const void *p, size_t n);
void rows_bytes(struct db_rows *r, const void *p, size_t n);
/* As rows_bytes, from 2 * n hexadecimal digits; false when they are not that. */
bool rows_hex(struct db_rows *r, const char *digits, size_t n);

#endif
