/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idcache.h: whom a token belongs to, remembered for a while.
 *
 * Keys are an HMAC of what was presented under a key of this process, so that no token lies in
 * memory. A place holds an identity, or that there is none. Memory is bounded: sets of four, the
 * oldest goes.
 *
 * Threads: thread-safe.
 */
#ifndef HF_AUTH_IDCACHE_H
#define HF_AUTH_IDCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"

#define IDCACHE_KEY 32

struct idcache;

struct idcache *idcache_new(size_t entries);
void idcache_free(struct idcache *c);
DEFINE_AUTO(idcache, idcache_free);

/* `kind` and both texts (each may be NULL) together are the key. */
void idcache_key(struct idcache *c, int kind, const char *a, const char *b,
		 uint8_t ret[IDCACHE_KEY]);
/*
 * False: nothing is known. *ret_id: a reference for the caller, or NULL: nobody. *ret_age_us: since
 * it was put there. `epoch`: another one than before empties the cache.
 */
bool idcache_get(struct idcache *c, const uint8_t key[IDCACHE_KEY], uint64_t epoch, uint64_t now_us,
		 struct identity **ret_id, uint64_t *ret_age_us);
/* `id` (may be NULL: nobody) is referred to. What was found out in another epoch is dropped. */
void idcache_put(struct idcache *c, const uint8_t key[IDCACHE_KEY], uint64_t epoch, uint64_t now_us,
		 struct identity *id);

#endif
