/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading blocks: from whichever place is whole, through a base where there is one, and never
 * anything but what was stored.
 */
#include "testing.h"

#include <string.h>
#include <zstd.h>

#include "hook_store.h"
#include "writer.h"

struct fixture {
	struct store *inner, *s;
	struct repo *r;
	struct fetch *f;
	struct codec *c;
	struct random rnd;
	uint8_t *data, *out; /* BLOCK bytes each */
	hook_fn *hook;
	unsigned gets;
};

static int watch(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct fixture *f = arg;

	f->gets += call == HOOK_GET && !after;
	return f->hook ? f->hook(f, call, key, after, e) : 0;
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	AUTO(credential) c = test_credential(1);

	f->inner = store_mem_new();
	f->s = hook_store_new(f->inner, watch, f);
	OK(repo_create(f->s, c, "", NULL, e));
	f->r = test_reopen(f->s);
	f->f = fetch_new(f->r);
	f->c = codec_new(repo_keys(f->r), 1);
	f->rnd.state = random_seed();
	f->data = xcalloc(1, BLOCK);
	f->out = xcalloc(1, BLOCK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fetch_free(f->f);
	codec_free(f->c);
	repo_free(f->r);
	store_free(f->s);
	store_free(f->inner);
	free(f->data);
	free(f->out);
	free(f);
	return 0;
}

/* Block number `i`: compresses well. */
static void make_data(struct fixture *f, uint32_t i)
{
	memset(f->data, (int)i | 1, BLOCK);
	put_le32(f->data, i);
}

/* Store payloads as they are given, in one session of `r`. */
struct put {
	enum block_kind kind;
	enum block_encoding encoding;
	struct block_id id;
	const void *payload;
	size_t n;
};

static void store_payloads(struct repo *r, const struct put *puts, size_t n)
{
	AUTO(point) p = point_new();
	AUTO(session) s = OK_PTR(session_begin(r, NULL, e));

	for (size_t i = 0; i < n; i++)
		OK(session_put(s, puts[i].kind, &puts[i].id, puts[i].encoding, puts[i].payload,
			       puts[i].n, NULL, e));
	OK(session_commit(s, p, e));
}

/* Store block number `i`, raw, in a pack of its own. */
static struct block_id store_block(struct fixture *f, struct repo *r, uint32_t i)
{
	struct put put = {BLOCK_DATA, BLOCK_RAW, {{0}}, f->data, BLOCK};

	make_data(f, i);
	codec_id(f->c, BLOCK_DATA, f->data, BLOCK, &put.id);
	store_payloads(r, &put, 1);
	return put.id;
}

static int fetch(struct fixture *f, const struct block_id *id, struct err *e)
{
	size_t len = 0;

	memset(f->out, 0xee, BLOCK);
	if (fetch_block(f->f, BLOCK_DATA, id, f->out, BLOCK, &len, e) < 0)
		return -1;
	return len == BLOCK ? 0 : err_set(e, ERR_INTERNAL, "a block of %zu bytes", len);
}

static void assert_block(struct fixture *f, const struct block_id *id, uint32_t i)
{
	OK(fetch(f, id, e));
	make_data(f, i);
	assert_int_equal(memcmp(f->out, f->data, BLOCK), 0);
}

/* The pack's name in the store, where the index says the block is. */
static void pack_of(struct fixture *f, const struct block_id *id, char key[STORE_KEY_MAX],
		    struct location *ret_l)
{
	OK(fetch_locate(f->f, id, ret_l, e));
	pack_key_name(ret_l->pack, key);
}

static void flip(struct fixture *f, const char *key, size_t at)
{
	size_t len;
	uint8_t *bytes = store_mem_bytes(f->inner, key, &len);

	assert_true(at < len);
	bytes[at] ^= 1;
}

/* The fetch must fail and name this object. */
static void assert_blames(struct fixture *f, const struct block_id *id, const char *key)
{
	struct err why = {0};

	assert_int_equal(fetch(f, id, &why), -1);
	assert_int_equal(why.kind, ERR_CORRUPT);
	if (!strstr(why.msg, key))
		fail_msg("'%s' does not name %s", why.msg, key);
}

static void lose_runs(struct fixture *f)
{
	char key[STORE_KEY_MAX];

	while (test_count(f->inner, "index/")) {
		test_nth(f->inner, "index/", 0, key);
		OK(store_remove(f->inner, key, e));
	}
}

/* A repository and a fetch that know nothing of before. */
static void start_over(struct fixture *f)
{
	fetch_free(f->f);
	repo_free(f->r);
	f->r = test_reopen(f->s);
	f->f = fetch_new(f->r);
}

/* ---- as it should be ---- */

static void test_blocks_and_nodes(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state;
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
	struct fixture *f = *state;
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

static void test_ranges(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE uint8_t *range = xmalloc(3 * BLOCK);
	struct block_id ids[2];
	struct location l[2];
	size_t len;
	struct put puts[2] = {{BLOCK_DATA, BLOCK_RAW, {{0}}, "first", 5},
			      {BLOCK_DATA, BLOCK_RAW, {{0}}, "second", 6}};

	for (int i = 0; i < 2; i++) {
		codec_id(f->c, BLOCK_DATA, puts[i].payload, puts[i].n, &ids[i]);
		puts[i].id = ids[i];
	}
	store_payloads(f->r, puts, 2);
	for (int i = 0; i < 2; i++)
		OK(fetch_locate(f->f, &ids[i], &l[i], e));
	assert_int_equal(l[1].at.offset, l[0].at.offset + l[0].at.stored);
	/* Both in one read. */
	OK(fetch_range(f->f, l[0].pack, l[0].at.offset, range, l[0].at.stored + l[1].at.stored, e));
	OK(fetch_decode(f->f, &l[1], range + l[0].at.stored, f->out, BLOCK, &len, e));
	assert_int_equal(len, 6);
	assert_memory_equal(f->out, "second", 6);
	OK(fetch_decode(f->f, &l[0], range, f->out, BLOCK, &len, e));
	assert_memory_equal(f->out, "first", 5);
	/* Opened already: these bytes are no record any more. */
	FAILS(ERR_CORRUPT, fetch_decode(f->f, &l[0], range, f->out, BLOCK, &len, e));
	l[0].at.stored = SEAL_TAG - 1;
	FAILS(ERR_CORRUPT, fetch_decode(f->f, &l[0], range, f->out, BLOCK, &len, e));
	FAILS(ERR_CORRUPT, fetch_range(f->f, l[0].pack, 64, range, 2 * BLOCK, e));
	l[0].pack[0] ^= 1;
	FAILS(ERR_NOENT, fetch_range(f->f, l[0].pack, 64, range, 1, e));
}

/* ---- deltas ---- */

/* A delta against `base` that makes f->data, behind the base's id. */
static struct buf make_delta(struct fixture *f, const struct block_id *base_id, const void *base)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	struct buf b = BUF_INIT;
	size_t len;

	buf_add(&b, base_id->b, HASH_BYTES);
	ZSTD_CCtx_refPrefix(c, base, BLOCK);
	len = ZSTD_compress2(c, buf_reserve(&b, 2 * BLOCK), 2 * BLOCK, f->data, BLOCK);
	assert_false(ZSTD_isError(len));
	ZSTD_freeCCtx(c);
	b.len += len;
	return b;
}

/* A base of noise and a delta that changes a little of it, which is left in f->data. */
struct pair {
	uint8_t *base;
	struct block_id base_id, id;
	struct buf delta;
};

static void make_pair(struct fixture *f, struct pair *p)
{
	p->base = xmalloc(BLOCK);
	random_fill(&f->rnd, p->base, BLOCK, true);
	codec_id(f->c, BLOCK_DATA, p->base, BLOCK, &p->base_id);
	memcpy(f->data, p->base, BLOCK);
	memset(f->data + 5000, 7, 50);
	codec_id(f->c, BLOCK_DATA, f->data, BLOCK, &p->id);
	p->delta = make_delta(f, &p->base_id, p->base);
	assert_true(p->delta.len < 1000);
}

static void pair_done(struct pair *p)
{
	free(p->base);
	buf_done(&p->delta);
}

static void test_delta(void **state)
{
	struct fixture *f = *state;
	struct pair p;

	make_pair(f, &p);
	{
		struct put puts[2] = {{BLOCK_DATA, BLOCK_RAW, p.base_id, p.base, BLOCK},
				      {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len}};

		store_payloads(f->r, puts, 2);
	}
	for (int i = 0; i < 2; i++) {
		OK(fetch(f, &p.id, e));
		assert_int_equal(memcmp(f->out, f->data, BLOCK), 0);
		OK(fetch(f, &p.base_id, e));
		assert_int_equal(memcmp(f->out, p.base, BLOCK), 0);
	}
	pair_done(&p);
}

static void test_delta_without_its_base(void **state)
{
	struct fixture *f = *state;
	struct pair p;

	make_pair(f, &p);
	{
		struct put put = {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len};

		store_payloads(f->r, &put, 1);
	}
	FAILS(ERR_CORRUPT, fetch(f, &p.id, e));
	pair_done(&p);
}

/* A base of another kind is no base. */
static void test_delta_of_a_node(void **state)
{
	struct fixture *f = *state;
	struct pair p;

	make_pair(f, &p);
	{
		struct put puts[2] = {{BLOCK_NODE, BLOCK_RAW, p.base_id, p.base, BLOCK},
				      {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len}};

		store_payloads(f->r, puts, 2);
	}
	FAILS(ERR_CORRUPT, fetch(f, &p.id, e));
	pair_done(&p);
}

static void test_delta_of_a_delta(void **state)
{
	struct fixture *f = *state;
	struct block_id third;
	struct buf second;
	struct pair p;
	char key[STORE_KEY_MAX];
	struct location l;

	make_pair(f, &p);
	memcpy(f->out, f->data, BLOCK);
	memset(f->data + 9000, 8, 50);
	codec_id(f->c, BLOCK_DATA, f->data, BLOCK, &third);
	second = make_delta(f, &p.id, f->out);
	{
		struct put puts[3] = {{BLOCK_DATA, BLOCK_RAW, p.base_id, p.base, BLOCK},
				      {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len},
				      {BLOCK_DATA, BLOCK_DELTA, third, second.data, second.len}};

		store_payloads(f->r, puts, 3);
	}
	pack_of(f, &third, key, &l);
	OK(fetch(f, &p.id, e));
	assert_blames(f, &third, key);
	buf_done(&second);
	pair_done(&p);
}

/* A delta cut short, at every length of its head; one that makes other content. */
static void test_damaged_deltas(void **state)
{
	static const size_t lengths[] = {0, 1, 31, 32, 33, 40};
	struct fixture *f = *state;
	struct put puts[ARRAY_LEN(lengths) + 2];
	struct block_id wrong = {{0xbb}};
	char key[STORE_KEY_MAX];
	struct location l;
	struct pair p;

	make_pair(f, &p);
	puts[0] = (struct put){BLOCK_DATA, BLOCK_RAW, p.base_id, p.base, BLOCK};
	puts[1] = (struct put){BLOCK_DATA, BLOCK_DELTA, wrong, p.delta.data, p.delta.len};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct block_id id = {{0xcc, (uint8_t)i}};

		puts[i + 2] = (struct put){BLOCK_DATA, BLOCK_DELTA, id, p.delta.data, lengths[i]};
	}
	store_payloads(f->r, puts, ARRAY_LEN(puts));
	pack_of(f, &wrong, key, &l);
	assert_blames(f, &wrong, key);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		FAILS(ERR_CORRUPT, fetch(f, &puts[i + 2].id, e));
	pair_done(&p);
}

