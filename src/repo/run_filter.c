/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A split block Bloom filter, as Apache Parquet specifies it (BloomFilter.md, "SBBF"): the upper
 * half of the hash picks a block of 256 bits, the lower half one bit in each of its eight words.
 * One test touches one cache line. At 10 bits for each id about 1 in 100 unknown ids passes.
 */
#include "base/buf.h"
#include "repo/run.h"

#define BITS_PER_ENTRY 10

static const uint32_t salts[8] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
				  0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};

uint64_t run_filter_bytes(uint64_t n)
{
	/* A run of one group is searched about as fast. */
	if (n <= RUN_GROUP)
		return 0;
	return DIV_UP(n * BITS_PER_ENTRY, 8 * RUN_FILTER_BLOCK) * RUN_FILTER_BLOCK;
}

uint64_t run_filter_at(uint64_t bytes, const struct block_id *id)
{
	uint64_t hash = get_le64(id->b + 8);

	return ((hash >> 32) * (bytes / RUN_FILTER_BLOCK) >> 32) * RUN_FILTER_BLOCK;
}

void run_filter_add(uint8_t block[RUN_FILTER_BLOCK], const struct block_id *id)
{
	uint64_t hash = get_le64(id->b + 8);

	for (int i = 0; i < 8; i++) {
		uint32_t bit = (uint32_t)hash * salts[i] >> 27;

		put_le32(block + 4 * i, get_le32(block + 4 * i) | (uint32_t)1 << bit);
	}
}

bool run_filter_test(const uint8_t block[RUN_FILTER_BLOCK], const struct block_id *id)
{
	uint64_t hash = get_le64(id->b + 8);

	for (int i = 0; i < 8; i++) {
		uint32_t bit = (uint32_t)hash * salts[i] >> 27;

		if (!(get_le32(block + 4 * i) & (uint32_t)1 << bit))
			return false;
	}
	return true;
}
