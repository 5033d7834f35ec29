/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain part of a key ring as it comes, and the sealed part as whatever is in it: the input is
 * also sealed under the root key of a ring of our own.
 */
#include "fuzz.h"

#include <string.h>

#include "repo/box.h"
#include "repo/keyring_priv.h"
#include "repo/store_mem.h"

static void as_object(const uint8_t *data, size_t size)
{
	static uint8_t key[SEAL_KEY];
	struct store *s = store_mem_new();
	struct credential c = {CREDENTIAL_KEY_FILE, secret_of(key, sizeof(key))};
	struct err e = {0};

	store_put_new(s, "keys/1", data, size, &e);
	keyring_free(keyring_open(s, &c, &e));
	secret_free(c.secret);
	store_free(s);
}

/* The head of a real ring with the input as the body of its box. */
static void as_body(const uint8_t *data, size_t size)
{
	static const uint8_t key[SEAL_KEY];
	struct credential c = {CREDENTIAL_KEY_FILE, secret_of(key, sizeof(key))};
	struct uuid id = {{1}};
	struct err e = {0};
	AUTO(keyring) k = keyring_new(&id, &c, "fuzz", NULL, &e);
	size_t head = 32 + SLOT_BYTES;
	uint8_t hash[HASH_BYTES];
	AUTO_BUF whole = BUF_INIT;

	keyring_encode(k, &whole);
	whole.len = head;
	box_seal(ring_keys(k)->root, 0, BOX_KEYS, data, size, &whole);
	sha256(whole.data, whole.len, hash);
	buf_add(&whole, hash, HASH_BYTES);
	k->n_gens = 0;
	keyring_decode_body(k, whole.data, whole.len, &e);
	secret_free(c.secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_object(data, size);
	as_body(data, size);
	return 0;
}
