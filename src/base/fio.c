/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/uuid.h"

#define CHUNK_MAX ((size_t)1 << 30) /* Linux moves at most 2 GiB in one call */
#define PIPE_BYTES (1 << 20)

int fio_write(int fd, const void *data, size_t n, const char *path, struct err *e)
{
	const uint8_t *p = data;

	while (n) {
		ssize_t done = write(fd, p, MIN(n, CHUNK_MAX));

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(e, errno, "write %s", path);
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int fio_pwrite(int fd, const void *data, size_t n, uint64_t off, const char *path, struct err *e)
{
	const uint8_t *p = data;

	while (n) {
		ssize_t done = pwrite(fd, p, MIN(n, CHUNK_MAX), (off_t)off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(e, errno, "write %s at %llu", path, (unsigned long long)off);
		p += done;
		off += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

ssize_t fio_read(int fd, void *data, size_t n, const char *path, struct err *e)
{
	uint8_t *p = data;
	size_t got = 0;

	while (got < n) {
		ssize_t more = read(fd, p + got, MIN(n - got, CHUNK_MAX));

		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0)
			return err_sys(e, errno, "read %s", path);
		if (more == 0)
			break;
		got += (size_t)more;
	}
	return (ssize_t)got;
}

ssize_t fio_pread(int fd, void *data, size_t n, uint64_t off, const char *path, struct err *e)
{
	uint8_t *p = data;
	size_t got = 0;

	while (got < n) {
		ssize_t more = pread(fd, p + got, MIN(n - got, CHUNK_MAX), (off_t)(off + got));

		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0)
			return err_sys(e, errno, "read %s at %llu", path,
				       (unsigned long long)(off + got));
		if (more == 0)
			break;
		got += (size_t)more;
	}
	return (ssize_t)got;
}

int fio_fsync(int fd, const char *path, struct err *e)
{
	return fsync(fd) < 0 ? err_sys(e, errno, "flush %s to disk", path) : 0;
}

int fio_fsync_dir(int dirfd, const char *path, struct err *e)
{
	/* Some network file systems refuse to flush a directory because they need not. */
	if (fsync(dirfd) < 0 && errno != EINVAL)
		return err_sys(e, errno, "flush directory %s to disk", path);
	return 0;
}

/* The directory part of a path, to be freed. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
}

static int open_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, errno, "open directory %s", dir) : fd;
}

int fio_fsync_parent(const char *path, struct err *e)
{
	AUTO_FREE char *dir = parent_of(path);
	AUTO_CLOSE int fd = open_dir(dir, e);

	return fd < 0 ? -1 : fio_fsync_dir(fd, dir, e);
}

int fio_create(const char *path, struct err *e)
{
	int fd;

	/* Whoever else may write to the folder cannot make us follow a link of his. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, errno, "create %s", path) : fd;
}

/* Not every file system can rename without replacing; a link never replaces. */
static int rename_new(const char *from, const char *to)
{
	int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);

	if (rc < 0 && (errno == EINVAL || errno == ENOSYS)) {
		rc = link(from, to);
		if (rc == 0)
			unlink(from);
	}
	return rc;
}

int fio_move(const char *from, const char *to, bool overwrite, struct err *e)
{
	int rc = overwrite ? rename(from, to) : rename_new(from, to);

	if (rc < 0)
		return err_sys(e, errno, "rename %s to %s", from, to);
	return fio_fsync_parent(to, e);
}

void fio_empty_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		auto_close(&fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(dir);
}

int fio_slurp(const char *path, size_t max, struct buf *ret_b, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO_BUF b = BUF_INIT;

	if (fd < 0)
		return err_sys(e, errno, "open %s", path);
	for (;;) {
		size_t want = MIN(max + 1 - b.len, (size_t)65536);
		ssize_t n = fio_read(fd, buf_reserve(&b, want), want, path, e);

		if (n < 0)
			return -1;
		b.len += (size_t)n;
		if (b.len > max)
			return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
		if ((size_t)n < want)
			break;
	}
	*ret_b = b;
	b = BUF_INIT;
	return 0;
}

static int replace_in(int dirfd, const char *dir, const char *path, const void *data, size_t n,
		      mode_t mode, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char temp[64], text[UUID_TEXT];
	struct uuid u = uuid_random();
	AUTO_CLOSE int fd = -1;

	snprintf(temp, sizeof(temp), ".%s.tmp", uuid_text(&u, text));
	fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, errno, "create a file in %s", dir);
	if (fio_write(fd, data, n, name, e) < 0 || fio_fsync(fd, name, e) < 0) {
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (renameat(dirfd, temp, dirfd, name) < 0) {
		err_sys(e, errno, "rename to %s", path);
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	return fio_fsync_dir(dirfd, dir, e);
}

int fio_replace(const char *path, const void *data, size_t n, mode_t mode, struct err *e)
{
	AUTO_FREE char *dir = parent_of(path);
	AUTO_CLOSE int dirfd = open_dir(dir, e);

	return dirfd < 0 ? -1 : replace_in(dirfd, dir, path, data, n, mode, e);
}

void fio_widen(int fd)
{
	fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

int fio_size(int fd, const char *path, uint64_t *ret_bytes, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "look at %s", path);
	if (S_ISREG(st.st_mode)) {
		*ret_bytes = (uint64_t)st.st_size;
		return 0;
	}
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, ret_bytes) < 0)
			return err_sys(e, errno, "ask for the size of %s", path);
		return 0;
	}
	return err_set(e, ERR_INVALID, "%s is neither a file nor a block device", path);
}
