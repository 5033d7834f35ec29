/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the key ring (format section 5): rings made by hand, right ones and wrong ones, and
 * slots that ask for more than they may.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/box.h"
#include "repo/keyring_priv.h"
#include "repo/record.h"

#define RING_HEAD 32

static struct keyring *new_ring(uint8_t byte)
{
	AUTO(credential) c = test_credential(byte);
	struct uuid id = uuid_random();

	return OK_PTR(keyring_new(&id, c, "first", NULL, e));
}

/* Store the ring with this body in its box. */
static void put_ring(struct store *s, struct keyring *k, const struct buf *body)
{
	uint8_t hash[HASH_BYTES];
	AUTO_BUF out = BUF_INIT;

	keyring_encode(k, &out);
	out.len = RING_HEAD + k->n_slots * SLOT_BYTES;
	box_seal(ring_keys(k)->root, 0, BOX_KEYS, body->data, body->len, &out);
	sha256(out.data, out.len, hash);
	buf_add(&out, hash, HASH_BYTES);
	OK(store_put_new(s, "keys/1", out.data, out.len, e));
}

/* The parts of a body, to be left out or spoilt. */
enum part {
	ALL = 0,
	NO_ID_KEY = 1,
	NO_GENERATION = 2,
	NO_SLOTS_HASH = 4,
	WRONG_SLOTS_HASH = 8,
	ID_ALGORITHM_2 = 16,
	ID_KEY_SHORT = 32,
	ID_KEY_EMPTY = 64,
	GENERATION_ZERO = 128,
	GENERATION_TWICE = 256,
	GENERATION_LONG = 512,
	SLOT_NAME_SHORT = 1024,
	UNKNOWN = 2048,
	CRITICAL = 4096,
	CUT = 8192,
	HASH_SHORT = 16384,
};

static void add_generation(struct buf *b, uint32_t number, const uint8_t *key, bool more)
{
	size_t open = record_open(b, 3);

	buf_u32(b, number);
	buf_u64(b, 1000);
	buf_add(b, key, SEAL_KEY);
	if (more)
		buf_u8(b, 0);
	record_close(b, open);
}

static void add_id_key(struct buf *b, const struct keyring *k, int spoil)
{
	size_t open = record_open(b, 2);

	if (!(spoil & ID_KEY_EMPTY)) {
		buf_u8(b, spoil & ID_ALGORITHM_2 ? 2 : 1);
		buf_add(b, ring_keys(k)->id_key, spoil & ID_KEY_SHORT ? SEAL_KEY - 1 : SEAL_KEY);
	}
	record_close(b, open);
}

static void make_body(struct keyring *k, int spoil, struct buf *b)
{
	uint8_t hash[HASH_BYTES];
	AUTO_BUF head = BUF_INIT;

	keyring_encode(k, &head);
	sha256(head.data, RING_HEAD + k->n_slots * SLOT_BYTES, hash);
	hash[5] ^= spoil & WRONG_SLOTS_HASH ? 1 : 0;
	if (!(spoil & NO_SLOTS_HASH))
		record_add(b, 5, hash, spoil & HASH_SHORT ? 31 : HASH_BYTES);
	if (spoil & UNKNOWN)
		record_add(b, 77, "abc", 3);
	if (spoil & CRITICAL)
		record_add(b, RECORD_CRITICAL | 77, "abc", 3);
	record_add(b, 0, "padding", 7);
	if (!(spoil & NO_ID_KEY))
		add_id_key(b, k, spoil);
	if (!(spoil & NO_GENERATION)) {
		add_generation(b, spoil & GENERATION_ZERO ? 0 : 5, ring_keys(k)->gens[0].key,
			       spoil & GENERATION_LONG);
		add_generation(b, spoil & GENERATION_TWICE ? 5 : 9, ring_keys(k)->root, false);
	}
	record_add(b, 4, "not a slot's id at all, but long enough",
		   spoil & SLOT_NAME_SHORT ? 9 : 39);
	if (spoil & CUT)
		b->len -= 3;
}

