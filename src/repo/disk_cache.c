/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/disk_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/env.h"
#include "base/fio.h"
#include "base/human.h"
#include "base/log.h"
#include "base/uuid.h"
#include "repo/seal.h"

#define LIMIT ((uint64_t)2 << 30)
#define USED_AGAIN_S 3600 /* a use is noted once in that time: it costs a write */

struct disk_cache {
	int root, part;
	uint64_t max_bytes;
	atomic_bool grown, broken;
};

/* ---- where ---- */

char *disk_cache_folder(void)
{
	if (env_text("XDG_CACHE_HOME"))
		return xasprintf("%s/holdfast", env_text("XDG_CACHE_HOME"));
	if (geteuid() == 0)
		return xstrdup("/var/cache/holdfast");
	return env_text("HOME") ? xasprintf("%s/.cache/holdfast", env_text("HOME")) : NULL;
}

int disk_cache_limit(uint64_t *ret_bytes, struct err *e)
{
	const char *text = env_text("HOLDFAST_CACHE_SIZE");

	if (text && !human_parse_bytes(text, ret_bytes))
		return err_set(e, ERR_INVALID,
			       "HOLDFAST_CACHE_SIZE '%s': write a size like 500M or 4G; 0 keeps "
			       "nothing",
			       text);
	if (!text)
		*ret_bytes = LIMIT;
	return 0;
}

/* Its descriptor. What others may write is not to be trusted. */
static int open_folder(int at, const char *path, struct err *e)
{
	struct stat st;
	int fd;

	if (mkdirat(at, path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "create directory %s", path);
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, errno, "open directory %s", path);
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(fd);
		return err_set(e, ERR_DENIED, "%s belongs to others, or others may write there",
			       path);
	}
	return fd;
}

struct disk_cache *disk_cache_open(const char *folder, const char *part, uint64_t max_bytes,
				   struct err *e)
{
	AUTO(disk_cache) c = xcalloc(1, sizeof(*c));
	AUTO_FREE char *above = xstrdup(folder);
	char *slash = strrchr(above, '/');

	c->part = -1;
	c->max_bytes = max_bytes;
	if (slash && slash != above) {
		*slash = 0;
		mkdir(above, 0700); /* ~/.cache of a new user */
	}
	c->root = open_folder(AT_FDCWD, folder, e);
	if (c->root >= 0)
		c->part = open_folder(c->root, part, e);
	return c->part >= 0 ? steal(&c) : NULL;
}

/* ---- pieces ---- */

static void hash_piece(const char *name, const void *data, size_t n, uint8_t out[HASH_BYTES])
{
	AUTO(digest) d = digest_new();

	digest_add(d, name, strlen(name) + 1);
	digest_add(d, data, n);
	digest_take(d, out);
}

static void note_use(int fd, const struct stat *st)
{
	if (time(NULL) - st->st_mtime > USED_AGAIN_S || st->st_mtime > time(NULL))
		futimens(fd, NULL);
}

static bool read_piece(int fd, const char *name, struct buf *out)
{
	uint8_t hash[HASH_BYTES];
	struct stat st;
	size_t n;

	if (fstat(fd, &st) < 0 || st.st_size < HASH_BYTES ||
	    (uint64_t)st.st_size > DISK_CACHE_PIECE_MAX + HASH_BYTES)
		return false;
	n = (size_t)st.st_size - HASH_BYTES;
	if (fio_read(fd, buf_reserve(out, (size_t)st.st_size), (size_t)st.st_size, name, NULL) !=
	    st.st_size)
		return false;
	hash_piece(name, out->data, n, hash);
	if (memcmp(hash, out->data + n, HASH_BYTES) != 0)
		return false;
	out->len = n;
	note_use(fd, &st);
	return true;
}

