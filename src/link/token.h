/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h: the random words by which movers are known. The server keeps their hashes only; as they
 * are 256 random bits, a plain SHA-256 is enough.
 *
 * Threads: pure.
 */
#ifndef HF_LINK_TOKEN_H
#define HF_LINK_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_PREFIX "hfm_"
#define TOKEN_TEXT (4 + 64 + 1) /* prefix, 64 hexadecimal digits, NUL */
#define TOKEN_HASH 32

void token_new(char out[TOKEN_TEXT]);
/* false: it is none. */
bool token_hash(const char *token, uint8_t out[TOKEN_HASH]);

#endif
