/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backing up disks: whole ones, changed ones, and what goes wrong on the way.
 */
#include "mover/backup.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fake_source.h"
#include "repo/store_hook.h"
#include "writer.h"

enum { EXTENTS_MAX = 400 };

/* A disk, what its map says, and the tree it became. */
struct bench {
	struct store *s;
	struct repo *r;
	struct random rnd;
	uint8_t *data;
	uint64_t size;
	struct extent map[EXTENTS_MAX];
	size_t n_map;
	struct tree tree;
	struct point_stats stats;
	struct progress progress;
};

static void bench_up(struct bench *b, uint64_t size)
{
	*b = (struct bench){.rnd = {random_seed()}, .size = size};
	b->r = test_repo(&b->s);
	b->data = xcalloc(1, size + 1);
}

static void bench_down(struct bench *b)
{
	free(b->data);
	repo_free(b->r);
	store_free(b->s);
}

/* One backup in a session of its own. */
static int back_up(struct bench *b, struct fake_source *f, const struct tree *parent,
		   bool incremental, const struct cancel *cancel, struct err *e)
{
	struct backup_disk job = {.source = &f->s,
				  .parent = parent,
				  .incremental = incremental,
				  .progress = &b->progress,
				  .cancel = cancel};
	AUTO(session) s = session_begin(b->r, NULL, e);
	AUTO(point) p = point_new();
	struct tree t;

	memset(&b->progress, 0, sizeof(b->progress));
	if (!s || backup_disk(s, &job, &t, &b->stats, e) < 0 || session_commit(s, p, e) < 0)
		return -1;
	b->tree = t;
	return 0;
}

static void assert_tree(struct bench *b)
{
	AUTO_BUF got = BUF_INIT;

	assert_int_equal(b->tree.size, b->size);
	OK(read_tree(b->r, &b->tree, &got, e));
	assert_int_equal(got.len, b->size);
	if (b->size && memcmp(got.data, b->data, b->size) != 0)
		fail_msg("a disk reads back wrong");
}

/* A map of random extents, of any length, and contents that agree with it. */
static void make_disk(struct bench *b)
{
	uint64_t at = 0;

	for (b->n_map = 0; at < b->size; b->n_map++) {
		uint64_t most = random_below(&b->rnd, 2) ? 3 * BLOCK : 40000;
		uint64_t n = 1 + random_below(&b->rnd, most);
		enum extent_kind kind = random_below(&b->rnd, 2) ? EXTENT_DATA : EXTENT_ZERO;

		if (b->n_map == EXTENTS_MAX - 1 || n > b->size - at)
			n = b->size - at;
		if (kind == EXTENT_DATA)
			random_fill(&b->rnd, b->data + at, n, random_below(&b->rnd, 2));
		b->map[b->n_map] = (struct extent){n, kind};
		at += n;
	}
}

/* Write here and there; the map then tells what changed. Some of it is cleared. */
static void change_disk(struct bench *b)
{
	uint64_t at = 0;

	for (b->n_map = 0; at < b->size; b->n_map++) {
		uint64_t n = 1 + random_below(&b->rnd, 6 * BLOCK);
		uint64_t dice = random_below(&b->rnd, 6);
		enum extent_kind kind = EXTENT_CLEAN;

		if (b->n_map == EXTENTS_MAX - 1 || n > b->size - at)
			n = b->size - at;
		if (dice < 2) {
			kind = EXTENT_DATA;
			random_fill(&b->rnd, b->data + at, n, dice);
		} else if (dice == 2) {
			kind = EXTENT_ZERO;
			memset(b->data + at, 0, n);
		}
		b->map[b->n_map] = (struct extent){n, kind};
		at += n;
	}
}

static void use_map(struct bench *b, struct fake_source *f)
{
	fake_source_init(f, b->data, b->size);
	f->map = b->map;
	f->n_map = b->n_map;
	f->rnd = b->rnd;
}

