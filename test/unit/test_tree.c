/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps: editing, walking and comparing them, against plain arrays of ids. Nodes are really stored
 * and fetched; the blocks that the ids name need not exist. Bytes of nodes and hostile trees are in
 * test_tree_node.c, sequences in test_tree_seq.c.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "repo/store_hook.h"
#include "writer.h"

#define FANOUT ((uint64_t)256)

/* What a map should hold. */
struct model {
	uint64_t size, blocks;
	struct block_id *ids;
};

struct bench {
	struct store *mem, *s;
	struct repo *r;
	uint64_t node_reads; /* of packs: how often a node was fetched */
	struct random rnd;
	struct model m;
	struct tree t;
};

static int count_reads(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct bench *b = arg;

	(void)e;
	if (!after && call == HOOK_GET && strncmp(key, "packs/", 6) == 0)
		b->node_reads++;
	return 0;
}

static void bench_up(struct bench *b, uint64_t salt)
{
	AUTO(credential) c = test_credential(1);

	*b = (struct bench){.rnd = {(random_seed() ^ salt * 0x9e3779b97f4a7c15U) | 1}};
	b->mem = store_mem_new();
	OK(repo_create(b->mem, c, "", NULL, e));
	b->s = store_hook_new(b->mem, count_reads, b, false);
	b->r = test_reopen(b->s);
}

static void bench_down(struct bench *b)
{
	free(b->m.ids);
	repo_free(b->r);
	store_free(b->s);
	store_free(b->mem);
}

static void resize_model(struct model *m, uint64_t size)
{
	uint64_t blocks = DIV_UP(size, BLOCK);

	m->ids = xrealloc(m->ids, (blocks + 1) * sizeof(*m->ids));
	if (blocks > m->blocks)
		memset(m->ids + m->blocks, 0, (blocks - m->blocks) * sizeof(*m->ids));
	m->blocks = blocks;
	m->size = size;
}

/* Ids of which some are holes, as of disks; the number makes them unique. */
static struct block_id some_id(struct random *rnd)
{
	struct block_id id = {0};

	if (random_below(rnd, 4))
		random_fill(rnd, id.b, HASH_BYTES, true);
	return id;
}

static int edit_some(struct bench *b, struct tree_edit *te, struct err *e)
{
	uint64_t at = 0, step = b->m.blocks / (1 + random_below(&b->rnd, 40)) + 1;

	for (;;) {
		uint64_t n = 1 + random_below(&b->rnd, random_below(&b->rnd, 3) ? 4 : step);

		at += random_below(&b->rnd, step);
		if (at >= b->m.blocks)
			return 0;
		n = MIN(n, b->m.blocks - at);
		if (random_below(&b->rnd, 3) == 0) {
			if (tree_edit_clear(te, at, at + n, e) < 0)
				return -1;
			memset(b->m.ids + at, 0, n * sizeof(*b->m.ids));
			at += n;
			continue;
		}
		for (n = MIN(n, (uint64_t)300); n; n--, at++) {
			b->m.ids[at] = some_id(&b->rnd);
			if (set_id(te, at, &b->m.ids[at], e) < 0)
				return -1;
		}
	}
}

/* A session that makes b->t from `base` by `work` and commits. */
static void edit(struct bench *b, const struct tree *base, uint64_t size,
		 int (*work)(struct bench *b, struct tree_edit *te, struct err *e))
{
	AUTO(point) p = point_new();
	struct tree_edit *te;
	struct tree t;
	struct writer w;

	OK(writer_begin(&w, b->r, NULL, e));
	te = OK_PTR(tree_edit_new(base, size, w.fetch, w.codec, session_put_node, w.s, e));
	if (work)
		OK(work(b, te, e));
	OK(tree_edit_finish(te, &t, e));
	tree_edit_free(te);
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	b->t = t;
}

static int set_all(struct bench *b, struct tree_edit *te, struct err *e)
{
	for (uint64_t i = 0; i < b->m.blocks; i++) {
		if (!block_id_is_zero(&b->m.ids[i]) && set_id(te, i, &b->m.ids[i], e) < 0)
			return -1;
	}
	return 0;
}

/* The walk must give the model's blocks from `from` on, each once, in order, without holes. */
static void check_walk(struct bench *b, struct tree_walk *w, uint64_t from)
{
	struct tree_piece piece;
	struct block_ref want;
	uint64_t i = from;
	int rc;

	for (;;) {
		struct err why = {0};

		while (i < b->m.blocks && block_id_is_zero(&b->m.ids[i]))
			i++;
		rc = tree_walk_next(w, &piece, &why);
		if (rc < 0)
			fail_msg("%s", why.msg);
		if (rc == 0)
			break;
		assert_true(i < b->m.blocks);
		assert_int_equal(piece.offset, i * BLOCK);
		assert_int_equal(piece.len, BLOCK);
		want = ref_of(&b->m.ids[i]);
		assert_true(block_id_equal(&piece.id, &want.id));
		assert_true(block_print_equal(&piece.print, &want.print));
		i++;
	}
	assert_int_equal(i, b->m.blocks);
}

