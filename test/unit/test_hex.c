/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hex.h"

#include <string.h>

#include "testing.h"

static void test_digits(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x0f, 0xf0, 0x9a, 0xff};
	char text[11];

	(void)state;
	assert_ptr_equal(hex_encode(bytes, 5, text), text);
	assert_string_equal(text, "000ff09aff");
	assert_string_equal(hex_encode(bytes, 0, text), "");
}

static void test_every_byte_comes_back(void **state)
{
	uint8_t in[256], out[256];
	char text[513];

	(void)state;
	for (int i = 0; i < 256; i++)
		in[i] = (uint8_t)i;
	hex_encode(in, 256, text);
	assert_true(hex_decode(text, 256, out));
	assert_memory_equal(in, out, 256);
	for (char *p = text; *p; p++) {
		if (*p >= 'a')
			*p = (char)(*p - 'a' + 'A');
	}
	memset(out, 0, sizeof(out));
	assert_true(hex_decode(text, 256, out));
	assert_memory_equal(in, out, 256);
}

/* In either half of a digit pair, only the 22 digits are taken. */
static void test_anything_else_is_refused(void **state)
{
	uint8_t out[2];

	(void)state;
	for (int i = 0; i < 256; i++) {
		char c = (char)i;
		bool good = i && strchr("0123456789abcdefABCDEF", i) != NULL;
		char first[4] = {c, '0', '1', '2'}, second[4] = {'0', c, '1', '2'};
		char last[4] = {'1', '2', '0', c};

		assert_int_equal(hex_decode(first, 2, out), good);
		assert_int_equal(hex_decode(second, 2, out), good);
		assert_int_equal(hex_decode(last, 2, out), good);
	}
	/* A text that ends early is not read past its end. */
	assert_false(hex_decode("", 2, out));
	assert_false(hex_decode("0", 2, out));
	assert_false(hex_decode("00", 2, out));
	assert_true(hex_decode("", 0, out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_every_byte_comes_back),
		cmocka_unit_test(test_anything_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
