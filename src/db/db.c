/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db_priv.h"

#include <string.h>

#include "db/migrate.h"

/* ---- opening ---- */

struct db *db_open_bare(const char *url, struct err *e)
{
	if (strncmp(url, "sqlite:", 7) == 0)
		return sqlite_open(url + 7, e);
	if (strncmp(url, "postgresql:", 11) == 0 || strncmp(url, "postgres:", 9) == 0)
		return postgres_open(url, e);
	/* Not told as it is: there may be a password in it. */
	err_set(e, ERR_INVALID,
		"the database is given as sqlite:/path/of/file or postgresql://user@host/name, and "
		"this is neither");
	return NULL;
}

struct db *db_open(const char *url, struct err *e)
{
	AUTO(db) d = db_open_bare(url, e);
	size_t n;
	const struct migration *all = migrate_list(&n);

	if (!d || migrate(d, all, n, e) < 0 || d->ops->start(d, e) < 0)
		return NULL;
	return steal(&d);
}

void db_close(struct db *d)
{
	if (d)
		d->ops->close(d);
}

/* ---- transactions ---- */

/* The database that this thread is in a transaction of: another one would wait for the first. */
static _Thread_local const struct db *within;

static int run(struct db *d, enum db_mode mode, db_fn *fn, void *arg, struct err *e)
{
	const struct db *outer = within;
	int r;

	if (outer == d)
		return err_set(e, ERR_INTERNAL, "a transaction within a transaction");
	within = d;
	r = d->ops->run(d, mode, fn, arg, e);
	within = outer;
	return r;
}

int db_write(struct db *d, db_fn *fn, void *arg, struct err *e)
{
	return run(d, DB_WRITE, fn, arg, e);
}

int db_read(struct db *d, db_fn *fn, void *arg, struct err *e)
{
	return run(d, DB_READ, fn, arg, e);
}

int db_claim(struct db *d, db_fn *fn, void *arg, struct err *e)
{
	return run(d, DB_CLAIM, fn, arg, e);
}

int db_tx_fail(struct db_tx *t, const struct err *why, struct err *e)
{
	if (!t->failed) {
		t->failed = true;
		t->first = *why;
	}
	if (e)
		*e = *why;
	return -1;
}

int db_tx_run(struct db_tx *t, db_fn *fn, void *arg, struct err *e)
{
	if (fn(t, arg, e) < 0)
		return -1;
	if (t->failed && e)
		*e = t->first;
	return t->failed ? -1 : 0;
}

const char *db_skip_locked(const struct db_tx *t)
{
	return t->db->ops->skip_locked;
}

/* ---- statements ---- */

struct db_value db_text_value(const char *s)
{
	return (struct db_value){.type = s ? DB_TEXT : DB_NULL, .p = s, .len = s ? strlen(s) : 0};
}

static int statement(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
		     struct db_rows **ret_rows, uint64_t *ret_changed, struct err *e)
{
	if (t->failed)
		return err_set(e, ERR_INTERNAL, "a statement in a transaction that failed: %.400s",
			       t->first.msg);
	if (n > DB_VALUES_MAX)
		return err_set(e, ERR_INTERNAL, "%zu values for one statement", n);
	return t->db->ops->statement(t, sql, v, n, ret_rows, ret_changed, e);
}

int db_exec_v(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
	      uint64_t *rows_changed, struct err *e)
{
	return statement(t, sql, v, n, NULL, rows_changed, e);
}

struct db_rows *db_query_v(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
			   struct err *e)
{
	struct db_rows *rows = NULL;

	return statement(t, sql, v, n, &rows, NULL, e) < 0 ? NULL : rows;
}

/* ---- waking ---- */

static int channel_number(struct db *d, const char *channel, struct err *e)
{
	int number = wakes_number(d->wakes, channel);

	return number < 0 ? err_set(e, ERR_INTERNAL, "'%s' is no channel to wake", channel)
			  : number;
}

const char *db_name(const struct db *d)
{
	return d->ops->name;
}

int db_wake(struct db_tx *t, const char *channel, struct err *e)
{
	int number = channel_number(t->db, channel, e);

	if (number < 0)
		return -1;
	t->wake |= UINT64_C(1) << number;
	return 0;
}

uint64_t db_woken(struct db *d, const char *channel)
{
	int number = channel_number(d, channel, NULL);

	return number < 0 ? 0 : wakes_count(d->wakes, (unsigned)number);
}

uint64_t db_wait(struct db *d, const char *channel, uint64_t seen, unsigned timeout_ms)
{
	int number = channel_number(d, channel, NULL);

	return number < 0 ? seen : wakes_wait(d->wakes, (unsigned)number, seen, timeout_ms);
}

void db_wake_here(struct db *d, const char *channel)
{
	int number = channel_number(d, channel, NULL);

	if (number >= 0)
		wakes_bump(d->wakes, UINT64_C(1) << number);
}
