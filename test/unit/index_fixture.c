/* SPDX-License-Identifier: Apache-2.0 */
#include "index_fixture.h"

#include <string.h>

#include "base/buf.h"

static int watch(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct index_fixture *f = arg;

	f->calls[call] += !after;
	return f->hook ? f->hook(f->hook_arg, call, key, after, e) : 0;
}

int index_fixture_set_up(void **state)
{
	struct index_fixture *f = xcalloc(1, sizeof(*f));

	f->keys = test_keys();
	f->inner = store_mem_new();
	f->s = store_hook_new(f->inner, watch, f, false);
	f->ss = OK_PTR(
		store_session_begin(f->s, "5d1f3c0e-8f3a-4c4e-9a53-0e6f5b3b7a11", "x", 1, e));
	f->ix = index_new(f->s, f->keys);
	*state = f;
	return 0;
}

int index_fixture_tear_down(void **state)
{
	struct index_fixture *f = *state;

	f->hook = NULL; /* its argument may be gone with the test */
	index_free(f->ix);
	store_session_end(f->ss);
	store_free(f->s);
	store_free(f->inner);
	keyring_free(f->keys);
	free(f);
	return 0;
}

struct block_id numbered(uint64_t i)
{
	uint8_t raw[8];
	struct block_id id;

	put_le64(raw, i);
	sha256(raw, sizeof(raw), id.b);
	return id;
}

static struct pack_done *write_pack(struct index_fixture *f, uint64_t first, size_t n)
{
	struct pack_writer *p = OK_PTR(pack_writer_new(f->keys, f->ss, NULL, e));
	struct pack_done *d;

	for (uint64_t i = first; i < first + n; i++) {
		struct block_id id = numbered(i);

		OK(pack_add(p, BLOCK_DATA, BLOCK_RAW, &id, "block", 5, e));
	}
	d = OK_PTR(pack_close(p, e));
	OK(pack_finish(d, e));
	return d;
}

void add_pack(struct index_fixture *f, uint64_t first, size_t n, uint8_t ret_name[HASH_BYTES])
{
	AUTO(pack_done) d = write_pack(f, first, n);
	AUTO_FREE struct run_entry *entries = xcalloc(n, sizeof(*entries));

	for (size_t i = 0; i < n; i++)
		entries[i] = (struct run_entry){d->entries[i].id,     0,
						d->entries[i].offset, d->entries[i].stored,
						d->entries[i].kind,   d->entries[i].encoding};
	OK(index_add(f->ix, f->ss, entries, n, (const uint8_t(*)[HASH_BYTES]) & d->name, 1, e));
	if (ret_name)
		memcpy(ret_name, d->name, HASH_BYTES);
}

void add_pack_only(struct index_fixture *f, uint64_t first, size_t n, uint8_t ret_name[HASH_BYTES])
{
	AUTO(pack_done) d = write_pack(f, first, n);

	if (ret_name)
		memcpy(ret_name, d->name, HASH_BYTES);
}

size_t places_of(struct index *ix, uint64_t i, const struct pack_set *without, bool all)
{
	struct location places[INDEX_PLACES];
	struct block_id id = numbered(i);
	size_t n;

	OK(index_find(ix, &id, without, all, places, &n, e));
	for (size_t k = 0; k < n; k++)
		assert_true(block_id_equal(&places[k].at.id, &id));
	return n;
}

void assert_knows(struct index *ix, uint64_t first, size_t n, const uint8_t *pack)
{
	struct location places[INDEX_PLACES];
	size_t found;

	for (uint64_t i = first; i < first + n; i++) {
		struct block_id id = numbered(i);

		OK(index_find(ix, &id, NULL, false, places, &found, e));
		assert_int_equal(found, 1);
		assert_true(block_id_equal(&places[0].at.id, &id));
		assert_int_equal(places[0].at.stored, 5 + SEAL_TAG);
		assert_int_equal(places[0].at.kind, BLOCK_DATA);
		if (pack) {
			assert_int_equal(places[0].at.offset, 64 + (i - first) * (5 + SEAL_TAG));
			assert_memory_equal(places[0].pack, pack, HASH_BYTES);
		}
	}
}

void assert_not_knows(struct index *ix, uint64_t first, size_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		assert_int_equal(places_of(ix, i, NULL, true), 0);
}

void assert_state(struct index *ix, size_t runs, uint64_t entries, size_t damaged)
{
	size_t have_runs, have_damaged;
	uint64_t have_entries;

	index_state(ix, &have_runs, &have_entries, &have_damaged);
	assert_int_equal(have_runs, runs);
	assert_int_equal(have_entries, entries);
	assert_int_equal(have_damaged, damaged);
}

void damage(struct store *s, const char *key, long at)
{
	size_t len;
	uint8_t *bytes = store_mem_bytes(s, key, &len);

	assert_non_null(bytes);
	bytes[at < 0 ? (long)len + at : at] ^= 1;
}
