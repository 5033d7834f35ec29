/* SPDX-License-Identifier: Apache-2.0 */
#include "db_fixture.h"

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *server(void)
{
	const char *uri = getenv("HF_TEST_POSTGRES");

	return uri && *uri ? uri : NULL;
}

static void tell_server(const char *verb, const char *schema, const char *rest)
{
	AUTO_FREE char *sql = xasprintf("%s SCHEMA %s %s", verb, schema, rest);
	PGconn *c = PQconnectdb(server());
	PGresult *r;

	if (PQstatus(c) != CONNECTION_OK)
		fail_msg("HF_TEST_POSTGRES: %s", PQerrorMessage(c));
	PQclear(PQexec(c, "SET client_min_messages = error"));
	r = PQexec(c, sql);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(c));
	PQclear(r);
	PQfinish(c);
}

bool db_fixture_new(struct db_fixture *f, const char *kind)
{
	static atomic_uint number;

	*f = (struct db_fixture){.kind = kind};
	if (strcmp(kind, "sqlite") == 0) {
		f->folder = test_folder();
		f->url = xasprintf("sqlite:%s/db", f->folder);
		return true;
	}
	if (!server())
		return false;
	f->schema = xasprintf("test_%d_%u", (int)getpid(), number++);
	f->url = xasprintf("%s%coptions=-csearch_path%%3D%s", server(),
			   strchr(server(), '?') ? '&' : '?', f->schema);
	tell_server("CREATE", f->schema, "");
	return true;
}

void db_fixture_done(struct db_fixture *f)
{
	db_close(f->db);
	if (f->schema)
		tell_server("DROP", f->schema, "CASCADE");
	if (f->folder)
		test_folder_done(f->folder);
	free(f->schema);
	free(f->url);
	*f = (struct db_fixture){0};
}

void db_fixture_reopen(struct db_fixture *f)
{
	db_close(steal(&f->db));
	f->db = OK_PTR(db_open(f->url, e));
}

/* The state that a test begins with is the name of its kind. */
int db_fixture_up_bare(void **state)
{
	struct db_fixture *f = xcalloc(1, sizeof(*f));

	assert_true(db_fixture_new(f, *state ? *state : "sqlite"));
	*state = f;
	return 0;
}

int db_fixture_up(void **state)
{
	db_fixture_up_bare(state);
	db_fixture_reopen(*state);
	return 0;
}

int db_fixture_down(void **state)
{
	struct db_fixture *f = *state;

	db_fixture_done(f);
	free(f);
	return 0;
}

static const char *const kinds[] = {"sqlite", "postgresql"};

/* How many there are to run of this test over this kind: 0 or 1. */
static bool runs_over(const struct CMUnitTest *test, const char *kind)
{
	return !test->initial_state || strcmp(test->initial_state, kind) == 0;
}

int db_fixture_run_of(const struct CMUnitTest *tests, size_t n, CMFixtureFunction down)
{
	AUTO_FREE struct CMUnitTest *all = xcalloc(2 * n, sizeof(*all));
	size_t m = 0, without = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (tests[i].teardown_func != down) {
			all[m] = tests[i];
			all[m++].name = xstrdup(tests[i].name);
			continue;
		}
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			if (!runs_over(&tests[i], kinds[k]))
				continue;
			if (k == 1 && !server()) {
				without++;
				continue;
			}
			all[m] = tests[i];
			all[m].initial_state = (void *)kinds[k];
			all[m++].name = xasprintf("%s, %s", tests[i].name, kinds[k]);
		}
	}
	r = _cmocka_run_group_tests("tests", all, m, NULL, NULL);
	/* Not before it: TAP begins with its version. */
	if (without)
		print_message("# %zu tests not over PostgreSQL: HF_TEST_POSTGRES is not set\n",
			      without);
	for (size_t i = 0; i < m; i++)
		free((void *)all[i].name);
	return r;
}

int db_fixture_run(const struct CMUnitTest *tests, size_t n)
{
	return db_fixture_run_of(tests, n, db_fixture_down);
}

/* ---- statements by hand ---- */

static int run_sql(struct db_tx *t, void *arg, struct err *e)
{
	return db_exec_v(t, arg, NULL, 0, NULL, e);
}

void db_fixture_do(struct db_fixture *f, const char *fmt, ...)
{
	AUTO_FREE char *sql = NULL;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&sql, fmt, ap) >= 0);
	va_end(ap);
	OK(db_write(f->db, run_sql, sql, e));
}

struct question {
	const char *sql;
	char answer[1000];
};

static int ask(struct db_tx *t, void *arg, struct err *e)
{
	struct question *q = arg;
	AUTO(db_rows) r = db_query_v(t, q->sql, NULL, 0, e);
	int have = -1;

	q->answer[0] = 0;
	while (r && (have = db_next(r, e)) > 0)
		snprintf(q->answer + strlen(q->answer), sizeof(q->answer) - strlen(q->answer),
			 "%s%s", *q->answer ? " " : "", db_text(r, 0));
	return have;
}

void db_fixture_says(struct db_fixture *f, const char *sql, const char *want)
{
	struct question q = {.sql = sql};

	OK(db_read(f->db, ask, &q, e));
	assert_string_equal(q.answer, want);
}
