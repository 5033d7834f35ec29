/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups while a collector is at work: what it is about to drop is not counted on, not even where
 * a parent's tree has it.
 */
#include "mover/backup.h"

#include <string.h>

#include "fake_source.h"
#include "repo/collect.h"
#include "repo/epoch.h"
#include "writer.h"

enum { BLOCKS = 700, EXTENTS = 5 }; /* three leaves */

struct bench {
	struct repo_fixture *f;
	struct random rnd;
	uint8_t *data;
	struct uuid id; /* of the last checkpoint */
	struct fake_source source;
	struct progress progress;
	struct point_stats stats;
};

static int up(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	void *fixture;

	if (repo_fixture_up(&fixture) < 0)
		return -1;
	b->f = fixture;
	b->rnd.state = random_seed();
	b->data = xcalloc(BLOCKS, BLOCK);
	/* Small when compressed, all different, with holes. */
	for (size_t i = 0; i < BLOCKS; i++)
		put_le32(b->data + i * BLOCK, i % 10 ? (uint32_t)i + 1 : 0);
	*state = b;
	return 0;
}

static int down(void **state)
{
	struct bench *b = *state;
	void *fixture = b->f;
	int rc = repo_fixture_down(&fixture);

	free(b->data);
	free(b);
	return rc;
}

/* A checkpoint; `map` NULL: everything is read. */
static int back_up(struct bench *b, const struct extent *map, size_t n_map,
		   const struct point *parent, bool incremental, struct err *e)
{
	struct point_disk *was = parent ? &parent->resources[0].disks[0] : NULL;
	struct backup_disk job = {.source = &b->source.s, .progress = &b->progress};
	AUTO(session) s = session_begin(b->f->r, NULL, e);
	AUTO(point) p = point_new();
	struct point_disk *d = point_add_disk(point_add_resource(p, "disk", "", "d", ""), "d");

	memset(&b->progress, 0, sizeof(b->progress));
	fake_source_init(&b->source, b->data, (uint64_t)BLOCKS * BLOCK);
	b->source.map = map;
	b->source.n_map = n_map;
	if (was) {
		job.parent = &was->tree;
		job.parent_point = &was->point;
		job.incremental = incremental;
	}
	if (!s || backup_disk(s, &job, &d->tree, &b->stats, e) < 0 || session_commit(s, p, e) < 0)
		return -1;
	b->id = p->id;
	assert_int_equal(b->progress.passed, BLOCKS * BLOCK);
	return 0;
}

static void assert_whole(struct bench *b)
{
	struct repo *fresh = test_reopen(b->f->s);
	struct disk d = {b->data, (uint64_t)BLOCKS * BLOCK};

	assert_point(fresh, &b->id, &d);
	repo_free(fresh);
}

/* As a collector that is about to drop all packs that are there, or one that is not. */
static void condemn(struct bench *b, bool all, struct pack_set *ret)
{
	uint8_t name[HASH_BYTES] = {1};

	*ret = (struct pack_set){0};
	for (size_t i = 0; all && i < test_count(b->f->s, "packs/"); i++) {
		char key[STORE_KEY_MAX];

		test_nth(b->f->s, "packs/", i, key);
		assert_true(pack_key_parse(key, name));
		pack_set_add(ret, name);
	}
	if (!all)
		pack_set_add(ret, name);
	pack_set_sort(ret);
	OK(epoch_publish(b->f->r, ret, e));
}

/* It comes true: whatever still counted on them is lost now. */
static void drop(struct bench *b, struct pack_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		char key[STORE_KEY_MAX];

		pack_key_name(set->names[i], key);
		OK(store_remove(b->f->s, key, e));
	}
	pack_set_done(set);
}

static const struct extent changed_a_little[EXTENTS] = {{100 * BLOCK, EXTENT_CLEAN},
							{3 * BLOCK + 5, EXTENT_DATA},
							{47 * BLOCK, EXTENT_CLEAN},
							{2 * BLOCK, EXTENT_ZERO},
							{548 * BLOCK - 5, EXTENT_CLEAN}};

static void change(struct bench *b)
{
	random_fill(&b->rnd, b->data + 100 * BLOCK, 3 * BLOCK + 5, false);
	memset(b->data + 150 * BLOCK + 5, 0, 2 * BLOCK);
}

static struct point *first(struct bench *b)
{
	OK(back_up(b, NULL, 0, NULL, false, e));
	return OK_PTR(point_load(b->f->r, &b->id, e));
}

static void test_an_increment_of_what_is_dropped(void **state)
{
	struct bench *b = *state;
	AUTO(point) parent = first(b);
	struct pack_set set;

	condemn(b, true, &set);
	change(b);
	OK(back_up(b, changed_a_little, EXTENTS, parent, true, e));
	/* All but the holes has been read again. */
	assert_true(b->source.bytes > 600 * BLOCK && b->source.bytes < 680 * BLOCK);
	assert_whole(b);
	drop(b, &set);
	assert_whole(b);
}

/* It is looked up, and need not be read. */
static void test_an_increment_of_what_stays(void **state)
{
	struct bench *b = *state;
	AUTO(point) parent = first(b);
	struct pack_set set;

	condemn(b, false, &set);
	change(b);
	OK(back_up(b, changed_a_little, EXTENTS, parent, true, e));
	assert_true(b->source.bytes <= (6 + 32) * BLOCK); /* what changed, and audits */
	assert_true(b->stats.fresh <= 6 * BLOCK);
	assert_whole(b);
	pack_set_done(&set);
}

/* Tracking that lost a write is noticed here, too. */
static void test_audits(void **state)
{
	struct bench *b = *state;
	AUTO(point) parent = first(b);
	struct extent clean = {(uint64_t)BLOCKS * BLOCK, EXTENT_CLEAN};
	struct pack_set set;

	condemn(b, false, &set);
	for (size_t i = 0; i < BLOCKS; i++)
		b->data[i * BLOCK + 9] ^= 1;
	FAILS(ERR_CONFLICT, back_up(b, &clean, 1, parent, true, e));
	pack_set_done(&set);
}

/* A disk that is read as a whole and compared with its parent does not count on that either. */
static void test_a_whole_disk(void **state)
{
	struct bench *b = *state;
	AUTO(point) parent = first(b);
	struct pack_set set;

	condemn(b, true, &set);
	OK(back_up(b, NULL, 0, parent, false, e));
	assert_true(b->stats.fresh >= 600 * BLOCK);
	drop(b, &set);
	assert_whole(b);
}

/* The parent was deleted before the session began, perhaps collected by now. */
static void test_a_parent_that_is_gone(void **state)
{
	struct bench *b = *state;
	AUTO(point) parent = first(b);
	struct collect_options at_once = {0};
	struct collect_result result;

	OK(point_delete(b->f->r, &parent->id, e));
	FAILS(ERR_CONFLICT, back_up(b, changed_a_little, EXTENTS, parent, true, e));
	OK(collect_run(b->f->r, &at_once, &result, e));
	assert_int_equal(result.dropped, 1);
	FAILS(ERR_CONFLICT, back_up(b, changed_a_little, EXTENTS, parent, true, e));
	OK(back_up(b, NULL, 0, parent, false, e));
	assert_true(b->stats.fresh >= 600 * BLOCK);
	assert_whole(b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(test_an_increment_of_what_is_dropped),
		T(test_an_increment_of_what_stays),
		T(test_audits),
		T(test_a_whole_disk),
		T(test_a_parent_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
