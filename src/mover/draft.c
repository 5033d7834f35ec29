/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/draft.h"

#include <sys/stat.h>

#include "base/fio.h"

struct draft {
	char *path, *temp;
	int fd;
	bool overwrite, kept;
};

static int check_place(const char *path, bool overwrite, const char *instead, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a file: %s", path, instead);
	if (!overwrite)
		return err_set(e, ERR_EXISTS,
			       "%s exists: choose another place, or replace it with --overwrite",
			       path);
	return 0;
}

struct draft *draft_new(const char *path, bool overwrite, const char *instead, struct err *e)
{
	AUTO_FREE char *temp = xasprintf("%s.part-%d", path, (int)getpid());
	struct draft *d;
	int fd;

	if (check_place(path, overwrite, instead, e) < 0)
		return NULL;
	fd = fio_create(temp, e);
	if (fd < 0)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->path = xstrdup(path);
	d->temp = steal(&temp);
	d->fd = fd;
	d->overwrite = overwrite;
	return d;
}

void draft_free(struct draft *d)
{
	if (!d)
		return;
	close(d->fd);
	if (!d->kept)
		unlink(d->temp);
	free(d->path);
	free(d->temp);
	free(d);
}

const char *draft_path(const struct draft *d)
{
	return d->temp;
}

int draft_fd(const struct draft *d)
{
	return d->fd;
}

int draft_keep(struct draft *d, struct err *e)
{
	if (fio_fsync(d->fd, d->path, e) < 0 || fio_move(d->temp, d->path, d->overwrite, e) < 0)
		return -1;
	d->kept = true;
	return 0;
}
