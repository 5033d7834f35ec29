/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idset.h: a set of block ids in memory: open addressing, no deletion but of everything. Ids are
 * keyed hashes, so any eight of their bytes spread well. Not thread-safe.
 */
#ifndef HF_REPO_IDSET_H
#define HF_REPO_IDSET_H

#include "repo/block.h"

struct idset {
	struct block_id *slots; /* a zero id: free */
	size_t n, cap;
};

bool idset_has(const struct idset *s, const struct block_id *id);
/* False when it was there already. The zero id must not be added. */
bool idset_add(struct idset *s, const struct block_id *id);
void idset_clear(struct idset *s);
void idset_done(struct idset *s);

#endif
