/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index runs that are not as they should be: heads that lie, bytes that changed, objects cut short.
 */
#include "testing.h"

#include <string.h>

#include "base/buf.h"
#include "repo/box.h"
#include "repo/record.h"
#include "repo/run.h"

#define HEAD 64
#define GROUP 2 /* entries */

static const uint8_t name[HASH_BYTES] = {0xab};

struct fixture {
	struct keyring *keys;
	struct store *s;
	struct buf body;
	char key[STORE_KEY_MAX];
};

/* A body of `n` entries in one pack, that supersedes one run, with a filter of 32 bytes. */
static void make_body(struct buf *b, uint32_t n)
{
	struct run_entry r = {{{0}}, 0, 64, 100, BLOCK_DATA, BLOCK_ZSTD};
	uint8_t raw[RUN_ENTRY];

	b->len = 0;
	buf_u32(b, 1);
	buf_u32(b, GROUP);
	buf_u64(b, n);
	buf_u32(b, 1);
	buf_u32(b, 1);
	buf_u64(b, 32);
	buf_fill(b, 0, 32);
	buf_fill(b, 0x51, HASH_BYTES); /* superseded */
	buf_fill(b, 0xaa, HASH_BYTES); /* the pack */
	for (uint32_t i = 0; i < n; i += GROUP) {
		buf_fill(b, (uint8_t)(i >> 8), 1);
		buf_fill(b, (uint8_t)i, 1);
		buf_fill(b, 0, 6);
	}
	buf_fill(b, 0xff, 32);
	for (uint32_t i = 0; i < n; i++) {
		r.id.b[0] = (uint8_t)(i >> 8);
		r.id.b[1] = (uint8_t)i;
		run_entry_encode(&r, raw);
		buf_add(b, raw, RUN_ENTRY);
	}
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->keys = test_keys();
	f->s = store_mem_new();
	run_key_name(name, f->key);
	make_body(&f->body, 5);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_free(f->s);
	keyring_free(f->keys);
	buf_done(&f->body);
	free(f);
	return 0;
}

static void put(struct fixture *f, uint32_t generation, enum box_type type)
{
	AUTO_BUF box = BUF_INIT;

	box_seal(keyring_key(f->keys, 1, NULL), generation, type, f->body.data, f->body.len, &box);
	OK(store_remove(f->s, f->key, e));
	OK(store_put_new(f->s, f->key, box.data, box.len, e));
}

static int read_all(const struct run *r, struct err *e)
{
	struct run_group group = {0};
	int rc = 0;

	for (uint64_t g = 0; g < r->n_groups && rc == 0; g++)
		rc = run_read_group(r, g, &group, e);
	run_group_done(&group);
	return rc;
}

static int open_and_read(struct fixture *f, struct err *e)
{
	AUTO(run) r = run_open(f->s, f->keys, name, 1 << 20, e);

	return r ? read_all(r, e) : -1;
}

/* Seal the body as it is now and read it. */
static int reread(struct fixture *f, struct err *e)
{
	put(f, 1, BOX_RUN);
	return open_and_read(f, e);
}

static void test_as_documented(void **state)
{
	struct fixture *f = *state;
	struct block_id id = {{0, 3}};
	AUTO(run) r = NULL;
	uint64_t g, end;

	put(f, 1, BOX_RUN);
	r = OK_PTR(run_open(f->s, f->keys, name, 1 << 20, e));
	assert_int_equal(r->n, 5);
	assert_int_equal(r->group, GROUP);
	assert_int_equal(r->n_groups, 3);
	assert_int_equal(r->n_packs, 1);
	assert_int_equal(r->packs[0][31], 0xaa);
	assert_int_equal(r->n_superseded, 1);
	assert_int_equal(r->superseded[0][31], 0x51);
	run_groups_of(r, &id, &g, &end);
	assert_int_equal(g, 1);
	assert_int_equal(end, 2);
	OK(read_all(r, e));
}

static void test_heads_that_lie(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
	} rows[] = {
		{4, 4, 0},
		{4, 4, 65537},
		{4, 4, UINT32_MAX},
		{8, 8, 6},
		{8, 8, 7},
		{8, 8, 1ULL << 40},
		{8, 8, UINT64_MAX},
		{16, 4, 2},
		{16, 4, 300},
		{16, 4, UINT32_MAX},
		{20, 4, 2},
		{20, 4, UINT32_MAX},
		{24, 8, 31},
		{24, 8, 33},
		{24, 8, 64},
		{24, 8, 1ULL << 32},
		{24, 8, UINT64_MAX - 31},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		make_body(&f->body, 5);
		if (rows[i].size == 4)
			put_le32(f->body.data + rows[i].at, (uint32_t)rows[i].value);
		else
			put_le64(f->body.data + rows[i].at, rows[i].value);
		FAILS(ERR_CORRUPT, reread(f, e));
	}
}

