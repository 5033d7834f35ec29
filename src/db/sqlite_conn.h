/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_conn.h: one connection to an SQLite file, and statements on it. Threads: one at a time.
 */
#ifndef HF_DB_SQLITE_CONN_H
#define HF_DB_SQLITE_CONN_H

#include <sqlite3.h>

#include "db/db_priv.h"

struct sqlite_conn;

/* The writer makes the file what it has to be; readers come after it. */
struct sqlite_conn *sqlite_conn_open(const char *path, bool writer, struct err *e);
void sqlite_conn_close(struct sqlite_conn *c);
DEFINE_AUTO(sqlite_conn, sqlite_conn_close);

/* A statement without parameters or rows; not within db_tx_fail(). */
int sqlite_conn_do(struct sqlite_conn *c, const char *sql, struct err *e);
/* As db_ops.statement, for a transaction on this connection. */
int sqlite_conn_statement(struct sqlite_conn *c, struct db_tx *t, const char *sql,
			  const struct db_value *v, size_t n, struct db_rows **ret_rows,
			  uint64_t *ret_changed, struct err *e);
int sqlite_conn_script(struct sqlite_conn *c, struct db_tx *t, const char *sql, struct err *e);
/* SQLite itself has rolled back all of it, as it does when the disk is full. */
bool sqlite_conn_rolled_back(const struct sqlite_conn *c);
/* After a commit of the writer: bring what is in the write-ahead log over to the main file, when
 * enough has come together. */
void sqlite_conn_tidy(struct sqlite_conn *c);

#endif
