/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index when runs are lost or damaged: what they held is found in the packs, and tidying writes
 * it down again.
 */
#include "index_fixture.h"

#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "repo/box.h"

/* The name of the n-th run in the store. */
static void run_name(struct index_fixture *f, size_t n, char key[STORE_KEY_MAX])
{
	test_nth(f->inner, "index/", n, key);
}

static void lose_runs(struct index_fixture *f)
{
	char key[STORE_KEY_MAX];

	while (test_count(f->inner, "index/")) {
		run_name(f, 0, key);
		OK(store_remove(f->inner, key, e));
	}
}

/* An index that knows nothing yet. */
static void start_over(struct index_fixture *f)
{
	index_free(f->ix);
	f->ix = index_new(f->s, f->keys);
	OK(index_refresh(f->ix, e));
}

/* What is written must be good for an index that sees no damage. */
static void assert_healed(struct index_fixture *f, uint64_t first, size_t n)
{
	start_over(f);
	memset(f->calls, 0, sizeof(f->calls));
	assert_knows(f->ix, first, n, NULL);
	assert_int_equal(f->calls[HOOK_LIST], 0);
}

static void test_lost_run(void **state)
{
	struct index_fixture *f = *state;
	uint8_t name[HASH_BYTES];

	add_pack(f, 0, 20, name);
	lose_runs(f);
	start_over(f);
	assert_not_knows(f->ix, 0, 20);
	OK(index_search_packs(f->ix, e));
	assert_knows(f->ix, 0, 20, name);
	assert_state(f->ix, 0, 0, 0);
	/* The packs are read once. */
	memset(f->calls, 0, sizeof(f->calls));
	OK(index_search_packs(f->ix, e));
	OK(index_refresh(f->ix, e));
	assert_int_equal(f->calls[HOOK_GET], 0);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 20, 0);
	assert_healed(f, 0, 20);
}

/* Only packs that no run lists are read. */
static void test_listed_packs_are_not_read(void **state)
{
	struct index_fixture *f = *state;
	char key[STORE_KEY_MAX];

	add_pack(f, 0, 20, NULL);
	run_name(f, 0, key);
	OK(store_remove(f->inner, key, e));
	for (uint64_t i = 1; i <= 5; i++)
		add_pack(f, i * 100, 20, NULL);
	start_over(f);
	memset(f->calls, 0, sizeof(f->calls));
	OK(index_search_packs(f->ix, e));
	assert_int_equal(f->calls[HOOK_GET], 3); /* head, trailer, directory */
	assert_knows(f->ix, 0, 20, NULL);
}

/* Lost after the packs were searched already. */
static void test_lost_later(void **state)
{
	struct index_fixture *f = *state;

	add_pack(f, 0, 20, NULL);
	OK(index_search_packs(f->ix, e));
	lose_runs(f);
	OK(index_refresh(f->ix, e));
	assert_knows(f->ix, 0, 20, NULL);
}

static void test_damaged_run(void **state)
{
	struct index_fixture *f = *state;
	uint8_t names[2][HASH_BYTES];
	char key[STORE_KEY_MAX];

	add_pack(f, 0, 20, names[0]);
	add_pack(f, 100, 20, names[1]);
	run_name(f, 0, key);
	damage(f->inner, key, 100);
	start_over(f);
	assert_state(f->ix, 1, 20, 1);
	assert_knows(f->ix, 0, 20, names[0]);
	assert_knows(f->ix, 100, 20, names[1]);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 2, 40, 0);
	assert_int_equal(test_count(f->inner, "index/"), 2);
	assert_healed(f, 0, 20);
	assert_knows(f->ix, 100, 20, names[1]);
}

/* Whatever byte of it: the run is not used, and all is known. */
static void test_damage_anywhere_in_a_run(void **state)
{
	struct index_fixture *f = *state;
	char key[STORE_KEY_MAX];
	size_t len;

	add_pack(f, 0, 3, NULL);
	run_name(f, 0, key);
	store_mem_bytes(f->inner, key, &len);
	for (size_t i = 0; i < len; i++) {
		struct index *ix = index_new(f->s, f->keys);

		/* Also where it says of itself that it is newer: its name knows better. */
		damage(f->inner, key, (long)i);
		OK(index_refresh(ix, e));
		assert_state(ix, 0, 0, 1);
		assert_knows(ix, 0, 3, NULL);
		damage(f->inner, key, (long)i);
		index_free(ix);
	}
}

