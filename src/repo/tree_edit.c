/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a map from another one.
 *
 * Of every level one node is open: the one on the path to the block that was set last. Since blocks
 * come in ascending order, a node is final when the path moves on; it is then encoded, its id goes
 * into the node above, and its bytes to the repository. A node is loaded from the base only when
 * something below it is set, so the work follows what changes.
 *
 * When the new map is higher than the base, the base's root becomes the first entry of the levels
 * above it; when it is lower, its root is found by descending along first entries. Cutting clears
 * what lies beyond the last block, on the path to it only.
 */
#include "repo/tree.h"

struct open_node {
	uint64_t position; /* within its level */
	bool open, dirty;
	struct block_id *ids;	    /* a full fan-out */
	struct block_print *prints; /* of a leaf, likewise */
};

struct tree_edit {
	struct tree t;
	struct tree base;
	uint64_t blocks;
	struct fetch *fetch;
	struct codec *codec;
	tree_node_fn *put;
	void *arg;
	struct open_node path[TREE_LEVELS_MAX];
	uint8_t *bytes; /* of one encoded node */
	uint64_t next;	/* blocks below this are final */
};

static size_t fanout(const struct tree_edit *te)
{
	return (size_t)1 << te->t.fanout_log;
}

/* Fill level `level` with the node `id` of the base, or with zeros. */
static int load(struct tree_edit *te, unsigned level, uint64_t position, const struct block_id *id,
		struct err *e)
{
	struct open_node *o = &te->path[level];
	struct node node;

	memset(o->ids, 0, fanout(te) * sizeof(*o->ids));
	if (o->prints)
		memset(o->prints, 0, fanout(te) * sizeof(*o->prints));
	if (!block_id_is_zero(id)) {
		if (node_fetch(te->fetch, &te->t, level, id, &node, e) < 0)
			return -1;
		memcpy(o->ids, node.ids, node.n * sizeof(*o->ids));
		if (o->prints)
			memcpy(o->prints, node.prints, node.n * sizeof(*o->prints));
		node_done(&node);
	}
	o->position = position;
	o->open = true;
	o->dirty = false;
	return 0;
}

/* Finish the node of a level: its id goes into the one above, or becomes the root. */
static int close_node(struct tree_edit *te, unsigned level, struct err *e)
{
	struct open_node *o = &te->path[level];
	struct block_id id = {0}, *above;
	size_t n = fanout(te), len;

	o->open = false;
	if (!o->dirty)
		return 0;
	while (n && block_id_is_zero(&o->ids[n - 1]))
		n--;
	if (n) {
		const struct node node = {TREE_MAP, level, n, o->ids, NULL, o->prints};

		len = node_encode(&node, te->bytes);
		codec_id(te->codec, BLOCK_NODE, te->bytes, len, &id);
		if (te->put(te->arg, &id, te->bytes, len, e) < 0)
			return -1;
	}
	if (level + 1 == te->t.levels) {
		te->t.root = id;
		return 0;
	}
	above = &te->path[level + 1].ids[o->position & (fanout(te) - 1)];
	if (!block_id_equal(above, &id)) {
		*above = id;
		te->path[level + 1].dirty = true;
	}
	return 0;
}

/* Open the path to a block down to level `lowest`, finishing what lies before it. The open levels
 * are always the upper ones, without a gap. */
static int open_path(struct tree_edit *te, uint64_t block, unsigned lowest, struct err *e)
{
	unsigned level = te->t.levels;
	uint64_t at;

	/* The lowest levels whose node changes are finished from below. */
	for (unsigned l = 0; l < te->t.levels; l++) {
		at = block >> (te->t.fanout_log * (l + 1));
		if (te->path[l].open && te->path[l].position == at)
			break;
		if (te->path[l].open && close_node(te, l, e) < 0)
			return -1;
	}
	while (level-- > lowest) {
		const struct block_id *id = &te->t.root;

		at = block >> (te->t.fanout_log * (level + 1));
		if (te->path[level].open)
			continue;
		if (level + 1 < te->t.levels)
			id = &te->path[level + 1].ids[at & (fanout(te) - 1)];
		if (load(te, level, at, id, e) < 0)
			return -1;
	}
	return 0;
}

/* The base is lower than the new map: put its root under new levels. */
static int raise(struct tree_edit *te, struct err *e)
{
	static const struct block_id zero;

	te->t.root = zero;
	if (block_id_is_zero(&te->base.root))
		return 0;
	for (unsigned l = te->base.levels; l < te->t.levels; l++) {
		if (load(te, l, 0, &zero, e) < 0)
			return -1;
		te->path[l].dirty = true;
	}
	te->path[te->base.levels].ids[0] = te->base.root;
	return 0;
}

/* The base is higher: its first subtree of the right height is the root. */
static int lower(struct tree_edit *te, struct err *e)
{
	te->t.root = te->base.root;
	for (unsigned l = te->base.levels; l-- > te->t.levels;) {
		struct node node;

		if (block_id_is_zero(&te->t.root))
			return 0;
		if (node_fetch(te->fetch, &te->base, l, &te->t.root, &node, e) < 0)
			return -1;
		te->t.root = node.ids[0];
		node_done(&node);
	}
	return 0;
}

static unsigned levels_for(uint64_t blocks)
{
	unsigned levels = 1;

	while (levels < TREE_LEVELS_MAX && blocks > (uint64_t)1 << (TREE_FANOUT_LOG * levels))
		levels++;
	return levels;
}

