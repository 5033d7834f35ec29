/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees share nodes: below one that was marked before, everything is.
 *
 * Nodes are looked up one by one. Of blocks, which are hundreds of times as many and lie anywhere
 * in the index, the first bytes of their ids are gathered, sorted, and looked up in one pass. That
 * does not tell which checkpoint lacks a block; so if any does, all is done again, one by one.
 */
#include "repo/mark.h"

#include <stdlib.h>

#include "base/hex.h"

#define BATCH_MAX ((size_t)2 << 20) /* blocks: 32 MiB */

struct batch {
	uint8_t (*ids)[INDEX_PREFIX];
	size_t n, cap;
	bool full; /* only whole places will do: they are bases */
};

struct marker {
	struct repo *repo;
	struct index_marks *marks;
	struct fetch *fetch;
	const struct cancel *cancel;
	struct batch *batch; /* NULL: one by one */
};

/* ---- many at once ---- */

static int flush(struct marker *m, struct err *e)
{
	struct batch *b = m->batch;
	size_t missing = 0;

	if (cancel_check(m->cancel, e) < 0 ||
	    index_mark_all(m->marks, b->ids, b->n, b->full, &missing, e) < 0)
		return -1;
	b->n = 0;
	return missing ? err_set(e, ERR_CORRUPT, "%zu blocks are missing", missing) : 0;
}

static int gather(struct marker *m, const struct block_id *id, struct err *e)
{
	struct batch *b = m->batch;

	if (b->n == BATCH_MAX && flush(m, e) < 0)
		return -1;
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 4096;
		b->ids = xreallocarray(b->ids, b->cap, INDEX_PREFIX);
	}
	memcpy(b->ids[b->n++], id->b, INDEX_PREFIX);
	return 0;
}

static int gather_base(void *arg, const struct location *l, bool marked, struct err *e)
{
	return marked && l->at.encoding == BLOCK_DELTA ? gather(arg, &l->at.base, e) : 0;
}

/* What is gathered, and then the bases of all deltas that were marked. */
static int finish_batch(struct marker *m, struct err *e)
{
	if (flush(m, e) < 0)
		return -1;
	m->batch->full = true;
	if (index_marks_deltas(m->marks) && index_marks_each(m->marks, gather_base, m, e) < 0)
		return -1;
	return flush(m, e);
}

/* ---- one by one ---- */

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

static int mark_block(struct marker *m, const struct block_id *id, struct err *e)
{
	bool first;

	return m->batch ? gather(m, id, e) : mark_id(m, id, &first, e);
}

static int mark_node(struct marker *m, const struct tree *t, unsigned level,
		     const struct block_id *id, struct err *e);

static int mark_entries(struct marker *m, const struct tree *t, unsigned level,
			const struct node *node, struct err *e)
{
	for (size_t i = 0; i < node->n; i++) {
		if (block_id_is_zero(&node->ids[i]))
			continue;
		if (level ? mark_node(m, t, level - 1, &node->ids[i], e) < 0
			  : mark_block(m, &node->ids[i], e) < 0)
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

static int mark_tree(void *arg, const struct point_resource *r, const char *what,
		     const struct tree *t, struct err *e)
{
	(void)r;
	(void)what;
	if (t->levels == 0 || block_id_is_zero(&t->root))
		return 0;
	return mark_node(arg, t, t->levels - 1, &t->root, e);
}

/* Nothing is damaged where a checkpoint was deleted, and collected, while it was looked at. */
static int judge(struct marker *m, const struct uuid *point, struct err *e)
{
	char id[UUID_TEXT];

	if (point_is_there(m->repo, point, NULL) == 0)
		return err_set(e, ERR_NOENT, "checkpoint %s was deleted meanwhile",
			       uuid_text(point, id));
	return err_wrap(e, "checkpoint %s", uuid_text(point, id));
}

/* ---- all points ---- */

static int mark_listed(struct marker *m, const struct uuid *id, struct err *e)
{
	struct err why = {0};
	AUTO(point) p = point_load(m->repo, id, &why);

	if (p)
		return point_each_tree(p, mark_tree, m, e) < 0 ? judge(m, id, e) : 0;
	if (why.kind == ERR_NOENT)
		return 0; /* deleted meanwhile */
	if (why.kind == ERR_CORRUPT || why.kind == ERR_VERSION || why.kind == ERR_LIMIT)
		return err_set(e, ERR_CORRUPT,
			       "%s: what this checkpoint needs cannot be told: delete it if it "
			       "cannot be put back from a copy of the target",
			       why.msg);
	if (e)
		*e = why;
	return -1;
}

static int mark_each(struct marker *m, const struct uuid *ids, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (mark_listed(m, &ids[i], e) < 0)
			return -1;
	}
	return m->batch ? finish_batch(m, e) : 0;
}

static struct index_marks *marks_of(struct marker *m, const struct uuid *ids, size_t n,
				    struct err *e)
{
	AUTO(index_marks) marks = index_marks_new(repo_index(m->repo));

	m->marks = marks;
	return mark_each(m, ids, n, e) < 0 ? NULL : steal(&marks);
}

/* What a point needs was in the index before the point was there: so the index is listed after. */
struct index_marks *mark_points(struct repo *r, const struct cancel *cancel, size_t *ret_points,
				struct err *e)
{
	AUTO_FREE struct uuid *ids = NULL;
	AUTO(fetch) fetch = fetch_new(r);
	struct batch batch = {0};
	struct marker m = {r, NULL, fetch, cancel, &batch};
	struct index_marks *marks;
	struct err why = {0};

	if (point_list_ids(r, &ids, ret_points, e) < 0 || index_refresh(repo_index(r), e) < 0)
		return NULL;
	marks = marks_of(&m, ids, *ret_points, &why);
	free(batch.ids);
	m.batch = NULL;
	if (!marks && why.kind == ERR_CORRUPT)
		return marks_of(&m, ids, *ret_points, e);
	if (!marks && e)
		*e = why;
	return marks;
}

/* ---- a check ---- */

static int check_points(const struct mark_check *c, struct marker *m, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		if (point_each_tree(c->points[i], mark_tree, m, e) < 0)
			return judge(m, &c->points[i]->id, e);
		progress_add(&c->progress->passed, c->points[i]->stats.content);
	}
	return finish_batch(m, e);
}

int mark_check(const struct mark_check *c, struct err *e)
{
	AUTO(index_marks) marks = index_marks_new(repo_index(c->repo));
	AUTO(fetch) fetch = fetch_new(c->repo);
	struct batch batch = {0};
	struct marker m = {c->repo, marks, fetch, c->cancel, &batch};
	int rc = index_marks_want(marks, c->packs, e);

	if (rc == 0)
		rc = check_points(c, &m, e);
	free(batch.ids);
	return rc;
}
