/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/server_key.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fio.h"
#include "base/hex.h"
#include "base/uuid.h"
#include "repo/seal.h"

#define DIGITS (2 * SEAL_KEY)
#define HEAD                                                                                       \
	"# Keys of the Holdfast server, the one in use first. Keep a copy elsewhere: without it "  \
	"the\n"                                                                                    \
	"# passwords and keys in the database cannot be read any more.\n"

struct entry {
	char id[SERVER_KEY_ID];
	struct secret *key;
};

struct list {
	struct entry v[SERVER_KEYS_MAX];
	size_t n;
};

struct server_keys {
	pthread_mutex_t lock;
	char *path;
	struct list keys;
};

static void list_done(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		secret_free(l->v[i].key);
	l->n = 0;
}

static void add(struct list *l, const uint8_t key[SEAL_KEY])
{
	static const char what[] = "holdfast server key id";
	struct entry *x = &l->v[l->n++];
	AUTO(digest) d = digest_new();
	uint8_t hash[HASH_BYTES];

	digest_add(d, what, sizeof(what));
	digest_add(d, key, SEAL_KEY);
	digest_take(d, hash);
	hex_encode(hash, (SERVER_KEY_ID - 1) / 2, x->id);
	x->key = secret_of(key, SEAL_KEY);
}

/* ---- the file ---- */

static int parse_line(struct list *l, const char *path, unsigned number, const char *text, size_t n,
		      struct err *e)
{
	uint8_t key[SEAL_KEY];

	while (n && (text[n - 1] == ' ' || text[n - 1] == '\r' || text[n - 1] == '\t'))
		n--;
	if (!n || *text == '#')
		return 0;
	if (l->n == SERVER_KEYS_MAX)
		return err_set(e, ERR_INVALID,
			       "%s:%u: more than %d keys; remove the oldest, at the end", path,
			       number, SERVER_KEYS_MAX);
	if (n != DIGITS || !hex_decode(text, SEAL_KEY, key))
		return err_set(e, ERR_INVALID, "%s:%u: a key is %d hexadecimal digits", path,
			       number, DIGITS);
	add(l, key);
	secret_wipe(key, sizeof(key));
	return 0;
}

static int parse(struct list *l, const char *path, const struct buf *b, struct err *e)
{
	const char *p = (const char *)b->data;
	const char *end = p + b->len;

	for (unsigned number = 1; p < end; number++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((stop ? stop : end) - p);

		if (parse_line(l, path, number, p, n, e))
			return -1;
		p += n + (stop != NULL);
	}
	if (!l->n)
		return err_set(e, ERR_INVALID, "%s has no key", path);
	return 0;
}

static int load(const char *path, struct list *ret, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	struct list l = {.n = 0};
	struct stat st;
	int rc;

	if (stat(path, &st))
		return err_sys(e, errno, "server key %s", path);
	if (S_ISREG(st.st_mode) && (st.st_mode & (S_IWGRP | S_IRWXO)))
		return err_set(e, ERR_INVALID,
			       "server key %s: others can read it (mode %03o); chmod 600 it", path,
			       st.st_mode & 0777u);
	if (fio_slurp(path, SERVER_KEY_FILE_MAX, &b, e))
		return err_wrap(e, "server key");
	rc = parse(&l, path, &b, e);
	if (b.data)
		secret_wipe(b.data, b.len);
	if (rc)
		list_done(&l);
	else
		*ret = l;
	return rc;
}

