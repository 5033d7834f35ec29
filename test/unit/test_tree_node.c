/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and nodes: their bytes (format section 9), and trees made wrong on purpose.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "writer.h"

/* ---- descriptors ---- */

struct desc {
	uint8_t type, block_log, fanout_log, levels;
	uint64_t size;
	bool root;
	enum err_kind want;
};

static const struct desc descs[] = {
	{1, 16, 8, 1, 0, false, ERR_NONE},
	{1, 16, 8, 1, 1, false, ERR_NONE},
	{1, 16, 8, 1, 1 << 24, true, ERR_NONE},
	{1, 16, 8, 2, (1 << 24) + 1, true, ERR_NONE},
	{1, 16, 8, 1, (1 << 24) + 1, true, ERR_CORRUPT},
	{1, 16, 8, 2, 1 << 24, true, ERR_CORRUPT},
	{1, 16, 8, 0, 0, false, ERR_CORRUPT},
	{1, 12, 4, 1, 65536, true, ERR_NONE},
	{1, 12, 4, 2, 65537, true, ERR_NONE},
	{1, 20, 12, 4, (uint64_t)1 << 62, true, ERR_NONE},
	{1, 16, 8, 6, (uint64_t)1 << 62, true, ERR_NONE},
	{1, 16, 8, 6, ((uint64_t)1 << 62) + 1, true, ERR_CORRUPT},
	{1, 16, 8, 6, UINT64_MAX, true, ERR_CORRUPT},
	{1, 11, 8, 1, 1, true, ERR_CORRUPT},
	{1, 21, 8, 1, 1, true, ERR_CORRUPT},
	{1, 16, 3, 1, 1, true, ERR_CORRUPT},
	{1, 16, 13, 1, 1, true, ERR_CORRUPT},
	{1, 0, 0, 1, 1, true, ERR_CORRUPT},
	{1, 255, 255, 255, 1, true, ERR_CORRUPT},
	{2, 0, 0, 0, 0, false, ERR_NONE},
	{2, 0, 0, 0, 5, false, ERR_NONE},
	{2, 0, 0, 0, 5, true, ERR_CORRUPT},
	{2, 0, 0, 8, 5, true, ERR_NONE},
	{2, 0, 0, 9, 5, true, ERR_CORRUPT},
	{2, 0, 0, 1, UINT64_MAX, true, ERR_CORRUPT},
	{0, 16, 8, 1, 1, true, ERR_VERSION},
	{3, 16, 8, 1, 1, true, ERR_VERSION},
};

static void test_descriptors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(descs); i++) {
		const struct desc *d = &descs[i];
		uint8_t raw[TREE_DESC] = {d->type, d->block_log, d->fanout_log, d->levels};
		uint8_t again[TREE_DESC];
		struct err why = {0};
		struct tree t;

		put_le64(raw + 8, d->size);
		raw[20] = d->root;
		if (tree_decode(raw, sizeof(raw), &t, &why) == 0) {
			tree_encode(&t, again);
			assert_memory_equal(raw, again, TREE_DESC);
		}
		if (why.kind != d->want)
			fail_msg("row %zu: %s: %s", i, err_info(why.kind)->name, why.msg);
		FAILS(ERR_CORRUPT, tree_decode(raw, sizeof(raw) - 1, &t, e));
		FAILS(ERR_CORRUPT, tree_decode(raw, 0, &t, e));
	}
}

/* ---- nodes ---- */

