/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams.h: the movers that are connected, each by a stream of events that goes down to it.
 *
 * An event says "look", never what there is: it may be lost with its stream, and who is connected
 * anew looks at everything. A mover that connects again replaces its older stream.
 *
 * Threads: thread-safe.
 */
#ifndef HF_LINK_STREAMS_H
#define HF_LINK_STREAMS_H

#include <stddef.h>

#include "net/httpd.h"

struct streams;

struct streams *streams_new(void);
/* After httpd_stop(). */
void streams_free(struct streams *s);
DEFINE_AUTO(streams, streams_free);

/* Answer the call with a stream of events for mover `id`. */
void streams_open(struct streams *s, struct httpd_call *c, const char *id);
/* How many steps it could take and how many it runs, as it says. */
void streams_note(struct streams *s, const char *id, unsigned room, unsigned running);

/* That it is not connected here is no error. */
void streams_send(struct streams *s, const char *id, const char *event);
/* To all that run something. */
void streams_send_running(struct streams *s, const char *event);
/* To at most `n` that have room, chosen at random. */
void streams_send_some(struct streams *s, const char *event, unsigned n);
/* The stream ends; the mover will not be let in again. */
void streams_end(struct streams *s, const char *id, const char *event);
/* Keep connections from looking dead, and notice those that are. Every few seconds. */
void streams_tidy(struct streams *s);
size_t streams_count(struct streams *s);

#endif
