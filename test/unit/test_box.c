/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boxes: whole and in parts, at every boundary of segments; damaged in every way.
 */
#include "testing.h"

#include <string.h>

#include "repo/box.h"

#define SEGMENT ((size_t)1 << BOX_SEGMENT_LOG)

static const uint8_t key[SEAL_KEY] = {3, 1, 4};
static const size_t sizes[] = {0, 1, 100, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 100000};

static void make_body(struct buf *b, size_t n)
{
	struct random rnd = {random_seed()};

	random_fill(&rnd, buf_reserve(b, n + 1), n, false);
	b->len = n;
}

/* A box with small segments, as another writer may make it. */
static void seal_small(unsigned segment_log, const struct buf *body, struct buf *out)
{
	size_t seg = (size_t)1 << segment_log, off = 0;
	struct box_head h;
	uint8_t own[SEAL_KEY];
	AUTO(aead) a = NULL;

	box_make_head(1, BOX_POINT, body->len, &h);
	h.raw[7] = (uint8_t)segment_log;
	box_key(key, &h, own);
	a = aead_new(own);
	buf_add(out, h.raw, BOX_HEAD);
	for (uint64_t i = 0; off < body->len || i == 0; i++) {
		size_t n = MIN(seg, body->len - off);

		aead_seal(a, i, h.raw, BOX_HEAD, body->data + off, n,
			  buf_reserve(out, n + SEAL_TAG));
		out->len += n + SEAL_TAG;
		off += n;
	}
}

static int open_box(const struct buf *box, enum box_type type, struct buf *ret_body, struct err *e)
{
	struct box_head h;

	if (box_head_parse(box->data, box->len, type, &h, e) < 0)
		return -1;
	return box_open(key, &h, box->data, box->len, ret_body, e);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_BUF body = BUF_INIT;
		AUTO_BUF box = BUF_INIT;
		AUTO_BUF back = BUF_INIT;
		struct box_head h;

		make_body(&body, sizes[i]);
		box_seal(key, 7, BOX_POINT, body.data, body.len, &box);
		assert_int_equal(box.len, box_len(body.len, BOX_SEGMENT_LOG));
		OK(box_head_parse(box.data, box.len, BOX_POINT, &h, e));
		assert_int_equal(h.generation, 7);
		assert_int_equal(h.body_len, body.len);
		assert_int_equal(h.segment_log, BOX_SEGMENT_LOG);
		OK(box_open(key, &h, box.data, box.len, &back, e));
		assert_int_equal(back.len, body.len);
		assert_int_equal(memcmp(back.data, body.data, body.len), 0);
	}
}

static void test_length(void **state)
{
	(void)state;
	assert_int_equal(box_len(0, 15), 64 + 16);
	assert_int_equal(box_len(1, 15), 64 + 1 + 16);
	assert_int_equal(box_len(4096, 12), 64 + 4096 + 16);
	assert_int_equal(box_len(4097, 12), 64 + 4097 + 32);
	assert_int_equal(box_len((uint64_t)1 << 40, 20), 64 + (1ULL << 40) + (16ULL << 20));
}

/* The same body twice gives unlike bytes: the salt is random. */
static void test_salted(void **state)
{
	AUTO_BUF one = BUF_INIT;
	AUTO_BUF two = BUF_INIT;

	(void)state;
	box_seal(key, 1, BOX_POINT, "same", 4, &one);
	box_seal(key, 1, BOX_POINT, "same", 4, &two);
	assert_memory_not_equal(one.data + 32, two.data + 32, SEAL_SALT);
	assert_memory_not_equal(one.data + 64, two.data + 64, 20);
}

static void test_other_segment_sizes(void **state)
{
	static const unsigned logs[] = {12, 13, 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		AUTO_BUF body = BUF_INIT;
		AUTO_BUF box = BUF_INIT;
		AUTO_BUF back = BUF_INIT;

		make_body(&body, 20000);
		seal_small(logs[i], &body, &box);
		OK(open_box(&box, BOX_POINT, &back, e));
		assert_int_equal(back.len, body.len);
		assert_int_equal(memcmp(back.data, body.data, body.len), 0);
	}
}

static void test_wrong_key_or_type(void **state)
{
	static const uint8_t other[SEAL_KEY] = {3, 1, 5};
	AUTO_BUF box = BUF_INIT;
	AUTO_BUF back = BUF_INIT;
	struct box_head h;

	(void)state;
	box_seal(key, 1, BOX_POINT, "body", 4, &box);
	for (int type = BOX_KEYS; type <= BOX_EPOCH; type++) {
		if (type != BOX_POINT)
			FAILS(ERR_CORRUPT,
			      box_head_parse(box.data, box.len, (enum box_type)type, &h, e));
	}
	OK(box_head_parse(box.data, box.len, BOX_POINT, &h, e));
	FAILS(ERR_CORRUPT, box_open(other, &h, box.data, box.len, &back, e));
	assert_null(back.data);
}

static void test_every_flipped_byte(void **state)
{
	AUTO_BUF box = BUF_INIT;

	(void)state;
	box_seal(key, 1, BOX_POINT, "a body of some bytes", 20, &box);
	for (size_t i = 0; i < box.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			bool version = i == 4 || i == 6; /* the layout and the cipher */
			AUTO_BUF back = BUF_INIT;

			box.data[i] ^= (uint8_t)(1 << bit);
			FAILS(version ? ERR_VERSION : ERR_CORRUPT,
			      open_box(&box, BOX_POINT, &back, e));
			box.data[i] ^= (uint8_t)(1 << bit);
		}
	}
}

