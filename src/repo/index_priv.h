/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index_priv.h: the index as index.c (looking up), index_refresh.c (what runs there are) and
 * index_merge.c (writing) share it.
 */
#ifndef HF_REPO_INDEX_PRIV_H
#define HF_REPO_INDEX_PRIV_H

#include <pthread.h>

#include "repo/index.h"

#define CACHE_SETS 256
#define CACHE_WAYS 4 /* times RUN_GROUP * RUN_ENTRY: 22 MiB in all, with bases 39 at most */

struct cached_group {
	uint64_t serial; /* of the run; 0: empty */
	uint64_t group;
	uint64_t used;
	struct run_group g;
};

struct cache_set {
	pthread_mutex_t lock;
	uint64_t tick;
	struct cached_group ways[CACHE_WAYS];
};

/* A run in use. */
struct index_run {
	struct run *run;
	uint64_t serial; /* never reused, so a cached group cannot be taken for another run's */
	int refs;	 /* sets that hold it; guarded by the index's lock */
};

/* The runs in use at one time: never changed, replaced as a whole, so a lookup works undisturbed.
 */
struct run_set {
	int refs; /* guarded by the index's lock */
	size_t n;
	struct index_run *runs[];
};

/* What damaged runs held, from the packs' directories: sorted entries in memory. */
struct recovered {
	struct run_entry *entries;
	size_t n, cap;
	uint8_t (*packs)[HASH_BYTES];
	size_t n_packs;
	bool incomplete; /* a pack's directory could not be read either */
};

struct name_list {
	uint8_t (*names)[HASH_BYTES];
	size_t n, cap;
};

struct index {
	struct store *store;
	const struct keyring *keys;
	pthread_mutex_t lock; /* of the two below, never held during I/O */
	struct run_set *set;
	uint64_t next_serial;
	pthread_mutex_t refresh;   /* one thread changes the set at a time; guards the next six */
	struct name_list bad;	   /* found damaged while reading: not opened again */
	struct name_list damaged;  /* damaged, there, and not superseded */
	struct name_list replaced; /* there, and superseded */
	bool search_packs;	   /* also without a damaged run: one was lost */
	uint64_t searched_for;	   /* what `recovered` was made for: see recovery_mark() */
	uint64_t filter_bytes;
	pthread_rwlock_t recovered_lock;
	struct recovered recovered;
	struct cache_set cache[CACHE_SETS];
};

void name_list_add(struct name_list *l, const uint8_t name[HASH_BYTES]);
bool name_list_has(const struct name_list *l, const uint8_t name[HASH_BYTES]);
void name_list_done(struct name_list *l);

/* The runs in use; give back with index_release. */
struct run_set *index_hold(struct index *ix);
void index_release(struct index *ix, struct run_set *set);
/* Use these runs from now on; a run keeps its serial number. Takes the array's runs over. */
void index_use(struct index *ix, struct index_run *const *runs, size_t n);

/* Remove runs from the store; that they are gone is no error. */
int index_remove_runs(struct index *ix, const struct name_list *runs, struct err *e);
/* An entry as a place in the pack of this name. */
struct location entry_location(const struct run_entry *r, const uint8_t pack[HASH_BYTES]);
/* Does the run name one of these packs? */
bool run_names_any(const struct run *run, const struct pack_set *packs);

/* A lookup: `hit` is told of every entry for the id; under a lock, so it must be quick. */
struct search {
	const struct block_id *id;
	void (*hit)(struct search *s, const struct index_run *ir, uint64_t entry,
		    const struct run_entry *r);
	bool absent; /* what a page of the run's filter said */
};
int index_search_run(struct index *ix, const struct index_run *ir, struct search *s, struct err *e);

/* Open a run that was just written and use it too. */
int index_open_run(struct index *ix, const uint8_t name[HASH_BYTES], struct err *e);
/* A run turned out to be damaged while it was read: go on without it. */
int index_distrust(struct index *ix, const uint8_t name[HASH_BYTES], struct err *e);
#endif
