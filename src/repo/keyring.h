/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring.h: the keys of a repository and the slots that open them (format section 5).
 *
 * Any slot's secret opens the whole ring. Changing slots writes a new version of the ring object
 * and removes the old ones; two who change it at once are told apart by the store (the loser starts
 * over).
 *
 * Threads: a ring is read-only but for keyring_add_slot, keyring_remove_slot and keyring_rotate,
 * which need it alone.
 */
#ifndef HF_REPO_KEYRING_H
#define HF_REPO_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "repo/credential.h"
#include "repo/seal.h"
#include "repo/store.h"

#define KEYRING_LABEL_MAX 255 /* bytes in the name of a slot */

struct keyring;

struct keyring_slot {
	struct uuid id;
	enum credential_kind kind;
	uint64_t added_us;
	char *label;
};

/* How much work guessing a passphrase is made; recorded in the slot. */
struct keyring_cost {
	uint32_t passes, memory_kib, lanes;
};
extern const struct keyring_cost keyring_cost_default;

/* A new ring with random keys for repository `id`, opened by one slot. Not stored yet. NULL `cost`:
 * the default. */
struct keyring *keyring_new(const struct uuid *id, const struct credential *c, const char *label,
			    const struct keyring_cost *cost, struct err *e);
/* Store a new ring as version 1. ERR_EXISTS: there are keys already. */
int keyring_store(struct keyring *k, struct store *s, struct err *e);
/*
 * Open the newest ring in the store. ERR_NOENT: no keys at all, this is no repository; ERR_KEY: the
 * credential opens none of the slots; ERR_CORRUPT.
 */
struct keyring *keyring_open(struct store *s, const struct credential *c, struct err *e);
void keyring_free(struct keyring *k);
/* The number in "keys/N" or "keys/N.copy"; 0 for other names. */
uint32_t keyring_key_parse(const char *key);

const struct uuid *keyring_repo_id(const struct keyring *k);
/* The slots, owned by the ring. */
const struct keyring_slot *keyring_slots(const struct keyring *k, size_t *ret_n);
/* The slot that opened the ring. */
const struct uuid *keyring_opened_by(const struct keyring *k);
/* The generation under which new objects are sealed, and how many there are. */
uint32_t keyring_generation(const struct keyring *k);
uint64_t keyring_generation_time_us(const struct keyring *k);

/* The key of a generation, SEAL_KEY bytes owned by the ring; NULL with ERR_CORRUPT when unknown. */
const uint8_t *keyring_key(const struct keyring *k, uint32_t generation, struct err *e);
/* SEAL_KEY bytes for ids of blocks, ids of nodes, and fingerprints. */
enum key_use { KEY_DATA, KEY_NODE, KEY_PRINT };
void keyring_id_key(const struct keyring *k, enum key_use use, uint8_t out[SEAL_KEY]);
/* `n` secret bytes for another purpose, named by `info`. */
void keyring_derive(const struct keyring *k, const char *info, uint8_t *out, size_t n);

/* Add a slot; the new ring is stored. */
int keyring_add_slot(struct keyring *k, struct store *s, const struct credential *c,
		     const char *label, const struct keyring_cost *cost, struct err *e);
/* Remove a slot; refuses the last one. */
int keyring_remove_slot(struct keyring *k, struct store *s, const struct uuid *slot, struct err *e);
/*
 * New root key and new generation. The slots of the `n` credentials stay (each must open one),
 * others go; ERR_INVALID names a slot that would go unless `drop_others`.
 */
int keyring_rotate(struct keyring *k, struct store *s, const struct credential *const *keep,
		   size_t n, bool drop_others, const struct keyring_cost *cost, struct err *e);

DEFINE_AUTO(keyring, keyring_free);

#endif
