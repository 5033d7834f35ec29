/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite: one process, one connection that writes, a few that only read.
 *
 * Group commit. Flushing to the disk takes milliseconds, a transaction microseconds. Whoever wants
 * to write gets in line. The first in line leads: it takes the line as it is then, runs all in one
 * transaction, each in a savepoint, so that one that fails is rolled back alone, and commits once.
 * Then it tells everybody, and the next in line leads. So a transaction may run in another thread
 * than that of its caller.
 *
 * Some errors make SQLite roll back everything, what others did before in the same transaction,
 * too. Then only the one that met it fails, and the others are run again from their start.
 *
 * The write-ahead log is brought over to the main file by the writer alone, after those whose
 * commit made it long were told: see sqlite_conn.c for why nobody else does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fio.h"
#include "db/sqlite_conn.h"

#define READERS 4
#define BATCH 128 /* transactions that are committed together, at most */

struct request {
	db_fn *fn;
	void *arg;
	struct err e;
	uint64_t wake; /* channels */
	bool failed, done, lead;
	pthread_cond_t told;
	struct request *next;
};

struct lite {
	struct db base;
	int lock_fd;
	struct sqlite_conn *writer;
	pthread_mutex_t mutex;
	/* the line of those who want to write */
	struct request *first, **last;
	bool led; /* somebody leads */
	/* readers that nobody uses */
	struct sqlite_conn *idle[READERS];
	unsigned n_idle;
	pthread_cond_t reader_free;
};

struct lite_tx {
	struct db_tx base;
	struct sqlite_conn *conn;
};

static struct sqlite_conn *conn_of(struct db_tx *t)
{
	return ((struct lite_tx *)t)->conn;
}

static int lite_statement(struct db_tx *t, const char *sql, const struct db_value *v, size_t n,
			  struct db_rows **ret_rows, uint64_t *ret_changed, struct err *e)
{
	return sqlite_conn_statement(conn_of(t), t, sql, v, n, ret_rows, ret_changed, e);
}

static int lite_script(struct db_tx *t, const char *sql, struct err *e)
{
	return sqlite_conn_script(conn_of(t), t, sql, e);
}

/* ---- writing ---- */

static void fail_request(struct request *r, const struct err *why)
{
	r->failed = true;
	r->e = *why;
}

/*
 * One of the transactions. -1: all of it is rolled back, or has to be, and not only this.
 */
static int run_one(struct lite *l, struct request *r, bool alone)
{
	struct lite_tx t = {.base = {.db = &l->base}, .conn = l->writer};
	struct err why = {0};

	if (!alone && sqlite_conn_do(l->writer, "SAVEPOINT one", &why) < 0) {
		fail_request(r, &why);
		return -1;
	}
	if (db_tx_run(&t.base, r->fn, r->arg, &why) < 0)
		fail_request(r, &why);
	r->wake = t.base.wake;
	if (sqlite_conn_rolled_back(l->writer) || (alone && r->failed))
		return -1;
	if (alone)
		return 0;
	if ((r->failed && sqlite_conn_do(l->writer, "ROLLBACK TO one", &why) < 0) ||
	    sqlite_conn_do(l->writer, "RELEASE one", &why) < 0) {
		fail_request(r, &why);
		return -1;
	}
	return 0;
}

static unsigned count_left(const struct request *batch)
{
	unsigned n = 0;

	for (; batch; batch = batch->next)
		n += !batch->failed;
	return n;
}

/* Run those that have not failed; -1 when one failed in a way that takes all with it. */
static int run_left(struct lite *l, struct request *batch)
{
	bool alone = count_left(batch) == 1;

	for (struct request *r = batch; r; r = r->next) {
		if (!r->failed && run_one(l, r, alone) < 0)
			return -1;
	}
	return 0;
}

static void fail_left(struct request *batch, const struct err *why)
{
	for (struct request *r = batch; r; r = r->next) {
		if (!r->failed)
			fail_request(r, why);
	}
}

