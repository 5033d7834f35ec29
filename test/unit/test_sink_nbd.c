/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to NBD exports and to new qcow2 images, with real servers.
 */
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "images.h"
#include "mover/sink.h"
#include "repo/block.h"

enum { MiB = 1 << 20, THREADS = 4 };

/* ---- servers that can do less, and calls that fail ---- */

static struct {
	pid_t pid; /* of the program that was started last */
	unsigned connections;
	unsigned fail_connection; /* the n-th fails, from 1; 0: none */
	unsigned fail_handle;
	bool cannot_zero, cannot_multi;
	int rename_error, fsync_error;
} sys;

struct spawn *__real_spawn_start(const char *const argv[], int in, int out, struct err *e);
struct spawn *__wrap_spawn_start(const char *const argv[], int in, int out, struct err *e);
struct spawn *__wrap_spawn_start(const char *const argv[], int in, int out, struct err *e)
{
	struct spawn *s = __real_spawn_start(argv, in, out, e);

	sys.pid = s ? s->pid : -1;
	return s;
}

struct nbd_handle *__real_nbd_create(void);
struct nbd_handle *__wrap_nbd_create(void);
struct nbd_handle *__wrap_nbd_create(void)
{
	return ++sys.connections == sys.fail_handle ? NULL : __real_nbd_create();
}

int __real_nbd_connect_unix(struct nbd_handle *h, const char *socket);
int __wrap_nbd_connect_unix(struct nbd_handle *h, const char *socket);
int __wrap_nbd_connect_unix(struct nbd_handle *h, const char *socket)
{
	bool fail = sys.connections == sys.fail_connection;

	return __real_nbd_connect_unix(h, fail ? "/nowhere/at/all" : socket);
}

int __real_nbd_connect_uri(struct nbd_handle *h, const char *uri);
int __wrap_nbd_connect_uri(struct nbd_handle *h, const char *uri);
int __wrap_nbd_connect_uri(struct nbd_handle *h, const char *uri)
{
	bool fail = sys.connections == sys.fail_connection;

	return __real_nbd_connect_uri(h, fail ? "nbd+unix:///?socket=/nowhere" : uri);
}

int __real_nbd_can_zero(struct nbd_handle *h);
int __wrap_nbd_can_zero(struct nbd_handle *h);
int __wrap_nbd_can_zero(struct nbd_handle *h)
{
	return sys.cannot_zero ? 0 : __real_nbd_can_zero(h);
}

int __real_nbd_can_multi_conn(struct nbd_handle *h);
int __wrap_nbd_can_multi_conn(struct nbd_handle *h);
int __wrap_nbd_can_multi_conn(struct nbd_handle *h)
{
	return sys.cannot_multi ? 0 : __real_nbd_can_multi_conn(h);
}

int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	errno = sys.rename_error;
	return sys.rename_error ? -1 : __real_renameat2(a, from, b, to, flags);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	errno = sys.fsync_error;
	return sys.fsync_error ? -1 : __real_fsync(fd);
}

/* ---- a place to write to ---- */

struct bench {
	char *folder, *path;
	uint8_t *data; /* what is to be there: noise, but for holes */
	uint64_t size;
	struct random rnd;
	struct server server;
};

static void up(struct bench *b, uint64_t size)
{
	need_qemu();
	memset(&sys, 0, sizeof(sys));
	*b = (struct bench){.folder = test_folder(), .size = size, .rnd = {random_seed()}};
	b->path = test_path(b->folder, "disk");
	b->data = xcalloc(1, size + 1);
	for (uint64_t off = 0; off < size; off += 3 * MiB)
		random_fill(&b->rnd, b->data + off, MIN((uint64_t)2 * MiB, size - off), true);
	sys.connections = 0;
}

static void down(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	server_done(&b->server);
	free(b->path);
	free(b->data);
	test_folder_done(b->folder);
}

struct together {
	struct sink *s;
	struct bench *b;
	atomic_uint failed;
};

/* Every thread writes its part, zeros as zeros where the sink has them. */
static void write_part(void *arg, unsigned number)
{
	struct together *t = arg;
	const struct sink_ops *ops = t->s->ops;
	uint64_t piece = 256 << 10;

	for (uint64_t off = number * piece; off < t->b->size; off += THREADS * piece) {
		size_t n = (size_t)MIN(piece, t->b->size - off);
		const uint8_t *p = t->b->data + off;

		if (!block_all_zero(p, n))
			t->failed += ops->write(t->s, number, p, n, off, NULL) < 0;
		else if (ops->zero)
			t->failed += ops->zero(t->s, number, n, off, NULL) < 0;
	}
}

static void write_all(struct bench *b, struct sink *s)
{
	struct together t = {.s = s, .b = b};

	test_threads(THREADS, write_part, &t);
	assert_int_equal(t.failed, 0);
}

static void assert_holds(const char *path, const char *format, const uint8_t *data, uint64_t size)
{
	AUTO_FREE uint8_t *got = image_read(path, format, size);

	if (memcmp(got, data, size) != 0)
		fail_msg("%s holds something else", path);
}

