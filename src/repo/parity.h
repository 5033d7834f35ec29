/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parity.h: what brings a damaged pack back without another copy (format section 12).
 *
 * A pack is cut into cells of PARITY_CELL bytes, which lie in columns of `rows` cells each, one
 * column after the other. Each row is a word of a Reed-Solomon code: of its `columns` cells and its
 * `spare` parity cells any `spare` can be lost. As a column is one stretch of the pack, that mends
 * as many stretches of a column's length, or many more of small losses that are in different rows.
 *
 * Parity is made while the bytes of a pack pass, or later from a pack in a store. Nothing counts on
 * it: what comes out is a pack only if it hashes to the pack's name. It needs no key.
 *
 * Threads: an encoder belongs to one thread at a time; the rest is pure.
 */
#ifndef HF_REPO_PARITY_H
#define HF_REPO_PARITY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "repo/seal.h"
#include "repo/store.h"

#define PARITY_CELL ((size_t)4096)
#define PARITY_COLUMNS_MAX 128u /* and as many parity columns */
#define PARITY_PERCENT_MAX 25u
#define PARITY_PERCENT 5u		      /* unless told otherwise */
#define PARITY_PACK_MAX ((uint64_t)128 << 20) /* larger packs have none */

/* "parity/XX/NAME", with the name of the pack. */
void parity_key_name(const uint8_t pack[HASH_BYTES], char out[STORE_KEY_MAX]);
/* The way back; false for what is no such name. */
bool parity_key_parse(const char *key, uint8_t ret_pack[HASH_BYTES]);

/* ---- making ---- */

struct parity;

/* `percent` of the pack, 1 to PARITY_PERCENT_MAX; `expected` is about how large it will be. */
struct parity *parity_new(unsigned percent, uint64_t expected);
/* NULL is fine. */
void parity_free(struct parity *p);
/* The next bytes of the pack. */
void parity_add(struct parity *p, const void *data, size_t n);
/* All were there: the object, appended to `out`. False: the pack was much larger than expected, and
 * has none. */
bool parity_end(struct parity *p, const uint8_t pack[HASH_BYTES], struct buf *out);

/* ---- reading ---- */

/* What stands at the beginning and once more near the end of a parity object. */
struct parity_head {
	uint8_t pack[HASH_BYTES];
	uint64_t size; /* of the pack */
	uint32_t columns, spare, rows;
	size_t cells, spare_cells; /* of the pack, and of parity */
	uint32_t *sums;		   /* CRC-32 of each of both */
	size_t bytes;		   /* of the head itself; the parity cells follow */
};

#define PARITY_FIXED ((size_t)64)
#define PARITY_END ((size_t)(4 + HASH_BYTES)) /* behind the second head: its length, a checksum */
/* How long the head is that begins with these bytes; 0: none does. */
size_t parity_head_bytes(const uint8_t fixed[PARITY_FIXED]);
/* A head from its bytes, checked; `n` may be more than it has. ERR_CORRUPT: it is none. */
int parity_head_decode(const void *bytes, size_t n, struct parity_head *ret_h, struct err *e);
void parity_head_done(struct parity_head *h);
uint32_t parity_sum(const uint8_t cell[PARITY_CELL]);

/*
 * Compute the lost cells of one row. `cells` are its columns, `spares` its parity cells; `lost` and
 * `lost_spare` say which of them are not there. The lost columns are written. False: more are lost
 * than can be computed.
 */
bool parity_solve(const struct parity_head *h, uint8_t *const *cells, uint8_t *const *spares,
		  const bool *lost, const bool *lost_spare);

DEFINE_AUTO(parity, parity_free);

#endif
