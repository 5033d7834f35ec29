/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_priv.h: what the files of the PostgreSQL side share.
 */
#ifndef HF_DB_POSTGRES_PRIV_H
#define HF_DB_POSTGRES_PRIV_H

#include <libpq-fe.h>

#include "db/db_priv.h"

/* ---- postgres_url.c ---- */

struct postgres_url {
	char *libpq;	      /* without what is ours */
	char *name;	      /* for messages: "holdfast at db1:5432"; no password in it */
	unsigned connections; /* at most */
	unsigned patience_ms; /* how long a transaction is tried */
};

int postgres_url_parse(const char *text, struct postgres_url *ret_url, struct err *e);
void postgres_url_done(struct postgres_url *u);

/* ---- postgres_conn.c: one connection; one thread at a time ---- */

/* What is to be done about a failed statement. */
enum pg_fate {
	PG_FINE,
	PG_FAILED, /* it is wrong: tell the caller */
	PG_AGAIN,  /* others came in between */
	PG_LOST,   /* the connection is gone, or of no use any more */
};

struct pg_conn;

enum { PG_LIFE = 32 };

/* Since when the server counts: it forgets its counts when it recovers from a crash. Text. */
#define PG_LIFE_SQL "(SELECT extract(epoch FROM stats_reset)::text FROM pg_stat_bgwriter)"

/* ERR_UNREACHABLE may be better later, anything else is not. */
struct pg_conn *pg_connect(const struct postgres_url *u, uint64_t until_us, struct err *e);
void pg_disconnect(struct pg_conn *c);
DEFINE_AUTO(pg_conn, pg_disconnect);
PGconn *pg_handle(struct pg_conn *c);
/* Which life of the server this is: another one after it has crashed. */
const char *pg_life(const struct pg_conn *c);

/* A statement without parameters, or several; PQexec. NULL on failure. The caller clears. */
PGresult *pg_do(struct pg_conn *c, const char *sql, enum pg_fate *ret_fate, struct err *e);
/* A prepared statement. */
PGresult *pg_statement(struct pg_conn *c, const char *sql, const struct db_value *v, size_t n,
		       enum pg_fate *ret_fate, struct err *e);
/* All of a result as rows. */
struct db_rows *pg_rows(const PGresult *r, struct err *e);
/* After a transaction: nothing is under way on it, so somebody else can use it. */
bool pg_usable(struct pg_conn *c);

/* ---- postgres_pool.c: connections that are shared; thread-safe ---- */

struct pg_pool;

/* `u` must live as long. */
struct pg_pool *pg_pool_new(const struct postgres_url *u);
void pg_pool_free(struct pg_pool *p);
DEFINE_AUTO(pg_pool, pg_pool_free);

/* A connection, new if need be; waits for one, and for the database, until then. */
struct pg_conn *pg_pool_take(struct pg_pool *p, uint64_t until_us, struct err *e);
void pg_pool_give(struct pg_pool *p, struct pg_conn *c);
/* Give up those that nobody uses: one was found dead, so the others are, too. */
void pg_pool_flush(struct pg_pool *p);

/* ---- postgres_listen.c ---- */

struct pg_listener;

/* A thread with a connection of its own, made before this returns, which hears what other processes
 * wake, and tells them what this one does. `u` and `w` must live as long. */
struct pg_listener *pg_listener_start(const struct postgres_url *u, struct wakes *w, struct err *e);
void pg_listener_stop(struct pg_listener *l);
/* Tell other processes of these channels, soon. Any thread; does not wait. */
void pg_listener_tell(struct pg_listener *l, uint64_t channels);

#endif
