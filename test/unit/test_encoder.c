/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deltas, from the first to the last: when a changed block becomes one, what it may be a delta of,
 * and that its base lives for as long as it does.
 */
#include "repo/encoder.h"

#include <stdatomic.h>
#include <string.h>

#include "repo/collect.h"
#include "repo/epoch.h"
#include "repo/mark.h"
#include "repo/presence.h"
#include "repo/store_hook.h"
#include "writer.h"

enum { BLOCKS = 40 };

struct bench {
	struct store *store;
	struct repo *r;
	struct random rnd;
	struct disk disk;
};

static int up(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	b->r = test_repo(&b->store);
	b->rnd.state = random_seed();
	b->disk = (struct disk){xcalloc(BLOCKS, BLOCK), BLOCKS * BLOCK};
	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
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

/* Back up the disk as it is, after another checkpoint or (NULL) as the first. */
static struct uuid backup_in(struct bench *b, struct store *s, const struct uuid *before,
			     enum session_deltas deltas)
{
	struct session_options o = {.pack_bytes = 10 * BLOCK, .deltas = deltas};
	AUTO(repo) r = test_reopen(s);
	struct uuid id;

	if (before)
		OK(protect_after(r, &o, &b->disk, before, &id, e));
	else
		OK(protect(r, &o, &b->disk, &id, NULL, e));
	return id;
}

static struct uuid backup(struct bench *b, const struct uuid *before)
{
	return backup_in(b, b->store, before, DELTAS_AUTO);
}

/* A few bytes of some blocks; of those from `first` on, `n`. */
static void change(struct bench *b, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		random_fill(&b->rnd, b->disk.data + i * BLOCK + random_below(&b->rnd, BLOCK - 30),
			    30, true);
}

struct counting {
	struct repo *r;
	uint64_t whole, deltas, delta_bytes, baseless;
};

static int count(void *arg, const struct location *l, bool marked, struct err *e)
{
	struct counting *c = arg;
	struct location base;

	(void)marked;
	if (l->at.encoding != BLOCK_DELTA) {
		c->whole++;
		return 0;
	}
	c->deltas++;
	c->delta_bytes += l->at.stored;
	c->baseless += index_counts(repo_index(c->r), &l->at.base, NULL, NULL, true, &base, e) != 1;
	return 0;
}

/* What the index holds; every delta has a base that is whole. */
static struct counting look(struct store *s)
{
	AUTO(repo) r = test_reopen(s);
	struct counting c = {.r = r};
	AUTO(index_marks) m = NULL;

	OK(index_refresh(repo_index(r), e));
	m = index_marks_new(repo_index(r));
	OK(index_marks_each(m, count, &c, e));
	assert_int_equal(c.baseless, 0);
	return c;
}

static void assert_is(struct bench *b, const struct uuid *id, const struct disk *d)
{
	AUTO(repo) r = test_reopen(b->store);

	assert_point(r, id, d);
}

static struct disk copy_of(const struct disk *d)
{
	struct disk c = {xmalloc(d->size), d->size};

	memcpy(c.data, d->data, d->size);
	return c;
}

static void test_little_changes(void **state)
{
	struct bench *b = *state;
	struct disk was = copy_of(&b->disk);
	struct uuid one = backup(b, NULL), two, three;
	struct counting c;

	change(b, 5, 10);
	two = backup(b, &one);
	c = look(b->store);
	assert_int_equal(c.deltas, 10);
	assert_true(c.delta_bytes < 10 * 300);
	/* Again: of what the deltas were made of, not of deltas. */
	change(b, 5, 10);
	three = backup(b, &two);
	c = look(b->store);
	assert_int_equal(c.deltas, 20);
	assert_is(b, &three, &b->disk);
	assert_is(b, &one, &was);
	disk_done(&was);
}

/* Where a delta is no gain, or is not wanted, there is none. */
static void test_when_not(void **state)
{
	struct bench *b = *state;
	struct uuid one = backup(b, NULL), two, three, four;

	random_fill(&b->rnd, b->disk.data, 10 * BLOCK, true);
	random_fill(&b->rnd, b->disk.data + 20 * BLOCK, 5 * BLOCK, false);
	two = backup(b, &one);
	assert_int_equal(look(b->store).deltas, 0);
	change(b, 0, 1);
	three = backup_in(b, b->store, &two, DELTAS_OFF);
	b->store->distant = true;
	change(b, 0, 1);
	four = backup(b, &three);
	assert_int_equal(look(b->store).deltas, 0);
	change(b, 0, 1);
	four = backup_in(b, b->store, &four, DELTAS_ON);
	assert_int_equal(look(b->store).deltas, 1);
	assert_is(b, &four, &b->disk);
}

static int count_get(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)e;
	if (call == HOOK_GET && !after && strncmp(key, "packs/", 6) == 0)
		atomic_fetch_add((atomic_uint *)arg, 1); /* a session has threads */
	return 0;
}

