/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random transactions of several threads on one database, while it goes wrong: SQLite's process is
 * killed at any moment, PostgreSQL's connections are cut and its server crashes and comes back. In
 * the end
 *
 * - what was acknowledged is there, once; what failed is not;
 * - each account has what the transfers in the ledger make of it, and all together have what there
 *   was at first;
 * - no update was lost: a number that each transaction reads and writes counts them.
 *
 * HF_SEED gives another seed. PostgreSQL: where HF_TEST_POSTGRES is set, a server of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fio.h"
#include "base/spawn.h"
#include "db/db_priv.h"
#include "db_fixture.h"

enum { ACCOUNTS = 8, START = 1000, THREADS = 6, ROUNDS = 6 };

static char schema[] =
	"CREATE TABLE accounts (id BIGINT PRIMARY KEY, amount BIGINT NOT NULL);"
	"CREATE TABLE ledger (id BIGINT PRIMARY KEY, source BIGINT NOT NULL REFERENCES accounts "
	"(id), target BIGINT NOT NULL, amount BIGINT NOT NULL);"
	"CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL);"
	"INSERT INTO counters (name, n) VALUES ('transfers', 0);";

static int set_up(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	if (t->db->ops->script(t, schema, e) < 0)
		return -1;
	for (int i = 0; i < ACCOUNTS; i++) {
		if (db_exec(t, NULL, e, "INSERT INTO accounts (id, amount) VALUES ($1, $2)",
			    db_i(i), db_i(START)) < 0)
			return -1;
	}
	return 0;
}

/* ---- one transaction ---- */

struct transfer {
	int64_t id, source, target, amount;
	bool fails; /* at its end, by itself */
};

static int read_one(struct db_tx *t, const char *sql, int64_t id, int64_t *ret, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, sql, db_i(id));

	if (!r || db_next(r, e) < 0)
		return -1;
	*ret = db_int(r, 0);
	return 0;
}

static int change(struct db_tx *t, int64_t account, int64_t by, struct err *e)
{
	int64_t has;

	if (read_one(t, "SELECT amount FROM accounts WHERE id = $1", account, &has, e) < 0)
		return -1;
	return db_exec(t, NULL, e, "UPDATE accounts SET amount = $1 WHERE id = $2", db_i(has + by),
		       db_i(account));
}

static int count_up(struct db_tx *t, struct err *e)
{
	int64_t n;

	if (read_one(t, "SELECT n FROM counters WHERE name = 'transfers' AND $1 = 0", 0, &n, e) < 0)
		return -1;
	return db_exec(t, NULL, e, "UPDATE counters SET n = $1 WHERE name = 'transfers'",
		       db_i(n + 1));
}

static int transfer(struct db_tx *t, void *arg, struct err *e)
{
	const struct transfer *m = arg;

	if (change(t, m->source, -m->amount, e) < 0 || change(t, m->target, m->amount, e) < 0 ||
	    db_exec(t, NULL, e,
		    "INSERT INTO ledger (id, source, target, amount) VALUES ($1, $2, $3, $4)",
		    db_i(m->id), db_i(m->source), db_i(m->target), db_i(m->amount)) < 0 ||
	    count_up(t, e) < 0)
		return -1;
	return m->fails ? err_set(e, ERR_LIMIT, "not today") : 0;
}

/* ---- who does them ---- */

enum fate { NOT_TOLD, ACKNOWLEDGED, REFUSED };

enum { IDS = 1 << 20 };

/* What became of each transfer, as far as it was told. */
struct told {
	uint8_t fate[IDS];
};

struct bank {
	struct db *db;
	struct told *told;
	int out; /* in a child: where it tells */
	atomic_long next;
	atomic_uint wrong;
	atomic_bool stop;
	uint64_t seed;
};

static void tell(struct bank *b, int64_t id, enum fate fate)
{
	int64_t message = id * 4 + fate;

	if (b->out < 0)
		b->told->fate[id] = (uint8_t)fate;
	else if (write(b->out, &message, sizeof(message)) != sizeof(message))
		b->wrong++;
}