static void roll_back(struct lite *l)
{
	if (!sqlite_conn_rolled_back(l->writer))
		sqlite_conn_do(l->writer, "ROLLBACK", NULL);
}

/* Each time round one more has failed, so it ends. */
static void run_batch(struct lite *l, struct request *batch)
{
	struct err why = {0};

	while (count_left(batch) > 0) {
		if (sqlite_conn_do(l->writer, "BEGIN IMMEDIATE", &why) < 0) {
			fail_left(batch, &why);
			return;
		}
		if (run_left(l, batch) < 0) {
			roll_back(l);
			continue;
		}
		if (count_left(batch) == 0) {
			roll_back(l);
			return;
		}
		if (sqlite_conn_do(l->writer, "COMMIT", &why) < 0) {
			roll_back(l);
			fail_left(batch, &why);
		}
		return;
	}
}

static struct request *take_batch(struct lite *l)
{
	struct request *batch = l->first, *r = batch;

	for (unsigned n = 1; n < BATCH && r->next; n++)
		r = r->next;
	l->first = r->next;
	if (!l->first)
		l->last = &l->first;
	r->next = NULL;
	return batch;
}

static void tell_batch(struct lite *l, struct request *batch)
{
	uint64_t wake = 0;

	for (struct request *r = batch, *next; r; r = next) {
		next = r->next; /* gone as soon as it is told */
		wake |= r->failed ? 0 : r->wake;
		r->done = true;
		pthread_cond_signal(&r->told);
	}
	wakes_bump(l->base.wakes, wake);
}

/* The mutex is held, but not while it works. */
static void lead(struct lite *l)
{
	struct request *batch = take_batch(l);

	pthread_mutex_unlock(&l->mutex);
	run_batch(l, batch);
	pthread_mutex_lock(&l->mutex);
	tell_batch(l, batch);
	pthread_mutex_unlock(&l->mutex);
	sqlite_conn_tidy(l->writer);
	pthread_mutex_lock(&l->mutex);
	if (l->first) {
		l->first->lead = true;
		pthread_cond_signal(&l->first->told);
	} else {
		l->led = false;
	}
}

static int lite_write(struct lite *l, db_fn *fn, void *arg, struct err *e)
{
	struct request r = {.fn = fn, .arg = arg};

	pthread_cond_init(&r.told, NULL);
	pthread_mutex_lock(&l->mutex);
	*l->last = &r;
	l->last = &r.next;
	if (!l->led)
		l->led = r.lead = true;
	while (!r.done && !r.lead)
		pthread_cond_wait(&r.told, &l->mutex);
	if (r.lead)
		lead(l);
	pthread_mutex_unlock(&l->mutex);
	pthread_cond_destroy(&r.told);
	if (r.failed && e)
		*e = r.e;
	return r.failed ? -1 : 0;
}

/* ---- reading ---- */

static struct sqlite_conn *take_reader(struct lite *l)
{
	struct sqlite_conn *c;

	pthread_mutex_lock(&l->mutex);
	while (l->n_idle == 0)
		pthread_cond_wait(&l->reader_free, &l->mutex);
	c = l->idle[--l->n_idle];
	pthread_mutex_unlock(&l->mutex);
	return c;
}

static void give_reader(struct lite *l, struct sqlite_conn *c)
{
	pthread_mutex_lock(&l->mutex);
	l->idle[l->n_idle++] = c;
	pthread_cond_signal(&l->reader_free);
	pthread_mutex_unlock(&l->mutex);
}

static int lite_read(struct lite *l, db_fn *fn, void *arg, struct err *e)
{
	struct lite_tx t = {.base = {.db = &l->base}, .conn = take_reader(l)};
	int r = sqlite_conn_do(t.conn, "BEGIN", e);

	if (r == 0) {
		r = db_tx_run(&t.base, fn, arg, e);
		if (!sqlite_conn_rolled_back(t.conn))
			sqlite_conn_do(t.conn, "ROLLBACK", NULL);
	}
	give_reader(l, t.conn);
	return r;
}

