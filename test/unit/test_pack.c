/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs: what is written is read, in the documented layout; damage in any byte is found; a store
 * that fails leaves no pack.
 */
#include "testing.h"

#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "repo/pack.h"
#include "repo/record.h"
#include "repo/store_fault.h"

#define SESSION "5d1f3c0e-8f3a-4c4e-9a53-0e6f5b3b7a11"

struct fixture {
	struct keyring *keys;
	struct store *s;
	struct store_session *ss;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->keys = test_keys();
	f->s = store_mem_new();
	f->ss = OK_PTR(store_session_begin(f->s, SESSION, "x", 1, e));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_session_end(f->ss);
	store_free(f->s);
	keyring_free(f->keys);
	free(f);
	return 0;
}

/* Payload number `i`: its length and bytes follow from the number. */
static size_t payload(size_t i, uint8_t *out)
{
	size_t n = i * 37 % 500;

	memset(out, (int)(i * 11 + 1), n);
	return n;
}

static struct block_id id_of(size_t i)
{
	struct block_id id = {{(uint8_t)(200 - i), (uint8_t)i, 1}};

	return id;
}

/* `n` payloads, every third one a node. */
static int add_some(struct pack_writer *p, size_t n, struct err *e)
{
	uint8_t bytes[512];

	for (size_t i = 0; i < n; i++) {
		struct block_id id = id_of(i);
		size_t len = payload(i, bytes);

		if (pack_add(p, i % 3 == 2 ? BLOCK_NODE : BLOCK_DATA,
			     i % 2 ? BLOCK_ZSTD : BLOCK_RAW, &id, bytes, len, e) < 0)
			return -1;
	}
	return 0;
}

static struct pack_done *write_pack(struct fixture *f, size_t n)
{
	struct pack_writer *p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));
	struct pack_done *d;

	OK(add_some(p, n, e));
	d = OK_PTR(pack_close(p, e));
	OK(pack_finish(d, e));
	return d;
}

static uint8_t *bytes_of(struct fixture *f, const uint8_t name[HASH_BYTES], size_t *ret_len)
{
	char key[STORE_KEY_MAX];

	pack_key_name(name, key);
	return store_mem_bytes(f->s, key, ret_len);
}

/* Open the record and compare it with the payload that it should hold. */
static bool opens(struct fixture *f, const uint8_t *pack, const struct pack_entry *at, size_t i)
{
	uint8_t want[512], own[SEAL_KEY];
	AUTO_FREE uint8_t *out = xmalloc(at->stored);
	AUTO(aead) a = NULL;
	size_t n = payload(i, want);

	if (pack_key(f->keys, pack, own, NULL) < 0)
		return false;
	a = aead_new(own);
	if (!pack_open_record(a, at, pack + at->offset, out))
		return false;
	assert_int_equal(at->stored, n + SEAL_TAG);
	assert_int_equal(memcmp(out, want, n), 0);
	return true;
}

/* The number of the payload that lies at position `at` of a pack of `n`: blocks first. */
static size_t number_at(size_t at, size_t n)
{
	size_t k = 0;

	for (int node = 0; node < 2; node++) {
		for (size_t i = 0; i < n; i++) {
			if ((i % 3 == 2) == node && k++ == at)
				return i;
		}
	}
	fail();
	return 0;
}

static void test_round_trip(void **state)
{
	static const size_t counts[] = {0, 1, 2, 3, 40, 600};
	struct fixture *f = *state;

	for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
		AUTO(pack_done) d = write_pack(f, counts[c]);
		AUTO_FREE struct pack_entry *entries = NULL;
		uint64_t offset = PACK_HEAD;
		uint8_t *pack;
		size_t n, len;

		OK(pack_directory(f->s, f->keys, d->name, &entries, &n, e));
		pack = bytes_of(f, d->name, &len);
		assert_int_equal(n, counts[c]);
		assert_int_equal(d->n, n);
		assert_int_equal(d->size, len);
		for (size_t i = 0; i < n; i++) {
			size_t number = number_at(i, n);
			struct block_id id = id_of(number);

			assert_int_equal(entries[i].offset, offset);
			assert_int_equal(entries[i].kind,
					 number % 3 == 2 ? BLOCK_NODE : BLOCK_DATA);
			assert_int_equal(entries[i].encoding, number % 2);
			assert_true(block_id_equal(&entries[i].id, &id));
			assert_memory_equal(&d->entries[i].id, &id, sizeof(id));
			assert_int_equal(d->entries[i].offset, offset);
			assert_int_equal(d->entries[i].stored, entries[i].stored);
			assert_true(opens(f, pack, &entries[i], number));
			offset += entries[i].stored;
		}
	}
}

