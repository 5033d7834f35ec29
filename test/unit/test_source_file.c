/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fake_device.h"
#include "mover/source.h"
#include "testing.h"

enum { MiB = 1 << 20 };

/* ---- a system that fails ---- */

static struct {
	bool no_holes; /* lseek knows nothing of them */
	int pread_error;
} sys;

static int refuse(int error)
{
	errno = error;
	return -1;
}

off_t __real_lseek64(int fd, off_t off, int whence);
off_t __wrap_lseek64(int fd, off_t off, int whence);
off_t __wrap_lseek64(int fd, off_t off, int whence)
{
	if (sys.no_holes && (whence == SEEK_HOLE || whence == SEEK_DATA))
		return refuse(EINVAL);
	return __real_lseek64(fd, off, whence);
}

ssize_t __real_pread64(int fd, void *p, size_t n, off_t off);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t off);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t off)
{
	return sys.pread_error ? refuse(sys.pread_error) : __real_pread64(fd, p, n, off);
}

/* ---- a sparse file and what it holds ---- */

struct bench {
	char *folder, *path;
	int fd;
	uint8_t *data;
	uint64_t size;
	struct random rnd;
};

static void up(struct bench *b, uint64_t size)
{
	memset(&sys, 0, sizeof(sys));
	fake_device = 0;
	fake_device_fstats = -1;
	*b = (struct bench){.folder = test_folder(), .size = size, .rnd = {random_seed()}};
	b->path = test_path(b->folder, "disk.raw");
	b->data = xcalloc(1, size + 1);
	b->fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(b->fd >= 0);
	assert_int_equal(ftruncate(b->fd, (off_t)size), 0);
}

static void fill(struct bench *b, uint64_t off, uint64_t n)
{
	random_fill(&b->rnd, b->data + off, n, true);
	assert_int_equal(pwrite(b->fd, b->data + off, n, (off_t)off), n);
}

static void down(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	close(b->fd);
	test_folder_done(b->folder);
	free(b->path);
	free(b->data);
}

/* Zeros are zeros, and all that was asked for is told. Returns the bytes of data. */
static uint64_t check_map(struct bench *b, struct source *s, uint64_t off, uint64_t len)
{
	struct extent_list l = {0};
	uint64_t at = off, data = 0;

	OK(s->ops->map(s, off, len, &l, e));
	for (size_t i = 0; i < l.n; i++) {
		assert_true(l.v[i].len > 0);
		assert_true(l.v[i].kind == EXTENT_DATA || l.v[i].kind == EXTENT_ZERO);
		if (l.v[i].kind == EXTENT_DATA)
			data += l.v[i].len;
		for (uint64_t j = at; l.v[i].kind == EXTENT_ZERO && j < at + l.v[i].len; j++)
			if (b->data[j])
				fail_msg("byte %llu is told to be zero", (unsigned long long)j);
		at += l.v[i].len;
	}
	assert_int_equal(at, off + len);
	extent_done(&l);
	return data;
}

static void test_map_of_a_sparse_file(void **state)
{
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, 16 * MiB + 100);
	fill(&b, 3 * MiB, MiB);
	fill(&b, 9 * MiB + 5, 10);
	fill(&b, 16 * MiB, 100);
	s = OK_PTR(source_file_open(b.path, e));
	assert_int_equal(s->size, b.size);
	assert_false(s->tracks);
	assert_true(s->in_flight >= 1);
	/* Memory has holes at page boundaries; a folder elsewhere may have none. */
	if (__real_lseek64(b.fd, 0, SEEK_DATA) > 0)
		assert_true(check_map(&b, s, 0, b.size) < 6 * MiB);
	for (int i = 0; i < 300; i++) {
		uint64_t off = random_below(&b.rnd, b.size);

		check_map(&b, s, off, 1 + random_below(&b.rnd, MIN(b.size - off, 300000)));
	}
	source_free(s);
	source_free(NULL);
	down(&b);
}

