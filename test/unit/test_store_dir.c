/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a store in a directory has: its steps and their order, files, links, permissions. What
 * it has in common with other stores is in test_store.c.
 */
#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fio.h"

/* ---- system calls that fail on demand ---- */

enum link_mode { LINK_WORKS, LINK_LIES, LINK_REFUSED, LINK_NOT_EVEN_RENAME };
static enum link_mode link_mode;
static bool rename_lies;
/* A collector that comes at the worst moment, so often. */
static struct store *sweeper;
static unsigned sweeps;

int __real_linkat(int od, const char *op, int nd, const char *np, int flags);
int __wrap_linkat(int od, const char *op, int nd, const char *np, int flags);
int __real_renameat(int od, const char *op, int nd, const char *np);
int __wrap_renameat(int od, const char *op, int nd, const char *np);
int __real_renameat2(int od, const char *op, int nd, const char *np, unsigned flags);
int __wrap_renameat2(int od, const char *op, int nd, const char *np, unsigned flags);

int __wrap_linkat(int od, const char *op, int nd, const char *np, int flags)
{
	if (sweeps && sweeps--)
		OK(store_sweep(sweeper, e));
	if (link_mode >= LINK_REFUSED) {
		errno = EPERM;
		return -1;
	}
	if (__real_linkat(od, op, nd, np, flags) < 0)
		return -1;
	if (link_mode == LINK_WORKS)
		return 0;
	/* As NFS does when the answer was lost and the request came twice. */
	if (sweeper)
		OK(store_sweep(sweeper, e));
	errno = EEXIST;
	return -1;
}

int __wrap_renameat(int od, const char *op, int nd, const char *np)
{
	if (__real_renameat(od, op, nd, np) < 0)
		return -1;
	if (!rename_lies)
		return 0;
	errno = ENOENT;
	return -1;
}

int __wrap_renameat2(int od, const char *op, int nd, const char *np, unsigned flags)
{
	if (link_mode == LINK_NOT_EVEN_RENAME) {
		errno = EINVAL;
		return -1;
	}
	return __real_renameat2(od, op, nd, np, flags);
}

/* ---- steps ---- */

enum { STEPS_MAX = 128 };

struct steps {
	int n, fail_at; /* from 1; 0: none */
	char what[STEPS_MAX][16];
	char path[STEPS_MAX][STORE_KEY_MAX];
};

static int note_step(void *arg, const char *what, const char *path, struct err *e)
{
	struct steps *st = arg;

	assert_true(st->n < STEPS_MAX);
	snprintf(st->what[st->n], sizeof(st->what[0]), "%s", what);
	snprintf(st->path[st->n], sizeof(st->path[0]), "%s", path);
	if (++st->n == st->fail_at)
		return err_set(e, ERR_NOSPACE, "step %d: %s %s", st->n, what, path);
	return 0;
}

struct fixture {
	char *folder;
	struct store *s;
	struct steps steps;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	link_mode = LINK_WORKS;
	rename_lies = false;
	f->folder = test_folder();
	f->s = store_dir_open(f->folder, false, note_step, &f->steps, NULL);
	*state = f;
	return f->s ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_free(f->s);
	test_folder_done(f->folder);
	free(f);
	return 0;
}

static size_t files_in(const struct fixture *f, const char *name)
{
	AUTO_FREE char *path = test_path(f->folder, name);
	struct err why = {0};
	struct store *s = store_dir_open(path, false, NULL, NULL, &why);
	size_t n;

	if (!s) {
		assert_int_equal(why.kind, ERR_NOENT);
		return 0;
	}
	n = test_count(s, "./");
	store_free(s);
	return n;
}

static bool step_is(const struct steps *st, int i, const char *what, const char *path)
{
	return i >= 0 && i < st->n && strcmp(st->what[i], what) == 0 &&
	       (!path || strcmp(st->path[i], path) == 0);
}

/* A name must appear after its file was flushed and before its folder is, and no write may come
 * between. */
