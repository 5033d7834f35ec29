/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection, case by case. That it survives every failure is in test/fault, random histories in
 * test/prop, and the protocol's orders in test/model.
 */
#include "repo/collect.h"

#include <string.h>

#include "repo/epoch.h"
#include "repo/store_hook.h"
#include "writer.h"

enum { DISK_BLOCKS = 12 };

/* Distinct blocks that do not shrink to nothing. */
static void content(struct disk *d, uint32_t number)
{
	struct random rnd = {number + 1};

	*d = (struct disk){xcalloc(DISK_BLOCKS, BLOCK), DISK_BLOCKS * BLOCK};
	random_fill(&rnd, d->data, d->size, true);
}

static struct uuid backup(struct repo *r, uint32_t number)
{
	struct uuid id;
	struct disk d;

	content(&d, number);
	OK(protect(r, NULL, &d, &id, NULL, e));
	disk_done(&d);
	return id;
}

/* Two contents in one checkpoint's packs; `both` of them, then only the first, as another one. */
static struct uuid backup_two(struct repo *r, uint32_t one, uint32_t two)
{
	struct disk a, b, both = {xcalloc(2 * DISK_BLOCKS, BLOCK), 2 * DISK_BLOCKS * BLOCK};
	struct uuid id;

	content(&a, one);
	content(&b, two);
	memcpy(both.data, a.data, a.size);
	memcpy(both.data + a.size, b.data, b.size);
	OK(protect(r, NULL, &both, &id, NULL, e));
	disk_done(&a);
	disk_done(&b);
	disk_done(&both);
	return id;
}

static void assert_backup(struct repo_fixture *f, const struct uuid *id, uint32_t number)
{
	struct repo *fresh = test_reopen(f->s);
	struct disk d;

	content(&d, number);
	assert_point(fresh, id, &d);
	disk_done(&d);
	repo_free(fresh);
}

static const struct collect_options at_once = {0};

static struct collect_result collect(struct repo_fixture *f)
{
	AUTO(repo) fresh = test_reopen(f->s);
	struct collect_result result;

	OK(collect_run(fresh, &at_once, &result, e));
	return result;
}

static void assert_tidy(struct repo_fixture *f)
{
	struct collect_result again = collect(f);

	assert_int_equal(again.dropped, 0);
	assert_int_equal(test_count(f->s, "epochs/"), 0);
	assert_int_equal(test_count(f->s, "sessions/"), 0);
	if (again.checkpoints == 0)
		assert_int_equal(test_count(f->s, "packs/") + test_count(f->s, "index/"), 0);
}

/* ---- what goes ---- */

static void test_nothing_to_do(void **state)
{
	struct repo_fixture *f = *state;
	struct collect_result result = collect(f);
	struct uuid id;

	assert_int_equal(result.checkpoints + result.packs + result.bytes, 0);
	id = backup(f->r, 1);
	result = collect(f);
	assert_int_equal(result.checkpoints, 1);
	assert_int_equal(result.packs, 1);
	assert_int_equal(result.dropped + result.copied, 0);
	assert_true(result.needed > DISK_BLOCKS * BLOCK && result.needed < result.bytes);
	assert_int_equal(test_count(f->s, "epochs/"), 0);
	assert_backup(f, &id, 1);
}

static void test_all_of_a_pack(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1), two = backup(f->r, 2);
	struct collect_result result;

	OK(point_delete(f->r, &one, e));
	result = collect(f);
	assert_int_equal(result.packs, 2);
	assert_int_equal(result.dropped, 1);
	assert_true(result.dropped_bytes > DISK_BLOCKS * BLOCK);
	assert_int_equal(result.copied, 0);
	assert_int_equal(test_count(f->s, "packs/"), 1);
	assert_backup(f, &two, 2);
	assert_tidy(f);
	OK(point_delete(f->r, &two, e));
	collect(f);
	assert_tidy(f);
}

/* Half of a pack is needed: that is copied. A fifth of waste is left. */
static void test_part_of_a_pack(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid both = backup_two(f->r, 1, 2), one = backup(f->r, 1);
	struct collect_result result;

	assert_int_equal(test_count(f->s, "packs/"), 2); /* the second has nodes only */
	OK(point_delete(f->r, &both, e));
	result = collect(f);
	assert_int_equal(result.dropped, 1);
	assert_true(result.copied > DISK_BLOCKS * BLOCK);
	assert_true(result.copied < DISK_BLOCKS * BLOCK + 20000);
	assert_backup(f, &one, 1);
	assert_tidy(f);
}

