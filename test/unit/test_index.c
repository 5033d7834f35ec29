/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index when all is well: finding, adding, merging, and others who do so at the same time.
 */
#include "index_fixture.h"

#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"
#include "repo/box.h"

static void test_add_and_find(void **state)
{
	struct index_fixture *f = *state;
	uint8_t names[3][HASH_BYTES];

	assert_not_knows(f->ix, 0, 3);
	add_pack(f, 0, 1, names[0]);
	add_pack(f, 1, 1500, names[1]);
	add_pack(f, 2000, 600, names[2]);
	assert_knows(f->ix, 0, 1, names[0]);
	assert_knows(f->ix, 1, 1500, names[1]);
	assert_knows(f->ix, 2000, 600, names[2]);
	assert_not_knows(f->ix, 5000, 500);
	assert_state(f->ix, 3, 2101, 0);
}

static void test_nothing_to_add(void **state)
{
	struct index_fixture *f = *state;

	OK(index_add(f->ix, f->ss, NULL, 0, NULL, 0, e));
	assert_int_equal(test_count(f->s, "index/"), 0);
	assert_state(f->ix, 0, 0, 0);
	index_free(NULL);
}

static void test_others_see_it_after_a_refresh(void **state)
{
	struct index_fixture *f = *state;
	struct index *other = index_new(f->s, f->keys);

	add_pack(f, 0, 10, NULL);
	assert_not_knows(other, 0, 10);
	OK(index_refresh(other, e));
	assert_knows(other, 0, 10, NULL);
	index_free(other);
}

/* A second lookup reads nothing; a refresh opens no run twice. */
static void test_what_is_known_is_not_read_again(void **state)
{
	struct index_fixture *f = *state;

	add_pack(f, 0, 400, NULL);
	assert_knows(f->ix, 0, 400, NULL);
	memset(f->calls, 0, sizeof(f->calls));
	assert_knows(f->ix, 0, 400, NULL);
	assert_int_equal(f->calls[HOOK_GET], 0);
	OK(index_refresh(f->ix, e));
	assert_int_equal(f->calls[HOOK_GET], 0);
	assert_int_equal(f->calls[HOOK_LIST], 1);
}

static void test_several_places(void **state)
{
	struct index_fixture *f = *state;
	uint8_t names[6][HASH_BYTES];

	for (int i = 0; i < 6; i++) {
		add_pack(f, 0, 3, names[i]);
		assert_int_equal(places_of(f->ix, 1, NULL, true), MIN(i + 1, INDEX_PLACES));
		assert_int_equal(places_of(f->ix, 1, NULL, false), 1);
		assert_knows(f->ix, 0, 3, names[i]); /* the newest comes first */
	}
}

/* The same run under two names, as after a merge that was interrupted. */
static void test_one_place_in_two_runs(void **state)
{
	struct index_fixture *f = *state;
	struct run_entry r = {numbered(1), 0, 64, 21, BLOCK_DATA, BLOCK_RAW};
	static const uint8_t pack[1][HASH_BYTES] = {{1}};

	OK(index_add(f->ix, f->ss, &r, 1, pack, 1, e));
	OK(index_add(f->ix, f->ss, &r, 1, pack, 1, e));
	assert_state(f->ix, 2, 2, 0);
	assert_int_equal(places_of(f->ix, 1, NULL, true), 1);
}