static void make_transfers(void *arg, unsigned number)
{
	struct bank *b = arg;
	struct random rnd = {b->seed * 31 + number * 7919 + 1};

	while (!atomic_load(&b->stop)) {
		struct transfer m = {.id = b->next++, .source = random_below(&rnd, ACCOUNTS)};
		struct err e = {0};

		if (m.id >= IDS)
			return;
		m.target = (m.source + 1 + (int64_t)random_below(&rnd, ACCOUNTS - 1)) % ACCOUNTS;
		m.amount = (int64_t)random_below(&rnd, 100);
		m.fails = random_below(&rnd, 8) == 0;
		if (db_write(b->db, transfer, &m, &e) == 0) {
			tell(b, m.id, ACKNOWLEDGED);
			b->wrong += m.fails;
		} else {
			tell(b, m.id, REFUSED);
			b->wrong += !m.fails;
			if (!m.fails)
				fprintf(stderr, "# %s\n", e.msg);
		}
	}
}

/* ---- what must hold ---- */

struct state {
	int64_t has[ACCOUNTS], should[ACCOUNTS], n, rows, lost, ghosts;
	const struct told *told;
};

static int read_ledger(struct db_tx *t, struct state *s, uint8_t *there, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT id, source, target, amount FROM ledger");
	int more = r ? 1 : -1;

	while (more > 0 && (more = db_next(r, e)) > 0) {
		s->should[db_int(r, 1)] -= db_int(r, 3);
		s->should[db_int(r, 2)] += db_int(r, 3);
		there[db_int(r, 0)] = 1;
		s->rows++;
	}
	return more;
}

static int read_state(struct db_tx *t, void *arg, struct err *e)
{
	struct state *s = arg, fresh = {.told = s->told};
	AUTO_FREE uint8_t *there = xcalloc(1, IDS);

	*s = fresh;
	for (int i = 0; i < ACCOUNTS; i++) {
		s->should[i] = START;
		if (read_one(t, "SELECT amount FROM accounts WHERE id = $1", i, &s->has[i], e) < 0)
			return -1;
	}
	if (read_ledger(t, s, there, e) < 0)
		return -1;
	for (int i = 0; i < IDS; i++) {
		s->lost += s->told->fate[i] == ACKNOWLEDGED && !there[i];
		s->ghosts += s->told->fate[i] == REFUSED && there[i];
	}
	return read_one(t, "SELECT n FROM counters WHERE name = 'transfers' AND $1 = 0", 0, &s->n,
			e);
}

static int64_t check(struct db *d, const struct told *told)
{
	struct state s = {.told = told};
	int64_t all = 0;

	OK(db_read(d, read_state, &s, e));
	for (int i = 0; i < ACCOUNTS; i++) {
		assert_int_equal(s.has[i], s.should[i]);
		all += s.has[i];
	}
	assert_int_equal(all, ACCOUNTS * START);
	assert_int_equal(s.n, s.rows);
	assert_int_equal(s.lost, 0);
	assert_int_equal(s.ghosts, 0);
	return s.rows;
}

/* ---- SQLite: killed ---- */

static void be_a_server(const char *url, int out, int64_t next, uint64_t seed)
{
	struct bank b = {.out = out, .seed = seed};
	struct err e = {0};

	b.db = db_open(url, &e);
	if (!b.db) {
		fprintf(stderr, "# %s\n", e.msg);
		_exit(1);
	}
	b.next = next;
	test_threads(THREADS, make_transfers, &b);
	_exit(b.wrong != 0);
}

/* What the child told, until it was killed. Returns the next number that nobody has used. */
static int64_t hear(int in, struct told *told, int64_t next)
{
	int64_t message;

	while (read(in, &message, sizeof(message)) == sizeof(message)) {
		told->fate[message / 4] = (uint8_t)(message % 4);
		next = MAX(next, message / 4 + 1);
	}
	return next + THREADS + 1;
}

static int64_t one_life(const char *url, struct told *told, int64_t next, struct random *rnd)
{
	int fds[2];
	int status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		be_a_server(url, fds[1], next, random_next(rnd));
	}
	close(fds[1]);
	clock_sleep_ms(150 + (unsigned)random_below(rnd, 300));
	kill(pid, SIGKILL);
	next = hear(fds[0], told, next);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return next;
}

static int integrity(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "PRAGMA integrity_check");

	(void)arg;
	if (!r || db_next(r, e) < 0)
		return -1;
	return strcmp(db_text(r, 0), "ok") == 0 ? 0 : err_set(e, ERR_CORRUPT, "%s", db_text(r, 0));
}

