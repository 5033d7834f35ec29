/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4.h: AWS Signature Version 4, as S3 wants it: paths are encoded once, every header that is
 * given is signed. Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API
 * Reference; its examples are among the tests. libcurl's own signer is of no use for S3: it leaves
 * out x-amz-content-sha256 and does not sort queries (see docs/dependencies.md).
 *
 * Threads: pure functions.
 */
#ifndef HF_NET_SIGV4_H
#define HF_NET_SIGV4_H

#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "base/secret.h"

#define SIGV4_HEADERS_MAX 16
#define SIGV4_DATE 17 /* "20130524T000000Z" and a NUL */

struct sigv4_key {
	char *id;
	struct secret *secret;
	char *token; /* of a session; or NULL */
};

struct sigv4_header {
	const char *name; /* in lower case */
	const char *value;
};

struct sigv4_request {
	const char *method;
	const char *path;  /* encoded, beginning with "/" */
	const char *query; /* encoded, sorted by name, "name=value&…"; or "" */
	struct sigv4_header headers[SIGV4_HEADERS_MAX]; /* sorted by name; with host, x-amz-date */
	size_t n_headers;
	const char *payload; /* SHA-256 of the body in hexadecimal digits */
};

/* The form of x-amz-date. */
void sigv4_date(time_t now, char out[SIGV4_DATE]);
/* The value of the Authorization header is added to `out`; `date` is that of sigv4_date. */
void sigv4_sign(const struct sigv4_key *k, const char *region, const char *service,
		const char *date, const struct sigv4_request *r, struct buf *out);
/* Add `text` with everything encoded but letters, digits, "-._~" and, where `path`, "/". */
void sigv4_encode(const char *text, bool path, struct buf *out);

void sigv4_key_done(struct sigv4_key *k);

#endif
