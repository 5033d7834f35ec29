/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which block of an older stream a block of the new one is compared with: streams are lists of
 * lengths here, and each block of the new one knows which of the old one it came from.
 */
#include "mover/alignment.h"

#include <stdlib.h>
#include <string.h>

#include "writer.h"

enum { KiB = 1 << 10, AROUND = 16 << 10, NONE = -1 };

struct piece {
	uint64_t len;
	long from; /* number of the old block that it comes from, or is like; NONE */
};

struct bench {
	struct store *store;
	struct repo *r;
	struct random rnd;
	struct piece *old, *new;
	struct block_id *ids; /* of the old ones */
	size_t n_old, n_new;
	struct tree tree;
};

static uint64_t any_length(struct bench *b)
{
	return 32 * KiB + random_below(&b->rnd, 480 * KiB);
}

static int up(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	b->r = test_repo(&b->store);
	b->rnd.state = random_seed();
	*state = b;
	return 0;
}

static int down(void **state)
{
	struct bench *b = *state;

	repo_free(b->r);
	store_free(b->store);
	free(b->old);
	free(b->new);
	free(b->ids);
	free(b);
	return 0;
}

/* An old stream of `n` blocks; with `holes`, every tenth is zeros. */
static void make_old(struct bench *b, size_t n, bool holes)
{
	AUTO(point) p = point_new();
	struct tree_seq *ts;
	struct writer w;

	b->n_old = n;
	b->old = xcalloc(n + 1, sizeof(*b->old));
	b->new = xcalloc(2 * n + 100, sizeof(*b->new));
	b->ids = xcalloc(n + 1, sizeof(*b->ids));
	OK(writer_begin(&w, b->r, NULL, e));
	ts = tree_seq_new(w.codec, session_put_node, w.s);
	for (size_t i = 0; i < n; i++) {
		b->old[i] = (struct piece){any_length(b), (long)i};
		if (!holes || i % 10)
			random_fill(&b->rnd, b->ids[i].b, HASH_BYTES, true);
		OK(add_id(ts, &b->ids[i], b->old[i].len, e));
	}
	OK(tree_seq_finish(ts, &b->tree, e));
	tree_seq_free(ts);
	OK(session_commit(w.s, p, e));
	writer_end(&w);
}

/* The new stream goes on with what the old one has from block `from` to before `to`. */
static void keep(struct bench *b, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		b->new[b->n_new++] = b->old[i];
}

/* With a block that is like an old one, or like none. */
static void put(struct bench *b, uint64_t len, long like)
{
	b->new[b->n_new++] = (struct piece){len, like};
}

static void put_fresh(struct bench *b, size_t n)
{
	while (n--)
		put(b, any_length(b), NONE);
}

/* How many blocks of the new stream that have one they came from are not compared with it. */
static size_t missed(struct bench *b)
{
	AUTO(fetch) f = fetch_new(b->r);
	AUTO(alignment) a = alignment_new(&b->tree, f);
	size_t wrong = 0;

	for (size_t i = 0; i < b->n_new; i++) {
		struct block_ref before, want;

		memset(&before, 7, sizeof(before));
		alignment_next(a, b->new[i].len, &before);
		if (b->new[i].from == NONE)
			continue;
		want = ref_of(&b->ids[b->new[i].from]);
		wrong += !block_id_equal(&before.id, &want.id);
		if (block_id_equal(&before.id, &want.id))
			assert_true(block_print_equal(&before.print, &want.print));
	}
	b->n_new = 0;
	return wrong;
}

static void test_in_step(void **state)
{
	struct bench *b = *state;

	make_old(b, 3000, false);
	keep(b, 0, 3000);
	assert_int_equal(missed(b), 0);
}

static void test_holes(void **state)
{
	struct bench *b = *state;

	make_old(b, 1000, true);
	keep(b, 0, 1000);
	assert_int_equal(missed(b), 0);
}

