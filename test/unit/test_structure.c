/* SPDX-License-Identifier: Apache-2.0 */
/* What is missing is found without a block being read; what is bent is not looked for. */
#include "mover/structure.h"

#include <string.h>

#include "repo/collect.h"
#include "repo/store_mem.h"
#include "writer.h"

enum { BLOCKS = 80 };

struct bench {
	struct store *store;
	struct repo *r;
	struct disk disk;
	struct tree tree;
	struct progress progress;
	struct cancel cancel;
	uint64_t damaged[BLOCKS];
	size_t n_damaged;
	uint64_t damaged_bytes;
};

static int up(void **state)
{
	struct session_options o = {.pack_bytes = 10 * BLOCK};
	struct bench *b = xcalloc(1, sizeof(*b));
	struct random rnd = {random_seed()};
	AUTO(point) p = point_new();
	struct writer w;

	b->r = test_repo(&b->store);
	b->disk = (struct disk){xcalloc(BLOCKS, BLOCK), BLOCKS * BLOCK};
	random_fill(&rnd, b->disk.data, b->disk.size / 2, true);
	OK(writer_begin(&w, b->r, &o, e));
	OK(writer_disk(&w, &b->disk, NULL, NULL, &b->tree, NULL, e));
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	*state = b;
	return 0;
}

static int down(void **state)
{
	struct bench *b = *state;

	disk_done(&b->disk);
	repo_free(b->r);
	store_free(b->store);
	free(b);
	return 0;
}

static int on_damage(void *arg, uint64_t offset, uint64_t len, const struct err *why)
{
	struct bench *b = arg;

	assert_int_equal(why->kind, ERR_CORRUPT);
	b->damaged[b->n_damaged++] = offset;
	b->damaged_bytes += len;
	return 0;
}

static int check_tree(struct bench *b, struct repo *r, struct presence *packs, const struct tree *t,
		      struct err *why)
{
	struct structure s = {r, t, packs, &b->progress, &b->cancel, on_damage, b};

	b->n_damaged = b->damaged_bytes = 0;
	memset(&b->progress, 0, sizeof(b->progress));
	return structure_check(&s, why);
}

static int check(struct bench *b, struct err *why)
{
	AUTO(repo) fresh = test_reopen(b->store);
	AUTO(presence) packs = presence_new(b->store);

	return check_tree(b, fresh, packs, &b->tree, why);
}

static struct location place_of(struct bench *b, uint64_t block)
{
	AUTO(fetch) f = fetch_new(b->r);
	AUTO(tree_walk) w = tree_walk_new(&b->tree, f);
	struct tree_piece p;
	struct location l;

	OK(tree_walk_seek(w, block * BLOCK, e));
	assert_int_equal(tree_walk_next(w, &p, NULL), 1);
	OK(fetch_locate(f, &p.id, &l, e));
	return l;
}

static void test_all_is_there(void **state)
{
	struct bench *b = *state;
	struct location l = place_of(b, 3);
	char key[STORE_KEY_MAX];
	size_t len;

	OK(check(b, e));
	assert_int_equal(b->n_damaged, 0);
	assert_int_equal(progress_get(&b->progress.passed), b->disk.size);
	/* Not read, not found. */
	pack_key_name(l.pack, key);
	store_mem_bytes(b->store, key, &len)[l.at.offset + 1] ^= 1;
	OK(check(b, e));
	assert_int_equal(b->n_damaged, 0);
}

static void test_a_pack_is_gone(void **state)
{
	struct bench *b = *state;
	struct location gone = place_of(b, 12);
	char key[STORE_KEY_MAX];
	size_t n = 0;

	for (uint64_t i = 0; i < BLOCKS / 2; i++) {
		struct location l = place_of(b, i);

		n += memcmp(l.pack, gone.pack, HASH_BYTES) == 0;
	}
	pack_key_name(gone.pack, key);
	OK(store_remove(b->store, key, e));
	OK(check(b, e));
	assert_true(n >= 5);
	assert_int_equal(b->n_damaged, n);
	assert_int_equal(b->damaged_bytes, n * BLOCK);
	for (size_t i = 0; i < n; i++) {
		struct location l = place_of(b, b->damaged[i] / BLOCK);

		assert_memory_equal(l.pack, gone.pack, HASH_BYTES);
	}
}

static void test_the_index_is_lost(void **state)
{
	struct bench *b = *state;
	struct location gone = place_of(b, 12);
	char key[STORE_KEY_MAX];

	while (test_count(b->store, "index/")) {
		test_nth(b->store, "index/", 0, key);
		OK(store_remove(b->store, key, e));
	}
	OK(check(b, e));
	assert_int_equal(b->n_damaged, 0);
	pack_key_name(gone.pack, key);
	OK(store_remove(b->store, key, e));
	OK(check(b, e));
	assert_true(b->n_damaged >= 5);
}

static void test_a_node_is_lost(void **state)
{
	struct bench *b = *state;

	b->tree.root.b[0] ^= 1;
	OK(check(b, e));
	assert_int_equal(b->n_damaged, 1);
	assert_int_equal(b->damaged_bytes, b->disk.size);
}

/* Blocks move into packs that were not there when the check began. */
static void test_beside_a_collector(void **state)
{
	static const struct collect_options o = {.waste_percent = 1};
	struct session_options small = {.pack_bytes = 10 * BLOCK};
	struct bench *b = *state;
	struct random rnd = {random_seed()};
	AUTO(repo) mine = test_reopen(b->store);
	AUTO(presence) packs = presence_new(b->store);
	AUTO(point) p = NULL;
	struct collect_result result;
	struct uuid goes, stays;
	struct disk d;

	disk_make(&d, &rnd, 3 * BLOCKS);
	OK(protect(b->r, &small, &d, &goes, NULL, e));
	for (size_t i = 0; i < 3 * BLOCKS; i += 2)
		disk_write(&d, &rnd, i, 1);
	OK(protect(b->r, &small, &d, &stays, NULL, e));
	p = OK_PTR(point_load(mine, &stays, e));
	OK(check_tree(b, mine, packs, &p->resources[0].disks[0].tree, e));
	OK(point_delete(b->r, &goes, e));
	OK(collect_run(b->r, &o, &result, e));
	assert_true(result.copied > 0 && result.dropped > 0);
	OK(check_tree(b, mine, packs, &p->resources[0].disks[0].tree, e));
	assert_int_equal(b->n_damaged, 0);
	disk_done(&d);
}

static void test_stopped(void **state)
{
	struct bench *b = *state;

	cancel_set(&b->cancel);
	FAILS(ERR_CANCELLED, check(b, e));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(test_all_is_there),	T(test_a_pack_is_gone),	    T(test_the_index_is_lost),
		T(test_a_node_is_lost), T(test_beside_a_collector), T(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
