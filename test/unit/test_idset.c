/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of ids: empty, small, grown, crowded, cleared.
 */
#include "testing.h"

#include <string.h>

#include "base/buf.h"
#include "repo/idset.h"

static struct block_id make_id(uint64_t hash, uint64_t rest)
{
	struct block_id id = {{0}};

	put_le64(id.b, rest);
	put_le64(id.b + 16, hash); /* the bytes that pick the slot */
	return id;
}

static void test_empty(void **state)
{
	struct idset s = {0};
	struct block_id id = make_id(1, 1);

	(void)state;
	assert_false(idset_has(&s, &id));
	idset_clear(&s);
	idset_done(&s);
}

static void test_add_and_find(void **state)
{
	struct random rnd = {random_seed()};
	struct idset s = {0};
	AUTO_FREE struct block_id *ids = xcalloc(5000, sizeof(*ids));

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		ids[i] = make_id(random_next(&rnd), i + 1);
		assert_false(idset_has(&s, &ids[i]));
		assert_true(idset_add(&s, &ids[i]));
		assert_false(idset_add(&s, &ids[i]));
		assert_int_equal(s.n, i + 1);
	}
	for (size_t i = 0; i < 5000; i++) {
		struct block_id other = ids[i];

		assert_true(idset_has(&s, &ids[i]));
		other.b[31] ^= 1;
		assert_false(idset_has(&s, &other));
	}
	idset_done(&s);
	assert_int_equal(s.n, 0);
}

/* Ids that all want the same slot, the last one of the table: they wrap around its end. */
static void test_crowd(void **state)
{
	struct idset s = {0};

	(void)state;
	for (uint64_t i = 1; i <= 600; i++) {
		struct block_id id = make_id(UINT64_MAX, i);

		assert_true(idset_add(&s, &id));
	}
	for (uint64_t i = 1; i <= 601; i++) {
		struct block_id id = make_id(UINT64_MAX, i);

		assert_int_equal(idset_has(&s, &id), i <= 600);
	}
	idset_done(&s);
}

static void test_clear(void **state)
{
	struct idset s = {0};

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 1; i <= 2000; i++) {
			struct block_id id = make_id(i * 7919, i);

			assert_true(idset_add(&s, &id));
		}
		idset_clear(&s);
		for (uint64_t i = 1; i <= 2000; i++) {
			struct block_id id = make_id(i * 7919, i);

			assert_false(idset_has(&s, &id));
		}
	}
	idset_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_add_and_find),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
