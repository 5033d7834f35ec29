/* SPDX-License-Identifier: Apache-2.0 */
#include "db/sqlite_conn.h"

#include <stdio.h>
#include <string.h>

#include "db/statements.h"

#define BUSY_MS 10000  /* only a copy of the file being made could hold it that long */
#define LOG_PAGES 1000 /* of 4 KiB: how often the log is brought over */
#define LOG_PAGES_LONG 8000
#define LONG_MS 200

struct sqlite_conn {
	sqlite3 *h;
	char *path;
	struct statements *prepared;
	/* the write-ahead log of a writer */
	int pages, pages_before;
	int due, long_due; /* bring over; wait for readers, too */
};

/* A prepared statement, and where its parameters $1, $2 … are bound. */
struct prepared {
	sqlite3_stmt *st;
	unsigned n;
	int index[DB_VALUES_MAX];
};

/* ---- errors ---- */

static enum err_kind kind_of(sqlite3 *h, int code)
{
	enum err_kind kind;

	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
				       code == SQLITE_CONSTRAINT_ROWID
			       ? ERR_EXISTS
			       : ERR_CONFLICT;
	case SQLITE_FULL:
		return ERR_NOSPACE;
	case SQLITE_IOERR:
		kind = err_kind_of_errno(sqlite3_system_errno(h));
		return kind == ERR_NOSPACE ? kind : ERR_IO;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return ERR_DENIED;
	case SQLITE_TOOBIG:
	case SQLITE_NOMEM:
		return ERR_LIMIT;
	case SQLITE_MISMATCH:
		return ERR_INVALID;
	default:
		return ERR_INTERNAL;
	}
}

static int set_error(const struct sqlite_conn *c, const char *sql, struct err *e)
{
	int code = sqlite3_extended_errcode(c->h);
	enum err_kind kind = kind_of(c->h, code);

	if (kind == ERR_NOSPACE)
		return err_set(e, kind,
			       "no room for the database %s: make room on its file system; nothing "
			       "that was acknowledged is lost",
			       c->path);
	if (kind == ERR_INTERNAL)
		return err_set(e, kind, "database %s: %s in: %.200s", c->path, sqlite3_errmsg(c->h),
			       sql);
	return err_set(e, kind, "database %s: %s", c->path, sqlite3_errmsg(c->h));
}

/* ---- the connection ---- */

