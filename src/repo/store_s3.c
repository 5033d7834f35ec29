/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in a bucket of an S3 service: its objects. Each is one object there, under the same name
 * behind the target's prefix.
 *
 * A request that had no answer is sent again (libcurl does that, too, and does not tell), and the
 * first one may have been carried out, or may be yet. So where a condition fails, the object itself
 * is asked who won: no two callers write the same bytes.
 */
#include "repo/store.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "net/s3_lock.h"
#include "repo/store_s3_priv.h"

static void forget_uploads(struct s3_store *d)
{
	while (d->n_uploads) {
		struct s3_upload_name *u = &d->uploads[--d->n_uploads];

		free(u->key);
		free(u->upload);
	}
	free(d->uploads);
	d->uploads = NULL;
}

static void s3_store_free(struct store *s)
{
	struct s3_store *d = s3_of(s);

	forget_uploads(d);
	s3_free(d->s3);
	pthread_mutex_destroy(&d->lock);
	free(d->s.url);
	free(d);
}

void s3_name(const char *prefix, const char *id, char out[STORE_KEY_MAX])
{
	snprintf(out, STORE_KEY_MAX, "%s%s", prefix, id);
}

static bool starts(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

static int not_there(struct s3_store *d, const char *key, struct err *e)
{
	return err_set(e, ERR_NOENT, "%s/%s: no such object", d->s.url, key);
}

static ssize_t s3_store_get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
			    struct err *e)
{
	struct s3_store *d = s3_of(s);
	struct s3_info info;
	uint8_t none;
	ssize_t n = s3_get(d->s3, key, off, len ? data : &none, len ? len : 1, &info, e);

	if (n >= 0 && starts(key, S3_POINTS) && s3_no_point(info.size))
		return not_there(d, key, e);
	return len ? n : MIN(n, 0);
}

static int s3_store_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	struct s3_store *d = s3_of(s);
	struct s3_info info;

	if (s3_head(d->s3, key, &info, e) < 0)
		return -1;
	if (starts(key, S3_POINTS) && s3_no_point(info.size))
		return not_there(d, key, e);
	*ret_size = info.size;
	return 0;
}

int s3_holds(struct s3_store *d, const char *key, const void *data, size_t len, char *ret_etag,
	     struct err *e)
{
	AUTO_FREE uint8_t *got = xmalloc(len + 1);
	struct err why = {0};
	struct s3_info info;
	ssize_t n = s3_get(d->s3, key, 0, got, len + 1, &info, &why);

	if (n < 0 && why.kind == ERR_NOENT)
		return 0;
	if (n < 0 && e)
		*e = why;
	if (n < 0)
		return -1;
	if ((size_t)n != len || memcmp(got, data, len) != 0)
		return 0;
	if (ret_etag)
		memcpy(ret_etag, info.etag, S3_ETAG);
	return 1;
}

int s3_create(struct s3_store *d, const char *key, const void *data, size_t len, char *ret_etag,
	      char *ret_version, struct err *e)
{
	struct s3_put put = {.key = key,
			     .data = data,
			     .len = len,
			     .if_absent = !d->plain,
			     .ret_version = ret_version};
	struct err why = {0};

	if (s3_put(d->s3, &put, ret_etag, &why) == 0 ||
	    (why.kind == ERR_EXISTS && s3_holds(d, key, data, len, ret_etag, NULL) > 0))
		return 0;
	if (e)
		*e = why;
	return -1;
}

static int s3_put_new(struct store *s, const char *key, const void *data, size_t len, struct err *e)
{
	return s3_create(s3_of(s), key, data, len, NULL, NULL, e);
}

static int s3_remove(struct store *s, const char *key, struct err *e)
{
	return s3_remove_object(s3_of(s), key, false, e);
}