static void test_bodies(void **state)
{
	static const struct {
		int spoil;
		enum err_kind want;
	} rows[] = {
		{ALL, ERR_NONE},
		{NO_ID_KEY, ERR_CORRUPT},
		{NO_GENERATION, ERR_CORRUPT},
		{NO_SLOTS_HASH, ERR_CORRUPT},
		{WRONG_SLOTS_HASH, ERR_CORRUPT},
		{HASH_SHORT, ERR_CORRUPT},
		{ID_ALGORITHM_2, ERR_VERSION},
		{ID_KEY_SHORT, ERR_CORRUPT},
		{GENERATION_ZERO, ERR_CORRUPT},
		{GENERATION_TWICE, ERR_CORRUPT},
		{GENERATION_LONG, ERR_CORRUPT},
		{SLOT_NAME_SHORT, ERR_CORRUPT},
		{UNKNOWN, ERR_NONE},
		{CRITICAL, ERR_VERSION},
		{CUT, ERR_CORRUPT},
	};
	AUTO(credential) c = test_credential(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(store) s = store_mem_new();
		AUTO(keyring) k = new_ring(1);
		AUTO(keyring) again = NULL;
		AUTO_BUF body = BUF_INIT;
		struct err why = {0};

		make_body(k, rows[i].spoil, &body);
		put_ring(s, k, &body);
		again = keyring_open(s, c, &why);
		if (why.kind != rows[i].want)
			fail_msg("row %zu: kind %s: %s", i, err_info(why.kind)->name, why.msg);
		if (!again)
			continue;
		assert_int_equal(keyring_generation(again), 9);
		assert_memory_equal(keyring_key(again, 5, NULL), ring_keys(k)->gens[0].key, 32);
		FAILS_PTR(ERR_CORRUPT, keyring_key(again, 6, e));
	}
}

static void test_empty_id_key(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(1);
	AUTO(credential) c = test_credential(1);
	AUTO_BUF body = BUF_INIT;

	(void)state;
	make_body(k, ID_KEY_EMPTY, &body);
	put_ring(s, k, &body);
	assert_null(keyring_open(s, c, NULL));
}

static void test_too_many_generations(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(1);
	AUTO(credential) c = test_credential(1);
	AUTO_BUF body = BUF_INIT;

	(void)state;
	make_body(k, ALL, &body);
	for (uint32_t i = 10; i < 1200; i++)
		add_generation(&body, i, ring_keys(k)->root, false);
	put_ring(s, k, &body);
	FAILS_PTR(ERR_LIMIT, keyring_open(s, c, e));
}

/* ---- the plain part ---- */

/* A whole, right object with one byte of the plain part set, and its hash made right again. */
static enum err_kind open_with_byte(size_t at, uint8_t value, size_t cut)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(1);
	AUTO(keyring) again = NULL;
	AUTO(credential) c = test_credential(1);
	AUTO_BUF out = BUF_INIT;
	struct err why = {0};

	keyring_encode(k, &out);
	out.data[at] = value;
	out.len -= cut;
	sha256(out.data, out.len - HASH_BYTES, out.data + out.len - HASH_BYTES);
	OK(store_put_new(s, "keys/1", out.data, out.len, e));
	again = keyring_open(s, c, &why);
	return why.kind;
}

static void test_heads(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum err_kind want;
	} rows[] = {
		{0, 'h', ERR_CORRUPT},
		{6, 1, ERR_CORRUPT},
		{7, 1, ERR_NONE},
		{7, 2, ERR_VERSION},
		{8, 0, ERR_KEY},
		{24, 2, ERR_CORRUPT},
		{28, 0, ERR_CORRUPT},
		{28, 65, ERR_CORRUPT},
		{29, 1, ERR_CORRUPT},
		{RING_HEAD, 0, ERR_KEY},
		{RING_HEAD + 16, 1, ERR_KEY},
		{RING_HEAD + 16, 9, ERR_KEY},
		{RING_HEAD + 17, 9, ERR_VERSION},
		{RING_HEAD + 20, 7, ERR_KEY},
		{RING_HEAD + 40, 7, ERR_KEY},
		{RING_HEAD + 70, 7, ERR_KEY},
		{RING_HEAD + 100, 7, ERR_KEY},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum err_kind kind = open_with_byte(rows[i].at, rows[i].value, 0);

		bool by_chance = kind == ERR_NONE && (rows[i].at == 8 || rows[i].at >= RING_HEAD);

		/* One time in 256 a random byte has that value already. */
		if (kind != rows[i].want && !by_chance)
			fail_msg("byte %zu = %u: %s instead of %s", rows[i].at, rows[i].value,
				 err_info(kind)->name, err_info(rows[i].want)->name);
	}
	for (size_t cut = 1; cut < 60; cut++)
		assert_int_equal(open_with_byte(7, 1, cut), ERR_CORRUPT);
}

static void test_more_slots_than_there_are(void **state)
{
	(void)state;
	/* The box is taken for slots; nothing may be read beyond the end. */
	for (uint8_t n = 2; n <= 64; n++)
		assert_int_equal(open_with_byte(28, n, 0), ERR_CORRUPT);
}

/* Reserved bytes are written as zero and, in what is not sealed with the slot, not looked at. */
static void test_reserved_bytes(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(1);
	AUTO_BUF out = BUF_INIT;

	(void)state;
	keyring_encode(k, &out);
	assert_int_equal(get_le16(out.data + 30), 0);
	assert_int_equal(get_le16(out.data + RING_HEAD + 18), 0);
	assert_int_equal(get_le32(out.data + 24), 1);
	assert_memory_equal(out.data, "HFKEYS\0\1", 8);
}

