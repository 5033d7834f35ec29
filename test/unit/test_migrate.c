/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <string.h>

#include "db/db_priv.h"
#include "db_fixture.h"

static const struct migration three[] = {
	{1, "people", "aa",
	 "CREATE TABLE people (\n"
	 "-- only: sqlite\n"
	 "\tseq INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	 "-- end\n"
	 "-- only: postgresql\n"
	 "\tseq BIGSERIAL PRIMARY KEY,\n"
	 "-- end\n"
	 "\tname TEXT NOT NULL UNIQUE);\n"
	 "CREATE INDEX people_by_name ON people (name);\n"},
	{2, "houses", "bb",
	 "CREATE TABLE houses (id TEXT PRIMARY KEY, owner BIGINT NOT NULL REFERENCES people "
	 "(seq));"},
	{4, "age", "cc", "ALTER TABLE people ADD COLUMN age BIGINT NOT NULL DEFAULT 7;"},
};

static int count_one(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT count(*), coalesce(max(number), 0) FROM schema_migrations");

	if (!r || db_next(r, e) < 0)
		return -1;
	*(int64_t *)arg = db_int(r, 0) * 100 + db_int(r, 1);
	return 0;
}

/* How many are recorded, and the last number: 304 is three, the last is 4. */
static int64_t recorded(struct db *d)
{
	int64_t n;

	OK(db_read(d, count_one, &n, e));
	return n;
}

static int use_all(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = NULL;
	int64_t seq;

	(void)arg;
	r = db_query(t, e, "INSERT INTO people (name) VALUES ($1) RETURNING seq", db_t("Ann"));
	if (!r || db_next(r, e) < 0)
		return -1;
	seq = db_int(r, 0);
	return db_exec(t, NULL, e, "INSERT INTO houses (id, owner) VALUES ($1, $2)", db_t("h1"),
		       db_i(seq));
}

static void test_from_every_version(void **state)
{
	struct db_fixture *f = *state;

	for (size_t k = 0; k <= ARRAY_LEN(three); k++) {
		struct db_fixture g;

		assert_true(db_fixture_new(&g, f->kind));
		g.db = OK_PTR(db_open_bare(g.url, e));
		OK(migrate(g.db, three, k, e));
		assert_int_equal(recorded(g.db), k * 100 + (k ? three[k - 1].number : 0));
		db_close(g.db);
		g.db = OK_PTR(db_open_bare(g.url, e));
		OK(migrate(g.db, three, 3, e));
		assert_int_equal(recorded(g.db), 304);
		OK(migrate(g.db, three, 3, e));
		assert_int_equal(recorded(g.db), 304);
		OK(db_write(g.db, use_all, NULL, e));
		db_fixture_done(&g);
	}
}

/* The steps that are built in: from every one of them to the last. */
static void test_built_in(void **state)
{
	struct db_fixture *f = *state;
	size_t n;
	const struct migration *all = migrate_list(&n);

	for (size_t k = 0; k <= n; k++) {
		struct db_fixture g;
		unsigned last = n ? all[n - 1].number : 0;

		assert_true(db_fixture_new(&g, f->kind));
		g.db = OK_PTR(db_open_bare(g.url, e));
		OK(migrate(g.db, all, k, e));
		db_close(steal(&g.db));
		g.db = OK_PTR(db_open(g.url, e));
		assert_int_equal(recorded(g.db), n * 100 + last);
		db_fixture_done(&g);
	}
}

static void test_what_is_not_ours(void **state)
{
	struct db_fixture *f = *state;
	struct migration other[3];

	memcpy(other, three, sizeof(other));
	f->db = OK_PTR(db_open_bare(f->url, e));
	OK(migrate(f->db, three, 3, e));
	FAILS(ERR_VERSION, migrate(f->db, three, 2, e));
	other[1].sha256 = "dd";
	FAILS(ERR_CORRUPT, migrate(f->db, other, 3, e));
	assert_int_equal(recorded(f->db), 304);
}

