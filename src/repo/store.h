/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: where a repository's objects lie.
 *
 * A store holds immutable objects under names like "packs/ab/abcd…" (docs/format/repository.md,
 * section 2). It knows nothing of keys or contents. Everything that changes it is durable when the
 * call returns, and atomic: an object is there as a whole or not at all.
 *
 * Bytes come in by three ways: put_new for small objects; an upload for packs, whose name is known
 * only at their end; and a session, which stands for a writer at work and ends in exactly one of
 * two ways, decided by one atomic step of the store: commit (its point appears) or revocation.
 * Uploads belong to a session: what a dead writer left unfinished goes away with its session.
 *
 * Threads: a store is thread-safe. A session is thread-safe for uploads; commit and end are called
 * once, by its owner. An upload belongs to one thread at a time.
 *
 * Errors: ERR_NOENT (no such object, or a session that was revoked), ERR_EXISTS, ERR_NOSPACE,
 * ERR_DENIED, ERR_IO … with the object's name in the message.
 */
#ifndef HF_REPO_STORE_H
#define HF_REPO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"

#define STORE_KEY_MAX 96
#define STORE_REMOVE_MAX 1000

struct store;
struct store_session;
struct store_upload;

/* One object of a listing; return -1 to stop it with `e`. */
typedef int store_list_fn(void *arg, const char *key, uint64_t size, struct err *e);

struct store_ops {
	void (*free)(struct store *s);
	/* Up to `len` bytes from `off`, fewer only at the end of the object; of "sessions/ID" too.
	 */
	ssize_t (*get)(struct store *s, const char *key, uint64_t off, void *data, size_t len,
		       struct err *e);
	int (*size)(struct store *s, const char *key, uint64_t *ret_size, struct err *e);
	/* Create the object if it is absent, else ERR_EXISTS. */
	int (*put_new)(struct store *s, const char *key, const void *data, size_t len,
		       struct err *e);
	/* Remove it; that it is absent is no error. ERR_DENIED: it is locked. */
	int (*remove)(struct store *s, const char *key, struct err *e);
	/* The same for up to STORE_REMOVE_MAX objects, in any order. NULL: one after the other. */
	int (*remove_many)(struct store *s, const char *const *keys, size_t n, struct err *e);
	/*
	 * Uploads that are not finished and that nothing shows: note those there are now, or, with
	 * `end`, end those that were noted. Between the two, every session must have ended that was
	 * there at the first: each belonged to one. NULL where sessions take theirs with them.
	 */
	int (*unfinished)(struct store *s, bool end, struct err *e);
	/* Every object whose name starts with `prefix`, which ends in "/" ("packs/", "points/"), in
	 * no order. Sessions are listed as one object each. */
	int (*list)(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
		    struct err *e);
	/* Create "sessions/ID". */
	struct store_session *(*session_begin)(struct store *s, const char *id, const void *data,
					       size_t len, struct err *e);
	/* End somebody's session so that it can never commit; that it is absent is no error. */
	int (*session_revoke)(struct store *s, const char *id, struct err *e);
	/* Remove what writers that were killed left beside objects. Who is writing just now may
	 * have to do a part again, and does. NULL where nothing is left. */
	int (*sweep)(struct store *s, struct err *e);
	/* Once the flag is up, give up what would be tried again. NULL when nothing is. */
	void (*stop_with)(struct store *s, const struct cancel *cancel);
};

struct store_session_ops {
	/* Replace the session's object. ERR_NOENT: revoked. */
	int (*renew)(struct store_session *ss, const void *data, size_t len, struct err *e);
	struct store_upload *(*upload)(struct store_session *ss, struct err *e);
	/* The atomic step: the session ends and "points/ID" is there. ERR_NOENT: revoked. */
	int (*commit)(struct store_session *ss, const void *data, size_t len, struct err *e);
	/* Frees; the session's leftovers are removed as far as possible, also after a commit. */
	void (*end)(struct store_session *ss);
};

struct store_upload_ops {
	int (*write)(struct store_upload *u, const void *data, size_t len, struct err *e);
	/* Durable and visible as `key`; an object that is there is replaced (names that are hashes
	 * promise the same bytes). ERR_NOENT: the session was revoked; in a store that is `late`
	 * the object may be there all the same, now or later. Frees, also on failure. */
	int (*finish)(struct store_upload *u, const char *key, struct err *e);
	/* Forget it; frees. */
	void (*abort)(struct store_upload *u);
};

