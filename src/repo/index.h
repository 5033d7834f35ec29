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
struct presence;

/* A place of a block. */
struct location {
	uint8_t pack[HASH_BYTES];
	struct pack_entry at;
};

/* A set of pack names. What is added counts once the set is sorted. */
struct pack_set {
	uint8_t (*names)[HASH_BYTES];
	size_t n;
};
void pack_set_add(struct pack_set *set, const uint8_t name[HASH_BYTES]);
void pack_set_sort(struct pack_set *set);
/* NULL is an empty set. */
bool pack_set_has(const struct pack_set *set, const uint8_t name[HASH_BYTES]);
void pack_set_done(struct pack_set *set);

/* Memory for the filters of all runs; those that find no room are read by pages. Tests make it
 * small. */
extern uint64_t index_filters_max;

/* An empty index over a store. Both are borrowed. */
struct index *index_new(struct store *s, const struct keyring *k);
void index_free(struct index *ix);
/* List the store and open what is new. */
int index_refresh(struct index *ix, struct err *e);
/* The same for a writer that begins: what was read from packs is not trusted either, but read
 * again, because packs that no run lists go without a trace in the runs. */
int index_renew(struct index *ix, struct err *e);
/*
 * A block is missing that should be there: read the directories of packs that no run lists, once
 * for as long as the packs stay the same. Helps where a run was lost.
 */
int index_search_packs(struct index *ix, struct err *e);
/* Something is not where the index says, or not known: what a new look at the store, and then what
 * packs say that no run lists, make of it. `ask` tells by then: 1, 0 to go on, -1. */
typedef int index_ask_fn(void *arg, struct err *e);
int index_look_harder(struct index *ix, index_ask_fn *ask, void *arg, struct err *e);
/* Was a run in force found damaged? */
bool index_is_damaged(struct index *ix);
/* Add the names of all packs that runs in force list; the set is sorted then. */
void index_packs(struct index *ix, struct pack_set *add_to);
/* How many runs are open, how many entries they have, and how many runs were found damaged. */
void index_state(struct index *ix, size_t *ret_runs, uint64_t *ret_entries, size_t *ret_damaged);

#define INDEX_PLACES 4

/*
 * Up to INDEX_PLACES places of a block; *ret_n is 0 when it is not known. `without` (may be NULL)
 * names packs that do not count. Unless `all`, the search ends with the first run that has any.
 */
int index_find(struct index *ix, const struct block_id *id, const struct pack_set *without,
	       bool all, struct location *ret_places, size_t *ret_n, struct err *e);

/*
 * Can it be counted on? *ret_l is a place outside `without`; if that holds a delta, its base has
 * one, too, as a whole. `full` refuses deltas. With `packs` (may be NULL), only packs that are
 * there count. 1, 0, -1.
 */
int index_counts(struct index *ix, const struct block_id *id, const struct pack_set *without,
		 struct presence *packs, bool full, struct location *ret_l, struct err *e);

/* Write entries (which are sorted in place) as a run of this session and use it from now on. */
int index_add(struct index *ix, struct store_session *ss, struct run_entry *entries, size_t n,
	      const uint8_t (*packs)[HASH_BYTES], size_t n_packs, struct err *e);
/*
 * Merge runs where many of about the same size have come together, and replace damaged ones by what
 * the packs say. Of packs in `without` (may be NULL), which a collector is about to remove, nothing
 * is written into a new run. Losing a race against another merger is no error.
 */
int index_tidy(struct index *ix, struct store_session *ss, const struct pack_set *without,
	       struct err *e);

/* ---- for collectors: see collect.h ---- */

/* Write what runs hold that name packs of `drop` anew, without these packs. Runs that also name
 * packs of `leave`, which another collector drops, stay as they are. */
int index_drop(struct index *ix, struct store_session *ss, const struct pack_set *drop,
	       const struct pack_set *leave, struct err *e);
/* Remove runs that others supersede. */
int index_prune(struct index *ix, struct err *e);
/* Does any run that is there name one of these packs, or may one that is damaged? 1, 0, -1. */
int index_names(struct index *ix, const struct pack_set *packs, struct err *e);

/* Marks on the entries of the index as it is when they are made. */
struct index_marks;

struct index_marks *index_marks_new(struct index *ix);
void index_marks_free(struct index_marks *m);
/* What marking a block found. */
struct index_marked {
	bool first;	/* no place was marked before */
	size_t places;	/* that hold all of it */
	size_t n_bases; /* of deltas that were not marked before */
	struct block_id bases[INDEX_PLACES];
	bool more; /* there are more of these, not marked yet: call again */
};
/* Mark all places of a block, with `full` only those that are no deltas. ERR_NOENT: a run was
 * merged away meanwhile, begin again after a refresh. */
int index_mark(struct index_marks *m, const struct block_id *id, bool full,
	       struct index_marked *ret, struct err *e);
#define INDEX_PREFIX 16
/*
 * Mark all places of many blocks, given the first bytes of their ids, which are sorted in place.
 * *ret_missing is how many have no place. The bases of what is stored as a delta are the caller's
 * business. ERR_NOENT as above.
 */
int index_mark_all(struct index_marks *m, uint8_t (*ids)[INDEX_PREFIX], size_t n, bool full,
		   size_t *ret_missing, struct err *e);
/* From now on places in packs that are not there are none. */
int index_marks_want(struct index_marks *m, struct presence *packs, struct err *e);
/* Is anything stored as a delta? */
bool index_marks_deltas(const struct index_marks *m);
/* Tell of every entry; -1 stops. */
typedef int index_entry_fn(void *arg, const struct location *l, bool marked, struct err *e);
int index_marks_each(const struct index_marks *m, index_entry_fn *fn, void *arg, struct err *e);

DEFINE_AUTO(index_marks, index_marks_free);

#endif
