/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_fixture.h: what tests of the index share: a store that is watched, an index over it, and
 * real packs with numbered blocks.
 */
#ifndef HF_TEST_INDEX_FIXTURE_H
#define HF_TEST_INDEX_FIXTURE_H

#include <stdatomic.h>

#include "repo/store_hook.h"
#include "testing.h"

struct index_fixture {
	struct keyring *keys;
	struct store *inner; /* holds the objects */
	struct store *s;     /* calls `hook` if there is one, and counts */
	struct store_session *ss;
	struct index *ix;
	atomic_uint calls[HOOK_CALLS]; /* how often, since the test set it to zero */
	hook_fn *hook;
	void *hook_arg;
};

int index_fixture_set_up(void **state);
int index_fixture_tear_down(void **state);

/* The id of block number `i`. */
struct block_id numbered(uint64_t i);
/* Write a pack of blocks `first` to first + n - 1 and add a run for it; its name to `ret_name`. */
void add_pack(struct index_fixture *f, uint64_t first, size_t n, uint8_t ret_name[HASH_BYTES]);
/* The same without a run. */
void add_pack_only(struct index_fixture *f, uint64_t first, size_t n, uint8_t ret_name[HASH_BYTES]);

/* How many places the index gives for block `i`. */
size_t places_of(struct index *ix, uint64_t i, const struct pack_set *without, bool all);
/* All blocks must be found, in this pack (NULL: in any). */
void assert_knows(struct index *ix, uint64_t first, size_t n, const uint8_t *pack);
/* None of them may be. */
void assert_not_knows(struct index *ix, uint64_t first, size_t n);
/* index_state() must give these. */
void assert_state(struct index *ix, size_t runs, uint64_t entries, size_t damaged);
/* Change a byte of an object, counted from its end if negative. */
void damage(struct store *s, const char *key, long at);

#endif