/* ---- new images ---- */

static void test_image_by_many_threads(void **state)
{
	struct sink *s;
	struct stat st;
	struct bench b;

	(void)state;
	up(&b, 21 * MiB + 512);
	s = OK_PTR(sink_qcow2_open(b.path, b.size, false, THREADS, e));
	assert_null(s->ops->zero);
	assert_int_equal(sys.connections, THREADS);
	write_all(&b, s);
	/* It has its name when it is whole. */
	assert_int_not_equal(access(b.path, F_OK), 0);
	OK(s->ops->finish(s, e));
	assert_int_equal(kill(sys.pid, 0), -1);
	sink_free(s);
	assert_holds(b.path, "qcow2", b.data, b.size);
	RUN("qemu-img", "check", "-q", "-f", "qcow2", b.path);
	/* Holes took no room. */
	assert_int_equal(stat(b.path, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 < b.size * 5 / 6);
	assert_int_equal(test_entries(b.folder), 1);
	down(&b);
}

static void test_existing_image_stays_until_the_end(void **state)
{
	struct sink *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	OK(fio_replace(b.path, "old", 3, 0600, e));
	FAILS_PTR(ERR_EXISTS, sink_qcow2_open(b.path, b.size, false, 1, e));
	for (int finish = 0; finish < 2; finish++) {
		AUTO_BUF got = BUF_INIT;

		s = OK_PTR(sink_qcow2_open(b.path, b.size, true, 1, e));
		OK(s->ops->write(s, 0, b.data, b.size, 0, e));
		OK(fio_slurp(b.path, 100, &got, e));
		assert_string_equal(buf_str(&got), "old");
		if (finish)
			OK(s->ops->finish(s, e));
		sink_free(s);
		assert_int_equal(test_entries(b.folder), 1);
	}
	assert_holds(b.path, "qcow2", b.data, b.size);
	down(&b);
}

static void test_image_that_cannot_be_made(void **state)
{
	AUTO_FREE char *inside = NULL, *path = xstrdup(getenv("PATH"));
	struct bench b;

	(void)state;
	up(&b, MiB);
	inside = test_path(b.folder, "no/disk");
	FAILS_PTR(ERR_NOENT, sink_qcow2_open(inside, b.size, false, 1, e));
	setenv("PATH", b.folder, 1);
	FAILS_PTR(ERR_NOENT, sink_qcow2_open(b.path, b.size, false, 1, e));
	setenv("PATH", path, 1);
	for (unsigned n = 1; n <= 2; n++) {
		sys.connections = 0;
		sys.fail_connection = n;
		FAILS_PTR(ERR_UNREACHABLE, sink_qcow2_open(b.path, b.size, false, 3, e));
		sys.fail_connection = 0;
		sys.connections = 0;
		sys.fail_handle = n;
		FAILS_PTR(ERR_IO, sink_qcow2_open(b.path, b.size, false, 3, e));
		sys.fail_handle = 0;
		assert_int_equal(kill(sys.pid, 0), -1);
	}
	assert_int_equal(test_entries(b.folder), 0);
	down(&b);
}

/* Whatever fails at the end: no name, and nothing left. */
static void test_image_that_cannot_be_finished(void **state)
{
	struct bench b;

	(void)state;
	up(&b, MiB);
	for (int way = 0; way < 4; way++) {
		struct sink *s = OK_PTR(sink_qcow2_open(b.path, b.size, false, 2, e));
		AUTO_FREE char *temp = xasprintf("%s.part-%d", b.path, (int)getpid());
		struct err err = {0};

		OK(s->ops->write(s, 0, b.data, b.size, 0, e));
		assert_int_equal(access(temp, F_OK), 0);
		sys.rename_error = way == 0 ? EACCES : 0;
		sys.fsync_error = way == 1 ? EIO : 0;
		if (way == 2)
			kill(sys.pid, SIGKILL);
		if (way == 3)
			unlink(temp);
		assert_int_equal(s->ops->finish(s, &err), -1);
		assert_int_not_equal(err.kind, ERR_NONE);
		sys.rename_error = sys.fsync_error = 0;
		sink_free(s);
		assert_int_equal(test_entries(b.folder), 0);
	}
	down(&b);
}

static void test_server_of_an_image_is_killed(void **state)
{
	struct err err = {0};
	struct sink *s;
	struct bench b;

	(void)state;
	up(&b, 4 * MiB);
	s = OK_PTR(sink_qcow2_open(b.path, b.size, false, 1, e));
	OK(s->ops->write(s, 0, b.data, MiB, 0, e));
	kill(sys.pid, SIGKILL);
	assert_int_equal(s->ops->write(s, 0, b.data, MiB, MiB, &err), -1);
	assert_int_equal(err.kind, ERR_UNREACHABLE);
	assert_non_null(strstr(err.msg, b.path));
	sink_free(s);
	assert_int_equal(test_entries(b.folder), 0);
	down(&b);
}

/* ---- exports ---- */

/* An export that holds something already. */
static void serve(struct bench *b, uint64_t size, const char *option)
{
	AUTO_FREE uint8_t *old = xmalloc(size);

	memset(old, 0xee, size);
	image_raw(b->path, old, size);
	SERVER(&b->server, b->folder, "-f", "raw", "--shared=8", option, b->path);
	sys.connections = 0;
}

static void test_export_is_replaced(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		AUTO_FREE uint8_t *want = NULL;
		struct sink *s;
		struct bench b;

		up(&b, 9 * MiB + 512);
		sys.cannot_zero = way == 1;
		sys.cannot_multi = way == 2;
		serve(&b, 10 * MiB, "--cache=writeback");
		s = OK_PTR(sink_nbd_open(b.server.uri, b.size, THREADS, e));
		assert_int_equal(sys.connections, way == 2 ? 1 : THREADS);
		assert_false(s->ordered);
		write_all(&b, s);
		OK(s->ops->finish(s, e));
		sink_free(s);
		spawn_stop(steal(&b.server.s));
		/* What is beyond the disk was not touched. */
		want = xmalloc(10 * MiB);
		memset(want, 0xee, 10 * MiB);
		memcpy(want, b.data, b.size);
		assert_holds(b.path, "raw", want, 10 * MiB);
		down(&b);
	}
}

