/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading blocks: from whichever place is whole, and never anything but what was stored.
 */
#include "fetch_fixture.h"

#include <string.h>

/* Block number `i`: compresses well. */
static void make_data(struct fetch_fixture *f, uint32_t i)
{
	memset(f->data, (int)i | 1, BLOCK);
	put_le32(f->data, i);
}

/* Store block number `i`, raw, in a pack of its own. */
static struct block_id store_block(struct fetch_fixture *f, struct repo *r, uint32_t i)
{
	struct put put = {BLOCK_DATA, BLOCK_RAW, {{0}}, f->data, BLOCK};

	make_data(f, i);
	codec_id(f->c, BLOCK_DATA, f->data, BLOCK, &put.id);
	store_payloads(r, &put, 1);
	return put.id;
}

static void assert_block(struct fetch_fixture *f, const struct block_id *id, uint32_t i)
{
	OK(fetch(f, id, e));
	make_data(f, i);
	assert_int_equal(memcmp(f->out, f->data, BLOCK), 0);
}

static void flip(struct fetch_fixture *f, const char *key, size_t at)
{
	size_t len;
	uint8_t *bytes = store_mem_bytes(f->inner, key, &len);

	assert_true(at < len);
	bytes[at] ^= 1;
}

static void lose_runs(struct fetch_fixture *f)
{
	char key[STORE_KEY_MAX];

	while (test_count(f->inner, "index/")) {
		test_nth(f->inner, "index/", 0, key);
		OK(store_remove(f->inner, key, e));
	}
}

/* A repository and a fetch that know nothing of before. */
static void start_over(struct fetch_fixture *f)
{
	fetch_free(f->f);
	repo_free(f->r);
	f->r = test_reopen(f->s);
	f->f = fetch_new(f->r);
}

/* ---- as it should be ---- */

static void test_blocks_and_nodes(void **state)
{
	struct fetch_fixture *f = *state;
	struct put puts[2] = {{BLOCK_DATA, BLOCK_RAW, {{0}}, "block", 5},
			      {BLOCK_NODE, BLOCK_RAW, {{0}}, "node", 4}};
	uint8_t out[8];
	size_t len;

	codec_id(f->c, BLOCK_DATA, "block", 5, &puts[0].id);
	codec_id(f->c, BLOCK_NODE, "node", 4, &puts[1].id);
	store_payloads(f->r, puts, 2);
	OK(fetch_block(f->f, BLOCK_DATA, &puts[0].id, out, sizeof(out), &len, e));
	assert_int_equal(len, 5);
	assert_memory_equal(out, "block", 5);
	OK(fetch_block(f->f, BLOCK_NODE, &puts[1].id, out, sizeof(out), &len, e));
	assert_int_equal(len, 4);
	assert_memory_equal(out, "node", 4);
	/* One is not the other. */
	FAILS(ERR_CORRUPT, fetch_block(f->f, BLOCK_NODE, &puts[0].id, out, sizeof(out), &len, e));
	FAILS(ERR_CORRUPT, fetch_block(f->f, BLOCK_DATA, &puts[1].id, out, sizeof(out), &len, e));
	FAILS(ERR_LIMIT, fetch_block(f->f, BLOCK_DATA, &puts[0].id, out, 4, &len, e));
	fetch_free(NULL);
}

static void test_unknown_block(void **state)
{
	struct fetch_fixture *f = *state;
	struct block_id id = {{1, 2, 3}};
	struct location l;
	struct err why = {0};

	store_block(f, f->r, 1);
	assert_int_equal(fetch(f, &id, &why), -1);
	assert_int_equal(why.kind, ERR_CORRUPT);
	assert_non_null(strstr(why.msg, "0102030000000000"));
	FAILS(ERR_CORRUPT, fetch_locate(f->f, &id, &l, e));
	assert_int_equal(fetch(f, &id, NULL), -1);
}

/* More packs than a fetch keeps keys of; those that it has are not made again. */
static void test_many_packs(void **state)
{
	enum { N = 70 };
	struct fetch_fixture *f = *state;
	struct block_id ids[N];

	for (uint32_t i = 0; i < N; i++)
		ids[i] = store_block(f, f->r, i);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < N; i++)
			assert_block(f, &ids[i], i);
	}
	/* Two packs by turns: no head is read again. */
	assert_block(f, &ids[3], 3);
	assert_block(f, &ids[4], 4);
	f->gets = 0;
	for (int i = 0; i < 10; i++) {
		assert_block(f, &ids[3], 3);
		assert_block(f, &ids[4], 4);
	}
	assert_int_equal(f->gets, 20);
}