static const uint64_t sizes[] = {0,	    1,	     511,	 BLOCK - 1,	 BLOCK,
				 BLOCK + 1, 1000000, 16 * BLOCK, 17 * BLOCK - 3, 5000001};

static void test_whole_disks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct fake_source f;
		struct block_id root;
		struct bench b;

		bench_up(&b, sizes[i]);
		make_disk(&b);
		use_map(&b, &f);
		OK(back_up(&b, &f, NULL, false, NULL, e));
		assert_tree(&b);
		assert_int_equal(b.stats.content, b.size);
		assert_true(b.stats.read <= DIV_UP(b.size, BLOCK) * BLOCK);
		assert_true(b.stats.fresh <= b.stats.read);
		root = b.tree.root;
		/* The same however it is told. */
		for (unsigned way = 0; way < 6; way++) {
			use_map(&b, &f);
			f.pieces = way;
			f.late = way % 2;
			f.s.in_flight = 1 + 5 * way;
			if (way == 3 || way == 5)
				f.map = NULL;
			if (way >= 4)
				fake_source_direct(&f);
			OK(back_up(&b, &f, way ? &b.tree : NULL, false, NULL, e));
			assert_true(block_id_equal(&root, &b.tree.root));
			assert_true(f.most <= f.s.in_flight);
			assert_int_equal(b.stats.fresh, 0);
		}
		bench_down(&b);
	}
}

