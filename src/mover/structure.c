/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/structure.h"

#include "base/hex.h"

static int note_pack(void *arg, const char *key, uint64_t size, struct err *e)
{
	uint8_t name[HASH_BYTES];

	(void)size;
	(void)e;
	if (pack_key_parse(key, name))
		pack_set_add(arg, name);
	return 0;
}

int structure_packs(struct store *s, struct pack_set *ret_there, struct err *e)
{
	*ret_there = (struct pack_set){0};
	if (store_list(s, "packs/", note_pack, ret_there, e) < 0)
		return -1;
	pack_set_sort(ret_there);
	return 0;
}

/* 1, 0 with the reason in `why`, -1. */
static int has_place(const struct structure *s, const struct block_id *id, struct err *why,
		     struct err *e)
{
	struct location places[INDEX_PLACES];
	char hex[HASH_TEXT], key[STORE_KEY_MAX];
	size_t n;

	if (index_find(repo_index(s->repo), id, NULL, true, places, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (places[i].at.kind == BLOCK_DATA && pack_set_has(s->there, places[i].pack))
			return 1;
	}
	hex_encode(id->b, 8, hex);
	if (n) {
		pack_key_name(places[0].pack, key);
		err_set(why, ERR_CORRUPT, "block %s is missing: its pack %s/%s is gone", hex,
			repo_store(s->repo)->url, key);
	} else {
		err_set(why, ERR_CORRUPT, "block %s is missing: no pack in the repository has it",
			hex);
	}
	return 0;
}

/* A run may be lost, or a collector have moved it since the index was read. */
static int look_harder(const struct structure *s, const struct block_id *id, struct err *why,
		       struct err *e)
{
	int rc = has_place(s, id, why, e);

	if (rc == 0)
		rc = index_refresh(repo_index(s->repo), e) < 0 ? -1 : has_place(s, id, why, e);
	if (rc == 0)
		rc = index_search_packs(repo_index(s->repo), e) < 0 ? -1 : has_place(s, id, why, e);
	return rc;
}

static int check_piece(const struct structure *s, const struct tree_piece *p, struct err *e)
{
	struct err why = {0};
	int rc = look_harder(s, &p->id, &why, e);

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