/* A disk that becomes another one as a whole: what was there before is soon not read any more. */
static void test_in_vain(void **state)
{
	struct bench *b = *state;
	atomic_uint first = 0, then = 0;
	AUTO(store) counted = store_hook_new(b->store, count_get, &first, false);
	AUTO(store) again = store_hook_new(b->store, count_get, &then, false);
	struct uuid one = backup(b, NULL);

	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
	backup_in(b, counted, &one, DELTAS_OFF);
	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
	backup_in(b, again, &one, DELTAS_ON);
	assert_true(then >= first + 16);
	assert_true(then < first + 30);
}

/* The only delta there is. */
static int note_delta(void *arg, const struct location *l, bool marked, struct err *e)
{
	(void)marked;
	(void)e;
	if (l->at.encoding == BLOCK_DELTA)
		*(struct location *)arg = *l;
	return 0;
}

/* Where it lies, and where its base does. */
static void find_delta(struct repo *r, struct location *ret_delta, struct location *ret_base)
{
	AUTO(index_marks) m = NULL;

	OK(index_refresh(repo_index(r), e));
	m = index_marks_new(repo_index(r));
	OK(index_marks_each(m, note_delta, ret_delta, e));
	assert_int_equal(
		index_counts(repo_index(r), &ret_delta->at.base, NULL, NULL, true, ret_base, NULL),
		1);
}

/* A delta whose base is about to go is not known: who needs it stores it anew. */
static void test_the_base_is_condemned(void **state)
{
	struct bench *b = *state;
	struct uuid one = backup(b, NULL), two;
	struct pack_set set = {0};
	struct location delta, base;
	struct block_id id;

	change(b, 0, 1);
	two = backup(b, &one);
	find_delta(b->r, &delta, &base);
	pack_set_add(&set, base.pack);
	{
		AUTO(session) before = OK_PTR(session_begin(b->r, NULL, e));
		AUTO(session) after = NULL;

		OK(epoch_publish(b->r, &set, e));
		after = OK_PTR(session_begin(b->r, NULL, e));
		assert_int_equal(session_knows(before, &delta.at.id, NULL), 1);
		assert_int_equal(session_base(before, &delta.at.id, &id, NULL), 1);
		assert_true(block_id_equal(&id, &delta.at.base));
		assert_int_equal(session_knows(after, &delta.at.id, NULL), 0);
		assert_int_equal(session_base(after, &delta.at.id, &id, NULL), 0);
	}
	pack_set_done(&set);
	/* Both checkpoints stay what they are when the pack is gone. */
	OK(point_delete(b->r, &one, e));
	{
		static const struct collect_options o = {0};
		struct collect_result result;

		OK(collect_run(b->r, &o, &result, e));
		assert_true(result.copied > 0);
	}
	assert_int_equal(look(b->store).deltas, 1);
	assert_is(b, &two, &b->disk);
}