/* A step that fails leaves nothing, and those before it stay. */
static void test_a_step_that_fails(void **state)
{
	struct db_fixture *f = *state;
	struct migration bad[3];

	memcpy(bad, three, sizeof(bad));
	bad[2].sql = "CREATE TABLE left_over (id TEXT); ALTER TABLE nobody ADD COLUMN x BIGINT;";
	f->db = OK_PTR(db_open_bare(f->url, e));
	FAILS(ERR_INTERNAL, migrate(f->db, bad, 3, e));
	assert_int_equal(recorded(f->db), 202);
	bad[2].sql = "CREATE TABLE left_over (id TEXT);";
	OK(migrate(f->db, bad, 3, e));
	assert_int_equal(recorded(f->db), 304);
}

struct crowd {
	const char *url;
	atomic_uint failed;
};

static void open_and_migrate(void *arg, unsigned number)
{
	struct crowd *c = arg;
	AUTO(db) d = db_open_bare(c->url, NULL);

	(void)number;
	if (!d || migrate(d, three, 3, NULL) < 0 || recorded(d) != 304)
		c->failed++;
}

static void test_many_at_once(void **state)
{
	struct db_fixture *f = *state;
	struct crowd c = {.url = f->url};

	if (f->folder) /* one process, one handle */
		return;
	test_threads(6, open_and_migrate, &c);
	assert_int_equal(c.failed, 0);
}

static int names_in_order(struct db_tx *t, void *arg, struct err *e)
{
	static const char *const names[] = {"b", "B", "a", "_", "ä", "Z", "10", "9"};
	AUTO(db_rows) r = NULL;
	struct buf *out = arg;
	int more;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (db_exec(t, NULL, e, "INSERT INTO people (name) VALUES ($1)", db_t(names[i])) <
		    0)
			return -1;
	}
	r = db_query(t, e, "SELECT name FROM people ORDER BY name");
	more = r ? 1 : -1;
	while (more > 0 && (more = db_next(r, e)) > 0)
		buf_fmt(out, "%s ", db_text(r, 0));
	return more;
}

static void test_text_is_sorted_by_bytes(void **state)
{
	struct db_fixture *f = *state;
	AUTO_BUF out = BUF_INIT;

	f->db = OK_PTR(db_open_bare(f->url, e));
	OK(migrate(f->db, three, 3, e));
	OK(db_write(f->db, names_in_order, &out, e));
	assert_string_equal(buf_str(&out), "10 9 B Z _ a b ä ");
}

static void test_text(void **state)
{
	static const struct {
		const char *sql, *want; /* NULL: refused */
	} cases[] = {
		{"a\nb", "a\nb\n"},
		{"-- only: sqlite\na\n-- end\nb\n", "\na\n\nb\n"},
		{"-- only: postgresql\na\n-- end\nb\n", "\n\n\nb\n"},
		{"x\n-- end\n", "x\n-- end\n"}, /* a comment like any other */
		{"-- only: sqlite \n", NULL},
		{"-- only: oracle\na\n-- end\n", NULL},
		{"-- only: sqlite\na\n", NULL},
		{"-- only: sqlite\n-- only: postgresql\n-- end\n", NULL},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = {0};
		AUTO_FREE char *got = migrate_text(cases[i].sql, "sqlite", &e);

		assert_int_equal(got != NULL, cases[i].want != NULL);
		if (got)
			assert_string_equal(got, cases[i].want);
		else
			assert_int_equal(e.kind, ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		DB_TEST_BARE(test_from_every_version),
		DB_TEST_BARE(test_built_in),
		DB_TEST_BARE(test_what_is_not_ours),
		DB_TEST_BARE(test_a_step_that_fails),
		DB_TEST_BARE(test_many_at_once),
		DB_TEST_BARE(test_text_is_sorted_by_bytes),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