static void test_little_waste_stays(void **state)
{
	struct repo_fixture *f = *state;
	struct collect_options o = {.waste_percent = 60};
	struct uuid both = backup_two(f->r, 1, 2), one = backup(f->r, 1);
	struct collect_result result;

	OK(point_delete(f->r, &both, e));
	OK(collect_run(f->r, &o, &result, e));
	assert_int_equal(result.dropped, 0);
	o.waste_percent = 45;
	OK(collect_run(f->r, &o, &result, e));
	assert_int_equal(result.dropped, 1);
	assert_backup(f, &one, 1);
}

/* The process that collects goes on writing: it does not count on what went. */
static void test_going_on_afterwards(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1);
	struct collect_result result;
	struct disk d;
	size_t fresh;

	OK(point_delete(f->r, &one, e));
	OK(collect_run(f->r, &at_once, &result, e));
	content(&d, 1);
	OK(protect(f->r, NULL, &d, &one, &fresh, e));
	assert_int_equal(fresh, DISK_BLOCKS);
	disk_done(&d);
	assert_backup(f, &one, 1);
}

/* A process that had the repository open all the while, too. */
static void test_somebody_with_an_old_index(void **state)
{
	struct repo_fixture *f = *state;
	struct repo *old;
	struct uuid both = backup_two(f->r, 1, 2), one = backup(f->r, 1);
	struct disk d;
	size_t fresh;

	old = test_reopen(f->s);
	content(&d, 1);
	assert_point(old, &one, &d);
	OK(point_delete(f->r, &both, e));
	collect(f);
	assert_point(old, &one, &d);
	disk_done(&d);
	content(&d, 2);
	OK(protect(old, NULL, &d, &both, &fresh, e));
	assert_int_equal(fresh, DISK_BLOCKS);
	assert_point(old, &both, &d);
	disk_done(&d);
	repo_free(old);
	assert_backup(f, &both, 2);
}

static size_t all_objects(struct store *s)
{
	return test_count(s, "packs/") + test_count(s, "index/") + test_count(s, "points/") +
	       test_count(s, "epochs/") + test_count(s, "sessions/");
}

static void test_dry_run(void **state)
{
	struct repo_fixture *f = *state;
	struct collect_options o = {.dry_run = true};
	struct uuid one = backup(f->r, 1);
	struct collect_result dry, result;
	size_t before;

	backup(f->r, 2);
	OK(point_delete(f->r, &one, e));
	before = all_objects(f->s);
	OK(collect_run(f->r, &o, &dry, e));
	assert_int_equal(all_objects(f->s), before);
	result = collect(f);
	assert_int_equal(dry.dropped, 1);
	assert_int_equal(dry.dropped, result.dropped);
	assert_int_equal(dry.dropped_bytes, result.dropped_bytes);
	assert_int_equal(dry.needed, result.needed);
}

/* ---- writers, dead and alive ---- */

static void put_block(struct writer *w, uint32_t number)
{
	struct block_id id;
	struct disk d;

	content(&d, number);
	assert_int_equal(writer_put(w, d.data, BLOCK, &id, NULL), 1);
	disk_done(&d);
}

/* What a writer stored that never came to its end: published or not. */
static void test_what_dead_writers_left(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1);
	struct collect_result result;
	struct writer w;

	OK(writer_begin(&w, f->r, NULL, e));
	put_block(&w, 2);
	OK(session_publish(w.s, e));
	writer_end(&w);
	assert_int_equal(test_count(f->s, "packs/"), 2);
	result = collect(f);
	assert_int_equal(result.dropped, 1);
	assert_backup(f, &one, 1);
	assert_tidy(f);
}

static void stop_if_alive(void *arg, const char *what)
{
	if (strstr(what, "alive"))
		cancel_set(arg);
}

/* Packs that no run names: of a writer that is at it, perhaps, so they stay for as long as it is
 * there; and when it is dead, they go, whether there is anything else to do or not. */
static void packs_in_no_run(struct repo_fixture *f, bool dies)
{
	struct session_options o = {.pack_bytes = 1};
	struct cancel cancel = {0};
	struct collect_options dry = {.dry_run = true};
	struct collect_options patient = {.dead_after_us = UINT64_MAX,
					  .cancel = &cancel,
					  .doing = stop_if_alive,
					  .arg = &cancel};
	AUTO(repo) own = test_reopen(f->s);
	struct uuid one = backup(f->r, 1);
	struct collect_result result;
	struct writer w;

	OK(writer_begin(&w, f->r, &o, e));
	put_block(&w, 2);
	put_block(&w, 3);
	while (test_count(f->s, "packs/") < 2)
		;
	OK(collect_run(own, &dry, &result, e));
	assert_true(result.unfinished >= 1);
	assert_int_equal(result.dropped, 0);
	FAILS(ERR_CANCELLED, collect_run(own, &patient, &result, e));
	assert_int_equal(test_count(f->s, "sessions/"), 1);
	if (!dies)
		writer_end(&w);
	result = collect(f);
	assert_int_equal(result.unfinished, 0);
	assert_true(result.dropped >= 1);
	if (dies)
		writer_end(&w);
	assert_backup(f, &one, 1);
	assert_tidy(f);
}

