/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL: a transaction is run on a connection of the pool, and again when others came in
 * between or the connection was lost, until it has an outcome or the patience ends.
 *
 * A COMMIT whose answer was lost is a question: it may have been done. The transaction's number
 * was asked for at its beginning, and a new connection asks pg_xact_status() what became of it. As
 * long as it is still under way, its server process is told to end; then it is done or not, and
 * only when it is not, it is run again.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "db/postgres_priv.h"

#define BACKOFF_US_MAX 200000

struct pg {
	struct db base;
	struct postgres_url url;
	struct pg_pool *pool;
	struct pg_listener *listener; /* NULL until start */
};

/* What a try came to. */
enum end {
	END_DONE,
	END_FAILED,
	END_AGAIN,
	END_LOST,
	END_UNSURE, /* COMMIT was sent, and nothing came back */
};

struct pg_tx {
	struct db_tx base;
	struct pg_conn *conn;
	enum pg_fate fate;
	char number[24];    /* of the transaction; "" in a reading one */
	char life[PG_LIFE]; /* of the server, when it began */
};

static const char *const begin[] = {
	[DB_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	[DB_WRITE] = "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT pg_current_xact_id()",
	[DB_CLAIM] = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id()",
};

/* ---- within a transaction ---- */

static struct pg_tx *tx_of(struct db_tx *t)
{
	return (struct pg_tx *)t;
}

static int pg_run_statement(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
			    struct db_rows **ret_rows, uint64_t *ret_changed, struct err *e)
{
	struct pg_tx *p = tx_of(t);
	struct err why = {0};
	struct db_rows *rows = NULL;
	PGresult *r = pg_statement(p->conn, sql, v, n, &p->fate, &why);

	if (!r)
		return db_tx_fail(t, &why, e);
	if (ret_changed)
		*ret_changed = strtoull(PQcmdTuples(r), NULL, 10);
	if (ret_rows)
		rows = pg_rows(r, &why);
	PQclear(r);
	if (ret_rows && !rows)
		return db_tx_fail(t, &why, e);
	if (ret_rows)
		*ret_rows = rows;
	return 0;
}

static int pg_script(struct db_tx *t, const char *sql, struct err *e)
{
	struct pg_tx *p = tx_of(t);
	struct err why = {0};
	PGresult *r = pg_do(p->conn, sql, &p->fate, &why);

	PQclear(r);
	return r ? 0 : db_tx_fail(t, &why, e);
}

/* READ COMMITTED: what is looked at after this was committed before it. */
static int pg_migrate_begin(struct db_tx *t, struct err *e)
{
	return pg_script(t,
			 "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0;"
			 "SELECT pg_advisory_xact_lock(hashtext('holdfast'), "
			 "hashtext(current_schema()))",
			 e);
}

/*
 * Text is compared by its bytes, as in SQLite, and not by a collation of the system: indexes made
 * with one are wrong after the system's C library was changed.
 */
static int pg_migrate_end(struct db_tx *t, struct err *e)
{
	return pg_script(
		t,
		"DO $$ DECLARE c record; BEGIN FOR c IN"
		" SELECT a.attrelid::regclass AS r, string_agg("
		"format('ALTER COLUMN %I TYPE TEXT COLLATE \"C\"', a.attname), ', ') AS columns"
		" FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid"
		" JOIN pg_collation l ON l.oid = a.attcollation"
		" WHERE k.relnamespace = current_schema()::regnamespace AND k.relkind = 'r'"
		" AND a.atttypid = 'text'::regtype AND a.attnum > 0 AND NOT a.attisdropped"
		" AND l.collname <> 'C' GROUP BY a.attrelid"
		" LOOP EXECUTE format('ALTER TABLE %s %s', c.r, c.columns);"
		" END LOOP; END $$",
		e);
}

/* ---- one try ---- */

static enum end end_of(enum pg_fate fate)
{
	return fate == PG_AGAIN ? END_AGAIN : fate == PG_LOST ? END_LOST : END_FAILED;
}

static int begin_it(struct pg_tx *t, enum db_mode mode, struct err *e)
{
	PGresult *r = pg_do(t->conn, begin[mode], &t->fate, e);

	if (!r)
		return -1;
	snprintf(t->life, sizeof(t->life), "%s", pg_life(t->conn));
	if (mode != DB_READ)
		snprintf(t->number, sizeof(t->number), "%s", PQgetvalue(r, 0, 0));
	PQclear(r);
	return 0;
}

static enum end commit_it(struct pg_tx *t, enum db_mode mode, struct err *e)
{
	PGresult *r = pg_do(t->conn, "COMMIT", &t->fate, e);
	bool done = r && strcmp(PQcmdStatus(r), "COMMIT") == 0;

	PQclear(r);
	if (done || mode == DB_READ) /* what was read was read */
		return END_DONE;
	if (r) {
		err_set(e, ERR_INTERNAL, "the database rolled back what was to be committed");
		return END_FAILED;
	}
	return t->fate == PG_LOST ? END_UNSURE : end_of(t->fate);
}

static enum end try_it(struct pg_tx *t, enum db_mode mode, db_fn *fn, void *arg, struct err *e)
{
	enum pg_fate rolled_back;

	if (begin_it(t, mode, e) < 0)
		return end_of(t->fate);
	if (db_tx_run(&t->base, fn, arg, e) == 0)
		return commit_it(t, mode, e);
	if (t->fate != PG_LOST)
		PQclear(pg_do(t->conn, "ROLLBACK", &rolled_back, NULL));
	return t->fate == PG_FINE ? END_FAILED : end_of(t->fate);
}

/* ---- what became of a commit ---- */

/*
 * "committed", "aborted", "in progress"; "" or "not known": it may have been done; NULL: could not
 * be asked. A number that comes after the one that this question gets was never given here: another
 * server has taken over without it.
 *
 * A server that crashed gives numbers again of which nothing had reached its disk. So in another
 * life of it only numbers before the first one of that life are what they were; that one is in the
 * checkpoint at the end of the recovery (it is that one if nothing happened beside it), as long as
 * there was no further checkpoint.
 */
static PGresult *ask(struct pg_conn *c, const struct pg_tx *t, struct err *e)
{
	const struct db_value v[] = {db_t(t->number), db_t(t->life)};
	enum pg_fate fate;
	PGresult *r = pg_statement(
		c,
		"SELECT CASE WHEN $1::text::xid8 >= pg_current_xact_id() THEN 'aborted'"
		" WHEN $2::text = " PG_LIFE_SQL " THEN pg_xact_status($1::text::xid8)"
		" WHEN redo_lsn <> checkpoint_lsn THEN 'not known'"
		" WHEN $1::text::numeric >= split_part(next_xid, ':', 1)::numeric * 4294967296 +"
		" split_part(next_xid, ':', 2)::numeric THEN 'aborted'"
		" ELSE pg_xact_status($1::text::xid8) END FROM pg_control_checkpoint()",
		v, 2, &fate, e);

	if (r && strcmp(PQgetvalue(r, 0, 0), "in progress") == 0)
		PQclear(pg_statement(c,
				     "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
				     " WHERE backend_xid::text ="
				     " ($1::numeric % 4294967296)::bigint::text",
				     v, 1, &fate, NULL));
	return r;
}

/* 1: it was committed, 0: it was not, -1: not known in time. */
static int outcome(struct pg *p, const struct pg_tx *t, uint64_t until_us)
{
	int known = -1;

	pg_pool_flush(p->pool);
	while (known < 0) {
		struct pg_conn *c = pg_pool_take(p->pool, until_us, NULL);
		PGresult *r = c ? ask(c, t, NULL) : NULL;
		const char *what = r ? PQgetvalue(r, 0, 0) : "";

		if (strcmp(what, "committed") == 0)
			known = 1;
		else if (strcmp(what, "aborted") == 0)
			known = 0;
		PQclear(r);
		if (c)
			pg_pool_give(p->pool, c);
		if (known < 0 && clock_mono_us() > until_us)
			break;
		if (known < 0)
			clock_sleep_ms(50);
	}
	return known;
}

/* ---- until there is an outcome ---- */

/* Those who got in each other's way do not meet again at once. */
static void back_off(unsigned tries)
{
	uint64_t most = MIN((uint64_t)1000 << MIN(tries, 10), BACKOFF_US_MAX), chance;

	random_bytes(&chance, sizeof(chance));
	chance %= most;
	if (chance >= 1000)
		clock_sleep_ms((unsigned)(chance / 1000));
}

static void tell_others(struct pg *p, uint64_t channels)
{
	wakes_bump(p->base.wakes, channels);
	if (p->listener)
		pg_listener_tell(p->listener, channels);
}

static enum end find_out(struct pg *p, const struct pg_tx *t, struct err *e)
{
	int done = outcome(p, t, clock_mono_us() + (uint64_t)p->url.patience_ms * 1000);

	if (done >= 0)
		return done ? END_DONE : END_LOST;
	err_set(e, ERR_UNREACHABLE,
		"the database %s was lost while it committed, and did not come back in time: it is "
		"not known whether that was done (transaction %s)",
		p->url.name, t->number);
	return END_FAILED;
}

static enum end try_once(struct pg *p, enum db_mode mode, db_fn *fn, void *arg, uint64_t until_us,
			 struct err *e)
{
	struct pg_tx t = {.base = {.db = &p->base}};
	enum end end;

	t.conn = pg_pool_take(p->pool, until_us, e);
	if (!t.conn)
		return END_FAILED;
	end = try_it(&t, mode, fn, arg, e);
	pg_pool_give(p->pool, t.conn);
	if (end == END_LOST)
		pg_pool_flush(p->pool);
	if (end == END_UNSURE)
		end = find_out(p, &t, e);
	if (end == END_DONE)
		tell_others(p, t.base.wake);
	return end;
}

static int pg_run(struct db *d, enum db_mode mode, db_fn *fn, void *arg, struct err *e)
{
	struct pg *p = (struct pg *)d;
	uint64_t until_us = clock_mono_us() + (uint64_t)p->url.patience_ms * 1000;
	struct err why = {0};

	for (unsigned tries = 0;; tries++) {
		enum end end = try_once(p, mode, fn, arg, until_us, &why);

		if (end == END_DONE)
			return 0;
		if (end == END_FAILED || clock_mono_us() > until_us)
			break;
		back_off(tries);
	}
	if (e)
		*e = why;
	return -1;
}

/* ---- the database ---- */

static int pg_start(struct db *d, struct err *e)
{
	struct pg *p = (struct pg *)d;

	p->listener = pg_listener_start(&p->url, p->base.wakes, e);
	return p->listener ? 0 : -1;
}

static void pg_close(struct db *d)
{
	struct pg *p = (struct pg *)d;

	pg_listener_stop(p->listener);
	pg_pool_free(p->pool);
	postgres_url_done(&p->url);
	wakes_free(p->base.wakes);
	free(p);
}

static const struct db_ops ops = {
	.name = "postgresql",
	.skip_locked = " FOR UPDATE SKIP LOCKED",
	.run = pg_run,
	.statement = pg_run_statement,
	.script = pg_script,
	.migrate_begin = pg_migrate_begin,
	.migrate_end = pg_migrate_end,
	.start = pg_start,
	.close = pg_close,
};

struct db *postgres_open(const char *url, struct err *e)
{
	struct pg *p = xcalloc(1, sizeof(*p));
	AUTO(db) d = &p->base;

	p->base.ops = &ops;
	p->base.wakes = wakes_new();
	if (postgres_url_parse(url, &p->url, e) < 0)
		return NULL;
	p->pool = pg_pool_new(&p->url);
	return steal(&d);
}