/* More entries than 2^40, in a box that is said to be long enough for them. */
static void test_too_many_entries(void **state)
{
	struct fixture *f = *state;
	uint8_t own[SEAL_KEY], sealed[BOX_HEAD + 4096 + SEAL_TAG] = {0};
	AUTO(aead) a = NULL;
	struct box_head h;

	put_le64(f->body.data + 8, ((uint64_t)1 << 40) + 1);
	box_make_head(1, BOX_RUN, (uint64_t)1 << 46, &h);
	h.raw[7] = 12;
	box_key(keyring_key(f->keys, 1, NULL), &h, own);
	a = aead_new(own);
	memcpy(sealed, h.raw, BOX_HEAD);
	memcpy(sealed + BOX_HEAD, f->body.data, HEAD);
	aead_seal(a, 0, h.raw, BOX_HEAD, sealed + BOX_HEAD, 4096, sealed + BOX_HEAD);
	OK(store_put_new(f->s, f->key, sealed, sizeof(sealed), e));
	FAILS(ERR_CORRUPT, open_and_read(f, e));
}

static void test_newer_layout(void **state)
{
	struct fixture *f = *state;

	put_le32(f->body.data, 2);
	FAILS(ERR_VERSION, reread(f, e));
	put_le32(f->body.data, 0);
	FAILS(ERR_VERSION, reread(f, e));
}

static void test_every_shorter_body(void **state)
{
	struct fixture *f = *state;

	while (f->body.len) {
		f->body.len--;
		FAILS(ERR_CORRUPT, reread(f, e));
	}
}

static void test_every_flipped_byte(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes;
	size_t len;

	put(f, 1, BOX_RUN);
	bytes = store_mem_bytes(f->s, f->key, &len);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 0x40;
		FAILS(i == 4 || i == 6 ? ERR_VERSION : ERR_CORRUPT, open_and_read(f, e));
		bytes[i] ^= 0x40;
	}
	OK(open_and_read(f, e));
}

static void test_every_shorter_object(void **state)
{
	struct fixture *f = *state;
	size_t len;

	put(f, 1, BOX_RUN);
	store_mem_bytes(f->s, f->key, &len);
	while (len--) {
		store_mem_resize(f->s, f->key, len);
		FAILS(ERR_CORRUPT, open_and_read(f, e));
	}
	OK(store_remove(f->s, f->key, e));
	FAILS(ERR_NOENT, open_and_read(f, e));
}

static void test_not_a_run(void **state)
{
	struct fixture *f = *state;

	put(f, 1, BOX_POINT);
	FAILS(ERR_CORRUPT, open_and_read(f, e));
	put(f, 2, BOX_RUN); /* sealed by a generation that is not in the ring */
	FAILS(ERR_CORRUPT, open_and_read(f, e));
}

/* Damage behind the lists is found when it is read, by lookups and by merges. */
static void test_damaged_entries(void **state)
{
	struct fixture *f = *state;
	struct run_entry entry;
	struct run_input *in;
	AUTO(run) r = NULL;
	uint8_t *bytes;
	size_t len, n = 0;
	struct err why = {0};

	make_body(&f->body, 2000);
	put(f, 1, BOX_RUN);
	bytes = store_mem_bytes(f->s, f->key, &len);
	bytes[len - SEAL_TAG - 1] ^= 1;
	FAILS(ERR_CORRUPT, open_and_read(f, e));
	r = OK_PTR(run_open(f->s, f->keys, name, 0, e));
	in = run_input_run(r);
	while (in->next(in, &entry, &why) > 0)
		n++;
	assert_int_equal(why.kind, ERR_CORRUPT);
	assert_true(n > 100 && n < 2000);
	in->rewind(in);
	assert_int_equal(in->next(in, &entry, &why), 1);
	assert_int_equal(entry.id.b[1], 0);
	in->free(in);
}

static void test_entry_of_an_unlisted_pack(void **state)
{
	struct fixture *f = *state;
	struct run_entry entry;
	struct run_input *in;
	AUTO(run) r = NULL;

	put_le32(f->body.data + f->body.len - 12, 1);
	put(f, 1, BOX_RUN);
	r = OK_PTR(run_open(f->s, f->keys, name, 0, e));
	in = run_input_run(r);
	for (int i = 0; i < 4; i++)
		assert_int_equal(in->next(in, &entry, NULL), 1);
	FAILS(ERR_CORRUPT, in->next(in, &entry, e));
	in->free(in);
}

