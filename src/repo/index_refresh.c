/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs there are. The store is listed, runs that are new are opened, those that are gone or
 * superseded are dropped. A run that cannot be opened although it is there is damaged: everything
 * it can hold is in packs that no healthy run lists, and their directories are read instead.
 */
#include <stdlib.h>

#include "base/hex.h"
#include "repo/index_priv.h"
#include "repo/object.h"

#define RECOVERED_MAX ((size_t)5 << 18) /* entries: 100 MiB */

uint64_t index_filters_max = (uint64_t)32 << 20;

/* ---- listing ---- */

static int note_name(void *arg, const char *key, uint64_t size, struct err *e)
{
	uint8_t name[HASH_BYTES];

	(void)size;
	(void)e;
	if (run_key_parse(key, name))
		name_list_add(arg, name);
	return 0;
}

/* A set under construction: runs taken over from the one in use, and newly opened ones. */
struct draft {
	struct index_run **runs;
	size_t n;
	uint64_t filter_bytes;
	struct name_list damaged;
	bool again; /* a run went away while it was opened: list again */
};

static void draft_add(struct draft *d, struct index_run *ir)
{
	d->runs = xreallocarray(d->runs, d->n + 1, sizeof(struct index_run *));
	d->runs[d->n++] = ir;
	d->filter_bytes += ir->run->filter ? ir->run->filter_bytes : 0;
}

/* Runs that were opened for this draft only have no set that frees them. */
static void draft_done(struct index *ix, struct draft *d)
{
	pthread_mutex_lock(&ix->lock);
	for (size_t i = 0; i < d->n; i++) {
		if (d->runs[i]->refs == 0) {
			run_free(d->runs[i]->run);
			free(d->runs[i]);
		}
	}
	pthread_mutex_unlock(&ix->lock);
	free(d->runs);
	name_list_done(&d->damaged);
}

static struct index_run *open_one(struct index *ix, const uint8_t name[HASH_BYTES],
				  uint64_t filter_bytes, struct err *e)
{
	uint64_t room = index_filters_max - MIN(index_filters_max, filter_bytes);
	struct run *run = run_open(ix->store, ix->keys, name, room, e);
	struct index_run *ir;

	if (!run)
		return NULL;
	ir = xcalloc(1, sizeof(*ir));
	ir->run = run;
	return ir;
}

static struct index_run *in_set(const struct run_set *set, const uint8_t name[HASH_BYTES])
{
	for (size_t i = 0; i < set->n; i++) {
		if (memcmp(set->runs[i]->run->name, name, HASH_BYTES) == 0)
			return set->runs[i];
	}
	return NULL;
}

static int draft_run(struct index *ix, struct draft *d, const struct run_set *set,
		     const uint8_t name[HASH_BYTES], struct err *e)
{
	struct index_run *ir = in_set(set, name);
	char key[STORE_KEY_MAX];
	struct err why = {0};

	if (name_list_has(&ix->bad, name)) {
		name_list_add(&d->damaged, name);
		return 0;
	}
	if (!ir)
		ir = open_one(ix, name, d->filter_bytes, &why);
	if (!ir && why.kind == ERR_VERSION) {
		run_key_name(name, key);
		object_judge(ix->store, key, name, &why);
	}
	if (ir)
		draft_add(d, ir);
	else if (why.kind == ERR_CORRUPT)
		name_list_add(&d->damaged, name);
	else if (why.kind == ERR_NOENT)
		d->again = true;
	else {
		if (e)
			*e = why;
		return -1;
	}
	return 0;
}

static bool superseded(const struct draft *d, const uint8_t name[HASH_BYTES])
{
	for (size_t i = 0; i < d->n; i++) {
		const struct run *r = d->runs[i]->run;

		for (size_t j = 0; j < r->n_superseded; j++) {
			if (memcmp(r->superseded[j], name, HASH_BYTES) == 0)
				return true;
		}
	}
	return false;
}

