/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is decided is decided in the arbiter first, and copied to the bucket then:
 *
 *   commit   the arbiter's session commits; the point is put into the bucket.
 *            If interrupted between: whoever reads the point makes the copy. Nobody was told that
 *            there is a checkpoint before that.
 *   remove   from the arbiter, then from the bucket. If interrupted between: it is still there.
 *   copying  once the copy is made, its maker looks into the arbiter: a point that is not there any
 *            more was removed meanwhile, and the copy goes. That is why the arbiter keeps points.
 *   create   (keys, header) in the arbiter, then in the bucket. If interrupted between: the next
 *            session makes the copy.
 *
 * What is listed is what either has: a bucket that was given a new arbiter is whole, and an arbiter
 * that was set back to an older state hides nothing.
 */
#include "repo/store_arbiter.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "net/s3_place.h"
#include "repo/header.h"
#include "repo/idset.h"
#include "repo/seal.h"

#define POINTS "points/"
#define KEYS "keys/"
#define EPOCHS "epochs/"
#define SESSIONS "sessions/"
#define COPY_MAX ((size_t)16 << 20) /* no point, key ring or header is larger */

struct arbiter_store {
	struct store s;
	struct store *bucket, *arbiter;
	pthread_mutex_t lock;
	bool agreed; /* the two belong together */
};

static struct arbiter_store *of(struct store *s)
{
	return (struct arbiter_store *)s;
}

static bool starts(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

/* Where an object lies. */
enum place { BUCKET, ARBITER, BOTH };

static enum place place_of(const char *key)
{
	if (starts(key, SESSIONS) || starts(key, EPOCHS))
		return ARBITER;
	if (starts(key, POINTS) || starts(key, KEYS) || strcmp(key, HEADER_KEY) == 0)
		return BOTH;
	return BUCKET;
}

/* Hand `why` up unless it is of this kind. */
static int unless(enum err_kind kind, const struct err *why, struct err *e)
{
	if (why->kind == kind)
		return 0;
	if (e)
		*e = *why;
	return -1;
}

/* ---- copies ---- */

/* The object of the arbiter; 1, or 0: there is none. */
static int decided(struct arbiter_store *x, const char *key, struct buf *ret, struct err *e)
{
	struct err why = {0};

	if (store_slurp(x->arbiter, key, COPY_MAX, ret, &why) == 0)
		return 1;
	return unless(ERR_NOENT, &why, e);
}

static int put_copy(struct arbiter_store *x, const char *key, const struct buf *b, struct err *e)
{
	struct err why = {0};

	if (store_put_new(x->bucket, key, b->data, b->len, &why) == 0)
		return 0;
	/* Two write the same. */
	return unless(ERR_EXISTS, &why, e);
}

/* After a point's copy was made: 1 it counts, 0 the point was removed meanwhile, and is. */
static int still_there(struct arbiter_store *x, const char *key)
{
	struct err why = {0};
	uint64_t size;

	if (!starts(key, POINTS) || store_size(x->arbiter, key, &size, &why) == 0 ||
	    why.kind != ERR_NOENT)
		return 1;
	store_remove(x->bucket, key, NULL);
	return 0;
}

/* What was decided and has no copy: make it; `ret` takes the bytes. 1, 0: there is no such object.
 * A reader that may not write still reads. */
static int complete(struct arbiter_store *x, const char *key, struct buf *ret, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	struct err why = {0};
	int rc = decided(x, key, &b, e);

	if (rc <= 0)
		return rc;
	if (put_copy(x, key, &b, &why) < 0)
		log_debug("copying what the arbiter has: %s", why.msg);
	else if (!still_there(x, key))
		return 0;
	*ret = b;
	b = BUF_INIT;
	return 1;
}

/* ---- do the two belong together? ---- */

static int complete_key(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct arbiter_store *x = arg;
	AUTO_BUF b = BUF_INIT;
	int there = store_has(x->bucket, key, e);

	(void)size;
	return there ? MIN(there, 0) : MIN(complete(x, key, &b, e), 0);
}

/* The bucket's header: 1, or 0 where there is none that is whole. */
static int bucket_header(struct arbiter_store *x, struct buf *ret, struct err *e)
{
	struct err why = {0};
	struct header h;

	if (store_slurp(x->bucket, HEADER_KEY, HEADER_MAX, ret, &why) < 0)
		return unless(why.kind == ERR_LIMIT ? ERR_LIMIT : ERR_NOENT, &why, e);
	return header_decode(ret->data, ret->len, &h, NULL) == 0;
}

static int compare_headers(struct arbiter_store *x, struct err *e)
{
	AUTO_BUF a = BUF_INIT;
	AUTO_BUF b = BUF_INIT;
	int mine = decided(x, HEADER_KEY, &a, e);
	int its = mine < 0 ? -1 : bucket_header(x, &b, e);

	if (its < 0)
		return -1;
	if (its && !mine)
		return err_set(
			e, ERR_CONFLICT,
			"the arbiter %s knows nothing of the repository in %s: give the one "
			"that decides for it; if that is lost for good, end every backup and "
			"collection there, and name a new one by 'holdfast target arbiter'",
			x->arbiter->url, x->s.url);
	if (its && (a.len != b.len || memcmp(a.data, b.data, a.len) != 0))
		return err_set(e, ERR_CONFLICT,
			       "the arbiter %s does not decide for the repository in %s: give the "
			       "one that does, or see 'holdfast help target arbiter'",
			       x->arbiter->url, x->s.url);
	if (!mine || its)
		return 0;
	/* Missing or damaged. */
	return store_remove(x->bucket, HEADER_KEY, e) < 0 ? -1 : put_copy(x, HEADER_KEY, &a, e);
}

/* Before anything is decided. */
static int agree(struct arbiter_store *x, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&x->lock);
	if (!x->agreed) {
		rc = compare_headers(x, e);
		if (rc == 0)
			rc = store_list(x->arbiter, KEYS, complete_key, x, e);
		x->agreed = rc == 0;
	}
	pthread_mutex_unlock(&x->lock);
	return rc;
}

