/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cryptography: against the vectors of the standards, and that nothing opens which was changed.
 */
#include "testing.h"

#include <argon2.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"

static int argon2_answer = ARGON2_OK; /* anything else: what it gives instead of working */

int __real_argon2id_hash_raw(uint32_t passes, uint32_t memory, uint32_t lanes, const void *pwd,
			     size_t pwd_len, const void *salt, size_t salt_len, void *hash,
			     size_t hash_len);
int __wrap_argon2id_hash_raw(uint32_t passes, uint32_t memory, uint32_t lanes, const void *pwd,
			     size_t pwd_len, const void *salt, size_t salt_len, void *hash,
			     size_t hash_len);

int __wrap_argon2id_hash_raw(uint32_t passes, uint32_t memory, uint32_t lanes, const void *pwd,
			     size_t pwd_len, const void *salt, size_t salt_len, void *hash,
			     size_t hash_len)
{
	if (argon2_answer != ARGON2_OK)
		return argon2_answer;
	return __real_argon2id_hash_raw(passes, memory, lanes, pwd, pwd_len, salt, salt_len, hash,
					hash_len);
}

static void assert_hex(const void *data, size_t n, const char *want)
{
	char hex[256];

	assert_true(2 * n < sizeof(hex));
	assert_string_equal(hex_encode(data, n, hex), want);
}

/* ---- AES-256-GCM ---- */

/* Test cases 13 and 14 of the GCM specification. */
static void test_aead_vectors(void **state)
{
	static const uint8_t zero[SEAL_KEY];
	AUTO(aead) a = aead_new(zero);
	uint8_t out[16 + SEAL_TAG];

	(void)state;
	aead_seal(a, 0, NULL, 0, NULL, 0, out);
	assert_hex(out, SEAL_TAG, "530f8afbc74536b9a963b4f1c4cb738b");
	aead_seal(a, 0, NULL, 0, zero, 16, out);
	assert_hex(out, sizeof(out),
		   "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

/* N(x) is x in little-endian order and four zero bytes. */
static void test_aead_nonce_layout(void **state)
{
	static const uint8_t iv[12] = {8, 7, 6, 5, 4, 3, 2, 1};
	uint8_t key[SEAL_KEY], out[5 + SEAL_TAG], want[5 + SEAL_TAG];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	AUTO(aead) a = NULL;
	int len;

	(void)state;
	memset(key, 0x42, sizeof(key));
	a = aead_new(key);
	aead_seal(a, 0x0102030405060708U, "aad", 3, "hello", 5, out);
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(c, NULL, &len, (const uint8_t *)"aad", 3), 1);
	assert_int_equal(EVP_EncryptUpdate(c, want, &len, (const uint8_t *)"hello", 5), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, want + 5, &len), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, want + 5), 1);
	EVP_CIPHER_CTX_free(c);
	assert_memory_equal(out, want, sizeof(want));
}

static void test_aead_round_trip_of_every_length(void **state)
{
	struct random rnd = {random_seed()};
	uint8_t key[SEAL_KEY], plain[100], sealed[100 + SEAL_TAG], back[100];
	AUTO(aead) a = NULL;

	(void)state;
	random_fill(&rnd, key, sizeof(key), true);
	random_fill(&rnd, plain, sizeof(plain), true);
	a = aead_new(key);
	for (size_t n = 0; n <= sizeof(plain); n++) {
		aead_seal(a, n, key, n % 5, plain, n, sealed);
		assert_true(aead_open(a, n, key, n % 5, sealed, n + SEAL_TAG, back));
		assert_memory_equal(back, plain, n);
		/* In place, both ways. */
		memcpy(back, plain, n);
		memcpy(sealed, plain, n);
		aead_seal(a, n, key, n % 5, sealed, n, sealed);
		assert_true(aead_open(a, n, key, n % 5, sealed, n + SEAL_TAG, sealed));
		assert_memory_equal(sealed, plain, n);
	}
}