/* A program that writes through QEMU's file driver holds its lock; who comes later is kept away. */
static void test_writers_are_kept_away(void **state)
{
	struct flock writes = {F_RDLCK, SEEK_SET, 101, 1, 0},
		     forbidden = {F_WRLCK, SEEK_SET, 201, 1, 0};
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	assert_int_equal(fcntl(b.fd, F_OFD_SETLK, &writes), 0);
	FAILS_PTR(ERR_BUSY, source_file_open(b.path, e));
	writes.l_type = F_UNLCK;
	assert_int_equal(fcntl(b.fd, F_OFD_SETLK, &writes), 0);
	s = OK_PTR(source_file_open(b.path, e));
	assert_int_equal(fcntl(b.fd, F_OFD_GETLK, &forbidden), 0);
	assert_int_equal(forbidden.l_type, F_RDLCK);
	source_free(s);
	forbidden = (struct flock){F_WRLCK, SEEK_SET, 201, 1, 0};
	assert_int_equal(fcntl(b.fd, F_OFD_GETLK, &forbidden), 0);
	assert_int_equal(forbidden.l_type, F_UNLCK);
	down(&b);
}

static void test_without_holes_all_is_data(void **state)
{
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	s = OK_PTR(source_file_open(b.path, e));
	sys.no_holes = true;
	assert_int_equal(check_map(&b, s, 0, MiB), MiB);
	source_free(s);
	down(&b);
}

static void test_device_is_all_data(void **state)
{
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	fake_device = MiB;
	s = OK_PTR(source_file_open(b.path, e));
	assert_int_equal(s->size, MiB);
	assert_int_equal(check_map(&b, s, 1000, 5000), 5000);
	source_free(s);
	down(&b);
}

static void test_reads(void **state)
{
	AUTO_FREE uint8_t *got = xmalloc(MiB);
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, 2 * MiB + 7);
	fill(&b, 500000, 1000000);
	s = OK_PTR(source_file_open(b.path, e));
	for (int i = 0; i < 50; i++) {
		uint64_t off = random_below(&b.rnd, b.size);
		uint64_t want = 1 + random_below(&b.rnd, MiB);
		size_t n = (size_t)MIN(want, b.size - off);

		OK(s->ops->read(s, got, n, off, e));
		assert_true(memcmp(got, b.data + off, n) == 0);
	}
	source_free(s);
	down(&b);
}

/* Never zeros in place of what is gone. */
static void test_file_that_becomes_shorter(void **state)
{
	uint8_t got[1000];
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, 200000);
	fill(&b, 0, 200000);
	s = OK_PTR(source_file_open(b.path, e));
	assert_int_equal(ftruncate(b.fd, 100000), 0);
	FAILS(ERR_IO, s->ops->read(s, got, 1000, 99500, e));
	OK(s->ops->read(s, got, 1000, 99000, e));
	/* The map of what is gone does not call it zeros. */
	assert_int_equal(check_map(&b, s, 100000, 100000), 100000);
	source_free(s);
	down(&b);
}

static void test_read_error(void **state)
{
	uint8_t got[10];
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, 100);
	s = OK_PTR(source_file_open(b.path, e));
	sys.pread_error = EIO;
	FAILS(ERR_IO, s->ops->read(s, got, 10, 0, e));
	source_free(s);
	down(&b);
}

static void test_what_cannot_be_opened(void **state)
{
	AUTO_FREE char *nothing = NULL;
	struct bench b;

	(void)state;
	up(&b, 100);
	nothing = test_path(b.folder, "nothing");
	FAILS_PTR(ERR_NOENT, source_file_open(nothing, e));
	FAILS_PTR(ERR_INVALID, source_file_open(b.folder, e));
	for (int good = 0; good < 2; good++) {
		fake_device_fstats = good;
		FAILS_PTR(ERR_IO, source_file_open(b.path, e));
	}
	down(&b);
}

static void test_extents_join(void **state)
{
	struct extent_list l = {0};

	(void)state;
	extent_add(&l, 0, EXTENT_ZERO);
	assert_int_equal(l.n, 0);
	extent_add(&l, 5, EXTENT_ZERO);
	extent_add(&l, 0, EXTENT_DATA);
	extent_add(&l, 6, EXTENT_ZERO);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].len, 11);
	for (uint64_t i = 0; i < 1000; i++)
		extent_add(&l, 1 + i, i % 2 ? EXTENT_CLEAN : EXTENT_DATA);
	assert_int_equal(l.n, 1001);
	assert_int_equal(l.v[1000].len, 1000);
	assert_int_equal(l.v[1000].kind, EXTENT_CLEAN);
	extent_done(&l);
	assert_null(l.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_of_a_sparse_file),
		cmocka_unit_test(test_writers_are_kept_away),
		cmocka_unit_test(test_without_holes_all_is_data),
		cmocka_unit_test(test_device_is_all_data),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_file_that_becomes_shorter),
		cmocka_unit_test(test_read_error),
		cmocka_unit_test(test_what_cannot_be_opened),
		cmocka_unit_test(test_extents_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
