/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "db/db_priv.h"
#include "db_fixture.h"

static const char schema[] =
	"CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT, x DOUBLE PRECISION, "
	"b BYTEA, flag INTEGER CHECK (flag IN (0, 1)));"
	"CREATE TABLE parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL "
	"REFERENCES things (id));"
	"INSERT INTO things (id, n) VALUES ('zero', 0);";

static int make_tables(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return t->db->ops->script(t, schema, e);
}

static int up(void **state)
{
	struct db_fixture *f;

	db_fixture_up(state);
	f = *state;
	OK(db_claim(f->db, make_tables, NULL, e));
	return 0;
}

#define THINGS_TEST(fn) cmocka_unit_test_setup_teardown(fn, up, db_fixture_down)

/* ---- values ---- */

static int values_there_and_back(struct db_tx *t, void *arg, struct err *why)
{
	static const char bytes[] = {0, 'a', '\\', -1, 0};
	AUTO(db_rows) r = NULL;
	uint64_t n = 9;
	size_t len;

	(void)arg;
	(void)why;
	OK(db_exec(t, &n, e, "INSERT INTO things (id, n, x, b, flag) VALUES ($1, $2, $3, $4, $5)",
		   db_t("it's ä"), db_i(INT64_MIN), db_d(0.1), db_b(bytes, sizeof(bytes)),
		   db_i(1)));
	assert_int_equal(n, 1);
	OK(db_exec(t, &n, e, "INSERT INTO things (id, n, x, b, flag) VALUES ($5, $4, $3, $2, $1)",
		   db_null(), db_b("", 0), db_t(NULL), db_b(NULL, 0), db_t("b")));
	r = OK_PTR(db_query(t, e,
			    "SELECT id, n, x, b, flag, n IS NULL, 2.5, 'text' FROM things "
			    "WHERE id <> $1 ORDER BY id DESC",
			    db_t("zero")));
	assert_int_equal(db_next(r, why), 1);
	assert_string_equal(db_text(r, 0), "it's ä");
	assert_int_equal(db_int(r, 1), INT64_MIN);
	assert_true(db_real(r, 2) == 0.1);
	assert_memory_equal(db_bytes(r, 3, &len), bytes, sizeof(bytes));
	assert_int_equal(len, sizeof(bytes));
	assert_int_equal(db_int(r, 4), 1);
	assert_int_equal(db_int(r, 5), 0);
	assert_true(db_real(r, 6) == 2.5);
	assert_string_equal(db_text(r, 7), "text");
	/* A number as text, text as a number, and so on. */
	assert_string_equal(db_text(r, 1), "-9223372036854775808");
	assert_string_equal(db_text(r, 6), "2.5");
	assert_int_equal(db_int(r, 6), 2);
	assert_int_equal(db_int(r, 7), 0);
	assert_int_equal(db_int(r, 3), 0);
	assert_true(db_real(r, 4) == 1);
	assert_true(isgreater(1, db_real(r, 7)));
	assert_true(db_real(r, 3) == 0);
	assert_int_equal(db_next(r, why), 1);
	assert_string_equal(db_text(r, 0), "b");
	assert_true(db_is_null(r, 1) && db_is_null(r, 2) && db_is_null(r, 4));
	assert_false(db_is_null(r, 3));
	assert_non_null(db_bytes(r, 3, &len));
	assert_int_equal(len, 0);
	assert_null(db_bytes(r, 1, &len));
	assert_null(db_text_or_null(r, 4));
	assert_string_equal(db_text(r, 4), "");
	assert_int_equal(db_int(r, 5), 1);
	assert_int_equal(db_next(r, why), 0);
	assert_int_equal(db_next(r, why), 0);
	return 0;
}

static void test_values(void **state)
{
	struct db_fixture *f = *state;

	OK(db_write(f->db, values_there_and_back, NULL, e));
}