static void test_packs_in_no_run(void **state)
{
	packs_in_no_run(*state, false);
}

static void test_packs_of_the_dead(void **state)
{
	packs_in_no_run(*state, true);
}

struct together {
	struct repo_fixture *f;
	struct uuid id;
	struct writer w;
	size_t told;
};

static void finish_writer(void *arg, size_t n)
{
	struct together *t = arg;
	AUTO(point) p = point_new();
	struct point_disk *d = point_add_disk(point_add_resource(p, "disk", "", "d", ""), "d");
	struct disk content_1;

	t->told += n;
	content(&content_1, 1);
	OK(writer_disk(&t->w, &content_1, NULL, NULL, &d->tree, NULL, e));
	OK(session_commit(t->w.s, p, e));
	t->id = p->id;
	disk_done(&content_1);
	writer_end(&t->w);
}

/*
 * A writer began before the collector, and counts on a pack that the collector wants to drop. The
 * collector waits for it, and copies what its checkpoint needs.
 */
static void test_waits_for_a_writer(void **state)
{
	struct repo_fixture *f = *state;
	struct together t = {.f = f};
	struct collect_options o = {
		.dead_after_us = UINT64_MAX, .waiting = finish_writer, .arg = &t};
	AUTO(repo) own = test_reopen(f->s);
	AUTO(repo) other = test_reopen(f->s);
	struct uuid one = backup(f->r, 1);
	struct collect_result result;

	OK(writer_begin(&t.w, other, NULL, e));
	OK(point_delete(f->r, &one, e));
	OK(collect_run(own, &o, &result, e));
	assert_int_equal(t.told, 1);
	assert_int_equal(result.dropped, 1);
	assert_true(result.copied > DISK_BLOCKS * BLOCK);
	assert_backup(f, &t.id, 1);
	assert_tidy(f);
}

/* One that is silent is revoked: its commit fails, and what it counted on may go. */
static void test_revokes_the_silent(void **state)
{
	struct repo_fixture *f = *state;
	struct collect_options o = {.dead_after_us = 500000};
	AUTO(repo) own = test_reopen(f->s);
	AUTO(point) p = point_new();
	struct uuid one = backup(f->r, 1);
	struct collect_result result;
	struct writer w;

	OK(writer_begin(&w, f->r, NULL, e));
	OK(point_delete(f->r, &one, e));
	OK(collect_run(own, &o, &result, e));
	assert_int_equal(result.dropped, 1);
	FAILS(ERR_CONFLICT, session_commit(w.s, p, e));
	writer_end(&w);
	assert_tidy(f);
}

static void stop_waiting(void *arg, size_t n)
{
	(void)n;
	cancel_set(arg);
}

static void test_stopped_while_waiting(void **state)
{
	struct repo_fixture *f = *state;
	struct cancel cancel = {0};
	struct collect_options o = {.dead_after_us = UINT64_MAX,
				    .cancel = &cancel,
				    .waiting = stop_waiting,
				    .arg = &cancel};
	AUTO(repo) own = test_reopen(f->s);
	struct uuid one = backup(f->r, 1), two = backup(f->r, 2);
	struct collect_result result;
	struct writer w;

	OK(writer_begin(&w, f->r, NULL, e));
	OK(point_delete(f->r, &one, e));
	FAILS(ERR_CANCELLED, collect_run(own, &o, &result, e));
	assert_int_equal(test_count(f->s, "packs/"), 2);
	assert_int_equal(test_count(f->s, "epochs/"), 1);
	writer_end(&w);
	result = collect(f);
	assert_int_equal(result.dropped, 1);
	assert_backup(f, &two, 2);
	assert_tidy(f);
}

/* ---- what others left ---- */

static void put_epoch(struct repo_fixture *f, size_t n_packs, size_t missing)
{
	struct pack_set set = {0};

	for (size_t i = 0; i < n_packs; i++) {
		uint8_t name[HASH_BYTES];
		char pack[STORE_KEY_MAX];

		test_nth(f->s, "packs/", i, pack);
		assert_true(pack_key_parse(pack, name));
		pack_set_add(&set, name);
	}
	for (size_t i = 0; i < missing; i++) {
		uint8_t name[HASH_BYTES] = {(uint8_t)i, 1};

		pack_set_add(&set, name);
	}
	OK(epoch_publish(f->r, &set, e));
	pack_set_done(&set);
}

