/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a sequence. A node ends where the id of its last entry says so (its last byte is zero: one
 * in 256), so that two streams with a long part in common have equal nodes over it, however far it
 * moved.
 */
#include "repo/tree.h"

#define ENTRIES_MIN 32
#define ENTRIES_MAX 1024

struct level {
	struct block_id ids[ENTRIES_MAX];
	uint64_t lengths[ENTRIES_MAX];
	struct block_print prints[ENTRIES_MAX]; /* of a leaf */
	size_t n;
	uint64_t total;
	uint64_t nodes; /* finished so far */
};

struct tree_seq {
	struct codec *codec;
	tree_node_fn *put;
	void *arg;
	struct level *levels[TREE_LEVELS_MAX];
	unsigned n_levels;
	uint64_t size;
	uint8_t *bytes;
};

struct tree_seq *tree_seq_new(struct codec *codec, tree_node_fn *put, void *arg)
{
	struct tree_seq *ts = xcalloc(1, sizeof(*ts));

	ts->codec = codec;
	ts->put = put;
	ts->arg = arg;
	ts->bytes = xmalloc(NODE_MAX);
	return ts;
}

void tree_seq_free(struct tree_seq *ts)
{
	if (!ts)
		return;
	for (unsigned l = 0; l < ts->n_levels; l++)
		free(ts->levels[l]);
	free(ts->bytes);
	free(ts);
}

/* Make a node of what a level holds. */
static int finish_node(struct tree_seq *ts, unsigned l, struct block_id *ret_id, uint64_t *ret_len,
		       struct err *e)
{
	struct level *lv = ts->levels[l];
	const struct node node = {TREE_SEQUENCE, l, lv->n, lv->ids, lv->lengths, lv->prints};
	size_t len = node_encode(&node, ts->bytes);

	codec_id(ts->codec, BLOCK_NODE, ts->bytes, len, ret_id);
	*ret_len = lv->total;
	lv->n = 0;
	lv->total = 0;
	lv->nodes++;
	return ts->put(ts->arg, ret_id, ts->bytes, len, e);
}

static int add_entry(struct tree_seq *ts, unsigned l, struct block_ref ref, uint64_t len,
		     struct err *e)
{
	for (;; l++) {
		struct level *lv;

		if (l == TREE_LEVELS_MAX)
			return err_set(e, ERR_LIMIT, "the stream is too long");
		if (l == ts->n_levels)
			ts->levels[ts->n_levels++] = xcalloc(1, sizeof(struct level));
		lv = ts->levels[l];
		lv->ids[lv->n] = ref.id;
		lv->prints[lv->n] = ref.print;
		lv->lengths[lv->n++] = len;
		lv->total += len;
		if (lv->n < ENTRIES_MIN || (lv->n < ENTRIES_MAX && ref.id.b[HASH_BYTES - 1] != 0))
			return 0;
		if (finish_node(ts, l, &ref.id, &len, e) < 0)
			return -1;
	}
}

int tree_seq_add(struct tree_seq *ts, const struct block_ref *ref, uint64_t len, struct err *e)
{
	static const struct block_ref zeros;

	if (len > TREE_SIZE_MAX - ts->size)
		return err_set(e, ERR_LIMIT, "the stream is too long");
	ts->size += len;
	return add_entry(ts, 0, block_id_is_zero(&ref->id) ? zeros : *ref, len, e);
}

int tree_seq_finish(struct tree_seq *ts, struct tree *ret_t, struct err *e)
{
	struct tree t = {.type = TREE_SEQUENCE, .size = ts->size};
	struct block_ref ref = {0};
	uint64_t len;

	/* Close every level upwards, until one holds nothing but a single finished node's entry. */
	for (unsigned l = 0; l < ts->n_levels; l++) {
		struct level *lv = ts->levels[l];

		if (l > 0 && lv->nodes == 0 && lv->n == 1) {
			t.levels = l;
			t.root = lv->ids[0];
			break;
		}
		if (lv->n == 0)
			continue;
		if (finish_node(ts, l, &ref.id, &len, e) < 0 ||
		    add_entry(ts, l + 1, ref, len, e) < 0)
			return -1;
	}
	*ret_t = t;
	return 0;
}