enum lock_mode { LOCK_NONE = 0, LOCK_GOVERNANCE = 1, LOCK_COMPLIANCE = 2 };

/* How an object is locked: nobody can remove or change it before then, in governance mode but those
 * who have a right of their own for that; and while it is held, nobody at all. */
struct store_lock {
	enum lock_mode mode;
	uint64_t until_us;
	bool held;
};

struct store_cleared {
	uint64_t removed; /* versions and markers */
	uint64_t left;	  /* that could not be */
};

/* What a store that can lock objects has besides. repo/lock.h is built on it. */
struct store_lock_ops {
	/* Could anything here be locked? Costs nothing; false also where nothing is known yet. */
	bool (*possible)(struct store *s);
	/* Try it: ERR_UNSUPPORTED tells why not, and what to do. */
	int (*prove)(struct store *s, struct err *e);
	/* The time by which locks end. */
	uint64_t (*now_us)(struct store *s);
	int (*get)(struct store *s, const char *key, struct store_lock *ret, struct err *e);
	/* Replace mode and time. `bypass`: though it is locked in governance mode. ERR_DENIED. */
	int (*set)(struct store *s, const char *key, const struct store_lock *lock, bool bypass,
		   struct err *e);
	int (*hold)(struct store *s, const char *key, bool on, struct err *e);
	/* Remove it although it is locked in governance mode. */
	int (*remove)(struct store *s, const char *key, struct err *e);
	/* How what this session stores from now on is locked: packs, and its point. */
	void (*session)(struct store_session *ss, const struct store_lock *packs,
			const struct store_lock *point);
	/* Remove what removals and renewals that were cut short left behind objects. */
	int (*clear)(struct store *s, struct store_cleared *ret, struct err *e);
	/* Bring back what is locked and was hidden or overwritten: `found` is told of each object,
	 * with what is wrong if it could not be. */
	int (*unhide)(struct store *s, void (*found)(void *arg, const char *key, const char *why),
		      void *arg, struct err *e);
};

struct store {
	const struct store_ops *ops;
	const struct store_lock_ops *locks; /* NULL: it cannot lock */
	struct store *locker;		    /* that `locks` works on; NULL: this one */
	char *url; /* as people write it: "dir:/srv/backup"; owned by the driver */
	/* What a revoked session had under way may still arrive, long after: see presence.h. */
	bool late;
	bool distant; /* every read takes long: few large ones are better than many small ones */
	const char *arbiter;  /* who decides what is written (store_arbiter.h); NULL: the store */
	struct store *behind; /* whose objects this one keeps copies of (store_cache.h); or NULL */
};

struct store_session {
	const struct store_session_ops *ops;
	struct store_session *locker; /* that `locks` knows; NULL: this one */
};

struct store_upload {
	const struct store_upload_ops *ops;
	/* Set before finish: the object is there, and is not to be made anew if it is removed
	 * meanwhile, not even by a request that arrives late. ERR_CONFLICT: it is another by now.
	 */
	bool replaces;
};

/* Open "dir:PATH" (or a path) or "s3:…" (net/s3_place.h) as a store. With `create` the place is
 * made when it is absent. */
struct store *store_open(const char *url, bool create, struct err *e);

/* The store that knows what is there, and reads what is stored. */
static inline struct store *store_behind(struct store *s)
{
	return s->behind ? s->behind : s;
}

/* The store that its `locks` work on. */
static inline struct store *store_locker(struct store *s)
{
	return s->locker ? s->locker : s;
}

/* NULL is fine for these two. */
static inline void store_free(struct store *s)
{
	if (s)
		s->ops->free(s);
}
static inline void store_session_end(struct store_session *ss)
{
	if (ss)
		ss->ops->end(ss);
}