static void test_aead_refuses_every_change(void **state)
{
	static const uint8_t key[SEAL_KEY] = {9};
	uint8_t sealed[40 + SEAL_TAG], aad[8] = "context", out[sizeof(sealed)];
	AUTO(aead) a = aead_new(key);

	(void)state;
	memset(out, 'x', sizeof(out));
	aead_seal(a, 5, aad, sizeof(aad), out, 40, sealed);
	for (size_t i = 0; i < 8 * sizeof(sealed); i++) {
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(aead_open(a, 5, aad, sizeof(aad), sealed, sizeof(sealed), out));
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < sizeof(aad); i++) {
		aad[i] ^= 1;
		assert_false(aead_open(a, 5, aad, sizeof(aad), sealed, sizeof(sealed), out));
		aad[i] ^= 1;
	}
	for (size_t n = 0; n < sizeof(sealed); n++)
		assert_false(aead_open(a, 5, aad, sizeof(aad), sealed, n, out));
	assert_false(aead_open(a, 5, aad, sizeof(aad) - 1, sealed, sizeof(sealed), out));
	assert_false(aead_open(a, 4, aad, sizeof(aad), sealed, sizeof(sealed), out));
	assert_false(aead_open(a, 5 | 1ULL << 63, aad, sizeof(aad), sealed, sizeof(sealed), out));
	/* And after all that it still opens. */
	assert_true(aead_open(a, 5, aad, sizeof(aad), sealed, sizeof(sealed), out));
}

static void test_aead_rekey(void **state)
{
	static const uint8_t one[SEAL_KEY] = {1}, two[SEAL_KEY] = {2};
	AUTO(aead) a = aead_new(one);
	AUTO(aead) b = aead_new(one);
	uint8_t first[4 + SEAL_TAG], second[4 + SEAL_TAG], out[4];

	(void)state;
	aead_rekey(b, two); /* before either context is made */
	aead_seal(a, 0, NULL, 0, "data", 4, first);
	aead_seal(b, 0, NULL, 0, "data", 4, second);
	assert_memory_not_equal(first, second, sizeof(first));
	assert_true(aead_open(a, 0, NULL, 0, first, sizeof(first), out));
	assert_false(aead_open(a, 0, NULL, 0, second, sizeof(second), out));
	aead_rekey(a, two); /* after both */
	assert_true(aead_open(a, 0, NULL, 0, second, sizeof(second), out));
	assert_false(aead_open(a, 0, NULL, 0, first, sizeof(first), out));
	aead_seal(a, 0, NULL, 0, "data", 4, first);
	assert_memory_equal(first, second, sizeof(first));
}

/* ---- hashes ---- */

