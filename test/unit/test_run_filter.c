/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter of a run: no id that was added is missed, few others pass, and its bits are those of
 * the Parquet specification.
 */
#include "testing.h"

#include <string.h>

#include "base/buf.h"
#include "repo/run.h"

static struct block_id with_hash(uint64_t hash)
{
	struct block_id id = {{0}};

	put_le64(id.b + 8, hash);
	return id;
}

/* In a filter of any length. */
static void add(uint8_t *filter, uint64_t bytes, const struct block_id *id)
{
	run_filter_add(filter + run_filter_at(bytes, id), id);
}

static bool test(const uint8_t *filter, uint64_t bytes, const struct block_id *id)
{
	return run_filter_test(filter + run_filter_at(bytes, id), id);
}

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(run_filter_bytes(0), 0);
	assert_int_equal(run_filter_bytes(RUN_GROUP), 0);
	for (uint64_t n = RUN_GROUP + 1; n < 100000000; n = n * 3 + 1) {
		assert_int_equal(run_filter_bytes(n) % 32, 0);
		assert_true(run_filter_bytes(n) * 8 >= n * 10);
		assert_true(run_filter_bytes(n) * 8 < n * 10 + 256);
	}
}

static void test_finds_all_and_few_others(void **state)
{
	const uint64_t n = 20000, bytes = run_filter_bytes(n);
	AUTO_FREE uint8_t *filter = xcalloc(bytes, 1);
	struct random rnd = {random_seed()}, again = rnd;
	size_t passed = 0;

	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		struct block_id id = with_hash(random_next(&rnd));

		add(filter, bytes, &id);
	}
	for (uint64_t i = 0; i < n; i++) {
		struct block_id id = with_hash(random_next(&again));

		assert_true(test(filter, bytes, &id));
	}
	for (uint64_t i = 0; i < n; i++) {
		struct block_id id = with_hash(random_next(&rnd));

		passed += test(filter, bytes, &id);
	}
	assert_true(passed < n / 40);
}

/* The extremes of the hash pick the first and the last block, and stay inside. */
static void test_ends(void **state)
{
	uint8_t guarded[32 + 96 + 32] = {0}, *filter = guarded + 32;
	static const uint8_t zero[32];
	struct block_id low = with_hash(0), high = with_hash(UINT64_MAX);

	(void)state;
	add(filter, 96, &low);
	add(filter, 96, &high);
	assert_memory_equal(guarded, zero, 32);
	assert_memory_equal(guarded + 128, zero, 32);
	assert_memory_not_equal(filter, zero, 32);
	assert_memory_equal(filter + 32, zero, 32);
	assert_memory_not_equal(filter + 64, zero, 32);
}

/* One bit in each word: (x * salt) >> 27, worked out by hand for x = 1. */
static void test_bits(void **state)
{
	static const uint32_t want[8] = {1U << (0x47b6137bU >> 27), 1U << (0x44974d91U >> 27),
					 1U << (0x8824ad5bU >> 27), 1U << (0xa2b7289dU >> 27),
					 1U << (0x705495c7U >> 27), 1U << (0x2df1424bU >> 27),
					 1U << (0x9efc4947U >> 27), 1U << (0x5c6bfb31U >> 27)};
	struct block_id id = with_hash(1);
	uint8_t filter[32] = {0};

	(void)state;
	add(filter, 32, &id);
	for (int i = 0; i < 8; i++)
		assert_int_equal(get_le32(filter + 4 * i), want[i]);
	/* Each of them counts. */
	for (int i = 0; i < 8; i++) {
		put_le32(filter + 4 * i, 0);
		assert_false(test(filter, 32, &id));
		put_le32(filter + 4 * i, want[i]);
	}
	assert_true(test(filter, 32, &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_finds_all_and_few_others),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
