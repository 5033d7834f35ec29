/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression and what to leave uncompressed.
 *
 * zstd spends most of a first backup's time. Blocks of media files, archives and encrypted volumes
 * gain nothing, and can be told cheaply: in random-looking data every byte value is about as
 * frequent as any other. The collision count of a sample (the sum of n_i * (n_i - 1) over byte
 * values i) is S * (S - 1) / 256 on average for uniform bytes and grows fast with any skew. The
 * sample is spread over the block, so that a compressed file with a plain header is still seen for
 * what it is; what is uniform byte by byte and still repeats at a distance is the price.
 */
#include "repo/block.h"

#include <zstd.h>

#include "base/buf.h"

#define SAMPLE_PIECES 16
#define SAMPLE_PIECE 64
#define SAMPLE (SAMPLE_PIECES * SAMPLE_PIECE)
/* Uniform bytes: 4092 expected, standard deviation about 90. */
#define SAMPLE_UNIFORM 4500
#define PROBE_MIN ((size_t)16 << 10)

struct codec {
	struct mac *data_mac, *node_mac;
	struct poly *print;
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
};

struct codec *codec_new(const struct keyring *k, int level)
{
	struct codec *c = xcalloc(1, sizeof(*c));
	uint8_t key[SEAL_KEY];

	keyring_id_key(k, KEY_DATA, key);
	c->data_mac = mac_new(key);
	keyring_id_key(k, KEY_NODE, key);
	c->node_mac = mac_new(key);
	keyring_id_key(k, KEY_PRINT, key);
	c->print = poly_new(key);
	secret_wipe(key, sizeof(key));
	c->cctx = ZSTD_createCCtx();
	c->dctx = ZSTD_createDCtx();
	if (!c->cctx || !c->dctx)
		abort();
	ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_compressionLevel, level);
	return c;
}

void codec_free(struct codec *c)
{
	if (!c)
		return;
	mac_free(c->data_mac);
	mac_free(c->node_mac);
	poly_free(c->print);
	ZSTD_freeCCtx(c->cctx);
	ZSTD_freeDCtx(c->dctx);
	free(c);
}

void codec_id(struct codec *c, enum block_kind kind, const void *data, size_t n,
	      struct block_id *ret_id)
{
	mac_once(kind == BLOCK_NODE ? c->node_mac : c->data_mac, data, n, ret_id->b);
}

void codec_print(struct codec *c, const void *data, size_t n, struct block_print *ret_print)
{
	poly_once(c->print, data, n, ret_print->b);
}

/* Does it look random? */
static bool incompressible(const uint8_t *p, size_t n)
{
	uint16_t count[256] = {0};
	uint32_t collisions = 0;

	if (n < PROBE_MIN)
		return false;
	for (size_t piece = 0; piece < SAMPLE_PIECES; piece++) {
		const uint8_t *q = p + piece * (n / SAMPLE_PIECES);

		for (size_t i = 0; i < SAMPLE_PIECE; i++)
			collisions += 2U * count[q[i]]++;
	}
	return collisions < SAMPLE_UNIFORM;
}

size_t codec_encode(struct codec *c, const void *data, size_t n, void *out,
		    enum block_encoding *ret_encoding)
{
	/* Asking for 5 % less room makes zstd itself give up on what gains less. */
	size_t room = n - n / 20, len;

	*ret_encoding = BLOCK_RAW;
	if (n == 0 || incompressible(data, n))
		return n;
	len = ZSTD_compress2(c->cctx, out, room, data, n);
	if (ZSTD_isError(len))
		return n;
	*ret_encoding = BLOCK_ZSTD;
	return len;
}

size_t codec_delta(struct codec *c, const struct block_id *base_id, const void *base,
		   size_t base_len, const void *data, size_t n, void *out, size_t room)
{
	size_t len;

	if (room <= HASH_BYTES)
		return 0;
	memcpy(out, base_id->b, HASH_BYTES);
	/* A frame that did not fit is still open: a prefix would be refused. */
	ZSTD_CCtx_reset(c->cctx, ZSTD_reset_session_only);
	/* Holds for the next frame only. */
	if (ZSTD_isError(ZSTD_CCtx_refPrefix(c->cctx, base, base_len)))
		return 0;
	len = ZSTD_compress2(c->cctx, (uint8_t *)out + HASH_BYTES, room - HASH_BYTES, data, n);
	return ZSTD_isError(len) ? 0 : HASH_BYTES + len;
}

static int unzstd(struct codec *c, const void *payload, size_t n, const void *base, size_t base_len,
		  void *out, size_t cap, size_t *ret_len, struct err *e)
{
	unsigned long long size = ZSTD_getFrameContentSize(payload, n);
	size_t len;

	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
		return err_set(e, ERR_CORRUPT, "a compressed block is damaged");
	if (size > cap)
		return err_set(e, ERR_LIMIT, "a block of %llu bytes where %zu are allowed", size,
			       cap);
	/* Holds for the next frame only. */
	if (base)
		ZSTD_DCtx_refPrefix(c->dctx, base, base_len);
	len = ZSTD_decompressDCtx(c->dctx, out, cap, payload, n);
	if (ZSTD_isError(len) || len != size)
		return err_set(e, ERR_CORRUPT, "a compressed block is damaged: %s",
			       ZSTD_isError(len) ? ZSTD_getErrorName(len) : "wrong length");
	*ret_len = len;
	return 0;
}

int codec_decode(struct codec *c, enum block_encoding encoding, const void *payload, size_t n,
		 const void *base, size_t base_len, void *out, size_t cap, size_t *ret_len,
		 struct err *e)
{
	if (encoding == BLOCK_ZSTD || (encoding == BLOCK_DELTA && base))
		return unzstd(c, payload, n, encoding == BLOCK_DELTA ? base : NULL, base_len, out,
			      cap, ret_len, e);
	if (encoding != BLOCK_RAW)
		return err_set(e, ERR_VERSION,
			       "a block has encoding %d, which this version does not know: use a "
			       "newer version of holdfast",
			       (int)encoding);
	if (n > cap)
		return err_set(e, ERR_LIMIT, "a block of %zu bytes where %zu are allowed", n, cap);
	memcpy(out, payload, n);
	*ret_len = n;
	return 0;
}
