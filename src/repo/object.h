/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h: small sealed objects: a box and the SHA-256 of it (format section 4): points, sessions
 * and epochs. Pure functions over a store and keys; thread-safe.
 */
#ifndef HF_REPO_OBJECT_H
#define HF_REPO_OBJECT_H

#include "repo/box.h"
#include "repo/keyring.h"
#include "repo/store.h"

#define OBJECT_MAX ((size_t)64 << 20)

/* Seal a body under the newest generation; appended to `out`. */
void object_seal(const struct keyring *k, enum box_type type, const struct buf *body,
		 struct buf *out);
/* Check and open the bytes of an object. `ret_hash` (may be NULL) is the SHA-256 of all of them. */
int object_open(const struct keyring *k, enum box_type type, const struct buf *bytes,
		struct buf *ret_body, uint8_t ret_hash[HASH_BYTES], struct err *e);
/* Read and open an object; its name is in every error. */
int object_get(struct store *s, const struct keyring *k, const char *key, enum box_type type,
	       struct buf *ret_body, uint8_t ret_hash[HASH_BYTES], struct err *e);

/* A newer version's layout, or a flipped bit? An object that is named by the SHA-256 of its bytes
 * tells: where these are others, ERR_VERSION becomes ERR_CORRUPT. */
void object_judge(struct store *s, const char *key, const uint8_t name[HASH_BYTES], struct err *e);

#endif
