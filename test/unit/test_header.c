/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header: as documented, in any order, and refused when a bit of it is wrong.
 */
#include "testing.h"

#include <string.h>

#include "base/hex.h"
#include "repo/header.h"

#define FIRST "holdfast repository\n"
#define ID "5d1f3c0e-8f3a-4c4e-9a53-0e6f5b3b7a11"

/* Lines with the checksum behind them. */
static void checksummed(struct buf *b, const char *lines)
{
	uint8_t hash[HASH_BYTES];
	char hex[HASH_TEXT];

	b->len = 0;
	buf_text(b, lines);
	sha256(b->data, b->len, hash);
	buf_fmt(b, "sha256: %s\n", hex_encode(hash, HASH_BYTES, hex));
}

static int decode(const struct buf *b, struct header *ret_h, struct err *e)
{
	/* A copy of its own, so that a sanitizer sees a read past the end. */
	AUTO_FREE uint8_t *copy = xmalloc(b->len);

	memcpy(copy, b->data, b->len);
	return header_decode(copy, b->len, ret_h, e);
}

static void test_round_trip(void **state)
{
	struct header made = {.id = uuid_random()}, h;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	header_encode(&made, &b);
	OK(decode(&b, &h, e));
	assert_true(uuid_equal(&h.id, &made.id));
	assert_int_equal(h.parity, 0);
	assert_false(h.read_only);
	made.parity = 12;
	b.len = 0;
	header_encode(&made, &b);
	OK(decode(&b, &h, e));
	assert_int_equal(h.parity, 12);
	assert_true(uuid_is_zero(&h.arbiter));
	made.arbiter = uuid_random();
	b.len = 0;
	header_encode(&made, &b);
	OK(decode(&b, &h, e));
	assert_true(uuid_equal(&h.arbiter, &made.arbiter));
	assert_false(h.read_only);
}

static void test_text(void **state)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF want = BUF_INIT;
	struct header h = {0};

	(void)state;
	assert_true(uuid_parse(ID, &h.id));
	checksummed(&want, FIRST "version: 1\nid: " ID "\nneeds:\nneeds-to-write:\n");
	header_encode(&h, &b);
	assert_string_equal(buf_str(&b), buf_str(&want));
}

static void test_accepted(void **state)
{
	static const struct {
		const char *lines;
		bool read_only;
	} rows[] = {
		{FIRST "id: " ID "\nversion: 1\n", false},
		{FIRST "id:" ID "\nversion:1\nneeds: \nneeds-to-write:   \n", false},
		{FIRST "id:    " ID "\nversion:    1\n", false},
		{FIRST "colour: blue\nversion: 1\nid: " ID "\nempty:\n", false},
		{FIRST "version: 1\nid: " ID "\nneeds-to-write: magic\n", true},
		{FIRST "version: 1\nid: " ID "\nneeds-to-write: arbiter magic\narbiter: " ID "\n",
		 true},
		{FIRST "needs-to-write: a b c\nversion: 1\nid: " ID "\nneeds:\n", true},
	};
	AUTO_BUF b = BUF_INIT;
	struct header h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[UUID_TEXT];

		checksummed(&b, rows[i].lines);
		OK(decode(&b, &h, e));
		assert_int_equal(h.read_only, rows[i].read_only);
		assert_string_equal(uuid_text(&h.id, text), ID);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *lines;
		enum err_kind kind;
	} rows[] = {
		{FIRST "version: 2\nid: " ID "\n", ERR_VERSION},
		{FIRST "version: 99999999999999999999999\nid: " ID "\n", ERR_VERSION},
		{FIRST "version: 2\n", ERR_VERSION},
		{FIRST "version: 1\nid: " ID "\nneeds: magic\n", ERR_VERSION},
		{FIRST "version: 0\nid: " ID "\n", ERR_CORRUPT},
		{FIRST "version: -1\nid: " ID "\n", ERR_CORRUPT},
		{FIRST "version: one\nid: " ID "\n", ERR_CORRUPT},
		{FIRST "id: " ID "\n", ERR_CORRUPT},
		{FIRST "version: 1\n", ERR_CORRUPT},
		{FIRST "version: 1\nid: " ID "0\n", ERR_CORRUPT},
		{FIRST "version: 1\nid:\n", ERR_CORRUPT},
		{FIRST "version: 1\nid: " ID "\nno colon\n", ERR_CORRUPT},
		{FIRST "version: 1\nid: " ID "\narbiter: " ID "\n", ERR_CORRUPT},
		{FIRST "version: 1\nid: " ID "\nneeds-to-write: arbiter\n", ERR_CORRUPT},
		{FIRST "version: 1\nid: " ID "\nneeds-to-write: arbiter\narbiter: me\n",
		 ERR_CORRUPT},
		{FIRST, ERR_CORRUPT},
		{"holdfast depository\nversion: 1\nid: " ID "\n", ERR_CORRUPT},
		{"version: 1\nid: " ID "\n" FIRST, ERR_CORRUPT},
	};
	AUTO_BUF b = BUF_INIT;
	struct header h = {.read_only = true};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		checksummed(&b, rows[i].lines);
		FAILS(rows[i].kind, decode(&b, &h, e));
	}
	assert_true(h.read_only); /* not written */
}

static void test_every_flipped_byte_and_cut(void **state)
{
	struct header made = {.id = uuid_random(), .parity = 5}, h;
	AUTO_BUF b = BUF_INIT;
	size_t whole;

	(void)state;
	header_encode(&made, &b);
	whole = b.len;
	for (size_t i = 0; i < whole; i++) {
		b.data[i] ^= 1;
		FAILS(ERR_CORRUPT, decode(&b, &h, e));
		b.data[i] ^= 1;
		b.len = i;
		FAILS(ERR_CORRUPT, decode(&b, &h, e));
		b.len = whole;
	}
	buf_text(&b, "\n");
	FAILS(ERR_CORRUPT, decode(&b, &h, e));
}

static void test_length_limit(void **state)
{
	const size_t tail = strlen("sha256: ") + 2 * HASH_BYTES + 1;
	AUTO_BUF lines = BUF_INIT;
	AUTO_BUF b = BUF_INIT;
	struct header h;

	(void)state;
	buf_text(&lines, FIRST "version: 1\nid: " ID "\nfill: ");
	buf_fill(&lines, 'x', HEADER_MAX - tail - 1 - lines.len);
	buf_text(&lines, "\n");
	checksummed(&b, buf_str(&lines));
	assert_int_equal(b.len, HEADER_MAX);
	OK(decode(&b, &h, e));
	lines.data[lines.len - 1] = 'x';
	buf_text(&lines, "\n");
	checksummed(&b, buf_str(&lines));
	FAILS(ERR_CORRUPT, decode(&b, &h, e));
}

static void test_nul(void **state)
{
	char lines[] = FIRST "version: 1\nid: " ID "\nfill: x\n";
	uint8_t hash[HASH_BYTES];
	char hex[HASH_TEXT];
	AUTO_BUF b = BUF_INIT;
	struct header h;

	(void)state;
	lines[strlen(lines) - 2] = 0;
	buf_add(&b, lines, sizeof(lines) - 1);
	sha256(b.data, b.len, hash);
	buf_fmt(&b, "sha256: %s\n", hex_encode(hash, HASH_BYTES, hex));
	FAILS(ERR_CORRUPT, decode(&b, &h, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_every_flipped_byte_and_cut),
		cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
