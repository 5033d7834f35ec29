/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory, for tests: the same promises as any other, and nothing survives it. Objects
 * are a list; sessions are objects whose presence decides, under the lock, whether a commit
 * succeeds.
 */
#include "repo/store_mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct object {
	char key[STORE_KEY_MAX];
	struct buf bytes;
	struct object *next;
};

struct mem_store {
	struct store s;
	pthread_mutex_t lock;
	struct object *objects;
};

struct mem_session {
	struct store_session ss;
	struct mem_store *m;
	char key[STORE_KEY_MAX];
};

struct mem_upload {
	struct store_upload u;
	struct mem_store *m;
	char session[STORE_KEY_MAX];
	struct buf bytes;
};

static struct mem_store *of(struct store *s)
{
	return (struct mem_store *)s;
}

/* The link that points to the object, or to the end of the list. Called with the lock held. */
static struct object **find(struct mem_store *m, const char *key)
{
	struct object **link = &m->objects;

	while (*link && strcmp((*link)->key, key) != 0)
		link = &(*link)->next;
	return link;
}

static int no_such(const char *key, struct err *e)
{
	return err_set(e, ERR_NOENT, "mem:/%s: no such object", key);
}

/* Create or replace. Called with the lock held. */
static void put(struct mem_store *m, const char *key, const void *data, size_t len)
{
	struct object **link = find(m, key), *o = *link;

	if (!o) {
		o = xcalloc(1, sizeof(*o));
		snprintf(o->key, sizeof(o->key), "%s", key);
		*link = o;
	}
	buf_done(&o->bytes);
	buf_add(&o->bytes, data, len);
}

static bool drop(struct mem_store *m, const char *key)
{
	struct object **link = find(m, key), *o = *link;

	if (!o)
		return false;
	*link = o->next;
	buf_done(&o->bytes);
	free(o);
	return true;
}

static void mem_free(struct store *s)
{
	struct mem_store *m = of(s);

	while (m->objects)
		drop(m, m->objects->key);
	pthread_mutex_destroy(&m->lock);
	free(m->s.url);
	free(m);
}

static ssize_t mem_get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
		       struct err *e)
{
	struct mem_store *m = of(s);
	struct object *o;
	ssize_t n = -1;

	pthread_mutex_lock(&m->lock);
	o = *find(m, key);
	if (o) {
		n = off < o->bytes.len ? (ssize_t)MIN(len, o->bytes.len - off) : 0;
		if (n)
			memcpy(data, o->bytes.data + off, (size_t)n);
	}
	pthread_mutex_unlock(&m->lock);
	return o ? n : no_such(key, e);
}

static int mem_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	struct mem_store *m = of(s);
	struct object *o;

	pthread_mutex_lock(&m->lock);
	o = *find(m, key);
	if (o)
		*ret_size = o->bytes.len;
	pthread_mutex_unlock(&m->lock);
	return o ? 0 : no_such(key, e);
}

static int mem_put_new(struct store *s, const char *key, const void *data, size_t len,
		       struct err *e)
{
	struct mem_store *m = of(s);
	bool there;

	pthread_mutex_lock(&m->lock);
	there = *find(m, key) != NULL;
	if (!there)
		put(m, key, data, len);
	pthread_mutex_unlock(&m->lock);
	return there ? err_set(e, ERR_EXISTS, "mem:/%s exists already", key) : 0;
}

static int mem_remove(struct store *s, const char *key, struct err *e)
{
	struct mem_store *m = of(s);

	(void)e;
	pthread_mutex_lock(&m->lock);
	drop(m, key);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* Copy the matching names first, so that `fn` may change the store. */
static int mem_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
		    struct err *e)
{
	struct mem_store *m = of(s);
	struct object *copy = NULL;
	size_t n = 0;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	for (struct object *o = m->objects; o; o = o->next) {
		if (strncmp(o->key, prefix, strlen(prefix)) != 0)
			continue;
		copy = xreallocarray(copy, n + 1, sizeof(*copy));
		copy[n++] = *o;
	}
	pthread_mutex_unlock(&m->lock);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fn(arg, copy[i].key, copy[i].bytes.len, e);
	free(copy);
	return rc;
}

static int upload_write(struct store_upload *u, const void *data, size_t len, struct err *e)
{
	(void)e;
	buf_add(&((struct mem_upload *)u)->bytes, data, len);
	return 0;
}

