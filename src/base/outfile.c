/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/fio.h"

#define WRITE_BEHIND ((uint64_t)8 << 20)

struct outfile {
	int fd, direct_fd; /* the latter -1: there is no direct way */
	char *path;
	atomic_bool direct;
	pthread_mutex_t lock;	  /* of a write to the page cache, and of the two below */
	uint64_t written, behind; /* bytes in the page cache; of them, handed to the disk */
};

/* The same file once more: the flag belongs to an open file, and both ways are used at once. */
static int open_direct(int fd)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_WRONLY | O_DIRECT | O_CLOEXEC);
}

struct outfile *outfile_new(int fd, const char *path)
{
	struct outfile *f = xcalloc(1, sizeof(*f));

	f->fd = fd;
	f->direct_fd = open_direct(fd);
	f->path = xstrdup(path);
	atomic_init(&f->direct, f->direct_fd >= 0);
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void outfile_free(struct outfile *f)
{
	if (!f)
		return;
	close(f->fd);
	if (f->direct_fd >= 0)
		close(f->direct_fd);
	pthread_mutex_destroy(&f->lock);
	free(f->path);
	free(f);
}

int outfile_fd(const struct outfile *f)
{
	return f->fd;
}

/* How much of the piece can go directly. */
static size_t direct_part(struct outfile *f, const void *data, size_t n, uint64_t off)
{
	if (n < OUTFILE_LARGE || (uintptr_t)data % OUTFILE_ALIGN || off % OUTFILE_ALIGN)
		return 0;
	return atomic_load(&f->direct) ? n / OUTFILE_ALIGN * OUTFILE_ALIGN : 0;
}

/* How many of `n` bytes are written: all, or fewer where the rest needs the other way; or -1. */
static ssize_t write_direct(struct outfile *f, const uint8_t *p, size_t n, uint64_t off,
			    struct err *e)
{
	size_t done = 0;

	while (done < n && (off + done) % OUTFILE_ALIGN == 0) {
		ssize_t more = pwrite(f->direct_fd, p + done, n - done, (off_t)(off + done));

		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0 && (errno == EINVAL || errno == EOPNOTSUPP)) {
			atomic_store(&f->direct, false);
			break;
		}
		if (more < 0)
			return err_sys(e, errno, "write %s at %llu", f->path,
				       (unsigned long long)(off + done));
		done += (size_t)more;
	}
	return (ssize_t)done;
}

/*
 * Writers of one file exclude each other in the kernel, by spinning: waiting here costs less.
 */
static int write_cached(struct outfile *f, const uint8_t *p, size_t n, uint64_t off, struct err *e)
{
	bool begin;
	int rc;

	pthread_mutex_lock(&f->lock);
	rc = fio_pwrite(f->fd, p, n, off, f->path, e);
	f->written += n;
	begin = f->written - f->behind >= WRITE_BEHIND;
	if (begin)
		f->behind = f->written;
	pthread_mutex_unlock(&f->lock);
	if (begin)
		sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return rc;
}

int outfile_write(struct outfile *f, const void *data, size_t n, uint64_t off, struct err *e)
{
	const uint8_t *p = data;
	ssize_t done = write_direct(f, p, direct_part(f, data, n, off), off, e);

	if (done < 0)
		return -1;
	n -= (size_t)done;
	return n ? write_cached(f, p + done, n, off + (uint64_t)done, e) : 0;
}

int outfile_flush(struct outfile *f, struct err *e)
{
	return fio_fsync(f->fd, f->path, e);
}