static void test_the_base_is_gone(void **state)
{
	struct bench *b = *state;
	struct uuid one = backup(b, NULL);
	AUTO(presence) packs = presence_new(b->store);
	struct location delta, base, place;
	char key[STORE_KEY_MAX];

	change(b, 0, 1);
	backup(b, &one);
	find_delta(b->r, &delta, &base);
	pack_key_name(base.pack, key);
	OK(store_remove(b->store, key, e));
	assert_int_equal(
		index_counts(repo_index(b->r), &delta.at.id, NULL, NULL, false, &place, NULL), 1);
	assert_int_equal(
		index_counts(repo_index(b->r), &delta.at.id, NULL, packs, false, &place, NULL), 0);
}

/* Checkpoints come and go; the last one stays whole, and what nobody needs goes. */
static void test_collected(void **state)
{
	static const struct collect_options o = {.waste_percent = 1};
	struct bench *b = *state;
	struct uuid last = backup(b, NULL);
	struct collect_result result;
	uint64_t most = 0;

	for (int i = 0; i < 12; i++) {
		struct uuid next;

		change(b, random_below(&b->rnd, BLOCKS - 10), 10);
		next = backup(b, &last);
		OK(point_delete(b->r, &last, e));
		OK(collect_run(b->r, &o, &result, e));
		assert_int_equal(result.kept, 0);
		last = next;
		assert_is(b, &last, &b->disk);
		most = MAX(most, look(b->store).deltas);
		/* The disk, bases that only deltas need, nodes. */
		assert_true(look(b->store).whole <= 2 * BLOCKS + 2);
	}
	assert_true(most >= 10);
}

/* Commit a disk of these blocks. */
static void commit_blocks(struct writer *w, const struct block_id *ids, size_t n, struct point *p)
{
	struct point_resource *res = point_add_resource(p, "disk", "/d", "d", "host");
	AUTO(tree_edit)
	te = OK_PTR(tree_edit_new(NULL, n * BLOCK, w->fetch, w->codec, session_put_node, w->s, e));

	for (uint64_t i = 0; i < n; i++)
		OK(set_id(te, i, &ids[i], e));
	OK(tree_edit_finish(te, &point_add_disk(res, "vda")->tree, e));
	OK(session_commit(w->s, p, e));
}

static int note_pack(void *arg, const char *key, uint64_t size, struct err *e)
{
	uint8_t name[HASH_BYTES];

	(void)size;
	(void)e;
	assert_true(pack_key_parse(key, name));
	pack_set_add(arg, name);
	return 0;
}

/* These packs go, and what is needed of them is saved. */
static void rewrite(struct bench *b, const struct pack_set *set)
{
	static const struct collect_options o = {.waste_percent = 100};
	AUTO(repo) r = test_reopen(b->store);
	struct collect_result result;

	OK(epoch_publish(r, set, e));
	OK(collect_run(r, &o, &result, e));
	assert_int_equal(result.kept, 0);
	assert_true(result.copied > 0);
}

static void rewrite_all(struct bench *b)
{
	struct pack_set all = {0};

	OK(store_list(b->store, "packs/", note_pack, &all, e));
	pack_set_sort(&all);
	rewrite(b, &all);
	pack_set_done(&all);
}

/* Only the pack where this block lies as a whole. */
static void rewrite_whole(struct bench *b, const struct block_id *id)
{
	AUTO(repo) r = test_reopen(b->store);
	struct pack_set set = {0};
	struct location l;

	OK(index_refresh(repo_index(r), e));
	assert_int_equal(index_counts(repo_index(r), id, NULL, NULL, true, &l, NULL), 1);
	pack_set_add(&set, l.pack);
	rewrite(b, &set);
	pack_set_done(&set);
}

/* A block that one backup stored as a delta and another as a whole, where somebody made it the base
 * of a third: the whole one is kept, however often it moves. */
