/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h: content of any length as a tree of blocks (format section 9): maps for disks, sequences
 * for streams.
 *
 * A disk's new tree is made from its parent's by setting the blocks that changed, in ascending
 * order; what is not touched is not read. Reading walks a tree in order, from any offset, without
 * its holes.
 *
 * Threads: every object here belongs to one thread.
 */
#ifndef HF_REPO_TREE_H
#define HF_REPO_TREE_H

#include "repo/block.h"
#include "repo/repo.h"

#define TREE_DESC 48
#define TREE_LEVELS_MAX 8
#define TREE_SIZE_MAX ((uint64_t)1 << 62)

enum tree_type { TREE_MAP = 1, TREE_SEQUENCE = 2 };

/* What we write for disks: the granularity of QEMU's bitmaps and of qcow2's clusters. */
#define TREE_BLOCK_LOG 16
#define TREE_FANOUT_LOG 8

struct tree {
	enum tree_type type;
	unsigned block_log, fanout_log; /* of a map */
	unsigned levels;
	uint64_t size;
	struct block_id root;
};

void tree_encode(const struct tree *t, uint8_t out[TREE_DESC]);
int tree_decode(const uint8_t *p, size_t n, struct tree *ret_t, struct err *e);
/* Blocks of a map: the last one may be padded. */
uint64_t tree_blocks(const struct tree *t);

/* ---- nodes ---- */

#define NODE_HEAD 8
#define NODE_ENTRIES_MAX 4096
#define NODE_MAX (NODE_HEAD + NODE_ENTRIES_MAX * 56)

struct node {
	enum tree_type type;
	unsigned level;
	size_t n;
	struct block_id *ids;	    /* n of them */
	uint64_t *lengths;	    /* of a sequence */
	struct block_print *prints; /* of a leaf: its blocks' fingerprints */
};

/* Encode into `out` (NODE_MAX bytes); the length. */
size_t node_encode(const struct node *node, uint8_t *out);
/* Decode and check; the caller frees with node_done. */
int node_decode(const uint8_t *p, size_t n, struct node *ret_node, struct err *e);
void node_done(struct node *node);
/* Fetch and decode a node of tree `t` at this level. */
int node_fetch(struct fetch *f, const struct tree *t, unsigned level, const struct block_id *id,
	       struct node *ret_node, struct err *e);

/* Who takes a finished node: its bytes under its id. */
typedef int tree_node_fn(void *arg, const struct block_id *id, const uint8_t *bytes, size_t n,
			 struct err *e);

/* ---- making a map ---- */

struct tree_edit;

/*
 * A map of `size` bytes, starting as a copy of `base` (whose block size and fan-out must be ours;
 * its size may differ: what is new is zeros, what is beyond is cut), or as zeros when that is NULL.
 * Nodes are hashed with `codec` and handed to `put`. `fetch` reads nodes of the base.
 */
struct tree_edit *tree_edit_new(const struct tree *base, uint64_t size, struct fetch *fetch,
				struct codec *codec, tree_node_fn *put, void *arg, struct err *e);
void tree_edit_free(struct tree_edit *te);
/* Set one block; numbers ascend from call to call. A zero id makes a hole, and its fingerprint does
 * not matter. */
int tree_edit_set(struct tree_edit *te, uint64_t block, const struct block_ref *ref, struct err *e);
/* Make holes from block `from` to before `to`, ascending likewise. */
int tree_edit_clear(struct tree_edit *te, uint64_t from, uint64_t to, struct err *e);
int tree_edit_finish(struct tree_edit *te, struct tree *ret_t, struct err *e);

DEFINE_AUTO(tree_edit, tree_edit_free);

/* ---- making a sequence ---- */

struct tree_seq;

struct tree_seq *tree_seq_new(struct codec *codec, tree_node_fn *put, void *arg);
void tree_seq_free(struct tree_seq *ts);
/* Append a block of `len` bytes; the fingerprint of a zero id does not matter. */
int tree_seq_add(struct tree_seq *ts, const struct block_ref *ref, uint64_t len, struct err *e);
int tree_seq_finish(struct tree_seq *ts, struct tree *ret_t, struct err *e);

DEFINE_AUTO(tree_seq, tree_seq_free);

/* ---- reading ---- */

/* A piece of content that is stored: `len` bytes at `offset` (a map's last block counts in full).
 */
struct tree_piece {
	uint64_t offset;
	uint64_t len;
	struct block_id id;
	struct block_print print;
};

struct tree_walk;

/* Walk the blocks of a tree in order, without holes. `fetch` is borrowed. */
struct tree_walk *tree_walk_new(const struct tree *t, struct fetch *fetch);
void tree_walk_free(struct tree_walk *w);
/* Go on with the block that holds `offset`, or the next one after it. Any order. */
int tree_walk_seek(struct tree_walk *w, uint64_t offset, struct err *e);
/* The next piece: 1, 0 at the end, -1. After ERR_CORRUPT the walk can go on behind what is lost. */
int tree_walk_next(struct tree_walk *w, struct tree_piece *ret_p, struct err *e);
/* The part of the content that the last failure was about: a node's, or a block out of place. It
 * may reach beyond the end of the content. */
struct tree_piece tree_walk_lost(const struct tree_walk *w);
/* Is what lies below a node, or in a block, to be passed over? 1, 0, -1. */
typedef int tree_skip_fn(void *arg, const struct block_id *id, struct err *e);
/* Ask this of every node from now on. */
void tree_walk_skip(struct tree_walk *w, tree_skip_fn *skip, void *arg);

DEFINE_AUTO(tree_walk, tree_walk_free);

/* A range where two maps differ; -1 stops with `e`. */
typedef int tree_diff_fn(void *arg, uint64_t offset, uint64_t len, struct err *e);
/* Ranges of blocks in which `b` differs from `a`, ascending, neighbours joined. Equal subtrees are
 * not read. Both are maps of our block size; either may be NULL: all zeros. */
int tree_diff(const struct tree *a, const struct tree *b, struct fetch *fetch, tree_diff_fn *fn,
	      void *arg, struct err *e);

#endif
