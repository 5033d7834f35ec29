/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/write_behind.h"

#include <string.h>

#include "base/crew.h"
#include "base/outfile.h"
#include "base/queue.h"

struct buffer {
	uint8_t *bytes;
	size_t len;
};

struct write_behind {
	struct store_upload *upload;
	struct parity *parity;
	struct buffer buffers[WRITE_BEHIND_BUFFERS];
	struct buffer *now;	    /* being filled */
	struct queue *full, *spare; /* full to the thread, spare back */
	struct crew *crew;
	bool started;
};

static void stop(void *arg)
{
	struct write_behind *w = arg;

	queue_close(w->full);
	queue_close(w->spare);
}

struct write_behind *write_behind_new(struct store_upload *up, struct parity *parity)
{
	struct write_behind *w = xcalloc(1, sizeof(*w));

	w->upload = up;
	w->parity = parity;
	w->full = queue_new(WRITE_BEHIND_BUFFERS);
	w->spare = queue_new(WRITE_BEHIND_BUFFERS);
	w->crew = crew_new(stop, w);
	w->now = &w->buffers[0];
	w->now->bytes = xmalloc_pages(WRITE_BEHIND_BYTES);
	return w;
}

void write_behind_free(struct write_behind *w)
{
	if (!w)
		return;
	stop(w);
	crew_free(w->crew);
	if (w->upload)
		w->upload->ops->abort(w->upload);
	for (int i = 0; i < WRITE_BEHIND_BUFFERS; i++)
		free(w->buffers[i].bytes);
	queue_free(w->full);
	queue_free(w->spare);
	free(w);
}

static int write_buffer(struct write_behind *w, const struct buffer *b, struct err *e)
{
	if (w->parity)
		parity_add(w->parity, b->bytes, b->len);
	return w->upload->ops->write(w->upload, b->bytes, b->len, e);
}

static int write_loop(void *arg, struct err *e)
{
	struct write_behind *w = arg;
	struct buffer *b;

	while ((b = queue_take(w->full)) != NULL) {
		if (write_buffer(w, b, e) < 0)
			return -1;
		queue_give(w->spare, b);
	}
	return 0;
}

/* From the second buffer on it is worth a thread. */
static int start(struct write_behind *w, struct err *e)
{
	for (int i = 1; i < WRITE_BEHIND_BUFFERS; i++) {
		w->buffers[i].bytes = xmalloc_pages(WRITE_BEHIND_BYTES);
		queue_give(w->spare, &w->buffers[i]);
	}
	w->started = true;
	return crew_add(w->crew, write_loop, w, e);
}

/* Hand the buffer on, but for its last bytes: what a store writes directly (outfile.h) must begin
 * and end at a page. */
static int hand_on(struct write_behind *w, struct err *e)
{
	size_t keep = w->now->len % OUTFILE_ALIGN;
	struct buffer *next;

	if (!w->started && start(w, e) < 0)
		return -1;
	next = queue_take(w->spare);
	if (!next)
		return crew_join(w->crew, e) < 0
			       ? -1
			       : err_set(e, ERR_INTERNAL, "an upload was finished before");
	w->now->len -= keep;
	memcpy(next->bytes, w->now->bytes + w->now->len, keep);
	next->len = keep;
	queue_give(w->full, w->now);
	w->now = next;
	return 0;
}

uint8_t *write_behind_room(struct write_behind *w, size_t n, struct err *e)
{
	if (w->now->len + n > WRITE_BEHIND_BYTES && hand_on(w, e) < 0)
		return NULL;
	return w->now->bytes + w->now->len;
}

void write_behind_made(struct write_behind *w, size_t n)
{
	w->now->len += n;
}

int write_behind_add(struct write_behind *w, const void *data, size_t n, struct err *e)
{
	const uint8_t *p = data;

	while (n) {
		size_t part = MIN(n, WRITE_BEHIND_ROOM);
		uint8_t *to = write_behind_room(w, part, e);

		if (!to)
			return -1;
		memcpy(to, p, part);
		write_behind_made(w, part);
		p += part;
		n -= part;
	}
	return 0;
}

int write_behind_finish(struct write_behind *w, const char *key, struct err *e)
{
	queue_close(w->full);
	if (crew_join(w->crew, e) < 0)
		return -1;
	if (w->now->len && write_buffer(w, w->now, e) < 0)
		return -1;
	w->now->len = 0;
	return w->upload->ops->finish(steal(&w->upload), key, e);
}