static void upload_abort(struct store_upload *u)
{
	buf_done(&((struct mem_upload *)u)->bytes);
	free(u);
}

static int upload_finish(struct store_upload *u, const char *key, struct err *e)
{
	struct mem_upload *up = (struct mem_upload *)u;
	int rc = 0;

	/* What a revoked session had begun is gone with it. */
	pthread_mutex_lock(&up->m->lock);
	if (*find(up->m, up->session))
		put(up->m, key, up->bytes.data, up->bytes.len);
	else
		rc = no_such(up->session, e);
	pthread_mutex_unlock(&up->m->lock);
	upload_abort(u);
	return rc;
}

static const struct store_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.abort = upload_abort,
};

static struct store_upload *session_upload(struct store_session *ss, struct err *e)
{
	struct mem_upload *up = xcalloc(1, sizeof(*up));

	(void)e;
	up->u.ops = &upload_ops;
	up->m = ((struct mem_session *)ss)->m;
	memcpy(up->session, ((struct mem_session *)ss)->key, STORE_KEY_MAX);
	return &up->u;
}

static int session_renew(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct mem_session *ses = (struct mem_session *)ss;
	bool there;

	pthread_mutex_lock(&ses->m->lock);
	there = *find(ses->m, ses->key) != NULL;
	if (there)
		put(ses->m, ses->key, data, len);
	pthread_mutex_unlock(&ses->m->lock);
	return there ? 0 : no_such(ses->key, e);
}

static int session_commit(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct mem_session *ses = (struct mem_session *)ss;
	char point[STORE_KEY_MAX];
	bool there;

	snprintf(point, sizeof(point), "points/%s", ses->key + strlen("sessions/"));
	pthread_mutex_lock(&ses->m->lock);
	there = drop(ses->m, ses->key);
	if (there)
		put(ses->m, point, data, len);
	pthread_mutex_unlock(&ses->m->lock);
	return there ? 0 : no_such(ses->key, e);
}

static void session_end(struct store_session *ss)
{
	struct mem_session *ses = (struct mem_session *)ss;

	mem_remove(&ses->m->s, ses->key, NULL);
	free(ses);
}

static const struct store_session_ops session_ops = {
	.renew = session_renew,
	.upload = session_upload,
	.commit = session_commit,
	.end = session_end,
};

static struct store_session *mem_session_begin(struct store *s, const char *id, const void *data,
					       size_t len, struct err *e)
{
	struct mem_session *ses = xcalloc(1, sizeof(*ses));

	ses->ss.ops = &session_ops;
	ses->m = of(s);
	snprintf(ses->key, sizeof(ses->key), "sessions/%s", id);
	if (mem_put_new(s, ses->key, data, len, e) < 0) {
		free(ses);
		return NULL;
	}
	return &ses->ss;
}

static int mem_session_revoke(struct store *s, const char *id, struct err *e)
{
	char key[STORE_KEY_MAX];

	snprintf(key, sizeof(key), "sessions/%s", id);
	return mem_remove(s, key, e);
}

static const struct store_ops mem_ops = {
	.free = mem_free,
	.get = mem_get,
	.size = mem_size,
	.put_new = mem_put_new,
	.remove = mem_remove,
	.list = mem_list,
	.session_begin = mem_session_begin,
	.session_revoke = mem_session_revoke,
};

struct store *store_mem_new(void)
{
	struct mem_store *m = xcalloc(1, sizeof(*m));

	m->s.ops = &mem_ops;
	m->s.url = xstrdup("mem:");
	pthread_mutex_init(&m->lock, NULL);
	return &m->s;
}

uint8_t *store_mem_bytes(struct store *s, const char *key, size_t *ret_len)
{
	struct mem_store *m = of(s);
	struct object *o;

	pthread_mutex_lock(&m->lock);
	o = *find(m, key);
	pthread_mutex_unlock(&m->lock);
	if (!o)
		return NULL;
	*ret_len = o->bytes.len;
	return o->bytes.data;
}

void store_mem_resize(struct store *s, const char *key, size_t len)
{
	struct mem_store *m = of(s);
	struct object *o;

	pthread_mutex_lock(&m->lock);
	o = *find(m, key);
	if (o && len > o->bytes.len)
		buf_fill(&o->bytes, 0, len - o->bytes.len);
	else if (o)
		o->bytes.len = len;
	pthread_mutex_unlock(&m->lock);
}
