/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/lock_priv.h"
#include "repo/session.h"

static int check_holds(struct store *s, struct err *e)
{
	if (!s->locks)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: there are no legal holds in a directory: use a bucket that was "
			       "made with Object Lock",
			       s->url);
	return store_lock_prove(s, e);
}

/* Every pack that these checkpoints need. */
static int needed(struct session *s, const struct point *const *points, size_t n,
		  const struct cancel *cancel, struct pack_set *ret, struct err *e)
{
	struct repo *r = session_repo(s);
	AUTO(presence) packs = presence_new(repo_store(r));
	AUTO(lock_walk) w = lock_walk_new(r, session_condemned(s), packs, cancel);

	for (size_t i = 0; i < n; i++) {
		if (lock_walk_point(w, points[i], e) < 0)
			return -1;
	}
	presence_told(packs, ret);
	return 0;
}

/* The point last: where that is held, all is. If interrupted before: begin again. */
int lock_hold(struct repo *r, const struct point *p, const struct cancel *cancel, struct err *e)
{
	AUTO(session) session = NULL;
	struct store *s = repo_store(r);
	struct pack_set packs = {0};
	struct lock_many m = {.store = s, .packs = &packs, .hold = true};
	struct lock_roots k = {.store = s, .hold = true};
	struct store_lock now;
	char key[STORE_KEY_MAX];
	int rc;

	if (check_holds(s, e) < 0)
		return -1;
	session = session_begin(r, NULL, e);
	rc = session ? needed(session, &p, 1, cancel, &packs, e) : -1;
	if (rc == 0)
		rc = lock_many(&m, e);
	pack_set_done(&packs);
	point_key_name(&p->id, key);
	if (rc < 0 || lock_roots(&k, e) < 0 || store_lock_hold(s, key, true, e) < 0 ||
	    store_lock_get(s, key, &now, e) < 0)
		return -1;
	return now.held ? 0
			: err_set(e, ERR_UNSUPPORTED,
				  "%s/%s: the service takes a legal hold and does not keep it",
				  s->url, key);
}

/* Those of the list that are held, but this one. */
static int find_held(struct store *s, const struct point_list *all, const struct point *but,
		     const struct point **ret, size_t *ret_n, struct err *e)
{
	*ret_n = 0;
	for (size_t i = 0; i < all->n; i++) {
		const struct point *p = all->points[i];
		struct store_lock now = {0};
		struct err why = {0};
		char key[STORE_KEY_MAX];

		point_key_name(&p->id, key);
		if (store_lock_get(s, key, &now, &why) < 0 && why.kind != ERR_NOENT)
			return err_set(e, why.kind, "%s", why.msg);
		if (now.held && p != but)
			ret[(*ret_n)++] = p;
	}
	return 0;
}

static int release_packs(struct session *s, const struct point *const *held, size_t n_held,
			 const struct point *p, const struct cancel *cancel, struct err *e)
{
	struct pack_set mine = {0}, theirs = {0}, free_again = {0};
	struct lock_many m = {.store = repo_store(session_repo(s)), .packs = &free_again};
	int rc = needed(s, &p, 1, cancel, &mine, e);

	if (rc == 0)
		rc = needed(s, held, n_held, cancel, &theirs, e);
	for (size_t i = 0; i < mine.n && rc == 0; i++) {
		if (!pack_set_has(&theirs, mine.names[i]))
			pack_set_add(&free_again, mine.names[i]);
	}
	if (rc == 0)
		rc = lock_many(&m, e);
	pack_set_done(&mine);
	pack_set_done(&theirs);
	pack_set_done(&free_again);
	return rc;
}

/* The point last here, too: as long as it is held, its release can begin again. */
int lock_release(struct repo *r, const struct point_list *all, const struct point *p,
		 const struct cancel *cancel, struct err *e)
{
	AUTO(session) session = NULL;
	AUTO_FREE const struct point **held = xcalloc(all->n + 1, sizeof(*held));
	struct store *s = repo_store(r);
	struct lock_roots k = {.store = s};
	char key[STORE_KEY_MAX];
	size_t n;

	if (check_holds(s, e) < 0)
		return -1;
	session = session_begin(r, NULL, e);
	if (!session || find_held(s, all, p, held, &n, e) < 0 ||
	    release_packs(session, held, n, p, cancel, e) < 0)
		return -1;
	if (n == 0 && lock_roots(&k, e) < 0)
		return -1;
	point_key_name(&p->id, key);
	return store_lock_hold(s, key, false, e);
}
