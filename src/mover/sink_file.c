/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks that are file descriptors: files, block devices, pipes, and nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "mover/sink.h"

#define WRITE_BEHIND ((uint64_t)64 << 20)

struct fd_sink {
	struct sink s;
	int fd;
	bool close;
	char *temp;	      /* a file that gets its name at the end */
	bool overwrite;	      /* which may be taken */
	pthread_mutex_t lock; /* one write at a time, and of the two below */
	uint64_t written, behind;
};

static struct fd_sink *of(struct sink *s)
{
	return (struct fd_sink *)s;
}

static struct fd_sink *fd_sink_new(const struct sink_ops *ops, const char *name, int fd)
{
	struct fd_sink *f = xcalloc(1, sizeof(*f));

	f->s.ops = ops;
	f->s.name = xstrdup(name);
	f->fd = fd;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

static void fd_free(struct sink *s)
{
	if (of(s)->close)
		close(of(s)->fd);
	if (of(s)->temp)
		unlink(of(s)->temp);
	pthread_mutex_destroy(&of(s)->lock);
	free(of(s)->temp);
	free(s->name);
	free(s);
}

/* ---- files and devices ---- */

/*
 * Writers of one file exclude each other in the kernel, by spinning: waiting here costs less. Every
 * now and then the disk is told to begin, so that the flush at the end finds little left to do.
 */
static int file_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		      struct err *e)
{
	struct fd_sink *f = of(s);
	bool begin;
	int rc;

	(void)thread;
	pthread_mutex_lock(&f->lock);
	rc = fio_pwrite(f->fd, data, len, off, s->name, e);
	f->written += len;
	begin = f->written - f->behind >= WRITE_BEHIND;
	if (begin)
		f->behind = f->written;
	pthread_mutex_unlock(&f->lock);
	if (begin)
		sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return rc;
}

#define ZEROS ((size_t)1 << 20)

/* A device keeps what it held: say zeros, or write them. */
static int device_zero(struct sink *s, unsigned thread, uint64_t len, uint64_t off, struct err *e)
{
	AUTO_FREE uint8_t *zeros = NULL;

	(void)thread;
	if (fallocate(of(s)->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)off,
		      (off_t)len) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENODEV)
		return err_sys(e, errno, "zero %s at %llu", s->name, (unsigned long long)off);
	zeros = xcalloc(1, ZEROS);
	while (len) {
		size_t n = (size_t)MIN(len, (uint64_t)ZEROS);

		if (fio_pwrite(of(s)->fd, zeros, n, off, s->name, e) < 0)
			return -1;
		off += n;
		len -= n;
	}
	return 0;
}

static int device_finish(struct sink *s, struct err *e)
{
	return fio_fsync(of(s)->fd, s->name, e);
}

static int file_finish(struct sink *s, struct err *e)
{
	struct fd_sink *f = of(s);

	if (fio_fsync(f->fd, s->name, e) < 0)
		return -1;
	if (fio_move(f->temp, s->name, f->overwrite, e) < 0)
		return -1;
	free(f->temp);
	f->temp = NULL;
	return 0;
}

static const struct sink_ops file_ops = {
	.free = fd_free,
	.write = file_write,
	.finish = file_finish,
};

static const struct sink_ops device_ops = {
	.free = fd_free,
	.write = file_write,
	.zero = device_zero,
	.finish = device_finish,
};

static int open_device(const char *path, uint64_t size, bool overwrite, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	uint64_t have;
	int ret;

	if (!overwrite)
		return err_set(e, ERR_EXISTS,
			       "%s is a block device: writing to it needs --overwrite", path);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_EXCL);
	if (fd < 0)
		return err_sys(e, errno, "open %s for writing", path);
	if (fio_size(fd, path, &have, e) < 0)
		return -1;
	if (have < size)
		return err_set(e, ERR_NOSPACE, "%s has %llu bytes, the disk %llu", path,
			       (unsigned long long)have, (unsigned long long)size);
	ret = fd;
	fd = -1;
	return ret;
}

/*
 * A file is written beside its place and renamed at the end, so that nobody takes half a disk for a
 * whole one, and one that is replaced stays until then.
 * If interrupted: PATH.part-PID.
 */
static int open_file(const char *temp, const char *path, uint64_t size, bool overwrite,
		     struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int ret;

	if (stat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return err_set(e, ERR_INVALID,
				       "%s is neither a file nor a block device: for standard "
				       "output write -",
				       path);
		if (!overwrite)
			return err_set(e, ERR_EXISTS,
				       "%s exists: choose another place, or replace it with "
				       "--overwrite",
				       path);
	}
	fd = fio_create(temp, e);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)size) < 0) {
		err_sys(e, errno, "make %s %llu bytes long", temp, (unsigned long long)size);
		unlink(temp);
		return -1;
	}
	ret = fd;
	fd = -1;
	return ret;
}

struct sink *sink_file_open(const char *path, uint64_t size, bool overwrite, struct err *e)
{
	AUTO_FREE char *temp = NULL;
	struct fd_sink *f;
	struct stat st;
	int fd;

	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode)) {
		fd = open_device(path, size, overwrite, e);
	} else {
		temp = xasprintf("%s.part-%d", path, (int)getpid());
		fd = open_file(temp, path, size, overwrite, e);
	}
	if (fd < 0)
		return NULL;
	f = fd_sink_new(temp ? &file_ops : &device_ops, path, fd);
	f->close = true;
	f->temp = steal(&temp);
	f->overwrite = overwrite;
	return &f->s;
}

/* ---- pipes ---- */

static int pipe_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		      struct err *e)
{
	(void)thread;
	(void)off;
	return fio_write(of(s)->fd, data, len, s->name, e);
}

static int pipe_zero(struct sink *s, unsigned thread, uint64_t len, uint64_t off, struct err *e)
{
	static const uint8_t zeros[65536];

	for (; len; len -= MIN(len, sizeof(zeros))) {
		if (pipe_write(s, thread, zeros, (size_t)MIN(len, sizeof(zeros)), off, e) < 0)
			return -1;
	}
	return 0;
}

static int nothing_to_finish(struct sink *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static const struct sink_ops pipe_ops = {
	.free = fd_free,
	.write = pipe_write,
	.zero = pipe_zero,
	.finish = nothing_to_finish,
};

struct sink *sink_pipe_open(int fd, const char *name)
{
	struct fd_sink *f = fd_sink_new(&pipe_ops, name, fd);

	f->s.ordered = true;
	return &f->s;
}

/* ---- nothing ---- */

static int null_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		      struct err *e)
{
	(void)s;
	(void)thread;
	(void)data;
	(void)len;
	(void)off;
	(void)e;
	return 0;
}

static const struct sink_ops null_ops = {
	.free = fd_free,
	.write = null_write,
	.finish = nothing_to_finish,
};

struct sink *sink_null_open(void)
{
	return &fd_sink_new(&null_ops, "nothing", -1)->s;
}
