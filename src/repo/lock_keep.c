/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/log.h"
#include "repo/lock_priv.h"
#include "repo/session.h"

struct keeping {
	struct repo *repo;
	const struct pack_set *without;
	const struct cancel *cancel;
	struct lock_kept *result;
	/* of one mode: */
	struct lock_walk *walk;
	struct presence *packs;
	struct pack_set done; /* locked for longer than what follows needs */
};

static void note_failure(struct keeping *k, const struct err *why)
{
	if (!k->result->failed++)
		k->result->first = *why;
	log_debug("keeping locks: %s", why->msg);
}

/* What is gone meanwhile, or damaged, is not for us to tell. */
static void keep_object(struct keeping *k, const char *key, const struct lock_want *w)
{
	struct err why = {0};

	if (lock_raise(repo_store(k->repo), key, w, NULL, &why) < 0 && why.kind != ERR_NOENT)
		note_failure(k, &why);
}

static void keep_packs(struct keeping *k, const struct lock_want *w)
{
	struct pack_set told = {0};

	presence_told(k->packs, &told);
	for (size_t i = 0; i < told.n && !cancel_asked(k->cancel); i++) {
		char key[STORE_KEY_MAX];

		pack_key_name(told.names[i], key);
		if (!pack_set_has(&k->done, told.names[i]))
			keep_object(k, key, w);
	}
	pack_set_done(&k->done);
	k->done = told;
}

static int keep_point(struct keeping *k, const struct point *p, struct err *e)
{
	struct lock_want want = {p->lock.mode, p->lock.until_us, p->lock.until_us};
	struct err why = {0};
	char key[STORE_KEY_MAX];

	k->result->points++;
	if (lock_walk_point(k->walk, p, &why) < 0) {
		if (why.kind == ERR_CANCELLED)
			return err_set(e, why.kind, "%s", why.msg);
		note_failure(k, &why);
	}
	keep_packs(k, &want);
	point_key_name(&p->id, key);
	keep_object(k, key, &want);
	return cancel_check(k->cancel, e);
}

/* The longest locked first: what it needs is done then for all that share it. */
static int by_end(const void *a, const void *b)
{
	const struct point *x = *(struct point *const *)a, *y = *(struct point *const *)b;

	return (x->lock.until_us < y->lock.until_us) - (x->lock.until_us > y->lock.until_us);
}

static void keep_roots(struct keeping *k, const struct point *longest)
{
	struct lock_want want = {longest->lock.mode, longest->lock.until_us,
				 longest->lock.until_us};
	struct lock_roots keys = {.store = repo_store(k->repo), .want = &want};
	struct err why = {0};

	if (lock_roots(&keys, &why) < 0)
		note_failure(k, &why);
}

static int keep_mode(struct keeping *k, const struct point_list *l, enum lock_mode mode,
		     struct err *e)
{
	uint64_t now = store_lock_now_us(repo_store(k->repo));
	bool first = true;
	int rc = 0;

	k->packs = presence_new(repo_store(k->repo));
	k->walk = lock_walk_new(k->repo, k->without, k->packs, k->cancel);
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		const struct point *p = l->points[i];

		if (p->lock.mode != mode || p->lock.until_us <= now)
			continue;
		if (first)
			keep_roots(k, p);
		first = false;
		rc = keep_point(k, p, e);
	}
	lock_walk_free(k->walk);
	presence_free(k->packs);
	pack_set_done(&k->done);
	k->done = (struct pack_set){0};
	return rc;
}

/* In a session of its own: what the index says then stays, but for what is condemned. */
int lock_keep(struct repo *r, const struct cancel *cancel, struct lock_kept *ret, struct err *e)
{
	struct keeping k = {.repo = r, .cancel = cancel, .result = ret};
	AUTO(session) s = NULL;
	struct point_list l;
	int rc;

	*ret = (struct lock_kept){0};
	if (!store_can_lock(repo_store(r)))
		return 0;
	s = session_begin(r, NULL, e);
	if (!s || point_list_load(r, &l, e) < 0)
		return -1;
	k.without = session_condemned(s);
	if (l.n)
		qsort(l.points, l.n, sizeof(struct point *), by_end);
	/* Each mode by itself: what one point needs for longer another may need more strictly. */
	rc = keep_mode(&k, &l, LOCK_COMPLIANCE, e);
	if (rc == 0)
		rc = keep_mode(&k, &l, LOCK_GOVERNANCE, e);
	point_list_done(&l);
	return rc;
}
