/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_priv.h: what the files of the S3 client share: one request, which s3.c signs, sends and tries
 * again.
 */
#ifndef HF_NET_S3_PRIV_H
#define HF_NET_S3_PRIV_H

#include <stdatomic.h>

#include "net/http.h"
#include "net/s3.h"
#include "net/s3_keys.h"
#include "net/s3_place.h"
#include "net/s3_xml.h"

struct s3 {
	struct s3_place place;
	struct s3_keys *keys;
	struct http *http;
	atomic_llong clock_off; /* seconds that the service is ahead of this machine */
	atomic_llong ahead;	/* the same, as the latest answer has it */
	atomic_bool bare_etags;
	atomic_bool versions;	     /* objects here have them */
	atomic_bool one_by_one;	     /* it cannot remove many objects at once */
	const struct cancel *cancel; /* or NULL */
};

/* A request before it is signed. */
struct s3_call {
	const char *method;
	const char *key;   /* NULL: the bucket */
	const char *query; /* sorted and encoded; NULL: none */
	const char *sha256;
	const char *md5;			 /* in Base64, or NULL */
	const char *condition, *condition_value; /* "if-match", or NULL */
	const struct s3_lock *lock;		 /* what the object gets, or NULL */
	bool bypass;				 /* governance */
	const char *copy_source;		 /* instead of a body, or NULL */
	uint64_t from, to;			 /* range, where `ranged` */
	bool ranged;
	struct http_request http; /* its body, and where the answer's goes */
	struct http_reply reply;  /* without its body: that goes here, if it is no refusal */
	struct buf *body;	  /* or NULL: it is not wanted */
	struct s3_error error;	  /* what the service says of a refusal */
};

/* Try until the answer is one of `statuses` (which ends with 0). */
int s3_perform(struct s3 *s, struct s3_call *c, const int *statuses, struct err *e);
/* The error that an answer means which s3_perform was told to take. */
int s3_refused(struct s3 *s, const struct s3_call *c, struct err *e);
/* s3_put of what is larger than one part, without a condition. */
int s3_put_parts(struct s3 *s, const struct s3_put *put, struct err *e);
/* The SHA-256 of bytes in memory, in hexadecimal digits. */
const char *s3_hash(const void *data, size_t n, char text[S3_SHA_TEXT]);
#define S3_BASE64_MD5 25
/* The MD5 of bytes in memory, in Base64: some requests want it. false: the library has none to give
 * (FIPS). */
bool s3_md5(const void *data, size_t n, char text[S3_BASE64_MD5]);

#endif