/* The run opens, and is found to be damaged when a group of it is read. */
static void test_damage_found_by_a_lookup(void **state)
{
	struct index_fixture *f = *state;
	uint8_t name[HASH_BYTES];
	char key[STORE_KEY_MAX];

	add_pack(f, 0, 2000, name);
	run_name(f, 0, key);
	damage(f->inner, key, -1);
	start_over(f);
	assert_state(f->ix, 1, 2000, 0);
	assert_knows(f->ix, 0, 2000, name);
	assert_state(f->ix, 0, 0, 1);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 2000, 0);
	assert_healed(f, 0, 2000);
}

/* It is found by merging it, while nobody looks anything up. */
static void test_damage_found_by_a_merge(void **state)
{
	struct index_fixture *f = *state;
	char key[STORE_KEY_MAX];

	for (uint64_t i = 0; i < 8; i++)
		add_pack(f, i * 1000, 1000, NULL);
	run_name(f, 3, key);
	damage(f->inner, key, -1);
	start_over(f);
	assert_state(f->ix, 8, 8000, 0);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 8000, 0);
	assert_int_equal(test_count(f->inner, "index/"), 1);
	assert_healed(f, 0, 8000);
}

/* A damaged run that another one supersedes does not matter. */
static int keep_runs(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	(void)key;
	if (call == HOOK_REMOVE && !after)
		return err_set(e, ERR_IO, "failed on purpose");
	return 0;
}

static void test_damaged_and_superseded(void **state)
{
	struct index_fixture *f = *state;
	char key[STORE_KEY_MAX];

	for (uint64_t i = 0; i < 8; i++)
		add_pack(f, i, 1, NULL);
	f->hook = keep_runs;
	FAILS(ERR_IO, index_tidy(f->ix, f->ss, NULL, e));
	f->hook = NULL;
	assert_int_equal(test_count(f->inner, "index/"), 9);
	run_name(f, 2, key);
	damage(f->inner, key, 80);
	memset(f->calls, 0, sizeof(f->calls));
	start_over(f);
	assert_state(f->ix, 1, 8, 0);
	assert_int_equal(f->calls[HOOK_LIST], 1); /* the packs are not searched */
	assert_knows(f->ix, 0, 8, NULL);
}

/* A block in two packs, neither of which a run lists: one of them may be damaged. */
static void test_all_places_are_recovered(void **state)
{
	struct index_fixture *f = *state;
	struct pack_set set = {xcalloc(1, HASH_BYTES), 1};

	add_pack_only(f, 0, 20, NULL);
	add_pack_only(f, 0, 20, NULL);
	add_pack_only(f, 0, 20, set.names[0]);
	OK(index_search_packs(f->ix, e));
	for (uint64_t i = 0; i < 20; i++) {
		assert_int_equal(places_of(f->ix, i, NULL, true), 3);
		assert_int_equal(places_of(f->ix, i, &set, true), 2);
	}
	pack_set_done(&set);
}

/* ---- healing and collectors ---- */

/* A pack that no run lists goes, and no run tells. Who begins to write must not count on it. */
static void test_renewed_without_packs_that_went(void **state)
{
	struct index_fixture *f = *state;
	uint8_t names[2][HASH_BYTES];
	char key[STORE_KEY_MAX];

	add_pack_only(f, 0, 20, names[0]);
	add_pack_only(f, 100, 20, names[1]);
	OK(index_search_packs(f->ix, e));
	assert_knows(f->ix, 0, 20, names[0]);
	pack_key_name(names[0], key);
	OK(store_remove(f->s, key, e));
	OK(index_renew(f->ix, e));
	assert_not_knows(f->ix, 0, 20);
	assert_knows(f->ix, 100, 20, names[1]);
	/* And what it would write into a run is without it, too. */
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 20, 0);
}

static bool run_names_pack(struct index_fixture *f, const uint8_t pack[HASH_BYTES])
{
	uint8_t name[HASH_BYTES];
	char key[STORE_KEY_MAX];
	AUTO(run) r = NULL;

	run_name(f, 0, key);
	assert_true(hex_decode(key + strlen("index/"), HASH_BYTES, name));
	r = OK_PTR(run_open(f->s, f->keys, name, 0, e));
	for (size_t i = 0; i < r->n_packs; i++) {
		if (memcmp(r->packs[i], pack, HASH_BYTES) == 0)
			return true;
	}
	return false;
}

