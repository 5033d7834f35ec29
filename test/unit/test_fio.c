/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "testing.h"

/* ---- a system that interrupts, does less than asked, and fails ---- */

static struct {
	int interrupts;	 /* so many calls first */
	size_t most;	 /* a call moves at most so many bytes; 0: as it likes */
	int fail_after;	 /* so many calls that work */
	int error;	 /* then this errno; 0: never */
	int fsync_error; /* of fsync */
	int rename_error;
	int fstat_error;
	bool block_device; /* fstat says so, */
	int64_t bytes;	   /* of this size; -1: nobody knows */
	unsigned fsyncs;
} sys;

/* Does this call fail? */
static bool fails(void)
{
	if (sys.interrupts > 0) {
		sys.interrupts--;
		errno = EINTR;
		return true;
	}
	if (sys.error && sys.fail_after-- <= 0) {
		errno = sys.error;
		return true;
	}
	return false;
}

static size_t some(size_t n)
{
	return sys.most ? MIN(n, sys.most) : n;
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	return fails() ? -1 : __real_write(fd, p, some(n));
}

ssize_t __real_pwrite64(int fd, const void *p, size_t n, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t off);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t off)
{
	return fails() ? -1 : __real_pwrite64(fd, p, some(n), off);
}

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n)
{
	return fails() ? -1 : __real_read(fd, p, some(n));
}

ssize_t __real_pread64(int fd, void *p, size_t n, off_t off);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t off);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t off)
{
	return fails() ? -1 : __real_pread64(fd, p, some(n), off);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	sys.fsyncs++;
	if (!sys.fsync_error)
		return __real_fsync(fd);
	errno = sys.fsync_error;
	return -1;
}

int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to)
{
	if (!sys.rename_error)
		return __real_renameat(a, from, b, to);
	errno = sys.rename_error;
	return -1;
}

int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	if (!sys.rename_error)
		return __real_renameat2(a, from, b, to, flags);
	errno = sys.rename_error;
	return -1;
}

int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st)
{
	if (sys.fstat_error) {
		errno = sys.fstat_error;
		return -1;
	}
	if (!sys.block_device)
		return __real_fstat64(fd, st);
	*st = (struct stat){.st_mode = S_IFBLK | 0600};
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	(void)fd;
	if (request != BLKGETSIZE64 || sys.bytes < 0) {
		errno = ENOTTY;
		return -1;
	}
	va_start(ap, request);
	*va_arg(ap, uint64_t *) = (uint64_t)sys.bytes;
	va_end(ap);
	return 0;
}

/* ---- a file to work on ---- */

struct bench {
	char *folder, *path;
	int fd;
	uint8_t data[10000];
};

static void up(struct bench *b)
{
	struct random rnd = {random_seed()};

	memset(&sys, 0, sizeof(sys));
	b->folder = test_folder();
	b->path = test_path(b->folder, "file");
	b->fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(b->fd >= 0);
	random_fill(&rnd, b->data, sizeof(b->data), true);
}

static void down(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	close(b->fd);
	free(b->path);
	test_folder_done(b->folder);
}

static void assert_holds(struct bench *b, uint64_t off, const void *want, size_t n)
{
	AUTO_FREE uint8_t *got = xmalloc(n + 1);

	memset(&sys, 0, sizeof(sys));
	assert_int_equal(pread(b->fd, got, n + 1, (off_t)off), n);
	assert_memory_equal(got, want, n);
}

static void test_writes_all_in_small_pieces(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	sys.most = 333;
	sys.interrupts = 2;
	OK(fio_write(b.fd, b.data, 5000, b.path, e));
	OK(fio_write(b.fd, b.data + 5000, 5000, b.path, e));
	assert_holds(&b, 0, b.data, 10000);
	sys.most = 100;
	sys.interrupts = 2;
	OK(fio_pwrite(b.fd, b.data, 700, 9500, b.path, e));
	assert_holds(&b, 9500, b.data, 700);
	OK(fio_write(b.fd, NULL, 0, b.path, e));
	down(&b);
}

