/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees share nodes: below one that was marked before, everything is.
 */
#include "repo/mark.h"

#include "base/hex.h"

struct marker {
	struct repo *repo;
	struct index_marks *marks;
	struct fetch *fetch;
	const struct cancel *cancel;
};

/* With a delta its base is needed, as a whole. *whole counts places that hold all of it. */
static int mark_bases(struct marker *m, const struct index_marked *block, size_t *whole,
		      struct err *e)
{
	struct index_marked base;

	for (size_t i = 0; i < block->n_bases; i++) {
		if (index_mark(m->marks, &block->bases[i], true, &base, e) < 0)
			return -1;
		*whole += base.places;
	}
	return 0;
}

static int mark_id(struct marker *m, const struct block_id *id, bool *ret_first, struct err *e)
{
	struct index_marked block = {.more = true};
	char hex[HASH_TEXT];
	size_t whole = 0;

	for (bool again = false; block.more; again = true) {
		if (index_mark(m->marks, id, false, &block, e) < 0 ||
		    mark_bases(m, &block, &whole, e) < 0)
			return -1;
		whole += block.places;
		if (!again)
			*ret_first = block.first;
	}
	return whole || !*ret_first
		       ? 0
		       : err_set(e, ERR_CORRUPT, "block %s is missing: no index run knows %s",
				 hex_encode(id->b, 8, hex),
				 block.n_bases ? "what it was stored as a change of" : "it");
}

static int mark_node(struct marker *m, const struct tree *t, unsigned level,
		     const struct block_id *id, struct err *e);

static int mark_entries(struct marker *m, const struct tree *t, unsigned level,
			const struct node *node, struct err *e)
{
	bool first;

	for (size_t i = 0; i < node->n; i++) {
		if (block_id_is_zero(&node->ids[i]))
			continue;
		if (level ? mark_node(m, t, level - 1, &node->ids[i], e) < 0
			  : mark_id(m, &node->ids[i], &first, e) < 0)
			return -1;
	}
	return 0;
}

static int mark_node(struct marker *m, const struct tree *t, unsigned level,
		     const struct block_id *id, struct err *e)
{
	struct node node;
	bool first;
	int rc;

	if (cancel_check(m->cancel, e) < 0 || mark_id(m, id, &first, e) < 0)
		return -1;
	if (!first)
		return 0;
	if (node_fetch(m->fetch, t, level, id, &node, e) < 0)
		return -1;
	rc = mark_entries(m, t, level, &node, e);
	node_done(&node);
	return rc;
}

static int mark_tree(struct marker *m, const struct tree *t, struct err *e)
{
	if (t->levels == 0 || block_id_is_zero(&t->root))
		return 0;
	return mark_node(m, t, t->levels - 1, &t->root, e);
}

static int mark_point(struct marker *m, const struct point *p, struct err *e)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		for (size_t k = 0; k < r->n_disks; k++) {
			if (mark_tree(m, &r->disks[k].tree, e) < 0)
				return -1;
		}
		for (size_t k = 0; k < r->n_items; k++) {
			if (mark_tree(m, &r->items[k].tree, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* Nothing is damaged where a checkpoint was deleted, and collected, while it was looked at. */
static int judge(struct marker *m, const struct point *p, struct err *e)
{
	char key[STORE_KEY_MAX], id[UUID_TEXT];

	point_key_name(&p->id, key);
	if (store_has(repo_store(m->repo), key, NULL) == 0)
		return err_set(e, ERR_NOENT, "checkpoint %s was deleted meanwhile",
			       uuid_text(&p->id, id));
	return err_wrap(e, "checkpoint %s", uuid_text(&p->id, id));
}

static int mark_list(struct marker *m, const struct point_list *l, struct err *e)
{
	if (l->n_damaged)
		return err_set(e, ERR_CORRUPT,
			       "%s: what this checkpoint needs cannot be told: delete it if it "
			       "cannot be put back from a copy of the target",
			       l->damaged[0]);
	for (size_t i = 0; i < l->n; i++) {
		if (mark_point(m, l->points[i], e) < 0)
			return judge(m, l->points[i], e);
	}
	return 0;
}

/* What a point needs was in the index before the point was there: so the index is listed after. */
static struct index_marks *mark_listed(struct repo *r, const struct point_list *l,
				       const struct cancel *cancel, struct err *e)
{
	AUTO(fetch) fetch = fetch_new(r);
	AUTO(index_marks) marks = NULL;
	struct marker m = {r, NULL, fetch, cancel};

	if (index_refresh(repo_index(r), e) < 0)
		return NULL;
	marks = index_marks_new(repo_index(r));
	m.marks = marks;
	return mark_list(&m, l, e) < 0 ? NULL : steal(&marks);
}

struct index_marks *mark_points(struct repo *r, const struct cancel *cancel, size_t *ret_points,
				struct err *e)
{
	struct index_marks *marks;
	struct point_list l;

	if (point_list_load(r, &l, e) < 0)
		return NULL;
	marks = mark_listed(r, &l, cancel, e);
	*ret_points = l.n;
	point_list_done(&l);
	return marks;
}
