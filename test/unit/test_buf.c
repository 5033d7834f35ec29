/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <string.h>

#include "testing.h"

static void test_bytes_are_little_endian(void **state)
{
	static const uint8_t want[] = {1,    3,	   2,	 7,    6,    5,	   4,	0x0f, 0x0e,
				       0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 'h', 'i',  '-',
				       '4',  '2',  9,	 9,    9,    'a',  'b'};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	buf_u8(&b, 1);
	buf_u16(&b, 0x0203);
	buf_u32(&b, 0x04050607);
	buf_u64(&b, 0x08090a0b0c0d0e0f);
	buf_text(&b, "hi");
	buf_fmt(&b, "-%d", 42);
	buf_fmt(&b, "%s", "");
	buf_fill(&b, 9, 3);
	buf_add(&b, "abc", 2);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	assert_int_equal(get_be64(b.data + 7), 0x0f0e0d0c0b0a0908);
}

static void test_nothing_stays_nothing(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	buf_add(&b, NULL, 0);
	buf_fill(&b, 1, 0);
	buf_text(&b, "");
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(b.len, 0);
}

static void test_grows_as_needed(void **state)
{
	struct random rnd = {random_seed()};
	AUTO_FREE uint8_t *want = xmalloc(1 << 20);
	struct buf b = BUF_INIT;
	size_t n = 0;

	(void)state;
	random_fill(&rnd, want, 1 << 20, true);
	while (n < (1 << 20) - 5000) {
		size_t more = random_below(&rnd, 5000);

		buf_add(&b, want + n, more);
		n += more;
		assert_true(b.cap >= b.len);
	}
	assert_int_equal(b.len, n);
	assert_memory_equal(b.data, want, n);
	/* Reserving keeps what is there and its length. */
	memset(buf_reserve(&b, 100000), 1, 100000);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.data, want, n);
	buf_done(&b);
	assert_null(b.data);
	assert_int_equal(b.len + b.cap, 0);
}

static void test_text_gets_its_end(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	/* Full to the last byte of what it has: the end needs room too. */
	buf_fill(&b, 'x', 64);
	assert_int_equal(b.cap, 64);
	assert_int_equal(strlen(buf_str(&b)), 64);
	buf_text(&b, "y");
	assert_int_equal(strlen(buf_str(&b)), 65);
}

static void test_reads_what_was_written(void **state)
{
	uint8_t three[3] = {0};
	AUTO_BUF b = BUF_INIT;
	struct cur c;

	(void)state;
	buf_u8(&b, 0xfe);
	buf_u16(&b, 0xfedc);
	buf_u32(&b, 0xfedcba98);
	buf_u64(&b, 0xfedcba9876543210);
	buf_text(&b, "abcde");
	c = cur_of(b.data, b.len);
	assert_int_equal(cur_u8(&c), 0xfe);
	assert_int_equal(cur_u16(&c), 0xfedc);
	assert_int_equal(cur_u32(&c), 0xfedcba98);
	assert_true(cur_u64(&c) == 0xfedcba9876543210);
	cur_copy(&c, three, 3);
	assert_memory_equal(three, "abc", 3);
	assert_true(cur_ok(&c));
	assert_false(cur_done(&c));
	assert_memory_equal(cur_bytes(&c, 2), "de", 2);
	assert_true(cur_done(&c));
	assert_non_null(cur_bytes(&c, 0));
	assert_true(cur_done(&c));
}

/* Too short for each kind of read: zeros, bad for good, and nothing is taken. */
static void test_never_reads_past_the_end(void **state)
{
	static const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t out[9];

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		struct cur c = cur_of(bytes, n);

		assert_true(cur_u64(&c) == 0);
		assert_false(cur_ok(&c));
		assert_false(cur_done(&c));
		/* Later ones fail too, even if there were enough. */
		assert_int_equal(cur_u8(&c), 0);
		assert_int_equal(cur_u16(&c), 0);
		assert_int_equal(cur_u32(&c), 0);
		assert_null(cur_bytes(&c, 0));
		assert_int_equal(c.left, n);
	}
	for (size_t n = 0; n < 9; n++) {
		struct cur c = cur_of(bytes, n);

		memset(out, 0xff, sizeof(out));
		cur_copy(&c, out, 9);
		for (size_t i = 0; i < sizeof(out); i++)
			assert_int_equal(out[i], 0);
		assert_false(cur_ok(&c));
	}
}

static void test_cursor_over_nothing(void **state)
{
	struct cur c = cur_of(NULL, 0);

	(void)state;
	assert_true(cur_done(&c));
	assert_non_null(cur_bytes(&c, 0));
	assert_true(cur_done(&c));
	assert_int_equal(cur_u8(&c), 0);
	assert_false(cur_ok(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_little_endian),
		cmocka_unit_test(test_nothing_stays_nothing),
		cmocka_unit_test(test_grows_as_needed),
		cmocka_unit_test(test_text_gets_its_end),
		cmocka_unit_test(test_reads_what_was_written),
		cmocka_unit_test(test_never_reads_past_the_end),
		cmocka_unit_test(test_cursor_over_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
