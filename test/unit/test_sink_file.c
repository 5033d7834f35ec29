/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks that are files, devices and pipes. A device is a file that says that it is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "fake_device.h"
#include "mover/sink.h"
#include "testing.h"

enum { MiB = 1 << 20 };

/* ---- a system that fails ---- */

static struct {
	int pwrite_error, ftruncate_error, fsync_error, rename_error, fallocate_error;
	unsigned fallocates;
	char course[64]; /* what was done: f flush, d flush a directory, r rename */
} sys;

static void note(char what)
{
	size_t n = strlen(sys.course);

	if (n + 1 < sizeof(sys.course))
		sys.course[n] = what;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

ssize_t __real_pwrite64(int fd, const void *p, size_t n, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t off)
{
	if (sys.pwrite_error)
		return refuse(sys.pwrite_error);
	return __real_pwrite64(fd, p, n, off);
}

int __real_ftruncate64(int fd, off_t n);
int __wrap_ftruncate64(int fd, off_t n);
int __wrap_ftruncate64(int fd, off_t n)
{
	return sys.ftruncate_error ? refuse(sys.ftruncate_error) : __real_ftruncate64(fd, n);
}

int __real_fstat64(int fd, struct stat *st);

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	struct stat st;

	__real_fstat64(fd, &st);
	note(S_ISDIR(st.st_mode) ? 'd' : 'f');
	return sys.fsync_error ? refuse(sys.fsync_error) : __real_fsync(fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	note('r');
	return sys.rename_error ? refuse(sys.rename_error) : __real_rename(from, to);
}

int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	note('r');
	return __real_renameat2(a, from, b, to, flags);
}

int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	(void)fd;
	(void)mode;
	(void)off;
	(void)len;
	sys.fallocates++;
	return sys.fallocate_error ? refuse(sys.fallocate_error) : 0;
}

/* ---- a folder to write to ---- */

struct bench {
	char *folder, *path;
	uint8_t data[3 * MiB];
};

static struct bench *up(void)
{
	struct random rnd = {random_seed()};
	struct bench *b = xcalloc(1, sizeof(*b));

	memset(&sys, 0, sizeof(sys));
	fake_device = 0;
	b->folder = test_folder();
	b->path = test_path(b->folder, "disk.raw");
	random_fill(&rnd, b->data, sizeof(b->data), true);
	return b;
}

static void down(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	fake_device = 0;
	test_folder_done(b->folder);
	free(b->path);
	free(b);
}

static void put_file(const char *path, const char *text)
{
	OK(fio_replace(path, text, strlen(text), 0644, e));
	memset(sys.course, 0, sizeof(sys.course));
}

static void assert_file(const char *path, const char *text)
{
	AUTO_BUF b = BUF_INIT;

	OK(fio_slurp(path, 100, &b, e));
	assert_string_equal(buf_str(&b), text);
}

static int put(struct sink *s, const void *data, size_t n, uint64_t off, struct err *e)
{
	return s->ops->write(s, 0, data, n, off, e);
}

/* ---- files ---- */

static void test_file_is_sparse_and_whole(void **state)
{
	AUTO_BUF got = BUF_INIT;
	struct bench *b = up();
	struct stat st;
	struct sink *s;

	(void)state;
	s = OK_PTR(sink_file_open(b->path, 64 * MiB + 5, false, e));
	assert_false(s->ordered);
	OK(put(s, b->data, 65536, 5 * MiB, e));
	OK(put(s, b->data, 5, 64 * MiB, e));
	assert_null(s->ops->zero);
	OK(s->ops->finish(s, e));
	sink_free(s);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_size, 64 * MiB + 5);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_blocks * 512 < 8 * MiB);
	OK(fio_slurp(b->path, 65 * MiB, &got, e));
	assert_true(memcmp(got.data + 5 * MiB, b->data, 65536) == 0);
	assert_true(memcmp(got.data + 64 * MiB, b->data, 5) == 0);
	assert_int_equal(got.data[0] | got.data[5 * MiB - 1] | got.data[5 * MiB + 65536], 0);
	assert_int_equal(test_entries(b->folder), 1);
	down(b);
}

