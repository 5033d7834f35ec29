/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks that are raw files or block devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/outfile.h"
#include "mover/draft.h"
#include "mover/sink.h"

#define ZEROS ((size_t)1 << 20)

struct file_sink {
	struct sink s;
	struct outfile *file;
	struct draft *draft; /* NULL: a device */
	atomic_bool reserves;
};

static struct file_sink *of(struct sink *s)
{
	return (struct file_sink *)s;
}

static void file_free(struct sink *s)
{
	outfile_free(of(s)->file);
	draft_free(of(s)->draft);
	free(s->name);
	free(s);
}

/*
 * ext4 lets a direct write into a hole have the whole file for itself, so that all others wait for
 * the disk; writes into space that was set aside go side by side.
 */
static int reserve(struct file_sink *f, size_t len, uint64_t off, struct err *e)
{
	if (len < OUTFILE_LARGE || !atomic_load(&f->reserves))
		return 0;
	if (fallocate(outfile_fd(f->file), FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) == 0 ||
	    errno == EINTR)
		return 0;
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)
		return err_sys(e, errno, "make room in %s at %llu", f->s.name,
			       (unsigned long long)off);
	atomic_store(&f->reserves, false); /* the file system cannot */
	return 0;
}

static int file_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		      struct err *e)
{
	(void)thread;
	if (reserve(of(s), len, off, e) < 0)
		return -1;
	return outfile_write(of(s)->file, data, len, off, e);
}

/* A device keeps what it held: say zeros, or write them. */
static int device_zero(struct sink *s, unsigned thread, uint64_t len, uint64_t off, struct err *e)
{
	struct outfile *f = of(s)->file;
	AUTO_FREE uint8_t *zeros = NULL;

	(void)thread;
	if (fallocate(outfile_fd(f), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)off,
		      (off_t)len) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENODEV)
		return err_sys(e, errno, "zero %s at %llu", s->name, (unsigned long long)off);
	zeros = xmalloc_pages(ZEROS);
	memset(zeros, 0, ZEROS);
	while (len) {
		size_t n = (size_t)MIN(len, (uint64_t)ZEROS);

		if (outfile_write(f, zeros, n, off, e) < 0)
			return -1;
		off += n;
		len -= n;
	}
	return 0;
}

static int file_finish(struct sink *s, struct err *e)
{
	struct file_sink *f = of(s);

	return f->draft ? draft_keep(f->draft, e) : outfile_flush(f->file, e);
}

static const struct sink_ops file_ops = {
	.free = file_free,
	.write = file_write,
	.finish = file_finish,
};

static const struct sink_ops device_ops = {
	.free = file_free,
	.write = file_write,
	.zero = device_zero,
	.finish = file_finish,
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

static struct draft *new_file(const char *path, uint64_t size, bool overwrite, int *ret_fd,
			      struct err *e)
{
	AUTO(draft) d = NULL;

	d = draft_new(path, overwrite,
		      "a disk goes to a file, a block device, or with - to standard output", e);
	if (!d)
		return NULL;
	if (ftruncate(draft_fd(d), (off_t)size) < 0) {
		err_sys(e, errno, "make %s %llu bytes long", draft_path(d),
			(unsigned long long)size);
		return NULL;
	}
	*ret_fd = fcntl(draft_fd(d), F_DUPFD_CLOEXEC, 0);
	if (*ret_fd < 0) {
		err_sys(e, errno, "open %s twice", draft_path(d));
		return NULL;
	}
	return steal(&d);
}

struct sink *sink_file_open(const char *path, uint64_t size, bool overwrite, struct err *e)
{
	struct draft *draft = NULL;
	struct file_sink *f;
	struct stat st;
	int fd = -1;

	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		fd = open_device(path, size, overwrite, e);
	else
		draft = new_file(path, size, overwrite, &fd, e);
	if (fd < 0)
		return NULL;
	f = xcalloc(1, sizeof(*f));
	f->s.ops = draft ? &file_ops : &device_ops;
	f->s.name = xstrdup(path);
	f->file = outfile_new(fd, path);
	f->draft = draft;
	atomic_init(&f->reserves, draft != NULL);
	return &f->s;
}
