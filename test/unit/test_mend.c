/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage and its end: what is damaged is found, exactly; nothing that comes later counts on it; it
 * is mended by a copy in another repository, or by the next backup that comes across it.
 */
#include "mover/mend.h"

#include <string.h>

#include "repo/collect.h"
#include "repo/epoch.h"
#include "repo/pack.h"
#include "repo/store_fault.h"
#include "repo/store_mem.h"
#include "writer.h"

enum { DISK_BLOCKS = 60 };

struct bench {
	struct store *store, *other_store;
	struct repo *r, *other;
	struct random rnd;
	struct disk disks[3];
	struct uuid ids[3];
	struct progress progress;
	struct cancel cancel;
	unsigned bad, told, told_mended, rebuilt, not_rebuilt;
};

/* Small packs, so that there are some; three checkpoints that have a part in common. */
static struct uuid store_disk(struct bench *b, const struct disk *d)
{
	struct session_options o = {.pack_bytes = 10 * BLOCK};
	AUTO(repo) fresh = test_reopen(b->store);
	AUTO(point) p = point_new();
	struct point_resource *res = point_add_resource(p, "disk", "/d", "d", "host");
	struct writer w;

	OK(writer_begin(&w, fresh, &o, e));
	OK(writer_disk(&w, d, NULL, NULL, &point_add_disk(res, "vda")->tree, NULL, e));
	OK(session_put_item(w.s, "<domain/>", 9, &point_add_item(res, "domain.xml")->tree, e));
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	return p->id;
}

static int up_with(void **state, unsigned parity)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	b->rnd.state = random_seed();
	b->r = test_repo_parity(&b->store, parity);
	b->other = test_repo(&b->other_store);
	for (int i = 0; i < 3; i++) {
		b->disks[i] = (struct disk){xcalloc(DISK_BLOCKS, BLOCK), DISK_BLOCKS * BLOCK};
		random_fill(&b->rnd, b->disks[i].data, b->disks[i].size, true);
		memcpy(b->disks[i].data, b->disks[0].data, 20 * BLOCK);
		b->ids[i] = store_disk(b, &b->disks[i]);
	}
	*state = b;
	return 0;
}

static int up(void **state)
{
	return up_with(state, 0);
}

static int up_parity(void **state)
{
	return up_with(state, 5);
}

static int down(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 3; i++)
		disk_done(&b->disks[i]);
	repo_free(b->r);
	repo_free(b->other);
	store_free(b->store);
	store_free(b->other_store);
	free(b);
	return 0;
}

static void copy_all(struct bench *b)
{
	struct point_list source, there = {0};
	struct copying job = {.from = b->r,
			      .to = b->other,
			      .source = &source,
			      .there = &there,
			      .progress = &b->progress,
			      .cancel = &b->cancel};

	OK(point_list_load(b->r, &source, e));
	for (size_t i = 0; i < source.n; i++)
		point_list_add(&there, OK_PTR(copy_point(&job, source.points[i], e)));
	point_list_done(&source);
	point_list_done(&there);
}

/* Whose bytes: of the block that stands `at` in a checkpoint, or (UINT64_MAX) of its root. */
static struct location place_of(struct bench *b, int disk, uint64_t at)
{
	AUTO(repo) fresh = test_reopen(b->store);
	AUTO(point) p = OK_PTR(point_load(fresh, &b->ids[disk], e));
	const struct tree *t = &p->resources[0].disks[0].tree;
	AUTO(fetch) f = fetch_new(fresh);
	AUTO(tree_walk) w = tree_walk_new(t, f);
	struct tree_piece piece = {.id = t->root};
	struct location l;

	if (at != UINT64_MAX) {
		OK(tree_walk_seek(w, at * BLOCK, e));
		assert_int_equal(tree_walk_next(w, &piece, NULL), 1);
	}
	OK(fetch_locate(f, &piece.id, &l, e));
	return l;
}

static void flip(struct bench *b, int disk, uint64_t at)
{
	struct location l = place_of(b, disk, at);
	char key[STORE_KEY_MAX];
	size_t len;

	pack_key_name(l.pack, key);
	store_mem_bytes(b->store, key, &len)[l.at.offset + 2] ^= 0x10;
}

static void drop_pack(struct bench *b, int disk, uint64_t at)
{
	struct location l = place_of(b, disk, at);
	char key[STORE_KEY_MAX];

	pack_key_name(l.pack, key);
	OK(store_remove(b->store, key, e));
}

static void on_bad(void *arg, const struct scrub_finding *f)
{
	assert_true(f->key[0] && f->why->msg[0]);
	((struct bench *)arg)->bad++;
}

static void on_rebuilt(void *arg, const char *key, const char *why_not)
{
	struct bench *b = arg;

	assert_true(key[0] && (!why_not || why_not[0]));
	b->rebuilt += !why_not;
	b->not_rebuilt += why_not != NULL;
}

