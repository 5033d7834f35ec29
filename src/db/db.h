/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h: the state of the server, in SQLite (one process) or PostgreSQL (many).
 *
 * All work is done in transactions: a function is run in one, and run again from its start when
 * the database says that others came in between or was lost for a moment. So it must be harmless to
 * repeat: it writes to the database and to its argument, and nothing else. It may be run by another
 * thread than the caller's, so it takes no lock that the caller holds. A transaction that changes
 * something behaves as if it were alone (SQLite has one writer; PostgreSQL is asked for
 * SERIALIZABLE); who is told 0 has its changes on the disk, once.
 *
 * One SQL text serves both: parameters are $1, $2 …, each used; ids are TEXT, times are BIGINT
 * (microseconds since 1970, UTC), flags are INTEGER 0 or 1, JSON is TEXT, bytes are BYTEA (more in
 * migrate.h). Text is compared by its bytes, LIKE knows upper and lower case, "x" is a name. A
 * value has the type that it is given with; where only a NULL says what a parameter is, as in $1 IS
 * NULL, PostgreSQL wants CAST($1 AS TEXT). Where they differ there is db_skip_locked().
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
 * "sqlite:/path/of/file" or a "postgresql://" URI as libpq reads it, in which pool=N says how many
 * connections there are at most (8; besides one that listens), and patience=S how many seconds a
 * transaction is tried while the database is gone or others come in between (30). The schema is
 * brought up to date (migrate.h). ERR_INVALID; ERR_UNREACHABLE, after the patience; ERR_DENIED,
 * ERR_NOENT: not let in, no such database or folder; ERR_VERSION: a newer holdfastd has been here;
 * ERR_CORRUPT: another build of it; ERR_BUSY: another process has the SQLite file open;
 * ERR_UNSUPPORTED: an SQLite file on a network file system, a PostgreSQL before 15.
 */
struct db *db_open(const char *url, struct err *e);
void db_close(struct db *d);
DEFINE_AUTO(db, db_close);

/* "sqlite", "postgresql". */
const char *db_name(const struct db *d);

typedef int db_fn(struct db_tx *t, void *arg, struct err *e);

/*
 * Run `fn` in a transaction and commit it, or roll back where it returns -1. Errors are those of
 * `fn`, or ERR_UNREACHABLE (the database is gone; the message says so where it is not known
 * whether it was committed), ERR_BUSY (others came in between, or had all connections, all the
 * time), ERR_TIMEOUT (a statement took more than a minute), ERR_NOSPACE, ERR_IO. `fn` runs no other
 * transaction and waits for nobody: with SQLite all who write wait for it.
 */
int db_write(struct db *d, db_fn *fn, void *arg, struct err *e);
/* As db_write, for reading only; many at once. All that it reads is of one moment. */
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
/* As db_t; "" is a NULL, too. */
static inline struct db_value db_t0(const char *s)
{
	return db_text_value(s && *s ? s : NULL);
}

/*
 * Run one statement, with at most 64 values. `rows_changed` of db_exec may be NULL. A violated
 * constraint is ERR_EXISTS (unique) or ERR_CONFLICT (any other). After an error nothing more can be
 * done in the transaction, and it fails even if `fn` returns 0: to go on where something is there
 * already, use ON CONFLICT. Statements are prepared once for each text and connection, so what
 * varies belongs into values.
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

/* 1: there is a (next) row, 0: no more, -1. Rows are a copy: what is written while they are walked
 * over does not change them. Ask for as many as fit into memory. */
int db_next(struct db_rows *r, struct err *e);
bool db_is_null(const struct db_rows *r, int column);
int64_t db_int(const struct db_rows *r, int column);
double db_real(const struct db_rows *r, int column);
/* Valid until db_rows_free(); "" for NULL in db_text, NULL for NULL in db_text_or_null. Numbers are
 * given as text, and text as a number by db_int, if asked for. */
const char *db_text(const struct db_rows *r, int column);
const char *db_text_or_null(const struct db_rows *r, int column);
const void *db_bytes(const struct db_rows *r, int column, size_t *ret_len);
void db_rows_free(struct db_rows *r);
DEFINE_AUTO(db_rows, db_rows_free);

/* After the commit, wake everybody who waits for `channel` ([a-z_]+, at most 40 bytes; at most 64
 * channels). */
int db_wake(struct db_tx *t, const char *channel, struct err *e);
/* At once, and only those of this process: for who ends them. */
void db_wake_here(struct db *d, const char *channel);
/*
 * How often `channel` was woken, as this process knows; for db_wait(). Ask before looking at the
 * database, so that nothing is missed between looking and waiting.
 */
uint64_t db_woken(struct db *d, const char *channel);
/* Wait until `channel` was woken since `seen`, or for `timeout_ms`. Returns the new count. */
uint64_t db_wait(struct db *d, const char *channel, uint64_t seen, unsigned timeout_ms);

#endif
