/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto only fails here when it has no memory or was called wrongly; both end the process, so
 * that nothing can go on with data that was not sealed.
 */
#include "repo/seal.h"

#include <argon2.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <string.h>

#include "base/buf.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* ---- AES-256-GCM ---- */

struct aead {
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *enc, *dec; /* the second made when it is first needed */
	uint8_t key[SEAL_KEY];
};

struct aead *aead_new(const uint8_t *key)
{
	struct aead *a = xcalloc(1, sizeof(*a));

	a->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	must(a->cipher);
	memcpy(a->key, key, SEAL_KEY);
	return a;
}

void aead_free(struct aead *a)
{
	if (!a)
		return;
	EVP_CIPHER_CTX_free(a->enc);
	EVP_CIPHER_CTX_free(a->dec);
	EVP_CIPHER_free(a->cipher);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

void aead_rekey(struct aead *a, const uint8_t *key)
{
	memcpy(a->key, key, SEAL_KEY);
	if (a->enc)
		must(EVP_EncryptInit_ex2(a->enc, NULL, a->key, NULL, NULL) == 1);
	if (a->dec)
		must(EVP_DecryptInit_ex2(a->dec, NULL, a->key, NULL, NULL) == 1);
}

static EVP_CIPHER_CTX *context(struct aead *a, EVP_CIPHER_CTX **slot, int enc)
{
	if (*slot)
		return *slot;
	*slot = EVP_CIPHER_CTX_new();
	must(*slot && EVP_CipherInit_ex2(*slot, a->cipher, a->key, NULL, enc, NULL) == 1);
	return *slot;
}

static void nonce_bytes(uint64_t nonce, uint8_t out[12])
{
	put_le64(out, nonce);
	memset(out + 8, 0, 4);
}

void aead_seal(struct aead *a, uint64_t nonce, const void *aad, size_t aad_len, const void *in,
	       size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = context(a, &a->enc, 1);
	uint8_t iv[12];
	int len;

	nonce_bytes(nonce, iv);
	must(EVP_EncryptInit_ex2(c, NULL, NULL, iv, NULL) == 1);
	must(EVP_EncryptUpdate(c, NULL, &len, aad, (int)aad_len) == 1);
	if (n)
		must(EVP_EncryptUpdate(c, out, &len, in, (int)n) == 1);
	must(EVP_EncryptFinal_ex(c, out + n, &len) == 1);
	must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, out + n) == 1);
}

bool aead_open(struct aead *a, uint64_t nonce, const void *aad, size_t aad_len, const void *in,
	       size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = context(a, &a->dec, 0);
	uint8_t iv[12], tag[SEAL_TAG], none;
	int len;

	if (n < SEAL_TAG)
		return false;
	n -= SEAL_TAG;
	nonce_bytes(nonce, iv);
	memcpy(tag, (const uint8_t *)in + n, SEAL_TAG);
	must(EVP_DecryptInit_ex2(c, NULL, NULL, iv, NULL) == 1);
	must(EVP_DecryptUpdate(c, NULL, &len, aad, (int)aad_len) == 1);
	if (n)
		must(EVP_DecryptUpdate(c, out, &len, in, (int)n) == 1);
	must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) == 1);
	return EVP_DecryptFinal_ex(c, n ? out + n : &none, &len) == 1;
}

/* ---- HMAC ---- */

struct mac {
	EVP_MAC *algorithm;
	EVP_MAC_CTX *ctx;
};

struct mac *mac_new(const uint8_t *key)
{
	struct mac *m = xcalloc(1, sizeof(*m));
	char name[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};

	m->algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(m->algorithm);
	m->ctx = EVP_MAC_CTX_new(m->algorithm);
	must(m->ctx && EVP_MAC_init(m->ctx, key, SEAL_KEY, params) == 1);
	return m;
}

void mac_free(struct mac *m)
{
	if (!m)
		return;
	EVP_MAC_CTX_free(m->ctx);
	EVP_MAC_free(m->algorithm);
	free(m);
}

void mac_once(struct mac *m, const void *data, size_t n, uint8_t out[HASH_BYTES])
{
	size_t len;

	/* Without a key: start over with the one it has. */
	must(EVP_MAC_init(m->ctx, NULL, 0, NULL) == 1);
	must(EVP_MAC_update(m->ctx, data, n) == 1);
	must(EVP_MAC_final(m->ctx, out, &len, HASH_BYTES) == 1 && len == HASH_BYTES);
}