static int by_name(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

static void test_packs_that_do_not_count(void **state)
{
	struct index_fixture *f = *state;
	uint8_t names[4][HASH_BYTES];
	struct pack_set set = {names, 2};

	for (int i = 0; i < 4; i++)
		add_pack(f, i == 2 ? 0 : (uint64_t)i * 100, 3, names[i]);
	/* 0: packs 0 and 2; 100: pack 1; 300: pack 3. Packs 0 and 1 go. */
	qsort(names, 2, HASH_BYTES, by_name);
	assert_int_equal(places_of(f->ix, 0, &set, false), 1);
	assert_int_equal(places_of(f->ix, 0, &set, true), 1);
	assert_int_equal(places_of(f->ix, 0, NULL, true), 2);
	assert_int_equal(places_of(f->ix, 100, &set, true), 0);
	assert_int_equal(places_of(f->ix, 100, NULL, true), 1);
	assert_int_equal(places_of(f->ix, 300, &set, true), 1);
	assert_false(pack_set_has(NULL, names[0]));
	assert_true(pack_set_has(&set, names[0]));
	assert_false(pack_set_has(&set, names[3]));
}

/* A run with one entry in a group, so that there are more groups than the cache takes. */
static void test_more_groups_than_cached(void **state)
{
	enum { N = 1500 };
	struct index_fixture *f = *state;
	AUTO_FREE struct run_entry *entries = xcalloc(N, sizeof(*entries));
	static const uint8_t name[HASH_BYTES] = {5};
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF box = BUF_INIT;
	char key[STORE_KEY_MAX];
	uint8_t raw[RUN_ENTRY];

	for (uint64_t i = 0; i < N; i++)
		entries[i] = (struct run_entry){numbered(i), 0, 64, 5 + SEAL_TAG, BLOCK_DATA, 0};
	run_sort(entries, N);
	buf_u32(&body, 1);
	buf_u32(&body, 1);
	buf_u64(&body, N);
	buf_u32(&body, 1);
	buf_fill(&body, 0, 4 + 8 + 32);
	buf_fill(&body, 0xcc, HASH_BYTES);
	for (size_t i = 0; i < N; i++)
		buf_add(&body, entries[i].id.b, 8);
	for (size_t i = 0; i < N; i++) {
		run_entry_encode(&entries[i], raw);
		buf_add(&body, raw, RUN_ENTRY);
	}
	box_seal(keyring_key(f->keys, 1, NULL), 1, BOX_RUN, body.data, body.len, &box);
	run_key_name(name, key);
	OK(store_put_new(f->s, key, box.data, box.len, e));
	OK(index_refresh(f->ix, e));
	assert_state(f->ix, 1, N, 0);
	for (int round = 0; round < 2; round++)
		assert_knows(f->ix, 0, N, NULL);
	assert_not_knows(f->ix, N, 100);
}

/* Where there is no room for a filter, its pages keep unknown blocks from costing a look at the
 * entries. */
static void test_filter_by_pages(void **state)
{
	enum { N = 30000 };
	const uint64_t usual = index_filters_max;
	struct index_fixture *f = *state;
	struct index *ix;

	add_pack(f, 0, N, NULL);
	index_filters_max = 0;
	ix = index_new(f->s, f->keys);
	OK(index_refresh(ix, e));
	f->calls[HOOK_GET] = 0;
	assert_not_knows(ix, N, 500);
	assert_true(f->calls[HOOK_GET] > 0 && f->calls[HOOK_GET] < 30);
	assert_knows(ix, 0, N, NULL);
	index_free(ix);
	index_filters_max = usual;
}

/* ---- names ---- */

static void test_other_objects_are_ignored(void **state)
{
	static const char digits[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct index_fixture *f = *state;
	char key[STORE_KEY_MAX];

	add_pack(f, 0, 5, NULL);
	OK(store_put_new(f->s, "index/README", "x", 1, e));
	snprintf(key, sizeof(key), "index/%s0", digits);
	OK(store_put_new(f->s, key, "x", 1, e));
	snprintf(key, sizeof(key), "index/%.63s", digits);
	OK(store_put_new(f->s, key, "x", 1, e));
	snprintf(key, sizeof(key), "index/%.63sg", digits);
	OK(store_put_new(f->s, key, "x", 1, e));
	snprintf(key, sizeof(key), "index/%.63sF", digits);
	OK(store_put_new(f->s, key, "x", 1, e));
	memset(f->calls, 0, sizeof(f->calls));
	OK(index_refresh(f->ix, e));
	assert_int_equal(f->calls[HOOK_LIST], 1);
	assert_state(f->ix, 1, 5, 0);
	assert_knows(f->ix, 0, 5, NULL);
}

/* ---- merging ---- */

static void test_tidy_merges_eight(void **state)
{
	struct index_fixture *f = *state;
	struct index *other = index_new(f->s, f->keys);

	for (uint64_t i = 0; i < 7; i++)
		add_pack(f, i * 10, 10, NULL);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 7, 70, 0);
	add_pack(f, 70, 10, NULL);
	OK(index_refresh(other, e));
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 80, 0);
	assert_int_equal(test_count(f->s, "index/"), 1);
	assert_knows(f->ix, 0, 80, NULL);
	/* Whoever has the old runs finds them gone, and looks again. */
	assert_state(other, 8, 80, 0);
	assert_knows(other, 0, 80, NULL);
	assert_state(other, 1, 80, 0);
	index_free(other);
}