static void assert_durable(const struct steps *st, const char *how, const char *key,
			   const char *folder)
{
	int at = 0, flushed = -1;

	while (at < st->n && !step_is(st, at, how, key)) {
		if (step_is(st, at, "fsync", NULL) && strchr(st->path[at], '/') == NULL &&
		    strncmp(st->path[at], "tmp-", 4) != 0 && strcmp(st->path[at], "point") != 0 &&
		    strcmp(st->path[at], "state") != 0) {
			at++; /* of a folder */
			continue;
		}
		if (step_is(st, at, "fsync", NULL))
			flushed = at;
		if (step_is(st, at, "write", NULL))
			flushed = -1;
		at++;
	}
	assert_true(at < st->n);
	assert_true(flushed >= 0);
	assert_true(step_is(st, at + 1, "fsync", folder));
}

static void test_order_of_put_new(void **state)
{
	struct fixture *f = *state;

	OK(store_put_new(f->s, "keys/1", "abc", 3, e));
	assert_durable(&f->steps, "link", "keys/1", "keys");
	assert_int_equal(files_in(f, "tmp"), 0);
	/* New folders are durable before what lies in them. */
	assert_true(step_is(&f->steps, 0, "mkdir", "tmp"));
	assert_true(step_is(&f->steps, 1, "fsync", "."));
	assert_true(step_is(&f->steps, 2, "mkdir", "keys"));
	assert_true(step_is(&f->steps, 3, "fsync", "."));
}

static void test_order_of_a_session(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = OK_PTR(store_session_begin(f->s, "id", "x", 1, e));
	struct store_upload *u;

	assert_true(step_is(&f->steps, f->steps.n - 1, "fsync", "sessions"));
	f->steps.n = 0;
	u = OK_PTR(ss->ops->upload(ss, e));
	OK(u->ops->write(u, "abc", 3, e));
	OK(u->ops->finish(u, "packs/ab/abc", e));
	assert_durable(&f->steps, "rename", "packs/ab/abc", "packs/ab");
	f->steps.n = 0;
	OK(ss->ops->commit(ss, "point", 5, e));
	assert_durable(&f->steps, "rename", "points/id", "points");
	f->steps.n = 0;
	store_session_end(ss);
	assert_true(step_is(&f->steps, 0, "rmdir", "sessions/id"));
	assert_int_equal(test_count(f->s, "sessions/"), 0);
}

static void test_order_of_remove(void **state)
{
	struct fixture *f = *state;

	OK(store_put_new(f->s, "packs/ab/x", "abc", 3, e));
	f->steps.n = 0;
	OK(store_remove(f->s, "packs/ab/x", e));
	assert_int_equal(f->steps.n, 2);
	assert_true(step_is(&f->steps, 0, "unlink", "packs/ab/x"));
	assert_true(step_is(&f->steps, 1, "fsync", "packs/ab"));
}

/* ---- every step fails in turn ---- */

static int do_put_new(struct store *s, struct err *e)
{
	return store_put_new(s, "keys/1", "abc", 3, e);
}

static int do_upload(struct store *s, struct err *e)
{
	struct store_session *ss = store_session_begin(s, "id", "x", 1, e);
	struct store_upload *u = ss ? ss->ops->upload(ss, e) : NULL;
	int rc = -1;

	if (u && u->ops->write(u, "abc", 3, e) < 0)
		u->ops->abort(u);
	else if (u)
		rc = u->ops->finish(u, "packs/ab/abc", e);
	store_session_end(ss);
	return rc;
}

static int do_commit(struct store *s, struct err *e)
{
	struct store_session *ss = store_session_begin(s, "id", "x", 1, e);
	int rc = ss ? ss->ops->renew(ss, "y", 1, e) : -1;

	if (rc == 0)
		rc = ss->ops->commit(ss, "abc", 3, e);
	store_session_end(ss);
	return rc;
}

