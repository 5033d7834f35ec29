/* SPDX-License-Identifier: Apache-2.0 */
/* What is missing or bent is found and told of every checkpoint that needs it, however many share
 * it; of the structure alone only what is missing. */
#include "mover/verify.h"

#include <string.h>

#include "repo/collect.h"
#include "repo/store_mem.h"
#include "writer.h"

enum { BLOCKS = 80 };

struct bench {
	struct store *store;
	struct repo *r;
	struct disk disk;
	struct point *point;
	struct tree *tree; /* of its disk */
	struct progress progress;
	struct cancel cancel;
	uint64_t damaged[BLOCKS];
	size_t n_damaged;
	uint64_t damaged_bytes;
	size_t hurt; /* checkpoints */
	const struct point *last;
};

static int up(void **state)
{
	struct session_options o = {.pack_bytes = 10 * BLOCK};
	struct bench *b = xcalloc(1, sizeof(*b));
	struct random rnd = {random_seed()};
	struct uuid id;

	b->r = test_repo(&b->store);
	b->disk = (struct disk){xcalloc(BLOCKS, BLOCK), BLOCKS * BLOCK};
	random_fill(&rnd, b->disk.data, b->disk.size / 2, true);
	OK(protect(b->r, &o, &b->disk, &id, NULL, e));
	b->point = OK_PTR(point_load(b->r, &id, e));
	b->tree = &b->point->resources[0].disks[0].tree;
	*state = b;
	return 0;
}

static int down(void **state)
{
	struct bench *b = *state;

	disk_done(&b->disk);
	point_free(b->point);
	repo_free(b->r);
	store_free(b->store);
	free(b);
	return 0;
}

static void on_damage(void *arg, const struct point *p, const struct point_resource *r,
		      const char *what, uint64_t offset, uint64_t len, const char *why)
{
	struct bench *b = arg;

	assert_true(why[0] && r == &p->resources[0]);
	assert_string_equal(what, r->disks[0].name);
	assert_true(b->n_damaged < BLOCKS);
	b->damaged[b->n_damaged++] = offset;
	b->damaged_bytes += len;
	b->hurt += b->last != p;
	b->last = p;
}

static int check_points(struct bench *b, struct repo *r, struct presence *packs,
			const struct point *const *points, size_t n, struct err *why)
{
	struct verify v = {r, points, n, packs, &b->progress, &b->cancel, on_damage, b};

	b->n_damaged = b->damaged_bytes = b->hurt = 0;
	b->last = NULL;
	memset(&b->progress, 0, sizeof(b->progress));
	return verify_run(&v, why);
}

static int check_all(struct bench *b, bool structure, const struct point *const *points, size_t n,
		     struct err *why)
{
	AUTO(repo) fresh = test_reopen(b->store);
	AUTO(presence) packs = presence_new(b->store);

	return check_points(b, fresh, structure ? packs : NULL, points, n, why);
}

/* The structure. */
static int check(struct bench *b, struct err *why)
{
	const struct point *p = b->point;

	return check_all(b, true, &p, 1, why);
}

/* Everything. */
static int read_it(struct bench *b, struct err *why)
{
	const struct point *p = b->point;

	return check_all(b, false, &p, 1, why);
}

static struct location place_of(struct bench *b, uint64_t block)
{
	AUTO(fetch) f = fetch_new(b->r);
	AUTO(tree_walk) w = tree_walk_new(b->tree, f);
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
	OK(read_it(b, e));
	assert_int_equal(b->n_damaged, 0);
	assert_int_equal(progress_get(&b->progress.passed), b->disk.size);
	pack_key_name(l.pack, key);
	store_mem_bytes(b->store, key, &len)[l.at.offset + 1] ^= 1;
	/* Not read, not found. */
	OK(check(b, e));
	assert_int_equal(b->n_damaged, 0);
	OK(read_it(b, e));
	assert_int_equal(b->n_damaged, 1);
	assert_int_equal(b->damaged[0], 3 * BLOCK);
	assert_int_equal(b->damaged_bytes, BLOCK);
}

enum { DAYS = 5 };