/* ---- slots that ask for too much ---- */

static void test_costs(void **state)
{
	static const struct {
		struct keyring_cost cost;
		enum err_kind want;
	} rows[] = {
		{{1, 8, 1}, ERR_NONE},
		{{2, 32, 4}, ERR_NONE},
		{{1, (4 << 20) + 1, 1}, ERR_LIMIT},
		{{1, UINT32_MAX, 1}, ERR_LIMIT},
		{{1025, 8, 1}, ERR_LIMIT},
		{{UINT32_MAX, 8, 1}, ERR_LIMIT},
		{{1, 8, 65}, ERR_LIMIT},
		{{1, 8, UINT32_MAX}, ERR_LIMIT},
		{{0, 8, 1}, ERR_INVALID},
		{{1, 0, 1}, ERR_INVALID},
		{{1, 8, 0}, ERR_INVALID},
		{{1, 8, 2}, ERR_INVALID},
	};
	AUTO(credential) phrase = OK_PTR(credential_passphrase("x", 1, e));
	uint64_t start = clock_mono_us();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct uuid id = uuid_random();
		struct err why = {0};
		AUTO(keyring) k = keyring_new(&id, phrase, NULL, &rows[i].cost, &why);

		if (why.kind != rows[i].want)
			fail_msg("row %zu: %s: %s", i, err_info(why.kind)->name, why.msg);
		assert_int_equal(k != NULL, rows[i].want == ERR_NONE);
	}
	/* Refused before any work is done for it. */
	assert_true(clock_mono_us() - start < 20000000);
}

/* A ring with these numbers in its stored slot. */
static struct store *store_with_cost(uint8_t derivation, const struct keyring_cost *cost,
				     const struct credential *second)
{
	static const struct keyring_cost cheap = {1, 8, 1};
	AUTO(credential) phrase = OK_PTR(credential_passphrase("x", 1, e));
	struct uuid id = uuid_random();
	AUTO(keyring) k = OK_PTR(keyring_new(&id, phrase, NULL, &cheap, e));
	struct store *s = store_mem_new();

	k->raw[0][17] = derivation;
	put_le32(k->raw[0] + 20, cost->passes);
	put_le32(k->raw[0] + 24, cost->memory_kib);
	put_le32(k->raw[0] + 28, cost->lanes);
	if (second) {
		k->slots[1] = (struct keyring_slot){.id = uuid_random(), .label = xstrdup("2nd")};
		OK(keyring_wrap(k, 1, second, &cheap, e));
		k->n_slots = 2;
	}
	OK(keyring_store(k, s, e));
	return s;
}

static void test_stored_costs(void **state)
{
	static const struct {
		uint8_t derivation;
		struct keyring_cost cost;
		enum err_kind want;
	} rows[] = {
		{1, {1, (4 << 20) + 1, 1}, ERR_LIMIT},
		{1, {1025, 8, 1}, ERR_LIMIT},
		{1, {1, 8, 65}, ERR_LIMIT},
		{1, {0, 8, 1}, ERR_INVALID},
		{1, {2, 8, 1}, ERR_KEY},
		{0, {1, 8, 1}, ERR_VERSION},
		{3, {1, 8, 1}, ERR_VERSION},
		{2, {1, 8, 1}, ERR_KEY},
	};
	AUTO(credential) phrase = OK_PTR(credential_passphrase("x", 1, e));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(store) s = store_with_cost(rows[i].derivation, &rows[i].cost, NULL);
		struct err why = {0};

		assert_null(keyring_open(s, phrase, &why));
		if (why.kind != rows[i].want)
			fail_msg("row %zu: %s: %s", i, err_info(why.kind)->name, why.msg);
	}
}

/* "Any slot opens everything": also when one before it cannot be tried here. */
static void test_bad_slot_before_good_one(void **state)
{
	static const struct keyring_cost huge = {1, (4 << 20) + 1, 1}, cheap = {1, 8, 1};
	AUTO(credential) other = OK_PTR(credential_passphrase("other", 5, e));
	AUTO(store) s = store_with_cost(1, &huge, other);
	AUTO(store) t = store_with_cost(7, &cheap, other);

	(void)state;
	keyring_free(OK_PTR(keyring_open(s, other, e)));
	keyring_free(OK_PTR(keyring_open(t, other, e)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_empty_id_key),
		cmocka_unit_test(test_too_many_generations),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_more_slots_than_there_are),
		cmocka_unit_test(test_reserved_bytes),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_stored_costs),
		cmocka_unit_test(test_bad_slot_before_good_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
