/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/store_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/uuid.h"
#include "repo/idset.h"
#include "repo/seal.h"

#define POINTS "points/"
#define INDEX "index/"
#define RECENT 8 /* pieces in memory: who reads one after the other reads each piece once */
#define PART_HEX 32

struct recent {
	char name[DISK_CACHE_NAME_MAX];
	struct buf bytes;
	uint64_t used;
};

struct cache_store {
	struct store s;
	struct store *inner;
	struct disk_cache *disk;
	pthread_mutex_t lock;	   /* for what follows; not held during I/O */
	struct idset points, runs; /* that the last listing showed; see facts below */
	struct recent recent[RECENT];
	uint64_t tick;
};

static struct cache_store *of(struct store *s)
{
	return (struct cache_store *)s;
}

/* ---- what is there ---- */

/* A fact is an id: of a point, its UUID and size; of a run, its name. */
static bool point_fact(const char *key, uint64_t size, struct block_id *ret)
{
	struct uuid id;

	if (strncmp(key, POINTS, strlen(POINTS)) != 0 || !uuid_parse(key + strlen(POINTS), &id))
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->b, id.b, sizeof(id.b));
	put_le64(ret->b + 16, size);
	ret->b[31] = 1; /* not zero */
	return true;
}

static bool run_fact(const char *key, struct block_id *ret)
{
	const char *name = key + strlen(INDEX);

	return strncmp(key, INDEX, strlen(INDEX)) == 0 && strlen(name) == 2 * HASH_BYTES &&
	       hex_decode(name, HASH_BYTES, ret->b) && !block_id_is_zero(ret);
}

static bool is_shown(struct cache_store *c, const struct idset *set, const struct block_id *fact)
{
	bool shown;

	pthread_mutex_lock(&c->lock);
	shown = idset_has(set, fact);
	pthread_mutex_unlock(&c->lock);
	return shown;
}

static bool is_shown_point(struct cache_store *c, const char *key, uint64_t size)
{
	struct block_id fact;

	return point_fact(key, size, &fact) && is_shown(c, &c->points, &fact);
}

struct listing {
	struct cache_store *c;
	store_list_fn *fn;
	void *arg;
	struct idset *known, fresh; /* of the last listing and of this one */
};

/* What is told may be read at once. */
static int note(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct listing *l = arg;
	struct block_id fact;

	if (point_fact(key, size, &fact) || run_fact(key, &fact)) {
		idset_add(&l->fresh, &fact);
		pthread_mutex_lock(&l->c->lock);
		idset_add(l->known, &fact);
		pthread_mutex_unlock(&l->c->lock);
	}
	return l->fn(l->arg, key, size, e);
}

static int cache_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
		      struct err *e)
{
	struct cache_store *c = of(s);
	struct listing l = {.c = c, .fn = fn, .arg = arg};
	struct idset old;

	l.known = strcmp(prefix, POINTS) == 0  ? &c->points
		  : strcmp(prefix, INDEX) == 0 ? &c->runs
					       : NULL;
	if (!l.known)
		return store_list(c->inner, prefix, fn, arg, e);
	if (store_list(c->inner, prefix, note, &l, e) < 0) {
		idset_done(&l.fresh);
		return -1;
	}
	pthread_mutex_lock(&c->lock);
	old = *l.known;
	*l.known = l.fresh;
	pthread_mutex_unlock(&c->lock);
	idset_done(&old);
	return 0;
}

/* ---- points ---- */

static const char *point_name(const char *key)
{
	return key + strlen(POINTS);
}

static bool kept_point(struct cache_store *c, const char *key, struct buf *ret)
{
	AUTO_BUF b = BUF_INIT;
	struct block_id fact;

	if (!point_fact(key, 0, &fact) || !disk_cache_get(c->disk, point_name(key), &b) ||
	    !is_shown_point(c, key, b.len))
		return false;
	*ret = b;
	b = BUF_INIT;
	return true;
}

/* The whole of a point, as it was written (format section 4). */
static bool is_whole(const uint8_t *p, size_t n)
{
	uint8_t hash[HASH_BYTES];

	if (n < HASH_BYTES)
		return false;
	sha256(p, n - HASH_BYTES, hash);
	return memcmp(hash, p + n - HASH_BYTES, HASH_BYTES) == 0;
}

