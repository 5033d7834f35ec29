/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h: the cryptography of the repository, on OpenSSL's libcrypto: AES-256-GCM with counter
 * nonces, HMAC-SHA-256 ids, Poly1305 fingerprints, SHA-256 names, HKDF. Section 1 of
 * docs/format/repository.md.
 *
 * A nonce is a counter and a key is derived for one object only, so no nonce is used twice under
 * one key; nothing here makes a random nonce.
 *
 * Threads: the contexts (aead, mac, digest) belong to one thread at a time; the rest is pure.
 */
#ifndef HF_REPO_SEAL_H
#define HF_REPO_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define SEAL_KEY 32
#define SEAL_SALT 32
#define SEAL_TAG 16
#define HASH_BYTES 32
#define HASH_TEXT (2 * HASH_BYTES + 1)
#define PRINT_BYTES 16

enum seal_cipher { SEAL_AES_256_GCM = 1 };

struct aead;

/* `key` has SEAL_KEY bytes and is copied. Never NULL. */
struct aead *aead_new(const uint8_t *key);
void aead_free(struct aead *a);
/* Change the key. */
void aead_rekey(struct aead *a, const uint8_t *key);
/* `out` gets n + SEAL_TAG bytes and may be `in`. */
void aead_seal(struct aead *a, uint64_t nonce, const void *aad, size_t aad_len, const void *in,
	       size_t n, uint8_t *out);
/* `n` counts the tag; `out` gets n - SEAL_TAG bytes and may be `in`. False when these are not the
 * bytes that were sealed with this key, nonce and aad; `out` then holds nothing of use. */
bool aead_open(struct aead *a, uint64_t nonce, const void *aad, size_t aad_len, const void *in,
	       size_t n, uint8_t *out);

DEFINE_AUTO(aead, aead_free);

struct mac;

/* HMAC-SHA-256 with a key of SEAL_KEY bytes. Never NULL. */
struct mac *mac_new(const uint8_t *key);
void mac_free(struct mac *m);
void mac_once(struct mac *m, const void *data, size_t n, uint8_t out[HASH_BYTES]);

DEFINE_AUTO(mac, mac_free);

struct poly;

/* Poly1305 (RFC 8439) as a universal hash: quick, and without the key nobody makes two messages
 * with one result. It must stay secret, because the key is used more than once. Never NULL. */
struct poly *poly_new(const uint8_t *key);
void poly_free(struct poly *p);
void poly_once(struct poly *p, const void *data, size_t n, uint8_t out[PRINT_BYTES]);

DEFINE_AUTO(poly, poly_free);

struct digest;

/* A running SHA-256. Never NULL. */
struct digest *digest_new(void);
void digest_free(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t n);
/* The hash of all that was added; starts anew. */
void digest_take(struct digest *d, uint8_t out[HASH_BYTES]);

DEFINE_AUTO(digest, digest_free);

void sha256(const void *data, size_t n, uint8_t out[HASH_BYTES]);

/* RFC 5869 with SHA-256; `n` at most 255 * 32. */
void hkdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len, const char *info,
	  uint8_t *out, size_t n);

/* RFC 9106; ERR_LIMIT when this machine has not the memory for it. */
int argon2id(const void *secret, size_t secret_len, const uint8_t salt[SEAL_SALT], uint32_t passes,
	     uint32_t memory_kib, uint32_t lanes, uint8_t out[SEAL_KEY], struct err *e);

#endif