static void test_node_bytes(void **state)
{
	static const uint8_t want[] = {0x4e, 2, 3, 0, 2, 0, 0, 0, 9};
	struct block_id ids[2] = {{{9}}, {{0}}};
	uint64_t lengths[2] = {0x0102030405060708, 7};
	struct block_print prints[2] = {{{5}}, {{0}}};
	struct node sequence = {TREE_SEQUENCE, 3, 2, ids, lengths, NULL};
	struct node leaf = {TREE_MAP, 0, 2, ids, NULL, prints};
	struct node upper = {TREE_MAP, 1, 2, ids, NULL, NULL};
	AUTO_FREE uint8_t *out = xmalloc(NODE_MAX);
	struct node node;
	size_t n;

	(void)state;
	n = node_encode(&sequence, out);
	assert_int_equal(n, NODE_HEAD + 2 * 40);
	assert_memory_equal(out, want, sizeof(want));
	assert_int_equal(out[NODE_HEAD + 32], 8);
	assert_int_equal(out[NODE_HEAD + 39], 1);
	OK(node_decode(out, n, &node, e));
	assert_int_equal(node.level, 3);
	assert_true(node.lengths[0] == lengths[0] && node.lengths[1] == 7);
	node_done(&node);
	n = node_encode(&leaf, out);
	assert_int_equal(n, NODE_HEAD + 2 * 48);
	assert_int_equal(out[NODE_HEAD + 32], 5);
	OK(node_decode(out, n, &node, e));
	assert_null(node.lengths);
	assert_memory_equal(node.prints, prints, sizeof(prints));
	assert_true(block_id_equal(&node.ids[0], &ids[0]));
	node_done(&node);
	n = node_encode(&upper, out);
	assert_int_equal(n, NODE_HEAD + 2 * 32);
	OK(node_decode(out, n, &node, e));
	assert_true(!node.lengths && !node.prints);
	assert_true(block_id_equal(&node.ids[0], &ids[0]));
	node_done(&node);
}

static void test_malformed_nodes(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {{0, 0x4f}, {1, 0}, {1, 3}, {1, 2}, {2, 1},
		    {4, 0},    {4, 1}, {4, 4}, {5, 1}, {5, 255}};
	struct block_id ids[3] = {{{9}}, {{8}}, {{7}}};
	AUTO_FREE uint8_t *raw = xmalloc(NODE_MAX);
	struct block_print prints[3] = {{{1}}, {{2}}, {{3}}};
	size_t n = node_encode(&(struct node){TREE_MAP, 0, 3, ids, NULL, prints}, raw);
	struct node node;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t was = raw[rows[i].at];

		raw[rows[i].at] = rows[i].value;
		FAILS(ERR_CORRUPT, node_decode(raw, n, &node, e));
		raw[rows[i].at] = was;
	}
	for (size_t len = 0; len < n; len++) {
		AUTO_FREE uint8_t *exact = xmalloc(len);

		memcpy(exact, raw, len);
		FAILS(ERR_CORRUPT, node_decode(exact, len, &node, e));
	}
	raw[n] = 0;
	FAILS(ERR_CORRUPT, node_decode(raw, n + 1, &node, e));
	/* 4097 entries, all there. */
	{
		AUTO_FREE uint8_t *big = xcalloc(1, NODE_HEAD + 4097 * 48);

		memcpy(big, raw, NODE_HEAD);
		put_le16(big + 4, 4097);
		FAILS(ERR_CORRUPT, node_decode(big, NODE_HEAD + 4097 * 48, &node, e));
		put_le16(big + 4, 4096);
		OK(node_decode(big, NODE_HEAD + 4096 * 48, &node, e));
		node_done(&node);
	}
}

/* ---- hostile trees ---- */

struct forge {
	struct store *s;
	struct repo *r;
	struct writer w;
};

static void forge_up(struct forge *f)
{
	f->r = test_repo(&f->s);
	OK(writer_begin(&f->w, f->r, NULL, e));
}

/* Store these bytes as a node. */
static struct block_id forge_bytes(struct forge *f, const uint8_t *bytes, size_t n)
{
	struct block_id id;

	codec_id(f->w.codec, BLOCK_NODE, bytes, n, &id);
	OK(session_put_node(f->w.s, &id, bytes, n, e));
	return id;
}

static struct block_id forge_node(struct forge *f, enum tree_type type, unsigned level,
				  struct block_id *ids, uint64_t *lengths, size_t n)
{
	AUTO_FREE uint8_t *out = xmalloc(NODE_MAX);
	AUTO_FREE struct block_print *prints = xcalloc(n, sizeof(*prints));

	return forge_bytes(f, out,
			   node_encode(&(struct node){type, level, n, ids, lengths, prints}, out));
}

/* Make what was forged readable. */
static void forge_done(struct forge *f)
{
	AUTO(point) p = point_new();

	OK(session_commit(f->w.s, p, e));
	writer_end(&f->w);
}

static void forge_down(struct forge *f)
{
	repo_free(f->r);
	store_free(f->s);
}