static void test_every_cut(void **state)
{
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF box = BUF_INIT;

	(void)state;
	make_body(&body, 4200);
	seal_small(12, &body, &box);
	for (size_t n = 0; n < box.len; n += n < 100 || n > box.len - 100 ? 1 : 37) {
		AUTO_BUF cut = BUF_INIT;
		AUTO_BUF back = BUF_INIT;

		buf_add(&cut, box.data, n);
		FAILS(ERR_CORRUPT, open_box(&cut, BOX_POINT, &back, e));
	}
	buf_u8(&box, 0);
	FAILS(ERR_CORRUPT, open_box(&box, BOX_POINT, &body, e));
}

/* Segments belong to their place. */
static void test_swapped_segments(void **state)
{
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF box = BUF_INIT;
	AUTO_BUF back = BUF_INIT;
	uint8_t keep[4096 + SEAL_TAG];
	uint8_t *first, *second;

	(void)state;
	make_body(&body, 8192);
	seal_small(12, &body, &box);
	first = box.data + BOX_HEAD;
	second = first + sizeof(keep);
	memcpy(keep, first, sizeof(keep));
	memcpy(first, second, sizeof(keep));
	memcpy(second, keep, sizeof(keep));
	FAILS(ERR_CORRUPT, open_box(&box, BOX_POINT, &back, e));
}

static void test_head_limits(void **state)
{
	struct box_head h;
	uint8_t raw[BOX_HEAD];

	(void)state;
	box_make_head(1, BOX_RUN, (uint64_t)1 << 48, &h);
	memcpy(raw, h.raw, BOX_HEAD);
	OK(box_head_parse(raw, BOX_HEAD, BOX_RUN, &h, e));
	put_le64(raw + 16, ((uint64_t)1 << 48) + 1);
	FAILS(ERR_CORRUPT, box_head_parse(raw, BOX_HEAD, BOX_RUN, &h, e));
	put_le64(raw + 16, 5);
	for (unsigned log = 0; log < 256; log++) {
		raw[7] = (uint8_t)log;
		if (log >= 12 && log <= 20)
			OK(box_head_parse(raw, BOX_HEAD, BOX_RUN, &h, e));
		else
			FAILS(ERR_CORRUPT, box_head_parse(raw, BOX_HEAD, BOX_RUN, &h, e));
	}
}

/* ---- in a store ---- */

static void reader_init(struct box_reader *r, struct store *s, const struct buf *box)
{
	*r = (struct box_reader){.store = s, .name = "points/x"};
	OK(store_put_new(s, r->name, box->data, box->len, e));
	OK(box_head_parse(box->data, box->len, BOX_POINT, &r->head, e));
	box_key(key, &r->head, r->key);
}

static void test_read_any_part(void **state)
{
	struct random rnd = {random_seed()};
	AUTO(store) s = store_mem_new();
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF box = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct box_reader r;

	(void)state;
	make_body(&body, 20000);
	seal_small(12, &body, &box);
	reader_init(&r, s, &box);
	buf_reserve(&out, body.len);
	for (int i = 0; i < 200; i++) {
		size_t off = random_below(&rnd, body.len + 1);
		size_t len = random_below(&rnd, body.len - off + 1);

		if (i == 0)
			off = 0, len = body.len;
		OK(box_read(&r, off, out.data, len, e));
		assert_int_equal(memcmp(out.data, body.data + off, len), 0);
	}
	OK(box_read(&r, body.len, out.data, 0, e));
	FAILS(ERR_CORRUPT, box_read(&r, body.len, out.data, 1, e));
	FAILS(ERR_CORRUPT, box_read(&r, 0, out.data, body.len + 1, e));
	FAILS(ERR_CORRUPT, box_read(&r, UINT64_MAX, out.data, 1, e));
}

static void test_read_of_damaged_parts(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF box = BUF_INIT;
	uint8_t out[20000], *bytes;
	struct box_reader r;
	size_t len;

	(void)state;
	make_body(&body, sizeof(out));
	seal_small(12, &body, &box);
	reader_init(&r, s, &box);
	bytes = store_mem_bytes(s, r.name, &len);
	bytes[BOX_HEAD + 2 * (4096 + SEAL_TAG) + 5] ^= 1; /* in segment 2 */
	OK(box_read(&r, 0, out, 8192, e));
	OK(box_read(&r, 12288, out, 1, e));
	FAILS(ERR_CORRUPT, box_read(&r, 8191, out, 2, e));
	FAILS(ERR_CORRUPT, box_read(&r, 12287, out, 1, e));
	store_mem_resize(s, r.name, len - 1);
	FAILS(ERR_CORRUPT, box_read(&r, 19999, out, 1, e));
	OK(store_remove(s, r.name, e));
	FAILS(ERR_NOENT, box_read(&r, 0, out, 1, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_salted),
		cmocka_unit_test(test_other_segment_sizes),
		cmocka_unit_test(test_wrong_key_or_type),
		cmocka_unit_test(test_every_flipped_byte),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_swapped_segments),
		cmocka_unit_test(test_head_limits),
		cmocka_unit_test(test_read_any_part),
		cmocka_unit_test(test_read_of_damaged_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