/* Flushed before it has its name, and the name after that. */
static void test_name_comes_last(void **state)
{
	struct bench *b = up();
	struct sink *s;

	(void)state;
	s = OK_PTR(sink_file_open(b->path, 100, false, e));
	OK(put(s, b->data, 100, 0, e));
	assert_int_not_equal(access(b->path, F_OK), 0);
	OK(s->ops->finish(s, e));
	assert_string_equal(sys.course, "frd");
	assert_int_equal(access(b->path, F_OK), 0);
	sink_free(s);
	assert_int_equal(access(b->path, F_OK), 0);
	down(b);
}

static void test_unfinished_leaves_nothing(void **state)
{
	struct bench *b = up();
	struct sink *s;

	(void)state;
	s = OK_PTR(sink_file_open(b->path, 100, false, e));
	OK(put(s, b->data, 100, 0, e));
	assert_int_equal(test_entries(b->folder), 1);
	sink_free(s);
	assert_int_equal(test_entries(b->folder), 0);
	sink_free(NULL);
	down(b);
}

/* Large pieces of a file are: that is about speed, and where it cannot be done, they are written.
 */
static void test_room_is_reserved(void **state)
{
	struct bench *b = up();
	struct sink *s;

	(void)state;
	s = OK_PTR(sink_file_open(b->path, 4 * MiB, false, e));
	OK(put(s, b->data, MiB, 0, e));
	assert_int_equal(sys.fallocates, 1);
	OK(put(s, b->data, 4096, MiB, e));
	assert_int_equal(sys.fallocates, 1);
	sys.fallocate_error = ENOSPC;
	FAILS(ERR_NOSPACE, put(s, b->data, MiB, 2 * MiB, e));
	sys.fallocate_error = EINTR;
	OK(put(s, b->data, MiB, 2 * MiB, e));
	assert_int_equal(sys.fallocates, 3);
	sys.fallocate_error = EOPNOTSUPP;
	OK(put(s, b->data, MiB, MiB, e));
	OK(put(s, b->data, MiB, 3 * MiB, e));
	assert_int_equal(sys.fallocates, 4); /* once is enough to know */
	OK(s->ops->finish(s, e));
	sink_free(s);
	down(b);
}

static void test_existing_file_stays_until_the_end(void **state)
{
	struct bench *b = up();
	struct sink *s;

	(void)state;
	put_file(b->path, "old");
	FAILS_PTR(ERR_EXISTS, sink_file_open(b->path, 3, false, e));
	s = OK_PTR(sink_file_open(b->path, 3, true, e));
	OK(put(s, "new", 3, 0, e));
	assert_file(b->path, "old");
	sink_free(s);
	assert_file(b->path, "old");
	s = OK_PTR(sink_file_open(b->path, 3, true, e));
	OK(put(s, "new", 3, 0, e));
	OK(s->ops->finish(s, e));
	sink_free(s);
	assert_file(b->path, "new");
	assert_int_equal(test_entries(b->folder), 1);
	down(b);
}

static void test_places_that_take_no_file(void **state)
{
	AUTO_FREE char *inside = NULL;
	struct bench *b = up();

	(void)state;
	inside = test_path(b->folder, "no/disk");
	FAILS_PTR(ERR_NOENT, sink_file_open(inside, 3, false, e));
	FAILS_PTR(ERR_INVALID, sink_file_open(b->folder, 3, true, e));
	assert_int_equal(mkfifo(b->path, 0600), 0);
	FAILS_PTR(ERR_INVALID, sink_file_open(b->path, 3, true, e));
	sys.ftruncate_error = EFBIG;
	unlink(b->path);
	FAILS_PTR(ERR_NOSPACE, sink_file_open(b->path, 3, false, e));
	assert_int_equal(test_entries(b->folder), 0);
	down(b);
}