static void test_every_step_fails(void **state)
{
	static const struct {
		int (*work)(struct store *s, struct err *e);
		const char *key;
	} rows[] = {{do_put_new, "keys/1"}, {do_upload, "packs/ab/abc"}, {do_commit, "points/id"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int rc = -1;

		for (int at = 1; rc < 0; at++) {
			char *folder = test_folder();
			struct steps st = {.fail_at = at};
			struct store *s = OK_PTR(store_dir_open(folder, false, note_step, &st, e));
			struct err why = {0};
			uint64_t size;

			rc = rows[i].work(s, &why);
			if (rc < 0)
				assert_int_equal(why.kind, ERR_NOSPACE);
			/* As a whole or not at all. */
			if (store_size(s, rows[i].key, &size, NULL) == 0)
				assert_int_equal(size, 3);
			else
				assert_int_equal(rc, -1);
			assert_int_equal(test_count(s, "packs/"),
					 i == 1 && store_size(s, rows[i].key, &size, NULL) == 0);
			/* The same works afterwards. */
			st.fail_at = 0;
			st.n = 0;
			store_session_revoke(s, "id", NULL);
			if (rc < 0 && store_size(s, rows[i].key, &size, NULL) < 0)
				OK(rows[i].work(s, e));
			store_free(s);
			test_folder_done(folder);
		}
	}
}

static void test_interrupted_revocation_is_completed(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = OK_PTR(store_session_begin(f->s, "id", "x", 1, e));

	f->steps.fail_at = f->steps.n + 2; /* after the rename */
	FAILS(ERR_NOSPACE, store_session_revoke(f->s, "id", e));
	FAILS(ERR_NOENT, ss->ops->commit(ss, "p", 1, e));
	OK(store_session_revoke(f->s, "id", e));
	store_session_end(ss);
	assert_int_equal(test_count(f->s, "points/"), 0);
	assert_int_equal(test_count(f->s, "sessions/"), 0);
}

/* ---- links and renames as network file systems do them ---- */

static void test_link_that_lies(void **state)
{
	struct fixture *f = *state;

	link_mode = LINK_LIES;
	OK(store_put_new(f->s, "keys/1", "abc", 3, e));
	FAILS(ERR_EXISTS, store_put_new(f->s, "keys/1", "xyz", 3, e));
	assert_int_equal(test_count(f->s, "keys/"), 1);
	assert_int_equal(files_in(f, "tmp"), 0);
}

static void test_without_links(void **state)
{
	struct fixture *f = *state;
	char got[3];

	link_mode = LINK_REFUSED;
	OK(store_put_new(f->s, "keys/1", "abc", 3, e));
	FAILS(ERR_EXISTS, store_put_new(f->s, "keys/1", "xyz", 3, e));
	OK(store_get_all(f->s, "keys/1", 0, got, 3, e));
	assert_memory_equal(got, "abc", 3);
	assert_int_equal(files_in(f, "tmp"), 0);
	link_mode = LINK_NOT_EVEN_RENAME;
	/* What the link said, not that the other way is unknown here. */
	FAILS(ERR_DENIED, store_put_new(f->s, "keys/2", "xyz", 3, e));
}

static void test_rename_that_lies(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = OK_PTR(store_session_begin(f->s, "id", "x", 1, e));
	struct store_upload *u = OK_PTR(ss->ops->upload(ss, e));

	rename_lies = true;
	OK(u->ops->write(u, "abc", 3, e));
	OK(u->ops->finish(u, "packs/ab/abc", e));
	OK(ss->ops->commit(ss, "point", 5, e));
	rename_lies = false;
	store_session_end(ss);
	assert_int_equal(test_count(f->s, "packs/"), 1);
	assert_int_equal(test_count(f->s, "points/"), 1);
}

/* ---- what lies about ---- */

static void put_file(const struct fixture *f, const char *name)
{
	AUTO_FREE char *path = test_path(f->folder, name);

	OK(fio_replace(path, "junk", 4, 0600, e));
}

static void test_foreign_files(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *packs = test_path(f->folder, "packs");
	char name[300] = "packs/";

	assert_int_equal(mkdir(packs, 0700), 0);
	OK(store_put_new(f->s, "packs/ab/x", "abc", 3, e));
	put_file(f, "packs/.hidden");
	put_file(f, "tmp/tmp-left-over");
	memset(name + 6, 'n', 200);
	put_file(f, name);
	assert_int_equal(test_count(f->s, "packs/"), 1);
	assert_int_equal(test_count(f->s, "points/"), 0);
	OK(store_sweep(f->s, e));
	assert_int_equal(files_in(f, "tmp"), 0);
	assert_int_equal(test_count(f->s, "packs/"), 1);
}

/* Whoever is about to name his file begins anew, up to a point; that he is told that the name was
 * taken when it was he who took it is no reason to fail. */
static void test_swept_while_it_is_written(void **state)
{
	static const enum link_mode modes[] = {LINK_WORKS, LINK_LIES, LINK_REFUSED};
	struct fixture *f = *state;
	char key[16];

	sweeper = OK_PTR(store_dir_open(f->folder, false, NULL, NULL, e));
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		link_mode = modes[i];
		sweeps = 3;
		snprintf(key, sizeof(key), "keys/%zu", i);
		OK(store_put_new(f->s, key, "abc", 3, e));
		assert_int_equal(store_has(f->s, key, NULL), 1);
		assert_int_equal(sweeps, 0);
		f->steps.n = 0;
	}
	link_mode = LINK_WORKS;
	sweeps = 1000;
	FAILS(ERR_NOENT, store_put_new(f->s, "keys/x", "abc", 3, e));
	sweeps = 0;
	FAILS(ERR_EXISTS, store_put_new(f->s, "keys/0", "abd", 3, e));
	assert_int_equal(files_in(f, "tmp"), 0);
	assert_int_equal(files_in(f, "keys"), 3);
	store_free(steal(&sweeper));
}