/* Walk it all: must end, with what is wanted. */
static void walk_all(struct forge *f, const struct tree *t, enum err_kind want)
{
	AUTO(fetch) fetch = fetch_new(f->r);
	AUTO(tree_walk) w = tree_walk_new(t, fetch);
	struct tree_piece piece;
	struct err why = {0};
	uint64_t last = 0;
	int rc, n = 0;

	while ((rc = tree_walk_next(w, &piece, &why)) > 0) {
		assert_true(piece.offset >= last);
		assert_true(piece.offset < t->size);
		last = piece.offset + 1;
		assert_true(n++ < 100000);
	}
	if (why.kind != want)
		fail_msg("%s instead of %s: %s", err_info(why.kind)->name, err_info(want)->name,
			 why.msg);
}

enum { LEAF, SEQ_LEAF, UPPER, WIDE, GARBAGE, DATA, ABSENT, FORGERIES };

static void test_wrong_node_below(void **state)
{
	struct block_id below[FORGERIES] = {0}, ids[257], root;
	uint64_t length = 5;
	struct forge f;

	(void)state;
	memset(ids, 3, sizeof(ids));
	forge_up(&f);
	below[LEAF] = forge_node(&f, TREE_MAP, 0, ids, NULL, 2);
	below[SEQ_LEAF] = forge_node(&f, TREE_SEQUENCE, 0, ids, &length, 1);
	below[UPPER] = forge_node(&f, TREE_MAP, 1, ids, NULL, 2);
	below[WIDE] = forge_node(&f, TREE_MAP, 0, ids, NULL, 257);
	below[GARBAGE] = forge_bytes(&f, (const uint8_t *)"not a node", 10);
	assert_int_equal(writer_put(&f.w, "content", 7, &below[DATA], NULL), 1);
	memset(&below[ABSENT], 1, sizeof(root));
	for (int i = 0; i < FORGERIES; i++)
		ids[i] = forge_node(&f, TREE_MAP, 1, &below[i], NULL, 1);
	forge_done(&f);
	for (int i = 0; i < FORGERIES; i++) {
		struct tree t = {TREE_MAP, 16, 8, 2, (uint64_t)300 << 16, ids[i]};

		walk_all(&f, &t, i == LEAF ? ERR_NONE : ERR_CORRUPT);
		/* The descriptor itself may point to the wrong thing. */
		t.root = below[i];
		if (i != UPPER)
			walk_all(&f, &t, ERR_CORRUPT);
		t = (struct tree){TREE_SEQUENCE, 0, 0, 1, 5, below[i]};
		walk_all(&f, &t, i == SEQ_LEAF ? ERR_NONE : ERR_CORRUPT);
	}
	forge_down(&f);
}

static void test_blocks_beyond_the_size(void **state)
{
	struct block_id ids[200], leaf, other, root;
	struct forge f;
	struct tree t;

	(void)state;
	memset(ids, 3, sizeof(ids));
	forge_up(&f);
	leaf = forge_node(&f, TREE_MAP, 0, ids, NULL, 200);
	memset(ids, 0, sizeof(ids));
	ids[0] = leaf;
	ids[150] = leaf;
	root = forge_node(&f, TREE_MAP, 1, ids, NULL, 151);
	other = forge_node(&f, TREE_MAP, 1, ids, NULL, 2);
	forge_done(&f);
	t = (struct tree){TREE_MAP, 16, 8, 1, 200 << 16, leaf};
	walk_all(&f, &t, ERR_NONE);
	t.size = (199 << 16) + 1;
	walk_all(&f, &t, ERR_NONE);
	t.size = 199 << 16;
	walk_all(&f, &t, ERR_CORRUPT);
	t = (struct tree){TREE_MAP, 16, 8, 2, (uint64_t)300 << 16, root};
	walk_all(&f, &t, ERR_CORRUPT);
	t.root = other;
	walk_all(&f, &t, ERR_NONE);
	forge_down(&f);
}