/* What a collector is about to remove is not brought back, not even as a name. */
static void test_healing_leaves_condemned_packs_out(void **state)
{
	struct index_fixture *f = *state;
	struct pack_set set = {xcalloc(1, HASH_BYTES), 1};
	uint8_t others[2][HASH_BYTES];

	add_pack_only(f, 0, 20, others[0]);
	add_pack_only(f, 100, 20, set.names[0]);
	add_pack_only(f, 200, 20, others[1]);
	OK(index_search_packs(f->ix, e));
	assert_knows(f->ix, 100, 20, set.names[0]);
	OK(index_tidy(f->ix, f->ss, &set, e));
	assert_int_equal(test_count(f->inner, "index/"), 1);
	assert_false(run_names_pack(f, set.names[0]));
	start_over(f);
	assert_state(f->ix, 1, 40, 0);
	assert_knows(f->ix, 0, 20, others[0]);
	assert_knows(f->ix, 200, 20, others[1]);
	assert_not_knows(f->ix, 100, 20);
	pack_set_done(&set);
}

static void test_nothing_to_heal_with(void **state)
{
	struct index_fixture *f = *state;
	struct pack_set set = {xcalloc(1, HASH_BYTES), 1};

	add_pack_only(f, 0, 20, set.names[0]);
	OK(index_search_packs(f->ix, e));
	OK(index_tidy(f->ix, f->ss, &set, e));
	assert_int_equal(test_count(f->inner, "index/"), 0);
	assert_knows(f->ix, 0, 20, set.names[0]);
	pack_set_done(&set);
}

/* With a pack that cannot be read either, the damaged runs stay: what they held is not known. What
 * is known is written beside them. */
static void test_damaged_pack_too(void **state)
{
	struct index_fixture *f = *state;
	uint8_t names[2][HASH_BYTES];
	char key[STORE_KEY_MAX];

	add_pack(f, 0, 20, names[0]);
	add_pack(f, 100, 20, names[1]);
	for (size_t i = 0; i < 2; i++) {
		run_name(f, i, key);
		damage(f->inner, key, 100);
	}
	pack_key_name(names[0], key);
	damage(f->inner, key, -1);
	start_over(f);
	assert_not_knows(f->ix, 0, 20);
	assert_knows(f->ix, 100, 20, names[1]);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 20, 2);
	assert_int_equal(test_count(f->inner, "index/"), 3);
	/* Once. */
	start_over(f);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_int_equal(test_count(f->inner, "index/"), 3);
	/* When the pack is whole again, so is the index. */
	damage(f->inner, key, -1);
	start_over(f);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 2, 40, 0);
	assert_healed(f, 0, 20);
}

/* All that a damaged run can have named is gone, or in other runs: then it goes, too. */
static void test_damaged_run_of_nothing(void **state)
{
	struct index_fixture *f = *state;
	uint8_t name[HASH_BYTES];
	char key[STORE_KEY_MAX];

	add_pack(f, 0, 20, name);
	run_name(f, 0, key);
	damage(f->inner, key, 100);
	pack_key_name(name, key);
	OK(store_remove(f->s, key, e));
	start_over(f);
	assert_state(f->ix, 0, 0, 1);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 0, 0, 0);
	assert_int_equal(test_count(f->inner, "index/"), 0);
}

/* Objects under packs/ that are no packs do not stand in the way. */
static void test_other_objects_among_packs(void **state)
{
	struct index_fixture *f = *state;
	char key[STORE_KEY_MAX], other[STORE_KEY_MAX];
	uint8_t name[HASH_BYTES];

	add_pack_only(f, 0, 20, name);
	pack_key_name(name, key);
	OK(store_put_new(f->s, "packs/README", "x", 1, e));
	snprintf(other, sizeof(other), "packs/zz/%s", key + strlen("packs/XX/"));
	OK(store_put_new(f->s, other, "x", 1, e));
	/* A name whose first digits are not those of its folder. */
	snprintf(other, sizeof(other), "packs/%.2s/ff00%s", key + strlen("packs/"),
		 key + strlen("packs/XX/") + 4);
	OK(store_put_new(f->s, other, "x", 1, e));
	memset(other + strlen("packs/XX/"), 'A', 64);
	memset(other + strlen("packs/"), 'A', 2);
	OK(store_put_new(f->s, other, "x", 1, e));
	OK(index_search_packs(f->ix, e));
	assert_knows(f->ix, 0, 20, name);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 20, 0);
}

