/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h: checkpoints that nobody can remove before a time (format section 10, "Locks"), in a store
 * that can lock objects (store.h: locks).
 *
 * A checkpoint is locked when its point and everything that it needs are: packs, key ring, header.
 * Index runs are not: packs say the same. A lock counts once it was read back. Packs are locked
 * for a margin longer than was asked for, so that the next checkpoint, which needs mostly the
 * same, finds that done: a point says until when all that it needs is locked, and a checkpoint that
 * took blocks from it unread has to look at them only where that is not long enough.
 *
 * What is locked longer, or more strictly, stays so; what is needed by checkpoints in both modes is
 * locked in the stricter one for the longer time, because an object has one lock.
 *
 * Threads: a locker belongs to its session's owner.
 */
#ifndef HF_REPO_LOCK_H
#define HF_REPO_LOCK_H

#include "base/cancel.h"
#include "repo/point.h"
#include "repo/presence.h"

const char *lock_mode_name(enum lock_mode m);

/* ---- one object ---- */

/* How it is locked now; not at all, where the store cannot. ERR_NOENT. */
int lock_get(struct store *s, const char *key, struct store_lock *ret, struct err *e);
/* Does this keep it from being removed? */
bool lock_in_force(struct store *s, const struct store_lock *l);
/* Is this pack locked? 1; 0: or it is not there; -1. */
int lock_has(struct store *s, const uint8_t pack[HASH_BYTES], struct err *e);
/* Remove it. 1: it is locked, and stays; 0, -1. */
int lock_remove_pack(struct store *s, const uint8_t pack[HASH_BYTES], struct err *e);
/* "until 2027-01-01T00:00:00Z (compliance mode)", "by a legal hold". */
#define LOCK_TEXT 80
const char *lock_text(const struct store_lock *l, char out[LOCK_TEXT]);

/* A lock that is asked of an object. */
struct lock_want {
	enum lock_mode mode;
	uint64_t least_us; /* until then, at least */
	uint64_t full_us;  /* and if not, until then */
};
/* Lock it so, unless it is; *ret (may be NULL) is what was read back. */
int lock_raise(struct store *s, const char *key, const struct lock_want *w, struct store_lock *ret,
	       struct err *e);

/* ---- a writer ---- */

/* What is asked of a session: mode LOCK_NONE is no lock. */
struct lock_ask {
	enum lock_mode mode;
	uint64_t for_us; /* from the commit on */
};

struct locker;

/* Before its session. ERR_UNSUPPORTED: the store cannot lock. */
struct locker *locker_new(struct repo *r, const struct lock_ask *ask, struct err *e);
void locker_free(struct locker *l);
/* Packs of this session are locked when they are stored. */
void locker_begin(struct locker *l, struct store_session *ss);
/* It stored a pack. */
void locker_wrote(struct locker *l, const uint8_t pack[HASH_BYTES]);
/* It takes blocks of this checkpoint unread; NULL: of one that is not known. */
void locker_took(struct locker *l, const struct uuid *point);
/*
 * Before the commit: lock all that the checkpoint needs, and note that in it. `packs` has told of
 * every other pack that it counts on; `without` names those that do not count.
 */
int locker_cover(struct locker *l, struct store_session *ss, const struct pack_set *without,
		 struct presence *packs, struct point *p, struct err *e);
/* After the commit: is the point locked? */
int locker_confirm(struct locker *l, const struct point *p, struct err *e);

/* ---- a collector ---- */

struct lock_kept {
	uint64_t points;  /* that are locked */
	uint64_t failed;  /* objects that could not be locked as long as they are needed */
	struct err first; /* why not */
};

/* What a repair, or a collector that copied, left: lock all that locked checkpoints need for as
 * long as these are. */
int lock_keep(struct repo *r, const struct cancel *cancel, struct lock_kept *ret, struct err *e);
/* Remove the versions that were left behind objects, as far as that is allowed. */
int lock_clear(struct store *s, uint64_t *ret_removed, struct err *e);
/* Lock every key ring there is, and the header, like the header is: after a change of keys. */
int lock_keys(struct store *s, struct err *e);

/* ---- legal holds ---- */

/* Until it is released, nobody can remove the checkpoint nor anything that it needs. */
int lock_hold(struct repo *r, const struct point *p, const struct cancel *cancel, struct err *e);
/* What no other held checkpoint of the list needs is free again. */
int lock_release(struct repo *r, const struct point_list *all, const struct point *p,
		 const struct cancel *cancel, struct err *e);

/* ---- what a checkpoint needs (lock_walk.c) ---- */

struct lock_walk;

/* Every node, and a look at the index for every block; `packs` is asked, and has told, of every
 * pack. Nodes that were seen before are passed over. */
struct lock_walk *lock_walk_new(struct repo *r, const struct pack_set *without,
				struct presence *packs, const struct cancel *cancel);
void lock_walk_free(struct lock_walk *w);
/* ERR_CORRUPT: something is missing. */
int lock_walk_point(struct lock_walk *w, const struct point *p, struct err *e);

DEFINE_AUTO(locker, locker_free);
DEFINE_AUTO(lock_walk, lock_walk_free);

#endif
