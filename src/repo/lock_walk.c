/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hex.h"
#include "repo/idset.h"
#include "repo/lock.h"

struct lock_walk {
	struct repo *repo;
	const struct pack_set *without;
	struct presence *packs;
	const struct cancel *cancel;
	struct fetch *fetch;
	struct idset seen; /* nodes */
};

struct lock_walk *lock_walk_new(struct repo *r, const struct pack_set *without,
				struct presence *packs, const struct cancel *cancel)
{
	struct lock_walk *w = xcalloc(1, sizeof(*w));

	w->repo = r;
	w->without = without;
	w->packs = packs;
	w->cancel = cancel;
	w->fetch = fetch_new(r);
	return w;
}

void lock_walk_free(struct lock_walk *w)
{
	if (!w)
		return;
	fetch_free(w->fetch);
	idset_done(&w->seen);
	free(w);
}

struct asking {
	struct lock_walk *w;
	const struct block_id *id;
};

/* The packs of a place, and of its base's, are told by that. */
static int has_place(void *arg, struct err *e)
{
	const struct asking *a = arg;
	struct location place;

	return index_counts(repo_index(a->w->repo), a->id, a->w->without, a->w->packs, false,
			    &place, e);
}

static int need(struct lock_walk *w, const struct block_id *id, struct err *e)
{
	struct asking a = {w, id};
	char hex[HASH_TEXT];
	int rc = has_place(&a, e);

	if (rc == 0)
		rc = index_look_harder(repo_index(w->repo), has_place, &a, e);
	if (rc == 0)
		err_set(e, ERR_CORRUPT, "block %s is missing: no pack that counts has it",
			hex_encode(id->b, 8, hex));
	return rc > 0 ? 0 : -1;
}

static int need_node(struct lock_walk *w, const struct tree *t, unsigned level,
		     const struct block_id *id, struct err *e);

static int need_entries(struct lock_walk *w, const struct tree *t, unsigned level,
			const struct node *node, struct err *e)
{
	for (size_t i = 0; i < node->n; i++) {
		const struct block_id *id = &node->ids[i];

		if (block_id_is_zero(id))
			continue;
		if (level ? need_node(w, t, level - 1, id, e) < 0 : need(w, id, e) < 0)
			return -1;
	}
	return 0;
}

static int need_node(struct lock_walk *w, const struct tree *t, unsigned level,
		     const struct block_id *id, struct err *e)
{
	struct node node;
	int rc;

	if (idset_has(&w->seen, id))
		return 0;
	if (cancel_check(w->cancel, e) < 0 || need(w, id, e) < 0 ||
	    node_fetch(w->fetch, t, level, id, &node, e) < 0)
		return -1;
	rc = need_entries(w, t, level, &node, e);
	node_done(&node);
	/* Only now: whoever fails below it has not seen it. */
	if (rc == 0)
		idset_add(&w->seen, id);
	return rc;
}

static int need_tree(void *arg, const struct point_resource *r, const char *what,
		     const struct tree *t, struct err *e)
{
	(void)r;
	(void)what;
	if (t->levels == 0 || block_id_is_zero(&t->root))
		return 0;
	return need_node(arg, t, t->levels - 1, &t->root, e);
}

int lock_walk_point(struct lock_walk *w, const struct point *p, struct err *e)
{
	return point_each_tree(p, need_tree, w, e);
}
