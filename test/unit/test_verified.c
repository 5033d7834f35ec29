/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of verifications: bytes, union, damage. What it is good for is in
 * test_scrub.c. */
#include "repo/verified.h"

#include <string.h>

#include "repo/store_mem.h"
#include "testing.h"

static void name_of(uint8_t byte, uint8_t out[HASH_BYTES])
{
	memset(out, byte, HASH_BYTES);
}

static void add(struct verified *v, uint8_t byte, uint64_t when)
{
	uint8_t name[HASH_BYTES];

	name_of(byte, name);
	verified_add(v, name, when);
}

static uint64_t when(const struct verified *v, uint8_t byte, uint64_t now)
{
	uint8_t name[HASH_BYTES];

	name_of(byte, name);
	return verified_when(v, name, now);
}

static void test_newest_counts(void **state)
{
	struct verified v = {0};

	(void)state;
	assert_int_equal(when(&v, 1, 100), 0);
	add(&v, 3, 30);
	add(&v, 1, 10);
	add(&v, 3, 40);
	add(&v, 3, 20);
	verified_sort(&v);
	assert_int_equal(v.n, 2);
	assert_int_equal(when(&v, 1, 100), 10);
	assert_int_equal(when(&v, 2, 100), 0);
	assert_int_equal(when(&v, 3, 100), 40);
	/* A clock that was wrong, or is: better too soon than too late. */
	assert_int_equal(when(&v, 3, 39), 0);
	verified_done(&v);
}

static void test_bytes(void **state)
{
	struct verified v = {0}, back = {0};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	add(&v, 1, 0x0102030405060708);
	add(&v, 2, 7);
	verified_encode(&v, &b);
	assert_int_equal(b.len, 8 + 2 * 40 + 32);
	assert_memory_equal(b.data, "HFVL\1\0\0\0", 8);
	assert_int_equal(b.data[8 + 32], 8);
	OK(verified_decode(b.data, b.len, &back, e));
	verified_sort(&back);
	assert_int_equal(when(&back, 1, UINT64_MAX), 0x0102030405060708);
	assert_int_equal(when(&back, 2, UINT64_MAX), 7);
	verified_done(&back);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 4;
		FAILS(ERR_CORRUPT, verified_decode(b.data, b.len, &back, e));
		b.data[i] ^= 4;
		FAILS(ERR_CORRUPT, verified_decode(b.data, i, &back, e));
	}
	assert_int_equal(back.n, 0);
	verified_done(&v);
}

static void test_two_at_once(void **state)
{
	struct store *s = store_mem_new();
	struct verified a, b, c;
	char key[STORE_KEY_MAX];
	size_t len;

	(void)state;
	OK(verified_load(s, &a, e));
	OK(verified_load(s, &b, e));
	add(&a, 1, 10);
	add(&b, 2, 20);
	OK(verified_save(s, &a, e));
	OK(verified_save(s, &b, e));
	assert_int_equal(test_count(s, "verified/"), 2);
	OK(verified_load(s, &c, e));
	assert_int_equal(when(&c, 1, 100), 10);
	assert_int_equal(when(&c, 2, 100), 20);
	OK(verified_save(s, &c, e));
	assert_int_equal(test_count(s, "verified/"), 1);
	/* Who read it before that finds nothing to replace. */
	OK(verified_save(s, &c, e));
	verified_done(&a);
	verified_done(&b);
	verified_done(&c);
	/* What is damaged is forgotten, and replaced. */
	test_nth(s, "verified/", 0, key);
	store_mem_bytes(s, key, &len)[20] ^= 1;
	test_nth(s, "verified/", 1, key);
	store_mem_bytes(s, key, &len)[20] ^= 1;
	OK(verified_load(s, &c, e));
	assert_int_equal(c.n, 0);
	assert_int_equal(c.n_keys, 2);
	OK(verified_save(s, &c, e));
	assert_int_equal(test_count(s, "verified/"), 1);
	verified_done(&c);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_counts),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_two_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