/* ---- Poly1305 ---- */

struct poly {
	EVP_MAC *algorithm;
	EVP_MAC_CTX *ctx;
	uint8_t key[SEAL_KEY];
};

struct poly *poly_new(const uint8_t *key)
{
	struct poly *p = xcalloc(1, sizeof(*p));

	p->algorithm = EVP_MAC_fetch(NULL, "POLY1305", NULL);
	must(p->algorithm);
	p->ctx = EVP_MAC_CTX_new(p->algorithm);
	must(p->ctx);
	memcpy(p->key, key, SEAL_KEY);
	return p;
}

void poly_free(struct poly *p)
{
	if (!p)
		return;
	EVP_MAC_CTX_free(p->ctx);
	EVP_MAC_free(p->algorithm);
	OPENSSL_cleanse(p, sizeof(*p));
	free(p);
}

void poly_once(struct poly *p, const void *data, size_t n, uint8_t out[PRINT_BYTES])
{
	size_t len;

	must(EVP_MAC_init(p->ctx, p->key, SEAL_KEY, NULL) == 1);
	must(EVP_MAC_update(p->ctx, data, n) == 1);
	must(EVP_MAC_final(p->ctx, out, &len, PRINT_BYTES) == 1 && len == PRINT_BYTES);
}

/* ---- SHA-256 ---- */

struct digest {
	EVP_MD *algorithm;
	EVP_MD_CTX *ctx;
};

struct digest *digest_new(void)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	d->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	d->ctx = EVP_MD_CTX_new();
	must(d->algorithm && d->ctx && EVP_DigestInit_ex2(d->ctx, d->algorithm, NULL) == 1);
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	EVP_MD_free(d->algorithm);
	free(d);
}

void digest_add(struct digest *d, const void *data, size_t n)
{
	must(EVP_DigestUpdate(d->ctx, data, n) == 1);
}

void digest_take(struct digest *d, uint8_t out[HASH_BYTES])
{
	must(EVP_DigestFinal_ex(d->ctx, out, NULL) == 1);
	must(EVP_DigestInit_ex2(d->ctx, d->algorithm, NULL) == 1);
}

void sha256(const void *data, size_t n, uint8_t out[HASH_BYTES])
{
	must(EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) == 1);
}

/* ---- key derivation ---- */

static void hmac(const uint8_t *key, size_t key_len, const uint8_t *data, size_t n,
		 uint8_t out[HASH_BYTES])
{
	unsigned len;

	must(HMAC(EVP_sha256(), key, (int)key_len, data, n, out, &len) != NULL);
}

void hkdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len, const char *info,
	  uint8_t *out, size_t n)
{
	static const uint8_t zero_salt[HASH_BYTES];
	uint8_t prk[HASH_BYTES], t[HASH_BYTES];
	AUTO_BUF in = BUF_INIT;

	must(n <= 255 * HASH_BYTES);
	if (salt_len == 0) {
		salt = zero_salt;
		salt_len = sizeof(zero_salt);
	}
	hmac(salt, salt_len, ikm, ikm_len, prk);
	for (uint8_t i = 1; n; i++) {
		size_t take = MIN(n, (size_t)HASH_BYTES);

		/* in = T(i - 1) | info | i */
		in.len = 0;
		buf_add(&in, t, i > 1 ? HASH_BYTES : 0);
		buf_text(&in, info);
		buf_u8(&in, i);
		hmac(prk, HASH_BYTES, in.data, in.len, t);
		memcpy(out, t, take);
		out += take;
		n -= take;
	}
	OPENSSL_cleanse(prk, sizeof(prk));
	OPENSSL_cleanse(t, sizeof(t));
	OPENSSL_cleanse(in.data, in.cap);
}

int argon2id(const void *secret, size_t secret_len, const uint8_t salt[SEAL_SALT], uint32_t passes,
	     uint32_t memory_kib, uint32_t lanes, uint8_t out[SEAL_KEY], struct err *e)
{
	int rc = argon2id_hash_raw(passes, memory_kib, lanes, secret, secret_len, salt, SEAL_SALT,
				   out, SEAL_KEY);

	if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
		return err_set(e, ERR_LIMIT,
			       "deriving the key takes %u MiB of memory, which this "
			       "machine cannot give",
			       memory_kib / 1024);
	if (rc != ARGON2_OK)
		return err_set(e, ERR_INVALID, "deriving the key: %s", argon2_error_message(rc));
	return 0;
}