static void test_layout(void **state)
{
	struct fixture *f = *state;
	AUTO(pack_done) d = write_pack(f, 5);
	uint8_t hash[HASH_BYTES], *p, *end;
	char key[STORE_KEY_MAX], hex[HASH_TEXT], want[STORE_KEY_MAX];
	size_t len;

	p = bytes_of(f, d->name, &len);
	end = p + len - PACK_TRAILER;
	assert_memory_equal(p, "HFPK\1\1\0\0\1\0\0\0", 12);
	assert_memory_equal(end, "HFPE", 4);
	assert_int_equal(get_le32(end + 4), 5);
	assert_int_equal(get_le32(end + 16), 5 * PACK_ENTRY + SEAL_TAG);
	assert_int_equal(get_le64(end + 8) + get_le32(end + 16) + PACK_TRAILER, len);
	sha256(p, len, hash);
	assert_memory_equal(hash, d->name, HASH_BYTES);
	pack_key_name(d->name, key);
	hex_encode(hash, HASH_BYTES, hex);
	snprintf(want, sizeof(want), "packs/%.2s/%s", hex, hex);
	assert_string_equal(key, want);
}

static void test_size_is_known_before(void **state)
{
	struct fixture *f = *state;

	for (size_t n = 0; n < 30; n += 7) {
		struct pack_writer *p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));
		AUTO(pack_done) d = NULL;
		uint64_t size;

		OK(add_some(p, n, e));
		size = pack_writer_size(p);
		d = OK_PTR(pack_close(p, e));
		assert_int_equal(d->size, size);
	}
}

/* Records around the size of the writer's buffer, and the largest. */
static void test_large_records(void **state)
{
	static const size_t sizes[] = {(2 << 20) - SEAL_TAG, (2 << 20) - SEAL_TAG + 1,	   100,
				       (2 << 20) - 200,	     RECORD_STORED_MAX - SEAL_TAG, 5};
	struct fixture *f = *state;
	struct pack_writer *p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));
	AUTO_FREE uint8_t *data = xcalloc(1, RECORD_STORED_MAX);
	AUTO_FREE uint8_t *out = xcalloc(1, RECORD_STORED_MAX);
	AUTO(pack_done) d = NULL;
	AUTO(aead) a = NULL;
	uint8_t own[SEAL_KEY], hash[HASH_BYTES], *pack;
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct block_id id = id_of(i);

		data[sizes[i] - 1] = (uint8_t)(i + 1);
		OK(pack_add(p, BLOCK_DATA, BLOCK_RAW, &id, data, sizes[i], e));
		data[sizes[i] - 1] = 0;
	}
	d = OK_PTR(pack_close(p, e));
	OK(pack_finish(d, e));
	pack = bytes_of(f, d->name, &len);
	sha256(pack, len, hash);
	assert_memory_equal(hash, d->name, HASH_BYTES);
	OK(pack_key(f->keys, pack, own, e));
	a = aead_new(own);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_true(pack_open_record(a, &d->entries[i], pack + d->entries[i].offset, out));
		assert_true(block_all_zero(out, sizes[i] - 1));
		assert_int_equal(out[sizes[i] - 1], i + 1);
	}
}

