/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block.h: what a block is: its id, its fingerprint, and its encoding as a payload (format section
 * 6).
 *
 * A codec holds the contexts for hashing and compression of one thread.
 */
#ifndef HF_REPO_BLOCK_H
#define HF_REPO_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "repo/keyring.h"
#include "repo/seal.h"

#define BLOCK_MAX ((size_t)4 << 20)
#define RECORD_STORED_MAX 0xffffff /* a record with its tag */

struct block_id {
	uint8_t b[HASH_BYTES];
};

/*
 * What a block is compared by where the block that stood in its place before is known: equal
 * fingerprints, equal content. It takes a seventh of an id's time, and finds nothing else.
 */
struct block_print {
	uint8_t b[PRINT_BYTES];
};

/* A block in a tree, and what its content is compared by. */
struct block_ref {
	struct block_id id;
	struct block_print print;
};

enum block_kind { BLOCK_DATA = 1, BLOCK_NODE = 2 };
enum block_encoding { BLOCK_RAW = 0, BLOCK_ZSTD = 1, BLOCK_DELTA = 2 };

static inline bool block_id_equal(const struct block_id *a, const struct block_id *b)
{
	return memcmp(a->b, b->b, HASH_BYTES) == 0;
}
/* The id of content that is all zeros, which is never stored. */
static inline bool block_id_is_zero(const struct block_id *a)
{
	static const struct block_id zero;

	return block_id_equal(a, &zero);
}
/* Is every byte zero? */
static inline bool block_all_zero(const void *data, size_t n)
{
	const uint8_t *p = data;

	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static inline bool block_print_equal(const struct block_print *a, const struct block_print *b)
{
	return memcmp(a->b, b->b, PRINT_BYTES) == 0;
}

struct codec;

#define CODEC_LEVEL 1 /* zstd level: what we write unless told otherwise */

/* Ids with the keys of `k`, compression at a zstd `level`. Never NULL. */
struct codec *codec_new(const struct keyring *k, int level);
void codec_free(struct codec *c);

void codec_id(struct codec *c, enum block_kind kind, const void *data, size_t n,
	      struct block_id *ret_id);
/* The fingerprint of a block's content. It must not leave the repository unsealed. */
void codec_print(struct codec *c, const void *data, size_t n, struct block_print *ret_print);
/*
 * Make a payload of `n` bytes, at most BLOCK_MAX. Returns its length and encoding: either
 * compressed into `out` (room for `n` bytes), or BLOCK_RAW and n, when compression would gain less
 * than 5 %: then the payload is the content itself and `out` holds nothing of use.
 */
size_t codec_encode(struct codec *c, const void *data, size_t n, void *out,
		    enum block_encoding *ret_encoding);
/*
 * Make a payload that holds only what `base`, whose id is `base_id`, has not, into `out`. Returns
 * its length, or 0 when it would be more than `room`.
 */
size_t codec_delta(struct codec *c, const struct block_id *base_id, const void *base,
		   size_t base_len, const void *data, size_t n, void *out, size_t room);
/*
 * The content of a payload, at most `cap` bytes, into `out`. BLOCK_DELTA: the payload behind the id
 * of its base, and `base`, the content of that one (else NULL and 0). ERR_CORRUPT, ERR_LIMIT
 * (longer than cap), ERR_VERSION (unknown encoding).
 */
int codec_decode(struct codec *c, enum block_encoding encoding, const void *payload, size_t n,
		 const void *base, size_t base_len, void *out, size_t cap, size_t *ret_len,
		 struct err *e);

DEFINE_AUTO(codec, codec_free);

#endif