/* ---- objects ---- */

static ssize_t arb_get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
		       struct err *e)
{
	struct arbiter_store *x = of(s);
	enum place place = place_of(key);
	AUTO_BUF b = BUF_INIT;
	struct err why = {0};
	ssize_t n;
	int rc;

	n = store_get(place == ARBITER ? x->arbiter : x->bucket, key, off, data, len, &why);
	if (n >= 0)
		return n;
	if (place != BOTH || why.kind != ERR_NOENT)
		return unless(ERR_NONE, &why, e);
	rc = complete(x, key, &b, e);
	if (rc <= 0)
		return rc < 0 ? -1 : unless(ERR_NONE, &why, e);
	n = off < b.len ? (ssize_t)MIN(len, b.len - off) : 0;
	if (n)
		memcpy(data, b.data + off, (size_t)n);
	return n;
}

static int arb_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	struct arbiter_store *x = of(s);
	enum place place = place_of(key);
	struct err why = {0};

	if (place == ARBITER)
		return store_size(x->arbiter, key, ret_size, e);
	if (store_size(x->bucket, key, ret_size, &why) == 0)
		return 0;
	if (place != BOTH || why.kind != ERR_NOENT)
		return unless(ERR_NONE, &why, e);
	return store_size(x->arbiter, key, ret_size, e);
}

static int arb_put_new(struct store *s, const char *key, const void *data, size_t len,
		       struct err *e)
{
	struct arbiter_store *x = of(s);
	struct buf b = {.data = (uint8_t *)data, .len = len};

	if (place_of(key) == BUCKET)
		return store_put_new(x->bucket, key, data, len, e);
	if (agree(x, e) < 0 || store_put_new(x->arbiter, key, data, len, e) < 0)
		return -1;
	return place_of(key) == BOTH ? put_copy(x, key, &b, e) : 0;
}

static int arb_remove(struct store *s, const char *key, struct err *e)
{
	struct arbiter_store *x = of(s);
	enum place place = place_of(key);

	if (place != BUCKET && (agree(x, e) < 0 || store_remove(x->arbiter, key, e) < 0))
		return -1;
	return place != ARBITER ? store_remove(x->bucket, key, e) : 0;
}

static int arb_remove_many(struct store *s, const char *const *keys, size_t n, struct err *e)
{
	size_t bulk = 0;

	while (bulk < n && place_of(keys[bulk]) == BUCKET)
		bulk++;
	if (bulk && store_remove_some(of(s)->bucket, keys, bulk, e) < 0)
		return -1;
	for (size_t i = bulk; i < n; i++) {
		if (arb_remove(s, keys[i], e) < 0)
			return -1;
	}
	return 0;
}

/* ---- listing ---- */

struct listing {
	store_list_fn *fn;
	void *arg;
	struct idset told;
};

/* By the hash of its name. */
static int tell_once(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct listing *l = arg;
	struct block_id name;

	sha256(key, strlen(key), name.b);
	return idset_add(&l->told, &name) ? l->fn(l->arg, key, size, e) : 0;
}

static int arb_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
		    struct err *e)
{
	struct arbiter_store *x = of(s);
	struct listing l = {.fn = fn, .arg = arg};
	int rc;

