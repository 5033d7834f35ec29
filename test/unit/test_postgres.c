/* SPDX-License-Identifier: Apache-2.0 */
/* What only PostgreSQL can do: be gone, and come back, at any moment. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "db/postgres_priv.h"
#include "db_fixture.h"

/* ---- a COMMIT whose answer is lost ---- */

enum lose { LOSE_NOTHING, LOSE_ANSWER, LOSE_COMMIT, LOSE_SLOW };

static _Thread_local enum lose lose; /* what happens to the next COMMIT of this thread */

PGresult *__real_PQexec(PGconn *c, const char *sql);
PGresult *__wrap_PQexec(PGconn *c, const char *sql);
PGresult *__wrap_PQexec(PGconn *c, const char *sql)
{
	enum lose what = strcmp(sql, "COMMIT") == 0 ? lose : LOSE_NOTHING;

	if (what == LOSE_NOTHING)
		return __real_PQexec(c, sql);
	lose = LOSE_NOTHING;
	if (what == LOSE_ANSWER)
		PQclear(__real_PQexec(c, sql));
	if (what == LOSE_SLOW) {
		PQsendQuery(c, sql);
		PQflush(c);
		clock_sleep_ms(100);
	}
	shutdown(PQsocket(c), SHUT_RDWR);
	return __real_PQexec(c, "SELECT 1");
}

static int make(struct db_tx *t, void *arg, struct err *e)
{
	return t->db->ops->script(t, arg, e);
}

static char table[] = "CREATE TABLE runs (n BIGSERIAL PRIMARY KEY, who TEXT);";
/* The first COMMIT takes three seconds. */
static char slow[] = "CREATE SEQUENCE times; CREATE FUNCTION wait() RETURNS trigger LANGUAGE "
		     "plpgsql AS $$ BEGIN IF nextval('times') = 1 THEN PERFORM pg_sleep(3); END "
		     "IF; RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON runs "
		     "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();";

static int add(struct db_tx *t, void *arg, struct err *e)
{
	if (arg)
		++*(unsigned *)arg;
	return db_exec(t, NULL, e, "INSERT INTO runs (who) VALUES ($1)", db_t("me"));
}

static int read_runs(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT count(*) FROM runs");

	if (!r || db_next(r, e) < 0)
		return -1;
	*(int64_t *)arg = db_int(r, 0);
	return 0;
}

static int64_t runs(struct db *d)
{
	int64_t n = -1;

	OK(db_read(d, read_runs, &n, e));
	return n;
}

static void test_lost_commit(void **state)
{
	static const struct {
		enum lose what;
		unsigned tries;
	} cases[] = {{LOSE_ANSWER, 1}, {LOSE_COMMIT, 2}, {LOSE_SLOW, 2}};
	struct db_fixture *f = *state;

	OK(db_claim(f->db, make, table, e));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned tries = 0;

		if (cases[i].what == LOSE_SLOW)
			OK(db_claim(f->db, make, slow, e));
		lose = cases[i].what;
		OK(db_write(f->db, add, &tries, e));
		/* Done once, and tried again only when it was not. */
		assert_int_equal(runs(f->db), i + 1);
		assert_int_equal(tries, cases[i].tries);
		/* Nor is it done late. */
		if (cases[i].what == LOSE_SLOW)
			clock_sleep_ms(3500);
		assert_int_equal(runs(f->db), i + 1);
	}
}

/* ---- a connection that is lost before ---- */

struct cut {
	unsigned tries, until;
};

static int cut_off(struct db_tx *t, void *arg, struct err *e)
{
	struct cut *c = arg;

	if (add(t, &c->tries, e) < 0)
		return -1;
	if (c->tries < c->until &&
	    db_exec(t, NULL, e, "SELECT pg_terminate_backend(pg_backend_pid())") < 0)
		return -1;
	return add(t, NULL, e);
}

static void test_lost_connection(void **state)
{
	struct db_fixture *f = *state;
	struct cut c = {.until = 4};

	OK(db_claim(f->db, make, table, e));
	OK(db_write(f->db, cut_off, &c, e));
	assert_int_equal(c.tries, 4);
	assert_int_equal(runs(f->db), 2);
}

struct crowd {
	struct db *db;
	atomic_uint wrong, busy;
};

static void add_many(void *arg, unsigned number)
{
	struct crowd *c = arg;

	(void)number;
	for (int i = 0; i < 20; i++)
		c->wrong += db_write(c->db, add, NULL, NULL) < 0;
}

/* But for the one that does it; those of other tests have another name. */
static int cut_all(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return db_exec(t, NULL, e,
		       "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
		       "pg_backend_pid() AND application_name = current_schema()");
}