/* What the two say with types of their own comes out the same. */
static int expressions(struct db_tx *t, void *arg, struct err *why)
{
	AUTO(db_rows) r = NULL;
	uint64_t n;

	(void)arg;
	(void)why;
	OK(db_exec(t, NULL, e, "INSERT INTO things (id, n, x) VALUES ($1, $2, $3)", db_t("a"),
		   db_i(INT64_C(1) << 40), db_d(1.5)));
	OK(db_exec(t, &n, e, "UPDATE things SET n = n + $1 WHERE id IN ($2, $3)", db_i(5),
		   db_t("a"), db_t("zero")));
	assert_int_equal(n, 2);
	r = OK_PTR(db_query(t, e,
			    "SELECT sum(n), count(*), max(id), sum(n) > $1, avg(x), "
			    "coalesce($2, 'none') FROM things",
			    db_i(7), db_null()));
	assert_int_equal(db_next(r, why), 1);
	assert_int_equal(db_int(r, 0), (INT64_C(1) << 40) + 10);
	assert_int_equal(db_int(r, 1), 2);
	assert_string_equal(db_text(r, 2), "zero");
	assert_int_equal(db_int(r, 3), 1);
	assert_true(db_real(r, 4) == 1.5);
	assert_string_equal(db_text(r, 5), "none");
	db_rows_free(steal(&r));
	r = OK_PTR(db_query(t, e,
			    "INSERT INTO things (id, n) VALUES ($1, $2) ON CONFLICT (id) DO "
			    "UPDATE SET n = things.n + excluded.n RETURNING n",
			    db_t("zero"), db_i(3)));
	assert_int_equal(db_next(r, why), 1);
	assert_int_equal(db_int(r, 0), 8);
	OK(db_exec(t, &n, e, "INSERT INTO things (id) VALUES ($1) ON CONFLICT DO NOTHING",
		   db_t("zero")));
	assert_int_equal(n, 0);
	db_rows_free(steal(&r));
	r = OK_PTR(db_query(t, e, "SELECT count(*) FROM things WHERE id LIKE $1", db_t("ZER%")));
	assert_int_equal(db_next(r, why), 1);
	assert_int_equal(db_int(r, 0), 0);
	return 0;
}

static void test_expressions(void **state)
{
	struct db_fixture *f = *state;

	OK(db_write(f->db, expressions, NULL, e));
}

/* ---- transactions ---- */

static int add_one(struct db_tx *t, void *arg, struct err *e)
{
	return db_exec(t, NULL, e, "INSERT INTO things (id, n) VALUES ($1, 1)", db_t(arg));
}

static int add_and_fail(struct db_tx *t, void *arg, struct err *e)
{
	if (add_one(t, arg, e) < 0)
		return -1;
	return err_set(e, ERR_LIMIT, "no more");
}

static int read_count(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT count(*) FROM things");

	if (!r || db_next(r, e) < 0)
		return -1;
	*(int64_t *)arg = db_int(r, 0);
	return 0;
}

static int64_t count(struct db *d)
{
	int64_t n = -1;

	OK(db_read(d, read_count, &n, e));
	return n;
}

static void test_rollback(void **state)
{
	struct db_fixture *f = *state;

	FAILS(ERR_LIMIT, db_write(f->db, add_and_fail, "a", e));
	FAILS(ERR_LIMIT, db_claim(f->db, add_and_fail, "a", e));
	assert_int_equal(count(f->db), 1);
	OK(db_write(f->db, add_one, "a", e));
	OK(db_claim(f->db, add_one, "b", e));
	assert_int_equal(count(f->db), 3);
	db_fixture_reopen(f);
	assert_int_equal(count(f->db), 3);
}

struct bad {
	const char *sql;
	size_t n;
	enum err_kind want;
};

static int run_bad(struct db_tx *t, void *arg, struct err *why)
{
	static const struct db_value v[] = {{.type = DB_INT, .i = 1}, {.type = DB_INT, .i = 2}};
	const struct bad *b = arg;

	if (add_one(t, "before", why) < 0)
		return -1;
	if (db_exec_v(t, b->sql, v, b->n, NULL, why) == 0)
		return 0;
	/* Nothing more can be done, */
	FAILS(ERR_INTERNAL, add_one(t, "after", e));
	FAILS_PTR(ERR_INTERNAL, db_query(t, e, "SELECT 1"));
	return 0; /* and it is not committed. */
}

static void test_errors(void **state)
{
	static const struct bad cases[] = {
		{"INSERT INTO things (id) VALUES ('zero')", 0, ERR_EXISTS},
		{"INSERT INTO things (id, flag) VALUES ('a', 2)", 0, ERR_CONFLICT},
		{"INSERT INTO parts (id, thing) VALUES ('a', 'nothing')", 0, ERR_CONFLICT},
		{"INSERT INTO parts (id) VALUES ('a')", 0, ERR_CONFLICT},
		{"SELEKT", 0, ERR_INTERNAL},
		{"SELECT 1; SELECT 2", 0, ERR_INTERNAL},
		{"SELECT \"text\"", 0, ERR_INTERNAL},
		{"SELECT n FROM things WHERE n = $1", 2, ERR_INTERNAL},
		{"SELECT n FROM things WHERE n = $1", 0, ERR_INTERNAL},
		{"SELECT n FROM things WHERE n = $2", 1, ERR_INTERNAL},
	};
	struct db_fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};

		/* PostgreSQL takes a value that no parameter asks for. */
		if (f->schema && cases[i].n == 2)
			continue;
		assert_int_equal(db_write(f->db, run_bad, (void *)&cases[i], &err), -1);
		if (err.kind != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].sql, err_info(err.kind)->name, err.msg);
		assert_int_equal(count(f->db), 1);
	}
}

