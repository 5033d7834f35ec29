/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on objects in a bucket, and versions, without which there are none.
 *
 * There, a plain removal only hides an object behind a marker. So ours removes every version, the
 * oldest first: what lies behind a point is the mark of its session, and must never come to light.
 * Where versions may not be removed, because they are locked or the access key has no right to, the
 * object is hidden; but never a pack or point that is locked: of these ERR_DENIED tells.
 *
 * If interrupted: older versions, which `clear` removes.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "net/s3_lock.h"
#include "repo/header.h"
#include "repo/store_s3_priv.h"

#define SECOND_US ((uint64_t)1000000)
#define PROBE_S 60
#define PACKS "packs/"

/* ---- locks as the store has them ---- */

struct s3_lock s3_lock_of(const struct store_lock *l)
{
	static const enum s3_lock_mode modes[] = {S3_UNLOCKED, S3_GOVERNANCE, S3_COMPLIANCE};

	return (struct s3_lock){modes[l->mode], (int64_t)DIV_UP(l->until_us, SECOND_US), l->held};
}

static struct store_lock lock_as_told(const struct s3_lock *l)
{
	static const enum lock_mode modes[] = {LOCK_NONE, LOCK_GOVERNANCE, LOCK_COMPLIANCE};
	uint64_t until = l->until > 0 ? (uint64_t)l->until * SECOND_US : 0;

	return (struct store_lock){modes[l->mode], until, l->held};
}

static bool in_force(struct s3_store *d, const struct s3_lock *l)
{
	return l->held || (l->mode && l->until > s3_now(d->s3));
}

static bool starts(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

/* ---- the versions of one object ---- */

struct versions {
	const char *key;
	struct version {
		char id[S3_VERSION], etag[S3_ETAG];
		uint64_t size;
		bool marker;
	} * v; /* the newest first */
	size_t n;
};

static void add_version(struct versions *all, const struct s3_version *v)
{
	struct version *mine;

	if (strlen(v->version) >= S3_VERSION)
		return; /* no service has such */
	all->v = xreallocarray(all->v, all->n + 1, sizeof(*all->v));
	mine = &all->v[all->n++];
	*mine = (struct version){.size = v->size, .marker = v->marker};
	snprintf(mine->id, sizeof(mine->id), "%s", v->version);
	snprintf(mine->etag, sizeof(mine->etag), "%s", v->etag ? v->etag : "");
}

static int note_version(void *arg, const struct s3_version *v, struct err *e)
{
	struct versions *all = arg;

	(void)e;
	if (strcmp(v->key, all->key) == 0)
		add_version(all, v);
	return 0;
}

/* Who may not remove it: hide it, unless it must stay to be seen. */
static int refused(struct s3_store *d, const char *key, const char *version, struct err *e)
{
	struct s3_info info;
	char until[CLOCK_TEXT];

	if ((starts(key, PACKS) || starts(key, S3_POINTS)) &&
	    s3_head_version(d->s3, key, version, &info, NULL) == 0 && in_force(d, &info.lock))
		return err_set(e, ERR_DENIED, "%s/%s is locked %s%s", d->s.url, key,
			       info.lock.held ? "by a legal hold" : "until ",
			       info.lock.held
				       ? ""
				       : clock_rfc3339(lock_as_told(&info.lock).until_us, until));
	return s3_delete(d->s3, key, e);
}

static int remove_versions(struct s3_store *d, const struct versions *all, bool bypass,
			   struct err *e)
{
	for (size_t i = all->n; i-- > 0;) {
		struct err why = {0};

		if (s3_delete_version(d->s3, all->key, all->v[i].id, bypass, &why) == 0)
			continue;
		if (why.kind == ERR_DENIED)
			return refused(d, all->key, all->v[i].id, e);
		if (e)
			*e = why;
		return -1;
	}
	return 0;
}

int s3_remove_object(struct s3_store *d, const char *key, bool bypass, struct err *e)
{
	struct versions all = {.key = key};
	struct err why = {0};
	int rc;

	if (!s3_has_versions(d->s3))
		return s3_delete(d->s3, key, e);
	if (s3_list_versions(d->s3, key, note_version, &all, &why) == 0)
		rc = remove_versions(d, &all, bypass, e);
	else if (why.kind == ERR_DENIED)
		rc = s3_delete(d->s3, key, e); /* they are not ours to see */
	else
		rc = s3_hand_up(&why, e);
	free(all.v);
	return rc;
}

int s3_replace(struct s3_store *d, struct s3_put *put, char *ret_etag, char *version, struct err *e)
{
	char fresh[S3_VERSION] = "";

	put->ret_version = fresh;
	if (s3_put(d->s3, put, ret_etag, e) < 0)
		return -1;
	/* Where versions were turned off, the new one has the name of the old one. */
	if (version[0] && fresh[0] && strcmp(version, fresh) != 0)
		s3_delete_version(d->s3, put->key, version, false, NULL);
	memcpy(version, fresh, S3_VERSION);
	return 0;
}

/* ---- does the service lock? ---- */

static int no_locks(struct s3_store *d, const char *what, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		       "%s: nothing can be locked here: %s: use a bucket that was made with Object "
		       "Lock, at a service that has it, like Amazon S3 or Ceph",
		       d->s.url, what);
}