/* RFC 4231; HMAC pads short keys with zeros. */
static void test_mac_vectors(void **state)
{
	uint8_t key[SEAL_KEY] = {0}, out[HASH_BYTES];
	AUTO(mac) one = NULL;
	AUTO(mac) two = NULL;

	(void)state;
	memset(key, 0x0b, 20);
	one = mac_new(key);
	memset(key, 0, sizeof(key));
	memcpy(key, "Jefe", 4);
	two = mac_new(key);
	for (int i = 0; i < 3; i++) {
		mac_once(one, "Hi There", 8, out);
		assert_hex(out, HASH_BYTES,
			   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
		mac_once(two, "what do ya want for nothing?", 28, out);
		assert_hex(out, HASH_BYTES,
			   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	}
}

/* RFC 8439, section 2.5.2. */
static void test_poly_vector(void **state)
{
	static const uint8_t key[SEAL_KEY] = {
		0x85, 0xd6, 0xbe, 0x78, 0x57, 0x55, 0x6d, 0x33, 0x7f, 0x44, 0x52,
		0xfe, 0x42, 0xd5, 0x06, 0xa8, 0x01, 0x03, 0x80, 0x8a, 0xfb, 0x0d,
		0xb2, 0xfd, 0x4a, 0xbf, 0xf6, 0xaf, 0x41, 0x49, 0xf5, 0x1b,
	};
	AUTO(poly) p = poly_new(key);
	uint8_t out[PRINT_BYTES];

	(void)state;
	for (int i = 0; i < 3; i++) {
		poly_once(p, "Cryptographic Forum Research Group", 34, out);
		assert_hex(out, PRINT_BYTES, "a8061dc1305136c6c22b8baf0c0127a9");
		poly_once(p, "", 0, out);
		assert_hex(out, PRINT_BYTES, "0103808afb0db2fd4abff6af4149f51b");
	}
}

static void test_sha256_vectors(void **state)
{
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char none[] =
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	AUTO(digest) d = digest_new();
	uint8_t out[HASH_BYTES];

	(void)state;
	sha256("abc", 3, out);
	assert_hex(out, HASH_BYTES, abc);
	sha256(NULL, 0, out);
	assert_hex(out, HASH_BYTES, none);
	digest_add(d, "a", 1);
	digest_add(d, "", 0);
	digest_add(d, "bc", 2);
	digest_take(d, out);
	assert_hex(out, HASH_BYTES, abc);
	digest_take(d, out); /* it started anew */
	assert_hex(out, HASH_BYTES, none);
}

/* ---- key derivation ---- */

/* RFC 5869, test cases 1 and 3. */
static void test_hkdf_vectors(void **state)
{
	static const char info[] = "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9";
	uint8_t ikm[22], salt[13], out[42];

	(void)state;
	memset(ikm, 0x0b, sizeof(ikm));
	for (uint8_t i = 0; i < sizeof(salt); i++)
		salt[i] = i;
	hkdf(ikm, sizeof(ikm), salt, sizeof(salt), info, out, sizeof(out));
	assert_hex(out, sizeof(out),
		   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		   "34007208d5b887185865");
	hkdf(ikm, sizeof(ikm), NULL, 0, "", out, sizeof(out));
	assert_hex(out, sizeof(out),
		   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		   "9d201395faa4b61a96c8");
}

/* Any length up to the standard's limit; a shorter one is a prefix of a longer one. */
static void test_hkdf_lengths(void **state)
{
	static const size_t lengths[] = {0, 1, 31, 32, 33, 64, 255 * 32 - 1, 255 * 32};
	uint8_t all[255 * 32], out[255 * 32 + 1];

	(void)state;
	hkdf("key", 3, "salt", 4, "info", all, sizeof(all));
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		memset(out, 0xee, sizeof(out));
		hkdf("key", 3, "salt", 4, "info", out, lengths[i]);
		assert_int_equal(memcmp(out, all, lengths[i]), 0);
		assert_int_equal(out[lengths[i]], 0xee);
	}
}

static void test_argon2id_is_the_standards(void **state)
{
	char secret[] = "correct horse";
	uint8_t salt[SEAL_SALT], out[SEAL_KEY], want[SEAL_KEY];
	argon2_context c = {.out = want,
			    .outlen = SEAL_KEY,
			    .pwd = (uint8_t *)secret,
			    .pwdlen = 13,
			    .salt = salt,
			    .saltlen = SEAL_SALT,
			    .t_cost = 3,
			    .m_cost = 64,
			    .lanes = 2,
			    .threads = 2,
			    .version = 0x13};

	(void)state;
	memset(salt, 0x5a, sizeof(salt));
	OK(argon2id(secret, 13, salt, 3, 64, 2, out, e));
	assert_int_equal(argon2_ctx(&c, Argon2_id), ARGON2_OK);
	assert_memory_equal(out, want, SEAL_KEY);
	salt[0] ^= 1;
	OK(argon2id(secret, 13, salt, 3, 64, 2, out, e));
	assert_memory_not_equal(out, want, SEAL_KEY);
}

static void test_argon2id_fails(void **state)
{
	static const uint8_t salt[SEAL_SALT];
	uint8_t out[SEAL_KEY];

	(void)state;
	FAILS(ERR_INVALID, argon2id("x", 1, salt, 0, 64, 1, out, e));
	FAILS(ERR_INVALID, argon2id("x", 1, salt, 1, 7, 1, out, e));
	FAILS(ERR_INVALID, argon2id("x", 1, salt, 1, 64, 0, out, e));
	argon2_answer = ARGON2_MEMORY_ALLOCATION_ERROR;
	FAILS(ERR_LIMIT, argon2id("x", 1, salt, 1, 4 << 20, 1, out, e));
	argon2_answer = ARGON2_OK;
}

static void test_free_of_nothing(void **state)
{
	(void)state;
	aead_free(NULL);
	mac_free(NULL);
	digest_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aead_vectors),
		cmocka_unit_test(test_aead_nonce_layout),
		cmocka_unit_test(test_aead_round_trip_of_every_length),
		cmocka_unit_test(test_aead_refuses_every_change),
		cmocka_unit_test(test_aead_rekey),
		cmocka_unit_test(test_mac_vectors),
		cmocka_unit_test(test_poly_vector),
		cmocka_unit_test(test_sha256_vectors),
		cmocka_unit_test(test_hkdf_vectors),
		cmocka_unit_test(test_hkdf_lengths),
		cmocka_unit_test(test_argon2id_is_the_standards),
		cmocka_unit_test(test_argon2id_fails),
		cmocka_unit_test(test_free_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