static int write_in_read(struct db_tx *t, void *arg, struct err *e)
{
	return add_one(t, arg, e);
}

static int within(struct db_tx *t, void *arg, struct err *e)
{
	(void)t;
	return db_read(arg, read_count, NULL, e);
}

static void test_misuse(void **state)
{
	struct db_fixture *f = *state;
	struct err err = {0};

	assert_int_equal(db_read(f->db, write_in_read, "a", &err), -1);
	assert_int_equal(err.kind, ERR_DENIED);
	FAILS(ERR_INTERNAL, db_write(f->db, within, f->db, e));
	FAILS(ERR_INTERNAL, db_read(f->db, within, f->db, e));
	assert_int_equal(count(f->db), 1);
}

/* ---- many threads ---- */

enum { THREADS = 12, EACH = 30 };

struct crowd {
	struct db *db;
	atomic_uint wrong, done;
};

struct entry {
	unsigned number, i;
};

static int add_entry(struct db_tx *t, void *arg, struct err *e)
{
	const struct entry *n = arg;
	char id[32];

	snprintf(id, sizeof(id), "%u-%u", n->number, n->i);
	if (add_one(t, id, e) < 0)
		return -1;
	switch (n->i % 3) {
	case 0:
		return 0;
	case 1:
		return err_set(e, ERR_LIMIT, "no");
	default:
		return add_one(t, "zero", e); /* is there */
	}
}

static void write_many(void *arg, unsigned number)
{
	static const enum err_kind want[] = {ERR_NONE, ERR_LIMIT, ERR_EXISTS};
	struct crowd *c = arg;

	for (unsigned i = 0; i < EACH; i++) {
		struct entry n = {number, i};
		struct err e = {0};
		int r = db_write(c->db, add_entry, &n, &e);

		c->wrong += r != (i % 3 ? -1 : 0) || e.kind != want[i % 3];
	}
}

/* Those that are committed together fail alone. */
static void test_many_writers(void **state)
{
	struct db_fixture *f = *state;
	struct crowd c = {.db = f->db};

	test_threads(THREADS, write_many, &c);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(count(f->db), 1 + THREADS * EACH / 3);
}

static void read_many(void *arg, unsigned number)
{
	struct crowd *c = arg;

	(void)number;
	for (unsigned i = 0; i < EACH; i++) {
		int64_t n = 0;

		c->wrong += db_read(c->db, read_count, &n, NULL) < 0 || n != 1;
	}
}

static void test_many_readers(void **state)
{
	struct db_fixture *f = *state;
	struct crowd c = {.db = f->db};

	test_threads(THREADS, read_many, &c);
	assert_int_equal(c.wrong, 0);
}

/* Read, then write what follows from it: nobody may have come in between. */
static int count_up(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT n FROM things WHERE id = $1", db_t(arg));

	if (!r || db_next(r, e) < 0)
		return -1;
	return db_exec(t, NULL, e, "UPDATE things SET n = $1 WHERE id = $2", db_i(db_int(r, 0) + 1),
		       db_t(arg));
}

static void count_many(void *arg, unsigned number)
{
	struct crowd *c = arg;

	(void)number;
	for (unsigned i = 0; i < EACH; i++)
		c->wrong += db_write(c->db, count_up, "zero", NULL) < 0;
}

static int read_zero(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT n FROM things WHERE id = 'zero'");

	if (!r || db_next(r, e) < 0)
		return -1;
	*(int64_t *)arg = db_int(r, 0);
	return 0;
}

static void test_no_update_is_lost(void **state)
{
	struct db_fixture *f = *state;
	struct crowd c = {.db = f->db};
	int64_t n = 0;

	test_threads(THREADS, count_many, &c);
	assert_int_equal(c.wrong, 0);
	OK(db_read(f->db, read_zero, &n, e));
	assert_int_equal(n, THREADS * EACH);
}