static unsigned want_levels(uint64_t blocks)
{
	return blocks <= FANOUT ? 1 : blocks <= FANOUT * FANOUT ? 2 : 3;
}

/* The tree must hold what the model holds, and be the one tree that does. */
static void check_tree(struct bench *b)
{
	AUTO(fetch) f = fetch_new(b->r);
	AUTO(tree_walk) w = tree_walk_new(&b->t, f);
	struct tree made = b->t;

	assert_int_equal(b->t.size, b->m.size);
	assert_int_equal(tree_blocks(&b->t), b->m.blocks);
	assert_int_equal(b->t.levels, want_levels(b->m.blocks));
	check_walk(b, w, 0);
	for (int i = 0; i < 5; i++) {
		uint64_t offset = random_below(&b->rnd, b->m.size + 3 * BLOCK);

		OK(tree_walk_seek(w, offset, e));
		check_walk(b, w, MIN(offset / BLOCK, b->m.blocks));
	}
	edit(b, NULL, b->m.size, set_all);
	assert_true(block_id_equal(&made.root, &b->t.root));
}

/* ---- comparing ---- */

struct ranges {
	const struct model *a, *b;
	uint64_t at; /* blocks below this are checked */
	bool wrong;
};

static bool differs(const struct ranges *r, uint64_t i)
{
	static const struct block_id zero;
	const struct block_id *a = i < r->a->blocks ? &r->a->ids[i] : &zero;
	const struct block_id *b = i < r->b->blocks ? &r->b->ids[i] : &zero;

	return !block_id_equal(a, b);
}

static int check_range(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct ranges *r = arg;
	uint64_t size = MAX(r->a->size, r->b->size), i = offset / BLOCK, end = offset + len;

	(void)e;
	/* Whole blocks, but for the end of the longer one; not joined with the one before. */
	if (offset % BLOCK || (end % BLOCK && end != size) || len == 0 || end > size ||
	    (r->at && i <= r->at))
		r->wrong = true;
	for (; r->at < i; r->at++)
		r->wrong |= differs(r, r->at);
	for (; r->at < DIV_UP(end, BLOCK); r->at++)
		r->wrong |= !differs(r, r->at);
	return 0;
}

static void check_diff(struct bench *b, const struct tree *old, const struct model *was)
{
	AUTO(fetch) f = fetch_new(b->r);

	for (int way = 0; way < 2; way++) {
		struct ranges r = {was, &b->m, 0, false};
		uint64_t blocks = MAX(was->blocks, b->m.blocks);

		OK(way ? tree_diff(old, &b->t, f, check_range, &r, e)
		       : tree_diff(&b->t, old, f, check_range, &r, e));
		for (; r.at < blocks; r.at++)
			r.wrong |= differs(&r, r.at);
		assert_false(r.wrong);
	}
}

static int stop_here(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	(void)arg;
	(void)offset;
	(void)len;
	return err_set(e, ERR_CANCELLED, "enough");
}

static void test_diff_ends(void **state)
{
	struct bench b;
	struct model none = {0};
	struct ranges r = {&none, &none, 0, false};
	struct tree other;

	(void)state;
	bench_up(&b, 1);
	resize_model(&b.m, 100 * BLOCK);
	edit(&b, NULL, b.m.size, edit_some);
	{
		AUTO(fetch) f = fetch_new(b.r);

		OK(tree_diff(NULL, NULL, f, check_range, &r, e));
		OK(tree_diff(&b.t, &b.t, f, check_range, &r, e));
		assert_int_equal(r.at, 0);
		r.b = &b.m;
		OK(tree_diff(NULL, &b.t, f, check_range, &r, e));
		assert_false(r.wrong);
		FAILS(ERR_CANCELLED, tree_diff(NULL, &b.t, f, stop_here, NULL, e));
		FAILS(ERR_CANCELLED, tree_diff(&b.t, NULL, f, stop_here, NULL, e));
		other = b.t;
		other.block_log = 15;
		FAILS(ERR_UNSUPPORTED, tree_diff(&b.t, &other, f, check_range, &r, e));
		other = b.t;
		other.fanout_log = 9;
		FAILS(ERR_UNSUPPORTED, tree_diff(&b.t, &other, f, check_range, &r, e));
		other = (struct tree){.type = TREE_SEQUENCE};
		FAILS(ERR_UNSUPPORTED, tree_diff(&b.t, &other, f, check_range, &r, e));
		FAILS(ERR_UNSUPPORTED, tree_diff(&other, NULL, f, check_range, &r, e));
	}
	bench_down(&b);
}

