/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are written once: every byte lands where it belongs, whichever way it goes, and what
 * the direct way does not take goes through the page cache. The direct descriptor is an ordinary
 * one here that is as strict as a disk.
 */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

#include "base/fio.h"
#include "testing.h"

enum { KiB = 1 << 10, MiB = 1 << 20 };

/* ---- a system with a direct way ---- */

static struct {
	int direct_fd;	       /* -1: none is open */
	int open_error;	       /* of the direct way */
	int direct_error;      /* of writes that go it; 0: none */
	int direct_good;       /* so many work before */
	atomic_int interrupts; /* so many direct writes are interrupted first */
	size_t direct_most;    /* a direct write takes at most so much; 0: all */
	int cached_error, fsync_error;
	bool pretend; /* writes do nothing, quickly */
	atomic_ullong direct, cached;
	atomic_uint begun, crooked; /* times the disk was told to begin; wrong direct writes */
} sys;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (!(flags & O_DIRECT))
		return __real_open64(path, flags, mode);
	assert_memory_equal(path, "/proc/self/fd/", 14);
	if (sys.open_error) {
		errno = sys.open_error;
		return -1;
	}
	sys.direct_fd = __real_open64(path, flags & ~O_DIRECT);
	return sys.direct_fd;
}

ssize_t __real_pwrite64(int fd, const void *p, size_t n, off_t off);

static ssize_t direct_write(const void *p, size_t n, off_t off)
{
	if (sys.interrupts-- > 0) {
		errno = EINTR;
		return -1;
	}
	if ((uintptr_t)p % 4096 || n % 4096 || off % 4096)
		sys.crooked++;
	if (sys.direct_error && sys.direct_good-- <= 0) {
		errno = sys.direct_error;
		return -1;
	}
	n = sys.direct_most ? MIN(n, sys.direct_most) : n;
	sys.direct += n;
	return sys.pretend ? (ssize_t)n : __real_pwrite64(sys.direct_fd, p, n, off);
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t off)
{
	if (fd == sys.direct_fd)
		return direct_write(p, n, off);
	if (sys.cached_error) {
		errno = sys.cached_error;
		return -1;
	}
	sys.cached += n;
	return sys.pretend ? (ssize_t)n : __real_pwrite64(fd, p, n, off);
}

int __wrap_sync_file_range(int fd, off_t off, off_t len, unsigned flags);
int __wrap_sync_file_range(int fd, off_t off, off_t len, unsigned flags)
{
	(void)fd;
	(void)off;
	(void)len;
	(void)flags;
	sys.begun++;
	return 0;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	errno = sys.fsync_error;
	return sys.fsync_error ? -1 : __real_fsync(fd);
}

/* ---- a file ---- */

struct bench {
	char *folder, *path;
	struct outfile *f;
	uint8_t *data; /* at a page */
};

#define DATA ((size_t)4 << 20)

/* With sys set up by the test. */
static struct bench *up(void)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	struct random rnd = {random_seed()};

	sys.direct_fd = -1;
	b->folder = test_folder();
	b->path = test_path(b->folder, "file");
	b->f = outfile_new(fio_create(b->path, NULL), b->path);
	b->data = xmalloc_pages(DATA);
	random_fill(&rnd, b->data, DATA, true);
	return b;
}

static void down(struct bench *b)
{
	outfile_free(b->f);
	assert_int_equal(sys.crooked, 0);
	free(b->data);
	test_folder_done(b->folder);
	free(b->path);
	free(b);
	memset(&sys, 0, sizeof(sys));
}

/* The whole of `data`, cut at random, some cuts at pages, in a random order of two. */
static void write_in_pieces(struct bench *b, struct random *rnd)
{
	size_t at = 0;

	while (at < DATA) {
		size_t n = 1 + random_below(rnd, 900 * KiB);

		if (random_below(rnd, 3))
			n = DIV_UP(n, OUTFILE_ALIGN) * OUTFILE_ALIGN - at % OUTFILE_ALIGN;
		n = MIN(n, DATA - at);
		OK(outfile_write(b->f, b->data + at, n, at, e));
		at += n;
	}
	OK(outfile_flush(b->f, e));
}

static void assert_written(struct bench *b)
{
	AUTO_BUF got = BUF_INIT;

	OK(fio_slurp(b->path, DATA, &got, e));
	assert_int_equal(got.len, DATA);
	assert_true(memcmp(got.data, b->data, DATA) == 0);
}

/* ---- tests ---- */