/* What lies near each other is one read, in whatever order it is asked for. */
static void test_records(void **state)
{
	static const char *const text[3] = {"first", "second", "third"};
	struct fetch_fixture *f = *state;
	struct record_read x[3] = {0}, *order[3];
	AUTO_BUF in = BUF_INIT;
	struct put puts[3];
	size_t len;

	for (int i = 0; i < 3; i++) {
		puts[i] = (struct put){BLOCK_DATA, BLOCK_RAW, {{0}}, text[i], strlen(text[i])};
		codec_id(f->c, BLOCK_DATA, text[i], puts[i].n, &puts[i].id);
	}
	store_payloads(f->r, puts, 3);
	buf_text(&in, "what is there stays");
	len = in.len;
	for (int i = 0; i < 3; i++) {
		OK(fetch_locate(f->f, &puts[i].id, &x[i].at, e));
		order[2 - i] = &x[i];
	}
	f->gets = 0;
	fetch_records(f->f, order, 3, 1000, &in);
	assert_int_equal(f->gets, 1);
	assert_int_equal(in.len, len + x[0].at.at.stored + x[1].at.at.stored + x[2].at.at.stored);
	for (int i = 0; i < 3; i++) {
		assert_true(x[i].have);
		OK(fetch_decode(f->f, &x[i].at, in.data + x[i].in, f->out, BLOCK, &len, e));
		assert_int_equal(len, puts[i].n);
		assert_memory_equal(f->out, text[i], len);
	}
	/* Opened already: these bytes are no record any more. */
	FAILS(ERR_CORRUPT, fetch_decode(f->f, &x[0].at, in.data + x[0].in, f->out, BLOCK, &len, e));
}

/* What lies between them is read, too, but not more of it than may be. */
static void test_records_apart(void **state)
{
	struct fetch_fixture *f = *state;
	struct record_read x[3] = {0}, *order[3] = {&x[0], &x[1], &x[2]};
	struct put puts[3] = {{BLOCK_DATA, BLOCK_RAW, {{1}}, "first", 5},
			      {BLOCK_DATA, BLOCK_RAW, {{2}}, f->data, BLOCK / 2},
			      {BLOCK_DATA, BLOCK_RAW, {{3}}, "third", 5}};
	AUTO_BUF in = BUF_INIT;

	store_payloads(f->r, puts, 3);
	for (int i = 0; i < 3; i++)
		OK(fetch_locate(f->f, &puts[i].id, &x[i].at, e));
	x[1].at = x[2].at;
	for (int way = 0; way < 2; way++) {
		f->gets = 0;
		in.len = 0;
		fetch_records(f->f, order, 2, way ? BLOCK / 2 : BLOCK, &in);
		assert_int_equal(f->gets, way ? 2 : 1);
		assert_true(x[0].have && x[1].have);
	}
	/* One that cannot be read does not take the others with it. */
	x[2].at.pack[0] ^= 1;
	fetch_records(f->f, order, 3, BLOCK, &in);
	assert_true(x[0].have && x[1].have && !x[2].have);
}

/* ---- damage ---- */

/* Sealed rightly, but not what its id says: whoever wrote it had a defect. */
static void test_content_of_another_id(void **state)
{
	struct fetch_fixture *f = *state;
	struct put put = {BLOCK_DATA, BLOCK_RAW, {{0xaa}}, f->data, BLOCK};
	char key[STORE_KEY_MAX];
	struct location l;

	store_payloads(f->r, &put, 1);
	pack_of(f, &put.id, key, &l);
	assert_blames(f, &put.id, key);
}

static void test_damaged_record(void **state)
{
	struct fetch_fixture *f = *state;
	char key[STORE_KEY_MAX];
	struct location l;
	struct block_id id = store_block(f, f->r, 1);

	pack_of(f, &id, key, &l);
	flip(f, key, l.at.offset + 1000);
	assert_blames(f, &id, key);
	flip(f, key, l.at.offset + 1000);
	assert_block(f, &id, 1);
}

static void test_damaged_head(void **state)
{
	static const size_t at[] = {0, 8, 40};
	struct fetch_fixture *f = *state;
	char key[STORE_KEY_MAX];
	struct location l;
	struct block_id id = store_block(f, f->r, 1);

	pack_of(f, &id, key, &l);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		start_over(f);
		flip(f, key, at[i]);
		assert_blames(f, &id, key);
		flip(f, key, at[i]);
		/* One that was misread once does no lasting harm. */
		assert_block(f, &id, 1);
	}
	start_over(f);
	assert_block(f, &id, 1);
}

static void test_short_or_missing_pack(void **state)
{
	struct fetch_fixture *f = *state;
	char key[STORE_KEY_MAX];
	struct location l;
	struct block_id id = store_block(f, f->r, 1);

	pack_of(f, &id, key, &l);
	store_mem_resize(f->inner, key, l.at.offset + l.at.stored - 1);
	assert_blames(f, &id, key);
	store_mem_resize(f->inner, key, 10);
	start_over(f);
	assert_blames(f, &id, key);
	OK(store_remove(f->inner, key, e));
	start_over(f);
	assert_blames(f, &id, key); /* and ERR_CORRUPT: it should be there */
}