/* Whatever fails, the old file is whole and nothing is left beside it. */
static void test_failure_leaves_the_old_file(void **state)
{
	struct bench *b = up();

	(void)state;
	put_file(b->path, "old");
	for (int step = 0; step < 3; step++) {
		struct sink *s = OK_PTR(sink_file_open(b->path, 100, true, e));

		sys.pwrite_error = step == 0 ? ENOSPC : 0;
		sys.fsync_error = step == 1 ? ENOSPC : 0;
		sys.rename_error = step == 2 ? ENOSPC : 0;
		if (step == 0)
			FAILS(ERR_NOSPACE, put(s, b->data, 100, 0, e));
		else
			FAILS(ERR_NOSPACE, s->ops->finish(s, e));
		sink_free(s);
		sys.pwrite_error = sys.fsync_error = sys.rename_error = 0;
		assert_file(b->path, "old");
		assert_int_equal(test_entries(b->folder), 1);
	}
	down(b);
}

struct together {
	struct sink *s;
	struct bench *b;
	atomic_uint failed;
};

static void write_parts(void *arg, unsigned number)
{
	struct together *t = arg;

	for (size_t i = number; i < 48; i += 4)
		t->failed += t->s->ops->write(t->s, number, t->b->data + i * 65536, 65536,
					      i * 65536, NULL) < 0;
}

static void test_many_threads_write(void **state)
{
	AUTO_BUF got = BUF_INIT;
	struct together t = {.b = up()};

	(void)state;
	t.s = OK_PTR(sink_file_open(t.b->path, 3 * MiB, false, e));
	test_threads(4, write_parts, &t);
	assert_int_equal(t.failed, 0);
	OK(t.s->ops->finish(t.s, e));
	sink_free(t.s);
	OK(fio_slurp(t.b->path, 3 * MiB, &got, e));
	assert_true(memcmp(got.data, t.b->data, 3 * MiB) == 0);
	down(t.b);
}

/* ---- devices ---- */

static void test_device_is_written_in_place(void **state)
{
	AUTO_BUF got = BUF_INIT;
	struct bench *b = up();
	struct sink *s;

	(void)state;
	put_file(b->path, "what was here before");
	fake_device = 4 * MiB;
	FAILS_PTR(ERR_EXISTS, sink_file_open(b->path, 20, false, e));
	FAILS_PTR(ERR_NOSPACE, sink_file_open(b->path, 4 * MiB + 1, true, e));
	s = OK_PTR(sink_file_open(b->path, 4 * MiB, true, e));
	OK(put(s, b->data, 4, 5, e));
	OK(s->ops->finish(s, e));
	assert_string_equal(sys.course, "f");
	sink_free(s);
	fake_device = 0;
	OK(fio_slurp(b->path, 100, &got, e));
	assert_memory_equal(got.data, "what ", 5);
	assert_memory_equal(got.data + 5, b->data, 4);
	assert_memory_equal(got.data + 9, "here before", 11);
	assert_int_equal(test_entries(b->folder), 1);
	down(b);
}

static void test_device_that_cannot_be_opened(void **state)
{
	struct bench *b = up();

	(void)state;
	assert_int_equal(mkdir(b->path, 0700), 0);
	fake_device = 4 * MiB;
	FAILS_PTR(ERR_INVALID, sink_file_open(b->path, 20, true, e));
	down(b);
}

/* A device keeps what it held: zeros are asked for, or written where that is not possible. */
static void test_device_is_zeroed(void **state)
{
	static const int not_possible[] = {EOPNOTSUPP, EINVAL, ENODEV};
	AUTO_FREE uint8_t *zeros = xcalloc(3, MiB);
	struct bench *b = up();
	struct sink *s;

	(void)state;
	put_file(b->path, "x");
	fake_device = 4 * MiB;
	s = OK_PTR(sink_file_open(b->path, 4 * MiB, true, e));
	OK(s->ops->zero(s, 0, MiB, 0, e));
	sys.fallocate_error = EIO;
	FAILS(ERR_IO, s->ops->zero(s, 0, MiB, 0, e));
	for (size_t i = 0; i < ARRAY_LEN(not_possible); i++) {
		AUTO_BUF got = BUF_INIT;

		OK(put(s, b->data, 3 * MiB, 0, e));
		sys.fallocate_error = not_possible[i];
		OK(s->ops->zero(s, 0, 2 * MiB + 77, 100, e));
		OK(fio_slurp(b->path, 4 * MiB, &got, e));
		assert_true(memcmp(got.data, b->data, 100) == 0);
		assert_true(memcmp(got.data + 100, zeros, 2 * MiB + 77) == 0);
		assert_true(memcmp(got.data + 2 * MiB + 177, b->data + 2 * MiB + 177, MiB - 177) ==
			    0);
		sys.pwrite_error = ENOSPC;
		FAILS(ERR_NOSPACE, s->ops->zero(s, 0, MiB, 0, e));
		sys.pwrite_error = 0;
	}
	sink_free(s);
	down(b);
}