/* ---- random histories ---- */

/* Sizes on both sides of every height, and odd ones. */
static uint64_t some_size(struct random *rnd)
{
	static const uint64_t blocks[] = {0,   1,     2,     17,    255,   256,	   257,	 1000,
					  511, 65535, 65536, 65537, 70000, 131072, 4000, 512};
	uint64_t n = blocks[random_below(rnd, ARRAY_LEN(blocks))];

	if (n == 0 || random_below(rnd, 2))
		return n * BLOCK;
	return n * BLOCK - random_below(rnd, BLOCK);
}

static void copy_model(struct model *to, const struct model *from)
{
	free(to->ids);
	*to = *from;
	to->ids = xmalloc((from->blocks + 1) * sizeof(*to->ids));
	memcpy(to->ids, from->ids, from->blocks * sizeof(*to->ids));
}

static void test_random_edits(void **state)
{
	(void)state;
	for (uint64_t history = 0; history < 15; history++) {
		struct model was = {0};
		struct bench b;
		struct tree old;

		bench_up(&b, history);
		printf("# history %d, seed %#llx\n", (int)history, (unsigned long long)b.rnd.state);
		resize_model(&b.m, some_size(&b.rnd));
		edit(&b, NULL, b.m.size, edit_some);
		for (int i = 0; i < 8; i++) {
			copy_model(&was, &b.m);
			old = b.t;
			check_tree(&b);
			b.t = old;
			if (random_below(&b.rnd, 2))
				resize_model(&b.m, some_size(&b.rnd));
			edit(&b, &old, b.m.size, random_below(&b.rnd, 4) ? edit_some : NULL);
			check_diff(&b, &old, &was);
		}
		check_tree(&b);
		free(was.ids);
		bench_down(&b);
	}
}

/* ---- what must not be read ---- */

static uint64_t set_at;

static int set_one(struct bench *b, struct tree_edit *te, struct err *e)
{
	b->m.ids[set_at] = some_id(&b->rnd);
	b->m.ids[set_at].b[0] |= 1;
	return set_id(te, set_at, &b->m.ids[set_at], e);
}

/* Three reads for each node: the pack's head, the record … at most. */
#define READS_PER_NODE 2

static void test_work_follows_change(void **state)
{
	struct tree old;
	struct bench b;

	(void)state;
	bench_up(&b, 3);
	resize_model(&b.m, 70000 * BLOCK);
	for (uint64_t i = 0; i < b.m.blocks; i++)
		random_fill(&b.rnd, b.m.ids[i].b, HASH_BYTES, true);
	edit(&b, NULL, b.m.size, set_all);
	old = b.t;
	b.node_reads = 0;
	set_at = 40000;
	edit(&b, &old, b.m.size, set_one);
	assert_true(b.node_reads <= 3 * READS_PER_NODE);
	b.node_reads = 0;
	edit(&b, &old, b.m.size, NULL);
	assert_int_equal(b.node_reads, 0);
	assert_true(block_id_equal(&old.root, &b.t.root));
	set_at = 1;
	b.node_reads = 0;
	edit(&b, &old, b.m.size, set_one);
	{
		AUTO(fetch) f = fetch_new(b.r);

		b.node_reads = 0;
		tree_diff(&old, &b.t, f, stop_here, NULL, NULL);
		assert_true(b.node_reads <= 6 * READS_PER_NODE);
	}
	bench_down(&b);
}

static int clear_most(struct bench *b, struct tree_edit *te, struct err *e)
{
	memset(b->m.ids + 3, 0, (b->m.blocks - 5) * sizeof(*b->m.ids));
	return tree_edit_clear(te, 3, b->m.blocks - 2, e);
}

static void test_clearing_is_cheap(void **state)
{
	struct bench b;
	struct tree old;

	(void)state;
	bench_up(&b, 4);
	resize_model(&b.m, 140000 * BLOCK);
	for (uint64_t i = 0; i < b.m.blocks; i++)
		random_fill(&b.rnd, b.m.ids[i].b, HASH_BYTES, true);
	edit(&b, NULL, b.m.size, set_all);
	old = b.t;
	b.node_reads = 0;
	edit(&b, &old, b.m.size, clear_most);
	assert_true(b.node_reads <= 8 * READS_PER_NODE);
	check_tree(&b);
	bench_down(&b);
}

/* ---- very large and very small ---- */

static int set_far(struct bench *b, struct tree_edit *te, struct err *e)
{
	uint64_t last = ((uint64_t)1 << 46) - 1;
	struct block_id id;

	memset(&id, 5, sizeof(id));
	if (set_id(te, 7, &id, e) < 0)
		return -1;
	memset(&id, 6, sizeof(id));
	(void)b;
	return set_id(te, last, &id, e);
}

