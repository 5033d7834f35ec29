/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences: making and walking them, against a plain list of blocks.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "repo/idset.h"
#include "writer.h"

struct blocks {
	struct block_id *ids;
	uint64_t *lengths;
	size_t n;
	uint64_t size;
};

static void make_blocks(struct blocks *b, struct random *rnd, size_t n)
{
	*b = (struct blocks){.n = n};
	b->ids = xcalloc(n, sizeof(*b->ids));
	b->lengths = xcalloc(n, sizeof(*b->lengths));
	for (size_t i = 0; i < n; i++) {
		if (random_below(rnd, 10))
			random_fill(rnd, b->ids[i].b, HASH_BYTES, true);
		b->lengths[i] = 1 + random_below(rnd, 500000);
		b->size += b->lengths[i];
	}
}

static void blocks_done(struct blocks *b)
{
	free(b->ids);
	free(b->lengths);
}

/* Make the sequence in a session of its own. */
static struct tree store_blocks(struct repo *r, const struct blocks *b)
{
	AUTO(point) p = point_new();
	struct tree_seq *ts;
	struct writer w;
	struct tree t;

	OK(writer_begin(&w, r, NULL, e));
	ts = tree_seq_new(w.codec, session_put_node, w.s);
	for (size_t i = 0; i < b->n; i++)
		OK(add_id(ts, &b->ids[i], b->lengths[i], e));
	OK(tree_seq_finish(ts, &t, e));
	tree_seq_free(ts);
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	return t;
}

/* The walk must give the blocks from number `i` on, which starts at `offset`. */
static void check_walk(struct tree_walk *w, const struct blocks *b, size_t i, uint64_t offset)
{
	struct tree_piece piece;
	struct block_ref want;
	int rc;

	for (;;) {
		struct err why = {0};

		while (i < b->n && block_id_is_zero(&b->ids[i]))
			offset += b->lengths[i++];
		rc = tree_walk_next(w, &piece, &why);
		if (rc < 0)
			fail_msg("%s", why.msg);
		if (rc == 0)
			break;
		assert_true(i < b->n);
		assert_int_equal(piece.offset, offset);
		assert_int_equal(piece.len, b->lengths[i]);
		want = ref_of(&b->ids[i]);
		assert_true(block_id_equal(&piece.id, &want.id));
		assert_true(block_print_equal(&piece.print, &want.print));
		offset += b->lengths[i++];
	}
	assert_int_equal(i, b->n);
}

static void test_random_sequences(void **state)
{
	static const size_t counts[] = {0,  1,	2,   31,   32,	 33,   64,
					65, 90, 500, 1023, 1024, 5000, 40000};
	struct random rnd = {random_seed()};
	struct store *s;
	struct repo *r = test_repo(&s);

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
		AUTO(fetch) f = fetch_new(r);
		AUTO(tree_walk) w = NULL;
		struct blocks b;
		struct tree t, back;
		uint8_t desc[TREE_DESC];

		make_blocks(&b, &rnd, counts[c]);
		t = store_blocks(r, &b);
		assert_int_equal(t.size, b.size);
		assert_int_equal(t.type, TREE_SEQUENCE);
		tree_encode(&t, desc);
		OK(tree_decode(desc, sizeof(desc), &back, e));
		w = tree_walk_new(&back, f);
		check_walk(w, &b, 0, 0);
		for (int i = 0; i < 10 && b.n; i++) {
			uint64_t to = random_below(&rnd, b.size + 10), at = 0;
			size_t k = 0;

			while (k < b.n && at + b.lengths[k] <= to)
				at += b.lengths[k++];
			OK(tree_walk_seek(w, to, e));
			check_walk(w, &b, k, at);
		}
		blocks_done(&b);
	}
	repo_free(r);
	store_free(s);
}

/* The same entries, whatever is before them, become the same nodes. */
struct collected {
	struct idset nodes;
	size_t known;
};

static int collect(void *arg, const struct block_id *id, const uint8_t *bytes, size_t n,
		   struct err *e)
{
	struct collected *c = arg;

	(void)bytes;
	(void)n;
	(void)e;
	c->known += !idset_add(&c->nodes, id);
	return 0;
}