static void test_reads_all_in_small_pieces(void **state)
{
	uint8_t got[10000];
	struct bench b;

	(void)state;
	up(&b);
	OK(fio_write(b.fd, b.data, 10000, b.path, e));
	lseek(b.fd, 0, SEEK_SET);
	sys.most = 99;
	sys.interrupts = 3;
	assert_int_equal(fio_read(b.fd, got, 6000, b.path, NULL), 6000);
	assert_memory_equal(got, b.data, 6000);
	/* Fewer only at the end. */
	assert_int_equal(fio_read(b.fd, got, 6000, b.path, NULL), 4000);
	assert_memory_equal(got, b.data + 6000, 4000);
	assert_int_equal(fio_read(b.fd, got, 6000, b.path, NULL), 0);
	sys.interrupts = 3;
	assert_int_equal(fio_pread(b.fd, got, 6000, 123, b.path, NULL), 6000);
	assert_memory_equal(got, b.data + 123, 6000);
	assert_int_equal(fio_pread(b.fd, got, 6000, 9999, b.path, NULL), 1);
	assert_int_equal(fio_pread(b.fd, got, 6000, 20000, b.path, NULL), 0);
	down(&b);
}

/* Half-way through: what fails is told, with the path and the place. */
static void test_failures_name_the_file(void **state)
{
	struct err err;
	uint8_t got[100];
	struct bench b;

	(void)state;
	up(&b);
	sys.most = 10;
	sys.error = ENOSPC;
	sys.fail_after = 3;
	assert_int_equal(fio_write(b.fd, b.data, 100, b.path, &err), -1);
	assert_int_equal(err.kind, ERR_NOSPACE);
	assert_non_null(strstr(err.msg, b.path));
	sys.fail_after = 3;
	assert_int_equal(fio_pwrite(b.fd, b.data, 100, 500, b.path, &err), -1);
	assert_int_equal(err.kind, ERR_NOSPACE);
	assert_non_null(strstr(err.msg, b.path));
	assert_non_null(strstr(err.msg, " at 530"));
	sys.error = EIO;
	sys.fail_after = 2;
	lseek(b.fd, 0, SEEK_SET);
	assert_int_equal(fio_read(b.fd, got, 100, b.path, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_non_null(strstr(err.msg, b.path));
	sys.fail_after = 2;
	assert_int_equal(fio_pread(b.fd, got, 100, 500, b.path, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_non_null(strstr(err.msg, " at 520"));
	down(&b);
}

static bool holds(const char *path, const char *text)
{
	AUTO_BUF b = BUF_INIT;

	OK(fio_slurp(path, 100, &b, e));
	return strcmp(buf_str(&b), text) == 0;
}

/* A name that is taken stays with who has it, on file systems that know how and on others. */
static void test_move(void **state)
{
	static const int errors[] = {0, EINVAL, ENOSYS};
	AUTO_FREE char *temp = NULL;
	struct bench b;

	(void)state;
	up(&b);
	temp = xasprintf("%s.part", b.path);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		OK(fio_replace(b.path, "his", 3, 0600, e));
		OK(fio_replace(temp, "ours", 4, 0600, e));
		sys.rename_error = errors[i];
		FAILS(ERR_EXISTS, fio_move(temp, b.path, false, e));
		assert_true(holds(b.path, "his") && holds(temp, "ours"));
		unlink(b.path);
		OK(fio_move(temp, b.path, false, e));
		assert_true(holds(b.path, "ours"));
		assert_int_equal(access(temp, F_OK), -1);
		sys.rename_error = 0;
		OK(fio_replace(temp, "newer", 5, 0600, e));
		OK(fio_move(temp, b.path, true, e));
		assert_true(holds(b.path, "newer"));
		FAILS(ERR_NOENT, fio_move(temp, b.path, true, e));
	}
	sys.rename_error = EACCES;
	FAILS(ERR_DENIED, fio_move(b.path, temp, false, e));
	sys.rename_error = 0;
	sys.fsync_error = EIO;
	FAILS(ERR_IO, fio_move(b.path, temp, false, e));
	unlink(temp);
	down(&b);
}

/* Where the new file shall lie, somebody has put a link to a precious one. */
static void test_create_follows_no_link(void **state)
{
	AUTO_FREE char *link = NULL;
	struct bench b;
	int fd;

	(void)state;
	up(&b);
	link = xasprintf("%s.link", b.path);
	OK(fio_replace(b.path, "precious", 8, 0600, e));
	assert_int_equal(symlink(b.path, link), 0);
	fd = fio_create(link, NULL);
	assert_true(fd >= 0);
	OK(fio_write(fd, "ours", 4, link, e));
	close(fd);
	assert_true(holds(b.path, "precious") && holds(link, "ours"));
	FAILS(ERR_NOENT, fio_create("/nowhere/at/all", e));
	unlink(link);
	down(&b);
}

static void test_flushes(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	OK(fio_fsync(b.fd, b.path, e));
	OK(fio_fsync_dir(b.fd, b.folder, e));
	assert_int_equal(sys.fsyncs, 2);
	OK(fio_fsync_parent(b.path, e));
	OK(fio_fsync_parent("file", e));
	assert_int_equal(sys.fsyncs, 4);
	FAILS(ERR_NOENT, fio_fsync_parent("/nowhere/at/all", e));
	sys.fsync_error = EIO;
	FAILS(ERR_IO, fio_fsync(b.fd, b.path, e));
	FAILS(ERR_IO, fio_fsync_dir(b.fd, b.folder, e));
	FAILS(ERR_IO, fio_fsync_parent(b.path, e));
	/* A file that cannot be flushed is not safe; a directory that need not be, is. */
	sys.fsync_error = EINVAL;
	FAILS(ERR_INVALID, fio_fsync(b.fd, b.path, e));
	OK(fio_fsync_dir(b.fd, b.folder, e));
	down(&b);
}

static void test_slurps_up_to_its_limit(void **state)
{
	AUTO_FREE uint8_t *big = xcalloc(1, 200000);
	struct bench b;

	(void)state;
	up(&b);
	memcpy(big + 190000, b.data, 10000);
	for (size_t n = 0; n <= 200000; n += 65536 - 64) {
		AUTO_BUF got = BUF_INIT;

		assert_int_equal(ftruncate(b.fd, 0), 0);
		OK(fio_pwrite(b.fd, big + 200000 - n, n, 0, b.path, e));
		OK(fio_slurp(b.path, n, &got, e));
		assert_int_equal(got.len, n);
		if (n)
			assert_true(memcmp(got.data, big + 200000 - n, n) == 0);
		if (n)
			FAILS(ERR_LIMIT, fio_slurp(b.path, n - 1, &got, e));
		assert_int_equal(got.len, n);
	}
	down(&b);
}

static void test_slurp_fails(void **state)
{
	AUTO_BUF got = BUF_INIT;
	struct bench b;

	(void)state;
	up(&b);
	FAILS(ERR_NOENT, fio_slurp("/nowhere/at/all", 100, &got, e));
	FAILS(ERR_INVALID, fio_slurp(b.folder, 100, &got, e));
	sys.error = EIO;
	FAILS(ERR_IO, fio_slurp(b.path, 100, &got, e));
	assert_null(got.data);
	down(&b);
}

/* ---- replacing ---- */

static void assert_file(const char *path, const char *want)
{
	AUTO_BUF got = BUF_INIT;

	OK(fio_slurp(path, 1000, &got, e));
	assert_string_equal(buf_str(&got), want);
}

/* Only "file" lies in the folder. */
static void assert_nothing_left(const char *folder)
{
	AUTO_FREE char *moved = test_path(folder, "file");

	assert_int_equal(unlink(moved), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
}

static void test_replaces_a_file(void **state)
{
	AUTO_FREE char *fresh = NULL;
	struct stat st;
	struct bench b;

	(void)state;
	up(&b);
	fresh = test_path(b.folder, "new");
	OK(fio_replace(fresh, "one", 3, 0640, e));
	assert_file(fresh, "one");
	assert_int_equal(stat(fresh, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	/* The file, and the directory that holds its name. */
	assert_int_equal(sys.fsyncs, 2);
	OK(fio_replace(fresh, "", 0, 0600, e));
	assert_file(fresh, "");
	assert_int_equal(stat(fresh, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(unlink(fresh), 0);
	assert_nothing_left(b.folder);
	down(&b);
}

static void test_replaces_in_the_current_folder(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct bench b;

	(void)state;
	up(&b);
	assert_int_equal(chdir(b.folder), 0);
	OK(fio_replace("file", "two", 3, 0600, e));
	assert_int_equal(fchdir(here), 0);
	assert_file(b.path, "two");
	close(here);
	down(&b);
}

/* Whatever fails: the old file is whole, and nothing lies beside it. */
static void test_failed_replacement_changes_nothing(void **state)
{
	struct bench b;

	(void)state;
	for (int step = 0; step < 4; step++) {
		up(&b);
		OK(fio_write(b.fd, "old", 3, b.path, e));
		sys.error = step == 0 ? ENOSPC : 0;
		sys.most = 1;
		sys.fail_after = 1;
		sys.fsync_error = step == 1 ? ENOSPC : 0;
		sys.rename_error = step == 2 ? ENOSPC : 0;
		if (step < 3)
			FAILS(ERR_NOSPACE, fio_replace(b.path, "new", 3, 0600, e));
		else
			FAILS(ERR_NOENT, fio_replace("/nowhere/at/all", "new", 3, 0600, e));
		memset(&sys, 0, sizeof(sys));
		assert_file(b.path, "old");
		assert_nothing_left(b.folder);
		down(&b);
	}
}

static void test_folder_that_takes_no_files(void **state)
{
	(void)state;
	memset(&sys, 0, sizeof(sys));
	/* Also for root. */
	FAILS(ERR_NOENT, fio_replace("/proc/file", "new", 3, 0600, e));
}

/* ---- sizes ---- */

static void test_size(void **state)
{
	uint64_t bytes = 7;
	struct bench b;
	int fds[2];

	(void)state;
	up(&b);
	OK(fio_size(b.fd, b.path, &bytes, e));
	assert_int_equal(bytes, 0);
	assert_int_equal(ftruncate(b.fd, 1234567), 0);
	OK(fio_size(b.fd, b.path, &bytes, e));
	assert_int_equal(bytes, 1234567);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	FAILS(ERR_INVALID, fio_size(fds[0], "a pipe", &bytes, e));
	close(fds[0]);
	close(fds[1]);
	FAILS(ERR_IO, fio_size(fds[0], "nothing", &bytes, e));
	sys.block_device = true;
	sys.bytes = (int64_t)5 << 40;
	OK(fio_size(b.fd, "a device", &bytes, e));
	assert_true(bytes == (uint64_t)5 << 40);
	sys.bytes = -1;
	FAILS(ERR_IO, fio_size(b.fd, "a device", &bytes, e));
	assert_true(bytes == (uint64_t)5 << 40);
	down(&b);
}

static void test_folder_is_emptied(void **state)
{
	char *folder = test_folder();
	static const char *const names[] = {"a", "b.part", ".hidden"};
	AUTO_FREE char *inner = test_path(folder, "inner");
	AUTO_FREE char *missing = test_path(folder, "missing");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = test_path(folder, names[i]);

		OK(fio_replace(path, "x", 1, 0600, e));
	}
	assert_int_equal(mkdir(inner, 0700), 0);
	fio_empty_dir(AT_FDCWD, folder);
	fio_empty_dir(AT_FDCWD, missing);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = test_path(folder, names[i]);

		assert_int_equal(access(path, F_OK), i == 2 ? 0 : -1);
	}
	assert_int_equal(access(inner, F_OK), 0);
	test_folder_done(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes_all_in_small_pieces),
		cmocka_unit_test(test_reads_all_in_small_pieces),
		cmocka_unit_test(test_failures_name_the_file),
		cmocka_unit_test(test_flushes),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_create_follows_no_link),
		cmocka_unit_test(test_slurps_up_to_its_limit),
		cmocka_unit_test(test_slurp_fails),
		cmocka_unit_test(test_replaces_a_file),
		cmocka_unit_test(test_replaces_in_the_current_folder),
		cmocka_unit_test(test_failed_replacement_changes_nothing),
		cmocka_unit_test(test_folder_that_takes_no_files),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_folder_is_emptied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