static void test_sqlite_is_killed(void **state)
{
	struct db_fixture *f = *state;
	struct random rnd = {random_seed()};
	AUTO_FREE struct told *told = xcalloc(1, sizeof(*told));
	int64_t next = 0, rows = 0;

	print_message("# HF_SEED=%#llx\n", (unsigned long long)rnd.state);
	OK(db_claim(f->db, set_up, NULL, e));
	for (int i = 0; i < ROUNDS; i++) {
		db_close(steal(&f->db));
		next = one_life(f->url, told, next, &rnd);
		f->db = OK_PTR(db_open(f->url, e));
		OK(db_read(f->db, integrity, NULL, e));
		rows = check(f->db, told);
	}
	print_message("# %lld transfers, killed %d times\n", (long long)rows, ROUNDS);
	assert_true(rows > 100);
}

/* ---- PostgreSQL: cut, crashed ---- */

struct lab {
	char *script, *folder, *url;
};

/* `ret_said` may be NULL; to be freed. */
static int lab(const struct lab *l, const char *verb, char **ret_said)
{
	const char *argv[] = {l->script, verb, l->folder, NULL};
	AUTO_BUF out = BUF_INIT;
	struct err e = {0};

	if (spawn_run(argv, 4096, &out, NULL, &e) < 0) {
		fprintf(stderr, "# postgres.sh %s: %s\n", verb, e.msg);
		return -1;
	}
	if (ret_said)
		*ret_said = xstrndup(buf_str(&out), strcspn(buf_str(&out), "\n"));
	return 0;
}

static int lab_up(struct lab *l)
{
	l->script = xstrdup(HF_SOURCE "/test/lab/postgres.sh");
	l->folder = xstrdup("/tmp/hf-prop-db-XXXXXX");
	assert_non_null(mkdtemp(l->folder));
	return lab(l, "start", &l->url);
}

static int lab_new(void **state)
{
	*state = xcalloc(1, sizeof(struct lab));
	return 0;
}

/* Also of a test that failed: no server stays behind. */
static int lab_down(void **state)
{
	struct lab *l = *state;

	if (l->folder)
		lab(l, "stop", NULL);
	free(l->script);
	free(l->folder);
	free(l->url);
	free(l);
	return 0;
}

static int cut(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return db_exec(t, NULL, e,
		       "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
		       "pg_backend_pid() AND application_name = 'holdfast'");
}

struct chaos {
	struct bank *bank;
	struct lab *lab;
	unsigned cuts, crashes;
};

static void make_trouble(void *arg, unsigned number)
{
	struct chaos *c = arg;
	struct random rnd = {c->bank->seed};

	if (number > 0) {
		make_transfers(c->bank, number);
		return;
	}
	for (int i = 0; i < 2 * ROUNDS; i++) {
		clock_sleep_ms(50 + (unsigned)random_below(&rnd, 300));
		if (random_below(&rnd, 3) == 0) {
			c->bank->wrong += lab(c->lab, "crash", NULL) < 0;
			c->bank->wrong += lab(c->lab, "again", NULL) < 0;
			c->crashes++;
		} else {
			c->bank->wrong += db_claim(c->bank->db, cut, NULL, NULL) < 0;
			c->cuts++;
		}
	}
	atomic_store(&c->bank->stop, true);
}

static void test_postgres_is_cut(void **state)
{
	const char *server = getenv("HF_TEST_POSTGRES");
	struct random rnd = {random_seed()};
	AUTO_FREE struct told *told = xcalloc(1, sizeof(*told));
	struct bank b = {.out = -1, .told = told, .seed = random_next(&rnd)};
	struct chaos c = {.bank = &b, .lab = *state};
	int64_t rows = 0;

	if (!server || !*server) {
		print_message("# not over PostgreSQL: HF_TEST_POSTGRES is not set\n");
		return;
	}
	print_message("# HF_SEED=%#llx\n", (unsigned long long)random_seed());
	assert_int_equal(lab_up(c.lab), 0);
	b.db = OK_PTR(db_open(c.lab->url, e));
	OK(db_claim(b.db, set_up, NULL, e));
	test_threads(THREADS + 1, make_trouble, &c);
	rows = check(b.db, told);
	db_close(b.db);
	print_message("# %lld transfers, cut %u times, crashed %u times\n", (long long)rows, c.cuts,
		      c.crashes);
	assert_int_equal(b.wrong, 0);
	assert_true(rows > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST_OF("sqlite", test_sqlite_is_killed),
		cmocka_unit_test_setup_teardown(test_postgres_is_cut, lab_new, lab_down),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
