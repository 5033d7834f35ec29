/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "mover/mend.h"
#include "scenario_priv.h"

/* Where the copy comes from: a repository in memory with a key of its own. It is made once, and
 * found by children. */
static struct store *other_store(void)
{
	static struct store *other;
	AUTO(credential) c = test_credential(3);
	AUTO(repo) r = NULL;
	struct uuid id;
	struct disk d;

	if (other)
		return other;
	other = store_mem_new();
	OK(repo_create(other, c, "other", NULL, e));
	r = OK_PTR(repo_open(other, c, e));
	make_content(&d, COPIED_CONTENT);
	OK(protect(r, NULL, &d, &id, NULL, e));
	disk_done(&d);
	return other;
}

/* The repository, the other one, and what is in them. */
struct both {
	struct repo *repo, *other;
	struct point_list points, there;
	struct progress progress;
	struct cancel cancel;
};

static int both_open(struct both *b, struct store *s, struct err *e)
{
	AUTO(credential) c = test_credential(3);

	*b = (struct both){.other = repo_open(other_store(), c, e), .repo = open_repo(s, e)};
	if (!b->other || !b->repo || point_list_load(b->other, &b->there, e) < 0)
		return -1;
	return point_list_load(b->repo, &b->points, e);
}

static void both_done(struct both *b)
{
	point_list_done(&b->points);
	point_list_done(&b->there);
	repo_free(b->repo);
	repo_free(b->other);
}

int step_copy(struct store *s, struct ledger *l, struct err *e)
{
	struct ledger_point *p = &l->points[l->n];
	AUTO(point) made = NULL;
	struct both b;
	int rc = both_open(&b, s, e);
	struct copying job = {.from = b.other,
			      .to = b.repo,
			      .source = &b.there,
			      .there = &b.points,
			      .options = in_pieces,
			      .progress = &b.progress,
			      .cancel = &b.cancel};

	if (rc == 0) {
		p->id = b.there.points[0]->id;
		p->copy = true;
		p->content = COPIED_CONTENT;
		l->n++;
		made = copy_point(&job, b.there.points[0], e);
		p->committed = made != NULL;
		rc = made ? 0 : -1;
	}
	both_done(&b);
	return rc;
}

static const struct point *find_copy(const struct point_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!uuid_is_zero(&l->points[i]->origin))
			return l->points[i];
	}
	return NULL;
}

/* Where the n-th block lies. */
static int locate(struct repo *r, const struct point *p, uint64_t n, struct location *ret_l,
		  struct err *e)
{
	AUTO(fetch) f = fetch_new(r);
	AUTO(tree_walk) w = tree_walk_new(&p->resources[0].disks[0].tree, f);
	struct tree_piece piece;

	if (tree_walk_seek(w, n * BLOCK, e) < 0 || tree_walk_next(w, &piece, e) < 0)
		return -1;
	return fetch_locate(f, &piece.id, ret_l, e);
}

/* A bit of it turns over, or all of its pack is lost. */
static int damage_at(struct store *s, const struct location *l, bool whole_pack, struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;
	char key[STORE_KEY_MAX];

	pack_key_name(l->pack, key);
	if (store_slurp(s, key, PACK_MAX, &bytes, e) < 0 || store_remove(s, key, e) < 0)
		return -1;
	if (whole_pack)
		return 0;
	bytes.data[l->at.offset + 2] ^= 1;
	return store_put_new(s, key, bytes.data, bytes.len, e);
}

int step_damage(struct store *s, struct ledger *l, struct err *e)
{
	struct location first, last;
	struct both b;
	int rc = both_open(&b, s, e);
	const struct point *p = rc == 0 ? find_copy(&b.points) : NULL;

	/* What is its own alone. */
	if (!p || locate(b.repo, p, 0, &first, e) < 0 ||
	    locate(b.repo, p, CONTENT_BLOCKS - 1, &last, e) < 0)
		rc = -1;
	both_done(&b);
	if (rc < 0)
		return -1;
	l->damaging = true;
	return damage_at(s, &first, true, e) < 0 ? -1 : damage_at(s, &last, false, e);
}

static void on_bad(void *arg, const struct scrub_finding *f)
{
	(void)arg;
	(void)f;
}

static void on_told(void *arg, const struct point *p, bool mended, const char *why)
{
	(void)arg;
	(void)p;
	(void)mended;
	(void)why;
}

int repair_copy(struct store *s, struct err *e)
{
	struct mend_result result;
	struct both b;
	int rc = both_open(&b, s, e);
	struct mend m = {.repo = b.repo,
			 .other = b.other,
			 .points = &b.points,
			 .there = &b.there,
			 .progress = &b.progress,
			 .cancel = &b.cancel,
			 .bad = on_bad,
			 .tell = on_told};

	if (rc == 0)
		rc = mend_run(&m, &result, e);
	both_done(&b);
	return rc == 0 && result.mended == result.hurt ? 0 : -1;
}

int step_repair(struct store *s, struct ledger *l, struct err *e)
{
	if (repair_copy(s, e) < 0)
		return -1;
	l->repaired = l->damaging;
	return 0;
}