static void test_too_large_a_record(void **state)
{
	struct fixture *f = *state;
	struct pack_writer *p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));
	AUTO_FREE uint8_t *data = xcalloc(1, RECORD_STORED_MAX);
	struct block_id id = id_of(1);

	for (int kind = BLOCK_DATA; kind <= BLOCK_NODE; kind++)
		FAILS(ERR_LIMIT, pack_add(p, (enum block_kind)kind, BLOCK_RAW, &id, data,
					  RECORD_STORED_MAX - SEAL_TAG + 1, e));
	pack_writer_free(p);
}

/* No pack is written whose directory a reader would refuse. */
static void test_too_many_records(void **state)
{
	const size_t most = (PACK_DIRECTORY_MAX - SEAL_TAG) / PACK_ENTRY;
	struct fixture *f = *state;
	struct pack_writer *p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));
	struct block_id id = id_of(1);
	size_t i = 0;

	while (i < most && pack_add(p, BLOCK_NODE, BLOCK_RAW, &id, "", 0, NULL) == 0)
		i++;
	assert_int_equal(i, most);
	FAILS(ERR_LIMIT, pack_add(p, BLOCK_NODE, BLOCK_RAW, &id, "", 0, e));
	pack_writer_free(p);
}

static void test_thrown_away(void **state)
{
	struct fixture *f = *state;
	struct pack_writer *p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));

	OK(add_some(p, 9, e));
	pack_writer_free(p);
	p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));
	pack_done_free(OK_PTR(pack_close(p, e)));
	assert_int_equal(test_count(f->s, "packs/"), 0);
	pack_writer_free(NULL);
	pack_done_free(NULL);
}

/* One try with a store that fails at call `at`: 0 when the pack was made. */
static int try_pack(struct store *s, const struct keyring *k, struct err *e)
{
	AUTO_FREE uint8_t *large = xcalloc(1, 3 << 20);
	struct store_session *ss = store_session_begin(s, SESSION, "x", 1, e);
	struct block_id id = id_of(1);
	struct pack_writer *p = ss ? pack_writer_new(k, ss, NULL, e) : NULL;
	struct pack_done *d = NULL;
	int rc = -1;

	for (int i = 0; p && i < 3; i++) {
		/* A large record flushes what is before it; two of 1.5 MiB fill the buffer. */
		if (pack_add(p, BLOCK_DATA, BLOCK_RAW, &id, large, i ? 3 << 19 : 3 << 20, e) < 0 ||
		    pack_add(p, BLOCK_NODE, BLOCK_RAW, &id, large, 1 << 20, e) < 0) {
			pack_writer_free(p);
			p = NULL;
		}
	}
	if (p)
		d = pack_close(p, e);
	if (d)
		rc = pack_finish(d, e);
	pack_done_free(d);
	store_session_end(ss);
	return rc;
}

static void test_failing_store(void **state)
{
	struct fixture *f = *state;
	uint64_t calls = 1;

	for (uint64_t at = 1; at <= calls; at++) {
		AUTO(store) inner = store_mem_new();
		AUTO(store) s = store_fault_new(inner, at == 1 ? FAULT_NONE : FAULT_ONCE, at - 1);

		if (at == 1) { /* how many calls there are */
			OK(try_pack(s, f->keys, e));
			calls = store_fault_count(s) + 1;
			assert_true(calls > 7);
			continue;
		}
		FAILS(ERR_IO, try_pack(s, f->keys, e));
		assert_int_equal(test_count(inner, "packs/"), 0);
	}
}

/* ---- damage ---- */

/* A record belongs to its place, kind, encoding and id. */
static void test_records_belong_to_their_entry(void **state)
{
	struct fixture *f = *state;
	AUTO(pack_done) d = write_pack(f, 4);
	struct pack_entry at = d->entries[1];
	uint8_t *pack;
	size_t len;

	pack = bytes_of(f, d->name, &len);
	assert_true(opens(f, pack, &at, 1));
	at.kind = BLOCK_NODE;
	assert_false(opens(f, pack, &at, 1));
	at.kind = BLOCK_DATA;
	at.encoding ^= 1;
	assert_false(opens(f, pack, &at, 1));
	at.encoding ^= 1;
	at.id.b[31] ^= 1;
	assert_false(opens(f, pack, &at, 1));
	at.id.b[31] ^= 1;
	at.stored--;
	assert_false(opens(f, pack, &at, 1));
	at.stored++;
	memmove(pack + at.offset + 1, pack + at.offset, at.stored);
	at.offset++;
	assert_false(opens(f, pack, &at, 1));
}