static int start(struct tree_edit *te, const struct tree *base, struct err *e)
{
	if (!base)
		return 0;
	if (base->type != TREE_MAP || base->block_log != te->t.block_log ||
	    base->fanout_log != te->t.fanout_log)
		return err_set(e, ERR_UNSUPPORTED, "the parent's tree is of another shape");
	te->base = *base;
	if (base->levels < te->t.levels)
		return raise(te, e);
	return lower(te, e);
}

struct tree_edit *tree_edit_new(const struct tree *base, uint64_t size, struct fetch *fetch,
				struct codec *codec, tree_node_fn *put, void *arg, struct err *e)
{
	AUTO(tree_edit) te = xcalloc(1, sizeof(*te));

	te->t = (struct tree){.type = TREE_MAP,
			      .block_log = TREE_BLOCK_LOG,
			      .fanout_log = TREE_FANOUT_LOG,
			      .size = size};
	te->blocks = tree_blocks(&te->t);
	te->t.levels = levels_for(te->blocks);
	te->fetch = fetch;
	te->codec = codec;
	te->put = put;
	te->arg = arg;
	te->bytes = xmalloc(NODE_MAX);
	for (unsigned l = 0; l < te->t.levels; l++)
		te->path[l].ids = xcalloc(fanout(te), sizeof(struct block_id));
	te->path[0].prints = xcalloc(fanout(te), sizeof(struct block_print));
	if (start(te, base, e) < 0)
		return NULL;
	return steal(&te);
}

void tree_edit_free(struct tree_edit *te)
{
	if (!te)
		return;
	for (unsigned l = 0; l < TREE_LEVELS_MAX; l++)
		free(te->path[l].ids);
	free(te->path[0].prints);
	free(te->bytes);
	free(te);
}

static int out_of_order(const struct tree_edit *te, uint64_t block, struct err *e)
{
	return err_set(e, ERR_INTERNAL, "block %llu of %llu is set after block %llu",
		       (unsigned long long)block, (unsigned long long)te->blocks,
		       (unsigned long long)te->next);
}

/* Entry `i` of a level becomes a hole. */
static void clear_entry(struct open_node *o, size_t i)
{
	if (block_id_is_zero(&o->ids[i]))
		return;
	o->ids[i] = (struct block_id){0};
	if (o->prints)
		o->prints[i] = (struct block_print){0};
	o->dirty = true;
}

int tree_edit_set(struct tree_edit *te, uint64_t block, const struct block_ref *ref, struct err *e)
{
	struct open_node *leaf = &te->path[0];
	size_t i = block & (fanout(te) - 1);

	if (block < te->next || block >= te->blocks)
		return out_of_order(te, block, e);
	te->next = block + 1;
	if (open_path(te, block, 0, e) < 0)
		return -1;
	if (block_id_is_zero(&ref->id)) {
		clear_entry(leaf, i);
	} else if (!block_id_equal(&leaf->ids[i], &ref->id)) {
		leaf->ids[i] = ref->id;
		leaf->prints[i] = ref->print;
		leaf->dirty = true;
	}
	return 0;
}

/* Make the subtree of `level` that starts with `block` a hole. */
static int clear_subtree(struct tree_edit *te, uint64_t block, unsigned level, struct err *e)
{
	uint64_t entry = block >> (te->t.fanout_log * level);

	if (open_path(te, block, level, e) < 0)
		return -1;
	/* What is open below is part of what goes, and nothing in it was set. */
	for (unsigned l = 0; l < level; l++)
		te->path[l].open = te->path[l].dirty = false;
	clear_entry(&te->path[level], entry & (fanout(te) - 1));
	return 0;
}

int tree_edit_clear(struct tree_edit *te, uint64_t from, uint64_t to, struct err *e)
{
	while (from < to) {
		unsigned level = 0;
		uint64_t span = 1;

		if (from < te->next || to > te->blocks)
			return out_of_order(te, from, e);
		/* The largest aligned subtree that lies in the range. */
		while (level + 1 < te->t.levels && from % (span << te->t.fanout_log) == 0 &&
		       to - from >= span << te->t.fanout_log) {
			span <<= te->t.fanout_log;
			level++;
		}
		if (clear_subtree(te, from, level, e) < 0)
			return -1;
		from += span;
		te->next = from;
	}
	return 0;
}

/* Clear what the base had beyond the last block. */
static int cut(struct tree_edit *te, struct err *e)
{
	uint64_t last = te->blocks - 1;

	if (open_path(te, last, 0, e) < 0)
		return -1;
	for (unsigned l = 0; l < te->t.levels; l++) {
		size_t i = (last >> (te->t.fanout_log * l)) & (fanout(te) - 1);

		for (i++; i < fanout(te); i++)
			clear_entry(&te->path[l], i);
	}
	return 0;
}

int tree_edit_finish(struct tree_edit *te, struct tree *ret_t, struct err *e)
{
	if (te->blocks && te->base.size > te->t.size && cut(te, e) < 0)
		return -1;
	for (unsigned l = 0; l < te->t.levels; l++) {
		if (te->path[l].open && close_node(te, l, e) < 0)
			return -1;
	}
	if (te->blocks == 0)
		memset(&te->t.root, 0, sizeof(te->t.root));
	*ret_t = te->t;
	return 0;
}
