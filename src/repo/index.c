/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up. A lookup asks each run's filter, then the group of entries where the id would lie.
 * Groups, and pages of filters for which there is no room in memory, come from a set-associative
 * cache: ids are random, so the set is picked by run and group number, and within a set the least
 * recently used way goes. The locks are per set and held for a binary search, never during I/O.
 */
#include "repo/index_priv.h"

#include <stdlib.h>

#include "repo/presence.h"

/* ---- sets of names ---- */

static int by_name(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

bool pack_set_has(const struct pack_set *set, const uint8_t name[HASH_BYTES])
{
	return set && set->n && bsearch(name, set->names, set->n, HASH_BYTES, by_name);
}

void pack_set_add(struct pack_set *set, const uint8_t name[HASH_BYTES])
{
	set->names = xreallocarray(set->names, set->n + 1, HASH_BYTES);
	memcpy(set->names[set->n++], name, HASH_BYTES);
}

void pack_set_sort(struct pack_set *set)
{
	size_t n = 0;

	if (set->n)
		qsort(set->names, set->n, HASH_BYTES, by_name);
	for (size_t i = 0; i < set->n; i++) {
		if (n == 0 || memcmp(set->names[n - 1], set->names[i], HASH_BYTES) != 0)
			memmove(set->names[n++], set->names[i], HASH_BYTES);
	}
	set->n = n;
}

void pack_set_done(struct pack_set *set)
{
	free(set->names);
	*set = (struct pack_set){0};
}

void name_list_add(struct name_list *l, const uint8_t name[HASH_BYTES])
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->names = xreallocarray(l->names, l->cap, HASH_BYTES);
	}
	memcpy(l->names[l->n++], name, HASH_BYTES);
}

bool name_list_has(const struct name_list *l, const uint8_t name[HASH_BYTES])
{
	for (size_t i = 0; i < l->n; i++) {
		if (memcmp(l->names[i], name, HASH_BYTES) == 0)
			return true;
	}
	return false;
}

void name_list_done(struct name_list *l)
{
	free(l->names);
	*l = (struct name_list){0};
}

bool run_names_any(const struct run *run, const struct pack_set *packs)
{
	for (size_t i = 0; i < run->n_packs; i++) {
		if (pack_set_has(packs, run->packs[i]))
			return true;
	}
	return false;
}

struct location entry_location(const struct run_entry *r, const uint8_t pack[HASH_BYTES])
{
	struct location l = {.at = {r->id, r->offset, r->stored, r->kind, r->encoding, r->base}};

	memcpy(l.pack, pack, HASH_BYTES);
	return l;
}

static void name_of_run(const void *arg, size_t i, char out[STORE_KEY_MAX])
{
	const struct name_list *runs = arg;

	run_key_name(runs->names[i], out);
}

int index_remove_runs(struct index *ix, const struct name_list *runs, struct err *e)
{
	return store_remove_many(ix->store, runs->n, name_of_run, runs, e);
}

/* ---- life ---- */

struct index *index_new(struct store *s, const struct keyring *k)
{
	struct index *ix = xcalloc(1, sizeof(*ix));

	ix->store = s;
	ix->keys = k;
	ix->next_serial = 1;
	pthread_mutex_init(&ix->lock, NULL);
	pthread_mutex_init(&ix->refresh, NULL);
	pthread_rwlock_init(&ix->recovered_lock, NULL);
	index_use(ix, NULL, 0);
	for (int i = 0; i < CACHE_SETS; i++)
		pthread_mutex_init(&ix->cache[i].lock, NULL);
	return ix;
}

static void free_cache(struct index *ix)
{
	for (int i = 0; i < CACHE_SETS; i++) {
		for (int j = 0; j < CACHE_WAYS; j++)
			run_group_done(&ix->cache[i].ways[j].g);
		pthread_mutex_destroy(&ix->cache[i].lock);
	}
}

void index_free(struct index *ix)
{
	if (!ix)
		return;
	index_release(ix, ix->set);
	free_cache(ix);
	free(ix->recovered.entries);
	free(ix->recovered.packs);
	name_list_done(&ix->damaged);
	name_list_done(&ix->replaced);
	name_list_done(&ix->bad);
	pthread_rwlock_destroy(&ix->recovered_lock);
	pthread_mutex_destroy(&ix->refresh);
	pthread_mutex_destroy(&ix->lock);
	free(ix);
}

struct run_set *index_hold(struct index *ix)
{
	struct run_set *set;

	pthread_mutex_lock(&ix->lock);
	set = ix->set;
	set->refs++;
	pthread_mutex_unlock(&ix->lock);
	return set;
}

/* Called with the lock held. */
static void unref_set(struct run_set *set)
{
	if (--set->refs)
		return;
	for (size_t i = 0; i < set->n; i++) {
		if (--set->runs[i]->refs == 0) {
			run_free(set->runs[i]->run);
			free(set->runs[i]);
		}
	}
	free(set);
}

