/* SPDX-License-Identifier: Apache-2.0 */
/*
 * We keep the place in the old stream where the next block is expected. The old block that has most
 * in common with that place is the answer; if it is as long as the new one, the streams are taken
 * to be in step there, which corrects the place after a few bytes came or went. Where more came or
 * went, or things moved, two lengths in a row that are found in the old stream, in or near the
 * window around that place, show where it goes on.
 */
#include "mover/alignment.h"

#include <string.h>

#include "base/log.h"

#define AROUND ((size_t)16 << 10) /* blocks known on each side: 2 GiB of a stream */
#define WINDOW (4 * AROUND)

struct old_block {
	uint64_t offset;
	struct block_ref ref;
};

struct alignment {
	struct tree_walk *walk;	  /* NULL: it has ended */
	struct old_block *blocks; /* WINDOW of them, in order */
	uint64_t *lengths;
	size_t n;
	size_t at;	   /* the last block that begins at or before `expected`, or 0 */
	uint64_t expected; /* the next block's place in the old stream */
	uint64_t last;	   /* length of the block before it */
};

struct alignment *alignment_new(const struct tree *old, struct fetch *fetch)
{
	struct alignment *a = xcalloc(1, sizeof(*a));

	a->walk = tree_walk_new(old, fetch);
	a->blocks = xmalloc(WINDOW * sizeof(*a->blocks));
	a->lengths = xmalloc(WINDOW * sizeof(*a->lengths));
	return a;
}

void alignment_free(struct alignment *a)
{
	if (!a)
		return;
	tree_walk_free(a->walk);
	free(a->blocks);
	free(a->lengths);
	free(a);
}

/* ---- the window ---- */

static void forget_oldest(struct alignment *a)
{
	size_t from = a->at - AROUND;

	a->n -= from;
	a->at -= from;
	memmove(a->blocks, a->blocks + from, a->n * sizeof(*a->blocks));
	memmove(a->lengths, a->lengths + from, a->n * sizeof(*a->lengths));
}

static void load_one(struct alignment *a)
{
	struct err why = {0};
	struct tree_piece piece;
	int rc = tree_walk_next(a->walk, &piece, &why);

	if (rc <= 0) {
		if (rc < 0)
			log_debug("nothing more to compare the stream with: %s", why.msg);
		tree_walk_free(steal(&a->walk));
		return;
	}
	a->blocks[a->n] = (struct old_block){piece.offset, {piece.id, piece.print}};
	a->lengths[a->n++] = piece.len;
}

/* Move to what is expected, with what is around it known as far as the old stream goes. */
static void catch_up(struct alignment *a)
{
	for (;;) {
		while (a->at + 1 < a->n && a->blocks[a->at + 1].offset <= a->expected)
			a->at++;
		if (!a->walk || a->n - a->at > AROUND)
			break;
		if (a->n == WINDOW)
			forget_oldest(a);
		load_one(a);
	}
	while (a->at > 0 && a->blocks[a->at].offset > a->expected)
		a->at--;
}

/* ---- where are we? ---- */

/* How much of `len` bytes from what is expected on lies in this block. */
static uint64_t overlap(const struct alignment *a, size_t i, uint64_t len)
{
	uint64_t from = MAX(a->expected, a->blocks[i].offset);
	uint64_t to = MIN(a->expected + len, a->blocks[i].offset + a->lengths[i]);

	return to > from ? to - from : 0;
}

/* The block that has most in common with that place; a->n: none has. */
static size_t find_overlap(const struct alignment *a, uint64_t len)
{
	size_t best = a->n;
	uint64_t most = 0;

	for (size_t i = a->at; i < a->n && a->blocks[i].offset < a->expected + len; i++) {
		uint64_t common = overlap(a, i, len);

		if (common > most) {
			most = common;
			best = i;
		}
	}
	return best;
}

static bool goes_on(const struct alignment *a, size_t i, uint64_t len)
{
	return a->lengths[i] == len && i > 0 && a->lengths[i - 1] == a->last;
}

/* The nearest block of this length that follows one as long as the last one was; a->n: none. */
static size_t find_step(const struct alignment *a, uint64_t len)
{
	size_t near = MAX(a->at, a->n - MIN(a->n, a->at));

	for (size_t d = 0; d <= near; d++) {
		if (a->at + d < a->n && goes_on(a, a->at + d, len))
			return a->at + d;
		if (d <= a->at && a->at - d < a->n && goes_on(a, a->at - d, len))
			return a->at - d;
	}
	return a->n;
}

void alignment_next(struct alignment *a, uint64_t len, struct block_ref *ret_before)
{
	size_t i;

	catch_up(a);
	i = find_overlap(a, len);
	if (i == a->n || a->lengths[i] != len) {
		size_t step = find_step(a, len);

		i = step < a->n ? step : i;
	}
	memset(ret_before, 0, sizeof(*ret_before));
	if (i < a->n)
		*ret_before = a->blocks[i].ref;
	if (i < a->n && a->lengths[i] == len)
		a->expected = a->blocks[i].offset;
	a->expected += len;
	a->last = len;
}