/* Offsets that do not fit in 64 bits must not come round to the start. */
static void test_offsets_that_wrap(void **state)
{
	AUTO_FREE struct block_id *ids = xcalloc(4096, sizeof(*ids));
	struct block_id level[4];
	struct forge f;
	struct tree t;

	(void)state;
	forge_up(&f);
	memset(&ids[0], 3, sizeof(ids[0]));
	level[0] = forge_node(&f, TREE_MAP, 0, ids, NULL, 1);
	for (unsigned l = 1; l < 4; l++) {
		memset(ids, 0, 4096 * sizeof(*ids));
		ids[0] = level[l - 1];
		/* At the top: 256 entries of 2^56 bytes are 2^64. */
		if (l == 3)
			ids[256] = level[l - 1];
		level[l] = forge_node(&f, TREE_MAP, l, ids, NULL, l == 3 ? 257 : 1);
	}
	forge_done(&f);
	t = (struct tree){TREE_MAP, 20, 12, 4, (uint64_t)1 << 62, level[3]};
	walk_all(&f, &t, ERR_CORRUPT);
	forge_down(&f);
}

static void test_lengths_that_do_not_add_up(void **state)
{
	static struct {
		uint64_t lengths[3], size;
		enum err_kind want;
	} rows[] = {
		{{10, 20, 30}, 60, ERR_NONE},
		{{10, 20, 30}, 61, ERR_CORRUPT},
		{{10, 20, 30}, 59, ERR_CORRUPT},
		{{10, 20, 30}, 30, ERR_CORRUPT},
		{{10, 0, 30}, 40, ERR_CORRUPT},
		{{0, 10, 30}, 40, ERR_CORRUPT},
		{{UINT64_MAX, 2, 30}, 31, ERR_CORRUPT},
		{{20, UINT64_MAX - 10, 30}, 39, ERR_CORRUPT},
	};
	struct block_id ids[3], roots[ARRAY_LEN(rows)], upper[ARRAY_LEN(rows)];
	struct forge f;

	(void)state;
	memset(ids, 3, sizeof(ids));
	forge_up(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t lengths[2] = {rows[i].size, 9};

		roots[i] = forge_node(&f, TREE_SEQUENCE, 0, ids, rows[i].lengths, 3);
		upper[i] = forge_node(&f, TREE_SEQUENCE, 1, (struct block_id[]){roots[i], {{0}}},
				      lengths, 2);
	}
	forge_done(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tree t = {TREE_SEQUENCE, 0, 0, 1, rows[i].size, roots[i]};

		walk_all(&f, &t, rows[i].want);
		t = (struct tree){TREE_SEQUENCE, 0, 0, 2, rows[i].size + 9, upper[i]};
		walk_all(&f, &t, rows[i].want);
	}
	forge_down(&f);
}

/* Editing and comparing meet the same nodes. */
static void test_damaged_base(void **state)
{
	struct tree bad = {TREE_MAP, 16, 8, 2, (uint64_t)300 << 16, {{1, 2, 3}}}, t;
	struct store *s;
	struct repo *r = test_repo(&s);
	struct writer w;

	(void)state;
	OK(writer_begin(&w, r, NULL, e));
	{
		AUTO(tree_edit)
		te = OK_PTR(
			tree_edit_new(&bad, bad.size, w.fetch, w.codec, session_put_node, w.s, e));
		AUTO(tree_edit)
		cut = OK_PTR(tree_edit_new(&bad, (uint64_t)290 << 16, w.fetch, w.codec,
					   session_put_node, w.s, e));
		struct err why = {0};

		FAILS(ERR_CORRUPT, set_id(te, 1, &(struct block_id){{1}}, e));
		FAILS(ERR_CORRUPT, tree_edit_finish(cut, &t, e));
		FAILS_PTR(ERR_CORRUPT,
			  tree_edit_new(&bad, BLOCK, w.fetch, w.codec, session_put_node, w.s, e));
		assert_int_equal(tree_diff(&bad, NULL, w.fetch, NULL, NULL, &why), -1);
		assert_int_equal(why.kind, ERR_CORRUPT);
	}
	writer_end(&w);
	repo_free(r);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_node_bytes),
		cmocka_unit_test(test_malformed_nodes),
		cmocka_unit_test(test_wrong_node_below),
		cmocka_unit_test(test_blocks_beyond_the_size),
		cmocka_unit_test(test_offsets_that_wrap),
		cmocka_unit_test(test_lengths_that_do_not_add_up),
		cmocka_unit_test(test_damaged_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