	if (place_of(prefix) != BOTH)
		return store_list(place_of(prefix) == BUCKET ? x->bucket : x->arbiter, prefix, fn,
				  arg, e);
	/* In this order: what gets its copy in between is told. */
	rc = store_list(x->arbiter, prefix, tell_once, &l, e);
	if (rc == 0)
		rc = store_list(x->bucket, prefix, tell_once, &l, e);
	idset_done(&l.told);
	return rc;
}

/* ---- sessions ---- */

struct arb_session {
	struct store_session ss;
	struct arbiter_store *x;
	struct store_session *decides, *sends; /* the arbiter's, and the bucket's */
	char state[STORE_KEY_MAX], point[STORE_KEY_MAX];
};

struct arb_upload {
	struct store_upload u;
	struct arb_session *ses;
	struct store_upload *inner;
};

static int upload_write(struct store_upload *u, const void *data, size_t len, struct err *e)
{
	struct store_upload *inner = ((struct arb_upload *)u)->inner;

	return inner->ops->write(inner, data, len, e);
}

static void upload_abort(struct store_upload *u)
{
	struct store_upload *inner = ((struct arb_upload *)u)->inner;

	inner->ops->abort(inner);
	free(u);
}

static int upload_finish(struct store_upload *u, const char *key, struct err *e)
{
	struct arb_upload *up = (struct arb_upload *)u;
	struct arb_session *ses = up->ses;
	uint64_t size;
	int rc;

	up->inner->replaces = u->replaces;
	rc = up->inner->ops->finish(up->inner, key, e);
	free(up);
	/* Afterwards: a session that is revoked later was there when the object was. */
	return rc < 0 ? -1 : store_size(ses->x->arbiter, ses->state, &size, e);
}

static const struct store_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.abort = upload_abort,
};

static struct store_upload *session_upload(struct store_session *ss, struct err *e)
{
	struct arb_session *ses = (struct arb_session *)ss;
	struct store_upload *inner = ses->sends->ops->upload(ses->sends, e);
	struct arb_upload *up;

	if (!inner)
		return NULL;
	up = xcalloc(1, sizeof(*up));
	up->u.ops = &upload_ops;
	up->ses = ses;
	up->inner = inner;
	return &up->u;
}

static int session_renew(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct store_session *decides = ((struct arb_session *)ss)->decides;

	return decides->ops->renew(decides, data, len, e);
}

static int session_commit(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct arb_session *ses = (struct arb_session *)ss;

	if (ses->decides->ops->commit(ses->decides, data, len, e) < 0)
		return -1;
	if (ses->sends->ops->commit(ses->sends, data, len, e) < 0)
		return err_wrap(e, "the checkpoint is made, but not its copy in the bucket, which "
				   "whoever reads it makes");
	return still_there(ses->x, ses->point)
		       ? 0
		       : err_set(e, ERR_NOENT, "%s/%s was removed as soon as it was there",
				 ses->x->s.url, ses->point);
}

static void session_end(struct store_session *ss)
{
	struct arb_session *ses = (struct arb_session *)ss;

	store_session_end(ses->decides);
	store_session_end(ses->sends);
	free(ses);
}

static const struct store_session_ops session_ops = {
	.renew = session_renew,
	.upload = session_upload,
	.commit = session_commit,
	.end = session_end,
};

static struct store_session *arb_session_begin(struct store *s, const char *id, const void *data,
					       size_t len, struct err *e)
{
	struct arbiter_store *x = of(s);
	struct arb_session *ses;

	if (agree(x, e) < 0)
		return NULL;
	ses = xcalloc(1, sizeof(*ses));
	ses->ss.ops = &session_ops;
	ses->x = x;
	snprintf(ses->state, sizeof(ses->state), SESSIONS "%s", id);
	snprintf(ses->point, sizeof(ses->point), POINTS "%s", id);
	ses->decides = store_session_begin(x->arbiter, id, data, len, e);
	if (ses->decides)
		ses->sends = store_session_begin(x->bucket, id, data, len, e);
	if (!ses->sends) {
		session_end(&ses->ss);
		return NULL;
	}
	ses->ss.locker = ses->sends;
	return &ses->ss;
}

static int arb_session_revoke(struct store *s, const char *id, struct err *e)
{
	return agree(of(s), e) < 0 ? -1 : store_session_revoke(of(s)->arbiter, id, e);
}

/* ---- the rest of store_ops ---- */

static int arb_unfinished(struct store *s, bool end, struct err *e)
{
	return store_unfinished(of(s)->bucket, end, e);
}

static int arb_sweep(struct store *s, struct err *e)
{
	return store_sweep(of(s)->arbiter, e);
}

static void arb_stop_with(struct store *s, const struct cancel *cancel)
{
	store_stop_with(of(s)->bucket, cancel);
	store_stop_with(of(s)->arbiter, cancel);
}

