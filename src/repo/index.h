/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h: where blocks lie: the union of all runs in the store (format section 8), with a bounded
 * cache of groups of entries.
 *
 * A run that is damaged or gone does not stop anything: what it held is read again from the
 * directories of the packs, which say the same.
 *
 * Threads: thread-safe, but for index_free.
 */
#ifndef HF_REPO_INDEX_H
#define HF_REPO_INDEX_H

#include "repo/block.h"
#include "repo/pack.h"
#include "repo/run.h"

struct index;

/* A place of a block. */
struct location {
	uint8_t pack[HASH_BYTES];
	struct pack_entry at;
};

/* A set of pack names, sorted; from which a writer takes no blocks. */
struct pack_set {
	uint8_t (*names)[HASH_BYTES];
	size_t n;
};
bool pack_set_has(const struct pack_set *set, const uint8_t name[HASH_BYTES]);
void pack_set_done(struct pack_set *set);

/* An empty index over a store. Both are borrowed. */
struct index *index_new(struct store *s, const struct keyring *k);
void index_free(struct index *ix);
/* List the store and open what is new. */
int index_refresh(struct index *ix, struct err *e);
/*
 * A block is missing that should be there: read the directories of packs that no run lists, once
 * for as long as the packs stay the same. Helps where a run was lost.
 */
int index_search_packs(struct index *ix, struct err *e);
/* How many runs are open, how many entries they have, and how many runs were found damaged. */
void index_state(struct index *ix, size_t *ret_runs, uint64_t *ret_entries, size_t *ret_damaged);

#define INDEX_PLACES 4

/*
 * Up to INDEX_PLACES places of a block; *ret_n is 0 when it is not known. `without` (may be NULL)
 * names packs that do not count. Unless `all`, the search ends with the first run that has any.
 */
int index_find(struct index *ix, const struct block_id *id, const struct pack_set *without,
	       bool all, struct location *ret_places, size_t *ret_n, struct err *e);

/* Write entries (which are sorted in place) as a run of this session and use it from now on. */
int index_add(struct index *ix, struct store_session *ss, struct run_entry *entries, size_t n,
	      const uint8_t (*packs)[HASH_BYTES], size_t n_packs, struct err *e);
/*
 * Merge runs where many of about the same size have come together, and replace damaged ones by what
 * the packs say. Packs in `without` are not brought back by
 * that. Losing a race against another merger is no error.
 */
int index_tidy(struct index *ix, struct store_session *ss, const struct pack_set *without,
	       struct err *e);

#endif