static void test_any_pieces_any_way(void **state)
{
	struct random rnd = {random_seed()};
	unsigned long long directly = 0;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct bench *b;

		sys.open_error = round % 5 == 1 ? EINVAL : 0;
		sys.direct_error = round % 5 == 2 ? EINVAL : round % 5 == 3 ? EOPNOTSUPP : 0;
		sys.direct_good = (int)random_below(&rnd, 3);
		sys.direct_most = round % 5 == 4 ? 512 * (1 + random_below(&rnd, 900)) : 0;
		sys.interrupts = (int)random_below(&rnd, 3);
		b = up();
		write_in_pieces(b, &rnd);
		assert_written(b);
		directly += sys.direct;
		down(b);
	}
	assert_true(directly > 0);
}

static void test_large_pieces_go_directly(void **state)
{
	struct bench *b = up();

	(void)state;
	OK(outfile_write(b->f, b->data, 3 * MiB, 0, e));
	assert_true(sys.direct == 3 * MiB && sys.cached == 0);
	/* Small. */
	OK(outfile_write(b->f, b->data, OUTFILE_LARGE - OUTFILE_ALIGN, 0, e));
	assert_true(sys.direct == 3 * MiB && sys.cached == OUTFILE_LARGE - OUTFILE_ALIGN);
	/* Not at a page in memory; not in the file. */
	sys.cached = 0;
	OK(outfile_write(b->f, b->data + 512, MiB, 0, e));
	OK(outfile_write(b->f, b->data, MiB, 512, e));
	assert_true(sys.direct == 3 * MiB && sys.cached == 2 * MiB);
	/* An end that is not at one goes the other way. */
	sys.cached = 0;
	OK(outfile_write(b->f, b->data, MiB + 5, 0, e));
	assert_true(sys.direct == 4 * MiB && sys.cached == 5);
	down(b);
}

/* A file system that refuses one is not asked again. */
static void test_direct_way_is_given_up(void **state)
{
	struct bench *b;

	(void)state;
	sys.direct_error = EINVAL;
	b = up();
	OK(outfile_write(b->f, b->data, MiB, 0, e));
	sys.direct_error = 0;
	OK(outfile_write(b->f, b->data, MiB, MiB, e));
	assert_true(sys.direct == 0 && sys.cached == 2 * MiB);
	down(b);
}

static void test_failures_say_what_and_where(void **state)
{
	struct bench *b = up();
	struct err why = {0};

	(void)state;
	sys.direct_error = ENOSPC;
	assert_int_equal(outfile_write(b->f, b->data, MiB, 2 * MiB, &why), -1);
	assert_int_equal(why.kind, ERR_NOSPACE);
	assert_non_null(strstr(why.msg, b->path));
	assert_non_null(strstr(why.msg, "2097152"));
	sys.direct_error = 0;
	sys.cached_error = EIO;
	FAILS(ERR_IO, outfile_write(b->f, b->data, 100, 0, e));
	FAILS(ERR_IO, outfile_write(b->f, b->data, MiB + 1, 0, e));
	sys.cached_error = 0;
	sys.fsync_error = ENOSPC;
	FAILS(ERR_NOSPACE, outfile_flush(b->f, e));
	down(b);
}

/* Now and then, not at every write, and not for what goes directly. */
static void test_disk_is_told_to_begin(void **state)
{
	struct bench *b = up();

	(void)state;
	sys.pretend = true;
	for (uint64_t i = 0; i < 100; i++)
		OK(outfile_write(b->f, b->data, MiB, i * MiB, e));
	assert_int_equal(sys.begun, 0);
	for (uint64_t i = 0; i < 170; i++)
		OK(outfile_write(b->f, b->data, 100 * KiB, i * 100 * KiB, e));
	assert_int_equal(sys.begun, 2);
	down(b);
}

struct together {
	struct bench *b;
	atomic_uint failed;
};

static void write_parts(void *arg, unsigned number)
{
	struct together *t = arg;

	for (size_t i = number; i < 8; i += 4)
		t->failed += outfile_write(t->b->f, t->b->data + i * (DATA / 8), DATA / 8,
					   i * (DATA / 8), NULL) < 0;
}

static void test_many_threads_write(void **state)
{
	struct together t = {.b = up()};

	(void)state;
	test_threads(4, write_parts, &t);
	assert_int_equal(t.failed, 0);
	assert_written(t.b);
	down(t.b);
	outfile_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_pieces_any_way),
		cmocka_unit_test(test_large_pieces_go_directly),
		cmocka_unit_test(test_direct_way_is_given_up),
		cmocka_unit_test(test_failures_say_what_and_where),
		cmocka_unit_test(test_disk_is_told_to_begin),
		cmocka_unit_test(test_many_threads_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