/* Other content at the same place, cut as before or elsewhere. */
static void test_changed_in_place(void **state)
{
	struct bench *b = *state;

	make_old(b, 100, false);
	keep(b, 0, 10);
	put(b, b->old[10].len / 3, 10);
	put(b, b->old[10].len - b->old[10].len / 3, 10);
	keep(b, 11, 20);
	/* A cut that is gone: the longer one of the two is what it is compared with. */
	put(b, b->old[20].len + b->old[21].len, b->old[21].len > b->old[20].len ? 21 : 20);
	keep(b, 22, 30);
	/* One cut that moved. */
	put(b, b->old[30].len - 100, 30);
	put(b, b->old[31].len + 100, 31);
	keep(b, 32, 100);
	assert_int_equal(missed(b), 0);
}

/* A few bytes came or went, in many blocks in a row. */
static void test_a_few_bytes(void **state)
{
	struct bench *b = *state;

	make_old(b, 200, false);
	for (size_t i = 0; i < 200; i++)
		put(b, b->old[i].len + (i % 7 == 3 ? 100 : 0) - (i % 11 == 5 ? 300 : 0), (long)i);
	assert_int_equal(missed(b), 0);
}

/* Where much came or went, the first block after it may be missed, and only that. */
static void test_much_came_or_went(void **state)
{
	struct bench *b = *state;

	make_old(b, 2000, false);
	put_fresh(b, 3);
	keep(b, 0, 500);
	put_fresh(b, 700);
	keep(b, 500, 1000);
	assert_true(missed(b) <= 2);
	keep(b, 300, 1000);
	keep(b, 1600, 2000);
	assert_true(missed(b) <= 2);
}

static void test_moved(void **state)
{
	struct bench *b = *state;

	make_old(b, 1000, false);
	keep(b, 700, 1000);
	keep(b, 0, 300);
	keep(b, 500, 700);
	keep(b, 300, 500);
	assert_true(missed(b) <= 4);
}

/* After such a place, changed blocks too are compared with the right ones. */
static void test_changed_after_it_moved(void **state)
{
	struct bench *b = *state;

	make_old(b, 300, false);
	keep(b, 200, 210);
	put(b, b->old[210].len / 2, 210);
	put(b, b->old[210].len - b->old[210].len / 2 + 10, 210);
	put(b, b->old[211].len + 20, 211);
	keep(b, 212, 300);
	assert_true(missed(b) <= 1);
}

/* Longer than what is known at once; what is far away is found up to a distance. */
static void test_longer_than_the_window(void **state)
{
	struct bench *b = *state;

	make_old(b, 9 * AROUND, false);
	keep(b, 0, 9 * AROUND);
	assert_int_equal(missed(b), 0);
	keep(b, 0, 6 * AROUND);
	/* Back, then far ahead. */
	keep(b, 5 * AROUND + 100, 5 * AROUND + 200);
	keep(b, 6 * AROUND, 9 * AROUND);
	assert_true(missed(b) <= 2);
	keep(b, 0, 10);
	keep(b, 2 * AROUND, 2 * AROUND + 10);
	assert_int_equal(missed(b), 10);
}

/* An old stream that cannot be read is as good as none. */
static void test_damaged(void **state)
{
	struct bench *b = *state;
	char key[STORE_KEY_MAX];

	make_old(b, 3000, false);
	test_nth(b->store, "packs/", 0, key);
	OK(store_remove(b->store, key, e));
	keep(b, 0, 3000);
	assert_int_equal(missed(b), 3000);
}

static void test_shorter_and_longer(void **state)
{
	struct bench *b = *state;

	make_old(b, 50, false);
	keep(b, 0, 20);
	assert_int_equal(missed(b), 0);
	keep(b, 0, 50);
	put_fresh(b, 100);
	assert_int_equal(missed(b), 0);
}

static void test_empty(void **state)
{
	struct bench *b = *state;
	struct block_ref before;
	AUTO(fetch) f = fetch_new(b->r);
	AUTO(alignment) a = NULL;

	make_old(b, 0, false);
	a = alignment_new(&b->tree, f);
	alignment_next(a, 100, &before);
	assert_true(block_id_is_zero(&before.id));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_in_step),
		TEST(test_holes),
		TEST(test_changed_in_place),
		TEST(test_a_few_bytes),
		TEST(test_much_came_or_went),
		TEST(test_moved),
		TEST(test_changed_after_it_moved),
		TEST(test_longer_than_the_window),
		TEST(test_damaged),
		TEST(test_shorter_and_longer),
		TEST(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
