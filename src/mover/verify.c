/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes: the first looks once at each node and block that any of the checkpoints reaches. Only
 * if that finds something, the second finds out whom it hurts, and where.
 */
#include "mover/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "repo/impact.h"
#include "repo/mark.h"

/* A block that cannot be read, and why. */
struct bad {
	struct block_id id;
	char *why;
};

struct verifying {
	const struct verify *v;
	struct index_marks *seen; /* what was looked at */
	struct idset bad_ids;
	struct bad *bad; /* the same, with reasons */
	size_t n_bad;
	bool any; /* something is damaged */
	struct impact impact;
};

/* ---- the first pass ---- */

static int look_at_structure(struct verifying *g, struct err *e)
{
	const struct mark_check c = {.repo = g->v->repo,
				     .packs = g->v->packs,
				     .points = g->v->points,
				     .n = g->v->n,
				     .progress = g->v->progress,
				     .cancel = g->v->cancel};
	struct err why = {0};

	if (index_refresh(repo_index(g->v->repo), e) < 0)
		return -1;
	if (!index_is_damaged(repo_index(g->v->repo)) && mark_check(&c, &why) == 0)
		return 0;
	/* What is not in the runs may be in the packs, and who is missing may be deleted. */
	g->any = true;
	if (why.kind == 0 || why.kind == ERR_CORRUPT || why.kind == ERR_NOENT)
		return 0;
	if (e)
		*e = why;
	return -1;
}

static void begin_marks(struct verifying *g)
{
	index_marks_free(g->seen);
	g->seen = index_marks_new(repo_index(g->v->repo));
}

/* Looking twice does no harm: where marks fail, as runs do that were merged away, we go on with new
 * ones or without. */
static int seen_before(void *arg, const struct block_id *id, struct err *e)
{
	struct verifying *g = arg;
	struct index_marked at;
	struct err why = {0};

	if (index_mark(g->seen, id, false, &at, &why) == 0)
		return !at.first;
	if (why.kind != ERR_NOENT)
		return 0;
	if (index_refresh(repo_index(g->v->repo), e) < 0)
		return -1;
	begin_marks(g);
	return 0;
}

static int note_bad(void *arg, const struct block_id *id, uint64_t offset, uint64_t len,
		    const struct err *why)
{
	struct verifying *g = arg;

	(void)offset;
	(void)len;
	g->any = true;
	if (id && idset_add(&g->bad_ids, id)) {
		g->bad = xreallocarray(g->bad, g->n_bad + 1, sizeof(*g->bad));
		g->bad[g->n_bad++] = (struct bad){*id, xstrdup(why->msg)};
	}
	return 0;
}

static int read_tree(void *arg, const struct point_resource *r, const char *what,
		     const struct tree *t, struct err *e)
{
	const struct verify *v = ((const struct verifying *)arg)->v;
	AUTO(sink) sink = sink_null_open();
	const struct restore job = {.repo = v->repo,
				    .tree = t,
				    .sink = sink,
				    .progress = v->progress,
				    .cancel = v->cancel,
				    .damage = note_bad,
				    .skip = seen_before,
				    .arg = arg,
				    .pace = v->pace};

	(void)r;
	(void)what;
	return restore_run(&job, e);
}

static int read_all(struct verifying *g, struct err *e)
{
	int rc = index_refresh(repo_index(g->v->repo), e);

	begin_marks(g);
	for (size_t i = 0; i < g->v->n && rc == 0; i++)
		rc = point_each_tree(g->v->points[i], read_tree, g, e);
	return rc;
}

/* ---- the second pass ---- */

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct block_id));
}

struct asking {
	struct verifying *g;
	const struct block_id *id;
};

static int has_place(void *arg, struct err *e)
{
	const struct asking *a = arg;
	struct location place;

	return index_counts(repo_index(a->g->v->repo), a->id, NULL, a->g->v->packs, false, &place,
			    e);
}

static int is_missing(struct verifying *g, const struct block_id *id, struct err *e)
{
	struct asking a = {g, id};
	int there = has_place(&a, e);

	/* A run may be lost, or a collector have moved the block since the index was read. */
	if (there == 0)
		there = index_look_harder(repo_index(g->v->repo), has_place, &a, e);
	return there < 0 ? -1 : !there;
}

static int is_lost(void *arg, const struct block_id *id, struct err *e)
{
	struct verifying *g = arg;

	return g->v->packs ? is_missing(g, id, e) : idset_has(&g->bad_ids, id);
}

static int why_missing(struct verifying *g, const struct block_id *id, struct err *why,
		       struct err *e)
{
	char hex[HASH_TEXT], key[STORE_KEY_MAX];
	struct location known;
	size_t n;