/* Checkpoints that share most: read once, told of each. */
static void test_what_is_shared(void **state)
{
	struct bench *b = *state;
	struct random rnd = {random_seed()};
	const struct point *points[DAYS];
	struct location bad;
	char key[STORE_KEY_MAX];
	uint64_t once;
	size_t len;

	points[0] = b->point;
	for (size_t i = 1; i < DAYS; i++) {
		struct uuid id;

		/* Block 3 is another one from the third on. */
		disk_write(&b->disk, &rnd, i == 2 ? 3 : BLOCKS / 2 + i, 1);
		OK(protect(b->r, NULL, &b->disk, &id, NULL, e));
		points[i] = OK_PTR(point_load(b->r, &id, e));
	}
	OK(check_all(b, false, points, 1, e));
	once = progress_get(&b->progress.read);
	OK(check_all(b, false, points, DAYS, e));
	assert_int_equal(b->n_damaged, 0);
	assert_int_equal(progress_get(&b->progress.passed), DAYS * b->disk.size);
	assert_true(progress_get(&b->progress.read) < once + 2 * DAYS * BLOCK);

	bad = place_of(b, 3);
	pack_key_name(bad.pack, key);
	store_mem_bytes(b->store, key, &len)[bad.at.offset + 1] ^= 1;
	OK(check_all(b, false, points, DAYS, e));
	assert_int_equal(b->n_damaged, 2);
	assert_int_equal(b->hurt, 2);
	assert_true(b->damaged[0] == 3 * BLOCK && b->damaged[1] == 3 * BLOCK);
	/* One that is deleted lacks nothing. */
	OK(point_delete(b->r, &points[0]->id, e));
	OK(check_all(b, false, points, DAYS, e));
	assert_int_equal(b->hurt, 1);
	OK(store_remove(b->store, key, e));
	OK(check_all(b, true, points, DAYS, e));
	assert_int_equal(b->hurt, DAYS - 1);
	for (size_t i = 1; i < DAYS; i++)
		point_free((struct point *)points[i]);
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
	OK(read_it(b, e));
	assert_int_equal(b->damaged_bytes, n * BLOCK);
	OK(check(b, e));
	assert_true(n >= 5);
	/* In the order of the disk, so told as one. */
	assert_int_equal(b->n_damaged, 1);
	assert_int_equal(b->damaged_bytes, n * BLOCK);
	for (size_t i = 0; i < n; i++) {
		struct location l = place_of(b, b->damaged[0] / BLOCK + i);

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
	assert_true(b->damaged_bytes >= 5 * BLOCK);
}

static void test_a_node_is_lost(void **state)
{
	struct bench *b = *state;

	b->tree->root.b[0] ^= 1;
	OK(read_it(b, e));
	assert_int_equal(b->n_damaged, 1);
	assert_int_equal(b->damaged_bytes, b->disk.size);
	OK(check(b, e));
	assert_int_equal(b->n_damaged, 1);
	assert_int_equal(b->damaged_bytes, b->disk.size);
}

/* What lies below a node that is lost is told of as one; the rest is looked at. */
static void test_a_leaf_is_lost(void **state)
{
	enum { LEAF = 256, AT = LEAF + LEAF };
	struct bench *b = *state;
	struct random rnd = {random_seed()};
	AUTO(point) p = NULL;
	const struct point *one;
	struct location l, other;
	char key[STORE_KEY_MAX];
	struct node root;
	struct uuid id;
	struct disk d;
	size_t len;

	disk_make(&d, &rnd, AT + 40);
	random_fill(&rnd, d.data, d.size, true);
	OK(protect(b->r, NULL, &d, &id, NULL, e));
	one = p = OK_PTR(point_load(b->r, &id, e));
	b->tree = &p->resources[0].disks[0].tree;
	{
		AUTO(fetch) f = fetch_new(b->r);

		OK(node_fetch(f, b->tree, 1, &b->tree->root, &root, e));
		assert_int_equal(root.n, 3);
		OK(fetch_locate(f, &root.ids[1], &l, e));
	}
	node_done(&root);
	other = place_of(b, AT + 3);
	pack_key_name(l.pack, key);
	store_mem_bytes(b->store, key, &len)[l.at.offset + 20] ^= 1;
	pack_key_name(other.pack, key);
	store_mem_bytes(b->store, key, &len)[other.at.offset + 20] ^= 1;
	OK(check_all(b, false, &one, 1, e));
	assert_int_equal(b->n_damaged, 2);
	assert_int_equal(b->damaged[0], LEAF * BLOCK);
	assert_int_equal(b->damaged[1], (AT + 3) * BLOCK);
	assert_int_equal(b->damaged_bytes, (LEAF + 1) * BLOCK);
	disk_done(&d);
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
	const struct point *one;
	struct collect_result result;
	struct uuid goes, stays;
	struct disk d;

	disk_make(&d, &rnd, 3 * BLOCKS);
	OK(protect(b->r, &small, &d, &goes, NULL, e));
	for (size_t i = 0; i < 3 * BLOCKS; i += 2)
		disk_write(&d, &rnd, i, 1);
	OK(protect(b->r, &small, &d, &stays, NULL, e));
	one = p = OK_PTR(point_load(mine, &stays, e));
	OK(check_points(b, mine, packs, &one, 1, e));
	OK(point_delete(b->r, &goes, e));
	OK(collect_run(b->r, &o, &result, e));
	assert_true(result.copied > 0 && result.dropped > 0);
	OK(check_points(b, mine, packs, &one, 1, e));
	assert_int_equal(b->n_damaged, 0);
	disk_done(&d);
}

static void test_stopped(void **state)
{
	struct bench *b = *state;

	cancel_set(&b->cancel);
	FAILS(ERR_CANCELLED, check(b, e));
	FAILS(ERR_CANCELLED, read_it(b, e));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(test_all_is_there),	    T(test_a_pack_is_gone), T(test_the_index_is_lost),
		T(test_a_node_is_lost),	    T(test_a_leaf_is_lost), T(test_what_is_shared),
		T(test_beside_a_collector), T(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
