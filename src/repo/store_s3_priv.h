/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_s3_priv.h: what store_s3.c (objects) and store_s3_session.c (sessions and uploads) share:
 * how a session lies in a bucket.
 *
 * "points/ID" decides, alone: it is first a mark of exactly S3_MARK bytes, which are random, so
 * that its etag is its own; then the point, or exactly S3_REVOKED bytes, which stay. Every step
 * from the mark on names its etag as a condition. No point is that short. "sessions/ID" holds the
 * session's object, for others to see whether its owner lives; it decides nothing. Of a store that
 * is `plain` neither is there: a session only sends.
 */
#ifndef HF_REPO_STORE_S3_PRIV_H
#define HF_REPO_STORE_S3_PRIV_H

#include <pthread.h>

#include "net/s3.h"
#include "repo/store.h"

#define S3_MARK 48
#define S3_REVOKED 47
#define S3_POINTS "points/"
#define S3_SESSIONS "sessions/"

struct s3_upload_name {
	char *key, *upload;
};

struct s3_store {
	struct store s;
	struct s3 *s3;
	pthread_mutex_t lock;
	bool probed;			/* conditions are known to be kept */
	bool plain;			/* no conditions: somebody else decides */
	struct s3_upload_name *uploads; /* that were noted */
	size_t n_uploads;
};

static inline struct s3_store *s3_of(struct store *s)
{
	return (struct s3_store *)s;
}

/* Is an object of points/ with this size no point? */
static inline bool s3_no_point(uint64_t size)
{
	return size == S3_MARK || size == S3_REVOKED;
}

static inline int s3_hand_up(const struct err *why, struct err *e)
{
	if (e)
		*e = *why;
	return -1;
}

/* PREFIX and an id. */
void s3_name(const char *prefix, const char *id, char out[STORE_KEY_MAX]);
/* Is what lies at `key` exactly these bytes? 1, 0, -1. If so, `ret_etag` takes its etag, unless
 * that is NULL. */
int s3_holds(struct s3_store *d, const char *key, const void *data, size_t len, char *ret_etag,
	     struct err *e);
/* Create it if it is absent, else ERR_EXISTS; `ret_etag` as above, `ret_version` likewise. */
int s3_create(struct s3_store *d, const char *key, const void *data, size_t len, char *ret_etag,
	      char *ret_version, struct err *e);

/* ---- store_s3_lock.c ---- */

extern const struct store_lock_ops s3_lock_ops;
struct s3_lock s3_lock_of(const struct store_lock *l);
/* Remove an object, with all its versions. */
int s3_remove_object(struct s3_store *d, const char *key, bool bypass, struct err *e);
/* Put an object; `version` (S3_VERSION bytes, "": none) is the one it replaces, which goes, and
 * takes the new one's. */
int s3_replace(struct s3_store *d, struct s3_put *put, char *ret_etag, char *version,
	       struct err *e);
/* What store_s3_session.c tells of a session. */
void s3_session_lock(struct store_session *ss, const struct store_lock *packs,
		     const struct store_lock *point);

/* Is this the name of a pack or run? Then its hash, in hexadecimal digits; else NULL. */
const char *s3_hash_in(const char *key);

struct store_session *s3_session_begin(struct store *s, const char *id, const void *data,
				       size_t len, struct err *e);
int s3_session_revoke(struct store *s, const char *id, struct err *e);

#endif