static void test_records_behind_the_entries(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE uint8_t *large = xcalloc(1, 100000);
	size_t len;

	record_add(&f->body, 1, "something newer", 15);
	OK(reread(f, e));
	record_add(&f->body, 9, large, 100000);
	for (int i = 0; i < 5000; i++)
		record_add(&f->body, (uint16_t)(i % 100), large, (size_t)(i % 40));
	OK(reread(f, e));
	len = f->body.len;
	for (size_t cut = 1; cut < 39 + 6; cut++) {
		f->body.len = len - cut;
		FAILS(ERR_CORRUPT, reread(f, e));
	}
	f->body.len = len;
	record_add(&f->body, RECORD_CRITICAL | 7, "newer, to be understood", 23);
	FAILS(ERR_VERSION, reread(f, e));
}

/* The body of five deltas in groups of two; *ret_before and *ret_bases are where these lists are.
 */
static void make_deltas(struct buf *b, size_t *ret_before, size_t *ret_bases)
{
	AUTO_BUF plain = BUF_INIT;
	size_t lists = 64 + 2 * HASH_BYTES + 3 * 8;

	make_body(&plain, 5);
	put_le64(plain.data + 32, 5);
	b->len = 0;
	buf_add(b, plain.data, lists);
	*ret_before = b->len;
	for (uint64_t i = 0; i < 3; i++)
		buf_u64(b, 2 * i);
	buf_add(b, plain.data + lists, plain.len - lists);
	for (size_t i = 1; i <= 5; i++)
		put_le32(b->data + b->len - i * RUN_ENTRY + 40,
			 100 | (uint32_t)BLOCK_DELTA << 24 | (uint32_t)BLOCK_DATA << 28);
	*ret_bases = b->len;
	for (uint16_t i = 0; i < 5; i++) {
		buf_u16(b, i % 2);
		buf_fill(b, (uint8_t)(0xb0 + i), HASH_BYTES);
	}
}

static void test_bases(void **state)
{
	struct fixture *f = *state;
	struct run_group g = {0};
	struct run_entry entry;
	size_t before, bases;
	AUTO(run) r = NULL;

	make_deltas(&f->body, &before, &bases);
	put(f, 1, BOX_RUN);
	r = OK_PTR(run_open(f->s, f->keys, name, 0, e));
	for (uint64_t i = 0; i < 5; i++) {
		OK(run_read_group(r, i / 2, &g, e));
		run_group_entry(&g, i % 2, &entry);
		assert_int_equal(entry.encoding, BLOCK_DELTA);
		assert_int_equal(entry.base.b[0], 0xb0 + i);
		assert_int_equal(entry.base.b[31], 0xb0 + i);
	}
	run_group_done(&g);
}

static void lie(struct fixture *f, size_t at, uint8_t byte)
{
	uint8_t was = f->body.data[at];

	f->body.data[at] = byte;
	FAILS(ERR_CORRUPT, reread(f, e));
	f->body.data[at] = was;
}

/* Bases that are not those of the deltas: too many, too few, of others, in another order. */
static void test_bases_that_lie(void **state)
{
	struct fixture *f = *state;
	size_t before, bases;

	make_deltas(&f->body, &before, &bases);
	OK(reread(f, e));
	lie(f, 32, 6);
	lie(f, 32, 4);
	lie(f, 39, 0xff);
	for (uint8_t i = 0; i < 6; i++) {
		if (i != 2)
			lie(f, before + 8, i);
	}
	lie(f, before + 16, 1);
	lie(f, before + 23, 0xff);
	for (size_t i = 0; i < 5; i++) {
		lie(f, bases + i * RUN_BASE, i % 2 ? 0 : 1);
		lie(f, bases + i * RUN_BASE + 1, 1);
		/* An entry that is no delta after all. */
		lie(f, bases - (5 - i) * RUN_ENTRY + 43, BLOCK_DATA << 4);
	}
	f->body.len--;
	FAILS(ERR_CORRUPT, reread(f, e));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_as_documented),
		T(test_bases),
		T(test_bases_that_lie),
		T(test_heads_that_lie),
		T(test_too_many_entries),
		T(test_newer_layout),
		T(test_every_shorter_body),
		T(test_every_flipped_byte),
		T(test_every_shorter_object),
		T(test_not_a_run),
		T(test_damaged_entries),
		T(test_entry_of_an_unlisted_pack),
		T(test_records_behind_the_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
