/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backing up a stream. The reader keeps a window of the stream, cuts blocks off its front and
 * copies them into slots; what is left when a slot is full moves to the front of the window. What
 * stood in the place of each block before is guessed here, too: a changed one is compared with it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fio.h"
#include "mover/alignment.h"
#include "mover/backup.h"
#include "mover/chunker.h"
#include "mover/pipeline.h"

#define AVERAGE ((size_t)128 << 10)
#define WINDOW ((size_t)2 << 20)

struct stream {
	const struct backup_stream *job;
	struct chunker chunker;
	struct tree_seq *seq;
	uint64_t size;
	/* of the reader's thread: */
	uint8_t *window;
	size_t at, have; /* bytes used of the window, and filled */
	bool ended;
	struct alignment *before; /* or NULL */
};

/* Fill the window, or as much as comes before the end, looking for a stop meanwhile. */
static int fill(struct stream *st, struct pipeline *p, struct err *e)
{
	memmove(st->window, st->window + st->at, st->have - st->at);
	st->have -= st->at;
	st->at = 0;
	while (st->have < WINDOW && !st->ended) {
		struct pollfd pfd = {.fd = st->job->fd, .events = POLLIN};
		ssize_t n;

		if (pipeline_check(p, e) < 0)
			return -1;
		/* A regular file is always ready; a pipe may be silent for long. */
		if (poll(&pfd, 1, 100) == 0)
			continue;
		n = read(st->job->fd, st->window + st->have, WINDOW - st->have);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_sys(e, errno, "read %s", st->job->name);
		/* Ctrl-C ends the program before us as well: that end is none of the stream. */
		if (n == 0 && pipeline_check(p, e) < 0)
			return -1;
		st->ended = n == 0;
		st->have += (size_t)n;
		progress_add(&st->job->progress->passed, (uint64_t)n);
	}
	return 0;
}

static int fill_slot(struct stream *st, struct pipeline *p, struct pipe_slot *slot, struct err *e)
{
	size_t used = 0;

	slot->kind = SLOT_BLOCKS;
	while (slot->n_items < SLOT_ITEMS) {
		struct pipe_item *it = &slot->items[slot->n_items];
		size_t len;

		if (st->have - st->at < st->chunker.max && !st->ended && fill(st, p, e) < 0)
			return -1;
		len = chunker_cut(&st->chunker, st->window + st->at, st->have - st->at);
		if (len == 0 || used + len > SLOT_BYTES)
			break;
		memcpy(slot->buf + used, st->window + st->at, len);
		*it = (struct pipe_item){.off = (uint32_t)used, .len = (uint32_t)len};
		if (st->before)
			alignment_next(st->before, len, &it->parent);
		slot->n_items++;
		used += len;
		st->at += len;
	}
	return 0;
}

static int read_stream(struct pipeline *p, void *arg, struct err *e)
{
	struct stream *st = arg;

	for (;;) {
		struct pipe_slot *slot = pipeline_slot(p, true);

		if (!slot)
			return pipeline_check(p, e);
		if (fill_slot(st, p, slot, e) < 0)
			return -1;
		/* Also when it is empty: its number must not be missed. */
		if (!pipeline_give(p, slot))
			return pipeline_check(p, e);
		if (st->ended && st->at == st->have)
			return 0;
	}
}

static int place(void *arg, const struct pipe_slot *slot, struct err *e)
{
	struct stream *st = arg;

	for (size_t i = 0; i < slot->n_items; i++) {
		if (tree_seq_add(st->seq, &slot->items[i].is, slot->items[i].len, e) < 0)
			return -1;
		st->size += slot->items[i].len;
	}
	return 0;
}

/* What to compare with: nothing where no deltas are made, or when it may be about to go. */
static int find_before(struct session *s, const struct backup_stream *b, const struct tree **ret_t,
		       struct err *e)
{
	int there = 1;

	*ret_t = NULL;
	if (!b->parent || b->parent->type != TREE_SEQUENCE || !session_deltas(s))
		return 0;
	if (b->parent_point)
		there = session_sees(s, b->parent_point, e);
	if (there > 0)
		*ret_t = b->parent;
	return there < 0 ? -1 : 0;
}

static int run(struct stream *st, struct session *s, struct point_stats *stats, struct err *e)
{
	const struct backup_stream *b = st->job;
	struct pipeline_job run = {.session = s,
				   .in_flight = 1,
				   .read = read_stream,
				   .place = place,
				   .arg = st,
				   .progress = b->progress,
				   .cancel = b->cancel};
	AUTO(fetch) fetch = fetch_new(session_repo(s));
	AUTO(alignment) before = NULL;
	const struct tree *parent;
	int rc;

	if (find_before(s, b, &parent, e) < 0)
		return -1;
	before = parent ? alignment_new(parent, fetch) : NULL;
	st->before = before;
	st->window = xmalloc_pages(WINDOW);
	rc = pipeline_run(&run, stats, e);
	free(st->window);
	return rc;
}

int backup_stream(struct session *s, const struct backup_stream *b, struct tree *ret_tree,
		  struct point_stats *ret_stats, struct err *e)
{
	AUTO(codec) codec = codec_new(repo_keys(session_repo(s)), session_level(s));
	AUTO(tree_seq) seq = tree_seq_new(codec, session_put_node, s);
	struct stream st = {.job = b, .seq = seq};
	struct point_stats stats = {0};
	uint64_t start = clock_mono_us();

	fio_widen(b->fd);
	chunker_init(&st.chunker, repo_keys(session_repo(s)), AVERAGE);
	if (run(&st, s, &stats, e) < 0 || tree_seq_finish(seq, ret_tree, e) < 0)
		return -1;
	stats.content = st.size;
	stats.spent_us = clock_mono_us() - start;
	*ret_stats = stats;
	return 0;
}
