/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a pack and its directory: the input as a whole pack, and as the plain directory of a
 * pack that is sealed rightly, with as many records as its first two bytes say.
 */
#include "fuzz.h"

#include "repo/pack.h"
#include "repo/store_mem.h"

static void read_pack(const struct keyring *k, const uint8_t *bytes, size_t n)
{
	static const uint8_t name[HASH_BYTES];
	AUTO_FREE struct pack_entry *entries = NULL;
	struct store *s = store_mem_new();
	char key[STORE_KEY_MAX];
	struct err e = {0};
	size_t count;

	pack_key_name(name, key);
	store_put_new(s, key, bytes, n, &e);
	pack_directory(s, k, name, &entries, &count, &e);
	store_free(s);
}

static void sealed(const struct keyring *k, const uint8_t *data, size_t size)
{
	uint8_t aad[PACK_HEAD + PACK_TRAILER] = {'H', 'F', 'P', 'K', 1, SEAL_AES_256_GCM};
	uint8_t *trailer = aad + PACK_HEAD, key[SEAL_KEY];
	size_t gap = size >= 2 ? get_le16(data) : 0;
	AUTO_BUF pack = BUF_INIT;
	AUTO(aead) a = NULL;

	if (size < 4)
		return;
	put_le32(aad + 8, keyring_generation(k));
	put_le32(trailer, 0x45504648); /* HFPE */
	put_le32(trailer + 4, get_le16(data + 2));
	put_le64(trailer + 8, PACK_HEAD + gap);
	put_le32(trailer + 16, (uint32_t)(size - 4 + SEAL_TAG));
	if (pack_key(k, aad, key, NULL) < 0)
		return;
	a = aead_new(key);
	buf_add(&pack, aad, PACK_HEAD);
	buf_fill(&pack, 0, gap);
	aead_seal(a, PACK_HEAD + gap, aad, sizeof(aad), data + 4, size - 4,
		  buf_reserve(&pack, size - 4 + SEAL_TAG));
	pack.len += size - 4 + SEAL_TAG;
	buf_add(&pack, trailer, PACK_TRAILER);
	read_pack(k, pack.data, pack.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[SEAL_KEY];
	struct credential c = {CREDENTIAL_KEY_FILE, secret_of(key, sizeof(key))};
	struct uuid id = {{1}};
	AUTO(keyring) k = keyring_new(&id, &c, "", NULL, NULL);

	read_pack(k, data, size);
	sealed(k, data, size);
	secret_free(c.secret);
	return 0;
}
