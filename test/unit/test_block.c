/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: ids, what is compressed and what is not, and payloads that are not what they should be.
 */
#include "testing.h"

#include <string.h>
#include <zstd.h>

#include "base/buf.h"
#include "repo/block.h"

#define SIZE ((size_t)64 << 10)

struct fixture {
	struct keyring *keys;
	struct codec *c;
	struct random rnd;
	uint8_t *data, *out, *back; /* SIZE + 1 bytes each, but `out`, which is larger */
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->keys = test_keys();
	f->c = codec_new(f->keys, CODEC_LEVEL);
	f->rnd.state = random_seed();
	f->data = xcalloc(1, SIZE + 1);
	f->out = xcalloc(2, SIZE);
	f->back = xcalloc(1, SIZE + 1);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	codec_free(f->c);
	keyring_free(f->keys);
	free(f->data);
	free(f->out);
	free(f->back);
	free(f);
	return 0;
}

/* A frame against a base, as a delta's payload has it behind the base's id. */
static size_t make_delta(struct fixture *f, const void *base, size_t base_len, size_t n)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t len;

	ZSTD_CCtx_refPrefix(c, base, base_len);
	len = ZSTD_compress2(c, f->out, 2 * SIZE, f->data, n);
	assert_false(ZSTD_isError(len));
	ZSTD_freeCCtx(c);
	return len;
}

static void test_ids(void **state)
{
	struct fixture *f = *state;
	struct block_id data, node, again, longer;
	AUTO(codec) same = codec_new(f->keys, 9);
	uint8_t key[SEAL_KEY], want[HASH_BYTES];
	AUTO(mac) m = NULL;

	codec_id(f->c, BLOCK_DATA, "block", 5, &data);
	codec_id(f->c, BLOCK_NODE, "block", 5, &node);
	codec_id(f->c, BLOCK_DATA, "block", 6, &longer);
	codec_id(same, BLOCK_DATA, "block", 5, &again);
	assert_false(block_id_equal(&data, &node));
	assert_false(block_id_equal(&data, &longer));
	assert_true(block_id_equal(&data, &again));
	keyring_id_key(f->keys, KEY_DATA, key);
	m = mac_new(key);
	mac_once(m, "block", 5, want);
	assert_memory_equal(data.b, want, HASH_BYTES);
}

static void test_ids_of_another_repository(void **state)
{
	struct fixture *f = *state;
	AUTO(keyring) other = test_keys();
	AUTO(codec) c = codec_new(other, CODEC_LEVEL);
	struct block_id here, there;

	codec_id(f->c, BLOCK_DATA, "known content", 13, &here);
	codec_id(c, BLOCK_DATA, "known content", 13, &there);
	assert_false(block_id_equal(&here, &there));
}

static void test_prints(void **state)
{
	struct fixture *f = *state;
	struct block_print one, again, other, there;
	AUTO(keyring) keys = test_keys();
	AUTO(codec) c = codec_new(keys, CODEC_LEVEL);

	codec_print(f->c, "content", 7, &one);
	codec_print(f->c, "Content", 7, &other);
	codec_print(f->c, "content", 7, &again);
	codec_print(c, "content", 7, &there);
	assert_true(block_print_equal(&one, &again));
	assert_false(block_print_equal(&one, &other));
	assert_false(block_print_equal(&one, &there));
}

static void test_zeros(void **state)
{
	struct fixture *f = *state;
	struct block_id id = {{0}};

	assert_true(block_all_zero(f->data, 0));
	assert_true(block_all_zero(f->data, SIZE));
	for (size_t i = 0; i < SIZE; i = i * 2 + 1) {
		f->data[i] = 1;
		assert_false(block_all_zero(f->data, SIZE));
		assert_true(block_all_zero(f->data, i));
		f->data[i] = 0;
	}
	assert_true(block_id_is_zero(&id));
	id.b[HASH_BYTES - 1] = 1;
	assert_false(block_id_is_zero(&id));
}

/* Text becomes smaller, noise and what is short stay; all come back. */
static void test_round_trips(void **state)
{
	static const size_t sizes[] = {0, 1, 19, 20, 100, 4096, (16 << 10) - 1, 16 << 10, SIZE};
	struct fixture *f = *state;

	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i / 2], len, back;
		enum block_encoding encoding;

		random_fill(&f->rnd, f->data, n, i % 2);
		len = codec_encode(f->c, f->data, n, f->out, &encoding);
		assert_true(len <= n);
		if (i % 2 || n < 20)
			assert_int_equal(encoding, BLOCK_RAW);
		if (i % 2 == 0 && n >= 4096)
			assert_int_equal(encoding, BLOCK_ZSTD);
		if (encoding == BLOCK_ZSTD)
			assert_true(len <= n - n / 20);
		OK(codec_decode(f->c, encoding, encoding == BLOCK_RAW ? f->data : f->out, len, NULL,
				0, f->back, n, &back, e));
		assert_int_equal(back, n);
		assert_int_equal(memcmp(f->back, f->data, n), 0);
	}
}

