/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_lock.h: versions of objects in a bucket, and locks on them (S3 Object Lock).
 *
 * In a bucket with versions nothing is overwritten: what replaces an object lies before it, and
 * removing one puts a marker before it. A version can be removed by its own name, but not while it
 * is locked.
 *
 * Sources: Amazon S3 API Reference (PutObjectRetention, PutObjectLegalHold, ListObjectVersions,
 * DeleteObject).
 *
 * Threads: thread-safe, as s3.h.
 */
#ifndef HF_NET_S3_LOCK_H
#define HF_NET_S3_LOCK_H

#include "net/s3.h"

#define S3_BASE64_SHA 48

/* Seconds since 1970 as the service has it, once anything was asked of it. */
int64_t s3_now(struct s3 *s);
/* Has any answer shown that objects here have versions? */
bool s3_has_versions(struct s3 *s);

/* Replace the retention of the newest version. `bypass`: though that weakens what is there, which
 * needs a right of its own. */
int s3_retain(struct s3 *s, const char *key, const struct s3_lock *lock, bool bypass,
	      struct err *e);
int s3_hold(struct s3 *s, const char *key, bool on, struct err *e);

struct s3_version {
	const char *key, *version;
	const char *etag; /* NULL of a marker */
	uint64_t size;
	bool latest;
	bool marker; /* no object: those before it are hidden */
};
/* -1 stops with `e`. */
typedef int s3_version_fn(void *arg, const struct s3_version *v, struct err *e);
/* Every version of every object whose key starts with `prefix`: by key, the newest first. */
int s3_list_versions(struct s3 *s, const char *prefix, s3_version_fn *fn, void *arg, struct err *e);
/* ERR_DENIED: it is locked, or not ours to remove. */
int s3_delete_version(struct s3 *s, const char *key, const char *version, bool bypass,
		      struct err *e);
/* Put what a version holds before all others, locked so. */
int s3_renew_version(struct s3 *s, const char *key, const char *version, const struct s3_lock *lock,
		     struct err *e);
/* What a version is, and how it is locked. */
int s3_head_version(struct s3 *s, const char *key, const char *version, struct s3_info *ret,
		    struct err *e);

/* ---- as the service writes it; pure ---- */

const char *s3_lock_name(enum s3_lock_mode mode);
/* What cannot be read counts as no lock. */
void s3_lock_parse(const char *mode, const char *until, const char *hold, struct s3_lock *ret);
/* 64 hexadecimal digits in Base64. */
const char *s3_checksum(const char *sha256, char out[S3_BASE64_SHA]);

#endif
