/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h: a small backup program for tests, straight on sessions and trees: disks in memory
 * become checkpoints and come back. The product's own is the mover, which has tests of its own.
 */
#ifndef HF_TEST_WRITER_H
#define HF_TEST_WRITER_H

#include "repo/encoder.h"
#include "testing.h"

#define BLOCK ((size_t)64 << 10)

struct writer {
	struct session *s;
	struct encoder *encoder;
	struct codec *codec; /* the encoder's */
	struct fetch *fetch;
};

int writer_begin(struct writer *w, struct repo *r, const struct session_options *o, struct err *e);
/* Also after a writer_begin that failed. */
void writer_end(struct writer *w);
/* Store one block as the mover does: 1 when it was new, 0 when it was known, -1. */
int writer_put(struct writer *w, const void *data, size_t n, struct block_id *ret_id,
	       struct err *e);

/* Store one block of BLOCK bytes, known or not: as a whole, or as a delta of another. */
struct block_id writer_put_whole(struct writer *w, const uint8_t *data);
struct block_id writer_put_delta(struct writer *w, const struct block_id *base_id,
				 const uint8_t *base, const uint8_t *data);

/* An entry of a map for this id, with a fingerprint that follows from it. */
struct block_ref ref_of(const struct block_id *id);
/* tree_edit_set() and tree_seq_add() with that. */
int add_id(struct tree_seq *ts, const struct block_id *id, uint64_t len, struct err *e);
int set_id(struct tree_edit *te, uint64_t block, const struct block_id *id, struct err *e);

/* A disk as it should be. */
struct disk {
	uint8_t *data;
	uint64_t size;
};

/* `blocks` blocks: some holes, some text, some noise. */
void disk_make(struct disk *d, struct random *rnd, size_t blocks);
/* `blocks` blocks that compress to almost nothing and are all different. */
void disk_make_small(struct disk *d, uint32_t number, size_t blocks);
void disk_done(struct disk *d);
/* Change `blocks` blocks from `first` on, each as a whole or a little. */
void disk_write(struct disk *d, struct random *rnd, size_t first, size_t blocks);

/* The disk's tree, stored by an open writer. `base` and `dirty` (one for each block) make it an
 * increment; both NULL: everything is looked at. */
int writer_disk(struct writer *w, const struct disk *d, const struct tree *base, const bool *dirty,
		struct tree *ret_tree, size_t *ret_new, struct err *e);

/* A whole session: one disk as one checkpoint. `ret_id` is written before the commit; `ret_new`
 * (may be NULL) is how many blocks were new. */
int protect(struct repo *r, const struct session_options *o, const struct disk *d,
	    struct uuid *ret_id, size_t *ret_new, struct err *e);
/* The same, as what changed since the checkpoint `before`. */
int protect_after(struct repo *r, const struct session_options *o, const struct disk *d,
		  const struct uuid *before, struct uuid *ret_id, struct err *e);
/* What a tree holds. */
int read_tree(struct repo *r, const struct tree *t, struct buf *ret_b, struct err *e);
/* What the first disk of a checkpoint holds. */
int read_point(struct repo *r, const struct uuid *id, struct buf *ret_b, struct err *e);
/* Must read back bit for bit. */
void assert_point(struct repo *r, const struct uuid *id, const struct disk *d);

#endif
