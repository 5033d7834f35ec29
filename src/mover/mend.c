/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint that is hurt is stored anew as a whole from its copy, without becoming another
 * checkpoint: whatever is known is passed over, so just what is lost is written. The trees that
 * come out must be the checkpoint's own, bit for bit; that shows that all of it is there.
 */
#include "mover/mend.h"

#include <string.h>

#include "repo/epoch.h"
#include "repo/pack.h"
#include "repo/parity_store.h"
#include "repo/rescue.h"

struct mending {
	const struct mend *m;
	struct damage damage;
	struct mend_result *result;
};

static bool same_tree(const struct tree *a, const struct tree *b)
{
	uint8_t x[TREE_DESC], y[TREE_DESC];

	tree_encode(a, x);
	tree_encode(b, y);
	return memcmp(x, y, TREE_DESC) == 0;
}

/* Both have the same resources, disks and items, in the same order: the one was made from the
 * other, or from a copy of it. */
static bool same_content(const struct point *a, const struct point *b)
{
	bool same = a->n_resources == b->n_resources;

	for (size_t i = 0; i < a->n_resources && same; i++) {
		const struct point_resource *x = &a->resources[i], *y = &b->resources[i];

		same = x->n_disks == y->n_disks && x->n_items == y->n_items;
		for (size_t k = 0; k < x->n_disks && same; k++)
			same = same_tree(&x->disks[k].tree, &y->disks[k].tree);
		for (size_t k = 0; k < x->n_items && same; k++)
			same = same_tree(&x->items[k].tree, &y->items[k].tree);
	}
	return same;
}

static int store_anew(struct mending *g, const struct point *p, const struct point *copy,
		      struct err *e)
{
	struct copying job = {.from = g->m->other,
			      .to = g->m->repo,
			      .progress = g->m->progress,
			      .cancel = g->m->cancel};
	AUTO(session) s = session_begin(g->m->repo, NULL, e);
	AUTO(point) out = point_new();

	progress_add(&g->m->progress->total, copy_size(copy));
	if (!s || copy_content(&job, s, copy, out, e) < 0 || session_publish(s, e) < 0)
		return -1;
	return same_content(p, out)
		       ? 0
		       : err_set(e, ERR_CORRUPT, "its copy does not hold what this checkpoint did");
}

/* Where it cannot be mended, `why` says why. */
static int mend_point(struct mending *g, const struct point *p, struct err *why, struct err *e)
{
	const struct point *copy = g->m->there ? copy_find(g->m->there, p) : NULL;

	if (!copy) {
		err_set(why, ERR_NOENT, "%s",
			g->m->other ? "the other repository has no copy of it"
				    : "a new backup of the same resource, or a copy in another "
				      "repository, may have what is lost");
		return 0;
	}
	if (store_anew(g, p, copy, why) == 0 || why->kind == ERR_CORRUPT)
		return 0;
	if (e)
		*e = *why;
	return -1;
}

static int hurts(struct mending *g, const struct point *p, struct err *e)
{
	if (cancel_check(g->m->cancel, e) < 0)
		return -1;
	return damage_hurts(&g->damage, g->m->repo, p, e);
}

struct patient {
	const struct point *p;
	struct err why;
};

/* What one has lost another may have lost, too: so all are looked at before the first is mended,
 * each again before its turn, and all again after the last. */
static int mend_each(struct mending *g, struct patient *v, struct err *e)
{
	int rc;

	for (size_t i = 0; i < g->result->hurt; i++) {
		rc = hurts(g, v[i].p, e);
		if (rc < 0 || (rc > 0 && mend_point(g, v[i].p, &v[i].why, e) < 0))
			return -1;
	}
	/* What counted as whole may lie in a pack that only its directory tells of, left by a
	 * repair or a backup that died: readers, and collectors, are to know of it. */
	if (session_heal_index(g->m->repo, e) < 0)
		return -1;
	for (size_t i = 0; i < g->result->hurt; i++) {
		rc = hurts(g, v[i].p, e);
		if (rc < 0)
			return -1;
		g->result->mended += rc == 0;
		g->m->tell(g->m->arg, v[i].p, rc == 0, v[i].why.msg);
	}
	return 0;
}

/*
 * A block that is whole moves out of a pack that is damaged, or condemned by a collector that died.
 * Another would do that; but where the run that named it is lost as well, none would know.
 */
static int rescue_all(struct mending *g, struct err *e)
{
	const struct idset *saved = &g->damage.saved;
	AUTO(session) s = session_begin(g->m->repo, NULL, e);
	AUTO(rescue) r = s ? rescue_new(s) : NULL;

	for (size_t i = 0; i < saved->cap && s; i++) {
		if (cancel_check(g->m->cancel, e) < 0 ||
		    (!block_id_is_zero(&saved->slots[i]) &&
		     rescue_block(r, &saved->slots[i], NULL, e) < 0))
			return -1;
	}
	return s ? session_publish(s, e) : -1;
}