static ssize_t get_point(struct cache_store *c, const char *key, uint64_t off, void *data,
			 size_t len, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	ssize_t n;

	if (kept_point(c, key, &b)) {
		n = off < b.len ? (ssize_t)MIN(len, b.len - off) : 0;
		if (n)
			memcpy(data, b.data + off, (size_t)n);
		return n;
	}
	n = store_get(c->inner, key, off, data, len, e);
	if (n > 0 && off == 0 && is_shown_point(c, key, (uint64_t)n) && is_whole(data, (size_t)n))
		disk_cache_put(c->disk, point_name(key), data, (size_t)n);
	return n;
}

static int cache_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	AUTO_BUF b = BUF_INIT;

	if (!kept_point(of(s), key, &b))
		return store_size(of(s)->inner, key, ret_size, e);
	*ret_size = b.len;
	return 0;
}

/* ---- pieces of runs ---- */

static size_t copy_out(const struct buf *b, size_t skip, void *out, size_t len)
{
	size_t n = skip < b->len ? MIN(len, b->len - skip) : 0;

	if (n)
		memcpy(out, b->data + skip, n);
	return n;
}

/* -1: it is not in memory. */
static ssize_t copy_recent(struct cache_store *c, const char *name, size_t skip, void *out,
			   size_t len)
{
	ssize_t n = -1;

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < RECENT && n < 0; i++) {
		if (strcmp(c->recent[i].name, name) == 0) {
			n = (ssize_t)copy_out(&c->recent[i].bytes, skip, out, len);
			c->recent[i].used = ++c->tick;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* In the place of the one that was used least recently. Two threads may keep the same twice. */
static void keep_recent(struct cache_store *c, const char *name, struct buf bytes)
{
	struct recent *r = &c->recent[0];
	struct buf old;

	pthread_mutex_lock(&c->lock);
	for (int i = 1; i < RECENT; i++) {
		if (c->recent[i].used < r->used)
			r = &c->recent[i];
	}
	old = r->bytes;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->bytes = bytes;
	r->used = ++c->tick;
	pthread_mutex_unlock(&c->lock);
	buf_done(&old);
}

static int fetch_piece(struct cache_store *c, const char *key, uint64_t number, const char *name,
		       struct buf *ret, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	ssize_t n;

	if (disk_cache_get(c->disk, name, ret))
		return 0;
	n = store_get(c->inner, key, number * STORE_CACHE_PIECE, buf_reserve(&b, STORE_CACHE_PIECE),
		      STORE_CACHE_PIECE, e);
	if (n < 0)
		return -1;
	b.len = (size_t)n;
	if (n)
		disk_cache_put(c->disk, name, b.data, b.len);
	*ret = b;
	b = BUF_INIT;
	return 0;
}

static ssize_t get_from_piece(struct cache_store *c, const char *key, uint64_t number, size_t skip,
			      void *out, size_t len, struct err *e)
{
	char name[DISK_CACHE_NAME_MAX];
	struct buf b = BUF_INIT;
	ssize_t n;

	snprintf(name, sizeof(name), "%s.%llu", key + strlen(INDEX), (unsigned long long)number);
	n = copy_recent(c, name, skip, out, len);
	if (n >= 0)
		return n;
	if (fetch_piece(c, key, number, name, &b, e) < 0)
		return -1;
	n = (ssize_t)copy_out(&b, skip, out, len);
	keep_recent(c, name, b);
	return n;
}

static ssize_t get_run(struct cache_store *c, const char *key, uint64_t off, void *data, size_t len,
		       struct err *e)
{
	size_t done = 0;

	while (done < len) {
		size_t skip = (size_t)((off + done) % STORE_CACHE_PIECE);
		size_t want = MIN(len - done, STORE_CACHE_PIECE - skip);
		ssize_t n = get_from_piece(c, key, (off + done) / STORE_CACHE_PIECE, skip,
					   (uint8_t *)data + done, want, e);

		if (n < 0)
			return -1;
		done += (size_t)n;
		if ((size_t)n < want)
			break;
	}
	return (ssize_t)done;
}

static ssize_t cache_get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
			 struct err *e)
{
	struct cache_store *c = of(s);
	struct block_id fact;

	if (run_fact(key, &fact) && is_shown(c, &c->runs, &fact))
		return get_run(c, key, off, data, len, e);
	return get_point(c, key, off, data, len, e);
}

/* ---- what goes through ---- */

static int cache_put_new(struct store *s, const char *key, const void *data, size_t len,
			 struct err *e)
{
	return store_put_new(of(s)->inner, key, data, len, e);
}

static int cache_remove(struct store *s, const char *key, struct err *e)
{
	return store_remove(of(s)->inner, key, e);
}

static int cache_remove_many(struct store *s, const char *const *keys, size_t n, struct err *e)
{
	return store_remove_some(of(s)->inner, keys, n, e);
}

static int cache_unfinished(struct store *s, bool end, struct err *e)
{
	return store_unfinished(of(s)->inner, end, e);
}

static struct store_session *cache_session_begin(struct store *s, const char *id, const void *data,
						 size_t len, struct err *e)
{
	return store_session_begin(of(s)->inner, id, data, len, e);
}

static int cache_session_revoke(struct store *s, const char *id, struct err *e)
{
	return store_session_revoke(of(s)->inner, id, e);
}

static void cache_stop_with(struct store *s, const struct cancel *cancel)
{
	store_stop_with(of(s)->inner, cancel);
}

static void cache_free(struct store *s)
{
	struct cache_store *c = of(s);

	for (int i = 0; i < RECENT; i++)
		buf_done(&c->recent[i].bytes);
	idset_done(&c->points);
	idset_done(&c->runs);
	disk_cache_free(c->disk);
	store_free(c->inner);
	pthread_mutex_destroy(&c->lock);
	free(c->s.url);
	free(c);
}

static const struct store_ops cache_ops = {
	.free = cache_free,
	.get = cache_get,
	.size = cache_size,
	.put_new = cache_put_new,
	.remove = cache_remove,
	.remove_many = cache_remove_many,
	.unfinished = cache_unfinished,
	.list = cache_list,
	.session_begin = cache_session_begin,
	.session_revoke = cache_session_revoke,
	.stop_with = cache_stop_with,
};

struct store *store_cache_new(struct store *inner, struct disk_cache *disk)
{
	struct cache_store *c = xcalloc(1, sizeof(*c));

	c->s.ops = &cache_ops;
	c->s.url = xstrdup(inner->url);
	c->s.late = inner->late;
	c->s.distant = inner->distant;
	c->s.arbiter = inner->arbiter;
	c->s.locks = inner->locks;
	c->s.locker = store_locker(inner);
	c->s.behind = inner;
	c->inner = inner;
	c->disk = disk;
	pthread_mutex_init(&c->lock, NULL);
	return &c->s;
}

/* Pieces of different targets lie apart: what one of them holds must not be taken for another's. */
static struct disk_cache *open_disk(const struct store *s, uint64_t limit, struct err *e)
{
	AUTO_FREE char *folder = disk_cache_folder();
	uint8_t hash[HASH_BYTES];
	char part[HASH_TEXT];

	if (!folder) {
		err_set(e, ERR_NOENT, "neither XDG_CACHE_HOME nor HOME is set");
		return NULL;
	}
	sha256(s->url, strlen(s->url), hash);
	hex_encode(hash, HASH_BYTES, part);
	part[PART_HEX] = 0;
	return disk_cache_open(folder, part, limit, e);
}

struct store *store_cache_wrap(struct store *inner, struct err *e)
{
	struct disk_cache *disk;
	struct err why = {0};
	uint64_t limit;

	if (!inner || !inner->distant)
		return inner;
	if (disk_cache_limit(&limit, e) < 0) {
		store_free(inner);
		return NULL;
	}
	disk = limit ? open_disk(inner, limit, &why) : NULL;
	if (!disk && limit)
		log_debug("nothing of the target is kept here: %s", why.msg);
	return disk ? store_cache_new(inner, disk) : inner;
}
