/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parity object: the input as a whole one, and as a head without its checksum, which is put
 * right; then as much of a damaged pack as there is input is mended with it.
 */
#include "fuzz.h"

#include "repo/pack.h"
#include "repo/parity_store.h"
#include "repo/store_mem.h"

#define MOST ((uint64_t)4 << 20) /* what there is to allocate for a head; more only takes time */

static void mend(const uint8_t *object, size_t n, const uint8_t *pack, size_t pack_n)
{
	uint8_t name[HASH_BYTES] = {1};
	char key[STORE_KEY_MAX];
	AUTO_BUF out = BUF_INIT;
	AUTO(store) s = store_mem_new();
	struct err e = {0};

	if (n >= PARITY_FIXED)
		memcpy(name, object + 32, HASH_BYTES);
	pack_key_name(name, key);
	store_put_new(s, key, pack, pack_n, &e);
	parity_key_name(name, key);
	store_put_new(s, key, object, n, &e);
	parity_mends(s, name, &e);
	parity_rebuild(s, name, &out, &e);
}

static bool is_small(const uint8_t *fixed)
{
	return get_le64(fixed + 24) <= MOST && get_le32(fixed + 16) <= MOST / PARITY_CELL &&
	       (uint64_t)get_le32(fixed + 16) * get_le32(fixed + 12) <= MOST / PARITY_CELL;
}

static void with_checksum(const uint8_t *data, size_t size)
{
	size_t n = parity_head_bytes(data);
	AUTO_BUF b = BUF_INIT;
	uint8_t *hash;

	if (!n)
		return;
	buf_add(&b, data, MIN(size, n - HASH_BYTES));
	buf_fill(&b, 0, n - HASH_BYTES - b.len);
	hash = buf_reserve(&b, HASH_BYTES);
	sha256(b.data, b.len, hash);
	b.len += HASH_BYTES;
	buf_add(&b, data, size);
	mend(b.data, b.len, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= PARITY_FIXED && !is_small(data))
		return 0;
	mend(data, size, data, size);
	if (size >= PARITY_FIXED)
		with_checksum(data, size);
	return 0;
}
