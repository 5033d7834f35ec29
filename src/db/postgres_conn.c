/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors are told apart by SQLSTATE (PostgreSQL manual, appendix A). While a connection is made
 * libpq has no field for it, but it is in the text when the verbosity asks for it.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "db/postgres_priv.h"
#include "db/statements.h"

#define VERSION_MIN 150000
#define CONNECT_US 20000000

struct pg_conn {
	PGconn *c;
	char life[PG_LIFE];
	struct statements *prepared; /* the values are not used, only whether there is one */
	unsigned number;	     /* of the last prepared statement */
	bool used;		     /* for a transaction before */
	char *name;		     /* of the database */
};

PGconn *pg_handle(struct pg_conn *c)
{
	return c->c;
}

const char *pg_life(const struct pg_conn *c)
{
	return c->life;
}

/* ---- errors ---- */

/* The first line of what libpq says. */
static int first_line(const char *text)
{
	return (int)strcspn(text, "\n");
}

static bool state_is(const char *state, const char *one)
{
	return strncmp(state, one, strlen(one)) == 0;
}

static bool state_in(const char *state, const char *const list[])
{
	for (; *list; list++) {
		if (state_is(state, *list))
			return true;
	}
	return false;
}

/* Classes and codes after which the connection is of no use: broken, the server ends, it was idle
 * too long. */
static const char *const lost[] = {"08000", "08001", "08003", "08004", "08006", "57P01",
				   "57P02", "57P03", "57P05", "25P03", "25P04", NULL};
/* Or what was prepared on it does not fit the schema any more. */
static const char *const stale[] = {"0A000", "26000", NULL};
static const char *const again[] = {"40001", "40P01", "55P03", NULL};

static enum err_kind kind_of(const char *state)
{
	static const struct {
		const char *state;
		enum err_kind kind;
	} kinds[] = {
		{"23505", ERR_EXISTS},	{"23", ERR_CONFLICT},	{"22", ERR_INVALID},
		{"53100", ERR_NOSPACE}, {"53", ERR_LIMIT},	{"54", ERR_LIMIT},
		{"57014", ERR_TIMEOUT}, {"25006", ERR_DENIED},	{"42501", ERR_DENIED},
		{"28", ERR_DENIED},	{"3D000", ERR_NOENT},	{"3F000", ERR_NOENT},
		{"58", ERR_IO},		{"XX001", ERR_CORRUPT}, {"XX002", ERR_CORRUPT},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (state_is(state, kinds[i].state))
			return kinds[i].kind;
	}
	return ERR_INTERNAL;
}

static enum pg_fate set_lost(const struct pg_conn *c, const char *said, struct err *e)
{
	err_set(e, ERR_UNREACHABLE,
		"the database %s does not answer: %.*s; see that PostgreSQL runs there and that "
		"the "
		"network lets this machine through",
		c->name, first_line(said), said);
	return PG_LOST;
}

/* Why `r` failed (NULL: nothing came), and what is to be done about it. */
static enum pg_fate judge(const struct pg_conn *c, const PGresult *r, const char *sql,
			  struct err *e)
{
	const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
	const char *text = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	if (PQstatus(c->c) == CONNECTION_BAD || !state)
		return set_lost(c, text ? text : PQerrorMessage(c->c), e);
	if (kind_of(state) == ERR_CORRUPT) {
		err_set(e, ERR_CORRUPT, "database %s: %s", c->name, text);
		return PG_FAILED;
	}
	if (state_in(state, lost) || (c->used && state_in(state, stale)))
		return set_lost(c, text, e);
	if (state_in(state, again)) {
		err_set(e, ERR_BUSY, "database %s: others came in between, again and again: %s",
			c->name, text);
		return PG_AGAIN;
	}
	if (kind_of(state) == ERR_INTERNAL)
		err_set(e, ERR_INTERNAL, "database %s: %s (%s) in: %.200s", c->name, text, state,
			sql);
	else if (kind_of(state) == ERR_NOSPACE)
		err_set(e, ERR_NOSPACE,
			"no room for the database %s: %s; make room on its server; nothing that "
			"was "
			"acknowledged is lost",
			c->name, text);
	else
		err_set(e, kind_of(state), "database %s: %s", c->name, text);
	return PG_FAILED;
}

/* ---- connecting ---- */

/* "FATAL:  28P01: …": the code, or "". */
static const char *state_in_text(const char *text)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (const char *p = text; (p = strstr(p, ":  ")) != NULL; p++) {
		if (strspn(p + 3, digits) == 5 && p[8] == ':')
			return p + 3;
	}
	return "";
}

static int set_connect_error(const struct pg_conn *c, struct err *e)
{
	const char *text = PQerrorMessage(c->c), *state = state_in_text(text);
	enum err_kind kind = kind_of(state);

	if (kind == ERR_DENIED || kind == ERR_NOENT)
		return err_set(e, kind, "the database %s: %.*s", c->name, first_line(text), text);
	set_lost(c, text, e);
	return -1;
}