/* The same block in a second pack, written by somebody who did not know of the first. */
static void test_second_place_is_tried(void **state)
{
	struct fetch_fixture *f = *state;
	char keys[2][STORE_KEY_MAX];
	struct location l;
	struct block_id id;
	AUTO(repo) other = test_reopen(f->s);

	id = store_block(f, f->r, 1);
	pack_of(f, &id, keys[0], &l);
	{
		/* A run that lists only its own pack: hide the other one's. */
		char run[STORE_KEY_MAX];
		AUTO_BUF kept = BUF_INIT;

		test_nth(f->inner, "index/", 0, run);
		OK(store_slurp(f->inner, run, 1 << 20, &kept, e));
		OK(store_remove(f->inner, run, e));
		store_block(f, other, 1);
		OK(store_put_new(f->inner, run, kept.data, kept.len, e));
	}
	assert_int_equal(test_count(f->inner, "packs/"), 2);
	test_nth(f->inner, "packs/", 0, keys[0]);
	test_nth(f->inner, "packs/", 1, keys[1]);
	for (int i = 0; i < 2; i++) {
		start_over(f);
		flip(f, keys[i], 5000);
		assert_block(f, &id, 1);
		flip(f, keys[i], 5000);
	}
	start_over(f);
	flip(f, keys[0], 5000);
	flip(f, keys[1], 5000);
	assert_blames(f, &id, "packs/");
}

/* ---- others at work ---- */

static void test_block_of_another_process(void **state)
{
	struct fetch_fixture *f = *state;
	AUTO(repo) other = test_reopen(f->s);
	struct block_id one = store_block(f, other, 1), two;
	struct location l;

	assert_block(f, &one, 1); /* found by looking again */
	two = store_block(f, other, 2);
	OK(fetch_locate(f->f, &two, &l, e));
	assert_block(f, &two, 2);
}

static void test_runs_merged_by_another_process(void **state)
{
	enum { N = 8 };
	struct fetch_fixture *f = *state;
	AUTO(repo) other = test_reopen(f->s);
	struct block_id ids[N];

	for (uint32_t i = 0; i < N - 1; i++)
		ids[i] = store_block(f, other, i);
	OK(index_refresh(repo_index(f->r), e));
	assert_int_equal(test_count(f->inner, "index/"), N - 1);
	ids[N - 1] = store_block(f, other, N - 1);
	assert_int_equal(test_count(f->inner, "index/"), 1);
	for (uint32_t i = 0; i < N; i++)
		assert_block(f, &ids[i], i);
}

static void test_lost_run(void **state)
{
	struct fetch_fixture *f = *state;
	struct block_id id = store_block(f, f->r, 1);
	struct location l;

	lose_runs(f);
	start_over(f);
	assert_block(f, &id, 1);
	start_over(f);
	OK(fetch_locate(f->f, &id, &l, e));
}

/* ---- a store that fails ---- */

static int fail_packs(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	if (call == HOOK_GET && !after && strncmp(key, "packs/", 6) == 0)
		return err_set(e, ERR_UNREACHABLE, "failed on purpose");
	return 0;
}

static int fail_lists(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	if (call == HOOK_LIST && !after)
		return err_set(e, ERR_UNREACHABLE, "failed on purpose: %s", key);
	return 0;
}

static int fail_pack_lists(void *arg, enum hook_call call, const char *key, bool after,
			   struct err *e)
{
	return strcmp(key, "packs/") == 0 ? fail_lists(arg, call, key, after, e) : 0;
}

static int fail_runs(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	if (call == HOOK_GET && !after && strncmp(key, "index/", 6) == 0)
		return err_set(e, ERR_UNREACHABLE, "failed on purpose");
	return 0;
}

/* What cannot be read now is not called damaged or missing. */
static void test_failures_are_told(void **state)
{
	struct fetch_fixture *f = *state;
	struct block_id id = store_block(f, f->r, 1), unknown = {{1}};
	struct location l;

	f->hook = fail_runs;
	FAILS(ERR_UNREACHABLE, fetch(f, &id, e));
	FAILS(ERR_UNREACHABLE, fetch_locate(f->f, &id, &l, e));
	f->hook = fail_packs;
	FAILS(ERR_UNREACHABLE, fetch(f, &id, e));
	f->hook = fail_lists;
	FAILS(ERR_UNREACHABLE, fetch(f, &unknown, e));
	FAILS(ERR_UNREACHABLE, fetch_locate(f->f, &unknown, &l, e));
	f->hook = NULL;
	start_over(f); /* which has searched no packs yet */
	f->hook = fail_pack_lists;
	FAILS(ERR_UNREACHABLE, fetch(f, &unknown, e));
	FAILS(ERR_UNREACHABLE, fetch_locate(f->f, &unknown, &l, e));
	f->hook = NULL;
	assert_block(f, &id, 1);
	FAILS(ERR_CORRUPT, fetch(f, &unknown, e));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fetch_set_up, fetch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_blocks_and_nodes),
		T(test_unknown_block),
		T(test_many_packs),
		T(test_records),
		T(test_records_apart),
		T(test_content_of_another_id),
		T(test_damaged_record),
		T(test_damaged_head),
		T(test_short_or_missing_pack),
		T(test_second_place_is_tried),
		T(test_block_of_another_process),
		T(test_runs_merged_by_another_process),
		T(test_lost_run),
		T(test_failures_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
