/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h: requests to HTTP services, over libcurl: one request and its answer, no retries, no
 * redirects. Connections are kept and used again.
 *
 * Proxies are taken from the environment (https_proxy, no_proxy …) as libcurl does.
 *
 * Threads: an http is thread-safe; as many requests as threads ask are made at the same time.
 */
#ifndef HF_NET_HTTP_H
#define HF_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/reach.h"

#define HTTP_BODY_MAX ((size_t)8 << 20) /* of an answer that is kept in memory */
#define HTTP_TEXT 128			/* of a header that is kept */

struct http;

struct http_request {
	const char *method;
	const char *url;
	const char *const *headers; /* "name: value" */
	size_t n_headers;
	/* The body, which PUT, POST and PATCH have: `len` bytes in memory, or, where `data` is
	 * NULL, of a file from `off` on. */
	const void *data;
	int fd;
	uint64_t off;
	uint64_t len;
	/* Where the body of a 2xx answer goes, at most `into_len` bytes; NULL: to the reply. */
	void *into;
	size_t into_len;
	unsigned timeout_ms; /* for all of it; 0: as long as bytes move */
	unsigned stall_s;    /* without a byte for so long it is over; 0: 60 */
	bool no_proxy;	     /* whatever the environment says */
	bool unverified;   /* whoever answers: only for what is checked in another way afterwards */
	bool keep_headers; /* for http_reply_header() */
	const char *name;  /* of the URL in messages, where it is a secret; NULL: itself */
	const struct cancel *cancel; /* looked at once a second; NULL: never */
};

struct http_reply {
	int status;
	uint64_t length;      /* of the body, as the answer says; UINT64_MAX: it does not */
	uint64_t total;	      /* of the whole object, where only a range was sent; or UINT64_MAX */
	char etag[HTTP_TEXT]; /* with its quotes; "" where there is none */
	char date[HTTP_TEXT];
	char region[HTTP_TEXT];	 /* x-amz-bucket-region */
	char version[HTTP_TEXT]; /* x-amz-version-id */
	char lock_mode[HTTP_TEXT], lock_until[HTTP_TEXT], lock_hold[HTTP_TEXT];
	unsigned retry_after; /* seconds, 0: not said */
	size_t n_into;
	struct buf body;    /* the caller's: buf_done */
	struct buf headers; /* as they came, where they are kept; the caller's: buf_done */
};

/* The next bytes of a body; -1 with an error: it has seen enough. */
typedef int http_chunk_fn(void *arg, const void *data, size_t n, struct err *e);

/* "http://…" or "https://…", and not longer than anybody would write; NULL is none. */
bool http_is_url(const char *text);

/* `ca` names a file of certificates to trust instead of the system's, or is NULL. Never NULL. */
struct http *http_new(const char *ca);
void http_free(struct http *h);
/* Trust the certificates in this PEM text instead of the system's. Before the first request. */
void http_trust(struct http *h, const char *pem);
/* From now on, connections are made to addresses that `r` allows and to no others, and not through
 * a proxy, which would connect to anything; borrowed. Before the first request. */
void http_set_reach(struct http *h, const struct reach *r);
/* libcurl is ready; http_new() does it, too. For others who use it. */
void http_init(void);
/*
 * 0: there is an answer, whatever its status. ERR_UNREACHABLE, ERR_TIMEOUT, ERR_DENIED (the
 * server's certificate, or its
 * address), ERR_LIMIT (a body or headers longer than allowed), ERR_IO (the file),
 * ERR_CANCELLED.
 */
int http_do(struct http *h, const struct http_request *q, struct http_reply *ret, struct err *e);
/*
 * The same for an answer that goes on: the body of a 2xx answer is given to `fn` as it comes, in
 * the thread of the caller. 0: the server has ended it, or the status is another. ERR_TIMEOUT after
 * `stall_s` without a byte; ERR_CANCELLED; or what `fn` says.
 */
int http_stream(struct http *h, const struct http_request *q, http_chunk_fn *fn, void *arg,
		struct http_reply *ret, struct err *e);
/* The value of a header of the last answer, copied; NULL: it has none, or they were not kept. */
char *http_reply_header(struct http_reply *r, const char *name);

DEFINE_AUTO(http, http_free);

#endif