static void test_unfinished_uploads_are_not_listed(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = OK_PTR(store_session_begin(f->s, "id", "x", 1, e));
	struct store_upload *u = OK_PTR(ss->ops->upload(ss, e));

	OK(u->ops->write(u, "abc", 3, e));
	assert_int_equal(test_count(f->s, "packs/"), 0);
	assert_int_equal(test_count(f->s, "sessions/"), 1);
	assert_int_equal(files_in(f, "sessions/id"), 2);
	/* What a dead writer left goes away with its session. */
	OK(store_session_revoke(f->s, "id", e));
	assert_int_equal(files_in(f, "sessions/id"), 0);
	assert_int_equal(files_in(f, "sessions/id.revoked"), 0);
	u->ops->abort(u);
	store_session_end(ss);
}

static void test_permissions(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *keys = test_path(f->folder, "keys"), *one = test_path(f->folder, "keys/1");
	struct stat st;

	OK(store_put_new(f->s, "keys/1", "abc", 3, e));
	assert_int_equal(stat(keys, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(one, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
}

/* In a child without root's powers: everything that changes the store is refused, by name. */
static int read_only_child(struct store *s)
{
	struct err why = {0};
	char got[3];

	if (geteuid() == 0 && seteuid(65534) < 0)
		return 1;
	if (store_get_all(s, "keys/1", 0, got, 3, NULL) < 0 || memcmp(got, "abc", 3) != 0)
		return 2;
	if (store_put_new(s, "keys/2", "x", 1, &why) == 0 || why.kind != ERR_DENIED)
		return 3;
	if (store_remove(s, "keys/1", &why) == 0 || why.kind != ERR_DENIED ||
	    !strstr(why.msg, "keys/1"))
		return 4;
	if (store_session_begin(s, "id", "x", 1, &why) || why.kind != ERR_DENIED)
		return 5;
	return 0;
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *keys = test_path(f->folder, "keys"), *one = test_path(f->folder, "keys/1");
	int status;
	pid_t pid;

	OK(store_put_new(f->s, "keys/1", "abc", 3, e));
	assert_int_equal(chmod(one, 0444), 0);
	assert_int_equal(chmod(keys, 0555), 0);
	assert_int_equal(chmod(f->folder, 0555), 0);
	pid = fork();
	if (pid == 0)
		_exit(read_only_child(f->s));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(chmod(f->folder, 0700), 0);
	assert_int_equal(chmod(keys, 0700), 0);
	assert_int_equal(status, 0);
}

/* ---- open files that are kept ---- */

struct readers {
	struct store *s;
	int n;
	atomic_int wrong;
};

static void reader(void *arg, unsigned number)
{
	struct readers *r = arg;
	struct random rnd = {number + 1};
	char key[64], want[64], got[64];

	for (int i = 0; i < 3000; i++) {
		int k = (int)random_below(&rnd, (uint64_t)r->n);
		ssize_t n;

		snprintf(key, sizeof(key), "packs/%02d/%d", k % 7, k);
		snprintf(want, sizeof(want), "pack %d", k);
		n = store_get(r->s, key, 0, got, sizeof(got), NULL);
		if (n != (ssize_t)strlen(want) || memcmp(got, want, (size_t)n) != 0)
			atomic_fetch_add(&r->wrong, 1);
	}
}

static void test_many_files_many_readers(void **state)
{
	struct fixture *f = *state;
	struct store *s = OK_PTR(store_dir_open(f->folder, false, NULL, NULL, e));
	struct readers r = {.s = s, .n = 150};
	char key[64], text[64];

	for (int i = 0; i < r.n; i++) {
		snprintf(key, sizeof(key), "packs/%02d/%d", i % 7, i);
		snprintf(text, sizeof(text), "pack %d", i);
		OK(store_put_new(s, key, text, strlen(text), e));
	}
	test_threads(6, reader, &r);
	assert_int_equal(r.wrong, 0);
	/* Removed and made anew: no old file is read. */
	OK(store_remove(s, "packs/00/0", e));
	FAILS(ERR_NOENT, (int)store_get(s, "packs/00/0", 0, text, 1, e));
	OK(store_put_new(s, "packs/00/0", "other", 5, e));
	assert_int_equal(store_get(s, "packs/00/0", 0, text, 64, NULL), 5);
	store_free(s);
}

/* ---- opening ---- */

static void test_open(void **state)
{
	static const struct {
		const char *suffix;
		bool create;
		enum err_kind want;
	} rows[] = {
		{"", false, ERR_NONE},
		{"/new/folders/here", false, ERR_NOENT},
		{"/new/folders/here", true, ERR_NONE},
		{"/new/folders/here", false, ERR_NONE},
		{"/new//twice/", true, ERR_NONE},
		{"/file", false, ERR_NOENT},
		{"/file", true, ERR_EXISTS},
		{"/file/below", true, ERR_NOENT},
		{"/a:b", true, ERR_NONE},
	};
	struct fixture *f = *state;

	put_file(f, "file");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *path = xasprintf("%s%s", f->folder, rows[i].suffix);
		AUTO_FREE char *url = xasprintf("dir:%s", path);
		struct err why = {0};
		struct store *s = store_open(url, rows[i].create, &why);

		/* A file in the way may be told either way, but must be named. */
		if (rows[i].want == ERR_EXISTS) {
			assert_null(s);
			assert_non_null(strstr(why.msg, "/file"));
			continue;
		}
		assert_int_equal(why.kind, rows[i].want);
		assert_int_equal(s != NULL, rows[i].want == ERR_NONE);
		store_free(s);
		if (rows[i].want == ERR_NONE) {
			s = OK_PTR(store_open(path, false, e));
			assert_string_equal(s->url, url);
			store_free(s);
		}
	}
	FAILS_PTR(ERR_INVALID, store_open("", true, e));
	FAILS_PTR(ERR_INVALID, store_open("dir:", true, e));
	FAILS_PTR(ERR_UNSUPPORTED, store_open("ftp:bucket", true, e));
	FAILS_PTR(ERR_UNSUPPORTED, store_open("ftp://bucket/x", true, e));
	FAILS_PTR(ERR_INVALID, store_open("s3:b", true, e));
}

int main(void)
{
#define WITH(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(test_order_of_put_new),
		WITH(test_order_of_a_session),
		WITH(test_order_of_remove),
		WITH(test_every_step_fails),
		WITH(test_interrupted_revocation_is_completed),
		WITH(test_link_that_lies),
		WITH(test_without_links),
		WITH(test_rename_that_lies),
		WITH(test_foreign_files),
		WITH(test_swept_while_it_is_written),
		WITH(test_unfinished_uploads_are_not_listed),
		WITH(test_permissions),
		WITH(test_read_only),
		WITH(test_many_files_many_readers),
		WITH(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
