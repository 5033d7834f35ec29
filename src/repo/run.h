/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: index runs, immutable sorted tables from block ids to places (format section 8).
 *
 * An open run keeps its fences and pack names in memory, and its filter if there is room; entries
 * are read group by group, a larger filter page by page. Writing merges any number of sorted inputs
 * in passes (to count and make fences, to make the filter part by part, to write entries and then
 * bases), so that no run ever has to fit in memory.
 *
 * Threads: an open run is read-only and may be used by many threads. Inputs belong to one thread.
 */
#ifndef HF_REPO_RUN_H
#define HF_REPO_RUN_H

#include "repo/block.h"
#include "repo/keyring.h"
#include "repo/store.h"

#define RUN_ENTRY 44
#define RUN_BASE 34
#define RUN_GROUP 512 /* entries in a group, as we write them */

/* An entry; the base of a delta is stored apart from it. */
struct run_entry {
	struct block_id id;
	uint32_t pack;
	uint32_t offset;
	uint32_t stored;
	uint8_t kind, encoding;
	struct block_id base; /* of a delta; else zero */
};

void run_entry_encode(const struct run_entry *r, uint8_t out[RUN_ENTRY]);
void run_entry_decode(const uint8_t p[RUN_ENTRY], struct run_entry *ret_r);

struct run {
	struct store *store;
	uint8_t name[HASH_BYTES];
	uint64_t n;
	uint32_t group;	   /* entries in a group */
	uint64_t n_groups; /* also the number of fences */
	uint64_t *fences;
	uint64_t n_bases, *bases_before; /* of each group; NULL: there are none at all */
	size_t n_packs, n_superseded;
	uint8_t (*packs)[HASH_BYTES];
	uint8_t (*superseded)[HASH_BYTES];
	uint8_t *filter; /* NULL: there is none, or it is read by pages */
	uint64_t filter_bytes;
	uint64_t filter_at, entries_at, bases_at; /* in the body */
	uint64_t bytes;				  /* memory held */
	struct box_reader *box;
};

/* "index/NAME" */
void run_key_name(const uint8_t name[HASH_BYTES], char out[STORE_KEY_MAX]);
/* The way back; false for what is no run's name. */
bool run_key_parse(const char *key, uint8_t ret_name[HASH_BYTES]);

/* Open a run; `filter_max` is how many bytes of filter may be kept. */
struct run *run_open(struct store *s, const struct keyring *k, const uint8_t name[HASH_BYTES],
		     uint64_t filter_max, struct err *e);
void run_free(struct run *r);

/* False: the id is certainly not in this run, as far as what is in memory tells. */
bool run_may_hold(const struct run *r, const struct block_id *id);
/* The page of a filter that is not in memory where the id would be. */
#define RUN_FILTER_PAGE ((uint64_t)16 << 10)
uint64_t run_filter_page(const struct run *r, const struct block_id *id);
/* Read a page, RUN_FILTER_PAGE bytes at most. */
int run_read_filter(const struct run *r, uint64_t page, uint8_t *out, struct err *e);
/* False: the id, whose page this is, is certainly not in this run. */
bool run_page_may_hold(const struct run *r, const uint8_t *page, const struct block_id *id);
/* The groups, from *ret_first to before *ret_end, in which the id lies if it is there at all. */
void run_groups_of(const struct run *r, const struct block_id *id, uint64_t *ret_first,
		   uint64_t *ret_end);
/* Entries that lie together, and the bases of those that are deltas, as they are stored. */
struct run_group {
	uint8_t *entries, *bases;
	size_t n, n_bases;
};
/* Read a group, in place of what `g` held. */
int run_read_group(const struct run *r, uint64_t number, struct run_group *g, struct err *e);
/* Who reads one after the other reads some at once, as if they were one group: this many of a run.
 */
uint64_t run_span(const struct run *r);
/* The same from group `number` on, `count` of them at most, no more than run_span(). */
int run_read_groups(const struct run *r, uint64_t number, uint64_t count, struct run_group *g,
		    struct err *e);
void run_group_done(struct run_group *g);
void run_group_entry(const struct run_group *g, size_t i, struct run_entry *ret_r);
/* The position of the first entry with an id not below `id`. */
size_t run_lower_bound(const struct run_group *g, const struct block_id *id);

/* A sorted stream of entries whose pack numbers refer to `packs`. */
struct run_input {
	const uint8_t (*packs)[HASH_BYTES];
	size_t n_packs;
	/* The next entry: 1 and *ret_r, 0 at the end, -1. */
	int (*next)(struct run_input *in, struct run_entry *ret_r, struct err *e);
	void (*rewind)(struct run_input *in);
	void (*free)(struct run_input *in);
};

/* Entries in memory, sorted by run_sort(), borrowed with `packs`. */
struct run_input *run_input_array(const struct run_entry *entries, size_t n,
				  const uint8_t (*packs)[HASH_BYTES], size_t n_packs);
/* All entries of an open run, borrowed. */
struct run_input *run_input_run(const struct run *r);
void run_sort(struct run_entry *entries, size_t n);

/*
 * Merge inputs into a new run that supersedes `n_superseded` others, durable when this returns. The
 * inputs are not freed. With no entries at all nothing is written and *ret_written is false.
 */
int run_write(const struct keyring *k, struct store_session *ss, struct run_input *const *inputs,
	      size_t n_inputs, const uint8_t (*superseded)[HASH_BYTES], size_t n_superseded,
	      uint8_t ret_name[HASH_BYTES], bool *ret_written, struct err *e);

/* The split block Bloom filter: pure functions over `bytes` bytes, a multiple of RUN_FILTER_BLOCK,
 * of which an id concerns one. */
#define RUN_FILTER_BLOCK 32
/* How much of a filter that is being written is in memory at one time, a multiple of that. Tests
 * make it small. */
extern uint64_t run_filter_part;
uint64_t run_filter_bytes(uint64_t n);
/* Where the block of an id starts. */
uint64_t run_filter_at(uint64_t bytes, const struct block_id *id);
void run_filter_add(uint8_t block[RUN_FILTER_BLOCK], const struct block_id *id);
bool run_filter_test(const uint8_t block[RUN_FILTER_BLOCK], const struct block_id *id);

DEFINE_AUTO(run, run_free);

#endif