/* ---- pipes and nothing ---- */

struct piped {
	struct sink *s;
	int fds[2];
	struct bench *b;
	struct buf got;
	atomic_uint failed;
};

static void write_or_read(void *arg, unsigned number)
{
	struct piped *p = arg;

	if (number == 0) {
		struct sink *s = p->s;

		p->failed += s->ops->write(s, 0, p->b->data, 100000, 0, NULL) < 0;
		p->failed += s->ops->zero(s, 0, 200000, 100000, NULL) < 0;
		p->failed += s->ops->write(s, 0, p->b->data, 7, 300000, NULL) < 0;
		p->failed += s->ops->finish(s, NULL) < 0;
		sink_free(s);
		/* The descriptor is still ours. */
		p->failed += close(p->fds[1]) < 0;
	} else {
		ssize_t n = fio_read(p->fds[0], buf_reserve(&p->got, MiB), MiB, "a pipe", NULL);

		p->got.len = n > 0 ? (size_t)n : 0;
	}
}

static void test_pipe_takes_all_in_order(void **state)
{
	AUTO_FREE uint8_t *zeros = xcalloc(1, 200000);
	struct piped p = {.b = up()};

	(void)state;
	assert_int_equal(pipe2(p.fds, O_CLOEXEC), 0);
	p.s = sink_pipe_open(p.fds[1], "standard output");
	assert_true(p.s->ordered);
	test_threads(2, write_or_read, &p);
	assert_int_equal(p.failed, 0);
	assert_int_equal(p.got.len, 300007);
	assert_true(memcmp(p.got.data, p.b->data, 100000) == 0);
	assert_true(memcmp(p.got.data + 100000, zeros, 200000) == 0);
	assert_true(memcmp(p.got.data + 300000, p.b->data, 7) == 0);
	buf_done(&p.got);
	close(p.fds[0]);
	down(p.b);
}

static void test_pipe_that_nobody_reads(void **state)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	struct sink *s;
	int fds[2];

	(void)state;
	memset(&sys, 0, sizeof(sys));
	sigaction(SIGPIPE, &ignore, &old);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	s = sink_pipe_open(fds[1], "standard output");
	FAILS(ERR_UNREACHABLE, put(s, "x", 1, 0, e));
	FAILS(ERR_UNREACHABLE, s->ops->zero(s, 0, 1, 0, e));
	sink_free(s);
	close(fds[1]);
	sigaction(SIGPIPE, &old, NULL);
}

static void test_nothing_takes_everything(void **state)
{
	struct sink *s = sink_null_open();

	(void)state;
	OK(put(s, "x", 1, (uint64_t)1 << 60, e));
	assert_null(s->ops->zero);
	assert_false(s->ordered);
	OK(s->ops->finish(s, e));
	sink_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_sparse_and_whole),
		cmocka_unit_test(test_name_comes_last),
		cmocka_unit_test(test_unfinished_leaves_nothing),
		cmocka_unit_test(test_room_is_reserved),
		cmocka_unit_test(test_existing_file_stays_until_the_end),
		cmocka_unit_test(test_places_that_take_no_file),
		cmocka_unit_test(test_failure_leaves_the_old_file),
		cmocka_unit_test(test_many_threads_write),
		cmocka_unit_test(test_device_is_written_in_place),
		cmocka_unit_test(test_device_that_cannot_be_opened),
		cmocka_unit_test(test_device_is_zeroed),
		cmocka_unit_test(test_pipe_takes_all_in_order),
		cmocka_unit_test(test_pipe_that_nobody_reads),
		cmocka_unit_test(test_nothing_takes_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
