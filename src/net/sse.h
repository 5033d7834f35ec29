/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse.h: server-sent events, the text format "text/event-stream" of the WHATWG (HTML, section
 * 9.2.6): a parser that is fed what arrives, and a writer.
 *
 * Threads: a parser belongs to one thread.
 */
#ifndef HF_NET_SSE_H
#define HF_NET_SSE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

struct sse;

struct sse_event {
	const char *type; /* "message" where the server does not say */
	const char *id;	  /* the last that was said, also for an earlier event; "" */
	const char *data; /* ended by NUL */
	size_t len;
};

/* -1 with an error ends the parsing. The event lives as long as the call. */
typedef int sse_fn(void *arg, const struct sse_event *event, struct err *e);

/* `max`: bytes of one event with all its fields, and of one line. Never NULL. */
struct sse *sse_new(size_t max, sse_fn *fn, void *arg);
void sse_free(struct sse *p);
/* The next bytes. ERR_LIMIT: an event is too long; or what `fn` says. Nothing may follow a
 * failure. An event that the stream ends in never comes. */
int sse_feed(struct sse *p, const void *data, size_t n, struct err *e);
/* For a new connection: the last id ("" where there is none), and how many milliseconds the server
 * wants to be left alone before it (0: it did not say). */
const char *sse_last_id(const struct sse *p);
unsigned sse_retry_ms(const struct sse *p);

/* Append an event. `type` and `id` may be NULL; without line breaks. Line breaks in `data` become
 * "\n". */
void sse_write(struct buf *b, const char *type, const char *id, const void *data, size_t len);
/* Append what only keeps a connection alive. */
void sse_write_comment(struct buf *b);

DEFINE_AUTO(sse, sse_free);

#endif
