/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a tree in order. The walk keeps the nodes on the path to where it is; a hole is passed
 * over as a whole, however large. Lengths of a sequence are checked against what the node above
 * says, so a damaged or hostile tree cannot make the walk run on. A node that cannot be read is
 * passed over likewise, if the caller goes on.
 */
#include "repo/tree.h"

struct step {
	struct node node;
	size_t i;	 /* the entry to look at next */
	uint64_t offset; /* where that entry starts */
};

struct tree_walk {
	struct tree t;
	struct fetch *fetch;
	struct step path[TREE_LEVELS_MAX];
	unsigned top; /* open levels are path[top] … path[levels - 1]; levels: none */
	bool started;
	struct tree_piece lost; /* what the last failure was about */
	tree_skip_fn *skip;
	void *arg;
};

struct tree_walk *tree_walk_new(const struct tree *t, struct fetch *fetch)
{
	struct tree_walk *w = xcalloc(1, sizeof(*w));

	w->t = *t;
	w->fetch = fetch;
	w->top = t->levels;
	return w;
}

void tree_walk_skip(struct tree_walk *w, tree_skip_fn *skip, void *arg)
{
	w->skip = skip;
	w->arg = arg;
}

struct tree_piece tree_walk_lost(const struct tree_walk *w)
{
	return w->lost;
}

static void leave(struct tree_walk *w)
{
	node_done(&w->path[w->top].node);
	w->top++;
}

void tree_walk_free(struct tree_walk *w)
{
	if (!w)
		return;
	while (w->top < w->t.levels)
		leave(w);
	free(w);
}

/* How much content an entry of a map's level spans. */
static uint64_t span(const struct tree *t, unsigned level)
{
	unsigned log = t->block_log + t->fanout_log * level;

	return log < 63 ? (uint64_t)1 << log : (uint64_t)1 << 63;
}

static uint64_t entry_len(const struct tree_walk *w, unsigned level, const struct step *s)
{
	return w->t.type == TREE_MAP ? span(&w->t, level) : s->node.lengths[s->i];
}

static struct tree_piece piece_here(const struct tree_walk *w, unsigned level, const struct step *s)
{
	struct tree_piece at = {s->offset, entry_len(w, level, s), s->node.ids[s->i], {{0}}};

	if (s->node.prints)
		at.print = s->node.prints[s->i];
	return at;
}

static int check_lengths(const struct node *node, uint64_t len, struct err *e)
{
	uint64_t left = len;

	for (size_t i = 0; i < node->n; i++) {
		if (node->lengths[i] == 0 || node->lengths[i] > left)
			return err_set(e, ERR_CORRUPT, "the lengths in a tree do not add up");
		left -= node->lengths[i];
	}
	return left ? err_set(e, ERR_CORRUPT, "the lengths in a tree do not add up") : 0;
}

/* Open a node of `level`. */
static int enter(struct tree_walk *w, unsigned level, const struct tree_piece *at, struct err *e)
{
	struct step *s = &w->path[level];
	int skip = w->skip ? w->skip(w->arg, &at->id, e) : 0;

	if (skip)
		return skip < 0 ? -1 : 0;
	w->lost = *at;
	if (node_fetch(w->fetch, &w->t, level, &at->id, &s->node, e) < 0)
		return -1;
	w->top = level;
	s->i = 0;
	s->offset = at->offset;
	if (w->t.type != TREE_SEQUENCE || check_lengths(&s->node, at->len, e) == 0)
		return 0;
	leave(w);
	return -1;
}

static int enter_root(struct tree_walk *w, struct err *e)
{
	const struct tree_piece all = {0, w->t.size, w->t.root, {{0}}};

	w->started = true;
	if (block_id_is_zero(&w->t.root))
		return 0;
	return enter(w, w->t.levels - 1, &all, e);
}

/* A hostile tree may span more than 64 bits can say: it must not come round to the start. */
static void pass(struct step *s, uint64_t len)
{
	s->offset = len > UINT64_MAX - s->offset ? UINT64_MAX : s->offset + len;
	s->i++;
}

int tree_walk_next(struct tree_walk *w, struct tree_piece *ret_p, struct err *e)
{
	if (!w->started && enter_root(w, e) < 0)
		return -1;
	while (w->top < w->t.levels) {
		unsigned level = w->top;
		struct step *s = &w->path[level];
		struct tree_piece at;

		if (s->i == s->node.n) {
			leave(w);
			continue;
		}
		at = piece_here(w, level, s);
		pass(s, at.len);
		if (block_id_is_zero(&at.id))
			continue;
		if (at.offset >= w->t.size) {
			w->lost = at;
			return err_set(e, ERR_CORRUPT, "a tree holds blocks beyond its size");
		}
		if (level == 0) {
			*ret_p = at;
			return 1;
		}
		if (enter(w, level - 1, &at, e) < 0)
			return -1;
	}
	return 0;
}

