/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verified.h: when packs and runs were last found whole (format section 12), so that a verification
 * can begin with what was looked at least recently, and pass over the rest.
 *
 * It is a hint: where it is lost or wrong, something is read sooner or later than it would be.
 * Several verifiers may work at once; each adds what it found.
 *
 * Belongs to one thread.
 */
#ifndef HF_REPO_VERIFIED_H
#define HF_REPO_VERIFIED_H

#include "base/buf.h"
#include "repo/seal.h"
#include "repo/store.h"

struct verified_entry {
	uint8_t name[HASH_BYTES];
	uint64_t when_us; /* wall clock */
};

struct verified {
	struct verified_entry *v; /* sorted by name; of one name the newest */
	size_t n, cap;
	char **keys; /* of the objects that this was read from */
	size_t n_keys;
};

/* Read all there is in a store; what is damaged counts for nothing. */
int verified_load(struct store *s, struct verified *ret_v, struct err *e);
void verified_done(struct verified *v);
/* 0: never, as far as is known. What lies in the future by our clock is not believed. */
uint64_t verified_when(const struct verified *v, const uint8_t name[HASH_BYTES], uint64_t now_us);
/* Add one; it counts after verified_sort(). */
void verified_add(struct verified *v, const uint8_t name[HASH_BYTES], uint64_t when_us);
void verified_sort(struct verified *v);
/* Write it as one object in place of those that it was read from. */
int verified_save(struct store *s, const struct verified *v, struct err *e);

/* The object's bytes; and reading them, adding to `v`. ERR_CORRUPT. */
void verified_encode(const struct verified *v, struct buf *out);
int verified_decode(const void *bytes, size_t n, struct verified *v, struct err *e);

#endif
