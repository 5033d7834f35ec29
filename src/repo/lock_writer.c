/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of what is locked, and what is left if it is interrupted after each step:
 *   1. key ring and header, before the session begins    locked longer than anything needs them
 *   2. packs of the session, as they are stored          space that comes back when the lock ends
 *   3. packs that it counts on, before the commit        the same
 *   4. the point, by the commit                          the checkpoint
 * So a checkpoint that is there is never less locked than it says.
 */
#include <stdlib.h>
#include <string.h>

#include "repo/lock_priv.h"

#define DAY_US ((uint64_t)86400 * 1000000)
#define SECOND_US ((uint64_t)1000000)
#define FOR_MAX_US (36500 * DAY_US)

struct locker {
	struct repo *repo;
	struct lock_ask ask;
	uint64_t margin_us;
	struct pack_set wrote;
	struct uuid *took;
	size_t n_took;
	bool took_unknown;
};

/* So long that the next checkpoints find done what this one did. */
static uint64_t margin_of(uint64_t for_us)
{
	return MIN(for_us, MAX(for_us / 4, 3 * DAY_US));
}

/* What packs are to have for a checkpoint that is made now. */
static struct lock_want want_now(const struct locker *l)
{
	struct store *s = repo_store(l->repo);
	uint64_t until = DIV_UP(store_lock_now_us(s) + l->ask.for_us, SECOND_US) * SECOND_US;

	return (struct lock_want){l->ask.mode, until + l->margin_us / 2, until + l->margin_us};
}

static int cannot_lock(struct store *s, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		       "%s: nothing can be locked in a directory: use a bucket that was made with "
		       "Object Lock",
		       s->url);
}

struct locker *locker_new(struct repo *r, const struct lock_ask *ask, struct err *e)
{
	AUTO(locker) l = xcalloc(1, sizeof(*l));
	struct store *s = repo_store(r);
	struct lock_want want;
	struct lock_roots k = {.store = s, .want = &want};

	if (!s->locks) {
		cannot_lock(s, e);
		return NULL;
	}
	if (ask->for_us < SECOND_US || ask->for_us > FOR_MAX_US) {
		err_set(e, ERR_INVALID, "a lock lasts between a second and 100 years");
		return NULL;
	}
	l->repo = r;
	l->ask = *ask;
	l->margin_us = margin_of(ask->for_us);
	if (store_lock_prove(s, e) < 0)
		return NULL;
	want = want_now(l);
	return lock_roots(&k, e) < 0 ? NULL : steal(&l);
}

void locker_free(struct locker *l)
{
	if (!l)
		return;
	pack_set_done(&l->wrote);
	free(l->took);
	free(l);
}

void locker_begin(struct locker *l, struct store_session *ss)
{
	struct lock_want want = want_now(l);
	struct store_lock packs = {want.mode, want.full_us, false}, point = {0};

	store_lock_session(repo_store(l->repo), ss, &packs, &point);
}

void locker_wrote(struct locker *l, const uint8_t pack[HASH_BYTES])
{
	pack_set_add(&l->wrote, pack);
}

void locker_took(struct locker *l, const struct uuid *point)
{
	l->took_unknown = l->took_unknown || !point;
	for (size_t i = 0; i < l->n_took; i++) {
		if (!point || uuid_equal(&l->took[i], point))
			return;
	}
	if (!point)
		return;
	l->took = xreallocarray(l->took, l->n_took + 1, sizeof(*l->took));
	l->took[l->n_took++] = *point;
}

/* Until when all is locked that was taken unread, if that is long enough; else 0: nobody knows. */
static uint64_t covered_by_parents(const struct locker *l, const struct lock_want *w)
{
	uint64_t covered = UINT64_MAX;

	for (size_t i = 0; i < l->n_took; i++) {
		struct err why = {0};
		AUTO(point) p = point_load(l->repo, &l->took[i], &why);

		if (!p || p->lock.mode < w->mode)
			return 0;
		covered = MIN(covered, p->lock.covered_us);
	}
	return l->took_unknown ? 0 : covered;
}

/* All packs that it needs and that are not known yet. */
static int add_needed(struct locker *l, const struct pack_set *without, struct presence *packs,
		      const struct point *p, struct err *e)
{
	AUTO(lock_walk) w = lock_walk_new(l->repo, without, packs, NULL);

	return lock_walk_point(w, p, e);
}

int locker_cover(struct locker *l, struct store_session *ss, const struct pack_set *without,
		 struct presence *packs, struct point *p, struct err *e)
{
	struct store *s = repo_store(l->repo);
	struct lock_want want = want_now(l);
	uint64_t until = want.full_us - l->margin_us, covered = covered_by_parents(l, &want);
	struct store_lock pack = {want.mode, want.full_us, false},
			  point = {want.mode, until, false};
	struct pack_set all = {0};
	struct lock_many m = {.store = s, .packs = &all, .want = &want};
	struct lock_roots k = {.store = s, .want = &want};
	int rc = 0;

	if (covered < until) {
		covered = UINT64_MAX;
		rc = add_needed(l, without, packs, p, e);
	}
	for (size_t i = 0; i < l->wrote.n; i++)
		pack_set_add(&all, l->wrote.names[i]);
	presence_told(packs, &all);
	if (rc == 0)
		rc = lock_many(&m, e);
	pack_set_done(&all);
	if (rc < 0 || lock_roots(&k, e) < 0)
		return -1;
	covered = MIN(MIN(covered, m.earliest_us), want.full_us);
	p->lock = (struct point_lock){want.mode, until, covered};
	store_lock_session(s, ss, &pack, &point);
	return 0;
}

int locker_confirm(struct locker *l, const struct point *p, struct err *e)
{
	struct lock_want want = {p->lock.mode, p->lock.until_us, p->lock.until_us};
	char key[STORE_KEY_MAX], id[UUID_TEXT];

	point_key_name(&p->id, key);
	if (lock_raise(repo_store(l->repo), key, &want, NULL, e) < 0)
		return err_wrap(e, "checkpoint %s is complete, but not locked",
				uuid_text(&p->id, id));
	return 0;
}