int tree_walk_seek(struct tree_walk *w, uint64_t offset, struct err *e)
{
	while (w->top < w->t.levels)
		leave(w);
	if (enter_root(w, e) < 0)
		return -1;
	while (w->top < w->t.levels) {
		unsigned level = w->top;
		struct step *s = &w->path[level];
		struct tree_piece at;

		while (s->i < s->node.n && s->offset + entry_len(w, level, s) <= offset)
			pass(s, entry_len(w, level, s));
		if (s->i == s->node.n || level == 0 || s->offset > offset ||
		    block_id_is_zero(&s->node.ids[s->i]))
			return 0;
		at = piece_here(w, level, s);
		pass(s, at.len);
		if (enter(w, level - 1, &at, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- difference ---- */

struct diff {
	const struct tree *shape; /* type, block size, fan-out of both */
	uint64_t size;		  /* of the longer one */
	struct fetch *fetch;
	tree_diff_fn *fn;
	void *arg;
	uint64_t from, to; /* a range not reported yet; equal: none */
};

static int report(struct diff *d, uint64_t offset, uint64_t len, struct err *e)
{
	if (d->to == offset && d->to > d->from) {
		d->to += len;
		return 0;
	}
	if (d->to > d->from && d->fn(d->arg, d->from, d->to - d->from, e) < 0)
		return -1;
	d->from = offset;
	d->to = offset + len;
	return 0;
}

static int load_ids(struct diff *d, unsigned level, const struct block_id *id, struct block_id *ids,
		    struct err *e)
{
	struct node node;

	if (block_id_is_zero(id))
		return 0;
	if (node_fetch(d->fetch, d->shape, level, id, &node, e) < 0)
		return -1;
	memcpy(ids, node.ids, node.n * sizeof(*ids));
	node_done(&node);
	return 0;
}

/* Compare two subtrees whose nodes are of `level`, from `offset` on. */
static int diff_nodes(struct diff *d, unsigned level, const struct block_id *a,
		      const struct block_id *b, uint64_t offset, struct err *e)
{
	size_t n = (size_t)1 << d->shape->fanout_log;
	AUTO_FREE struct block_id *ids = NULL;
	uint64_t step = span(d->shape, level);
	int rc = 0;

	if (block_id_equal(a, b))
		return 0;
	ids = xcalloc(2 * n, sizeof(*ids));
	if (load_ids(d, level, a, ids, e) < 0 || load_ids(d, level, b, ids + n, e) < 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0 && offset < d->size; i++, offset += step) {
		if (block_id_equal(&ids[i], &ids[n + i]))
			continue;
		if (level == 0)
			rc = report(d, offset, MIN(step, d->size - offset), e);
		else
			rc = diff_nodes(d, level - 1, &ids[i], &ids[n + i], offset, e);
	}
	return rc;
}

/*
 * Trees of different height: compare the higher one's first subtree with the lower tree, everything
 * else with nothing.
 */
static int diff_heights(struct diff *d, unsigned level, const struct block_id *high,
			const struct tree *low, struct err *e)
{
	static const struct block_id zero;
	size_t n = (size_t)1 << d->shape->fanout_log;
	AUTO_FREE struct block_id *ids = xcalloc(n, sizeof(*ids));
	uint64_t step = span(d->shape, level), offset;
	int rc;

	if (level + 1 == low->levels)
		return diff_nodes(d, level, high, &low->root, 0, e);
	if (load_ids(d, level, high, ids, e) < 0)
		return -1;
	rc = diff_heights(d, level - 1, &ids[0], low, e);
	offset = step;
	for (size_t i = 1; i < n && rc == 0 && offset < d->size; i++, offset += step)
		rc = diff_nodes(d, level - 1, &zero, &ids[i], offset, e);
	return rc;
}

int tree_diff(const struct tree *a, const struct tree *b, struct fetch *fetch, tree_diff_fn *fn,
	      void *arg, struct err *e)
{
	struct tree none = {.type = TREE_MAP, .levels = 1};
	struct diff d = {.fetch = fetch, .fn = fn, .arg = arg};
	int rc;

	d.shape = a ? a : b;
	if (!d.shape)
		return 0;
	none.block_log = d.shape->block_log;
	none.fanout_log = d.shape->fanout_log;
	a = a ? a : &none;
	b = b ? b : &none;
	if (a->type != TREE_MAP || b->type != TREE_MAP || a->block_log != b->block_log ||
	    a->fanout_log != b->fanout_log)
		return err_set(e, ERR_UNSUPPORTED, "these two cannot be compared block by block");
	d.size = MAX(a->size, b->size);
	if (a->levels > b->levels)
		rc = diff_heights(&d, a->levels - 1, &a->root, b, e);
	else
		rc = diff_heights(&d, b->levels - 1, &b->root, a, e);
	if (rc == 0)
		rc = report(&d, d.size + 1, 0, e);
	return rc;
}