static int store(const char *path, const struct list *l, bool replace, struct err *e)
{
	AUTO_FREE char *fresh = xasprintf("%s.new", path);
	AUTO_BUF b = BUF_INIT;
	AUTO_CLOSE int fd = -1;
	char hex[DIGITS + 1];
	int rc = -1;

	buf_reserve(&b, sizeof(HEAD) + (DIGITS + 1) * l->n);
	buf_text(&b, HEAD);
	for (size_t i = 0; i < l->n; i++) {
		buf_text(&b, hex_encode(l->v[i].key->data, SEAL_KEY, hex));
		buf_text(&b, "\n");
	}
	secret_wipe(hex, sizeof(hex));
	/* If interrupted here: the old file, or none, and one beside it that nobody reads. */
	fd = fio_create(fresh, e);
	if (fd >= 0 && !fio_write(fd, b.data, b.len, fresh, e) && !fio_fsync(fd, fresh, e))
		rc = fio_move(fresh, path, replace, e);
	if (rc)
		unlink(fresh);
	secret_wipe(b.data, b.len);
	return rc ? err_wrap(e, "server key") : 0;
}

/* ---- the keys ---- */

static struct server_keys *keys_new(const char *path)
{
	struct server_keys *k = xcalloc(1, sizeof(*k));

	pthread_mutex_init(&k->lock, NULL);
	k->path = xstrdup(path);
	return k;
}

struct server_keys *server_keys_load(const char *path, struct err *e)
{
	AUTO(server_keys) k = keys_new(path);

	if (load(path, &k->keys, e))
		return NULL;
	return steal(&k);
}

static void add_random(struct list *l)
{
	uint8_t key[SEAL_KEY];

	random_bytes(key, sizeof(key));
	add(l, key);
	secret_wipe(key, sizeof(key));
}

struct server_keys *server_keys_make(const char *path, struct err *e)
{
	AUTO(server_keys) k = keys_new(path);

	add_random(&k->keys);
	if (store(path, &k->keys, false, e))
		return NULL;
	return steal(&k);
}

void server_keys_free(struct server_keys *k)
{
	if (!k)
		return;
	list_done(&k->keys);
	pthread_mutex_destroy(&k->lock);
	free(k->path);
	free(k);
}

struct secret *server_keys_current(struct server_keys *k, char ret_id[SERVER_KEY_ID])
{
	struct secret *s;

	pthread_mutex_lock(&k->lock);
	memcpy(ret_id, k->keys.v[0].id, SERVER_KEY_ID);
	s = secret_of(k->keys.v[0].key->data, SEAL_KEY);
	pthread_mutex_unlock(&k->lock);
	return s;
}

static struct secret *lookup(struct server_keys *k, const char *id)
{
	struct secret *s = NULL;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < k->keys.n && !s; i++)
		if (!strcmp(k->keys.v[i].id, id))
			s = secret_of(k->keys.v[i].key->data, SEAL_KEY);
	pthread_mutex_unlock(&k->lock);
	return s;
}

static void put(struct server_keys *k, struct list *l)
{
	struct list old;

	pthread_mutex_lock(&k->lock);
	old = k->keys;
	k->keys = *l;
	pthread_mutex_unlock(&k->lock);
	list_done(&old);
}

struct secret *server_keys_find(struct server_keys *k, const char *id, struct err *e)
{
	struct secret *s = lookup(k, id);
	struct list l;

	if (s)
		return s;
	/* Another process may have renewed it. */
	if (load(k->path, &l, e))
		return NULL;
	put(k, &l);
	s = lookup(k, id);
	if (!s)
		err_set(e, ERR_KEY,
			"the server key %s is needed, and %s has not got it: put that key back, at "
			"the end of the file",
			id, k->path);
	return s;
}

int server_keys_renew(struct server_keys *k, struct err *e)
{
	struct list l = {.n = 0};
	struct list old;

	/* From the file: somebody may have changed it. */
	if (load(k->path, &old, e))
		return -1;
	if (old.n == SERVER_KEYS_MAX) {
		list_done(&old);
		return err_set(e, ERR_LIMIT,
			       "%s has %d keys already: remove the oldest, at its end", k->path,
			       SERVER_KEYS_MAX);
	}
	add_random(&l);
	for (size_t i = 0; i < old.n; i++)
		add(&l, old.v[i].key->data);
	list_done(&old);
	if (store(k->path, &l, true, e)) {
		list_done(&l);
		return -1;
	}
	put(k, &l);
	return 0;
}