/* Every byte is looked at by the directory or by exactly one record. */
static void test_every_flipped_byte(void **state)
{
	struct fixture *f = *state;
	AUTO(pack_done) d = write_pack(f, 6);
	uint8_t *pack;
	size_t len;

	pack = bytes_of(f, d->name, &len);
	for (size_t i = 0; i < len; i++) {
		struct pack_entry *entries;
		struct err why = {0};
		size_t n, bad = 0;

		pack[i] ^= 0x20;
		if (pack_directory(f->s, f->keys, d->name, &entries, &n, &why) == 0) {
			for (size_t k = 0; k < n; k++)
				bad += !opens(f, pack, &entries[k], number_at(k, n));
			assert_int_equal(bad, 1);
			free(entries);
		} else {
			assert_int_equal(why.kind, ERR_CORRUPT);
			assert_non_null(strstr(why.msg, "packs/"));
		}
		pack[i] ^= 0x20;
	}
}

static void test_every_cut(void **state)
{
	struct fixture *f = *state;
	AUTO(pack_done) d = write_pack(f, 6);
	struct pack_entry *entries;
	char key[STORE_KEY_MAX];
	size_t len, n;

	pack_key_name(d->name, key);
	bytes_of(f, d->name, &len);
	store_mem_resize(f->s, key, len + 1);
	FAILS(ERR_CORRUPT, pack_directory(f->s, f->keys, d->name, &entries, &n, e));
	store_mem_resize(f->s, key, len + 1);
	FAILS(ERR_CORRUPT, pack_directory(f->s, f->keys, d->name, &entries, &n, e));
	for (size_t cut = len; cut-- > 0;) {
		store_mem_resize(f->s, key, cut);
		FAILS(ERR_CORRUPT, pack_directory(f->s, f->keys, d->name, &entries, &n, e));
	}
	OK(store_remove(f->s, key, e));
	FAILS(ERR_NOENT, pack_directory(f->s, f->keys, d->name, &entries, &n, e));
}

/* A pack whose directory is sealed rightly and says what `dir` says. */
static int read_forged(struct fixture *f, size_t gap, uint32_t count, uint64_t at,
		       const struct buf *dir, struct err *e)
{
	static const uint8_t name[HASH_BYTES] = {1};
	uint8_t aad[PACK_HEAD + PACK_TRAILER] = {'H', 'F', 'P', 'K', 1, SEAL_AES_256_GCM, 0, 0, 1};
	uint8_t *trailer = aad + PACK_HEAD, own[SEAL_KEY];
	AUTO_FREE struct pack_entry *entries = NULL;
	AUTO_BUF pack = BUF_INIT;
	char key[STORE_KEY_MAX];
	AUTO(aead) a = NULL;
	size_t n;

	memcpy(trailer, "HFPE", 4);
	put_le32(trailer + 4, count);
	put_le64(trailer + 8, at);
	put_le32(trailer + 16, (uint32_t)(dir->len + SEAL_TAG));
	if (pack_key(f->keys, aad, own, e) < 0)
		return -1;
	a = aead_new(own);
	buf_add(&pack, aad, PACK_HEAD);
	buf_fill(&pack, 0, gap);
	aead_seal(a, at, aad, sizeof(aad), dir->data, dir->len,
		  buf_reserve(&pack, dir->len + SEAL_TAG));
	pack.len += dir->len + SEAL_TAG;
	buf_add(&pack, trailer, PACK_TRAILER);
	pack_key_name(name, key);
	store_remove(f->s, key, NULL);
	if (store_put_new(f->s, key, pack.data, pack.len, e) < 0)
		return -1;
	return pack_directory(f->s, f->keys, name, &entries, &n, e);
}

