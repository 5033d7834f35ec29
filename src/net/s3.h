/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3.h: the objects under a prefix of one bucket of an S3 service.
 *
 * What fails for a reason that may pass (no connection, a timeout, 5xx, SlowDown) is tried again,
 * with growing pauses that vary, until the place's time for that is over. A clock that is wrong
 * here is corrected by what the service says.
 *
 * Sources: Amazon S3 API Reference (PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects,
 * ListObjectsV2, CreateMultipartUpload, UploadPart, CompleteMultipartUpload,
 * AbortMultipartUpload, ListMultipartUploads, error responses, conditional requests).
 *
 * Threads: thread-safe.
 */
#ifndef HF_NET_S3_H
#define HF_NET_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"

#define S3_ETAG 128
#define S3_PUT_MAX ((uint64_t)5 << 30)	  /* the service's limits: for one request, */
#define S3_OBJECT_MAX ((uint64_t)5 << 40) /* and for an object that is sent in parts */
#define S3_SHA_TEXT 65
#define S3_VERSION 128

struct s3;
struct sigv4_key;

/* `url` is what follows "s3:" (s3_place.h). `key` is copied; NULL: what s3_keys.h finds. Nothing is
 * asked of the service. */
struct s3 *s3_open(const char *url, const struct sigv4_key *key, struct err *e);
void s3_free(struct s3 *s);
/* Once the flag is up, nothing is tried a second time: then ERR_CANCELLED. */
void s3_stop_with(struct s3 *s, const struct cancel *cancel);

enum s3_lock_mode { S3_UNLOCKED, S3_GOVERNANCE, S3_COMPLIANCE };
/* Until when nobody may remove or change an object, and whether it is held until it is released. */
struct s3_lock {
	enum s3_lock_mode mode;
	int64_t until; /* seconds since 1970 */
	bool held;
};

struct s3_info {
	uint64_t size; /* of the whole object */
	char etag[S3_ETAG];
	char version[S3_VERSION]; /* "": it has none */
	struct s3_lock lock;
};

/* ERR_NOENT: there is no such object. */
int s3_head(struct s3 *s, const char *key, struct s3_info *ret, struct err *e);
/* Up to `len` (more than 0) bytes from `off`; 0 at or behind the end. `ret` may be NULL. */
ssize_t s3_get(struct s3 *s, const char *key, uint64_t off, void *data, size_t len,
	       struct s3_info *ret, struct err *e);

struct s3_put {
	const char *key;
	const void *data; /* or NULL: from the beginning of the file `fd` */
	int fd;
	uint64_t len;
	const char *sha256; /* of the bytes, in hexadecimal digits; not needed with `data` */
	/* At most one of these two: */
	bool if_absent;
	const char *if_match;	    /* the etag that the object must have, as it was given */
	const struct s3_lock *lock; /* or NULL */
	char *ret_version;	    /* takes S3_VERSION bytes, or NULL */
};

/*
 * Create or replace an object; `ret_etag` takes S3_ETAG bytes or is NULL. What is larger than the
 * place's part, and is put without a condition and without `ret_etag`, is sent in parts.
 * ERR_EXISTS: it is there, against if_absent. ERR_CONFLICT: it has another etag than if_match, or
 * is gone. Either may be this call's own doing, if the answer to an earlier try was lost: look at
 * the object.
 */
int s3_put(struct s3 *s, const struct s3_put *put, char *ret_etag, struct err *e);
/* Conditions name etags with their quotes. From now on without, against RFC 9110, as older gateways
 * of Ceph compare them; or with them again. */
void s3_flip_etags(struct s3 *s);
/* That it is absent is no error. */
int s3_delete(struct s3 *s, const char *key, struct err *e);
#define S3_DELETE_MAX 1000
/* The same for up to S3_DELETE_MAX objects, in any order and, where the service can do that, at
 * once. If it fails, some may be gone. */
int s3_delete_many(struct s3 *s, const char *const *keys, size_t n, struct err *e);

/* -1 stops with `e`. */
typedef int s3_list_fn(void *arg, const char *key, uint64_t size, struct err *e);
/* Every object whose key starts with `prefix`, in order; `fn` may change them. */
int s3_list(struct s3 *s, const char *prefix, s3_list_fn *fn, void *arg, struct err *e);

/* An object that is being sent in parts, by whomever. */
typedef int s3_upload_fn(void *arg, const char *key, const char *upload, struct err *e);
/* Tell of those there are; of very many, the first. */
int s3_uploads(struct s3 *s, s3_upload_fn *fn, void *arg, struct err *e);
/* Forget what was sent of it; that it has ended is no error. */
int s3_abort(struct s3 *s, const char *key, const char *upload, struct err *e);

DEFINE_AUTO(s3, s3_free);

#endif
