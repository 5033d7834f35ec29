/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring_priv.h: the ring as keyring.c (what is done with it) and keyring_format.c (its bytes)
 * share it. All keys lie in one secret.
 */
#ifndef HF_REPO_KEYRING_PRIV_H
#define HF_REPO_KEYRING_PRIV_H

#include "repo/keyring.h"

#define SLOTS_MAX 64
#define GENERATIONS_MAX 1024
#define SLOT_BYTES 112
#define KEYRING_OBJECT_MAX ((size_t)1 << 20)

enum derivation { DERIVE_ARGON2ID = 1, DERIVE_HKDF = 2 };

struct generation {
	uint32_t number;
	uint64_t time_us;
	uint8_t key[SEAL_KEY];
};

/* What must not leave the process. */
struct ring_keys {
	uint8_t root[SEAL_KEY];
	uint8_t id_key[SEAL_KEY];
	struct generation gens[GENERATIONS_MAX];
};

struct keyring {
	struct uuid repo_id;
	uint32_t version;
	struct uuid opened_by;
	size_t n_slots;
	struct keyring_slot slots[SLOTS_MAX];
	uint8_t raw[SLOTS_MAX][SLOT_BYTES];
	size_t n_gens;
	struct secret *secret; /* a struct ring_keys */
};

static inline struct ring_keys *ring_keys(const struct keyring *k)
{
	return (struct ring_keys *)(void *)k->secret->data;
}

/* Make slot number `i`: derive its key from the credential and wrap the root key with it. */
int keyring_wrap(struct keyring *k, size_t i, const struct credential *c,
		 const struct keyring_cost *cost, struct err *e);
/* Does this credential open slot `i`? 1 and the root key, 0 it does not, -1 it cannot be tried. */
int keyring_unwrap(const struct keyring *k, size_t i, const struct credential *c,
		   uint8_t root[SEAL_KEY], struct err *e);
/* The ring as an object. */
void keyring_encode(const struct keyring *k, struct buf *out);
/* The plain part: repository id, version, slots. Fills an empty ring. */
int keyring_decode_slots(struct keyring *k, const uint8_t *p, size_t n, struct err *e);
/* The sealed part, with the root key in place. */
int keyring_decode_body(struct keyring *k, const uint8_t *p, size_t n, struct err *e);

#endif