/* Leave out what another run supersedes; a damaged one of these does not matter either. */
static void draft_use(struct index *ix, struct draft *d)
{
	struct index_run **used = xcalloc(d->n, sizeof(struct index_run *));
	size_t n = 0, kept = 0;

	name_list_done(&ix->replaced);
	for (size_t i = 0; i < d->n; i++) {
		if (!superseded(d, d->runs[i]->run->name))
			used[n++] = d->runs[i];
		else
			name_list_add(&ix->replaced, d->runs[i]->run->name);
	}
	for (size_t i = 0; i < d->damaged.n; i++) {
		if (!superseded(d, d->damaged.names[i]))
			memmove(d->damaged.names[kept++], d->damaged.names[i], HASH_BYTES);
		else
			name_list_add(&ix->replaced, d->damaged.names[i]);
	}
	d->damaged.n = kept;
	name_list_done(&ix->damaged);
	ix->damaged = d->damaged;
	d->damaged = (struct name_list){0};
	ix->filter_bytes = d->filter_bytes;
	index_use(ix, used, n);
	free(used);
}

static int refresh_once(struct index *ix, bool *ret_again, struct err *e)
{
	struct run_set *set = index_hold(ix);
	struct name_list there = {0};
	struct draft d = {0};
	int rc = store_list(ix->store, "index/", note_name, &there, e);

	for (size_t i = 0; i < there.n && rc == 0; i++)
		rc = draft_run(ix, &d, set, there.names[i], e);
	*ret_again = d.again;
	if (rc == 0)
		draft_use(ix, &d);
	draft_done(ix, &d);
	index_release(ix, set);
	name_list_done(&there);
	return rc;
}

static int recover(struct index *ix, struct err *e);

static int refresh_locked(struct index *ix, struct err *e)
{
	bool again = true;

	for (int i = 0; i < 8 && again; i++) {
		if (refresh_once(ix, &again, e) < 0)
			return -1;
	}
	return recover(ix, e);
}

int index_refresh(struct index *ix, struct err *e)
{
	int rc;

	pthread_mutex_lock(&ix->refresh);
	rc = refresh_locked(ix, e);
	pthread_mutex_unlock(&ix->refresh);
	return rc;
}

int index_renew(struct index *ix, struct err *e)
{
	int rc;

	pthread_mutex_lock(&ix->refresh);
	ix->searched_for = 0;
	rc = refresh_locked(ix, e);
	pthread_mutex_unlock(&ix->refresh);
	return rc;
}

int index_distrust(struct index *ix, const uint8_t name[HASH_BYTES], struct err *e)
{
	int rc;

	pthread_mutex_lock(&ix->refresh);
	if (!name_list_has(&ix->bad, name))
		name_list_add(&ix->bad, name);
	rc = refresh_locked(ix, e);
	pthread_mutex_unlock(&ix->refresh);
	return rc;
}

int index_search_packs(struct index *ix, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&ix->refresh);
	if (!ix->search_packs) {
		ix->search_packs = true;
		rc = refresh_locked(ix, e);
	}
	pthread_mutex_unlock(&ix->refresh);
	return rc;
}

int index_look_harder(struct index *ix, index_ask_fn *ask, void *arg, struct err *e)
{
	int rc = index_refresh(ix, e) < 0 ? -1 : ask(arg, e);

	if (rc == 0)
		rc = index_search_packs(ix, e) < 0 ? -1 : ask(arg, e);
	return rc;
}

int index_open_run(struct index *ix, const uint8_t name[HASH_BYTES], struct err *e)
{
	struct run_set *set;
	struct draft d = {0};
	int rc;

	pthread_mutex_lock(&ix->refresh);
	set = index_hold(ix);
	for (size_t i = 0; i < set->n; i++)
		draft_add(&d, set->runs[i]);
	/* Another thread's refresh may have found it already. */
	rc = in_set(set, name) ? 0 : draft_run(ix, &d, set, name, e);
	if (rc == 0 && d.damaged.n)
		rc = err_set(e, ERR_CORRUPT,
			     "%s: an index run is damaged right after it was written",
			     ix->store->url);
	if (rc == 0 && d.again) {
		rc = refresh_locked(ix, e); /* somebody merged it into another one already */
	} else if (rc == 0) {
		ix->filter_bytes = d.filter_bytes;
		index_use(ix, d.runs, d.n);
	}
	draft_done(ix, &d);
	index_release(ix, set);
	pthread_mutex_unlock(&ix->refresh);
	return rc;
}