/* Just below and above a gain of 5 %: noise with a tail that compresses to nothing. */
static void test_small_gains_are_not_taken(void **state)
{
	struct fixture *f = *state;
	enum block_encoding encoding;
	const size_t n = 15 << 10; /* too short for the probe, so zstd decides */

	random_fill(&f->rnd, f->data, n, true);
	memset(f->data + n - n / 25, 0, n / 25);
	assert_int_equal(codec_encode(f->c, f->data, n, f->out, &encoding), n);
	assert_int_equal(encoding, BLOCK_RAW);
	memset(f->data + n - n / 10, 0, n / 10);
	assert_true(codec_encode(f->c, f->data, n, f->out, &encoding) < n - n / 20);
	assert_int_equal(encoding, BLOCK_ZSTD);
}

static void test_level(void **state)
{
	struct fixture *f = *state;
	AUTO(codec) best = codec_new(f->keys, 19);
	enum block_encoding encoding;
	size_t fast, slow;

	/* Short words that come again and again: worth searching for. */
	random_fill(&f->rnd, f->back, SIZE, true);
	for (size_t i = 0; i + 8 <= SIZE; i += 5 + random_below(&f->rnd, 4))
		memcpy(f->data + i, f->back + 8 * random_below(&f->rnd, 200), 8);
	fast = codec_encode(f->c, f->data, SIZE, f->out, &encoding);
	slow = codec_encode(best, f->data, SIZE, f->out, &encoding);
	assert_true(slow < fast);
}

static void test_room_for_the_content(void **state)
{
	struct fixture *f = *state;
	enum block_encoding encoding;
	size_t len, back = 99;

	random_fill(&f->rnd, f->data, SIZE, false);
	len = codec_encode(f->c, f->data, SIZE, f->out, &encoding);
	assert_int_equal(encoding, BLOCK_ZSTD);
	FAILS(ERR_LIMIT,
	      codec_decode(f->c, BLOCK_ZSTD, f->out, len, NULL, 0, f->back, SIZE - 1, &back, e));
	FAILS(ERR_LIMIT,
	      codec_decode(f->c, BLOCK_RAW, f->data, SIZE, NULL, 0, f->back, SIZE - 1, &back, e));
	assert_int_equal(back, 99);
}

static void test_every_cut_of_a_frame(void **state)
{
	struct fixture *f = *state;
	enum block_encoding encoding;
	size_t len, back;

	random_fill(&f->rnd, f->data, 4096, false);
	len = codec_encode(f->c, f->data, 4096, f->out, &encoding);
	for (size_t n = 0; n < len; n++) {
		AUTO_FREE uint8_t *cut = xmalloc(n);

		memcpy(cut, f->out, n);
		FAILS(ERR_CORRUPT,
		      codec_decode(f->c, BLOCK_ZSTD, cut, n, NULL, 0, f->back, SIZE, &back, e));
	}
	/* Nothing may come behind it, a second frame neither. */
	f->out[len] = 0;
	FAILS(ERR_CORRUPT,
	      codec_decode(f->c, BLOCK_ZSTD, f->out, len + 1, NULL, 0, f->back, SIZE, &back, e));
	memcpy(f->out + len, f->out, len);
	FAILS(ERR_CORRUPT,
	      codec_decode(f->c, BLOCK_ZSTD, f->out, 2 * len, NULL, 0, f->back, SIZE, &back, e));
}

/* Damage gives an error or other bytes, which their id tells; never a write past the room. */
static void test_flipped_bytes_of_a_frame(void **state)
{
	struct fixture *f = *state;
	enum block_encoding encoding;
	size_t len, back;

	random_fill(&f->rnd, f->data, 4096, false);
	len = codec_encode(f->c, f->data, 4096, f->out, &encoding);
	for (size_t i = 0; i < len; i++) {
		AUTO_FREE uint8_t *room = xmalloc(5000);
		struct err why = {0};

		f->out[i] ^= 0x10;
		if (codec_decode(f->c, BLOCK_ZSTD, f->out, len, NULL, 0, room, 5000, &back, &why) <
		    0)
			assert_true(why.kind == ERR_CORRUPT || why.kind == ERR_LIMIT);
		else
			assert_true(back <= 5000);
		f->out[i] ^= 0x10;
	}
}

static void test_frame_without_its_size(void **state)
{
	struct fixture *f = *state;
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t len, back;

	random_fill(&f->rnd, f->data, 4096, false);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	len = ZSTD_compress2(c, f->out, SIZE, f->data, 4096);
	ZSTD_freeCCtx(c);
	FAILS(ERR_CORRUPT,
	      codec_decode(f->c, BLOCK_ZSTD, f->out, len, NULL, 0, f->back, SIZE, &back, e));
}

static void test_unknown_encodings(void **state)
{
	struct fixture *f = *state;
	size_t back;

	for (int i = 3; i < 16; i++)
		FAILS(ERR_VERSION, codec_decode(f->c, (enum block_encoding)i, "x", 1, NULL, 0,
						f->back, SIZE, &back, e));
	/* A delta without its base cannot be read. */
	FAILS(ERR_VERSION,
	      codec_decode(f->c, BLOCK_DELTA, "x", 1, NULL, 0, f->back, SIZE, &back, e));
}