static void tell(void *arg, const struct point *p, bool mended, const char *why)
{
	struct bench *b = arg;

	assert_true(p && (mended || why[0]));
	b->told++;
	b->told_mended += mended;
}

static int mend_in(struct bench *b, struct store *s, bool with_other, struct mend_result *ret,
		   struct err *why)
{
	AUTO(repo) fresh = test_reopen(s);
	struct point_list points, there = {0};
	struct mend m = {.repo = fresh,
			 .other = with_other ? b->other : NULL,
			 .points = &points,
			 .there = with_other ? &there : NULL,
			 .progress = &b->progress,
			 .cancel = &b->cancel,
			 .bad = on_bad,
			 .rebuilt = on_rebuilt,
			 .tell = tell,
			 .arg = b};
	int rc;

	b->bad = b->told = b->told_mended = b->rebuilt = b->not_rebuilt = 0;
	OK(point_list_load(fresh, &points, e));
	OK(point_list_load(b->other, &there, e));
	rc = mend_run(&m, ret, why);
	point_list_done(&points);
	point_list_done(&there);
	return rc;
}

static struct mend_result mend(struct bench *b, bool with_other)
{
	struct mend_result result;

	OK(mend_in(b, b->store, with_other, &result, e));
	assert_int_equal(b->told, result.hurt);
	assert_int_equal(b->told_mended, result.mended);
	return result;
}

static uint64_t collect(struct bench *b)
{
	static const struct collect_options o = {0};
	AUTO(repo) fresh = test_reopen(b->store);
	struct collect_result result;

	OK(collect_run(fresh, &o, &result, e));
	return result.kept;
}

static void assert_whole(struct bench *b)
{
	for (int i = 0; i < 3; i++) {
		AUTO(repo) fresh = test_reopen(b->store);

		assert_point(fresh, &b->ids[i], &b->disks[i]);
	}
	assert_int_equal(collect(b), 0);
	assert_int_equal(test_count(b->store, "epochs/"), 0);
	assert_int_equal(mend(b, false).packs, 0);
	for (int i = 0; i < 3; i++) {
		AUTO(repo) fresh = test_reopen(b->store);

		assert_point(fresh, &b->ids[i], &b->disks[i]);
	}
}

static void test_nothing_is_damaged(void **state)
{
	struct bench *b = *state;
	struct mend_result result = mend(b, true);

	assert_int_equal(result.packs + result.lost + result.hurt + b->bad, 0);
	assert_true(result.scrub.objects > 10 && result.scrub.bytes > 3 * 40 * BLOCK);
	assert_int_equal(test_count(b->store, "epochs/"), 0);
	assert_whole(b);
}

/* Who is hurt is told exactly: a block of one checkpoint, and one that all have. */
static void test_whom_it_hurts(void **state)
{
	struct bench *b = *state;
	struct mend_result result;

	flip(b, 1, 50);
	result = mend(b, false);
	assert_int_equal(result.packs, 1);
	assert_int_equal(b->bad, 1);
	assert_int_equal(result.lost, 1);
	assert_int_equal(result.hurt, 1);
	assert_int_equal(result.mended, 0);
	flip(b, 0, 5);
	result = mend(b, false);
	assert_int_equal(result.lost, 2);
	assert_int_equal(result.hurt, 3);
	/* What was said once is not said again. */
	assert_int_equal(test_count(b->store, "epochs/"), 2);
	mend(b, false);
	assert_int_equal(test_count(b->store, "epochs/"), 2);
}

static void test_mended_from_a_copy(void **state)
{
	struct bench *b = *state;
	struct mend_result result;

	copy_all(b);
	flip(b, 1, 50);
	flip(b, 0, 5);
	flip(b, 2, 30);
	drop_pack(b, 2, 55);
	result = mend(b, true);
	assert_true(result.packs >= 3 && result.lost >= 4);
	assert_int_equal(result.hurt, 3);
	assert_int_equal(result.mended, 3);
	assert_whole(b);
}

/* Of a tree without its root nothing can be found; all of it comes from the copy. */
static void test_nodes(void **state)
{
	struct bench *b = *state;
	struct mend_result result;

	copy_all(b);
	flip(b, 1, UINT64_MAX);
	result = mend(b, true);
	assert_int_equal(result.hurt, 1);
	assert_int_equal(result.mended, 1);
	assert_whole(b);
}

/* The copy of one mends what all have lost; what only another has lost stays lost. */
static void test_one_copy_for_all(void **state)
{
	struct bench *b = *state;
	struct mend_result result;
	struct point_list l;

	copy_all(b);
	OK(point_list_load(b->other, &l, e));
	for (size_t i = 1; i < 3; i++)
		OK(point_delete(b->other, &l.points[i]->id, e));
	point_list_done(&l);
	flip(b, 0, 5);
	result = mend(b, true);
	assert_int_equal(result.hurt, 3);
	assert_int_equal(result.mended, 3);
	for (int i = 0; i < 3; i++)
		flip(b, i, 40);
	result = mend(b, true);
	assert_int_equal(result.hurt, 3);
	assert_int_equal(result.mended, 1);
}

