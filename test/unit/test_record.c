/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of records: what is written is read, and every cut, size and unknown tag has its answer.
 */
#include "testing.h"

#include <string.h>

#include "repo/record.h"

static struct record one(const struct buf *b)
{
	struct cur list = cur_of(b->data, b->len);
	struct record r;
	struct err e = {0};

	assert_int_equal(record_next(&list, &r, &e), 1);
	return r;
}

static void test_round_trip(void **state)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_FREE char *text = NULL;
	struct cur list;
	struct record r;
	uint8_t bytes[3];
	uint64_t v64;
	uint32_t v32;

	(void)state;
	record_u64(&b, 1, 0x0102030405060708U);
	record_add(&b, 0, "padding", 7);
	record_u32(&b, 2, 0xa1b2c3d4U);
	record_add(&b, 3, "abc", 3);
	record_text(&b, 4, "text");
	record_add(&b, 5, NULL, 0);
	list = cur_of(b.data, b.len);
	assert_int_equal(record_next(&list, &r, NULL), 1);
	assert_int_equal(r.tag, 1);
	OK(record_get_u64(&r, &v64, e));
	assert_int_equal(v64, 0x0102030405060708U);
	assert_int_equal(record_next(&list, &r, NULL), 1);
	assert_int_equal(r.tag, 2);
	OK(record_get_u32(&r, &v32, e));
	assert_int_equal(v32, 0xa1b2c3d4U);
	assert_int_equal(record_next(&list, &r, NULL), 1);
	OK(record_get_bytes(&r, bytes, 3, e));
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(record_next(&list, &r, NULL), 1);
	OK(record_get_text(&r, &text, e));
	assert_string_equal(text, "text");
	assert_int_equal(record_next(&list, &r, NULL), 1);
	assert_int_equal(r.tag, 5);
	assert_int_equal(r.value.left, 0);
	OK(record_get_text(&r, &text, e)); /* what was there is freed */
	assert_string_equal(text, "");
	assert_int_equal(record_next(&list, &r, NULL), 0);
	assert_int_equal(record_next(&list, &r, NULL), 0);
}

/* The bytes of the format document. */
static void test_layout(void **state)
{
	static const uint8_t want[] = {0x34, 0x12, 2, 0, 0, 0, 'h', 'i'};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	record_add(&b, 0x1234, "hi", 2);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
}

static void test_nested(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct record r, inner;
	struct cur list;
	size_t open, deeper;
	uint32_t v;

	(void)state;
	open = record_open(&b, 7);
	record_u32(&b, 1, 11);
	deeper = record_open(&b, 8);
	record_close(&b, deeper);
	record_u32(&b, 2, 22);
	record_close(&b, open);
	record_u32(&b, 9, 33);
	list = cur_of(b.data, b.len);
	assert_int_equal(record_next(&list, &r, NULL), 1);
	assert_int_equal(r.tag, 7);
	assert_int_equal(record_next(&r.value, &inner, NULL), 1);
	OK(record_get_u32(&inner, &v, e));
	assert_int_equal(v, 11);
	assert_int_equal(record_next(&r.value, &inner, NULL), 1);
	assert_int_equal(inner.tag, 8);
	assert_int_equal(inner.value.left, 0);
	assert_int_equal(record_next(&r.value, &inner, NULL), 1);
	assert_int_equal(record_next(&r.value, &inner, NULL), 0);
	assert_int_equal(record_next(&list, &r, NULL), 1);
	assert_int_equal(r.tag, 9);
}

