/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small sealed objects: every byte counts, with and without the key.
 */
#include "testing.h"

#include <string.h>

#include "repo/object.h"

struct fixture {
	struct keyring *keys;
	struct store *s;
	struct buf body, bytes;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->keys = test_keys();
	f->s = store_mem_new();
	buf_text(&f->body, "the body of an object");
	object_seal(f->keys, BOX_EPOCH, &f->body, &f->bytes);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	buf_done(&f->body);
	buf_done(&f->bytes);
	store_free(f->s);
	keyring_free(f->keys);
	free(f);
	return 0;
}

static int open_it(struct fixture *f, struct err *e)
{
	AUTO_BUF back = BUF_INIT;

	if (object_open(f->keys, BOX_EPOCH, &f->bytes, &back, NULL, e) < 0)
		return -1;
	assert_int_equal(back.len, f->body.len);
	assert_memory_equal(back.data, f->body.data, back.len);
	return 0;
}

/* Make the checksum right again. */
static void checksum(struct fixture *f)
{
	size_t n = f->bytes.len - HASH_BYTES;

	sha256(f->bytes.data, n, f->bytes.data + n);
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	uint8_t hash[HASH_BYTES], want[HASH_BYTES];
	AUTO_BUF back = BUF_INIT;

	OK(open_it(f, e));
	OK(store_put_new(f->s, "epochs/1", f->bytes.data, f->bytes.len, e));
	OK(object_get(f->s, f->keys, "epochs/1", BOX_EPOCH, &back, hash, e));
	assert_int_equal(back.len, f->body.len);
	sha256(f->bytes.data, f->bytes.len, want);
	assert_memory_equal(hash, want, HASH_BYTES);
	assert_int_equal(f->bytes.len, box_len(f->body.len, BOX_SEGMENT_LOG) + HASH_BYTES);
}

/* What is in the buffer before stays there and out of the checksum. */
static void test_appends(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF out = BUF_INIT;
	AUTO_BUF back = BUF_INIT;
	struct buf object;

	buf_text(&out, "before");
	object_seal(f->keys, BOX_POINT, &f->body, &out);
	assert_memory_equal(out.data, "before", 6);
	object = (struct buf){out.data + 6, out.len - 6, 0};
	OK(object_open(f->keys, BOX_POINT, &object, &back, NULL, e));
}

static void test_every_flipped_byte(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->bytes.len; i++) {
		f->bytes.data[i] ^= 2;
		FAILS(ERR_CORRUPT, open_it(f, e));
		f->bytes.data[i] ^= 2;
	}
}

/* Who has no key can make the checksum right, and nothing else. */
static void test_every_forged_byte(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->bytes.len - HASH_BYTES; i++) {
		f->bytes.data[i] ^= 2;
		checksum(f);
		FAILS(i == 4 || i == 6 ? ERR_VERSION : ERR_CORRUPT, open_it(f, e));
		f->bytes.data[i] ^= 2;
	}
	checksum(f);
	OK(open_it(f, e));
}

static void test_every_cut(void **state)
{
	struct fixture *f = *state;

	while (f->bytes.len) {
		f->bytes.len--;
		FAILS(ERR_CORRUPT, open_it(f, e));
		if (f->bytes.len < HASH_BYTES)
			continue;
		checksum(f);
		FAILS(ERR_CORRUPT, open_it(f, e));
	}
}

static void test_wrong_type(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF back = BUF_INIT;

	FAILS(ERR_CORRUPT, object_open(f->keys, BOX_POINT, &f->bytes, &back, NULL, e));
}

static void test_other_keys(void **state)
{
	struct fixture *f = *state;
	AUTO(keyring) other = test_keys();
	AUTO_BUF back = BUF_INIT;

	FAILS(ERR_CORRUPT, object_open(other, BOX_EPOCH, &f->bytes, &back, NULL, e));
}

static void test_in_a_store(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF back = BUF_INIT;
	struct err why = {0};

	FAILS(ERR_NOENT, object_get(f->s, f->keys, "epochs/1", BOX_EPOCH, &back, NULL, e));
	OK(store_put_new(f->s, "epochs/1", f->bytes.data, f->bytes.len, e));
	store_mem_resize(f->s, "epochs/1", f->bytes.len - 1);
	assert_int_equal(object_get(f->s, f->keys, "epochs/1", BOX_EPOCH, &back, NULL, &why), -1);
	assert_int_equal(why.kind, ERR_CORRUPT);
	assert_non_null(strstr(why.msg, "mem:/epochs/1"));
	store_mem_resize(f->s, "epochs/1", OBJECT_MAX + 1);
	FAILS(ERR_LIMIT, object_get(f->s, f->keys, "epochs/1", BOX_EPOCH, &back, NULL, e));
	assert_null(back.data);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip),	   T(test_appends),    T(test_every_flipped_byte),
		T(test_every_forged_byte), T(test_every_cut),  T(test_wrong_type),
		T(test_other_keys),	   T(test_in_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
