/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/lock_priv.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/crew.h"
#include "repo/header.h"

#define TRIES 3
#define THREADS 8 /* requests at the same time */

const char *lock_mode_name(enum lock_mode m)
{
	return m == LOCK_COMPLIANCE ? "compliance" : m == LOCK_GOVERNANCE ? "governance" : "none";
}

/* ---- one object ---- */

int lock_get(struct store *s, const char *key, struct store_lock *ret, struct err *e)
{
	*ret = (struct store_lock){0};
	return store_can_lock(s) ? store_lock_get(s, key, ret, e) : 0;
}

bool lock_in_force(struct store *s, const struct store_lock *l)
{
	return l->held || (l->mode && l->until_us > store_lock_now_us(s));
}

int lock_has(struct store *s, const uint8_t pack[HASH_BYTES], struct err *e)
{
	struct store_lock lock;
	char key[STORE_KEY_MAX];
	struct err why = {0};

	pack_key_name(pack, key);
	if (lock_get(s, key, &lock, &why) == 0)
		return s->locks && lock_in_force(s, &lock);
	if (why.kind == ERR_NOENT)
		return 0;
	if (e)
		*e = why;
	return -1;
}

int lock_remove_pack(struct store *s, const uint8_t pack[HASH_BYTES], struct err *e)
{
	char key[STORE_KEY_MAX];
	struct err why = {0};
	bool locked;

	pack_key_name(pack, key);
	if (store_remove(s, key, &why) == 0)
		return 0;
	locked = why.kind == ERR_DENIED && lock_has(s, pack, NULL) > 0;
	if (!locked && e)
		*e = why;
	return locked ? 1 : -1;
}

int lock_clear(struct store *s, uint64_t *ret_removed, struct err *e)
{
	struct store_cleared cleared = {0};
	struct err why = {0};

	if (s->locks && s->locks->clear(store_locker(s), &cleared, &why) < 0 &&
	    why.kind != ERR_DENIED) {
		if (e)
			*e = why;
		return -1;
	}
	*ret_removed = cleared.removed;
	return 0;
}

const char *lock_text(const struct store_lock *l, char out[LOCK_TEXT])
{
	char when[CLOCK_TEXT];

	if (l->held)
		snprintf(out, LOCK_TEXT, "by a legal hold");
	else
		snprintf(out, LOCK_TEXT, "until %s (%s mode)", clock_rfc3339(l->until_us, when),
			 lock_mode_name(l->mode));
	return out;
}

static bool enough(const struct store_lock *l, const struct lock_want *w)
{
	return l->mode >= w->mode && l->until_us >= w->least_us;
}

/* Never less than what is there. To lock it more strictly needs the right that weakening does. */
static int set_lock(struct store *s, const char *key, const struct store_lock *now,
		    const struct lock_want *w, struct err *e)
{
	struct store_lock l = {MAX(now->mode, w->mode), MAX(now->until_us, w->full_us), false};

	return store_lock_set(s, key, &l, now->mode && now->mode != l.mode, e);
}

/* Somebody else may lock it at the same time, and for longer: then ours is refused. */
int lock_raise(struct store *s, const char *key, const struct lock_want *w, struct store_lock *ret,
	       struct err *e)
{
	struct store_lock now;
	struct err why = {0};
	char text[LOCK_TEXT];

	for (int tries = 0;; tries++) {
		if (store_lock_get(s, key, &now, e) < 0)
			return -1;
		if (enough(&now, w))
			break;
		if (tries == TRIES && why.kind == ERR_NONE)
			return err_set(e, ERR_UNSUPPORTED,
				       "%s/%s was to be locked until later; the service says that "
				       "it is so %s",
				       s->url, key, lock_text(&now, text));
		if (tries == TRIES || (why.kind != ERR_NONE && why.kind != ERR_DENIED)) {
			if (e)
				*e = why;
			return err_wrap(e, "locking %s", key);
		}
		why = (struct err){0};
		set_lock(s, key, &now, w, &why);
	}
	if (ret)
		*ret = now;
	return 0;
}

/* ---- what every checkpoint needs: keys and header ---- */

static int lock_key(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct lock_roots *k = arg;

	(void)size;
	return k->want ? lock_raise(k->store, key, k->want, NULL, e)
		       : store_lock_hold(k->store, key, k->hold, e);
}

/* A header that was lost does no harm. */
int lock_roots(struct lock_roots *k, struct err *e)
{
	struct err why = {0};

	if (lock_key(k, HEADER_KEY, 0, &why) < 0 && why.kind != ERR_NOENT) {
		if (e)
			*e = why;
		return -1;
	}
	return store_list(k->store, "keys/", lock_key, k, e);
}

int lock_keys(struct store *s, struct err *e)
{
	struct store_lock header;
	struct lock_want want;
	struct lock_roots k = {.store = s, .want = &want};
	struct err why = {0};

	if (lock_get(s, HEADER_KEY, &header, &why) < 0)
		return why.kind == ERR_NOENT ? 0 : err_set(e, why.kind, "%s", why.msg);
	want = (struct lock_want){header.mode, header.until_us, header.until_us};
	return header.mode && lock_in_force(s, &header) ? lock_roots(&k, e) : 0;
}

/* ---- many packs at once ---- */

static int lock_pack(struct lock_many *m, const uint8_t name[HASH_BYTES], struct err *e)
{
	struct store_lock now = {.until_us = UINT64_MAX};
	char key[STORE_KEY_MAX];

	pack_key_name(name, key);
	if (!m->want)
		return store_lock_hold(m->store, key, m->hold, e);
	if (lock_raise(m->store, key, m->want, &now, e) < 0)
		return -1;
	pthread_mutex_lock(&m->lock);
	m->earliest_us = MIN(m->earliest_us, now.until_us);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int lock_loop(void *arg, struct err *e)
{
	struct lock_many *m = arg;
	size_t i;

	while (!atomic_load(&m->stop) && (i = atomic_fetch_add(&m->next, 1)) < m->packs->n) {
		if (lock_pack(m, m->packs->names[i], e) < 0)
			return -1;
	}
	return 0;
}

static void stop_all(void *arg)
{
	atomic_store(&((struct lock_many *)arg)->stop, true);
}

int lock_many(struct lock_many *m, struct err *e)
{
	AUTO(crew) crew = crew_new(stop_all, m);
	int rc = 0;

	m->earliest_us = UINT64_MAX;
	pthread_mutex_init(&m->lock, NULL);
	for (size_t i = 0; i < MIN(m->packs->n, (size_t)THREADS) && rc == 0; i++)
		rc = crew_add(crew, lock_loop, m, e);
	if (rc == 0)
		rc = crew_join(crew, e);
	else
		stop_all(m);
	crew_free(steal(&crew));
	pthread_mutex_destroy(&m->lock);
	return rc;
}
