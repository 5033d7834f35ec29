/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads: the first byte is the encoding. And whatever the input, encoding it and decoding that
 * gives it back.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "repo/block.h"

#define CAP ((size_t)64 << 10)

static void round_trip(struct codec *c, const uint8_t *data, size_t size)
{
	AUTO_FREE uint8_t *out = xmalloc(size + 1);
	AUTO_FREE uint8_t *back = xmalloc(size + 1);
	enum block_encoding encoding;
	struct err e = {0};
	size_t n = codec_encode(c, data, size, out, &encoding), len;

	if (codec_decode(c, encoding, encoding == BLOCK_RAW ? data : out, n, NULL, 0, back, size,
			 &len, &e) < 0 ||
	    len != size || memcmp(back, data, size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[SEAL_KEY];
	struct credential cred = {CREDENTIAL_KEY_FILE, secret_of(key, sizeof(key))};
	struct uuid id = {{1}};
	AUTO(keyring) k = keyring_new(&id, &cred, "", NULL, NULL);
	AUTO(codec) c = codec_new(k, CODEC_LEVEL);
	AUTO_FREE uint8_t *out = xmalloc(CAP);
	struct err e = {0};
	size_t len;

	if (size)
		codec_decode(c, data[0] & 15, data + 1, size - 1, data, size / 2, out, CAP, &len,
			     &e);
	round_trip(c, data, size);
	secret_free(cred.secret);
	return 0;
}
