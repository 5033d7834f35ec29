/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/damage.h"

#include <string.h>

#include "repo/epoch.h"
#include "repo/session.h"

#define TRIES 8 /* when runs are merged away while they are read */

struct finding {
	struct repo *repo;
	const struct scrub *watch;
	struct damage *d;
	struct pack_set there, gone, condemned;
};

void damage_done(struct damage *d)
{
	pack_set_done(&d->packs);
	pack_set_done(&d->shunned);
	idset_done(&d->lost);
	idset_done(&d->saved);
	idset_done(&d->clean);
}

/* ---- packs ---- */

static void on_total(void *arg, uint64_t bytes)
{
	const struct scrub *w = ((struct finding *)arg)->watch;

	w->total(w->arg, bytes);
}

static void on_read(void *arg, uint64_t bytes)
{
	const struct scrub *w = ((struct finding *)arg)->watch;

	w->read(w->arg, bytes);
}

static void on_bad(void *arg, const char *key, const struct err *why)
{
	struct finding *f = arg;
	uint8_t name[HASH_BYTES];

	if (pack_key_parse(key, name))
		pack_set_add(&f->d->packs, name);
	f->watch->bad(f->watch->arg, key, why);
}

static int note_pack(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct finding *f = arg;
	uint8_t name[HASH_BYTES];

	(void)size;
	(void)e;
	if (pack_key_parse(key, name))
		pack_set_add(&f->there, name);
	return 0;
}

static int read_packs(struct finding *f, struct err *e)
{
	struct scrub s = {repo_store(f->repo), f->watch->cancel, on_total, on_read, on_bad, f};

	if (store_list(repo_store(f->repo), "packs/", note_pack, f, e) < 0 ||
	    scrub_run(&s, &f->d->scrub, e) < 0)
		return -1;
	pack_set_sort(&f->there);
	pack_set_sort(&f->d->packs);
	return 0;
}

static void add_sorted(struct pack_set *set, const uint8_t name[HASH_BYTES])
{
	pack_set_add(set, name);
	pack_set_sort(set);
}

static int note_gone(void *arg, const struct location *l, bool marked, struct err *e)
{
	struct finding *f = arg;
	char key[STORE_KEY_MAX];
	int there;

	(void)marked;
	if (pack_set_has(&f->there, l->pack) || pack_set_has(&f->gone, l->pack))
		return cancel_check(f->watch->cancel, e);
	pack_key_name(l->pack, key);
	there = store_has(repo_store(f->repo), key, e);
	if (there >= 0)
		add_sorted(there ? &f->there : &f->gone, l->pack);
	return there < 0 ? -1 : 0;
}

static int note_missing(void *arg, const struct location *l, bool marked, struct err *e)
{
	struct finding *f = arg;

	(void)marked;
	if (pack_set_has(&f->gone, l->pack) && !pack_set_has(&f->condemned, l->pack) &&
	    !pack_set_has(&f->d->packs, l->pack))
		add_sorted(&f->d->packs, l->pack);
	return cancel_check(f->watch->cancel, e);
}

static int each_entry(struct finding *f, index_entry_fn *fn, struct err *e)
{
	struct err why = {0};

	for (int tries = 0; tries < TRIES && index_refresh(repo_index(f->repo), &why) == 0;
	     tries++) {
		AUTO(index_marks) all = index_marks_new(repo_index(f->repo));

		if (index_marks_each(all, fn, f, &why) == 0)
			return 0;
		if (why.kind != ERR_NOENT)
			break;
	}
	if (e)
		*e = why;
	return -1;
}

/*
 * A collector removes a pack while its epoch is there, and the epoch while no run names the pack.
 * So one that is gone, then in no epoch, and then still named, is missing.
 */
static int find_missing(struct finding *f, struct err *e)
{
	if (each_entry(f, note_gone, e) < 0)
		return -1;
	if (!f->gone.n)
		return 0;
	return epoch_condemned(f->repo, &f->condemned, e) < 0 ? -1 : each_entry(f, note_missing, e);
}

static int shun(struct finding *f, struct err *e)
{
	struct damage *d = f->d;

	if (epoch_condemned(f->repo, &d->shunned, e) < 0)
		return -1;
	for (size_t i = 0; i < d->packs.n; i++)
		pack_set_add(&d->shunned, d->packs.names[i]);
	pack_set_sort(&d->shunned);
	return 0;
}

static int heal_index(struct repo *r, struct err *e)
{
	size_t runs, damaged;
	uint64_t entries;

	if (index_refresh(repo_index(r), e) < 0)
		return -1;
	index_state(repo_index(r), &runs, &entries, &damaged);
	return damaged ? session_heal_index(r, e) : 0;
}

int damage_find(struct repo *r, const struct scrub *watch, struct damage *ret_d, struct err *e)
{
	struct finding f = {.repo = r, .watch = watch, .d = ret_d};
	int rc;

	*ret_d = (struct damage){0};
	rc = heal_index(r, e) < 0 || read_packs(&f, e) < 0 || find_missing(&f, e) < 0 ||
			     shun(&f, e) < 0
		     ? -1
		     : 0;
	pack_set_done(&f.there);
	pack_set_done(&f.gone);
	pack_set_done(&f.condemned);
	return rc;
}