/* Every prefix of a list is a shorter list or damaged, never something else. */
static void test_every_cut(void **state)
{
	AUTO_BUF b = BUF_INIT;
	size_t ends[4] = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		record_add(&b, (uint16_t)(i == 1 ? 0 : i + 1), "value", 5 - i);
		ends[i + 1] = b.len;
	}
	for (size_t cut = 0; cut < b.len; cut++) {
		/* A copy of its own, so that a sanitizer sees a read past the end. */
		AUTO_FREE uint8_t *copy = xmalloc(cut);
		struct cur list = cur_of(copy, cut);
		struct err why = {0};
		struct record r;
		int rc;

		memcpy(copy, b.data, cut);
		while ((rc = record_next(&list, &r, &why)) > 0)
			assert_true(r.tag == 1 || r.tag == 3);
		if (cut == ends[0] || cut == ends[1] || cut == ends[2]) {
			assert_int_equal(rc, 0);
		} else {
			assert_int_equal(rc, -1);
			assert_int_equal(why.kind, ERR_CORRUPT);
		}
	}
}

static void test_length_beyond_the_end(void **state)
{
	uint8_t raw[] = {1, 0, 0xff, 0xff, 0xff, 0xff, 'x'};
	struct cur list = cur_of(raw, sizeof(raw));
	struct record r;

	(void)state;
	FAILS(ERR_CORRUPT, record_next(&list, &r, e));
}

static void test_empty_text_is_not_written(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	record_text(&b, 1, NULL);
	record_text(&b, 1, "");
	assert_int_equal(b.len, 0);
}

static void test_wrong_sizes(void **state)
{
	uint8_t raw[16], out[16];
	uint64_t v64 = 99;
	uint32_t v32 = 99;

	(void)state;
	for (size_t n = 0; n <= sizeof(raw); n++) {
		struct record r = {1, cur_of(raw, n)};

		if (n != 8)
			FAILS(ERR_CORRUPT, record_get_u64(&r, &v64, e));
		if (n != 4)
			FAILS(ERR_CORRUPT, record_get_u32(&r, &v32, e));
		if (n != 12)
			FAILS(ERR_CORRUPT, record_get_bytes(&r, out, 12, e));
	}
	assert_int_equal(v64, 99);
	assert_int_equal(v32, 99);
}

static void test_unknown_tags(void **state)
{
	struct record r = {.tag = 0x7fff};

	(void)state;
	OK(record_unknown(&r, "a thing", e));
	r.tag = 0x8000;
	FAILS(ERR_VERSION, record_unknown(&r, "a thing", e));
	r.tag = 0xffff;
	FAILS(ERR_VERSION, record_unknown(&r, "a thing", e));
}

static void test_text_limits(void **state)
{
	AUTO_FREE char *long_text = xmalloc(RECORD_TEXT_MAX + 2);
	AUTO_FREE char *s = xstrdup("before");
	AUTO_BUF b = BUF_INIT;
	struct record r;

	(void)state;
	memset(long_text, 'a', RECORD_TEXT_MAX + 1);
	long_text[RECORD_TEXT_MAX + 1] = 0;
	record_add(&b, 1, long_text, RECORD_TEXT_MAX + 1);
	r = one(&b);
	FAILS(ERR_LIMIT, record_get_text(&r, &s, e));
	assert_string_equal(s, "before");
	/* What is too long is cut when it is written, so that it can be read. */
	b.len = 0;
	record_text(&b, 1, long_text);
	r = one(&b);
	OK(record_get_text(&r, &s, e));
	assert_int_equal(strlen(s), RECORD_TEXT_MAX);
}

static void test_text_with_nul(void **state)
{
	AUTO_FREE char *s = xstrdup("before");

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		char raw[5] = "abcde";
		struct record r = {1, cur_of(raw, 5)};

		raw[i] = 0;
		FAILS(ERR_CORRUPT, record_get_text(&r, &s, e));
	}
	assert_string_equal(s, "before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_length_beyond_the_end),
		cmocka_unit_test(test_empty_text_is_not_written),
		cmocka_unit_test(test_wrong_sizes),
		cmocka_unit_test(test_unknown_tags),
		cmocka_unit_test(test_text_limits),
		cmocka_unit_test(test_text_with_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