	if (index_find(repo_index(g->v->repo), id, NULL, false, &known, &n, e) < 0)
		return -1;
	hex_encode(id->b, 8, hex);
	if (n == 0) {
		err_set(why, ERR_CORRUPT, "block %s is missing: no pack in the repository has it",
			hex);
		return 0;
	}
	pack_key_name(known.pack, key);
	err_set(why, ERR_CORRUPT, "block %s is missing: its pack %s/%s%s is gone", hex,
		repo_store(g->v->repo)->url, key,
		known.at.encoding == BLOCK_DELTA ? ", or that of its base," : "");
	return 0;
}

static int why_bad(struct verifying *g, const struct block_id *id, struct err *why, struct err *e)
{
	const struct bad *b;

	if (g->v->packs)
		return why_missing(g, id, why, e);
	b = bsearch(id, g->bad, g->n_bad, sizeof(*g->bad), by_id);
	err_set(why, ERR_CORRUPT, "%s", b->why);
	return 0;
}

/* Where in a checkpoint we look; and what was found damaged and not told yet, because it may go on:
 * of what lies together, the first block's reason is told. */
struct place {
	struct verifying *g;
	const struct point *p;
	const struct point_resource *r;
	const char *what;
	const struct tree *t;
	uint64_t from, to;
	struct err why;
};

static void tell(struct place *at)
{
	const struct verify *v = at->g->v;
	uint64_t end = MIN(at->to, at->t->size);

	if (at->to > at->from)
		v->damage(v->arg, at->p, at->r, at->what, at->from, end - MIN(at->from, end),
			  at->why.msg);
	at->from = at->to = 0;
}

static void begin_range(struct place *at, const struct tree_piece *piece)
{
	tell(at);
	at->from = piece->offset;
	at->to = piece->offset + piece->len;
}

static int tell_piece(struct place *at, const struct tree_piece *piece, struct err *e)
{
	int lost = is_lost(at->g, &piece->id, e);

	if (lost <= 0)
		return lost;
	if (at->to > at->from && at->to == piece->offset) {
		at->to += piece->len;
		return 0;
	}
	begin_range(at, piece);
	return why_bad(at->g, &piece->id, &at->why, e);
}

static int is_clean(void *arg, const struct block_id *id, struct err *e)
{
	const struct verifying *g = arg;

	(void)e;
	return idset_has(&g->impact.clean, id);
}

/* One step of the walk: 1, 0 at its end, -1. */
static int tell_next(struct place *at, struct tree_walk *walk, struct err *e)
{
	struct tree_piece piece;
	struct err why = {0};
	int rc = tree_walk_next(walk, &piece, &why);

	if (rc > 0)
		return tell_piece(at, &piece, e) < 0 ? -1 : 1;
	if (rc == 0)
		return 0;
	if (why.kind == ERR_CORRUPT) {
		piece = tree_walk_lost(walk);
		begin_range(at, &piece);
		at->why = why;
		return 1;
	}
	if (e)
		*e = why;
	return -1;
}

static int tell_tree(void *arg, const struct point_resource *r, const char *what,
		     const struct tree *t, struct err *e)
{
	struct place at = *(const struct place *)arg;
	AUTO(fetch) fetch = fetch_new(at.g->v->repo);
	AUTO(tree_walk) walk = tree_walk_new(t, fetch);
	int rc;

	at.r = r;
	at.what = what;
	at.t = t;
	tree_walk_skip(walk, is_clean, at.g);
	do {
		rc = tell_next(&at, walk, e);
	} while (rc > 0);
	tell(&at);
	return rc;
}

static int tell_all(struct verifying *g, struct err *e)
{
	AUTO(fetch) fetch = fetch_new(g->v->repo);

	if (g->n_bad)
		qsort(g->bad, g->n_bad, sizeof(*g->bad), by_id);
	g->impact = (struct impact){.repo = g->v->repo,
				    .fetch = fetch,
				    .cancel = g->v->cancel,
				    .lost = is_lost,
				    .arg = g};
	for (size_t i = 0; i < g->v->n; i++) {
		const struct point *p = g->v->points[i];
		struct place at = {.g = g, .p = p};
		int hurt = impact_on(&g->impact, p, e);

		if (hurt > 0)
			hurt = point_is_there(g->v->repo, &p->id, e);
		if (hurt < 0 || (hurt > 0 && point_each_tree(p, tell_tree, &at, e) < 0))
			return -1;
	}
	return 0;
}

int verify_run(const struct verify *v, struct err *e)
{
	struct verifying g = {.v = v};
	int rc = v->packs ? look_at_structure(&g, e) : read_all(&g, e);

	if (rc == 0 && g.any)
		rc = tell_all(&g, e);
	index_marks_free(g.seen);
	impact_done(&g.impact);
	idset_done(&g.bad_ids);
	for (size_t i = 0; i < g.n_bad; i++)
		free(g.bad[i].why);
	free(g.bad);
	return rc;
}