/* ---- whom it hurts ---- */

struct looking {
	struct damage *d;
	struct repo *repo;
	struct fetch *fetch;
};

static bool readable(struct looking *l, const struct location *at)
{
	AUTO_FREE uint8_t *payload = xmalloc(at->at.stored);
	size_t len;

	return fetch_payload(l->fetch, at, payload, &len, NULL) == 0;
}

/* Is it in a pack that counts? 1, 0, -1. */
static int has_place(struct looking *l, const struct block_id *id, struct err *e)
{
	struct location places[INDEX_PLACES];
	size_t n;

	if (index_find(repo_index(l->repo), id, &l->d->shunned, true, places, &n, e) < 0)
		return -1;
	return n > 0;
}

/* The same, by what a collector may have written since, and by packs whose run is lost. */
static int has_place_by_now(struct looking *l, const struct block_id *id, struct err *e)
{
	struct index *ix = repo_index(l->repo);
	int rc = index_refresh(ix, e) < 0 ? -1 : has_place(l, id, e);

	if (rc == 0)
		rc = index_search_packs(ix, e) < 0 ? -1 : has_place(l, id, e);
	return rc;
}

/* Can it be read where nobody counts on it? What nobody knows a place of cannot: with its pack went
 * the run that named it. */
static int is_saved(struct looking *l, const struct block_id *id, struct err *e)
{
	struct location places[INDEX_PLACES];
	size_t n;

	if (index_find(repo_index(l->repo), id, NULL, true, places, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (readable(l, &places[i]))
			return 1;
	}
	return 0;
}

static int is_lost(struct looking *l, const struct block_id *id, struct err *e)
{
	int rc = has_place(l, id, e);

	if (rc)
		return rc < 0 ? -1 : 0;
	if (idset_has(&l->d->saved, id))
		return 0;
	if (idset_has(&l->d->lost, id))
		return 1;
	rc = has_place_by_now(l, id, e);
	if (rc)
		return rc < 0 ? -1 : 0;
	rc = is_saved(l, id, e);
	if (rc >= 0)
		idset_add(rc ? &l->d->saved : &l->d->lost, id);
	return rc < 0 ? -1 : !rc;
}

static int look_below(struct looking *l, const struct tree *t, unsigned level,
		      const struct block_id *id, struct err *e);

/* All of it, and not just up to the first loss: the sets are to be complete. */
static int look_at(struct looking *l, const struct tree *t, unsigned level, const struct node *node,
		   struct err *e)
{
	int hurt = 0;

	for (size_t i = 0; i < node->n; i++) {
		int rc;

		if (block_id_is_zero(&node->ids[i]))
			continue;
		rc = level ? look_below(l, t, level - 1, &node->ids[i], e)
			   : is_lost(l, &node->ids[i], e);
		if (rc < 0)
			return -1;
		hurt |= rc;
	}
	return hurt;
}

static int look_below(struct looking *l, const struct tree *t, unsigned level,
		      const struct block_id *id, struct err *e)
{
	struct err why = {0};
	struct node node;
	int rc;

	if (idset_has(&l->d->clean, id))
		return 0;
	rc = is_lost(l, id, e);
	if (rc)
		return rc;
	if (node_fetch(l->fetch, t, level, id, &node, &why) < 0) {
		if (why.kind == ERR_CORRUPT)
			return 1;
		if (e)
			*e = why;
		return -1;
	}
	rc = look_at(l, t, level, &node, e);
	node_done(&node);
	if (rc == 0)
		idset_add(&l->d->clean, id);
	return rc;
}

static int look_at_tree(struct looking *l, const struct tree *t, struct err *e)
{
	if (t->levels == 0 || block_id_is_zero(&t->root))
		return 0;
	return look_below(l, t, t->levels - 1, &t->root, e);
}

static int look_at_point(struct looking *l, const struct point *p, struct err *e)
{
	int hurt = 0;

	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *res = &p->resources[i];

		for (size_t k = 0; k < res->n_disks + res->n_items; k++) {
			int rc = look_at_tree(l,
					      k < res->n_disks ? &res->disks[k].tree
							       : &res->items[k - res->n_disks].tree,
					      e);

			if (rc < 0)
				return -1;
			hurt |= rc;
		}
	}
	return hurt;
}

int damage_hurts(struct damage *d, struct repo *r, const struct point *p, struct err *e)
{
	AUTO(fetch) fetch = fetch_new(r);
	struct looking l = {d, r, fetch};
	char key[STORE_KEY_MAX];
	int hurt = look_at_point(&l, p, e);

	if (hurt <= 0)
		return hurt;
	/* One that was deleted, and collected, while it was looked at misses nothing. */
	point_key_name(&p->id, key);
	return store_has(repo_store(r), key, e);
}