/* It dies at any of its writes. The next one goes on with what it left, and what that says is so.
 */
static void test_a_repair_that_died(void **state)
{
	struct bench *b = *state;
	bool died = true;

	copy_all(b);
	for (uint64_t at = 1; died; at++) {
		AUTO(store) dies = store_fault_new(b->store, FAULT_DEAD, at);
		struct mend_result result;

		flip(b, 1, 50);
		died = mend_in(b, dies, true, &result, NULL) < 0;
		assert_true(died || at > 5);
		result = mend(b, true);
		assert_int_equal(result.mended, result.hurt);
		assert_whole(b);
	}
}

/* Damage never gets into what comes later: the next backup stores anew what it comes across, and
 * that mends what was hurt. */
static void test_the_next_backup_mends(void **state)
{
	struct bench *b = *state;
	struct uuid later;
	AUTO(repo) fresh = NULL;

	flip(b, 0, 5);
	flip(b, 0, 33);
	assert_int_equal(mend(b, false).mended, 0);
	/* What is whole of those packs is saved; they stay for what is not. */
	assert_int_equal(collect(b), 2);
	assert_true(test_count(b->store, "epochs/") > 0);
	later = store_disk(b, &b->disks[0]);
	fresh = test_reopen(b->store);
	assert_point(fresh, &later, &b->disks[0]);
	assert_whole(b);
}

static struct damage look(struct bench *b, struct repo *r)
{
	struct scrub s = {.store = b->store,
			  .cancel = &b->cancel,
			  .progress = &b->progress,
			  .bad = on_bad,
			  .arg = b};
	struct damage d;

	OK(damage_find(r, &s, &d, e));
	assert_int_equal(d.packs.n, 0);
	return d;
}

/* What a collector moves, or removes with its checkpoint, while somebody looks is not lost. */
static void test_beside_a_collector(void **state)
{
	static const struct collect_options o = {.waste_percent = 1};
	struct bench *b = *state;
	AUTO(repo) mine = test_reopen(b->store);
	AUTO(repo) its = test_reopen(b->store);
	AUTO(point) zero = OK_PTR(point_load(mine, &b->ids[0], e));
	AUTO(point) one = OK_PTR(point_load(mine, &b->ids[1], e));
	struct damage d = look(b, mine);
	struct collect_result result;

	OK(point_delete(its, &b->ids[0], e));
	OK(collect_run(its, &o, &result, e));
	assert_true(result.copied > 0);
	assert_int_equal(damage_hurts(&d, mine, zero, NULL), 0);
	assert_int_equal(damage_hurts(&d, mine, one, NULL), 0);
	damage_done(&d);
}

/* A copy that is not one, however it came about: nothing is believed of it. */
static void test_a_wrong_copy(void **state)
{
	struct bench *b = *state;
	struct mend_result result;
	struct point_list l;

	copy_all(b);
	OK(point_list_load(b->other, &l, e));
	for (size_t i = 0; i < 3; i++) {
		AUTO(point) p = OK_PTR(point_load(b->other, &l.points[i]->id, e));
		AUTO(session) s = OK_PTR(session_begin(b->other, NULL, e));

		/* Whose it says it is, and whose it is, are two. */
		p->origin = *copy_origin(l.points[(i + 1) % 3]);
		OK(session_commit(s, p, e));
		OK(point_delete(b->other, &l.points[i]->id, e));
	}
	point_list_done(&l);
	flip(b, 1, 50);
	result = mend(b, true);
	assert_int_equal(result.hurt, 1);
	assert_int_equal(result.mended, 0);
}

static void test_stopped(void **state)
{
	struct bench *b = *state;
	AUTO(repo) fresh = test_reopen(b->store);
	struct point_list points;
	struct mend_result result;
	struct mend m = {.repo = fresh,
			 .points = &points,
			 .progress = &b->progress,
			 .cancel = &b->cancel,
			 .bad = on_bad,
			 .tell = tell,
			 .arg = b};

	flip(b, 1, 50);
	OK(point_list_load(fresh, &points, e));
	cancel_set(&b->cancel);
	FAILS(ERR_CANCELLED, mend_run(&m, &result, e));
	assert_int_equal(test_count(b->store, "epochs/"), 0);
	point_list_done(&points);
}

/* ---- parity ---- */

