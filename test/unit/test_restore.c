/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring: all of it, around damage, and what goes wrong.
 */
#include "mover/restore.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/fio.h"
#include "mem_sink.h"
#include "repo/pack.h"
#include "writer.h"

/* ---- threads that are not to be had ---- */

static unsigned threads, fail_thread;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
	return ++threads == fail_thread ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

/* ---- a disk in a repository ---- */

struct bench {
	struct store *store;
	struct repo *r;
	struct random rnd;
	struct disk disk;
	struct tree tree;
	struct progress progress;
	struct cancel cancel;
	/* What was told of damage: */
	uint64_t damaged[64];
	size_t n_damaged;
	uint64_t damaged_bytes;
	int verdict;
};

/* With packs of `pack_blocks` blocks or so (0: as usual). */
static void store_disk(struct bench *b, size_t pack_blocks)
{
	struct session_options o = {.pack_bytes = pack_blocks * BLOCK};
	AUTO(point) p = point_new();
	struct writer w;

	OK(writer_begin(&w, b->r, &o, e));
	OK(writer_disk(&w, &b->disk, NULL, NULL, &b->tree, NULL, e));
	OK(session_commit(w.s, p, e));
	writer_end(&w);
}

static void up(struct bench *b, size_t blocks)
{
	*b = (struct bench){.rnd = {random_seed()}};
	b->r = test_repo(&b->store);
	disk_make(&b->disk, &b->rnd, blocks);
}

/* A disk of zeros, to be filled. */
static void up_blank(struct bench *b, size_t blocks)
{
	up(b, blocks);
	memset(b->disk.data, 0, b->disk.size);
}

/* A disk of noise, with damage to come. */
static void up_noise(struct bench *b, size_t blocks, size_t pack_blocks)
{
	up(b, blocks);
	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
	store_disk(b, pack_blocks);
}

static void down(struct bench *b)
{
	fail_thread = 0;
	disk_done(&b->disk);
	repo_free(b->r);
	store_free(b->store);
}

static int on_damage(void *arg, const struct block_id *id, uint64_t offset, uint64_t len,
		     const struct err *why)
{
	struct bench *b = arg;

	(void)id;
	if (why->kind != ERR_CORRUPT || !why->msg[0] || b->n_damaged == ARRAY_LEN(b->damaged))
		return -1;
	b->damaged[b->n_damaged++] = offset;
	b->damaged_bytes += len;
	return b->verdict;
}

static int restore(struct bench *b, struct sink *s, bool tell, struct err *e)
{
	struct restore job = {.repo = b->r,
			      .tree = &b->tree,
			      .sink = s,
			      .progress = &b->progress,
			      .cancel = &b->cancel,
			      .damage = tell ? on_damage : NULL,
			      .arg = b};

	memset(&b->progress, 0, sizeof(b->progress));
	b->n_damaged = 0;
	b->damaged_bytes = 0;
	return restore_run(&job, e);
}

/* Where a sink has no zeros, holes keep what was there. */
static void assert_sink(struct bench *b, struct mem_sink *m)
{
	assert_int_equal(m->wrong, 0);
	assert_true(m->highest < restore_threads(b->r));
	assert_int_equal(m->finished, 1);
	assert_int_equal(progress_get(&b->progress.passed), b->disk.size);
	for (uint64_t off = 0; off < b->disk.size; off += BLOCK) {
		size_t n = (size_t)MIN((uint64_t)BLOCK, b->disk.size - off);
		bool hole = !m->s.ops->zero && block_all_zero(b->disk.data + off, n);

		if (hole && m->data[off] != MEM_SINK_FILLER)
			fail_msg("a hole at %llu was written", (unsigned long long)off);
		if (!hole && memcmp(m->data + off, b->disk.data + off, n) != 0)
			fail_msg("the block at %llu is wrong", (unsigned long long)off);
	}
}