static int claim_one(struct db_tx *t, void *arg, struct err *e)
{
	AUTO_FREE char *sql = xasprintf("UPDATE things SET n = n + 10 WHERE id = (SELECT id FROM "
					"things WHERE n = 1 ORDER BY id LIMIT 1%s) RETURNING n",
					db_skip_locked(t));
	AUTO(db_rows) r = db_query(t, e, sql);

	*(int *)arg = r ? db_next(r, e) : -1;
	return *(int *)arg;
}

static void claim_many(void *arg, unsigned number)
{
	struct crowd *c = arg;
	int got;

	(void)number;
	do {
		if (db_claim(c->db, claim_one, &got, NULL) < 0)
			c->wrong++;
		else
			c->done += (unsigned)got;
	} while (got > 0);
}

static int add_jobs(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	for (int i = 0; i < 60; i++) {
		char id[8];

		snprintf(id, sizeof(id), "job%02d", i);
		if (add_one(t, id, e) < 0)
			return -1;
	}
	return 0;
}

static int read_most(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT max(n) FROM things");

	if (!r || db_next(r, e) < 0)
		return -1;
	*(int64_t *)arg = db_int(r, 0);
	return 0;
}

static void test_each_is_claimed_once(void **state)
{
	struct db_fixture *f = *state;
	struct crowd c = {.db = f->db};
	int64_t most = 0;

	OK(db_write(f->db, add_jobs, NULL, e));
	test_threads(6, claim_many, &c);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.done, 60);
	OK(db_read(f->db, read_most, &most, e));
	assert_int_equal(most, 11);
}

/* A reader sees one moment, whatever is committed meanwhile. */
struct moment {
	struct db *db;
	atomic_int step;
	int64_t before, after;
};

static int read_twice(struct db_tx *t, void *arg, struct err *e)
{
	struct moment *m = arg;

	if (read_count(t, &m->before, e) < 0)
		return -1;
	m->step = 1;
	while (m->step == 1)
		clock_sleep_ms(1);
	return read_count(t, &m->after, e);
}

static void read_or_write(void *arg, unsigned number)
{
	struct moment *m = arg;

	if (number == 0) {
		if (db_read(m->db, read_twice, m, NULL) < 0)
			m->after = -1;
		return;
	}
	while (m->step == 0)
		clock_sleep_ms(1);
	if (db_write(m->db, add_one, "meanwhile", NULL) < 0)
		m->before = -1;
	m->step = 2;
}

static void test_a_reader_sees_one_moment(void **state)
{
	struct db_fixture *f = *state;
	struct moment m = {.db = f->db};

	test_threads(2, read_or_write, &m);
	assert_int_equal(m.before, 1);
	assert_int_equal(m.after, 1);
	assert_int_equal(count(f->db), 2);
}

/* ---- prepared statements ---- */

static int many_statements(struct db_tx *t, void *arg, struct err *e)
{
	for (int i = 0; i < 700; i++) {
		AUTO_FREE char *sql = xasprintf("SELECT n + $1 + %d FROM things", i % 600);
		AUTO(db_rows) r = db_query(t, e, sql, db_i(1));

		if (!r || db_next(r, e) < 0)
			return -1;
		*(unsigned *)arg += db_int(r, 0) == i % 600 + 1;
	}
	return 0;
}

static void test_many_statements(void **state)
{
	struct db_fixture *f = *state;
	unsigned right = 0;

	OK(db_read(f->db, many_statements, &right, e));
	assert_int_equal(right, 700);
}

static int too_many_values(struct db_tx *t, void *arg, struct err *e)
{
	struct db_value v[DB_VALUES_MAX + 1] = {{0}};

	(void)arg;
	return db_exec_v(t, "SELECT 1", v, ARRAY_LEN(v), NULL, e);
}

static void test_too_many_values(void **state)
{
	struct db_fixture *f = *state;

	FAILS(ERR_INTERNAL, db_read(f->db, too_many_values, NULL, e));
}

/* ---- opening ---- */

static void test_urls(void **state)
{
	static const char *const bad[] = {"", "mysql://x", "/var/lib/db", "postgresql", "sqlite"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		FAILS_PTR(ERR_INVALID, db_open(bad[i], e));
	db_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		THINGS_TEST(test_values),
		THINGS_TEST(test_expressions),
		THINGS_TEST(test_rollback),
		THINGS_TEST(test_errors),
		THINGS_TEST(test_misuse),
		THINGS_TEST(test_many_writers),
		THINGS_TEST(test_many_readers),
		THINGS_TEST(test_no_update_is_lost),
		THINGS_TEST(test_each_is_claimed_once),
		THINGS_TEST(test_a_reader_sees_one_moment),
		THINGS_TEST(test_many_statements),
		THINGS_TEST(test_too_many_values),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
