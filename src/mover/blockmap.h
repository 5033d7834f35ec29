/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockmap.h: extents of any length as runs of whole blocks. A block that lies in extents of
 * different kinds is data: it has to be read. One thread.
 */
#ifndef HF_MOVER_BLOCKMAP_H
#define HF_MOVER_BLOCKMAP_H

#include "mover/source.h"

struct block_run {
	uint64_t first, n; /* blocks */
	enum extent_kind kind;
};

struct blockmap {
	uint64_t block;		  /* bytes */
	uint64_t size;		  /* of the disk */
	uint64_t at;		  /* what was added reaches up to here */
	enum extent_kind partial; /* of the block that `at` is inside of */
	struct block_run *runs;	  /* finished, not taken yet */
	size_t n, cap, taken;
};

void blockmap_init(struct blockmap *m, uint64_t block, uint64_t size);
void blockmap_done(struct blockmap *m);
/* The next extent, which starts where the last one ended. */
void blockmap_add(struct blockmap *m, uint64_t len, enum extent_kind kind);
/* The next run, if one is finished; a run may go on in the next one. */
bool blockmap_take(struct blockmap *m, struct block_run *ret_run);

#endif