/* ---- recovery ---- */

struct scan {
	struct index *ix;
	struct run_set *set;
	struct recovered out;
};

static bool listed(const struct scan *sc, const uint8_t name[HASH_BYTES])
{
	for (size_t i = 0; i < sc->set->n; i++) {
		const struct run *r = sc->set->runs[i]->run;

		for (size_t j = 0; j < r->n_packs; j++) {
			if (memcmp(r->packs[j], name, HASH_BYTES) == 0)
				return true;
		}
	}
	return false;
}

static void recover_entry(struct recovered *out, const struct pack_entry *at, uint32_t pack)
{
	if (out->n == out->cap) {
		out->cap = out->cap ? out->cap * 2 : 1024;
		out->entries = xreallocarray(out->entries, out->cap, sizeof(*out->entries));
	}
	out->entries[out->n++] = (struct run_entry){at->id,   pack,	    at->offset, at->stored,
						    at->kind, at->encoding, at->base};
}

static int scan_pack(void *arg, const char *key, uint64_t size, struct err *e)
{
	AUTO_FREE struct pack_entry *entries = NULL;
	struct scan *sc = arg;
	struct recovered *out = &sc->out;
	uint8_t name[HASH_BYTES];
	struct err why = {0};
	size_t n;

	(void)size;
	if (!pack_key_parse(key, name) || listed(sc, name))
		return 0;
	/* A pack that is damaged too is somebody else's finding: its blocks will be missed. One
	 * that is gone by now has been collected. */
	if (pack_directory(sc->ix->store, sc->ix->keys, name, &entries, &n, &why) < 0) {
		out->incomplete = out->incomplete || why.kind != ERR_NOENT;
		return 0;
	}
	if (out->n + n > RECOVERED_MAX)
		return err_set(
			e, ERR_LIMIT,
			"the index is damaged and more than %zu of its entries would have to "
			"be read from packs: too many for this program's memory",
			RECOVERED_MAX);
	out->packs = xreallocarray(out->packs, out->n_packs + 1, HASH_BYTES);
	memcpy(out->packs[out->n_packs], name, HASH_BYTES);
	for (size_t i = 0; i < n; i++)
		recover_entry(out, &entries[i], (uint32_t)out->n_packs);
	out->n_packs++;
	return 0;
}

/* Changes when there is a reason to read the packs again: runs came, went or turned out damaged. */
static uint64_t recovery_mark(struct index *ix)
{
	struct run_set *set = index_hold(ix);
	uint64_t runs = set->n;

	index_release(ix, set);
	return (ix->next_serial << 32) + (runs << 16) + ix->damaged.n * 2 + ix->search_packs;
}

static int recover(struct index *ix, struct err *e)
{
	struct scan sc = {.ix = ix};
	int rc = 0;

	if (ix->searched_for == recovery_mark(ix))
		return 0;
	if (ix->damaged.n || ix->search_packs) {
		sc.set = index_hold(ix);
		rc = store_list(ix->store, "packs/", scan_pack, &sc, e);
		index_release(ix, sc.set);
		run_sort(sc.out.entries, sc.out.n);
	}
	pthread_rwlock_wrlock(&ix->recovered_lock);
	free(ix->recovered.entries);
	free(ix->recovered.packs);
	ix->recovered = sc.out;
	pthread_rwlock_unlock(&ix->recovered_lock);
	ix->searched_for = rc == 0 ? recovery_mark(ix) : 0;
	return rc;
}