/* libpq does not hold to a time by itself here. */
static int finish_connecting(struct pg_conn *c, uint64_t until_us, struct err *e)
{
	PostgresPollingStatusType wants = PGRES_POLLING_WRITING;

	while (wants != PGRES_POLLING_OK && wants != PGRES_POLLING_FAILED) {
		uint64_t now = clock_mono_us();
		struct pollfd p = {PQsocket(c->c),
				   wants == PGRES_POLLING_READING ? POLLIN : POLLOUT, 0};

		if (now >= until_us) {
			set_lost(c, "no answer in time", e);
			return -1;
		}
		if (poll(&p, 1, (int)MIN((until_us - now) / 1000 + 1, 1000)) > 0)
			wants = PQconnectPoll(c->c);
	}
	return wants == PGRES_POLLING_OK ? 0 : set_connect_error(c, e);
}

static void no_notice(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r;
}

/* What is acknowledged is on the disk, whatever the server's default; nothing is left locked for
 * long by a process that hangs. */
static const char set_session[] =
	"SELECT set_config('synchronous_commit', 'on', false)"
	" WHERE current_setting('synchronous_commit') = 'off';"
	"SET idle_in_transaction_session_timeout = '60s'; SET statement_timeout = '60s';"
	"SET lock_timeout = '20s'; SET jit = off; SET standard_conforming_strings = on;"
	"SELECT current_setting('server_encoding'), pg_is_in_recovery(), " PG_LIFE_SQL;

static int check_settings(const struct pg_conn *c, const char *encoding, bool standby,
			  struct err *e)
{
	if (strcmp(encoding, "UTF8") != 0 && strcmp(encoding, "SQL_ASCII") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "the database %s is encoded in %s: create it with ENCODING 'UTF8'",
			       c->name, encoding);
	/* It may be about to take over. */
	if (standby)
		return err_set(e, ERR_UNREACHABLE,
			       "the database %s is a standby, which takes no changes: name its "
			       "primary, or all servers and target_session_attrs=read-write",
			       c->name);
	return 0;
}

static int check_server(struct pg_conn *c, struct err *e)
{
	int version = PQserverVersion(c->c);
	enum pg_fate fate;
	PGresult *r;
	int ok;

	if (version < VERSION_MIN)
		return err_set(e, ERR_UNSUPPORTED,
			       "the database %s is PostgreSQL %d: it takes %d or newer", c->name,
			       version / 10000, VERSION_MIN / 10000);
	r = pg_do(c, set_session, &fate, e);
	if (!r)
		return -1;
	ok = check_settings(c, PQgetvalue(r, 0, 0), *PQgetvalue(r, 0, 1) == 't', e);
	snprintf(c->life, sizeof(c->life), "%s", PQgetvalue(r, 0, 2));
	PQclear(r);
	return ok;
}

struct pg_conn *pg_connect(const struct postgres_url *u, uint64_t until_us, struct err *e)
{
	/* What comes before dbname is only what it does not say itself. */
	const char *const names[] = {"application_name",
				     "keepalives_idle",
				     "keepalives_interval",
				     "keepalives_count",
				     "tcp_user_timeout",
				     "client_encoding",
				     "dbname",
				     NULL};
	const char *const values[] = {"holdfast", "15", "5", "3", "20000", "UTF8", u->libpq, NULL};
	AUTO(pg_conn) c = xcalloc(1, sizeof(*c));

	c->name = xstrdup(u->name);
	c->prepared = statements_new(NULL);
	c->c = PQconnectStartParams(names, values, 1);
	if (!c->c) {
		err_set(e, ERR_LIMIT, "no memory for a connection");
		return NULL;
	}
	PQsetErrorVerbosity(c->c, PQERRORS_VERBOSE);
	if (PQstatus(c->c) == CONNECTION_BAD) {
		set_connect_error(c, e);
		return NULL;
	}
	if (finish_connecting(c, MIN(until_us, clock_mono_us() + CONNECT_US), e) < 0)
		return NULL;
	PQsetErrorVerbosity(c->c, PQERRORS_DEFAULT);
	PQsetNoticeReceiver(c->c, no_notice, NULL);
	return check_server(c, e) < 0 ? NULL : steal(&c);
}

void pg_disconnect(struct pg_conn *c)
{
	if (!c)
		return;
	PQfinish(c->c);
	statements_free(c->prepared);
	free(c->name);
	free(c);
}

bool pg_usable(struct pg_conn *c)
{
	c->used = true;
	return PQstatus(c->c) == CONNECTION_OK && PQtransactionStatus(c->c) == PQTRANS_IDLE;
}

/* ---- statements ---- */

static PGresult *check(const struct pg_conn *c, PGresult *r, const char *sql,
		       enum pg_fate *ret_fate, struct err *e)
{
	ExecStatusType status = r ? PQresultStatus(r) : PGRES_FATAL_ERROR;

	*ret_fate = PG_FINE;
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return r;
	*ret_fate = judge(c, r, sql, e);
	PQclear(r);
	return NULL;
}

PGresult *pg_do(struct pg_conn *c, const char *sql, enum pg_fate *ret_fate, struct err *e)
{
	return check(c, PQexec(c->c, sql), sql, ret_fate, e);
}