void index_release(struct index *ix, struct run_set *set)
{
	pthread_mutex_lock(&ix->lock);
	unref_set(set);
	pthread_mutex_unlock(&ix->lock);
}

void index_use(struct index *ix, struct index_run *const *runs, size_t n)
{
	struct run_set *set = xcalloc(1, sizeof(*set) + n * sizeof(struct index_run *)), *old;

	set->refs = 1;
	set->n = n;
	pthread_mutex_lock(&ix->lock);
	for (size_t i = 0; i < n; i++) {
		set->runs[i] = runs[i];
		if (runs[i]->serial == 0)
			runs[i]->serial = ix->next_serial++;
		runs[i]->refs++;
	}
	old = ix->set;
	ix->set = set;
	if (old)
		unref_set(old);
	pthread_mutex_unlock(&ix->lock);
}

bool index_is_damaged(struct index *ix)
{
	size_t runs, damaged;
	uint64_t entries;

	index_state(ix, &runs, &entries, &damaged);
	return damaged;
}

void index_packs(struct index *ix, struct pack_set *add_to)
{
	struct run_set *set = index_hold(ix);

	for (size_t i = 0; i < set->n; i++) {
		const struct run *r = set->runs[i]->run;

		for (size_t k = 0; k < r->n_packs; k++)
			pack_set_add(add_to, r->packs[k]);
	}
	index_release(ix, set);
	pack_set_sort(add_to);
}

void index_state(struct index *ix, size_t *ret_runs, uint64_t *ret_entries, size_t *ret_damaged)
{
	struct run_set *set = index_hold(ix);

	*ret_runs = set->n;
	*ret_entries = 0;
	for (size_t i = 0; i < set->n; i++)
		*ret_entries += set->runs[i]->run->n;
	index_release(ix, set);
	pthread_mutex_lock(&ix->refresh);
	*ret_damaged = ix->damaged.n;
	pthread_mutex_unlock(&ix->refresh);
}

/* ---- lookup ---- */

/* Looking for places. */
struct place_search {
	struct search s;
	const struct pack_set *without;
	bool all;
	struct location *places;
	size_t n;
};

static void found(struct place_search *s, const struct run_entry *r, const uint8_t pack[HASH_BYTES])
{
	if (s->n == INDEX_PLACES || pack_set_has(s->without, pack))
		return;
	for (size_t i = 0; i < s->n; i++) {
		if (memcmp(s->places[i].pack, pack, HASH_BYTES) == 0 &&
		    s->places[i].at.offset == r->offset)
			return;
	}
	s->places[s->n++] = entry_location(r, pack);
}

static void hit_place(struct search *s, const struct index_run *ir, uint64_t entry,
		      const struct run_entry *r)
{
	(void)entry;
	found((struct place_search *)s, r, ir->run->packs[r->pack]);
}

/* All entries for the id in a group. */
static void search_group(struct search *s, const struct index_run *ir, uint64_t number,
			 const struct run_group *g)
{
	const struct run *run = ir->run;
	struct run_entry r;

	for (size_t i = run_lower_bound(g, s->id); i < g->n; i++) {
		run_group_entry(g, i, &r);
		if (!block_id_equal(&r.id, s->id))
			return;
		if (r.pack < run->n_packs)
			s->hit(s, ir, number * run->group + i, &r);
	}
}

static struct cached_group *cached(struct cache_set *set, uint64_t serial, uint64_t g)
{
	for (int i = 0; i < CACHE_WAYS; i++) {
		struct cached_group *c = &set->ways[i];

		if (c->serial == serial && c->group == g) {
			c->used = ++set->tick;
			return c;
		}
	}
	return NULL;
}

/* Take over the group into the cache. Called with the set's lock held. */
static void keep_group(struct cache_set *set, uint64_t serial, uint64_t number,
		       const struct run_group *g)
{
	struct cached_group *old = &set->ways[0];

	for (int i = 1; i < CACHE_WAYS; i++) {
		if (set->ways[i].used < old->used)
			old = &set->ways[i];
	}
	run_group_done(&old->g);
	*old = (struct cached_group){serial, number, ++set->tick, *g};
}

/* Pages of a filter are cached like groups, under numbers that no group has. */
#define IS_FILTER ((uint64_t)1 << 63)

static int load(const struct index_run *ir, uint64_t number, struct run_group *ret_g, struct err *e)
{
	if (!(number & IS_FILTER))
		return run_read_group(ir->run, number, ret_g, e);
	ret_g->entries = xmalloc(RUN_FILTER_PAGE);
	return run_read_filter(ir->run, number & ~IS_FILTER, ret_g->entries, e);
}

static void use(struct search *s, const struct index_run *ir, uint64_t number,
		const struct run_group *g)
{
	if (number & IS_FILTER)
		s->absent = !run_page_may_hold(ir->run, g->entries, s->id);
	else
		search_group(s, ir, number, g);
}

static int search_one(struct index *ix, const struct index_run *ir, uint64_t number,
		      struct search *s, struct err *e)
{
	struct cache_set *set =
		&ix->cache[(ir->serial * 0x9e3779b97f4a7c15U + number) % CACHE_SETS];
	struct run_group g = {0};
	struct cached_group *c;