static inline ssize_t store_get(struct store *s, const char *key, uint64_t off, void *data,
				size_t len, struct err *e)
{
	return s->ops->get(s, key, off, data, len, e);
}
static inline int store_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	return s->ops->size(s, key, ret_size, e);
}
static inline int store_put_new(struct store *s, const char *key, const void *data, size_t len,
				struct err *e)
{
	return s->ops->put_new(s, key, data, len, e);
}
static inline int store_remove(struct store *s, const char *key, struct err *e)
{
	return s->ops->remove(s, key, e);
}
static inline int store_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
			     struct err *e)
{
	return s->ops->list(s, prefix, fn, arg, e);
}
static inline struct store_session *store_session_begin(struct store *s, const char *id,
							const void *data, size_t len, struct err *e)
{
	return s->ops->session_begin(s, id, data, len, e);
}
static inline int store_session_revoke(struct store *s, const char *id, struct err *e)
{
	return s->ops->session_revoke(s, id, e);
}
static inline int store_sweep(struct store *s, struct err *e)
{
	return s->ops->sweep ? s->ops->sweep(s, e) : 0;
}
static inline int store_unfinished(struct store *s, bool end, struct err *e)
{
	return s->ops->unfinished ? s->ops->unfinished(s, end, e) : 0;
}
static inline void store_stop_with(struct store *s, const struct cancel *cancel)
{
	if (s->ops->stop_with)
		s->ops->stop_with(s, cancel);
}

/* Locks: as store_lock_ops says; all but the first need `locks`. */
static inline bool store_can_lock(struct store *s)
{
	return s->locks && s->locks->possible(store_locker(s));
}
static inline int store_lock_prove(struct store *s, struct err *e)
{
	return s->locks->prove(store_locker(s), e);
}
static inline uint64_t store_lock_now_us(struct store *s)
{
	return s->locks->now_us(store_locker(s));
}
static inline int store_lock_get(struct store *s, const char *key, struct store_lock *ret,
				 struct err *e)
{
	return s->locks->get(store_locker(s), key, ret, e);
}
static inline int store_lock_set(struct store *s, const char *key, const struct store_lock *lock,
				 bool bypass, struct err *e)
{
	return s->locks->set(store_locker(s), key, lock, bypass, e);
}
static inline int store_lock_hold(struct store *s, const char *key, bool on, struct err *e)
{
	return s->locks->hold(store_locker(s), key, on, e);
}
static inline void store_lock_session(struct store *s, struct store_session *ss,
				      const struct store_lock *packs,
				      const struct store_lock *point)
{
	s->locks->session(ss->locker ? ss->locker : ss, packs, point);
}

/* Remove `n` objects, in any order; `name` tells the name of the i-th. If it fails, some may be
 * gone. */
typedef void store_name_fn(const void *arg, size_t i, char out[STORE_KEY_MAX]);
int store_remove_many(struct store *s, size_t n, store_name_fn *name, const void *arg,
		      struct err *e);
/* The same for up to STORE_REMOVE_MAX names. */
int store_remove_some(struct store *s, const char *const *keys, size_t n, struct err *e);
/* Is it there, now? 1, 0, -1. */
int store_has(struct store *s, const char *key, struct err *e);
/* Exactly `len` bytes from `off`, else ERR_CORRUPT: the object is shorter than it should be. */
int store_get_all(struct store *s, const char *key, uint64_t off, void *data, size_t len,
		  struct err *e);
/* The whole object; ERR_LIMIT when it is longer than `max`. */
int store_slurp(struct store *s, const char *key, size_t max, struct buf *ret_b, struct err *e);

DEFINE_AUTO(store, store_free);

/*
 * A directory, local or NFS. `step`, for tests, is called before each system call that changes the
 * directory, with its name and the path; -1 makes that call fail with what `step` put in `e`.
 */
typedef int store_dir_step_fn(void *arg, const char *what, const char *path, struct err *e);
struct store *store_dir_open(const char *path, bool create, store_dir_step_fn *step, void *arg,
			     struct err *e);
/* A bucket of an S3 service; `url` is what follows "s3:". `key` is copied; NULL: what is found as
 * net/s3_keys.h says. */
struct sigv4_key;
struct store *store_s3_open(const char *url, const struct sigv4_key *key, struct err *e);
/* Put, remove and commit without conditions, for a service that does not keep them: sessions decide
 * nothing, and a commit is a PUT. Somebody else decides: see store_arbiter.h. */
void store_s3_unconditional(struct store *s);

#endif