static void flip_at(struct bench *b, const char *prefix, size_t n, size_t every)
{
	char key[STORE_KEY_MAX];
	uint8_t *bytes;
	size_t len;

	test_nth(b->store, prefix, n, key);
	bytes = store_mem_bytes(b->store, key, &len);
	for (size_t at = len / 3; at < len; at += every)
		bytes[at] ^= 1;
}

/* Every pack is damaged, and nothing else is needed: no epoch, no other repository. */
static void test_parity_mends(void **state)
{
	struct bench *b = *state;
	size_t packs = test_count(b->store, "packs/");
	struct mend_result result;

	for (size_t i = 0; i < packs; i++)
		flip_at(b, "packs/", i, SIZE_MAX / 2);
	result = mend(b, false);
	assert_int_equal(result.rebuilt, packs);
	assert_int_equal(b->rebuilt, packs);
	assert_int_equal(b->bad, packs);
	assert_int_equal(result.packs + result.hurt + result.lost + b->not_rebuilt, 0);
	assert_int_equal(test_count(b->store, "epochs/"), 0);
	assert_int_equal(test_count(b->store, "packs/"), packs);
	assert_whole(b);
}

/* What is more than parity can do goes the other way; and a pack that is gone is gone. */
static void test_parity_is_not_enough(void **state)
{
	struct bench *b = *state;
	struct mend_result result;

	copy_all(b);
	flip_at(b, "packs/", 0, SIZE_MAX / 2);
	flip_at(b, "packs/", 1, 4096);
	drop_pack(b, 2, 55);
	result = mend(b, false);
	assert_int_equal(result.rebuilt, 1);
	assert_int_equal(b->not_rebuilt, 1);
	assert_int_equal(result.packs, 2);
	assert_true(result.hurt > 0 && result.mended == 0);
	/* What was condemned is lost, even if it could come back by now. */
	result = mend(b, true);
	assert_int_equal(result.rebuilt, 0);
	assert_int_equal(result.mended, result.hurt);
	assert_whole(b);
	assert_int_equal(test_count(b->store, "parity/"), test_count(b->store, "packs/"));
}

static void test_damaged_parity_is_renewed(void **state)
{
	struct bench *b = *state;
	struct mend_result result;
	size_t n = test_count(b->store, "parity/");

	flip_at(b, "parity/", 0, 50);
	flip_at(b, "parity/", 1, SIZE_MAX / 2);
	result = mend(b, false);
	assert_int_equal(b->bad, 2);
	assert_int_equal(result.parity, 2);
	assert_int_equal(test_count(b->store, "parity/"), n);
	result = mend(b, false);
	assert_int_equal(b->bad + result.parity, 0);
}

/* Nothing is taken from a condemned pack, so it is not put back either: a collector may be about to
 * remove it. */
static void test_condemned_packs_stay(void **state)
{
	struct bench *b = *state;
	struct mend_result result;
	struct pack_set set = {0};
	uint8_t name[HASH_BYTES];
	char key[STORE_KEY_MAX];

	test_nth(b->store, "packs/", 0, key);
	assert_true(pack_key_parse(key, name));
	pack_set_add(&set, name);
	OK(epoch_publish(b->r, &set, e));
	pack_set_done(&set);
	flip_at(b, "packs/", 0, SIZE_MAX / 2);
	result = mend(b, false);
	assert_int_equal(result.rebuilt, 0);
	assert_int_equal(result.packs, 1);
}

/* A session that was revoked puts nothing back: its pack may have been removed since. */
static void test_revoked_while_mending(void **state)
{
	struct bench *b = *state;
	AUTO(session) s = OK_PTR(session_begin(b->r, NULL, e));
	char key[STORE_KEY_MAX], text[UUID_TEXT];
	uint8_t name[HASH_BYTES];
	AUTO_BUF bytes = BUF_INIT;

	test_nth(b->store, "packs/", 0, key);
	assert_true(pack_key_parse(key, name));
	OK(store_slurp(b->store, key, 1 << 20, &bytes, e));
	OK(session_replace(s, name, &bytes, e));
	OK(store_session_revoke(b->store, uuid_text(session_id(s), text), e));
	OK(store_remove(b->store, key, e));
	FAILS(ERR_CONFLICT, session_replace(s, name, &bytes, e));
	assert_int_equal(store_has(b->store, key, NULL), 0);
}

int main(void)
{
#define P(name) cmocka_unit_test_setup_teardown(name, up_parity, down)
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(test_nothing_is_damaged),
		T(test_whom_it_hurts),
		T(test_mended_from_a_copy),
		T(test_nodes),
		T(test_one_copy_for_all),
		T(test_a_repair_that_died),
		T(test_the_next_backup_mends),
		T(test_beside_a_collector),
		T(test_a_wrong_copy),
		T(test_stopped),
		P(test_parity_mends),
		P(test_parity_is_not_enough),
		P(test_damaged_parity_is_renewed),
		P(test_condemned_packs_stay),
		P(test_revoked_while_mending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