static void arb_free(struct store *s)
{
	struct arbiter_store *x = of(s);

	store_free(x->bucket);
	store_free(x->arbiter);
	pthread_mutex_destroy(&x->lock);
	free(x->s.url);
	free(x);
}

static const struct store_ops arb_ops = {
	.free = arb_free,
	.get = arb_get,
	.size = arb_size,
	.put_new = arb_put_new,
	.remove = arb_remove,
	.remove_many = arb_remove_many,
	.unfinished = arb_unfinished,
	.list = arb_list,
	.session_begin = arb_session_begin,
	.session_revoke = arb_session_revoke,
	.sweep = arb_sweep,
	.stop_with = arb_stop_with,
};

struct store *store_arbiter_new(struct store *bucket, struct store *arbiter)
{
	struct arbiter_store *x = xcalloc(1, sizeof(*x));

	x->s.ops = &arb_ops;
	x->s.url = xstrdup(bucket->url);
	x->s.late = bucket->late;
	x->s.distant = bucket->distant;
	x->s.arbiter = arbiter->url;
	x->s.locks = bucket->locks;
	x->s.locker = store_locker(bucket);
	x->bucket = bucket;
	x->arbiter = arbiter;
	pthread_mutex_init(&x->lock, NULL);
	return &x->s;
}

static struct store *open_arbiter(const char *url, const struct sigv4_key *key, bool create,
				  struct err *e)
{
	if (strncmp(url, "s3:", 3) == 0 && !s3_place_arbiter(url + 3))
		return store_s3_open(url + 3, key, e);
	if (strncmp(url, "dir:", 4) == 0)
		return store_dir_open(url + 4, create, NULL, NULL, e);
	err_set(e, ERR_INVALID,
		"the arbiter '%s': write arbiter=dir:PATH, or arbiter=s3:BUCKET of a service that "
		"keeps conditions, at the end of the target",
		url);
	return NULL;
}

struct store *store_bucket_open(const char *url, const struct sigv4_key *key, bool create,
				struct err *e)
{
	const char *place = s3_place_arbiter(url);
	AUTO(store) bucket = store_s3_open(url, key, e);
	struct store *arbiter;

	if (!bucket || !place)
		return steal(&bucket);
	arbiter = open_arbiter(place, key, create, e);
	if (!arbiter) {
		err_wrap(e, "the arbiter of the target, which only writers need");
		return NULL;
	}
	store_s3_unconditional(bucket);
	return store_arbiter_new(steal(&bucket), arbiter);
}

/* ---- taking over ---- */

/* What collectors that died were about to remove is still lost. */
static int take_epoch(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct arbiter_store *x = arg;
	AUTO_BUF b = BUF_INIT;
	struct err why = {0};

	(void)size;
	if (store_slurp(x->bucket, key, COPY_MAX, &b, e) < 0)
		return -1;
	return store_put_new(x->arbiter, key, b.data, b.len, &why) == 0
		       ? 0
		       : unless(ERR_EXISTS, &why, e);
}

/* The arbiter's header, made if it has none. */
static int take_header(struct arbiter_store *x, const struct header *want, struct buf *ret,
		       struct err *e)
{
	int rc = decided(x, HEADER_KEY, ret, e);
	struct header h;

	if (rc > 0 && header_decode(ret->data, ret->len, &h, e) < 0)
		return err_wrap(e, "%s/%s", x->arbiter->url, HEADER_KEY);
	if (rc > 0 && (uuid_is_zero(&h.arbiter) || !uuid_equal(&h.id, &want->id)))
		return err_set(e, ERR_EXISTS,
			       "%s decides for another repository: give each one its own",
			       x->arbiter->url);
	if (rc != 0)
		return MIN(rc, 0);
	header_encode(want, ret);
	return store_put_new(x->arbiter, HEADER_KEY, ret->data, ret->len, e);
}

int store_arbiter_take(struct store *s, const struct uuid *id, unsigned parity, struct err *e)
{
	struct header want = {.id = *id, .parity = parity, .arbiter = uuid_random()};
	struct arbiter_store *x = of(store_behind(s));
	AUTO_BUF header = BUF_INIT;

	if (!s->arbiter)
		return err_set(e, ERR_INVALID,
			       "the target %s names no arbiter: add one, as in "
			       "s3:BUCKET?arbiter=dir:PATH",
			       s->url);
	if (store_list(x->bucket, EPOCHS, take_epoch, x, e) < 0 ||
	    take_header(x, &want, &header, e) < 0 || store_remove(x->bucket, HEADER_KEY, e) < 0)
		return -1;
	return put_copy(x, HEADER_KEY, &header, e);
}
