/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events. The first byte says in what pieces the others arrive: what they are must not
 * depend on that, and what was read is the same when it is written and read again.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "net/sse.h"

#define EVENT_MAX 4096

struct seen {
	struct buf all;	    /* every event, for comparing */
	struct buf written; /* as a stream again */
};

static int note(void *arg, const struct sse_event *event, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	if (event->len > EVENT_MAX || event->data[event->len])
		abort();
	buf_fmt(&s->all, "%s/%s/%zu/", event->type, event->id, event->len);
	buf_add(&s->all, event->data, event->len);
	sse_write(&s->written, event->type, event->id, event->data, event->len);
	return 0;
}

static int feed(const uint8_t *data, size_t size, size_t step, size_t max, struct seen *out)
{
	AUTO(sse) p = sse_new(max, note, out);

	for (size_t i = 0; i < size; i += step) {
		if (sse_feed(p, data + i, MIN(step, size - i), NULL) < 0)
			return -1;
	}
	return 0;
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static void done(struct seen *s)
{
	buf_done(&s->all);
	buf_done(&s->written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {BUF_INIT, BUF_INIT}, parts = whole, again = whole;

	if (size < 2)
		return 0;
	if (feed(data + 1, size - 1, size, EVENT_MAX, &whole) !=
		    feed(data + 1, size - 1, 1 + data[0] % 64, EVENT_MAX, &parts) ||
	    !same(&whole.all, &parts.all))
		abort();
	/* Field names make lines longer than they were. */
	if (feed(whole.written.data, whole.written.len, SIZE_MAX, 2 * EVENT_MAX, &again) < 0 ||
	    !same(&whole.all, &again.all))
		abort();
	done(&whole);
	done(&parts);
	done(&again);
	return 0;
}
