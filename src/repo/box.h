/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h: a body of bytes, sealed in segments so that any part of it can be read alone (format
 * section 4). What keys there are is the business of keyring.h; here a key is 32 bytes.
 *
 * Threads: a box_reader may be used by many threads; the rest is pure.
 */
#ifndef HF_REPO_BOX_H
#define HF_REPO_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/seal.h"
#include "repo/store.h"

#define BOX_HEAD 64
#define BOX_SEGMENT_LOG 15 /* 32 KiB: what we write */

enum box_type { BOX_KEYS = 1, BOX_RUN = 2, BOX_POINT = 3, BOX_SESSION = 4, BOX_EPOCH = 5 };

struct box_head {
	uint8_t raw[BOX_HEAD];
	enum box_type type;
	unsigned segment_log;
	uint32_t generation;
	uint64_t body_len;
};

/* How long the box of a body is. */
uint64_t box_len(uint64_t body_len, unsigned segment_log);

/* A head for a new box, with a random salt. */
void box_make_head(uint32_t generation, enum box_type type, uint64_t body_len,
		   struct box_head *ret_h);

/* Append a box to `out`, sealed under `key` (the generation key). */
void box_seal(const uint8_t *key, uint32_t generation, enum box_type type, const void *body,
	      size_t n, struct buf *out);

/* Read the first BOX_HEAD bytes. ERR_VERSION for a newer layout, ERR_CORRUPT for anything that is
 * no such box; `n` is how many bytes there are. */
int box_head_parse(const uint8_t *p, size_t n, enum box_type type, struct box_head *ret_h,
		   struct err *e);

/* Open a whole box of exactly `n` bytes. */
int box_open(const uint8_t *key, const struct box_head *h, const uint8_t *p, size_t n,
	     struct buf *ret_body, struct err *e);

/* A box in a store, read in parts. Filled by its owner. */
struct box_reader {
	struct store *store;
	char name[STORE_KEY_MAX];
	struct box_head head;
	uint8_t key[SEAL_KEY]; /* derived for this box: see box_key() */
};

/* The key of one box, from the generation key and the salt in its head. */
void box_key(const uint8_t *key, const struct box_head *h, uint8_t out[SEAL_KEY]);
/* `len` bytes of the body from `off` on. */
int box_read(const struct box_reader *r, uint64_t off, void *out, size_t len, struct err *e);

#endif
