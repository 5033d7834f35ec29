/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/damage.h"

#include <string.h>

#include "repo/epoch.h"
#include "repo/presence.h"
#include "repo/session.h"

void damage_done(struct damage *d)
{
	pack_set_done(&d->packs);
	pack_set_done(&d->parity);
	pack_set_done(&d->shunned);
	idset_done(&d->lost);
	idset_done(&d->saved);
	idset_done(&d->clean);
}

/* ---- packs ---- */

/* Those that runs name and that are not there. */
static int list_gone(struct repo *r, const struct cancel *cancel, struct pack_set *ret_gone,
		     struct err *e)
{
	AUTO(presence) packs = presence_new(repo_store(r));
	struct pack_set named = {0};
	int rc = index_refresh(repo_index(r), e);

	if (rc == 0)
		index_packs(repo_index(r), &named);
	for (size_t i = 0; i < named.n && rc == 0; i++) {
		int there = presence_has(packs, named.names[i], e);

		if (there == 0)
			pack_set_add(ret_gone, named.names[i]);
		rc = there < 0 ? -1 : cancel_check(cancel, e);
	}
	pack_set_done(&named);
	return rc;
}

/*
 * A collector removes a pack while its epoch is there, and the epoch while no run names the pack.
 * So one that is gone, then in no epoch, and then still named, is missing.
 */
static int add_missing(struct repo *r, const struct pack_set *gone, struct pack_set *packs,
		       struct err *e)
{
	struct pack_set condemned = {0}, named = {0};
	int rc = epoch_condemned(r, &condemned, e);

	if (rc == 0)
		rc = index_refresh(repo_index(r), e);
	if (rc == 0)
		index_packs(repo_index(r), &named);
	for (size_t i = 0; i < gone->n; i++) {
		if (pack_set_has(&named, gone->names[i]) &&
		    !pack_set_has(&condemned, gone->names[i]))
			pack_set_add(packs, gone->names[i]);
	}
	pack_set_sort(packs);
	pack_set_done(&condemned);
	pack_set_done(&named);
	return rc;
}

static int find_missing(struct repo *r, const struct cancel *cancel, struct pack_set *packs,
			struct err *e)
{
	struct pack_set gone = {0};
	int rc = list_gone(r, cancel, &gone, e);

	if (rc == 0 && gone.n)
		rc = add_missing(r, &gone, packs, e);
	pack_set_done(&gone);
	return rc;
}

static int shun(struct repo *r, struct damage *d, struct err *e)
{
	if (epoch_condemned(r, &d->shunned, e) < 0)
		return -1;
	for (size_t i = 0; i < d->packs.n; i++)
		pack_set_add(&d->shunned, d->packs.names[i]);
	pack_set_sort(&d->shunned);
	return 0;
}

static int heal_index(struct repo *r, struct err *e)
{
	if (index_refresh(repo_index(r), e) < 0)
		return -1;
	return index_is_damaged(repo_index(r)) ? session_heal_index(r, e) : 0;
}

int damage_find(struct repo *r, const struct scrub *s, struct damage *ret_d, struct err *e)
{
	struct scrub job = *s;

	*ret_d = (struct damage){0};
	job.bad_packs = &ret_d->packs;
	job.bad_parity = &ret_d->parity;
	return heal_index(r, e) < 0 || scrub_run(&job, &ret_d->scrub, e) < 0 ||
			       find_missing(r, s->cancel, &ret_d->packs, e) < 0 ||
			       shun(r, ret_d, e) < 0
		       ? -1
		       : 0;
}

static void take_out(struct pack_set *set, const uint8_t pack[HASH_BYTES])
{
	size_t kept = 0;

	for (size_t i = 0; i < set->n; i++) {
		if (memcmp(set->names[i], pack, HASH_BYTES) != 0)
			memmove(set->names[kept++], set->names[i], HASH_BYTES);
	}
	set->n = kept;
}

void damage_mended(struct damage *d, const uint8_t pack[HASH_BYTES])
{
	uint8_t name[HASH_BYTES]; /* it may be one of the set */

	memcpy(name, pack, HASH_BYTES);
	take_out(&d->packs, name);
	take_out(&d->shunned, name);
}

/* ---- whom it hurts ---- */

struct looking {
	struct damage *d;
	struct repo *repo;
	struct fetch *fetch;
	uint8_t *block; /* BLOCK_MAX bytes */
};

struct asking {
	struct looking *l;
	const struct block_id *id;
};

/* Is it in a pack that counts? 1, 0, -1. */
static int has_place(void *arg, struct err *e)
{
	const struct asking *a = arg;
	struct location place;

	return index_counts(repo_index(a->l->repo), a->id, &a->l->d->shunned, NULL, false, &place,
			    e);
}

/* Can it be read where nobody counts on it? What nobody knows a place of cannot: with its pack went
 * the run that named it. */
static int is_saved(struct looking *l, const struct block_id *id, struct err *e)
{
	enum block_kind kind;
	size_t len;

	return fetch_any(l->fetch, id, &kind, l->block, BLOCK_MAX, &len, e);
}

static int is_lost(void *arg, const struct block_id *id, struct err *e)
{
	struct looking *l = arg;
	struct asking a = {l, id};
	int rc = has_place(&a, e);

	if (rc)
		return rc < 0 ? -1 : 0;
	if (idset_has(&l->d->saved, id))
		return 0;
	if (idset_has(&l->d->lost, id))
		return 1;
	rc = index_look_harder(repo_index(l->repo), has_place, &a, e);
	if (rc)
		return rc < 0 ? -1 : 0;
	rc = is_saved(l, id, e);
	if (rc >= 0)
		idset_add(rc ? &l->d->saved : &l->d->lost, id);
	return rc < 0 ? -1 : !rc;
}

int damage_hurts(struct damage *d, struct repo *r, const struct point *p, struct err *e)
{
	AUTO(fetch) fetch = fetch_new(r);
	AUTO_FREE uint8_t *block = xmalloc(BLOCK_MAX);
	struct looking l = {d, r, fetch, block};
	struct impact im = {
		.repo = r, .fetch = fetch, .lost = is_lost, .arg = &l, .clean = d->clean};
	int hurt = impact_on(&im, p, e);

	d->clean = im.clean;
	return hurt > 0 ? point_is_there(r, &p->id, e) : hurt;
}