static int mend_all(struct mending *g, struct err *e)
{
	const struct point_list *l = g->m->points;
	AUTO_FREE struct patient *v = xcalloc(l->n, sizeof(*v));

	for (size_t i = 0; i < l->n; i++) {
		int rc = hurts(g, l->points[i], e);

		if (rc < 0)
			return -1;
		if (rc > 0)
			v[g->result->hurt++].p = l->points[i];
	}
	g->result->lost = g->damage.lost.n;
	if (g->damage.saved.n && rescue_all(g, e) < 0)
		return -1;
	return mend_each(g, v, e);
}

/* ---- by parity ---- */

static void tell_rebuilt(struct mending *g, const char *key, const char *why_not)
{
	if (g->m->rebuilt)
		g->m->rebuilt(g->m->arg, key, why_not);
}

/*
 * A pack is immutable and is what its name says, so whoever reads it meanwhile gets nothing wrong.
 * That it does not come back after a collector has removed it, see session_replace().
 */
static int rebuild(struct mending *g, struct session *s, const uint8_t pack[HASH_BYTES],
		   struct err *e)
{
	struct store *store = repo_store(g->m->repo);
	char key[STORE_KEY_MAX];
	AUTO_BUF bytes = BUF_INIT;
	struct err why = {0};
	int there;

	pack_key_name(pack, key);
	there = store_has(store, key, e);
	if (there <= 0 || pack_set_has(session_condemned(s), pack))
		return there;
	if (parity_rebuild(store, pack, &bytes, &why) == 0) {
		if (session_replace(s, pack, &bytes, e) < 0)
			return err_wrap(e, "putting %s back", key);
		damage_mended(&g->damage, pack);
		g->result->rebuilt++;
		tell_rebuilt(g, key, NULL);
		return 0;
	}
	if (why.kind == ERR_NOENT) /* it has none */
		return 0;
	if (why.kind == ERR_CORRUPT || why.kind == ERR_IO) {
		tell_rebuilt(g, key, why.msg);
		return 0;
	}
	if (e)
		*e = why;
	return -1;
}

/* From the last one: those that are mended go out of the set. */
static int rebuild_all(struct mending *g, struct err *e)
{
	AUTO(session) s = session_begin(g->m->repo, NULL, e);

	for (size_t i = g->damage.packs.n; s && i-- > 0;) {
		if (cancel_check(g->m->cancel, e) < 0 ||
		    rebuild(g, s, g->damage.packs.names[i], e) < 0)
			return -1;
	}
	return s ? 0 : -1;
}

/* Of packs that are whole by now. */
static int renew_parity(struct mending *g, struct err *e)
{
	unsigned percent = repo_parity(g->m->repo);
	const struct parity_fill f = {.store = repo_store(g->m->repo),
				      .percent = percent ? percent : PARITY_PERCENT,
				      .cancel = g->m->cancel,
				      .progress = g->m->progress};

	for (size_t i = 0; i < g->damage.parity.n; i++) {
		const uint8_t *pack = g->damage.parity.names[i];
		struct err why = {0};

		if (pack_set_has(&g->damage.packs, pack))
			continue;
		if (parity_renew(&f, pack, &why) == 0) {
			g->result->parity++;
		} else if (why.kind != ERR_NOENT) { /* else it was collected */
			if (e)
				*e = why;
			return -1;
		}
	}
	return 0;
}

static int use_parity(struct mending *g, struct err *e)
{
	if (g->damage.packs.n && rebuild_all(g, e) < 0)
		return -1;
	return renew_parity(g, e);
}

/* From now on nobody counts on them; unless that was said before. */
static int condemn(struct mending *g, struct err *e)
{
	struct pack_set old = {0}, add = {0};
	int rc = epoch_condemned(g->m->repo, &old, e);

	for (size_t i = 0; i < g->damage.packs.n && rc == 0; i++) {
		if (!pack_set_has(&old, g->damage.packs.names[i]))
			pack_set_add(&add, g->damage.packs.names[i]);
	}
	if (rc == 0 && add.n)
		rc = epoch_publish(g->m->repo, &add, e);
	pack_set_done(&old);
	pack_set_done(&add);
	return rc;
}

int mend_run(const struct mend *m, struct mend_result *ret, struct err *e)
{
	struct mending g = {.m = m, .result = ret};
	struct scrub s = {.store = repo_store(m->repo),
			  .cancel = m->cancel,
			  .progress = m->progress,
			  .bad = m->bad,
			  .arg = m->arg};
	int rc;

	*ret = (struct mend_result){0};
	rc = repo_check_writable(m->repo, e);
	if (rc == 0)
		rc = damage_find(m->repo, &s, &g.damage, e);
	ret->scrub = g.damage.scrub;
	if (rc == 0)
		rc = use_parity(&g, e);
	ret->packs = g.damage.packs.n;
	/* Before anything is stored: what is lost must not be found in them. And where nothing
	 * seems to be damaged, a pack may be gone together with the run that named it. */
	if (rc == 0 && ret->packs)
		rc = condemn(&g, e);
	if (rc == 0)
		rc = mend_all(&g, e);
	damage_done(&g.damage);
	return rc;
}
