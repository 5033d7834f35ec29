/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_fixture.h: a database of its own for each test, and each test over both kinds: SQLite in a
 * temporary folder, PostgreSQL in a schema of its own in the database that HF_TEST_POSTGRES names
 * (test/lab/postgres.sh starts one). Without that only SQLite, and it says so.
 *
 *	static void test_something(void **state)
 *	{
 *		struct db_fixture *f = *state;
 *
 *		OK(db_write(f->db, …, e));
 *	}
 *
 *	int main(void)
 *	{
 *		const struct CMUnitTest tests[] = {
 *			DB_TEST(test_something),
 *			cmocka_unit_test(test_without_a_database),
 *		};
 *
 *		return db_fixture_run(tests, ARRAY_LEN(tests));
 *	}
 */
#ifndef HF_TEST_DB_FIXTURE_H
#define HF_TEST_DB_FIXTURE_H

#include "db/db.h"
#include "db/migrate.h"
#include "testing.h"

struct db_fixture {
	const char *kind; /* "sqlite" or "postgresql" */
	char *url;	  /* for opening it (SQLite: once it is closed) */
	struct db *db;	  /* open, with all migrations; NULL in a DB_TEST_BARE */
	char *folder;	  /* of the file; NULL for PostgreSQL */
	char *schema;
};

int db_fixture_up(void **state);
int db_fixture_up_bare(void **state);
int db_fixture_down(void **state);

#define DB_TEST(fn) cmocka_unit_test_setup_teardown(fn, db_fixture_up, db_fixture_down)
/* The same, but nothing is opened. */
#define DB_TEST_BARE(fn) cmocka_unit_test_setup_teardown(fn, db_fixture_up_bare, db_fixture_down)
/* Over one kind only. */
#define DB_TEST_OF(kind, fn)                                                                       \
	cmocka_unit_test_prestate_setup_teardown(fn, db_fixture_up, db_fixture_down, kind)

/* Run them, those of DB_TEST for each kind of database. For main(). */
int db_fixture_run(const struct CMUnitTest *tests, size_t n);
/* The same for a fixture over this one: its tests are those with this function. */
int db_fixture_run_of(const struct CMUnitTest *tests, size_t n, CMFixtureFunction down);

/* By hand: a new, empty database of this kind, nothing opened; false: there is no PostgreSQL. */
bool db_fixture_new(struct db_fixture *f, const char *kind);
void db_fixture_done(struct db_fixture *f);
/* Close it and open it again, with all migrations. */
void db_fixture_reopen(struct db_fixture *f);

/* A statement of its own, written in a transaction of its own. */
void db_fixture_do(struct db_fixture *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* What it answers, the first column of each row with a space between, is `want`. */
void db_fixture_says(struct db_fixture *f, const char *sql, const char *want);

#endif