	pthread_mutex_lock(&set->lock);
	c = cached(set, ir->serial, number);
	if (c)
		use(s, ir, number, &c->g);
	pthread_mutex_unlock(&set->lock);
	if (c)
		return 0;
	if (load(ir, number, &g, e) < 0) {
		run_group_done(&g);
		return -1;
	}
	use(s, ir, number, &g);
	pthread_mutex_lock(&set->lock);
	if (cached(set, ir->serial, number))
		run_group_done(&g); /* another thread was faster */
	else
		keep_group(set, ir->serial, number, &g);
	pthread_mutex_unlock(&set->lock);
	return 0;
}

int index_search_run(struct index *ix, const struct index_run *ir, struct search *s, struct err *e)
{
	const struct run *run = ir->run;
	uint64_t g, end;

	if (!run_may_hold(run, s->id))
		return 0;
	s->absent = false;
	if (run->filter_bytes && !run->filter &&
	    search_one(ix, ir, IS_FILTER | run_filter_page(run, s->id), s, e) < 0)
		return -1;
	if (s->absent)
		return 0;
	run_groups_of(ir->run, s->id, &g, &end);
	for (; g < end; g++) {
		if (search_one(ix, ir, g, s, e) < 0)
			return -1;
	}
	return 0;
}

/* The first of the recovered entries with an id not below this one. */
static size_t recovered_lower_bound(const struct recovered *rec, const struct block_id *id)
{
	size_t lo = 0, hi = rec->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(rec->entries[mid].id.b, id->b, HASH_BYTES) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void search_recovered(struct index *ix, struct place_search *s)
{
	const struct recovered *rec = &ix->recovered;

	pthread_rwlock_rdlock(&ix->recovered_lock);
	for (size_t i = recovered_lower_bound(rec, s->s.id);
	     i < rec->n && block_id_equal(&rec->entries[i].id, s->s.id); i++)
		found(s, &rec->entries[i], rec->packs[rec->entries[i].pack]);
	pthread_rwlock_unlock(&ix->recovered_lock);
}

static int search_all(struct index *ix, struct place_search *s, uint8_t ret_failed[HASH_BYTES],
		      struct err *e)
{
	struct run_set *set = index_hold(ix);
	int rc = 0;

	/* The newest comes last in the set, and is the most likely to be asked for. */
	for (size_t i = set->n; i-- > 0 && rc == 0 && (s->all || s->n == 0);) {
		rc = index_search_run(ix, set->runs[i], &s->s, e);
		if (rc < 0)
			memcpy(ret_failed, set->runs[i]->run->name, HASH_BYTES);
	}
	index_release(ix, set);
	if (rc == 0 && (s->all || s->n == 0))
		search_recovered(ix, s);
	return rc;
}

#define TRIES 8

int index_find(struct index *ix, const struct block_id *id, const struct pack_set *without,
	       bool all, struct location *ret_places, size_t *ret_n, struct err *e)
{
	struct place_search s = {{id, hit_place}, without, all, ret_places, 0};
	uint8_t failed[HASH_BYTES];
	struct err why = {0};

	for (int tries = 0; search_all(ix, &s, failed, &why) < 0; tries++) {
		int rc = -1;

		s.n = 0;
		if (tries < TRIES && why.kind == ERR_NOENT) /* merged into another one */
			rc = index_refresh(ix, &why);
		else if (tries < TRIES && why.kind == ERR_CORRUPT)
			rc = index_distrust(ix, failed, &why);
		if (rc < 0) {
			if (e)
				*e = why;
			return -1;
		}
	}
	*ret_n = s.n;
	return 0;
}

/* ---- counting on a block ---- */

struct asked {
	struct index *ix;
	const struct pack_set *without;
	struct presence *packs;
	bool full;
};

static int place_counts(const struct asked *a, const struct location *l, struct err *e)
{
	bool delta = l->at.encoding == BLOCK_DELTA;
	struct location base;
	int there = 1;

	if (delta && a->full)
		return 0;
	if (a->packs)
		there = presence_has(a->packs, l->pack, e);
	return there > 0 && delta
		       ? index_counts(a->ix, &l->at.base, a->without, a->packs, true, &base, e)
		       : there;
}

int index_counts(struct index *ix, const struct block_id *id, const struct pack_set *without,
		 struct presence *packs, bool full, struct location *ret_l, struct err *e)
{
	const struct asked a = {ix, without, packs, full};
	struct location places[INDEX_PLACES];
	size_t n;

	/* Mostly the first place will do; and mostly there is none at all. */
	for (int all = 0; all < 2; all++) {
		if (index_find(ix, id, without, all, places, &n, e) < 0)
			return -1;
		for (size_t i = 0; i < n; i++) {
			int rc = place_counts(&a, &places[i], e);

			if (rc > 0)
				*ret_l = places[i];
			if (rc)
				return rc;
		}
		if (n == 0)
			return 0;
	}
	return 0;
}