static int s3_remove_many(struct store *s, const char *const *keys, size_t n, struct err *e)
{
	struct s3_store *d = s3_of(s);

	if (!s3_has_versions(d->s3))
		return s3_delete_many(d->s3, keys, n, e);
	/* That would only hide them. */
	for (size_t i = 0; i < n; i++) {
		if (s3_remove_object(d, keys[i], false, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- listing ---- */

struct listing {
	store_list_fn *fn;
	void *arg;
	char (*ids)[STORE_KEY_MAX]; /* of sessions that were told already */
	size_t n;
};

static int pass(void *arg, const char *key, uint64_t size, struct err *e)
{
	const struct listing *l = arg;

	return strlen(key) < STORE_KEY_MAX ? l->fn(l->arg, key, size, e) : 0;
}

static int pass_points(void *arg, const char *key, uint64_t size, struct err *e)
{
	return s3_no_point(size) ? 0 : pass(arg, key, size, e);
}

/* A session that can still commit. */
static int pass_marks(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct listing *l = arg;
	char name[STORE_KEY_MAX];

	if (size != S3_MARK || strlen(key) >= STORE_KEY_MAX - 2)
		return 0;
	s3_name(S3_SESSIONS, key + strlen(S3_POINTS), name);
	l->ids = xreallocarray(l->ids, l->n + 1, STORE_KEY_MAX);
	memcpy(l->ids[l->n++], name, STORE_KEY_MAX);
	return l->fn(l->arg, name, size, e);
}

/* What is left of a session that died before it made its mark, or of one that has ended. */
static int pass_rest(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct listing *l = arg;

	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->ids[i], key) == 0)
			return 0;
	}
	return pass(arg, key, size, e);
}

static int s3_store_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
			 struct err *e)
{
	struct listing l = {.fn = fn, .arg = arg};
	struct s3 *s3 = s3_of(s)->s3;
	int rc;

	if (strcmp(prefix, S3_SESSIONS) != 0)
		return s3_list(s3, prefix, strcmp(prefix, S3_POINTS) == 0 ? pass_points : pass, &l,
			       e);
	/* In this order: what ends in between is told once, or not any more. */
	rc = s3_list(s3, S3_POINTS, pass_marks, &l, e);
	if (rc == 0)
		rc = s3_list(s3, S3_SESSIONS, pass_rest, &l, e);
	free(l.ids);
	return rc;
}

/* ---- what dead writers began to send ---- */

static int note_upload(void *arg, const char *key, const char *upload, struct err *e)
{
	struct s3_store *d = arg;

	(void)e;
	/* Nothing else is sent in parts; what else lies under this prefix is not ours. */
	if (!s3_hash_in(key) || (!starts(key, "packs/") && !starts(key, "index/")))
		return 0;
	d->uploads = xreallocarray(d->uploads, d->n_uploads + 1, sizeof(*d->uploads));
	d->uploads[d->n_uploads++] = (struct s3_upload_name){xstrdup(key), xstrdup(upload)};
	return 0;
}

/* They only cost money: a service that does not tell of them, or whose key may not ask, is no
 * reason to fail. For one collector at a time. */
static int s3_unfinished(struct store *s, bool end, struct err *e)
{
	struct s3_store *d = s3_of(s);
	struct err why = {0};

	if (!end) {
		forget_uploads(d);
		if (s3_uploads(d->s3, note_upload, d, &why) < 0)
			log_debug("unfinished uploads: %s", why.msg);
	}
	for (size_t i = 0; end && i < d->n_uploads; i++) {
		if (s3_abort(d->s3, d->uploads[i].key, d->uploads[i].upload, &why) < 0) {
			log_debug("ending an upload: %s", why.msg);
			break;
		}
	}
	(void)e;
	return 0;
}

static void s3_store_stop_with(struct store *s, const struct cancel *cancel)
{
	s3_stop_with(s3_of(s)->s3, cancel);
}

static const struct store_ops s3_ops = {
	.free = s3_store_free,
	.get = s3_store_get,
	.size = s3_store_size,
	.put_new = s3_put_new,
	.remove = s3_remove,
	.remove_many = s3_remove_many,
	.list = s3_store_list,
	.session_begin = s3_session_begin,
	.session_revoke = s3_session_revoke,
	.unfinished = s3_unfinished,
	.stop_with = s3_store_stop_with,
};

void store_s3_unconditional(struct store *s)
{
	s3_of(s)->plain = true;
}

struct store *store_s3_open(const char *url, const struct sigv4_key *key, struct err *e)
{
	struct s3 *s3 = s3_open(url, key, e);
	struct s3_store *d;

	if (!s3)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->s3 = s3;
	d->s.ops = &s3_ops;
	d->s.locks = &s3_lock_ops;
	d->s.url = xasprintf("s3:%.*s", (int)strcspn(url, "?"), url);
	d->s.late = d->s.distant = true;
	pthread_mutex_init(&d->lock, NULL);
	return &d->s;
}
