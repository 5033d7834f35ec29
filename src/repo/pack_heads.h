/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack_heads.h: the first bytes of packs, from which their keys are made (pack.h), read once by all
 * who read an open repository: in a bucket each is a request.
 *
 * Thread-safe.
 */
#ifndef HF_REPO_PACK_HEADS_H
#define HF_REPO_PACK_HEADS_H

#include "repo/pack.h"

struct pack_heads;

/* Of packs in this store, which stays the caller's and must outlive it. */
struct pack_heads *pack_heads_new(struct store *s);
/* NULL is fine. */
void pack_heads_free(struct pack_heads *h);
/* Whoever wants one that is being read waits for it. Errors are those of store_get_all. */
int pack_heads_get(struct pack_heads *h, const uint8_t name[HASH_BYTES],
		   uint8_t ret_head[PACK_HEAD], struct err *e);
/* What was read may be wrong: read it again the next time. */
void pack_heads_forget(struct pack_heads *h, const uint8_t name[HASH_BYTES]);

#endif
