/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/structure.h"

#include "base/hex.h"

struct asking {
	const struct structure *s;
	const struct block_id *id;
	struct err *why; /* where there is none */
};

static void say_why(const struct asking *a, const struct location *known)
{
	char hex[HASH_TEXT], key[STORE_KEY_MAX];

	hex_encode(a->id->b, 8, hex);
	if (!known) {
		err_set(a->why, ERR_CORRUPT,
			"block %s is missing: no pack in the repository has it", hex);
		return;
	}
	pack_key_name(known->pack, key);
	err_set(a->why, ERR_CORRUPT, "block %s is missing: its pack %s/%s%s is gone", hex,
		repo_store(a->s->repo)->url, key,
		known->at.encoding == BLOCK_DELTA ? ", or that of its base," : "");
}

/* 1, 0 with the reason, -1. */
static int has_place(void *arg, struct err *e)
{
	const struct asking *a = arg;
	struct index *ix = repo_index(a->s->repo);
	struct location place;
	size_t n;
	int there = index_counts(ix, a->id, NULL, a->s->packs, false, &place, e);

	if (there)
		return there;
	if (index_find(ix, a->id, NULL, false, &place, &n, e) < 0)
		return -1;
	say_why(a, n ? &place : NULL);
	return 0;
}

static int check_piece(const struct structure *s, const struct tree_piece *p, struct err *e)
{
	struct err why = {0};
	struct asking a = {s, &p->id, &why};
	int rc = has_place(&a, e);

	/* A run may be lost, or a collector have moved the block since the index was read. */
	if (rc == 0)
		rc = index_look_harder(repo_index(s->repo), has_place, &a, e);
	if (rc == 0)
		return s->damage(s->arg, p->offset, p->len, &why);
	return rc < 0 ? -1 : 0;
}

int structure_check(const struct structure *s, struct err *e)
{
	AUTO(fetch) fetch = fetch_new(s->repo);
	AUTO(tree_walk) walk = tree_walk_new(s->tree, fetch);
	struct tree_piece p = {0};
	struct err why = {0};
	uint64_t at = 0;
	int rc;

	while ((rc = tree_walk_next(walk, &p, &why)) > 0) {
		if (cancel_check(s->cancel, e) < 0 || check_piece(s, &p, e) < 0)
			return -1;
		progress_add(&s->progress->passed, p.offset + p.len - at);
		at = p.offset + p.len;
	}
	/* Without its nodes, nothing of the rest of the content can be found. */
	if (rc < 0 && why.kind == ERR_CORRUPT)
		return s->damage(s->arg, at, s->tree->size - MIN(at, s->tree->size), &why);
	if (rc < 0 && e)
		*e = why;
	progress_add(&s->progress->passed, s->tree->size - MIN(at, s->tree->size));
	return rc;
}