/* Progress reaches the size of the disk and not more. */
static void test_progress(void **state)
{
	static const struct extent maps[][2] = {
		{{5 * BLOCK, EXTENT_DATA}, {100, EXTENT_DATA}},
		{{5 * BLOCK, EXTENT_DATA}, {100, EXTENT_ZERO}},
		{{5 * BLOCK, EXTENT_ZERO}, {100, EXTENT_DATA}},
		{{5 * BLOCK, EXTENT_CLEAN}, {100, EXTENT_CLEAN}},
		{{5 * BLOCK + 50, EXTENT_ZERO}, {50, EXTENT_ZERO}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		struct fake_source f;
		struct bench b;

		bench_up(&b, 5 * BLOCK + 100);
		memset(b.data, 0, b.size);
		fake_source_init(&f, b.data, b.size);
		OK(back_up(&b, &f, NULL, false, NULL, e));
		f.map = maps[i];
		f.n_map = 2;
		OK(back_up(&b, &f, &b.tree, true, NULL, e));
		assert_int_equal(progress_get(&b.progress.passed), b.size);
		bench_down(&b);
	}
}

static void test_increments(void **state)
{
	(void)state;
	for (uint64_t history = 0; history < 4; history++) {
		struct tree parent;
		struct fake_source f;
		struct bench b;

		bench_up(&b, 2000000 + history * 777777);
		b.rnd.state ^= history << 20;
		make_disk(&b);
		use_map(&b, &f);
		OK(back_up(&b, &f, NULL, false, NULL, e));
		for (unsigned i = 0; i < 5; i++) {
			parent = b.tree;
			change_disk(&b);
			use_map(&b, &f);
			f.late = i % 2;
			f.pieces = i;
			OK(back_up(&b, &f, &parent, true, NULL, e));
			assert_tree(&b);
		}
		bench_down(&b);
	}
}

/* Little is read when little changed, and nothing new is stored when it is the same. */
static void test_cost_follows_change(void **state)
{
	struct extent map[] = {
		{100 * BLOCK, EXTENT_CLEAN}, {3 * BLOCK, EXTENT_DATA}, {297 * BLOCK, EXTENT_CLEAN}};
	struct fake_source f;
	struct bench b;

	(void)state;
	bench_up(&b, 400 * BLOCK);
	random_fill(&b.rnd, b.data, b.size, false);
	fake_source_init(&f, b.data, b.size);
	OK(back_up(&b, &f, NULL, false, NULL, e));
	assert_int_equal(b.stats.read, b.size);
	random_fill(&b.rnd, b.data + 100 * BLOCK, 2 * BLOCK, false);
	fake_source_init(&f, b.data, b.size);
	f.map = map;
	f.n_map = 3;
	OK(back_up(&b, &f, &b.tree, true, NULL, e));
	assert_tree(&b);
	assert_true(f.bytes <= (3 + 32) * BLOCK);
	assert_int_equal(b.stats.fresh, 2 * BLOCK);
	bench_down(&b);
}

/* The disk becomes larger or smaller; what is unchanged counts as clean. */
static void test_resized(void **state)
{
	static const uint64_t to[] = {0,
				      1,
				      BLOCK,
				      3 * BLOCK + 7,
				      10 * BLOCK - 1,
				      10 * BLOCK + 9,
				      10 * BLOCK + 11,
				      11 * BLOCK,
				      20 * BLOCK + 5};

	(void)state;
	/* Several times, because an audit picks its blocks at random. */
	for (size_t i = 0; i < 4 * ARRAY_LEN(to); i++) {
		uint64_t size = to[i % ARRAY_LEN(to)], was = 10 * BLOCK + 10;
		struct extent map[2] = {{MIN(size, was), EXTENT_CLEAN},
					{size > was ? size - was : 0, EXTENT_DATA}};
		struct fake_source f;
		struct bench b;

		bench_up(&b, 20 * BLOCK + 5);
		random_fill(&b.rnd, b.data, b.size, false);
		b.size = was;
		fake_source_init(&f, b.data, b.size);
		OK(back_up(&b, &f, NULL, false, NULL, e));
		b.size = size;
		fake_source_init(&f, b.data, b.size);
		f.map = map;
		f.n_map = 2;
		OK(back_up(&b, &f, &b.tree, true, NULL, e));
		assert_tree(&b);
		bench_down(&b);
	}
}

/* Clean is what the parent had; beyond its end there was nothing. */
static void test_clean_beyond_the_parent(void **state)
{
	struct extent map = {8 * BLOCK, EXTENT_CLEAN};
	struct fake_source f;
	struct bench b;

	(void)state;
	bench_up(&b, 8 * BLOCK);
	random_fill(&b.rnd, b.data, b.size, false);
	fake_source_init(&f, b.data, 3 * BLOCK + 5);
	OK(back_up(&b, &f, NULL, false, NULL, e));
	fake_source_init(&f, b.data, b.size);
	f.map = &map;
	f.n_map = 1;
	OK(back_up(&b, &f, &b.tree, true, NULL, e));
	assert_tree(&b);
	bench_down(&b);
}

/* ---- change tracking that lies ---- */

static void test_audit(void **state)
{
	struct extent map = {64 * BLOCK, EXTENT_CLEAN};
	struct backup_disk job = {.incremental = true};
	AUTO(point) p = point_new();
	struct session *s;
	struct fake_source f;
	struct bench b;

	(void)state;
	bench_up(&b, 64 * BLOCK);
	random_fill(&b.rnd, b.data, b.size, false);
	fake_source_init(&f, b.data, b.size);
	OK(back_up(&b, &f, NULL, false, NULL, e));
	/* An honest map passes, every time. */
	f.map = &map;
	f.n_map = 1;
	for (int i = 0; i < 20; i++)
		OK(back_up(&b, &f, &b.tree, true, NULL, e));
	for (uint64_t i = 0; i < 64; i++)
		b.data[i * BLOCK + 5] ^= 1;
	s = OK_PTR(session_begin(b.r, NULL, e));
	job.source = &f.s;
	job.parent = &b.tree;
	job.progress = &b.progress;
	FAILS(ERR_CONFLICT, backup_disk(s, &job, &b.tree, &b.stats, e));
	/* Then all of it is read, in the same session. */
	job.incremental = false;
	f.map = NULL;
	OK(backup_disk(s, &job, &b.tree, &b.stats, e));
	OK(session_commit(s, p, e));
	session_free(s);
	assert_tree(&b);
	bench_down(&b);
}

static void test_parent_of_another_shape(void **state)
{
	struct tree parent = {TREE_MAP, 12, 8, 1, BLOCK, {{0}}};
	struct fake_source f;
	struct bench b;

	(void)state;
	bench_up(&b, BLOCK);
	random_fill(&b.rnd, b.data, b.size, true);
	fake_source_init(&f, b.data, b.size);
	FAILS(ERR_UNSUPPORTED, back_up(&b, &f, &parent, true, NULL, e));
	OK(back_up(&b, &f, &parent, false, NULL, e));
	assert_tree(&b);
	f.s.size = TREE_SIZE_MAX + 1;
	FAILS(ERR_LIMIT, back_up(&b, &f, NULL, false, NULL, e));
	bench_down(&b);
}

/* Damage to an old checkpoint must not keep anybody from making a new, whole one. */
static void test_parent_that_is_damaged(void **state)
{
	struct tree parent = {TREE_MAP, 16, 8, 1, 5 * BLOCK, {{1, 2, 3}}};
	struct fake_source f;
	struct bench b;

	(void)state;
	bench_up(&b, 5 * BLOCK);
	random_fill(&b.rnd, b.data, b.size, true);
	fake_source_init(&f, b.data, b.size);
	OK(back_up(&b, &f, &parent, false, NULL, e));
	assert_tree(&b);
	bench_down(&b);
}

/* An increment on it is told as change tracking that cannot be used: all is read then. */
static void test_increment_on_a_damaged_parent(void **state)
{
	struct tree parent = {TREE_MAP, 16, 8, 1, 5 * BLOCK, {{1, 2, 3}}};
	struct extent map[] = {{2 * BLOCK, EXTENT_CLEAN}, {3 * BLOCK, EXTENT_DATA}};
	struct fake_source f;
	struct bench b;

	(void)state;
	bench_up(&b, 5 * BLOCK);
	random_fill(&b.rnd, b.data, b.size, true);
	fake_source_init(&f, b.data, b.size);
	f.map = map;
	f.n_map = ARRAY_LEN(map);
	FAILS(ERR_CONFLICT, back_up(&b, &f, &parent, true, NULL, e));
	assert_int_equal(test_count(b.s, "points/"), 0);
	bench_down(&b);
}

/* ---- what goes wrong ---- */

static void test_failing_reads(void **state)
{
	static const struct {
		bool late;
		int read_errno;
		unsigned fail_read, fail_wait, fail_map;
		enum err_kind want;
	} rows[] = {
		{false, 0, 1, 0, 0, ERR_IO},	       {false, 0, 40, 0, 0, ERR_IO},
		{false, EIO, 1, 0, 0, ERR_IO},	       {false, EIO, 63, 0, 0, ERR_IO},
		{true, EIO, 7, 0, 0, ERR_IO},	       {true, 0, 20, 0, 0, ERR_IO},
		{true, ENOSPC, 30, 0, 0, ERR_NOSPACE}, {true, 0, 0, 1, 0, ERR_UNREACHABLE},
		{true, 0, 0, 9, 0, ERR_UNREACHABLE},   {false, 0, 0, 0, 1, ERR_IO},
	};
	static const unsigned direct[] = {1, 40, 128};
	struct bench b;

	(void)state;
	bench_up(&b, 64 << 20);
	for (uint64_t i = 0; i < b.size; i += BLOCK)
		put_le64(b.data + i, i + 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fake_source f;

		fake_source_init(&f, b.data, b.size);
		f.late = rows[i].late;
		f.read_errno = rows[i].read_errno;
		f.fail_read = rows[i].fail_read;
		f.fail_wait = rows[i].fail_wait;
		f.fail_map = rows[i].fail_map;
		FAILS(rows[i].want, back_up(&b, &f, NULL, false, NULL, e));
		/* Nothing is in flight when the memory that it goes to is freed. */
		assert_int_equal(f.pending, 0);
		assert_int_equal(f.drops, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(direct); i++) {
		struct fake_source f;

		fake_source_init(&f, b.data, b.size);
		fake_source_direct(&f);
		f.fail_read = direct[i];
		FAILS(ERR_IO, back_up(&b, &f, NULL, false, NULL, e));
	}
	assert_int_equal(test_count(b.s, "points/"), 0);
	bench_down(&b);
}

static void shrink(struct fake_source *f, uint64_t off, size_t len)
{
	/* What source_file does when the file ends too early: the read cannot be begun. */
	if (off + len > f->s.size / 2)
		f->fail_read = f->reads;
}

static void test_source_that_shrinks(void **state)
{
	struct fake_source f;
	struct bench b;

	(void)state;
	bench_up(&b, 8 << 20);
	fake_source_init(&f, b.data, b.size);
	f.fail_read = 5;
	f.before_read = shrink;
	FAILS(ERR_IO, back_up(&b, &f, NULL, false, NULL, e));
	bench_down(&b);
}

struct canceller {
	struct cancel flag;
	unsigned at;
};

static void cancel_now(struct fake_source *f, uint64_t off, size_t len)
{
	struct canceller *c = f->arg;

	(void)off;
	(void)len;
	if (f->reads == c->at)
		cancel_set(&c->flag);
}

static void test_cancelled_at_any_moment(void **state)
{
	struct bench b;

	(void)state;
	bench_up(&b, 24 << 20);
	for (uint64_t i = 0; i < b.size; i += BLOCK)
		put_le64(b.data + i, i + 1);
	for (unsigned at = 0; at <= 24; at++) {
		struct canceller c = {{0}, at};
		struct fake_source f;

		if (at == 0)
			cancel_set(&c.flag);
		fake_source_init(&f, b.data, b.size);
		f.late = at % 2;
		f.arg = &c;
		f.before_read = cancel_now;
		FAILS(ERR_CANCELLED, back_up(&b, &f, NULL, false, &c.flag, e));
	}
	assert_int_equal(test_count(b.s, "points/"), 0);
	assert_int_equal(test_count(b.s, "sessions/"), 0);
	bench_down(&b);
}

static int refuse_packs(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	atomic_int *left = arg; /* packs are written by threads */

	(void)key;
	if (after || call != HOOK_WRITE || (*left)-- > 0)
		return 0;
	return err_set(e, ERR_NOSPACE, "no room (injected)");
}

/* The store fails while everything is in flight: that is what is told, and all end. */
static void test_store_that_fills_up(void **state)
{
	AUTO(credential) c = test_credential(1);

	(void)state;
	for (int left = 0; left < 6; left += 2) {
		atomic_int n = left;
		AUTO(store) inner = store_mem_new();
		AUTO(store) s = store_hook_new(inner, refuse_packs, &n, false);
		struct session_options o = {.pack_bytes = 4 << 20};
		struct fake_source f;
		struct bench b;
		struct session *ses;
		struct repo *r;
		struct backup_disk job = {.source = &f.s};

		OK(repo_create(inner, c, "", NULL, e));
		r = OK_PTR(repo_open(s, c, e));
		bench_up(&b, 16 << 20);
		random_fill(&b.rnd, b.data, b.size, true);
		fake_source_init(&f, b.data, b.size);
		f.late = left > 2;
		job.progress = &b.progress;
		ses = OK_PTR(session_begin(r, &o, e));
		FAILS(ERR_NOSPACE, backup_disk(ses, &job, &b.tree, &b.stats, e));
		session_free(ses);
		bench_down(&b);
		repo_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_disks),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_increments),
		cmocka_unit_test(test_cost_follows_change),
		cmocka_unit_test(test_resized),
		cmocka_unit_test(test_clean_beyond_the_parent),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_parent_of_another_shape),
		cmocka_unit_test(test_parent_that_is_damaged),
		cmocka_unit_test(test_increment_on_a_damaged_parent),
		cmocka_unit_test(test_failing_reads),
		cmocka_unit_test(test_source_that_shrinks),
		cmocka_unit_test(test_cancelled_at_any_moment),
		cmocka_unit_test(test_store_that_fills_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