/* From src/include/catalog/pg_type.dat; they never change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_NUMERIC = 1700
};

/* The types are told, so that an expression means the same as in SQLite, which looks at the value.
 * Of a NULL the server finds out. */
static Oid oid_of(const struct db_value *v)
{
	static const Oid oids[] = {[DB_INT] = OID_INT8,
				   [DB_REAL] = OID_FLOAT8,
				   [DB_TEXT] = OID_TEXT,
				   [DB_BYTES] = OID_BYTEA};

	return v->type == DB_NULL || ((v->type == DB_TEXT || v->type == DB_BYTES) && !v->p)
		       ? 0
		       : oids[v->type];
}

struct values {
	const char *p[DB_VALUES_MAX];
	int len[DB_VALUES_MAX], format[DB_VALUES_MAX];
	Oid type[DB_VALUES_MAX];
	char number[DB_VALUES_MAX][32];
};

static void write_values(struct values *out, const struct db_value *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		out->type[i] = oid_of(&v[i]);
		out->format[i] = v[i].type == DB_BYTES || v[i].type == DB_TEXT;
		out->len[i] = (int)v[i].len;
		out->p[i] = out->type[i] ? v[i].p : NULL;
		if (v[i].type == DB_INT)
			snprintf(out->number[i], sizeof(out->number[i]), "%lld", (long long)v[i].i);
		if (v[i].type == DB_REAL)
			snprintf(out->number[i], sizeof(out->number[i]), "%.17g", v[i].d);
		if (v[i].type == DB_INT || v[i].type == DB_REAL)
			out->p[i] = out->number[i];
	}
}

/* The name of the prepared statement for `sql` with values of these types. */
static int prepare(struct pg_conn *c, const char *sql, const struct values *v, size_t n,
		   char name[24], enum pg_fate *ret_fate, struct err *e)
{
	AUTO_BUF key = BUF_INIT;
	uintptr_t number;
	PGresult *r;

	buf_text(&key, sql);
	buf_u8(&key, '\n');
	for (size_t i = 0; i < n; i++)
		buf_u8(&key, v->type[i] == 0 ? '0' : (uint8_t)('a' + v->type[i] % 16));
	number = (uintptr_t)statements_find(c->prepared, buf_str(&key));
	snprintf(name, 24, "s%u", number ? (unsigned)number : c->number + 1);
	if (number)
		return 0;
	if (statements_full(c->prepared)) {
		r = pg_do(c, "DEALLOCATE ALL", ret_fate, e);
		if (!r)
			return -1;
		PQclear(r);
		statements_clear(c->prepared);
	}
	r = check(c, PQprepare(c->c, name, sql, (int)n, v->type), sql, ret_fate, e);
	if (!r)
		return -1;
	PQclear(r);
	statements_add(c->prepared, buf_str(&key), (void *)(uintptr_t)++c->number);
	return 0;
}

PGresult *pg_statement(struct pg_conn *c, const char *sql, const struct db_value *v, size_t n,
		       enum pg_fate *ret_fate, struct err *e)
{
	struct values out;
	char name[24];

	write_values(&out, v, n);
	if (prepare(c, sql, &out, n, name, ret_fate, e) < 0)
		return NULL;
	return check(c, PQexecPrepared(c->c, name, (int)n, out.p, out.len, out.format, 0), sql,
		     ret_fate, e);
}

/* ---- rows ---- */

static bool add_cell(struct db_rows *rows, const PGresult *r, int row, int column)
{
	const char *text = PQgetvalue(r, row, column);
	size_t len = (size_t)PQgetlength(r, row, column);

	switch (PQftype(r, column)) {
	case OID_BOOL:
		rows_int(rows, *text == 't');
		return true;
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
		rows_int(rows, strtoll(text, NULL, 10));
		return true;
	case OID_NUMERIC: /* a sum of BIGINTs is one */
		if (!strpbrk(text, ".eEnN") && len < 19) {
			rows_int(rows, strtoll(text, NULL, 10));
			return true;
		}
		rows_real(rows, strtod(text, NULL));
		return true;
	case OID_FLOAT4:
	case OID_FLOAT8:
		rows_real(rows, strtod(text, NULL));
		return true;
	case OID_BYTEA:
		return len >= 2 && len % 2 == 0 && memcmp(text, "\\x", 2) == 0 &&
		       rows_hex(rows, text + 2, (len - 2) / 2);
	default:
		rows_text(rows, text, len);
		return true;
	}
}

struct db_rows *pg_rows(const PGresult *r, struct err *e)
{
	int columns = PQnfields(r), n = PQntuples(r);
	AUTO(db_rows) rows = rows_new((unsigned)columns);

	for (int row = 0; row < n; row++) {
		for (int column = 0; column < columns; column++) {
			if (PQgetisnull(r, row, column)) {
				rows_null(rows);
			} else if (!add_cell(rows, r, row, column)) {
				err_set(e, ERR_INTERNAL,
					"bytes of PostgreSQL in another form than "
					"hexadecimal: unset bytea_output");
				return NULL;
			}
		}
	}
	return steal(&rows);
}
