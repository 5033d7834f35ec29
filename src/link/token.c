/* SPDX-License-Identifier: Apache-2.0 */
#include "link/token.h"

#include <openssl/sha.h>
#include <string.h>

#include "base/hex.h"
#include "base/secret.h"
#include "base/uuid.h"

void token_new(char out[TOKEN_TEXT])
{
	uint8_t random[32];

	random_bytes(random, sizeof(random));
	memcpy(out, TOKEN_PREFIX, strlen(TOKEN_PREFIX));
	hex_encode(random, sizeof(random), out + strlen(TOKEN_PREFIX));
	secret_wipe(random, sizeof(random));
}

bool token_hash(const char *token, uint8_t out[TOKEN_HASH])
{
	uint8_t random[32];

	if (strlen(token) != TOKEN_TEXT - 1 ||
	    strncmp(token, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0 ||
	    !hex_decode(token + strlen(TOKEN_PREFIX), sizeof(random), random))
		return false;
	SHA256((const uint8_t *)token, TOKEN_TEXT - 1, out);
	secret_wipe(random, sizeof(random));
	return true;
}