/* ---- damage ---- */

/* Sealed rightly, but not what its id says: whoever wrote it had a defect. */
static void test_content_of_another_id(void **state)
{
	struct fixture *f = *state;
	struct put put = {BLOCK_DATA, BLOCK_RAW, {{0xaa}}, f->data, BLOCK};
	char key[STORE_KEY_MAX];
	struct location l;

	store_payloads(f->r, &put, 1);
	pack_of(f, &put.id, key, &l);
	assert_blames(f, &put.id, key);
}

static void test_damaged_record(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];
	struct location l;
	struct block_id id = store_block(f, f->r, 1);

	pack_of(f, &id, key, &l);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		start_over(f);
		flip(f, key, at[i]);
		assert_blames(f, &id, key);
		flip(f, key, at[i]);
	}
	start_over(f);
	assert_block(f, &id, 1);
}

static void test_short_or_missing_pack(void **state)
{
	struct fixture *f = *state;
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
	struct fixture *f = *state;
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
	struct fixture *f = *state;
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
	struct fixture *f = *state;
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
	struct fixture *f = *state;
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
	struct fixture *f = *state;
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

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_blocks_and_nodes),
		T(test_unknown_block),
		T(test_many_packs),
		T(test_ranges),
		T(test_delta),
		T(test_delta_without_its_base),
		T(test_delta_of_a_node),
		T(test_delta_of_a_delta),
		T(test_damaged_deltas),
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
