/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "mover/image_lock.h"

#define AHEAD ((uint64_t)32 << 20) /* how much of the map is read ahead at most */

void extent_add(struct extent_list *l, uint64_t len, enum extent_kind kind)
{
	if (len == 0)
		return;
	if (l->n && l->v[l->n - 1].kind == kind) {
		l->v[l->n - 1].len += len;
		return;
	}
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = (struct extent){len, kind};
}

void extent_done(struct extent_list *l)
{
	free(l->v);
	*l = (struct extent_list){0};
}

struct file_source {
	struct source s;
	int fd;
	bool device;
};

static struct file_source *of(struct source *s)
{
	return (struct file_source *)s;
}

static void file_free(struct source *s)
{
	close(of(s)->fd);
	free(s->name);
	free(s);
}

/* The end of the data or hole at `off`, at most `end`. A file system without holes has one extent.
 */
static uint64_t end_of(struct file_source *f, uint64_t off, uint64_t end, bool data)
{
	off_t at = lseek(f->fd, (off_t)off, data ? SEEK_HOLE : SEEK_DATA);

	if (at < 0)
		return end; /* no data up to the end of the file, or no support: all the same */
	return MIN((uint64_t)at, end);
}

static int file_map(struct source *s, uint64_t off, uint64_t len, struct extent_list *out,
		    struct err *e)
{
	struct file_source *f = of(s);
	uint64_t end = off + len;
	bool data;

	(void)e;
	if (f->device) {
		extent_add(out, len, EXTENT_DATA);
		return 0;
	}
	/* A hole starts here when the end of "the data at off" is off itself. */
	data = end_of(f, off, end, true) > off;
	while (off < end) {
		uint64_t to = end_of(f, off, end, data);

		extent_add(out, to - off, data ? EXTENT_DATA : EXTENT_ZERO);
		if (data)
			posix_fadvise(f->fd, (off_t)off, (off_t)MIN(to - off, AHEAD),
				      POSIX_FADV_WILLNEED);
		off = to;
		data = !data;
	}
	return 0;
}

static int file_read(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	ssize_t n = fio_pread(of(s)->fd, buf, len, off, s->name, e);

	if (n < 0)
		return -1;
	if ((size_t)n < len)
		return err_set(e, ERR_IO, "%s became shorter while it was read", s->name);
	return 0;
}

static const struct source_ops file_ops = {
	.free = file_free,
	.map = file_map,
	.read = file_read,
};

struct source *source_file_open(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct file_source *f;
	struct stat st;
	uint64_t size;

	if (image_lock_read(path, &fd, e) < 0)
		return NULL;
	if (fio_size(fd, path, &size, e) < 0)
		return NULL;
	if (fstat(fd, &st) < 0) {
		err_sys(e, errno, "look at %s", path);
		return NULL;
	}
	f = xcalloc(1, sizeof(*f));
	f->s = (struct source){&file_ops, xstrdup(path), size, 1, false};
	f->fd = fd;
	f->device = S_ISBLK(st.st_mode);
	fd = -1;
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return &f->s;
}