static void test_largest(void **state)
{
	struct tree_piece piece;
	struct bench b;

	(void)state;
	bench_up(&b, 5);
	edit(&b, NULL, TREE_SIZE_MAX, set_far);
	assert_int_equal(b.t.levels, 6);
	{
		AUTO(fetch) f = fetch_new(b.r);
		AUTO(tree_walk) w = tree_walk_new(&b.t, f);

		assert_int_equal(tree_walk_next(w, &piece, NULL), 1);
		assert_int_equal(piece.offset, 7 * BLOCK);
		assert_int_equal(tree_walk_next(w, &piece, NULL), 1);
		assert_true(piece.offset == TREE_SIZE_MAX - BLOCK);
		assert_int_equal(tree_walk_next(w, &piece, NULL), 0);
		OK(tree_walk_seek(w, 8 * BLOCK, e));
		assert_int_equal(tree_walk_next(w, &piece, NULL), 1);
		assert_true(piece.offset == TREE_SIZE_MAX - BLOCK);
		OK(tree_walk_seek(w, 0, e));
		assert_int_equal(tree_walk_next(w, &piece, NULL), 1);
		assert_int_equal(piece.offset, 7 * BLOCK);
	}
	/* Down to nothing and up again. */
	edit(&b,
	     &(struct tree){.type = TREE_MAP,
			    .block_log = 16,
			    .fanout_log = 8,
			    .levels = 6,
			    .size = TREE_SIZE_MAX,
			    .root = b.t.root},
	     3 * BLOCK, NULL);
	assert_true(block_id_is_zero(&b.t.root));
	edit(&b,
	     &(struct tree){.type = TREE_MAP,
			    .block_log = 16,
			    .fanout_log = 8,
			    .levels = 1,
			    .size = 3 * BLOCK,
			    .root = b.t.root},
	     TREE_SIZE_MAX, NULL);
	assert_true(block_id_is_zero(&b.t.root));
	bench_down(&b);
}

static int set_out_of_order(struct bench *b, struct tree_edit *te, struct err *unused)
{
	struct block_id id = {{1}};

	(void)b;
	(void)unused;
	OK(set_id(te, 5, &id, e));
	FAILS(ERR_INTERNAL, set_id(te, 5, &id, e));
	FAILS(ERR_INTERNAL, set_id(te, 4, &id, e));
	FAILS(ERR_INTERNAL, set_id(te, 10, &id, e));
	FAILS(ERR_INTERNAL, tree_edit_clear(te, 5, 6, e));
	FAILS(ERR_INTERNAL, tree_edit_clear(te, 7, 11, e));
	OK(tree_edit_clear(te, 6, 6, e));
	OK(tree_edit_clear(te, 6, 8, e));
	FAILS(ERR_INTERNAL, set_id(te, 7, &id, e));
	OK(set_id(te, 9, &id, e));
	return 0;
}

static void test_order(void **state)
{
	struct bench b;

	(void)state;
	bench_up(&b, 6);
	edit(&b, NULL, 10 * BLOCK - 5, set_out_of_order);
	bench_down(&b);
}

static int refuse(void *arg, const struct block_id *id, const uint8_t *bytes, size_t n,
		  struct err *e)
{
	(void)arg;
	(void)id;
	(void)bytes;
	(void)n;
	return err_set(e, ERR_NOSPACE, "full");
}

static void test_base_of_another_shape(void **state)
{
	struct tree base = {.type = TREE_MAP, .block_log = 12, .fanout_log = 8, .levels = 1};
	struct bench b;

	(void)state;
	bench_up(&b, 7);
	{
		AUTO(codec) c = codec_new(repo_keys(b.r), 1);
		AUTO(fetch) f = fetch_new(b.r);
		AUTO(tree_edit) te = NULL;
		struct tree t;

		FAILS_PTR(ERR_UNSUPPORTED, tree_edit_new(&base, BLOCK, f, c, refuse, NULL, e));
		base.block_log = 16;
		base.fanout_log = 7;
		FAILS_PTR(ERR_UNSUPPORTED, tree_edit_new(&base, BLOCK, f, c, refuse, NULL, e));
		base = (struct tree){.type = TREE_SEQUENCE};
		FAILS_PTR(ERR_UNSUPPORTED, tree_edit_new(&base, BLOCK, f, c, refuse, NULL, e));
		/* Whoever takes the nodes may fail. */
		te = OK_PTR(tree_edit_new(NULL, BLOCK, f, c, refuse, NULL, e));
		OK(set_id(te, 0, &(struct block_id){{1}}, e));
		FAILS(ERR_NOSPACE, tree_edit_finish(te, &t, e));
	}
	bench_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_edits),
		cmocka_unit_test(test_diff_ends),
		cmocka_unit_test(test_work_follows_change),
		cmocka_unit_test(test_clearing_is_cheap),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_base_of_another_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