/* Some take the headers of a lock and forget them: only what can be read back is one. */
static int prove_with(struct s3_store *d, const char *key, struct err *e)
{
	struct s3_lock lock = {S3_GOVERNANCE, s3_now(d->s3) + PROBE_S, false};
	struct s3_put put = {.key = key, .data = "lock", .len = 4, .lock = &lock};
	struct err why = {0};
	struct s3_info info;

	if (s3_put(d->s3, &put, NULL, &why) < 0)
		return why.kind == ERR_IO || why.kind == ERR_DENIED ? no_locks(d, why.msg, e)
								    : s3_hand_up(&why, e);
	if (s3_head(d->s3, key, &info, e) < 0)
		return -1;
	if (info.lock.mode != lock.mode || info.lock.until < lock.until)
		return no_locks(d,
				"the service takes a lock and does not keep it, or the access key "
				"may not read it (s3:GetObjectRetention)",
				e);
	return 0;
}

/* What the probe leaves where governance cannot be passed by is hidden, and cleared away later. */
static int s3_prove(struct store *s, struct err *e)
{
	char text[UUID_TEXT], key[STORE_KEY_MAX];
	struct s3_store *d = s3_of(s);
	struct uuid id = uuid_random();
	struct s3_info info;
	int rc;

	/* For the service's time, if nothing was asked of it before. */
	s3_head(d->s3, HEADER_KEY, &info, NULL);
	s3_name("tmp/probe-", uuid_text(&id, text), key);
	rc = prove_with(d, key, e);
	s3_remove_object(d, key, true, NULL);
	return rc;
}

/* ---- clearing away ---- */

/* What is done with all versions of an object. */
typedef int object_fn(void *arg, struct s3_store *d, const struct versions *all, struct err *e);

struct each_object {
	struct s3_store *d;
	struct versions all;
	char key[STORE_KEY_MAX];
	object_fn *fn;
	void *arg;
};

static int end_object(struct each_object *x, struct err *e)
{
	int rc = x->all.n ? x->fn(x->arg, x->d, &x->all, e) : 0;

	x->all.n = 0;
	return rc;
}

static int next_version(void *arg, const struct s3_version *v, struct err *e)
{
	struct each_object *x = arg;

	if (strlen(v->key) >= STORE_KEY_MAX)
		return 0;
	if (strcmp(v->key, x->key) != 0) {
		if (end_object(x, e) < 0)
			return -1;
		snprintf(x->key, sizeof(x->key), "%s", v->key);
	}
	add_version(&x->all, v);
	return 0;
}

static int each_object(struct s3_store *d, const char *prefix, object_fn *fn, void *arg,
		       struct err *e)
{
	struct each_object x = {.d = d, .fn = fn, .arg = arg};
	int rc;

	x.all.key = x.key;
	rc = s3_list_versions(d->s3, prefix, next_version, &x, e);
	if (rc == 0)
		rc = end_object(&x, e);
	free(x.all.v);
	return rc;
}

/*
 * May this version go, which is not the newest? Of what is never replaced, only a twin: anything
 * else before it is a stranger's doing, and it is the one that counts. Of a point, its session's
 * mark.
 */
static bool is_rest(const struct versions *all, size_t i)
{
	const struct version *v = &all->v[i], *first = &all->v[0];
	bool kept = starts(all->key, PACKS) || starts(all->key, S3_POINTS) ||
		    starts(all->key, "keys/") || strcmp(all->key, HEADER_KEY) == 0;

	if (!kept || v->marker || (!first->marker && strcmp(v->etag, first->etag) == 0))
		return true;
	return starts(all->key, S3_POINTS) && !v->marker && s3_no_point(v->size);
}

static int clear_version(struct s3_store *d, const char *key, const char *id,
			 struct store_cleared *ret, struct err *e)
{
	struct err why = {0};

	if (s3_delete_version(d->s3, key, id, false, &why) == 0)
		ret->removed++;
	else if (why.kind == ERR_DENIED)
		ret->left++;
	else
		return s3_hand_up(&why, e);
	return 0;
}

