/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/blockmap.h"

#include <string.h>

#include "testing.h"

enum { UNIT = 8, BLOCKS_MAX = 200 };

static void assert_run(struct blockmap *m, uint64_t first, uint64_t n, enum extent_kind kind)
{
	struct block_run r = {0};

	assert_true(blockmap_take(m, &r));
	assert_int_equal(r.first, first);
	assert_int_equal(r.n, n);
	assert_int_equal(r.kind, kind);
}

static void test_whole_blocks_pass(void **state)
{
	struct block_run r;
	struct blockmap m;

	(void)state;
	blockmap_init(&m, UNIT, 10 * UNIT);
	assert_false(blockmap_take(&m, &r));
	blockmap_add(&m, 3 * UNIT, EXTENT_ZERO);
	blockmap_add(&m, 2 * UNIT, EXTENT_ZERO);
	blockmap_add(&m, 5 * UNIT, EXTENT_CLEAN);
	assert_run(&m, 0, 5, EXTENT_ZERO);
	assert_run(&m, 5, 5, EXTENT_CLEAN);
	assert_false(blockmap_take(&m, &r));
	blockmap_done(&m);
	assert_null(m.runs);
}

/* A block of two kinds is read. */
static void test_mixed_block_is_data(void **state)
{
	struct block_run r;
	struct blockmap m;

	(void)state;
	blockmap_init(&m, UNIT, 3 * UNIT + 1);
	blockmap_add(&m, UNIT + 1, EXTENT_ZERO);
	assert_run(&m, 0, 1, EXTENT_ZERO);
	assert_false(blockmap_take(&m, &r));
	blockmap_add(&m, UNIT - 1, EXTENT_CLEAN);
	assert_run(&m, 1, 1, EXTENT_DATA);
	/* The last one is cut off by the end; what is beyond does not count. */
	blockmap_add(&m, UNIT, EXTENT_CLEAN);
	blockmap_add(&m, 100 * UNIT, EXTENT_ZERO);
	assert_run(&m, 2, 1, EXTENT_CLEAN);
	assert_run(&m, 3, 1, EXTENT_ZERO);
	assert_false(blockmap_take(&m, &r));
	assert_int_equal(m.at, m.size);
	blockmap_done(&m);
}

/* What each block must be, byte by byte. */
static void expect(const uint8_t *bytes, uint64_t size, uint8_t *out)
{
	for (uint64_t i = 0; i < size; i++) {
		uint8_t *kind = &out[i / UNIT];

		if (i % UNIT == 0)
			*kind = bytes[i];
		else if (*kind != bytes[i])
			*kind = EXTENT_DATA;
	}
}

static void take_all(struct blockmap *m, uint8_t *out, uint64_t *at)
{
	struct block_run r;

	while (blockmap_take(m, &r)) {
		assert_int_equal(r.first, *at);
		assert_true(r.n > 0 && r.first + r.n <= BLOCKS_MAX);
		memset(out + r.first, (int)r.kind, r.n);
		*at += r.n;
	}
}

static void test_random_extents(void **state)
{
	struct random rnd = {random_seed()};
	uint8_t bytes[UNIT * BLOCKS_MAX], right[BLOCKS_MAX], got[BLOCKS_MAX];

	(void)state;
	for (int round = 0; round < 500; round++) {
		uint64_t size = random_below(&rnd, sizeof(bytes) + 1), at = 0, taken = 0;
		struct blockmap m;

		blockmap_init(&m, UNIT, size);
		while (at < size) {
			uint64_t most = random_below(&rnd, 2) ? 5 * UNIT : 5;
			uint64_t want = 1 + random_below(&rnd, most);
			uint64_t n = MIN(want, size - at);
			enum extent_kind kind = (enum extent_kind)random_below(&rnd, 3);

			memset(bytes + at, (int)kind, n);
			at += n;
			blockmap_add(&m, n, kind);
			if (random_below(&rnd, 3) == 0)
				take_all(&m, got, &taken);
		}
		take_all(&m, got, &taken);
		expect(bytes, size, right);
		assert_int_equal(taken, DIV_UP(size, UNIT));
		assert_memory_equal(got, right, taken);
		blockmap_done(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_blocks_pass),
		cmocka_unit_test(test_mixed_block_is_data),
		cmocka_unit_test(test_random_extents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