static void test_disks_of_any_size(void **state)
{
	static const size_t cut[] = {0, 1, 512, BLOCK - 1};

	(void)state;
	for (size_t blocks = 0; blocks < 400; blocks = 2 * blocks + 1) {
		struct mem_sink m;
		struct bench b;

		up(&b, blocks);
		if (blocks)
			b.disk.size -= cut[blocks % ARRAY_LEN(cut)];
		store_disk(&b, blocks % 3 ? 5 : 0);
		for (int way = 0; way < 6; way++) {
			/* With zeros, without, and in order; from here, and from far away. */
			b.store->distant = way >= 3;
			mem_sink_init(&m, b.disk.size, way % 3 == 2, way % 3 != 1);
			OK(restore(&b, &m.s, false, e));
			assert_sink(&b, &m);
			mem_sink_done(&m);
		}
		down(&b);
	}
}

/* Blocks that lie one after the other are read and written together. */
static void test_neighbours_go_together(void **state)
{
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_noise(&b, 160, 0);
	mem_sink_init(&m, b.disk.size, false, false);
	OK(restore(&b, &m.s, false, e));
	assert_sink(&b, &m);
	assert_true(m.writes <= 160 / 4);
	assert_true(progress_get(&b.progress.read) < b.disk.size + b.disk.size / 16);
	assert_int_equal(progress_get(&b.progress.stored), b.disk.size);
	mem_sink_done(&m);
	down(&b);
}

static void test_to_a_file(void **state)
{
	char *folder = test_folder();
	AUTO_FREE char *path = test_path(folder, "disk.raw");
	AUTO_BUF got = BUF_INIT;
	struct bench b;
	struct sink *s;

	(void)state;
	up(&b, 77);
	b.disk.size -= 100;
	store_disk(&b, 0);
	s = OK_PTR(sink_file_open(path, b.disk.size, false, e));
	OK(restore(&b, s, false, e));
	sink_free(s);
	OK(fio_slurp(path, b.disk.size, &got, e));
	assert_true(got.len == b.disk.size && memcmp(got.data, b.disk.data, got.len) == 0);
	/* Verification is a restore to nothing. */
	s = sink_null_open();
	OK(restore(&b, s, false, e));
	assert_int_equal(progress_get(&b.progress.passed), b.disk.size);
	sink_free(s);
	down(&b);
	test_folder_done(folder);
}

/* ---- deltas ---- */

static void test_deltas(void **state)
{
	AUTO(point) p = point_new();
	struct block_id base, id;
	struct tree_edit *te;
	struct mem_sink m;
	struct writer w;
	struct bench b;

	(void)state;
	up_blank(&b, 20);
	random_fill(&b.rnd, b.disk.data, BLOCK, true);
	OK(writer_begin(&w, b.r, NULL, e));
	te = OK_PTR(tree_edit_new(NULL, b.disk.size, w.fetch, w.codec, session_put_node, w.s, e));
	assert_int_equal(writer_put(&w, b.disk.data, BLOCK, &base, NULL), 1);
	OK(set_id(te, 0, &base, e));
	for (uint64_t i = 1; i < 20; i++) {
		uint8_t *at = b.disk.data + i * BLOCK;

		memcpy(at, b.disk.data, BLOCK);
		put_le64(at + i * 100, i);
		id = writer_put_delta(&w, &base, b.disk.data, at);
		OK(set_id(te, i, &id, e));
	}
	OK(tree_edit_finish(te, &b.tree, e));
	tree_edit_free(te);
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	mem_sink_init(&m, b.disk.size, false, false);
	OK(restore(&b, &m.s, false, e));
	assert_sink(&b, &m);
	mem_sink_done(&m);
	down(&b);
}

/* ---- damage ---- */

static struct location locate(struct bench *b, uint64_t block)
{
	AUTO(fetch) f = fetch_new(b->r);
	AUTO(fetch) nodes = fetch_new(b->r);
	AUTO(tree_walk) walk = tree_walk_new(&b->tree, nodes);
	struct tree_piece piece;
	struct location l;