/* Runs of unlike sizes stay apart. */
static void test_tidy_keeps_levels_apart(void **state)
{
	struct index_fixture *f = *state;

	for (uint64_t i = 0; i < 7; i++) {
		add_pack(f, i * 10, 10, NULL);
		add_pack(f, 10000 + i * 1100, 1100, NULL);
	}
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 14, 7 * 1110, 0);
	add_pack(f, 70, 10, NULL);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 8, 7 * 1110 + 10, 0);
	assert_knows(f->ix, 0, 80, NULL);
	assert_knows(f->ix, 10000, 7700, NULL);
}

/* A copy of what a collector is about to remove could appear after it has looked for the last time.
 */
static void test_tidy_leaves_condemned_packs_alone(void **state)
{
	struct index_fixture *f = *state;
	struct pack_set set = {xcalloc(1, HASH_BYTES), 1};

	add_pack(f, 0, 10, set.names[0]);
	for (uint64_t i = 1; i < 8; i++)
		add_pack(f, i * 10, 10, NULL);
	OK(index_tidy(f->ix, f->ss, &set, e));
	assert_state(f->ix, 8, 80, 0);
	add_pack(f, 80, 10, NULL);
	OK(index_tidy(f->ix, f->ss, &set, e));
	assert_state(f->ix, 2, 90, 0);
	for (uint64_t i = 0; i < 10; i++) {
		assert_int_equal(places_of(f->ix, i, NULL, true), 1);
		assert_int_equal(places_of(f->ix, i, &set, true), 0);
	}
	assert_knows(f->ix, 10, 80, NULL);
	pack_set_done(&set);
}

/* Removing the old runs failed: the new one supersedes them all the same. */
static int fail_removes(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	(void)key;
	if (call == HOOK_REMOVE && !after)
		return err_set(e, ERR_IO, "failed on purpose");
	return 0;
}

static void test_superseded_runs_do_not_count(void **state)
{
	struct index_fixture *f = *state;
	struct index *other = index_new(f->s, f->keys);

	for (uint64_t i = 0; i < 8; i++)
		add_pack(f, i, 1, NULL);
	f->hook = fail_removes;
	FAILS(ERR_IO, index_tidy(f->ix, f->ss, NULL, e));
	f->hook = NULL;
	assert_int_equal(test_count(f->s, "index/"), 9);
	OK(index_refresh(other, e));
	assert_state(other, 1, 8, 0);
	assert_int_equal(places_of(other, 3, NULL, true), 1);
	index_free(other);
}

/* ---- others at the same time ---- */

struct other {
	struct index_fixture *f;
	bool armed;
};

/* Another merger takes a run away while this one reads them. */
static int take_away(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct other *o = arg;
	char name[STORE_KEY_MAX];

	if (!o->armed || after || call != HOOK_GET || strncmp(key, "index/", 6) != 0)
		return 0;
	o->armed = false;
	test_nth(o->f->inner, "index/", 4, name);
	return store_remove(o->f->inner, name, e);
}

static void test_tidy_loses_a_race(void **state)
{
	struct index_fixture *f = *state;
	struct other o = {f, true};

	for (uint64_t i = 0; i < 8; i++)
		add_pack(f, i, 1, NULL);
	f->hook = take_away;
	f->hook_arg = &o;
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_false(o.armed);
	assert_state(f->ix, 7, 7, 0);
}

/* Another thread of this program refreshes when the run is there but not in use yet. */
static int refresh_first(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct other *o = arg;

	if (!after || call != HOOK_FINISH || strncmp(key, "index/", 6) != 0)
		return 0;
	return index_refresh(o->f->ix, e);
}

static void test_run_is_used_once(void **state)
{
	struct index_fixture *f = *state;
	struct other o = {f, true};

	f->hook = refresh_first;
	f->hook_arg = &o;
	add_pack(f, 0, 5, NULL);
	assert_state(f->ix, 1, 5, 0);
	assert_knows(f->ix, 0, 5, NULL);
}

struct crowd {
	struct index_fixture *f;
	atomic_bool done;
	atomic_uint bad;
};

