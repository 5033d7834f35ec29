/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "db/db_priv.h"
#include "db_fixture.h"

/* ---- a file system that is not local ---- */

static long fs_type;

int __real_fstatfs64(int fd, struct statfs *st);
int __wrap_fstatfs64(int fd, struct statfs *st);
int __wrap_fstatfs64(int fd, struct statfs *st)
{
	int r = __real_fstatfs64(fd, st);

	if (fs_type)
		st->f_type = fs_type;
	return r;
}

static void test_network_file_system(void **state)
{
	struct db_fixture *f = *state;

	fs_type = NFS_SUPER_MAGIC;
	FAILS_PTR(ERR_UNSUPPORTED, db_open(f->url, e));
	fs_type = 0;
	db_fixture_reopen(f);
}

/* ---- the file ---- */

static void test_one_process(void **state)
{
	struct db_fixture *f = *state;
	struct err err = {0};
	pid_t pid;
	int status;

	db_fixture_reopen(f);
	FAILS_PTR(ERR_BUSY, db_open(f->url, e));
	pid = fork();
	if (pid == 0) {
		struct db *d = db_open(f->url, &err);

		_exit(d || err.kind != ERR_BUSY || !strstr(err.msg, "with the number "));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	db_fixture_reopen(f);
}

static void test_nobody_else_reads_it(void **state)
{
	static const char *const names[] = {"db", "db-wal", "db-shm", "db.lock"};
	struct db_fixture *f = *state;
	mode_t before = umask(0);

	db_fixture_reopen(f);
	umask(before);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = test_path(f->folder, names[i]);
		struct stat st;

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void test_what_cannot_be_opened(void **state)
{
	struct db_fixture *f = *state;
	AUTO_FREE char *missing = xasprintf("sqlite:%s/none/db", f->folder);
	AUTO_FREE char *folder = xasprintf("sqlite:%s", f->folder);
	AUTO_FREE char *path = test_path(f->folder, "db");
	AUTO_FREE char *lock = xasprintf("%s.lock", f->folder);
	int fd;

	FAILS_PTR(ERR_NOENT, db_open(missing, e));
	FAILS_PTR(ERR_INVALID, db_open(folder, e));
	unlink(lock);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(write(fd, "no database ", 12), 12);
	close(fd);
	FAILS_PTR(ERR_CORRUPT, db_open(f->url, e));
}

/* ---- no room ---- */

static atomic_int no_room; /* writes that still succeed, when it is positive; -1: all do */

static ssize_t write_or_not(int fd, const void *p, size_t n, off_t at)
{
	if (no_room == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (no_room > 0)
		no_room--;
	return pwrite(fd, p, n, at);
}

static void stand_in(sqlite3_syscall_ptr fn)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", fn), SQLITE_OK);
	assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", fn), SQLITE_OK);
}

struct row {
	int64_t id;
	size_t size;
};

static int make_rows(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return db_exec(t, NULL, e, "CREATE TABLE rows_ (id BIGINT PRIMARY KEY, b BYTEA)");
}

static int add_row(struct db_tx *t, void *arg, struct err *e)
{
	const struct row *r = arg;
	AUTO_FREE char *bytes = xcalloc(1, r->size + 1);

	return db_exec(t, NULL, e, "INSERT INTO rows_ (id, b) VALUES ($1, $2)", db_i(r->id),
		       db_b(bytes, r->size));
}

static int count_rows(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT count(*) FROM rows_");

	if (!r || db_next(r, e) < 0)
		return -1;
	*(int64_t *)arg = db_int(r, 0);
	return 0;
}

static int64_t rows(struct db *d)
{
	int64_t n = -1;

	OK(db_read(d, count_rows, &n, e));
	return n;
}

static void test_no_room(void **state)
{
	struct db_fixture *f = *state;
	struct row r = {.size = 100000};
	int64_t there = 0;

	db_fixture_reopen(f);
	OK(db_write(f->db, make_rows, NULL, e));
	stand_in((sqlite3_syscall_ptr)write_or_not);
	/* At every write of it, the disk is full. */
	for (int i = 0; i < 60; i++) {
		struct err err = {0};

		no_room = i;
		r.id = i;
		if (db_write(f->db, add_row, &r, &err) == 0)
			there++;
		else
			assert_int_equal(err.kind, ERR_NOSPACE);
		no_room = -1;
		assert_int_equal(rows(f->db), there);
	}
	stand_in(NULL);
	assert_in_range(there, 1, 40);
	/* It goes on as if nothing had been. */
	r.id = 100;
	OK(db_write(f->db, add_row, &r, e));
	db_fixture_reopen(f);
	assert_int_equal(rows(f->db), there + 1);
}

/* ---- a disk that does not flush ---- */

static atomic_int flushes = -1; /* that still succeed; -1: all */

/* In place of the C library's, for SQLite, too. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
	if (flushes == 0) {
		errno = EIO;
		return -1;
	}
	if (flushes > 0)
		flushes--;
	return (int)syscall(SYS_fdatasync, fd);
}

static void test_no_flush(void **state)
{
	struct db_fixture *f = *state;
	struct row r = {.size = 100000};
	int64_t there = 0;

	db_fixture_reopen(f);
	OK(db_write(f->db, make_rows, NULL, e));
	for (; r.id < 100; r.id++) {
		struct err err = {0};

		flushes = (int)r.id % 3;
		if (db_write(f->db, add_row, &r, &err) == 0)
			there++;
		else
			assert_int_equal(err.kind, ERR_IO);
		flushes = -1;
		assert_int_equal(rows(f->db), there);
	}
	assert_in_range(there, 50, 90);
	db_fixture_reopen(f);
	assert_int_equal(rows(f->db), there);
}

/* ---- one that fails alone, and one that takes all with it ---- */

struct crowd {
	struct db *db;
	atomic_uint wrong, in_line;
	unsigned fails, takes_all; /* who */
};

/* The first keeps the others waiting, so that they are committed together. */
static int keep_waiting(struct db_tx *t, void *arg, struct err *e)
{
	struct crowd *c = arg;

	(void)t;
	(void)e;
	while (c->in_line < 8)
		clock_sleep_ms(1);
	clock_sleep_ms(50);
	return 0;
}

/* What SQLite does by itself on some errors: roll back everything. */
static int roll_back_all(struct db_tx *t, void *arg, struct err *e)
{
	struct row r = {.id = 999, .size = 10};

	(void)arg;
	if (add_row(t, &r, e) < 0)
		return -1;
	return db_exec(t, NULL, e, "INSERT OR ROLLBACK INTO rows_ (id) VALUES (999)");
}

static int add_and_fail(struct db_tx *t, void *arg, struct err *e)
{
	return add_row(t, arg, e) < 0 ? -1 : err_set(e, ERR_LIMIT, "no");
}

static void write_together(void *arg, unsigned number)
{
	struct crowd *c = arg;
	struct row r = {.id = number, .size = 10};
	struct err e = {0};

	if (number == 0) {
		c->wrong += db_write(c->db, keep_waiting, c, NULL) < 0;
		return;
	}
	clock_sleep_ms(20);
	c->in_line++;
	if (number == c->takes_all)
		c->wrong += db_write(c->db, roll_back_all, NULL, &e) == 0 || e.kind != ERR_EXISTS;
	else if (number == c->fails)
		c->wrong += db_write(c->db, add_and_fail, &r, &e) == 0 || e.kind != ERR_LIMIT;
	else
		c->wrong += db_write(c->db, add_row, &r, NULL) < 0;
}

static void test_committed_together(void **state)
{
	static const struct {
		unsigned fails, takes_all;
		int64_t rows;
	} cases[] = {{3, 0, 7}, {0, 5, 7}, {3, 5, 6}};
	struct db_fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct crowd c = {.fails = cases[i].fails, .takes_all = cases[i].takes_all};
		struct db_fixture g;

		assert_true(db_fixture_new(&g, f->kind));
		db_fixture_reopen(&g);
		c.db = g.db;
		OK(db_write(g.db, make_rows, NULL, e));
		test_threads(9, write_together, &c);
		assert_int_equal(c.wrong, 0);
		assert_int_equal(rows(g.db), cases[i].rows);
		db_fixture_done(&g);
	}
}

/* ---- the log ---- */

static off_t log_size(const struct db_fixture *f)
{
	AUTO_FREE char *path = test_path(f->folder, "db-wal");
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

struct reader {
	struct db *db;
	atomic_int step;
};

static int stay(struct db_tx *t, void *arg, struct err *e)
{
	struct reader *r = arg;
	int64_t n;

	if (count_rows(t, &n, e) < 0)
		return -1;
	r->step = 1;
	while (r->step == 1)
		clock_sleep_ms(1);
	return 0;
}

static void read_while_it_grows(void *arg, unsigned number)
{
	struct reader *r = arg;
	struct row row = {.id = 1000, .size = 400000};

	if (number == 0) {
		if (db_read(r->db, stay, r, NULL) < 0)
			r->step = -1;
		return;
	}
	while (r->step == 0)
		clock_sleep_ms(1);
	for (; row.id < 1100; row.id++) {
		if (db_write(r->db, add_row, &row, NULL) < 0)
			r->step = -1;
	}
	r->step = 2;
}

static void test_the_log_stays_small(void **state)
{
	struct db_fixture *f = *state;
	struct row row = {.size = 100000};
	struct reader r = {.db = NULL};
	off_t grown;

	db_fixture_reopen(f);
	r.db = f->db;
	OK(db_write(f->db, make_rows, NULL, e));
	for (row.id = 0; row.id < 300; row.id++)
		OK(db_write(f->db, add_row, &row, e));
	assert_in_range(log_size(f), 1, 6 << 20);
	/* A reader that stays makes it grow; when it has gone, it begins anew. */
	test_threads(2, read_while_it_grows, &r);
	assert_int_equal(r.step, 2);
	grown = log_size(f);
	assert_true(grown > 20 << 20);
	for (; row.id < 500; row.id++)
		OK(db_write(f->db, add_row, &row, e));
	assert_true(log_size(f) <= grown + (6 << 20));
	assert_int_equal(rows(f->db), 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST_BARE(test_network_file_system),
		DB_TEST_BARE(test_one_process),
		DB_TEST_BARE(test_nobody_else_reads_it),
		DB_TEST_BARE(test_what_cannot_be_opened),
		DB_TEST_BARE(test_no_room),
		DB_TEST_BARE(test_no_flush),
		DB_TEST_BARE(test_committed_together),
		DB_TEST_BARE(test_the_log_stays_small),
	};

	unsetenv("HF_TEST_POSTGRES");
	return db_fixture_run(tests, ARRAY_LEN(tests));
}