static int clear_object(void *arg, struct s3_store *d, const struct versions *all, struct err *e)
{
	struct store_cleared *ret = arg;
	uint64_t before = ret->removed;

	for (size_t i = all->n; i-- > 1;) {
		if (is_rest(all, i) && clear_version(d, all->key, all->v[i].id, ret, e) < 0)
			return -1;
	}
	/* A marker that hides nothing. */
	if (all->v[0].marker && ret->removed - before == all->n - 1)
		return clear_version(d, all->key, all->v[0].id, ret, e);
	return 0;
}

static int s3_clear(struct store *s, struct store_cleared *ret, struct err *e)
{
	*ret = (struct store_cleared){0};
	return s3_has_versions(s3_of(s)->s3) ? each_object(s3_of(s), "", clear_object, ret, e) : 0;
}

/* ---- bringing back ---- */

struct unhiding {
	void (*found)(void *arg, const char *key, const char *why);
	void *arg;
};

/* The oldest version that is locked: ours came first. -1: none. */
static ssize_t find_locked(struct s3_store *d, const struct versions *all, struct s3_lock *ret)
{
	for (size_t i = all->n; i-- > 0;) {
		struct s3_info info;

		if (all->v[i].marker ||
		    s3_head_version(d->s3, all->key, all->v[i].id, &info, NULL) < 0 ||
		    !in_force(d, &info.lock))
			continue;
		*ret = info.lock;
		return (ssize_t)i;
	}
	return -1;
}

static int unhide_object(void *arg, struct s3_store *d, const struct versions *all, struct err *e)
{
	struct unhiding *u = arg;
	struct err why = {0};
	struct s3_lock lock;
	ssize_t ours;

	if (all->n == 1)
		return 0;
	ours = find_locked(d, all, &lock);
	if (ours <= 0 || (!all->v[0].marker && strcmp(all->v[0].etag, all->v[ours].etag) == 0))
		return 0;
	/* The newest last, so that nothing but ours comes to light. */
	for (ssize_t i = ours; i-- > 0 && why.kind == ERR_NONE;)
		s3_delete_version(d->s3, all->key, all->v[i].id, false, &why);
	/* A stranger's that is locked, too: then ours comes before it once more. */
	if (why.kind == ERR_DENIED) {
		why = (struct err){0};
		s3_renew_version(d->s3, all->key, all->v[ours].id, &lock, &why);
	}
	if (why.kind != ERR_NONE && why.kind != ERR_DENIED)
		return s3_hand_up(&why, e);
	u->found(u->arg, all->key, why.kind == ERR_NONE ? NULL : why.msg);
	return 0;
}

static int s3_unhide(struct store *s, void (*found)(void *arg, const char *key, const char *why),
		     void *arg, struct err *e)
{
	static const char *const prefixes[] = {HEADER_KEY, "keys/", S3_POINTS, PACKS};
	struct unhiding u = {found, arg};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (each_object(s3_of(s), prefixes[i], unhide_object, &u, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- the rest of store_lock_ops ---- */

static bool s3_possible(struct store *s)
{
	return s3_has_versions(s3_of(s)->s3);
}

static uint64_t s3_now_us(struct store *s)
{
	return (uint64_t)s3_now(s3_of(s)->s3) * SECOND_US;
}

static int s3_lock_get(struct store *s, const char *key, struct store_lock *ret, struct err *e)
{
	struct s3_info info;

	if (s3_head(s3_of(s)->s3, key, &info, e) < 0)
		return -1;
	*ret = lock_as_told(&info.lock);
	return 0;
}

static int s3_lock_set(struct store *s, const char *key, const struct store_lock *lock, bool bypass,
		       struct err *e)
{
	struct s3_lock l = s3_lock_of(lock);

	return s3_retain(s3_of(s)->s3, key, &l, bypass, e);
}

static int s3_lock_hold(struct store *s, const char *key, bool on, struct err *e)
{
	return s3_hold(s3_of(s)->s3, key, on, e);
}

static int s3_lock_remove(struct store *s, const char *key, struct err *e)
{
	return s3_remove_object(s3_of(s), key, true, e);
}

const struct store_lock_ops s3_lock_ops = {
	.possible = s3_possible,
	.prove = s3_prove,
	.now_us = s3_now_us,
	.get = s3_lock_get,
	.set = s3_lock_set,
	.hold = s3_lock_hold,
	.remove = s3_lock_remove,
	.session = s3_session_lock,
	.clear = s3_clear,
	.unhide = s3_unhide,
};
