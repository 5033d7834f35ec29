/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_mem.h: the memory store and what only tests do to it: damage it. Thread-safe but for the
 * bytes that are handed out.
 */
#ifndef HF_REPO_STORE_MEM_H
#define HF_REPO_STORE_MEM_H

#include "repo/store.h"

struct store *store_mem_new(void);

/* The object's bytes, to be changed in place; NULL when there is no such object. They stay valid
 * until the object is replaced or removed. */
uint8_t *store_mem_bytes(struct store *s, const char *key, size_t *ret_len);
/* Cut the object to `len` bytes, or append zeros. */
void store_mem_resize(struct store *s, const char *key, size_t len);

#endif