static void test_common_parts_share_nodes(void **state)
{
	struct random rnd = {random_seed()};
	struct collected c = {0};
	struct store *s;
	struct repo *r = test_repo(&s);
	struct blocks b;
	size_t all;

	(void)state;
	make_blocks(&b, &rnd, 20000);
	{
		AUTO(codec) codec = codec_new(repo_keys(r), 1);
		AUTO(tree_seq) one = tree_seq_new(codec, collect, &c);
		AUTO(tree_seq) two = tree_seq_new(codec, collect, &c);
		struct tree t;

		for (size_t i = 0; i < b.n; i++)
			OK(add_id(one, &b.ids[i], b.lengths[i], e));
		OK(tree_seq_finish(one, &t, e));
		all = c.nodes.n;
		/* Fifty blocks more at the front. */
		for (size_t i = 0; i < 50; i++)
			OK(add_id(two, &b.ids[b.n - 1 - i], 7, e));
		for (size_t i = 0; i < b.n; i++)
			OK(add_id(two, &b.ids[i], b.lengths[i], e));
		OK(tree_seq_finish(two, &t, e));
	}
	assert_true(all > 60);
	/* Only nodes at the front and above them are new. */
	assert_true(c.nodes.n - all < 10);
	assert_true(c.known > all - 10);
	idset_done(&c.nodes);
	blocks_done(&b);
	repo_free(r);
	store_free(s);
}

static int count_and_refuse(void *arg, const struct block_id *id, const uint8_t *bytes, size_t n,
			    struct err *e)
{
	int *left = arg;

	(void)id;
	(void)bytes;
	(void)n;
	return (*left)-- > 0 ? 0 : err_set(e, ERR_NOSPACE, "no more nodes");
}

static void test_limits(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	struct block_id id = {{1}};
	int left = 0;

	(void)state;
	{
		AUTO(codec) codec = codec_new(repo_keys(r), 1);
		AUTO(tree_seq) ts = tree_seq_new(codec, count_and_refuse, &left);
		AUTO(tree_seq) full = tree_seq_new(codec, count_and_refuse, &left);
		struct tree t;

		OK(add_id(ts, &id, TREE_SIZE_MAX - 5, e));
		FAILS(ERR_LIMIT, add_id(ts, &id, 6, e));
		OK(add_id(ts, &id, 5, e));
		FAILS(ERR_NOSPACE, tree_seq_finish(ts, &t, e));
		/* A node is full after so many entries at the latest. */
		for (int i = 0; i < 1023; i++)
			OK(add_id(full, &(struct block_id){{[31] = 1}}, 1, e));
		FAILS(ERR_NOSPACE, add_id(full, &(struct block_id){{[31] = 1}}, 1, e));
		tree_seq_free(NULL);
	}
	repo_free(r);
	store_free(s);
}

/* The same nodes at every level: as many levels as there can be. */
static void test_height(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	struct block_id zero = {0};
	int left = INT32_MAX;

	(void)state;
	{
		AUTO(codec) codec = codec_new(repo_keys(r), 1);
		AUTO(tree_seq) ts = tree_seq_new(codec, count_and_refuse, &left);
		struct tree t;

		/* Zero ids end a node at its least size, 32 entries. */
		for (int i = 0; i < 32 * 40; i++)
			OK(add_id(ts, &zero, 1, e));
		OK(tree_seq_finish(ts, &t, e));
		assert_true(t.levels >= 2 && t.levels <= 3);
		assert_int_equal(t.size, 32 * 40);
	}
	repo_free(r);
	store_free(s);
}

static void test_items(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 200000, 3000000};
	struct random rnd = {random_seed()};
	struct store *s;
	struct repo *r = test_repo(&s);
	AUTO_FREE uint8_t *data = xcalloc(1, 3000000);

	(void)state;
	random_fill(&rnd, data, 100000, true);
	random_fill(&rnd, data + 1000000, 2000000, false);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO(point) p = point_new();
		AUTO_BUF b = BUF_INIT;
		struct writer w;
		struct tree t;

		OK(writer_begin(&w, r, NULL, e));
		OK(session_put_item(w.s, data, sizes[i], &t, e));
		OK(session_commit(w.s, p, e));
		writer_end(&w);
		OK(read_tree(r, &t, &b, e));
		assert_int_equal(b.len, sizes[i]);
		assert_true(sizes[i] == 0 || memcmp(b.data, data, sizes[i]) == 0);
	}
	repo_free(r);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_sequences),
		cmocka_unit_test(test_common_parts_share_nodes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_height),
		cmocka_unit_test(test_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