	OK(tree_walk_seek(walk, block * BLOCK, e));
	OK(tree_walk_next(walk, &piece, e));
	assert_int_equal(piece.offset, block * BLOCK);
	OK(fetch_locate(f, &piece.id, &l, e));
	return l;
}

static void damage_block(struct bench *b, uint64_t block)
{
	struct location l = locate(b, block);
	char key[STORE_KEY_MAX];
	uint8_t *bytes;
	size_t n;

	pack_key_name(l.pack, key);
	bytes = store_mem_bytes(b->store, key, &n);
	assert_non_null(bytes);
	bytes[l.at.offset + 1000] ^= 0x10;
}

static void remove_pack_of(struct bench *b, uint64_t block)
{
	struct location l = locate(b, block);
	char key[STORE_KEY_MAX];

	pack_key_name(l.pack, key);
	OK(store_remove(b->store, key, e));
}

static bool told_of(const struct bench *b, uint64_t off)
{
	for (size_t i = 0; i < b->n_damaged; i++) {
		if (b->damaged[i] == off)
			return true;
	}
	return false;
}

/* Every block is either right or was told of and left alone. */
static void assert_all_but_damage(struct bench *b, struct mem_sink *m)
{
	assert_int_equal(m->wrong, 0);
	for (uint64_t off = 0; off < b->disk.size; off += BLOCK) {
		bool told = told_of(b, off);

		if (told && m->data[off + 5] != MEM_SINK_FILLER)
			fail_msg("the damaged block at %llu was written", (unsigned long long)off);
		if (!told && memcmp(m->data + off, b->disk.data + off, BLOCK) != 0)
			fail_msg("the block at %llu is wrong", (unsigned long long)off);
	}
}