static void test_zeros_that_cannot_be_written(void **state)
{
	(void)state;
	for (int way = 0; way < 2; way++) {
		struct sink *s;
		struct bench b;

		up(&b, 2 * MiB);
		sys.cannot_zero = way;
		serve(&b, 2 * MiB, "--cache=writeback");
		s = OK_PTR(sink_nbd_open(b.server.uri, b.size, 1, e));
		server_kill(&b.server);
		FAILS(ERR_UNREACHABLE, s->ops->zero(s, 0, 2 * MiB, 0, e));
		FAILS(ERR_UNREACHABLE, s->ops->write(s, 0, b.data, MiB, 0, e));
		sink_free(s);
		down(&b);
	}
}

static void test_exports_that_will_not_do(void **state)
{
	struct bench b;

	(void)state;
	up(&b, MiB);
	FAILS_PTR(ERR_UNREACHABLE, sink_nbd_open("nbd+unix:///?socket=/nowhere/at/all", 1, 1, e));
	FAILS_PTR(ERR_IO, sink_nbd_open("no uri", 1, 1, e));
	serve(&b, MiB, "--read-only");
	FAILS_PTR(ERR_NOSPACE, sink_nbd_open(b.server.uri, MiB + 1, 1, e));
	FAILS_PTR(ERR_DENIED, sink_nbd_open(b.server.uri, MiB, 1, e));
	sys.connections = 0;
	sys.fail_connection = 2;
	FAILS_PTR(ERR_UNREACHABLE, sink_nbd_open(b.server.uri, MiB, 2, e));
	down(&b);
}

static void test_export_without_room(void **state)
{
	AUTO_FREE char *options = NULL;
	struct sink *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	image_raw(b.path, b.data, b.size);
	options = xasprintf("driver=raw,file.driver=blkdebug,file.image.driver=file,"
			    "file.image.filename=%s,file.inject-error.0.event=none,"
			    "file.inject-error.0.iotype=write,file.inject-error.0.sector=1025,"
			    "file.inject-error.0.errno=28",
			    b.path);
	SERVER(&b.server, b.folder, "--image-opts", options);
	s = OK_PTR(sink_nbd_open(b.server.uri, b.size, 1, e));
	OK(s->ops->write(s, 0, b.data, MiB / 2, 0, e));
	FAILS(ERR_NOSPACE, s->ops->write(s, 0, b.data, MiB / 2, MiB / 2, e));
	sink_free(s);
	down(&b);
}

/* What was written may be lost: that is no success. */
static void test_export_killed_before_it_flushed(void **state)
{
	struct sink *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	serve(&b, MiB, "--cache=writeback");
	s = OK_PTR(sink_nbd_open(b.server.uri, b.size, 2, e));
	OK(s->ops->write(s, 1, b.data, b.size, 0, e));
	server_kill(&b.server);
	FAILS(ERR_UNREACHABLE, s->ops->finish(s, e));
	sink_free(s);
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_by_many_threads),
		cmocka_unit_test(test_existing_image_stays_until_the_end),
		cmocka_unit_test(test_image_that_cannot_be_made),
		cmocka_unit_test(test_image_that_cannot_be_finished),
		cmocka_unit_test(test_server_of_an_image_is_killed),
		cmocka_unit_test(test_export_is_replaced),
		cmocka_unit_test(test_zeros_that_cannot_be_written),
		cmocka_unit_test(test_exports_that_will_not_do),
		cmocka_unit_test(test_export_without_room),
		cmocka_unit_test(test_export_killed_before_it_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