/* A pack that a collector removes while the packs are searched is no damage. */
static int remove_listed(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct index_fixture *f = arg;

	if (call == HOOK_GET && !after && strncmp(key, "packs/", 6) == 0) {
		f->hook = NULL;
		return store_remove(f->inner, key, e);
	}
	return 0;
}

static void test_pack_goes_while_searching(void **state)
{
	struct index_fixture *f = *state;

	add_pack_only(f, 0, 20, NULL);
	add_pack_only(f, 100, 20, NULL);
	f->hook = remove_listed;
	f->hook_arg = f;
	OK(index_search_packs(f->ix, e));
	assert_not_knows(f->ix, 0, 20);
	assert_knows(f->ix, 100, 20, NULL);
	OK(index_tidy(f->ix, f->ss, NULL, e));
	assert_state(f->ix, 1, 20, 0);
}

/* ---- failures ---- */

static int fail_packs(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	if (call == HOOK_LIST && !after && strcmp(key, "packs/") == 0)
		return err_set(e, ERR_IO, "failed on purpose");
	return 0;
}

static void test_search_that_fails_is_done_again(void **state)
{
	struct index_fixture *f = *state;

	add_pack_only(f, 0, 20, NULL);
	f->hook = fail_packs;
	FAILS(ERR_IO, index_search_packs(f->ix, e));
	FAILS(ERR_IO, index_refresh(f->ix, e));
	f->hook = NULL;
	OK(index_refresh(f->ix, e));
	assert_knows(f->ix, 0, 20, NULL);
}

static void test_healing_that_fails(void **state)
{
	struct index_fixture *f = *state;
	char key[STORE_KEY_MAX];

	add_pack(f, 0, 20, NULL);
	run_name(f, 0, key);
	damage(f->inner, key, 100);
	start_over(f);
	f->hook = keep_runs; /* the new run is written, the damaged one stays */
	FAILS(ERR_IO, index_tidy(f->ix, f->ss, NULL, e));
	f->hook = NULL;
	assert_int_equal(test_count(f->inner, "index/"), 2);
	assert_healed(f, 0, 20);
	assert_state(f->ix, 1, 20, 0); /* it is superseded */
}

static void test_run_of_a_newer_version(void **state)
{
	struct index_fixture *f = *state;
	static const uint8_t body[64] = {2};
	uint8_t name[HASH_BYTES];
	AUTO_BUF box = BUF_INIT;
	char key[STORE_KEY_MAX];

	box_seal(keyring_key(f->keys, 1, NULL), 1, BOX_RUN, body, sizeof(body), &box);
	sha256(box.data, box.len, name);
	run_key_name(name, key);
	OK(store_put_new(f->s, key, box.data, box.len, e));
	FAILS(ERR_VERSION, index_refresh(f->ix, e));
	/* One that only looks like it is damaged. */
	OK(store_remove(f->s, key, e));
	name[0] ^= 1;
	run_key_name(name, key);
	OK(store_put_new(f->s, key, box.data, box.len, e));
	OK(index_refresh(f->ix, e));
	assert_state(f->ix, 0, 0, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, index_fixture_set_up, index_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lost_run),
		T(test_listed_packs_are_not_read),
		T(test_lost_later),
		T(test_damaged_run),
		T(test_damage_anywhere_in_a_run),
		T(test_damage_found_by_a_lookup),
		T(test_damage_found_by_a_merge),
		T(test_damaged_and_superseded),
		T(test_all_places_are_recovered),
		T(test_renewed_without_packs_that_went),
		T(test_healing_leaves_condemned_packs_out),
		T(test_nothing_to_heal_with),
		T(test_damaged_pack_too),
		T(test_damaged_run_of_nothing),
		T(test_other_objects_among_packs),
		T(test_pack_goes_while_searching),
		T(test_search_that_fails_is_done_again),
		T(test_healing_that_fails),
		T(test_run_of_a_newer_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