/* Connections that die while nobody uses them; the listener's, too, and all are woken then. */
static void test_idle_connections(void **state)
{
	struct db_fixture *f = *state;
	AUTO_FREE char *url = xasprintf("%s&application_name=%s", f->url, f->schema);
	AUTO(db) d = OK_PTR(db_open(url, e));
	struct crowd c = {.db = d};
	uint64_t seen;

	OK(db_claim(d, make, table, e));
	test_threads(4, add_many, &c);
	seen = db_woken(d, "steps");
	OK(db_write(d, cut_all, NULL, e));
	assert_true(db_wait(d, "steps", seen, 10000) > seen);
	test_threads(4, add_many, &c);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(runs(d), 160);
}

/* ---- not there at all ---- */

static void refuses(const char *url, enum err_kind kind)
{
	struct err err = {0};
	uint64_t began = clock_mono_us();

	assert_null(db_open(url, &err));
	if (err.kind != kind)
		fail_msg("%s: %s (%s)", url, err_info(err.kind)->name, err.msg);
	assert_null(strstr(err.msg, "hunter2"));
	assert_true(clock_mono_us() - began < 8000000);
}

static void test_nobody_there(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO_FREE char *url = NULL;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	url = xasprintf("postgresql://u:hunter2@127.0.0.1:%d/x?patience=1", ntohs(at.sin_port));
	refuses(url, ERR_UNREACHABLE);
	/* Somebody who accepts and says nothing. */
	listen(fd, 4);
	refuses(url, ERR_UNREACHABLE);
	close(fd);
}

static void test_not_let_in(void **state)
{
	struct db_fixture *f = *state;
	const char *at = strchr(f->url, '@'), *slash = strrchr(at, '/');
	AUTO_FREE char *nobody = xasprintf("postgresql://nobody%s", at);
	AUTO_FREE char *nowhere = xasprintf("postgresql://hf%.*s/nowhere", (int)(slash - at), at);
	AUTO_FREE char *latin1 =
		xasprintf("postgresql://hf%.*s/%s", (int)(slash - at), at, f->schema);
	AUTO_FREE char *create =
		xasprintf("CREATE DATABASE %s TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' "
			  "LOCALE_PROVIDER libc",
			  f->schema);
	PGconn *c = PQconnectdb(getenv("HF_TEST_POSTGRES"));

	refuses(nobody, ERR_DENIED);
	refuses(nowhere, ERR_NOENT);
	PQclear(PQexec(c, create));
	refuses(latin1, ERR_UNSUPPORTED);
	memcpy(create, "DROP  ", 6);
	*strstr(create, " TEMPLATE") = 0;
	PQclear(PQexec(c, create));
	PQfinish(c);
}

/* ---- the pool ---- */

static int stay(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return db_exec(t, NULL, e, "SELECT pg_sleep(2)");
}

static void ask_for_one(void *arg, unsigned number)
{
	struct crowd *c = arg;
	struct err e = {0};

	(void)number;
	if (db_read(c->db, stay, NULL, &e) < 0) {
		c->wrong += e.kind != ERR_BUSY;
		c->busy++;
	}
}

static void test_pool_is_full(void **state)
{
	struct db_fixture *f = *state;
	AUTO_FREE char *url = xasprintf("%s&pool=2&patience=1", f->url);
	AUTO(db) d = OK_PTR(db_open(url, e));
	struct crowd c = {.db = d};

	test_threads(5, ask_for_one, &c);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.busy, 3);
}

static void test_more_threads_than_connections(void **state)
{
	struct db_fixture *f = *state;
	AUTO_FREE char *url = xasprintf("%s&pool=2", f->url);
	AUTO(db) d = OK_PTR(db_open(url, e));
	struct crowd c = {.db = d};

	OK(db_claim(d, make, table, e));
	test_threads(16, add_many, &c);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(runs(d), 320);
}

/* ---- two processes ---- */

static int wake(struct db_tx *t, void *arg, struct err *e)
{
	return db_wake(t, arg, e);
}

static void test_wake_another(void **state)
{
	struct db_fixture *f = *state, other;
	AUTO(db) d = OK_PTR(db_open(f->url, e));
	uint64_t seen, unseen, began;

	assert_true(db_fixture_new(&other, "postgresql"));
	other.db = OK_PTR(db_open(other.url, e));
	seen = db_woken(d, "steps");
	unseen = db_woken(other.db, "steps");
	began = clock_mono_us();
	OK(db_write(f->db, wake, "steps", e));
	assert_int_equal(db_wait(d, "steps", seen, 5000), seen + 1);
	print_message("# another process is woken after %llu us\n",
		      (unsigned long long)(clock_mono_us() - began));
	/* But not those in another schema. */
	assert_int_equal(db_wait(other.db, "steps", unseen, 100), unseen);
	db_fixture_done(&other);
}

/* ---- the schema changes under a prepared statement ---- */

static int read_star(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT * FROM runs");

	(void)arg;
	return r ? 0 : -1;
}

