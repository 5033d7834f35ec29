/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "repo/tree.h"

#define NODE_MAGIC 0x4e

uint64_t tree_blocks(const struct tree *t)
{
	uint64_t block = (uint64_t)1 << t->block_log;

	return t->size / block + (t->size % block != 0);
}

void tree_encode(const struct tree *t, uint8_t out[TREE_DESC])
{
	memset(out, 0, TREE_DESC);
	out[0] = (uint8_t)t->type;
	out[1] = (uint8_t)t->block_log;
	out[2] = (uint8_t)t->fanout_log;
	out[3] = (uint8_t)t->levels;
	put_le64(out + 8, t->size);
	memcpy(out + 16, t->root.b, HASH_BYTES);
}

/* A map's levels follow from its size. */
static unsigned map_levels(const struct tree *t)
{
	uint64_t left = tree_blocks(t);
	unsigned levels = 0;

	do {
		left = DIV_UP(left, (uint64_t)1 << t->fanout_log);
		levels++;
	} while (left > 1);
	return levels;
}

int tree_decode(const uint8_t *p, size_t n, struct tree *ret_t, struct err *e)
{
	struct tree t;

	if (n != TREE_DESC)
		return err_set(e, ERR_CORRUPT, "a tree descriptor of %zu bytes", n);
	t = (struct tree){.type = p[0],
			  .block_log = p[1],
			  .fanout_log = p[2],
			  .levels = p[3],
			  .size = get_le64(p + 8)};
	memcpy(t.root.b, p + 16, HASH_BYTES);
	if (t.type != TREE_MAP && t.type != TREE_SEQUENCE)
		return err_set(e, ERR_VERSION,
			       "a tree of type %u, which this version does not know: use a newer "
			       "version of holdfast",
			       p[0]);
	if (t.levels > TREE_LEVELS_MAX || t.size > TREE_SIZE_MAX ||
	    (t.type == TREE_MAP && (t.block_log < 12 || t.block_log > 20 || t.fanout_log < 4 ||
				    t.fanout_log > 12 || t.levels != map_levels(&t))) ||
	    (t.type == TREE_SEQUENCE && t.levels == 0 && !block_id_is_zero(&t.root)))
		return err_set(e, ERR_CORRUPT, "a tree descriptor is damaged");
	*ret_t = t;
	return 0;
}

/* An id; of a sequence a length; of a leaf a fingerprint. */
static size_t entry_bytes(enum tree_type type, unsigned level)
{
	return HASH_BYTES + (type == TREE_SEQUENCE ? 8 : 0) + (level == 0 ? PRINT_BYTES : 0);
}

size_t node_encode(const struct node *node, uint8_t *out)
{
	size_t entry = entry_bytes(node->type, node->level);
	uint8_t *p = out + NODE_HEAD;

	memset(out, 0, NODE_HEAD);
	out[0] = NODE_MAGIC;
	out[1] = (uint8_t)node->type;
	out[2] = (uint8_t)node->level;
	put_le16(out + 4, (uint16_t)node->n);
	for (size_t i = 0; i < node->n; i++) {
		memcpy(p, node->ids[i].b, HASH_BYTES);
		if (node->type == TREE_SEQUENCE)
			put_le64(p + HASH_BYTES, node->lengths[i]);
		if (node->level == 0)
			memcpy(p + entry - PRINT_BYTES, node->prints[i].b, PRINT_BYTES);
		p += entry;
	}
	return (size_t)(p - out);
}

void node_done(struct node *node)
{
	free(node->ids);
	free(node->lengths);
	free(node->prints);
	*node = (struct node){0};
}

int node_decode(const uint8_t *p, size_t n, struct node *ret_node, struct err *e)
{
	struct cur c = cur_of(p, n);
	struct node node = {0};
	bool magic = cur_u8(&c) == NODE_MAGIC;

	node.type = cur_u8(&c);
	node.level = cur_u8(&c);
	cur_u8(&c);
	node.n = cur_u16(&c);
	cur_u16(&c);
	if (!cur_ok(&c) || !magic || node.n == 0 || node.n > NODE_ENTRIES_MAX ||
	    (node.type != TREE_MAP && node.type != TREE_SEQUENCE) ||
	    c.left != node.n * entry_bytes(node.type, node.level))
		return err_set(e, ERR_CORRUPT, "a tree node is malformed");
	node.ids = xcalloc(node.n, sizeof(*node.ids));
	if (node.type == TREE_SEQUENCE)
		node.lengths = xcalloc(node.n, sizeof(*node.lengths));
	if (node.level == 0)
		node.prints = xcalloc(node.n, sizeof(*node.prints));
	for (size_t i = 0; i < node.n; i++) {
		cur_copy(&c, node.ids[i].b, HASH_BYTES);
		if (node.lengths)
			node.lengths[i] = cur_u64(&c);
		if (node.prints)
			cur_copy(&c, node.prints[i].b, PRINT_BYTES);
	}
	*ret_node = node;
	return 0;
}

int node_fetch(struct fetch *f, const struct tree *t, unsigned level, const struct block_id *id,
	       struct node *ret_node, struct err *e)
{
	AUTO_FREE uint8_t *bytes = xmalloc(NODE_MAX);
	size_t n;

	if (fetch_block(f, BLOCK_NODE, id, bytes, NODE_MAX, &n, e) < 0 ||
	    node_decode(bytes, n, ret_node, e) < 0)
		return -1;
	if (ret_node->type == t->type && ret_node->level == level &&
	    (t->type == TREE_SEQUENCE || ret_node->n <= (size_t)1 << t->fanout_log))
		return 0;
	node_done(ret_node);
	return err_set(e, ERR_CORRUPT, "a tree node is of the wrong type or level");
}