bool disk_cache_get(struct disk_cache *c, const char *name, struct buf *ret)
{
	AUTO_CLOSE int fd = openat(c->part, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_BUF b = BUF_INIT;

	if (fd < 0)
		return false;
	if (!read_piece(fd, name, &b)) {
		log_debug("cache: %s is damaged, and thrown away", name);
		unlinkat(c->part, name, 0);
		return false;
	}
	*ret = b;
	b = BUF_INIT;
	return true;
}

static int write_piece(struct disk_cache *c, const char *draft, const char *name, const void *data,
		       size_t n, struct err *e)
{
	AUTO_CLOSE int fd = openat(c->part, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint8_t hash[HASH_BYTES];

	hash_piece(name, data, n, hash);
	if (fd < 0)
		return err_sys(e, errno, "create %s", draft);
	if (fio_write(fd, data, n, draft, e) < 0 || fio_write(fd, hash, sizeof(hash), draft, e) < 0)
		return -1;
	return renameat(c->part, draft, c->part, name) < 0 ? err_sys(e, errno, "rename %s", draft)
							   : 0;
}

/* If interrupted: a draft, which goes when it was not used for longest. */
void disk_cache_put(struct disk_cache *c, const char *name, const void *data, size_t n)
{
	char draft[UUID_TEXT + 8], text[UUID_TEXT];
	struct uuid id = uuid_random();
	struct err why = {0};

	if (atomic_load(&c->broken) || n > DISK_CACHE_PIECE_MAX)
		return;
	snprintf(draft, sizeof(draft), "draft-%s", uuid_text(&id, text));
	atomic_store(&c->grown, true);
	if (write_piece(c, draft, name, data, n, &why) == 0)
		return;
	/* No room, or no permission: it will not be better for the next one. */
	log_debug("cache: %s", why.msg);
	unlinkat(c->part, draft, 0);
	atomic_store(&c->broken, true);
}

/* ---- the limit ---- */

struct old {
	struct timespec used;
	uint64_t size;
	char *path; /* from the root */
};

struct sweep {
	struct old *v;
	size_t n, cap;
	uint64_t bytes;
};

static void note_old(struct sweep *w, const char *part, const char *name, const struct stat *st)
{
	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 256;
		w->v = xreallocarray(w->v, w->cap, sizeof(*w->v));
	}
	/* What it takes on the disk, for the most part. */
	w->v[w->n] = (struct old){st->st_mtim, (uint64_t)DIV_UP(st->st_size, 4096) * 4096,
				  xasprintf("%s/%s", part, name)};
	w->bytes += w->v[w->n++].size;
}

static DIR *open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (fd >= 0 && !d)
		close(fd);
	return d;
}

static void look_at_part(struct sweep *w, int root, const char *part)
{
	DIR *d = open_dir(root, part);
	struct dirent *entry;
	struct stat st;

	while (d && (entry = readdir(d)) != NULL) {
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			note_old(w, part, entry->d_name, &st);
	}
	if (d)
		closedir(d);
}

static void look_at_all(struct sweep *w, int root)
{
	DIR *d = open_dir(root, ".");
	struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] != '.')
			look_at_part(w, root, entry->d_name);
	}
	if (d)
		closedir(d);
}

static int by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct old *)a)->used;
	const struct timespec *y = &((const struct old *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void sweep(struct disk_cache *c)
{
	struct sweep w = {0};

	look_at_all(&w, c->root);
	if (w.bytes > c->max_bytes)
		qsort(w.v, w.n, sizeof(*w.v), by_use);
	for (size_t i = 0; i < w.n; i++) {
		if (w.bytes > c->max_bytes && unlinkat(c->root, w.v[i].path, 0) == 0)
			w.bytes -= w.v[i].size;
		free(w.v[i].path);
	}
	free(w.v);
}

void disk_cache_free(struct disk_cache *c)
{
	if (!c)
		return;
	if (c->part >= 0 && atomic_load(&c->grown))
		sweep(c);
	if (c->part >= 0)
		close(c->part);
	if (c->root >= 0)
		close(c->root);
	free(c);
}
