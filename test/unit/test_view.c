/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading anywhere: what a view gives is what the disk held, whoever else reads, however small its
 * cache is, and around damage.
 */
#include "repo/view.h"

#include <stdatomic.h>
#include <string.h>

#include "repo/pack.h"
#include "repo/store_hook.h"
#include "repo/store_mem.h"
#include "writer.h"

struct bench {
	struct store *inner, *store;
	struct repo *r;
	struct random rnd;
	struct disk disk;
	struct tree tree;
	struct view *view;
	atomic_uint reads; /* of packs */
};

static int count(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct bench *b = arg;

	(void)e;
	if (call == HOOK_GET && !after && strncmp(key, "packs/", 6) == 0)
		atomic_fetch_add(&b->reads, 1);
	return 0;
}

static void up(struct bench *b, size_t blocks, size_t cut, size_t cache)
{
	struct session_options o = {.pack_bytes = 20 * BLOCK};
	AUTO(point) p = point_new();
	struct writer w;

	*b = (struct bench){.rnd = {random_seed()}};
	repo_free(test_repo(&b->inner));
	b->store = store_hook_new(b->inner, count, b, false);
	b->r = test_reopen(b->store);
	disk_make(&b->disk, &b->rnd, blocks);
	b->disk.size -= cut;
	OK(writer_begin(&w, b->r, &o, e));
	OK(writer_disk(&w, &b->disk, NULL, NULL, &b->tree, NULL, e));
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	b->view = OK_PTR(view_open(b->r, &b->tree, cache, e));
	assert_int_equal(view_size(b->view), b->disk.size);
}

static void down(struct bench *b)
{
	view_free(b->view);
	disk_done(&b->disk);
	repo_free(b->r);
	store_free(b->store);
	store_free(b->inner);
}

static void check(struct bench *b, uint64_t off, size_t len)
{
	AUTO_FREE uint8_t *got = xmalloc(len + 1);

	OK(view_read(b->view, got, len, off, e));
	if (memcmp(got, b->disk.data + off, len) != 0)
		fail_msg("%zu bytes at %llu are wrong", len, (unsigned long long)off);
}

static void read_at_random(void *arg, unsigned number)
{
	struct bench *b = arg;
	struct random rnd = {random_seed() + number};

	for (int i = 0; i < 150; i++) {
		uint64_t off = random_below(&rnd, b->disk.size + 1);
		size_t most = random_below(&rnd, 8) ? 3 * BLOCK : 80 * BLOCK;

		check(b, off, (size_t)random_below(&rnd, MIN(most, b->disk.size - off) + 1));
	}
}

static void test_anywhere(void **state)
{
	static const size_t caches[] = {0, 3 * BLOCK, 100 * BLOCK, 1000 * BLOCK};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(caches); i++) {
		struct bench b;

		/* More than one leaf, and more than one node above it would have with us. */
		up(&b, 700, i * 1000, caches[i]);
		test_threads(4, read_at_random, &b);
		check(&b, 0, b.disk.size);
		check(&b, b.disk.size, 0);
		FAILS(ERR_INVALID, view_read(b.view, &b, 1, b.disk.size, e));
		FAILS(ERR_INVALID, view_read(b.view, &b, 2, b.disk.size - 1, e));
		FAILS(ERR_INVALID, view_read(b.view, &b, 2, UINT64_MAX, e));
		down(&b);
	}
}

static void read_along(void *arg, unsigned number)
{
	struct bench *b = arg;
	uint64_t part = b->disk.size / 4, off = number * part;

	for (uint64_t at = 0; at < part; at += 4096)
		check(b, off + at, (size_t)MIN((uint64_t)4096, part - at));
}

/* Small reads that follow each other cost few reads of packs, in several places at once. */
static void test_reading_along(void **state)
{
	struct bench b;

	(void)state;
	up(&b, 512, 0, 512 * BLOCK);
	atomic_store(&b.reads, 0);
	test_threads(4, read_along, &b);
	assert_true(atomic_load(&b.reads) < 512 / 3);
	atomic_store(&b.reads, 0);
	test_threads(4, read_along, &b);
	assert_int_equal(atomic_load(&b.reads), 0);
	down(&b);
}

static void test_extents(void **state)
{
	struct bench b;

	(void)state;
	up(&b, 600, 10, 0);
	for (uint64_t off = 0, len; off < b.disk.size; off += len) {
		uint64_t most = 1 + random_below(&b.rnd, 30 * BLOCK);
		bool hole;

		most = MIN(most, b.disk.size - off);
		assert_int_equal(view_extent(b.view, off, most, &hole, &len, NULL), 0);
		assert_true(len > 0 && len <= most);
		for (uint64_t at = off; at < off + len; at += BLOCK - at % BLOCK) {
			uint64_t block = at / BLOCK * BLOCK;
			size_t n = (size_t)MIN((uint64_t)BLOCK, b.disk.size - block);

			assert_int_equal(block_all_zero(b.disk.data + block, n), hole);
		}
		/* No shorter than it has to be. */
		if (len < most) {
			uint64_t block = (off + len) / BLOCK * BLOCK;

			assert_int_equal((off + len) % BLOCK, 0);
			assert_int_equal(
				block_all_zero(b.disk.data + block,
					       (size_t)MIN((uint64_t)BLOCK, b.disk.size - block)),
				!hole);
		}
	}
	FAILS(ERR_INVALID, view_extent(b.view, b.disk.size, 1, &(bool){0}, &(uint64_t){0}, e));
	down(&b);
}

/* What is damaged is told, and hurts no read of anything else. */
static void test_around_damage(void **state)
{
	struct bench b;
	struct location l;
	struct tree_piece p;
	char key[STORE_KEY_MAX];
	uint8_t byte;
	size_t len;

	(void)state;
	up(&b, 100, 0, 50 * BLOCK);
	{
		AUTO(fetch) f = fetch_new(b.r);
		AUTO(tree_walk) w = tree_walk_new(&b.tree, f);

		OK(tree_walk_seek(w, 40 * BLOCK, e));
		assert_int_equal(tree_walk_next(w, &p, NULL), 1);
		OK(fetch_locate(f, &p.id, &l, e));
	}
	pack_key_name(l.pack, key);
	store_mem_bytes(b.inner, key, &len)[l.at.offset + 1] ^= 1;
	for (uint64_t at = 0; at < b.disk.size; at += BLOCK) {
		if (memcmp(b.disk.data + at, b.disk.data + p.offset, BLOCK) == 0)
			FAILS(ERR_CORRUPT, view_read(b.view, &byte, 1, at + 5, e));
		else
			check(&b, at, BLOCK);
	}
	down(&b);
}

static void test_streams(void **state)
{
	struct tree t = {.type = TREE_SEQUENCE, .levels = 1};
	struct repo_fixture *f = *state;

	FAILS_PTR(ERR_UNSUPPORTED, view_open(f->r, &t, 0, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anywhere),
		cmocka_unit_test(test_reading_along),
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_around_damage),
		cmocka_unit_test_setup_teardown(test_streams, repo_fixture_up, repo_fixture_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