static int lite_run(struct db *d, enum db_mode mode, db_fn *fn, void *arg, struct err *e)
{
	struct lite *l = (struct lite *)d;

	return mode == DB_READ ? lite_read(l, fn, arg, e) : lite_write(l, fn, arg, e);
}

/* ---- the file ---- */

/* Where several machines see the file, SQLite's log cannot be shared and locks may lie. */
static int check_file_system(int fd, const char *path, struct err *e)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return err_sys(e, errno, "look at the file system of %s", path);
	if (st.f_type == NFS_SUPER_MAGIC || (uint32_t)st.f_type == CIFS_SUPER_MAGIC ||
	    (uint32_t)st.f_type == SMB2_SUPER_MAGIC || st.f_type == CEPH_SUPER_MAGIC)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s is on a network file system, where SQLite cannot keep it safe: "
			       "use a local disk, or PostgreSQL",
			       path);
	return 0;
}

static int say_who_has_it(int fd, const char *path, struct err *e)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = 0;
	pid[strspn(pid, "0123456789")] = 0;
	return err_set(e, ERR_BUSY,
		       "the database %s is open in another process%s%s: only one can have an "
		       "SQLite database; stop that one, or use PostgreSQL",
		       path, *pid ? ", with the number " : "", pid);
}

/* The lock goes with the process, however that ends; the file of it stays. */
static int lock_file(const char *path, struct err *e)
{
	AUTO_FREE char *name = xasprintf("%s.lock", path);
	AUTO_CLOSE int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char pid[24];
	int taken;

	if (fd < 0)
		return err_sys(e, errno, "create %s", name);
	if (check_file_system(fd, path, e) < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? say_who_has_it(fd, path, e)
					    : err_sys(e, errno, "lock %s", name);
	/* Only told to people. */
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0)
		return err_sys(e, errno, "write %s", name);
	taken = fd;
	fd = -1;
	return taken;
}

/* SQLite gives the files beside it the permissions of this one: for nobody else. */
static int create_file(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, errno, "open the database %s", path);
	return fio_fsync_parent(path, e);
}

static void lite_close(struct db *d)
{
	struct lite *l = (struct lite *)d;

	while (l->n_idle)
		sqlite_conn_close(l->idle[--l->n_idle]);
	sqlite_conn_close(l->writer);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	pthread_cond_destroy(&l->reader_free);
	pthread_mutex_destroy(&l->mutex);
	wakes_free(l->base.wakes);
	free(l);
}

static int lite_nothing(struct db_tx *t, struct err *e)
{
	(void)t;
	(void)e;
	return 0;
}

static int lite_start(struct db *d, struct err *e)
{
	(void)d;
	(void)e;
	return 0;
}

static const struct db_ops ops = {
	.name = "sqlite",
	.skip_locked = "",
	.run = lite_run,
	.statement = lite_statement,
	.script = lite_script,
	.migrate_begin = lite_nothing,
	.migrate_end = lite_nothing,
	.start = lite_start,
	.close = lite_close,
};

struct db *sqlite_open(const char *path, struct err *e)
{
	struct lite *l = xcalloc(1, sizeof(*l));
	AUTO(db) d = &l->base;

	l->base.ops = &ops;
	l->base.wakes = wakes_new();
	l->last = &l->first;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->reader_free, NULL);
	l->lock_fd = lock_file(path, e);
	if (l->lock_fd < 0 || create_file(path, e) < 0)
		return NULL;
	l->writer = sqlite_conn_open(path, true, e);
	while (l->writer && l->n_idle < READERS) {
		l->idle[l->n_idle] = sqlite_conn_open(path, false, e);
		if (!l->idle[l->n_idle])
			return NULL;
		l->n_idle++;
	}
	return l->writer ? steal(&d) : NULL;
}