static void test_stale_statement(void **state)
{
	static char more[] = "ALTER TABLE runs ADD COLUMN more TEXT;";
	struct db_fixture *f = *state;
	AUTO(db) d = OK_PTR(db_open(f->url, e));

	OK(db_claim(f->db, make, table, e));
	OK(db_read(f->db, read_star, NULL, e));
	OK(db_claim(d, make, more, e));
	OK(db_read(f->db, read_star, NULL, e));
}

/* ---- types of its own ---- */

static int odd_types(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT 12345678901234567890123::numeric, 1.5::numeric, 'NaN'::numeric, "
		     "1.5::real, 7::smallint, ''::bytea, 1 = 2");

	(void)arg;
	if (!r || db_next(r, e) < 0)
		return -1;
	return db_real(r, 0) > 1e22 && db_real(r, 1) == 1.5 && db_real(r, 2) != db_real(r, 2) &&
			       db_real(r, 3) == 1.5 && db_int(r, 4) == 7 && !db_is_null(r, 5) &&
			       db_int(r, 6) == 0 && !db_is_null(r, 6)
		       ? 0
		       : err_set(e, ERR_INTERNAL, "%s %s", db_text(r, 0), db_text(r, 2));
}

static int escaped_bytes(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = NULL;

	(void)arg;
	if (db_exec(t, NULL, e, "SET LOCAL bytea_output = escape") < 0)
		return -1;
	r = db_query(t, e, "SELECT 'abc'::bytea");
	return r ? 0 : -1;
}

static int time_out(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return db_exec(t, NULL, e, "SET LOCAL statement_timeout = 50") < 0 ||
			       db_exec(t, NULL, e, "SELECT pg_sleep(20)") < 0
		       ? -1
		       : 0;
}

static void test_odd_types(void **state)
{
	struct db_fixture *f = *state;

	OK(db_read(f->db, odd_types, NULL, e));
	FAILS(ERR_INTERNAL, db_read(f->db, escaped_bytes, NULL, e));
	FAILS(ERR_TIMEOUT, db_read(f->db, time_out, NULL, e));
}

/* ---- URLs ---- */

static void test_urls(void **state)
{
	static const struct {
		const char *url, *libpq, *name; /* NULL: refused */
		unsigned connections, patience_ms;
	} cases[] = {
		{"postgresql://u@h:1/n", "postgresql://u@h:1/n", "n at h:1", 8, 30000},
		{"postgresql://h/n?pool=3", "postgresql://h/n", "n at h", 3, 30000},
		{"postgres://h/n?pool=200&sslmode=require&patience=5&x=y",
		 "postgres://h/n?sslmode=require&x=y", NULL, 200, 5000},
		{"postgresql://h/n?patience=1&&sslmode=disable", "postgresql://h/n?sslmode=disable",
		 "n at h", 8, 1000},
		{"postgresql:///n?host=/run/pg", "postgresql:///n?host=/run/pg", "n at /run/pg", 8,
		 30000},
		{"postgresql://", "postgresql://", "at its local socket", 8, 30000},
		{"postgresql://h/n?pool=0", NULL, NULL, 0, 0},
		{"postgresql://h/n?pool=201", NULL, NULL, 0, 0},
		{"postgresql://h/n?pool=", NULL, NULL, 0, 0},
		{"postgresql://h/n?pool=99999999999999", NULL, NULL, 0, 0},
		{"postgresql://h/n?patience=1x", NULL, NULL, 0, 0},
		{"postgresql://h/n?patience=-1", NULL, NULL, 0, 0},
		{"postgresql://u:hunter2@[h/n", NULL, NULL, 0, 0},
		{"postgresql://u:hunter2@h/n?nonsense=1", NULL, NULL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct postgres_url u;
		struct err err = {0};

		if (postgres_url_parse(cases[i].url, &u, &err) < 0) {
			if (cases[i].name)
				fail_msg("%s: %s", cases[i].url, err.msg);
			assert_int_equal(err.kind, ERR_INVALID);
			assert_null(strstr(err.msg, "hunter2"));
			continue;
		}
		assert_string_equal(u.libpq, cases[i].libpq);
		assert_string_equal(u.name, cases[i].name);
		assert_int_equal(u.connections, cases[i].connections);
		assert_int_equal(u.patience_ms, cases[i].patience_ms);
		postgres_url_done(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_nobody_there),
		DB_TEST_OF("postgresql", test_lost_commit),
		DB_TEST_OF("postgresql", test_lost_connection),
		DB_TEST_OF("postgresql", test_idle_connections),
		DB_TEST_OF("postgresql", test_not_let_in),
		DB_TEST_OF("postgresql", test_pool_is_full),
		DB_TEST_OF("postgresql", test_more_threads_than_connections),
		DB_TEST_OF("postgresql", test_wake_another),
		DB_TEST_OF("postgresql", test_stale_statement),
		DB_TEST_OF("postgresql", test_odd_types),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