static void test_damaged_blocks_are_named_and_left_out(void **state)
{
	static const uint64_t bad[] = {0, 7, 8, 31, 59};
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_noise(&b, 60, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		damage_block(&b, bad[i]);
	mem_sink_init(&m, b.disk.size, false, true);
	OK(restore(&b, &m.s, true, e));
	assert_int_equal(m.finished, 1);
	assert_int_equal(b.n_damaged, ARRAY_LEN(bad));
	assert_int_equal(b.damaged_bytes, ARRAY_LEN(bad) * BLOCK);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(told_of(&b, bad[i] * BLOCK));
	assert_all_but_damage(&b, &m);
	mem_sink_done(&m);
	down(&b);
}

static void test_damage_ends_it_unless_somebody_wants_to_go_on(void **state)
{
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_noise(&b, 60, 0);
	damage_block(&b, 33);
	for (int way = 0; way < 3; way++) {
		/* Nobody to ask; somebody who gives up; a pipe, which cannot leave out. */
		mem_sink_init(&m, b.disk.size, way == 2, true);
		b.verdict = way == 1 ? -1 : 0;
		FAILS(ERR_CORRUPT, restore(&b, &m.s, way > 0, e));
		assert_int_equal(m.finished, 0);
		assert_int_equal(b.n_damaged, way == 1);
		if (way < 2)
			assert_int_equal(m.data[33 * BLOCK + 5], MEM_SINK_FILLER);
		assert_int_equal(m.wrong, 0);
		mem_sink_done(&m);
	}
	down(&b);
}

static void test_pack_that_is_gone(void **state)
{
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_noise(&b, 60, 10);
	remove_pack_of(&b, 12);
	mem_sink_init(&m, b.disk.size, false, true);
	OK(restore(&b, &m.s, true, e));
	assert_true(b.n_damaged >= 5 && b.n_damaged <= 15);
	assert_int_equal(b.damaged_bytes, b.n_damaged * BLOCK);
	assert_all_but_damage(&b, &m);
	mem_sink_done(&m);
	down(&b);
}

/* Without a node nothing below it is found: that is told as one. */
static void test_damaged_node(void **state)
{
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_noise(&b, 20, 0);
	b.tree.root.b[0] ^= 1;
	mem_sink_init(&m, b.disk.size, false, true);
	OK(restore(&b, &m.s, true, e));
	assert_int_equal(b.n_damaged, 1);
	assert_int_equal(b.damaged[0], 0);
	assert_int_equal(b.damaged_bytes, b.disk.size);
	assert_int_equal(m.writes + m.zeros, 0);
	FAILS(ERR_CORRUPT, restore(&b, &m.s, false, e));
	mem_sink_done(&m);
	down(&b);
}

/* A tree that names what the repository does not have, or not so. */
static void store_sequence(struct bench *b, uint64_t told_len, bool known)
{
	AUTO(point) p = point_new();
	AUTO(tree_seq) ts = NULL;
	struct block_id id;
	struct writer w;

	OK(writer_begin(&w, b->r, NULL, e));
	ts = tree_seq_new(w.codec, session_put_node, w.s);
	assert_int_equal(writer_put(&w, "0123456789", 10, &id, NULL), 1);
	OK(add_id(ts, &id, 10, e));
	assert_int_equal(writer_put(&w, "abcdefgh", 8, &id, NULL), 1);
	id.b[5] ^= known ? 0 : 1;
	OK(add_id(ts, &id, told_len, e));
	assert_int_equal(writer_put(&w, "the end", 7, &id, NULL), 1);
	OK(add_id(ts, &id, 7, e));
	OK(tree_seq_finish(ts, &b->tree, e));
	OK(session_commit(w.s, p, e));
	writer_end(&w);
}

static void test_blocks_that_do_not_fit_the_tree(void **state)
{
	/* As it is; unknown; shorter; longer; longer than any block. */
	static const uint64_t told[] = {8, 8, 7, 9, 5 << 20};
	static const enum err_kind want[] = {ERR_NONE, ERR_CORRUPT, ERR_CORRUPT, ERR_CORRUPT,
					     ERR_LIMIT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		struct mem_sink m;
		struct bench b;

		up(&b, 0);
		store_sequence(&b, told[i], i != 1);
		mem_sink_init(&m, b.tree.size, false, true);
		if (want[i] == ERR_NONE)
			OK(restore(&b, &m.s, false, e));
		else
			FAILS(want[i], restore(&b, &m.s, false, e));
		if (want[i] == ERR_CORRUPT) {
			OK(restore(&b, &m.s, true, e));
			assert_int_equal(b.n_damaged, 1);
			assert_int_equal(b.damaged[0], 10);
			assert_int_equal(b.damaged_bytes, told[i]);
			assert_memory_equal(m.data, "0123456789", 10);
			assert_int_equal(m.data[10], MEM_SINK_FILLER);
			assert_memory_equal(m.data + 10 + told[i], "the end", 7);
		}
		assert_int_equal(m.wrong, 0);
		mem_sink_done(&m);
		down(&b);
	}
}

/* ---- what goes wrong ---- */

static void test_failing_sinks(void **state)
{
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_blank(&b, 200);
	/* Every second block is a hole, so that there is much to write and to zero. */
	for (size_t i = 0; i < 200; i += 2)
		random_fill(&b.rnd, b.disk.data + i * BLOCK, BLOCK, true);
	store_disk(&b, 0);
	for (unsigned way = 0; way < 2; way++) {
		for (unsigned at = 1; at < 100; at += 33) {
			mem_sink_init(&m, b.disk.size, way, true);
			m.fail_write = at;
			FAILS(ERR_NOSPACE, restore(&b, &m.s, true, e));
			assert_int_equal(m.finished, 0);
			mem_sink_done(&m);
			mem_sink_init(&m, b.disk.size, way, true);
			m.fail_zero = at;
			FAILS(ERR_NOSPACE, restore(&b, &m.s, true, e));
			assert_int_equal(m.finished, 0);
			mem_sink_done(&m);
		}
		mem_sink_init(&m, b.disk.size, way, true);
		m.fail_finish = true;
		FAILS(ERR_IO, restore(&b, &m.s, true, e));
		assert_int_equal(m.finished, 1);
		mem_sink_done(&m);
	}
	assert_int_equal(b.n_damaged, 0);
	down(&b);
}

static void raise_flag(void *arg)
{
	cancel_set(arg);
}

static void test_cancelled(void **state)
{
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_noise(&b, 400, 0);
	for (unsigned way = 0; way < 4; way++) {
		b.cancel = (struct cancel){0};
		mem_sink_init(&m, b.disk.size, way % 2, true);
		m.before_write = raise_flag;
		m.arg = &b.cancel;
		if (way > 1)
			cancel_set(&b.cancel);
		FAILS(ERR_CANCELLED, restore(&b, &m.s, true, e));
		assert_int_equal(m.finished, 0);
		assert_int_equal(m.wrong, 0);
		mem_sink_done(&m);
	}
	down(&b);
}

static void test_no_threads_to_be_had(void **state)
{
	struct mem_sink m;
	struct bench b;

	(void)state;
	up_noise(&b, 20, 0);
	for (unsigned way = 0; way < 2; way++) {
		for (unsigned n = 1; n <= restore_threads(b.r) + 1; n++) {
			mem_sink_init(&m, b.disk.size, way, true);
			threads = 0;
			fail_thread = n;
			FAILS(ERR_IO, restore(&b, &m.s, true, e));
			fail_thread = 0;
			assert_int_equal(m.finished, 0);
			mem_sink_done(&m);
		}
	}
	down(&b);
}

/* ---- to memory ---- */

static void test_buffer(void **state)
{
	AUTO_BUF got = BUF_INIT;
	struct bench b;

	(void)state;
	up_noise(&b, 5, 0);
	OK(restore_buffer(b.r, &b.tree, b.disk.size, &got, e));
	assert_int_equal(got.len, b.disk.size);
	assert_true(memcmp(got.data, b.disk.data, b.disk.size) == 0);
	buf_done(&got);
	FAILS(ERR_LIMIT, restore_buffer(b.r, &b.tree, b.disk.size - 1, &got, e));
	damage_block(&b, 3);
	FAILS(ERR_CORRUPT, restore_buffer(b.r, &b.tree, b.disk.size, &got, e));
	b.tree.root.b[0] ^= 1;
	FAILS(ERR_CORRUPT, restore_buffer(b.r, &b.tree, b.disk.size, &got, e));
	assert_null(got.data);
	down(&b);
}

static void test_buffer_of_holes(void **state)
{
	(void)state;
	for (size_t blocks = 0; blocks < 4; blocks++) {
		AUTO_BUF got = BUF_INIT;
		struct bench b;

		up_blank(&b, blocks);
		b.disk.size -= blocks ? 77 : 0;
		store_disk(&b, 0);
		OK(restore_buffer(b.r, &b.tree, 1 << 20, &got, e));
		assert_int_equal(got.len, b.disk.size);
		assert_true(block_all_zero(got.data, got.len));
		down(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disks_of_any_size),
		cmocka_unit_test(test_neighbours_go_together),
		cmocka_unit_test(test_to_a_file),
		cmocka_unit_test(test_deltas),
		cmocka_unit_test(test_damaged_blocks_are_named_and_left_out),
		cmocka_unit_test(test_damage_ends_it_unless_somebody_wants_to_go_on),
		cmocka_unit_test(test_pack_that_is_gone),
		cmocka_unit_test(test_damaged_node),
		cmocka_unit_test(test_blocks_that_do_not_fit_the_tree),
		cmocka_unit_test(test_failing_sinks),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_no_threads_to_be_had),
		cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_buffer_of_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
