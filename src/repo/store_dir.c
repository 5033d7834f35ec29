/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in a directory, on a local file system or NFS: opening, reading, listing. How it is
 * changed, and why that is safe, is in store_dir_write.c.
 */
#include "repo/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "repo/store_dir_priv.h"

static struct cached_fd *cache_find(struct dir_store *d, const char *key)
{
	for (int i = 0; i < FD_CACHE; i++) {
		if (d->cache[i].fd >= 0 && strcmp(d->cache[i].key, key) == 0)
			return &d->cache[i];
	}
	return NULL;
}

/* The least recently used entry that nobody reads, closed. NULL when all are in use. */
static struct cached_fd *cache_evict(struct dir_store *d)
{
	struct cached_fd *old = NULL;

	for (int i = 0; i < FD_CACHE; i++) {
		struct cached_fd *c = &d->cache[i];

		if (c->refs == 0 && (!old || c->fd < 0 || (old->fd >= 0 && c->used < old->used)))
			old = c;
	}
	if (old && old->fd >= 0)
		close(old->fd);
	if (old)
		old->fd = -1;
	return old;
}

/* A session is a folder; its object is the file `state` in it. */
static int open_object(struct dir_store *d, const char *key)
{
	char state[STORE_KEY_MAX + 8];

	if (strncmp(key, "sessions/", 9) != 0 || strchr(key + 9, '/'))
		return openat(d->fd, key, O_RDONLY | O_CLOEXEC);
	snprintf(state, sizeof(state), "%s/state", key);
	return openat(d->fd, state, O_RDONLY | O_CLOEXEC);
}

/* Open `key` or find it open. *ret_c is NULL when the descriptor is the caller's to close. */
static int open_read(struct dir_store *d, const char *key, struct cached_fd **ret_c, struct err *e)
{
	struct cached_fd *c;
	int fd;

	pthread_mutex_lock(&d->lock);
	c = cache_find(d, key);
	if (c) {
		c->refs++;
		c->used = ++d->tick;
	}
	pthread_mutex_unlock(&d->lock);
	*ret_c = c;
	if (c)
		return c->fd;
	fd = open_object(d, key);
	if (fd < 0)
		return dir_fail(d, errno, "open", key, e);
	/* Only packs and runs are read again and again, and never change under their name. */
	if (strncmp(key, "packs/", 6) != 0 && strncmp(key, "index/", 6) != 0)
		return fd;
	pthread_mutex_lock(&d->lock);
	c = cache_find(d, key) ? NULL : cache_evict(d);
	if (c) {
		snprintf(c->key, sizeof(c->key), "%s", key);
		c->fd = fd;
		c->refs = 1;
		c->used = ++d->tick;
	}
	pthread_mutex_unlock(&d->lock);
	*ret_c = c;
	return fd;
}

static void close_read(struct dir_store *d, struct cached_fd *c, int fd)
{
	if (!c) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&d->lock);
	c->refs--;
	pthread_mutex_unlock(&d->lock);
}

static ssize_t dir_get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
		       struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct cached_fd *c;
	int fd = open_read(d, key, &c, e);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = fio_pread(fd, data, len, off, key, e);
	close_read(d, c, fd);
	return n;
}

static int dir_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	struct stat st;

	if (fstatat(dir_of(s)->fd, key, &st, 0) < 0)
		return dir_fail(dir_of(s), errno, "look for", key, e);
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

void dir_forget(struct dir_store *d, const char *key)
{
	struct cached_fd *c;

	pthread_mutex_lock(&d->lock);
	c = cache_find(d, key);
	if (c && c->refs == 0) {
		close(c->fd);
		c->fd = -1;
	}
	pthread_mutex_unlock(&d->lock);
}

/* One entry of a folder: descend into it, or report it. */
static int list_entry(struct dir_store *d, const char *prefix, const char *name, store_list_fn *fn,
		      void *arg, struct err *e);

static int list_folder(struct dir_store *d, const char *prefix, store_list_fn *fn, void *arg,
		       struct err *e)
{
	int fd = openat(d->fd, prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int rc = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return dir_fail(d, errno, "list", prefix, e);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return dir_fail(d, errno, "list", prefix, e);
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			rc = list_entry(d, prefix, entry->d_name, fn, arg, e);
	}
	if (rc == 0 && errno)
		rc = dir_fail(d, errno, "list", prefix, e);
	closedir(dir);
	return rc;
}

static int list_entry(struct dir_store *d, const char *prefix, const char *name, store_list_fn *fn,
		      void *arg, struct err *e)
{
	bool sessions = strcmp(prefix, "sessions/") == 0;
	char key[STORE_KEY_MAX + 2], folder[STORE_KEY_MAX + 3];
	struct stat st;

	if (strlen(prefix) + strlen(name) >= STORE_KEY_MAX)
		return 0; /* none of ours */
	snprintf(key, sizeof(key), "%s%s", prefix, name);
	if (fstatat(d->fd, key, &st, 0) < 0)
		return errno == ENOENT ? 0 : dir_fail(d, errno, "look at", key, e);
	if (S_ISDIR(st.st_mode) && !sessions) {
		snprintf(folder, sizeof(folder), "%s/", key);
		return list_folder(d, folder, fn, arg, e);
	}
	return fn(arg, key, sessions ? 0 : (uint64_t)st.st_size, e);
}

static int dir_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
		    struct err *e)
{
	return list_folder(dir_of(s), prefix, fn, arg, e);
}

static void dir_free(struct store *s)
{
	struct dir_store *d = dir_of(s);

	for (int i = 0; i < FD_CACHE; i++) {
		if (d->cache[i].fd >= 0)
			close(d->cache[i].fd);
	}
	if (d->fd >= 0)
		close(d->fd);
	pthread_mutex_destroy(&d->lock);
	free(s->url);
	free(d);
}

static const struct store_ops dir_ops = {
	.free = dir_free,
	.get = dir_get,
	.size = dir_size,
	.put_new = dir_put_new,
	.remove = dir_remove,
	.list = dir_list,
	.session_begin = dir_session_begin,
	.session_revoke = dir_session_revoke,
	.sweep = dir_sweep,
};

/* Make `path` and what is missing above it, and make that durable. */
static int make_path(const char *path, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);

	for (char *p = copy + 1;; p++) {
		char was = *p;

		if (was != '/' && was != 0)
			continue;
		*p = 0;
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return err_sys(e, errno, "create directory %s", copy);
		*p = was;
		if (was == 0)
			return 0;
	}
}

static int open_path(const char *path, bool create, struct err *e)
{
	int fd;

	if (path[0] == 0)
		return err_set(e, ERR_INVALID, "the target names no directory: write dir:PATH");
	if (create && make_path(path, e) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open target directory %s", path);
	return fd;
}

struct store *store_dir_open(const char *path, bool create, store_dir_step_fn *step, void *arg,
			     struct err *e)
{
	int fd = open_path(path, create, e);
	struct dir_store *d;

	if (fd < 0)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->s.ops = &dir_ops;
	d->s.url = xasprintf("dir:%s", path);
	d->fd = fd;
	d->step = step;
	d->step_arg = arg;
	pthread_mutex_init(&d->lock, NULL);
	for (int i = 0; i < FD_CACHE; i++)
		d->cache[i].fd = -1;
	return &d->s;
}