static void dir_entry(struct buf *dir, uint32_t stored)
{
	buf_fill(dir, 5, HASH_BYTES);
	buf_u8(dir, BLOCK_DATA);
	buf_u8(dir, BLOCK_RAW);
	buf_u16(dir, 0);
	buf_u32(dir, stored);
}

static void test_directory_must_fill_the_pack(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF dir = BUF_INIT;

	dir_entry(&dir, 60);
	dir_entry(&dir, 40);
	OK(read_forged(f, 100, 2, PACK_HEAD + 100, &dir, e));
	FAILS(ERR_CORRUPT, read_forged(f, 99, 2, PACK_HEAD + 99, &dir, e));
	FAILS(ERR_CORRUPT, read_forged(f, 101, 2, PACK_HEAD + 101, &dir, e));
	FAILS(ERR_CORRUPT, read_forged(f, 100, 3, PACK_HEAD + 100, &dir, e));
	FAILS(ERR_CORRUPT, read_forged(f, 100, UINT32_MAX, PACK_HEAD + 100, &dir, e));
	FAILS(ERR_CORRUPT, read_forged(f, 100, 2, PACK_HEAD + 101, &dir, e));
	FAILS(ERR_CORRUPT, read_forged(f, 100, 2, PACK_HEAD - 1, &dir, e));
	FAILS(ERR_CORRUPT, read_forged(f, 100, 2, UINT64_MAX - 50, &dir, e));
}

static void test_impossible_entries(void **state)
{
	static const uint32_t stored[] = {0, SEAL_TAG - 1, RECORD_STORED_MAX + 1, UINT32_MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(stored); i++) {
		AUTO_BUF dir = BUF_INIT;

		dir_entry(&dir, stored[i]);
		FAILS(ERR_CORRUPT, read_forged(f, 0, 1, PACK_HEAD, &dir, e));
	}
}

static void test_records_behind_the_entries(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF dir = BUF_INIT;
	size_t len;

	dir_entry(&dir, 20);
	record_add(&dir, 0x7fff, "newer, and of no matter", 23);
	OK(read_forged(f, 20, 1, PACK_HEAD + 20, &dir, e));
	len = dir.len;
	record_add(&dir, RECORD_CRITICAL | 5, "newer, to be understood", 23);
	FAILS(ERR_VERSION, read_forged(f, 20, 1, PACK_HEAD + 20, &dir, e));
	dir.len = len - 1;
	FAILS(ERR_CORRUPT, read_forged(f, 20, 1, PACK_HEAD + 20, &dir, e));
}

static void test_keys_of_packs(void **state)
{
	struct fixture *f = *state;
	uint8_t head[PACK_HEAD] = {'H', 'F', 'P', 'K', 1, SEAL_AES_256_GCM, 0, 0, 1};
	uint8_t one[SEAL_KEY], two[SEAL_KEY];

	OK(pack_key(f->keys, head, one, e));
	head[63] ^= 1; /* the salt */
	OK(pack_key(f->keys, head, two, e));
	assert_memory_not_equal(one, two, SEAL_KEY);
	head[8] = 2; /* a generation that is not in the ring */
	FAILS(ERR_CORRUPT, pack_key(f->keys, head, one, e));
	/* Of another version, or damaged: nothing of it can be read. */
	head[4] = 2;
	FAILS(ERR_CORRUPT, pack_key(f->keys, head, one, e));
	head[4] = 1;
	head[5] = 2;
	FAILS(ERR_CORRUPT, pack_key(f->keys, head, one, e));
	head[0] = 'h';
	FAILS(ERR_CORRUPT, pack_key(f->keys, head, one, e));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip),
		T(test_layout),
		T(test_size_is_known_before),
		T(test_large_records),
		T(test_too_large_a_record),
		T(test_too_many_records),
		T(test_thrown_away),
		T(test_failing_store),
		T(test_records_belong_to_their_entry),
		T(test_every_flipped_byte),
		T(test_every_cut),
		T(test_directory_must_fill_the_pack),
		T(test_impossible_entries),
		T(test_records_behind_the_entries),
		T(test_keys_of_packs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