static void look_or_merge(void *arg, unsigned number)
{
	struct crowd *c = arg;
	struct random rnd = {number + 1};
	struct location places[INDEX_PLACES];
	size_t n;

	if (number == 0) {
		for (int i = 0; i < 5; i++)
			atomic_fetch_add(&c->bad, index_tidy(c->f->ix, c->f->ss, NULL, NULL) < 0);
		atomic_store(&c->done, true);
		return;
	}
	do {
		struct block_id id = numbered(random_below(&rnd, 400));

		if (index_find(c->f->ix, &id, NULL, number == 1, places, &n, NULL) < 0 || n != 1)
			atomic_fetch_add(&c->bad, 1);
		if (number == 2 && index_refresh(c->f->ix, NULL) < 0)
			atomic_fetch_add(&c->bad, 1);
	} while (!atomic_load(&c->done));
}

static void test_threads_look_while_runs_are_merged(void **state)
{
	struct index_fixture *f = *state;
	struct crowd c = {.f = f};

	for (uint64_t i = 0; i < 40; i++)
		add_pack(f, i * 10, 10, NULL);
	test_threads(4, look_or_merge, &c);
	assert_int_equal(atomic_load(&c.bad), 0);
	assert_state(f->ix, 1, 400, 0);
}

/* ---- a store that fails ---- */

struct failing {
	enum hook_call call;
	enum err_kind kind;
	unsigned skip;
};

static int fail_one(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct failing *fa = arg;

	(void)key;
	if (after || call != fa->call)
		return 0;
	if (fa->skip) {
		fa->skip--;
		return 0;
	}
	return err_set(e, fa->kind, "failed on purpose");
}

static void test_failures_are_told(void **state)
{
	struct index_fixture *f = *state;
	struct index *other = index_new(f->s, f->keys);
	struct location places[INDEX_PLACES];
	struct block_id id = numbered(1);
	struct failing fa = {HOOK_LIST, ERR_IO, 0};
	size_t n = 99;

	add_pack(f, 0, 5, NULL);
	f->hook = fail_one;
	f->hook_arg = &fa;
	FAILS(ERR_IO, index_refresh(other, e));
	FAILS(ERR_IO, index_tidy(f->ix, f->ss, NULL, e));
	fa.call = HOOK_GET;
	for (unsigned i = 0; i < 3; i++) {
		fa.skip = i;
		FAILS(ERR_IO, index_refresh(other, e));
		assert_state(other, 0, 0, 0);
	}
	fa.skip = 0;
	FAILS(ERR_IO, index_find(f->ix, &id, NULL, false, places, &n, e));
	/* Gone, and still listed, however often one looks. */
	fa.kind = ERR_NOENT;
	FAILS(ERR_NOENT, index_find(f->ix, &id, NULL, false, places, &n, e));
	OK(index_refresh(other, e));
	assert_state(other, 0, 0, 0);
	assert_int_equal(n, 99);
	f->hook = NULL;
	assert_knows(f->ix, 0, 5, NULL);
	OK(index_refresh(other, e));
	assert_knows(other, 0, 5, NULL);
	index_free(other);
}

static void test_failing_add(void **state)
{
	struct index_fixture *f = *state;
	struct run_entry r = {numbered(1), 0, 64, 21, BLOCK_DATA, BLOCK_RAW};
	static const uint8_t pack[1][HASH_BYTES] = {{1}};
	struct failing fa = {HOOK_FINISH, ERR_NOSPACE, 0};

	f->hook = fail_one;
	f->hook_arg = &fa;
	FAILS(ERR_NOSPACE, index_add(f->ix, f->ss, &r, 1, pack, 1, e));
	assert_state(f->ix, 0, 0, 0);
	fa = (struct failing){HOOK_GET, ERR_IO, 0}; /* it cannot be opened */
	FAILS(ERR_IO, index_add(f->ix, f->ss, &r, 1, pack, 1, e));
	assert_state(f->ix, 0, 0, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, index_fixture_set_up, index_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_add_and_find),
		T(test_nothing_to_add),
		T(test_others_see_it_after_a_refresh),
		T(test_what_is_known_is_not_read_again),
		T(test_several_places),
		T(test_one_place_in_two_runs),
		T(test_packs_that_do_not_count),
		T(test_more_groups_than_cached),
		T(test_filter_by_pages),
		T(test_other_objects_are_ignored),
		T(test_tidy_merges_eight),
		T(test_tidy_keeps_levels_apart),
		T(test_tidy_leaves_condemned_packs_alone),
		T(test_superseded_runs_do_not_count),
		T(test_tidy_loses_a_race),
		T(test_run_is_used_once),
		T(test_threads_look_while_runs_are_merged),
		T(test_failures_are_told),
		T(test_failing_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