static int do_all(struct sqlite_conn *c, const char *sql, struct err *e)
{
	return sqlite3_exec(c->h, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : set_error(c, sql, e);
}

static int count_log(void *arg, sqlite3 *h, const char *name, int pages)
{
	struct sqlite_conn *c = arg;

	(void)h;
	(void)name;
	c->pages = pages;
	return SQLITE_OK;
}

static int note_mode(void *arg, int columns, char **values, char **names)
{
	(void)columns;
	(void)names;
	snprintf(arg, 16, "%s", values[0]);
	return 0;
}

/* Where a file system cannot share memory SQLite goes on without the log, and says so. */
static int use_log(struct sqlite_conn *c, struct err *e)
{
	char mode[16] = "";

	if (sqlite3_exec(c->h, "PRAGMA journal_mode = WAL", note_mode, mode, NULL) != SQLITE_OK)
		return set_error(c, "PRAGMA journal_mode", e);
	if (strcmp(mode, "wal") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "the file system of %s cannot have SQLite's write-ahead log (%s): "
			       "use a local disk, or PostgreSQL",
			       c->path, mode);
	return 0;
}

static int set_up(struct sqlite_conn *c, bool writer, struct err *e)
{
	sqlite3_busy_timeout(c->h, BUSY_MS);
	sqlite3_extended_result_codes(c->h, 1);
	sqlite3_db_config(c->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(c->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* "text" is a name, as in PostgreSQL. */
	sqlite3_db_config(c->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(c->h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	if (do_all(c,
		   "PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON; "
		   "PRAGMA case_sensitive_like = ON; PRAGMA temp_store = MEMORY",
		   e) < 0)
		return -1;
	if (!writer) {
		/* Two connections at the log at the same moment can destroy the file in all
		 * versions before 3.51.3, so only the writer ever checkpoints. */
		sqlite3_db_config(c->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		return do_all(c, "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0", e);
	}
	if (use_log(c, e) < 0 || do_all(c,
					"PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; "
					"PRAGMA journal_size_limit = 67108864",
					e) < 0)
		return -1;
	sqlite3_wal_hook(c->h, count_log, c);
	return 0;
}

static void free_prepared(void *value)
{
	struct prepared *p = value;

	sqlite3_finalize(p->st);
	free(p);
}

struct sqlite_conn *sqlite_conn_open(const char *path, bool writer, struct err *e)
{
	AUTO(sqlite_conn) c = xcalloc(1, sizeof(*c));
	int flags = SQLITE_OPEN_NOMUTEX |
		    (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);

	c->path = xstrdup(path);
	c->prepared = statements_new(free_prepared);
	if (sqlite3_open_v2(path, &c->h, flags, NULL) != SQLITE_OK) {
		if (c->h)
			set_error(c, "open", e);
		else
			err_set(e, ERR_LIMIT, "no memory to open %s", path);
		return NULL;
	}
	return set_up(c, writer, e) < 0 ? NULL : steal(&c);
}

void sqlite_conn_close(struct sqlite_conn *c)
{
	if (!c)
		return;
	statements_free(c->prepared);
	sqlite3_close(c->h);
	free(c->path);
	free(c);
}

bool sqlite_conn_rolled_back(const struct sqlite_conn *c)
{
	return sqlite3_get_autocommit(c->h);
}

static void checkpoint(struct sqlite_conn *c, int mode)
{
	/* A failure shows at a commit, if it lasts. */
	sqlite3_wal_checkpoint_v2(c->h, NULL, mode, NULL, NULL);
}

/*
 * The log begins anew with the first commit after a moment in which all was brought over and nobody
 * read from it. When readers follow each other so closely that there is no such moment, it grows;
 * then they are waited for, a little.
 */
void sqlite_conn_tidy(struct sqlite_conn *c)
{
	if (c->pages < c->pages_before || !c->due) {
		c->due = LOG_PAGES;
		c->long_due = LOG_PAGES_LONG;
	}
	c->pages_before = c->pages;
	if (c->pages >= c->long_due) {
		sqlite3_busy_timeout(c->h, LONG_MS);
		checkpoint(c, SQLITE_CHECKPOINT_TRUNCATE);
		sqlite3_busy_timeout(c->h, BUSY_MS);
		c->long_due = c->pages + LOG_PAGES_LONG;
		c->due = c->pages + LOG_PAGES;
	} else if (c->pages >= c->due) {
		checkpoint(c, SQLITE_CHECKPOINT_PASSIVE);
		c->due = c->pages + LOG_PAGES;
	}
}

/* ---- statements ---- */

static struct prepared *prepare(struct sqlite_conn *c, const char *sql, struct err *e)
{
	struct prepared *p = statements_find(c->prepared, sql);
	const char *rest = "";
	sqlite3_stmt *st;
	char name[16];

	if (p)
		return p;
	if (sqlite3_prepare_v3(c->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, &rest) != SQLITE_OK) {
		set_error(c, sql, e);
		return NULL;
	}
	if (!st || rest[strspn(rest, " \t\n;")]) {
		sqlite3_finalize(st);
		err_set(e, ERR_INTERNAL, "not one statement: %.300s", sql);
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	p->st = st;
	p->n = (unsigned)sqlite3_bind_parameter_count(st);
	for (unsigned i = 0; i < DB_VALUES_MAX; i++) {
		snprintf(name, sizeof(name), "$%u", i + 1);
		p->index[i] = sqlite3_bind_parameter_index(st, name);
	}
	statements_add(c->prepared, sql, p);
	return p;
}

static int bind_one(sqlite3_stmt *st, int index, const struct db_value *v)
{
	switch (v->type) {
	case DB_INT:
		return sqlite3_bind_int64(st, index, v->i);
	case DB_REAL:
		return sqlite3_bind_double(st, index, v->d);
	case DB_TEXT:
		return sqlite3_bind_text64(st, index, v->p, v->len, SQLITE_STATIC, SQLITE_UTF8);
	case DB_BYTES:
		return sqlite3_bind_blob64(st, index, v->p, v->len, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(st, index);
	}
}

static int bind_all(struct sqlite_conn *c, const struct prepared *p, const char *sql,
		    const struct db_value *v, size_t n, struct err *e)
{
	if (p->n != n)
		return err_set(e, ERR_INTERNAL, "%zu values for %u parameters: %.300s", n, p->n,
			       sql);
	for (size_t i = 0; i < n; i++) {
		if (p->index[i] == 0)
			return err_set(e, ERR_INTERNAL, "there is no $%zu: %.300s", i + 1, sql);
		if (bind_one(p->st, p->index[i], &v[i]) != SQLITE_OK)
			return set_error(c, sql, e);
	}
	return 0;
}

static void read_cell(struct db_rows *r, sqlite3_stmt *st, int column)
{
	const void *p;

	switch (sqlite3_column_type(st, column)) {
	case SQLITE_INTEGER:
		rows_int(r, sqlite3_column_int64(st, column));
		break;
	case SQLITE_FLOAT:
		rows_real(r, sqlite3_column_double(st, column));
		break;
	case SQLITE_TEXT:
		p = sqlite3_column_text(st, column);
		rows_text(r, p, (size_t)sqlite3_column_bytes(st, column));
		break;
	case SQLITE_BLOB:
		p = sqlite3_column_blob(st, column);
		rows_bytes(r, p, (size_t)sqlite3_column_bytes(st, column));
		break;
	default:
		rows_null(r);
	}
}

static int step_all(struct sqlite_conn *c, struct prepared *p, const char *sql,
		    struct db_rows *rows, struct err *e)
{
	int columns = sqlite3_column_count(p->st), r;

	while ((r = sqlite3_step(p->st)) == SQLITE_ROW) {
		for (int i = 0; rows && i < columns; i++)
			read_cell(rows, p->st, i);
	}
	return r == SQLITE_DONE ? 0 : set_error(c, sql, e);
}

static int run(struct sqlite_conn *c, const char *sql, const struct db_value *v, size_t n,
	       struct db_rows **ret_rows, uint64_t *ret_changed, struct err *e)
{
	struct prepared *p = prepare(c, sql, e);
	AUTO(db_rows) rows = NULL;
	int r;

	if (!p)
		return -1;
	if (ret_rows)
		rows = rows_new((unsigned)sqlite3_column_count(p->st));
	r = bind_all(c, p, sql, v, n, e);
	if (r == 0)
		r = step_all(c, p, sql, rows, e);
	if (r == 0 && ret_changed)
		*ret_changed = sqlite3_stmt_readonly(p->st) ? 0 : (uint64_t)sqlite3_changes64(c->h);
	if (r == 0 && ret_rows)
		*ret_rows = steal(&rows);
	/* What is bound belongs to the caller. */
	sqlite3_reset(p->st);
	sqlite3_clear_bindings(p->st);
	return r;
}

int sqlite_conn_do(struct sqlite_conn *c, const char *sql, struct err *e)
{
	return run(c, sql, NULL, 0, NULL, NULL, e);
}

int sqlite_conn_statement(struct sqlite_conn *c, struct db_tx *t, const char *sql,
			  const struct db_value *v, size_t n, struct db_rows **ret_rows,
			  uint64_t *ret_changed, struct err *e)
{
	struct err why = {0};

	return run(c, sql, v, n, ret_rows, ret_changed, &why) < 0 ? db_tx_fail(t, &why, e) : 0;
}

int sqlite_conn_script(struct sqlite_conn *c, struct db_tx *t, const char *sql, struct err *e)
{
	struct err why = {0};

	return do_all(c, sql, &why) < 0 ? db_tx_fail(t, &why, e) : 0;
}
