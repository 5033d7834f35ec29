/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h: the state of the server, in SQLite (one process) or PostgreSQL (many).
 *
 * All work is done in transactions: a function is run in one, and run again from its start when
 * the database says that others came in between. So it must be harmless to repeat: it writes to the
 * database and to its argument, and nothing else. A transaction that changes something behaves as
 * if it were alone (SQLite has one writer; PostgreSQL is asked for SERIALIZABLE); who is told 0 has
 * its changes on the disk.
 *
 * One SQL text serves both: parameters are $1, $2 …; ids are TEXT, times are BIGINT (microseconds
 * since 1970, UTC), flags are INTEGER 0 or 1, JSON is TEXT, bytes are BYTEA/BLOB. Where they differ
 * there is db_skip_locked().
 *
 * Waking: db_wake() in a transaction tells db_wait() in any process on the same database that there
 * is something to look at, after the commit. It can be lost with a connection, so who waits looks
 * again after a while in any case: the database is the truth.
 *
 * Threads: a db is thread-safe; a transaction belongs to the thread that it is run in.
 */
#ifndef HF_DB_DB_H
#define HF_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct db;
struct db_tx;
struct db_rows;

/*
 * "sqlite:/path/of/file" or a "postgresql://" URI as libpq reads it. The schema is brought up to
 * date (migrate.h). ERR_INVALID, ERR_UNREACHABLE, ERR_DENIED, ERR_VERSION: a newer holdfastd has
 * been here; ERR_BUSY: another process has the SQLite file open.
 */
struct db *db_open(const char *url, struct err *e);
void db_close(struct db *d);
DEFINE_AUTO(db, db_close);

typedef int db_fn(struct db_tx *t, void *arg, struct err *e);

/*
 * Run `fn` in a transaction and commit it, or roll back where it returns -1. Errors are those of
 * `fn`, or ERR_UNREACHABLE (the database is gone), ERR_NOSPACE, ERR_IO. Within `fn` no other
 * transaction may be run by the same thread.
 */
int db_write(struct db *d, db_fn *fn, void *arg, struct err *e);
/* As db_write, for reading only; many at once. */
int db_read(struct db *d, db_fn *fn, void *arg, struct err *e);
/*
 * As db_write, but PostgreSQL is asked for READ COMMITTED only: for claims of work with
 * db_skip_locked() by statements that are right by themselves.
 */
int db_claim(struct db *d, db_fn *fn, void *arg, struct err *e);

/* " FOR UPDATE SKIP LOCKED", or "" where there is one writer anyway: the end of a sub-select. */
const char *db_skip_locked(const struct db_tx *t);

enum db_type { DB_NULL, DB_INT, DB_REAL, DB_TEXT, DB_BYTES };

struct db_value {
	enum db_type type;
	int64_t i;
	double d;
	const void *p; /* NULL: a NULL */
	size_t len;
};

#define db_i(v) ((struct db_value){.type = DB_INT, .i = (int64_t)(v)})
#define db_d(v) ((struct db_value){.type = DB_REAL, .d = (v)})
#define db_t(v) db_text_value(v)
#define db_b(ptr, n) ((struct db_value){.type = DB_BYTES, .p = (ptr), .len = (n)})
#define db_null() ((struct db_value){.type = DB_NULL})
struct db_value db_text_value(const char *s);

/*
 * Run one statement. `rows_changed` of db_exec may be NULL. A violated constraint is ERR_EXISTS
 * (unique) or ERR_CONFLICT (any other); the transaction cannot be used after any error.
 *
 *	db_exec(t, &n, e, "UPDATE plans SET name = $1 WHERE id = $2", db_t(name), db_t(id));
 */
#define db_exec(t, rows_changed, e, sql, ...)                                                      \
	db_exec_v((t), (sql), DB_VALUES(__VA_ARGS__), (rows_changed), (e))
#define db_query(t, e, sql, ...) db_query_v((t), (sql), DB_VALUES(__VA_ARGS__), (e))
#define DB_VALUES(...)                                                                             \
	(const struct db_value[]){__VA_ARGS__ __VA_OPT__(, ){.type = DB_NULL}},                    \
		sizeof((const struct db_value[]){__VA_ARGS__ __VA_OPT__(, ){.type = DB_NULL}}) /   \
				sizeof(struct db_value) -                                          \
			1
int db_exec_v(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
	      uint64_t *rows_changed, struct err *e);
struct db_rows *db_query_v(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
			   struct err *e);

/* 1: there is a (next) row, 0: no more, -1. Rows are valid within their transaction. */
int db_next(struct db_rows *r, struct err *e);
bool db_is_null(const struct db_rows *r, int column);
int64_t db_int(const struct db_rows *r, int column);
double db_real(const struct db_rows *r, int column);
/* Valid until the next db_next(); "" for NULL in db_text, NULL for NULL in db_text_or_null. */
const char *db_text(const struct db_rows *r, int column);
const char *db_text_or_null(const struct db_rows *r, int column);
const void *db_bytes(const struct db_rows *r, int column, size_t *ret_len);
void db_rows_free(struct db_rows *r);
DEFINE_AUTO(db_rows, db_rows_free);

/* After the commit, wake everybody who waits for `channel` ([a-z_]+, at most 40 bytes). */
int db_wake(struct db_tx *t, const char *channel, struct err *e);
/*
 * How often `channel` was woken, as this process knows; for db_wait(). Ask before looking at the
 * database, so that nothing is missed between looking and waiting.
 */
uint64_t db_woken(struct db *d, const char *channel);
/* Wait until `channel` was woken since `seen`, or for `timeout_ms`. Returns the new count. */
uint64_t db_wait(struct db *d, const char *channel, uint64_t seen, unsigned timeout_ms);

#endif