/* A collector died after its epoch; a checkpoint needs its packs: they go all the same, copied. */
static void test_takes_over_an_epoch(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1), two = backup(f->r, 2);
	struct collect_result result;

	put_epoch(f, 2, 1);
	result = collect(f);
	assert_int_equal(result.dropped, 2);
	assert_true(result.copied > 2 * DISK_BLOCKS * BLOCK);
	assert_backup(f, &one, 1);
	assert_backup(f, &two, 2);
	assert_tidy(f);
}

/* And one that died at the very end. */
static void test_ends_an_epoch(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1);

	put_epoch(f, 0, 5);
	put_epoch(f, 0, 0);
	collect(f);
	assert_backup(f, &one, 1);
	assert_tidy(f);
}

/* ---- damage ---- */

static void test_damaged_point(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1), two = backup(f->r, 2);
	struct collect_result result;
	char key[STORE_KEY_MAX];
	size_t len, before;

	OK(point_delete(f->r, &one, e));
	point_key_name(&two, key);
	store_mem_bytes(f->s, key, &len)[len / 2] ^= 1;
	before = all_objects(f->s);
	FAILS(ERR_CORRUPT, collect_run(f->r, &at_once, &result, e));
	assert_int_equal(all_objects(f->s), before);
	store_mem_bytes(f->s, key, &len)[len / 2] ^= 1;
	assert_int_equal(collect(f).dropped, 1);
	assert_backup(f, &two, 2);
}

/* Something that is needed is missing: nothing goes. */
static void test_missing_pack(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1);
	char key[STORE_KEY_MAX];
	struct collect_result result;
	size_t before;

	test_nth(f->s, "packs/", 0, key);
	backup(f->r, 2);
	OK(point_delete(f->r, &one, e));
	OK(store_remove(f->s, key, e));
	/* The index still tells of it; it was not needed. */
	collect(f);
	assert_tidy(f);
	test_nth(f->s, "packs/", 0, key);
	OK(store_remove(f->s, key, e));
	before = all_objects(f->s);
	FAILS(ERR_CORRUPT, collect_run(f->r, &at_once, &result, e));
	assert_int_equal(all_objects(f->s), before);
}

/* A needed block in a pack that should be rewritten cannot be read: the pack stays, others go. */
static void test_damaged_block_that_is_needed(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid both = backup_two(f->r, 1, 2), one = backup(f->r, 1), three = backup(f->r, 3);
	struct collect_result result;
	char key[STORE_KEY_MAX];
	uint64_t size;
	size_t len;

	for (size_t i = 0;; i++) { /* the largest one is that of both */
		test_nth(f->s, "packs/", i, key);
		OK(store_size(f->s, key, &size, e));
		if (size > 2 * DISK_BLOCKS * BLOCK)
			break;
	}
	store_mem_bytes(f->s, key, &len)[5 * BLOCK] ^= 1;
	OK(point_delete(f->r, &both, e));
	OK(point_delete(f->r, &three, e));
	result = collect(f);
	assert_int_equal(result.kept, 1);
	assert_int_equal(result.dropped, 1);
	OK(store_size(f->s, key, &size, e));
	/* Whole again, it goes, too. */
	store_mem_bytes(f->s, key, &len)[5 * BLOCK] ^= 1;
	result = collect(f);
	assert_int_equal(result.kept, 0);
	assert_int_equal(result.dropped, 1);
	assert_backup(f, &one, 1);
	assert_tidy(f);
}

/* A run is lost: what it held is told by the packs, and does not go. */
static void test_lost_run(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid one = backup(f->r, 1), two;
	char key[STORE_KEY_MAX];

	test_nth(f->s, "index/", 0, key);
	two = backup(f->r, 2);
	OK(store_remove(f->s, key, e));
	assert_int_equal(collect(f).dropped, 0);
	assert_backup(f, &one, 1);
	assert_backup(f, &two, 2);
	OK(point_delete(f->r, &one, e));
	assert_int_equal(collect(f).dropped, 1);
	assert_backup(f, &two, 2);
	assert_tidy(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_up, repo_fixture_down)
	const struct CMUnitTest tests[] = {
		T(test_nothing_to_do),
		T(test_all_of_a_pack),
		T(test_part_of_a_pack),
		T(test_little_waste_stays),
		T(test_going_on_afterwards),
		T(test_somebody_with_an_old_index),
		T(test_dry_run),
		T(test_what_dead_writers_left),
		T(test_packs_in_no_run),
		T(test_packs_of_the_dead),
		T(test_waits_for_a_writer),
		T(test_revokes_the_silent),
		T(test_stopped_while_waiting),
		T(test_takes_over_an_epoch),
		T(test_ends_an_epoch),
		T(test_damaged_point),
		T(test_missing_pack),
		T(test_damaged_block_that_is_needed),
		T(test_lost_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