/* ---- deltas ---- */

static void test_delta_against_its_base(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE uint8_t *base = xmalloc(SIZE);
	size_t len, back;

	random_fill(&f->rnd, base, SIZE, true);
	memcpy(f->data, base, SIZE);
	memset(f->data + 1000, 7, 100);
	len = make_delta(f, base, SIZE, SIZE);
	assert_true(len < 1000); /* it is one */
	for (int i = 0; i < 2; i++) {
		OK(codec_decode(f->c, BLOCK_DELTA, f->out, len, base, SIZE, f->back, SIZE, &back,
				e));
		assert_int_equal(back, SIZE);
		assert_int_equal(memcmp(f->back, f->data, SIZE), 0);
	}
	FAILS(ERR_LIMIT, codec_decode(f->c, BLOCK_DELTA, f->out, len, base, SIZE, f->back, SIZE - 1,
				      &back, e));
}

/* Where there is no room for one delta, the next one is a delta all the same. */
static void test_delta_after_one_that_did_not_fit(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE uint8_t *base = xmalloc(SIZE);
	AUTO_FREE uint8_t *other = xmalloc(SIZE);
	static const struct block_id id = {{1}};
	size_t len, back;

	random_fill(&f->rnd, base, SIZE, true);
	random_fill(&f->rnd, other, SIZE, true);
	memcpy(f->data, base, SIZE);
	memset(f->data + 1000, 7, 100);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(codec_delta(f->c, &id, base, SIZE, other, SIZE, f->out, SIZE / 2),
				 0);
		len = codec_delta(f->c, &id, base, SIZE, f->data, SIZE, f->out, SIZE / 2);
		assert_true(len > HASH_BYTES && len < 1000);
		assert_memory_equal(f->out, id.b, HASH_BYTES);
		OK(codec_decode(f->c, BLOCK_DELTA, f->out + HASH_BYTES, len - HASH_BYTES, base,
				SIZE, f->back, SIZE, &back, e));
		assert_int_equal(memcmp(f->back, f->data, SIZE), 0);
	}
	assert_int_equal(codec_delta(f->c, &id, base, SIZE, f->data, SIZE, f->out, HASH_BYTES), 0);
}

/* The base is for one payload: the next one is read without it. */
static void test_base_does_not_stay(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE uint8_t *base = xmalloc(SIZE);
	AUTO_FREE uint8_t *delta = NULL;
	enum block_encoding encoding;
	size_t len, plain, back;
	struct err why;

	random_fill(&f->rnd, base, SIZE, false);
	memcpy(f->data, base, SIZE);
	len = make_delta(f, base, SIZE, SIZE);
	delta = xmalloc(len);
	memcpy(delta, f->out, len);
	random_fill(&f->rnd, f->data, SIZE, false);
	plain = codec_encode(f->c, f->data, SIZE, f->out, &encoding);
	for (size_t n = 0; n <= len; n += MAX(len / 3, 1U)) {
		codec_decode(f->c, BLOCK_DELTA, delta, n, base, SIZE, f->back, SIZE, &back, &why);
		OK(codec_decode(f->c, encoding, f->out, plain, base, SIZE, f->back, SIZE, &back,
				e));
		assert_int_equal(memcmp(f->back, f->data, SIZE), 0);
	}
}

/* Against a wrong, shorter or empty base: an error or other bytes, never those of the block. */
static void test_wrong_base(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE uint8_t *base = xmalloc(SIZE);
	size_t len, back;

	random_fill(&f->rnd, base, SIZE, true);
	memcpy(f->data, base, SIZE);
	len = make_delta(f, base, SIZE, SIZE);
	for (int i = 0; i < 3; i++) {
		size_t n = i == 0 ? SIZE : i == 1 ? SIZE / 2 : 0;
		AUTO_FREE uint8_t *wrong = xcalloc(1, n);
		struct err why = {0};

		if (i == 1)
			memcpy(wrong, base, n);
		if (codec_decode(f->c, BLOCK_DELTA, f->out, len, wrong, n, f->back, SIZE, &back,
				 &why) < 0)
			assert_int_equal(why.kind, ERR_CORRUPT);
		else
			assert_true(back != SIZE || memcmp(f->back, f->data, SIZE) != 0);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ids),
		T(test_ids_of_another_repository),
		T(test_prints),
		T(test_zeros),
		T(test_round_trips),
		T(test_small_gains_are_not_taken),
		T(test_level),
		T(test_room_for_the_content),
		T(test_every_cut_of_a_frame),
		T(test_flipped_bytes_of_a_frame),
		T(test_frame_without_its_size),
		T(test_unknown_encodings),
		T(test_delta_against_its_base),
		T(test_delta_after_one_that_did_not_fit),
		T(test_base_does_not_stay),
		T(test_wrong_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