static void test_both_a_delta_and_whole(void **state)
{
	struct bench *b = *state;
	const uint8_t *d = b->disk.data;
	AUTO(point) p = point_new();
	struct block_id ids[3];
	struct writer w;

	memcpy(b->disk.data + BLOCK, d, BLOCK);
	memcpy(b->disk.data + 2 * BLOCK, d, BLOCK);
	change(b, 1, 1);
	change(b, 2, 1);
	b->disk.size = 3 * BLOCK;
	{
		AUTO(point) other = point_new();

		OK(writer_begin(&w, b->r, NULL, e));
		ids[0] = writer_put_whole(&w, d);
		ids[1] = writer_put_delta(&w, &ids[0], d, d + BLOCK);
		OK(session_commit(w.s, other, e));
		writer_end(&w);
	}
	OK(writer_begin(&w, b->r, NULL, e));
	writer_put_whole(&w, d + BLOCK);
	ids[2] = writer_put_delta(&w, &ids[1], d + BLOCK, d + 2 * BLOCK);
	commit_blocks(&w, ids, 3, p);
	writer_end(&w);
	for (int i = 0; i < 4; i++) {
		if (i % 2)
			rewrite_all(b);
		else
			rewrite_whole(b, &ids[1]);
		look(b->store);
		assert_is(b, &p->id, &b->disk);
	}
}

/* Where the whole one is lost, what it was a change of gives it back: no pack is kept for it, and
 * no epoch. */
static void test_the_whole_one_is_lost(void **state)
{
	struct bench *b = *state;
	const uint8_t *d = b->disk.data;
	AUTO(point) p = point_new();
	struct block_id ids[2];
	struct location whole;
	char key[STORE_KEY_MAX];
	struct pack_set set = {0};
	struct writer w;

	memcpy(b->disk.data + BLOCK, d, BLOCK);
	change(b, 1, 1);
	b->disk.size = 2 * BLOCK;
	{
		AUTO(point) other = point_new();

		OK(writer_begin(&w, b->r, NULL, e));
		writer_put_whole(&w, d + BLOCK);
		OK(session_commit(w.s, other, e));
		writer_end(&w);
	}
	OK(writer_begin(&w, b->r, NULL, e));
	ids[0] = writer_put_whole(&w, d);
	ids[1] = writer_put_delta(&w, &ids[0], d, d + BLOCK);
	commit_blocks(&w, ids, 2, p);
	writer_end(&w);
	assert_int_equal(index_counts(repo_index(b->r), &ids[1], NULL, NULL, true, &whole, NULL),
			 1);
	pack_key_name(whole.pack, key);
	OK(store_remove(b->store, key, e));
	pack_set_add(&set, whole.pack);
	rewrite(b, &set);
	pack_set_done(&set);
	assert_int_equal(test_count(b->store, "epochs/"), 0);
	assert_is(b, &p->id, &b->disk);
	OK(index_refresh(repo_index(b->r), e));
	assert_int_equal(index_counts(repo_index(b->r), &ids[1], NULL, NULL, true, &whole, NULL),
			 1);
}

/* A block that is a delta in many places, of another base in each: whatever place somebody counts
 * on is kept whole. */
static void test_many_places(void **state)
{
	enum { PLACES = 2 * INDEX_PLACES + 1 };
	static const struct collect_options o = {.waste_percent = 100};
	struct bench *b = *state;
	uint8_t *d = b->disk.data;
	struct collect_result result;
	struct uuid last;

	b->disk.size = BLOCK;
	for (size_t i = 1; i <= PLACES; i++) {
		AUTO(point) p = point_new();
		struct block_id base, id;
		struct writer w;

		memcpy(d + i * BLOCK, d, BLOCK);
		change(b, i, 1);
		OK(writer_begin(&w, b->r, NULL, e));
		base = writer_put_whole(&w, d + i * BLOCK);
		OK(session_publish(w.s, e)); /* the base in a pack of its own */
		id = writer_put_delta(&w, &base, d + i * BLOCK, d);
		commit_blocks(&w, &id, 1, p);
		writer_end(&w);
		last = p->id;
	}
	OK(collect_run(b->r, &o, &result, e));
	assert_int_equal(result.dropped, 0);
	assert_int_equal(look(b->store).deltas, PLACES);
	assert_is(b, &last, &b->disk);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(test_little_changes),
		T(test_when_not),
		T(test_in_vain),
		T(test_the_base_is_condemned),
		T(test_the_base_is_gone),
		T(test_collected),
		T(test_both_a_delta_and_whole),
		T(test_many_places),
		T(test_the_whole_one_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
