/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parity in a store: damage of any kind to a pack and to its parity, up to what it can mend and
 * beyond; and how parity comes and goes with packs.
 */
#include "repo/parity_store.h"

#include <string.h>

#include "repo/collect.h"
#include "repo/pack.h"
#include "repo/store_fault.h"
#include "repo/store_hook.h"
#include "repo/store_mem.h"
#include "writer.h"

#define CELL PARITY_CELL
#define SIZE (250 * CELL + 99) /* 84 columns of 3 cells, 5 parity columns */

struct bench {
	struct store *s;
	struct random rnd;
	uint8_t *bytes; /* of the pack */
	uint8_t name[HASH_BYTES];
	char pack[STORE_KEY_MAX], parity[STORE_KEY_MAX];
	struct buf object; /* its parity, as it was made */
};

static void put_pack(struct bench *b)
{
	struct parity *p = parity_new(5, SIZE);

	random_fill(&b->rnd, b->bytes, SIZE, true);
	sha256(b->bytes, SIZE, b->name);
	pack_key_name(b->name, b->pack);
	parity_key_name(b->name, b->parity);
	OK(store_put_new(b->s, b->pack, b->bytes, SIZE, e));
	parity_add(p, b->bytes, SIZE);
	OK(parity_put(b->s, p, b->name, e));
	parity_free(p);
}

static int up(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	b->rnd.state = random_seed();
	b->s = store_mem_new();
	b->bytes = xmalloc(SIZE);
	put_pack(b);
	OK(store_slurp(b->s, b->parity, 1 << 20, &b->object, e));
	*state = b;
	return 0;
}

static int down(void **state)
{
	struct bench *b = *state;

	store_free(b->s);
	free(b->bytes);
	buf_done(&b->object);
	free(b);
	return 0;
}

/* As they were before. */
static void reset(struct bench *b)
{
	OK(store_remove(b->s, b->pack, e));
	OK(store_remove(b->s, b->parity, e));
	OK(store_put_new(b->s, b->pack, b->bytes, SIZE, e));
	OK(store_put_new(b->s, b->parity, b->object.data, b->object.len, e));
}

static void assert_mends(struct bench *b, struct store *s)
{
	AUTO_BUF out = BUF_INIT;
	struct err why = {0};

	if (parity_mends(s, b->name, &why) != 1)
		fail_msg("it cannot be mended: %s", why.msg);
	OK(parity_rebuild(s, b->name, &out, e));
	assert_int_equal(out.len, SIZE);
	assert_memory_equal(out.data, b->bytes, SIZE);
}

static void assert_lost(struct bench *b, struct store *s)
{
	AUTO_BUF out = BUF_INIT;

	assert_int_equal(parity_mends(s, b->name, NULL), 0);
	FAILS(ERR_CORRUPT, parity_rebuild(s, b->name, &out, e));
	assert_int_equal(out.len, 0);
}

static void spoil(struct bench *b, const char *key, size_t at, size_t n)
{
	size_t len;
	uint8_t *bytes = store_mem_bytes(b->s, key, &len);

	assert_true(at + n <= len);
	for (size_t i = at; i < at + n; i++)
		bytes[i] ^= (uint8_t)(1 + random_below(&b->rnd, 255));
}

static void test_nothing_is_lost(void **state)
{
	struct bench *b = *state;

	assert_mends(b, b->s);
}

static void test_flipped_bits(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 300; i++) {
		reset(b);
		/* Five bytes are in five cells of a row at worst. */
		for (int k = 0; k < 5; k++)
			spoil(b, b->pack, random_below(&b->rnd, SIZE), 1);
		assert_mends(b, b->s);
	}
	reset(b);
	spoil(b, b->pack, 0, 1);
	spoil(b, b->pack, SIZE - 1, 1);
	assert_mends(b, b->s);
}

/* A column is three cells: so much in one stretch, five times. */
static void test_stretches(void **state)
{
	struct bench *b = *state;
	const size_t column = 3 * CELL;

	spoil(b, b->pack, 40 * column, 5 * column);
	assert_mends(b, b->s);
	spoil(b, b->pack, 45 * column, 1);
	assert_lost(b, b->s);
	reset(b);
	for (size_t i = 0; i < 5; i++)
		spoil(b, b->pack, 17 * i * column, column);
	assert_mends(b, b->s);
	spoil(b, b->pack, 10 * column, 1);
	assert_lost(b, b->s);
}

static void test_tail(void **state)
{
	struct bench *b = *state;
	const size_t most = SIZE - 236 * CELL; /* 15 cells, five of each row */

	for (int i = 0; i < 50; i++) {
		reset(b);
		store_mem_resize(b->s, b->pack, SIZE - random_below(&b->rnd, most + 1));
		assert_mends(b, b->s);
	}
	reset(b);
	store_mem_resize(b->s, b->pack, SIZE - most);
	assert_mends(b, b->s);
	store_mem_resize(b->s, b->pack, SIZE - most - 1);
	assert_lost(b, b->s);
	reset(b);
	store_mem_resize(b->s, b->pack, SIZE + 12345); /* longer than it was */
	assert_mends(b, b->s);
	store_mem_resize(b->s, b->pack, 0);
	assert_lost(b, b->s);
	OK(store_remove(b->s, b->pack, e));
	assert_lost(b, b->s);
}

/* A small pack has a parity column that is as much as it: that is a copy. */
static void test_small_pack(void **state)
{
	struct bench *b = *state;
	struct parity *p = parity_new(5, 0);
	uint8_t name[HASH_BYTES];
	AUTO_BUF out = BUF_INIT;

	sha256(b->bytes, 100, name);
	parity_add(p, b->bytes, 100);
	OK(parity_put(b->s, p, name, e));
	OK(parity_rebuild(b->s, name, &out, e));
	assert_int_equal(out.len, 100);
	assert_memory_equal(out.data, b->bytes, 100);
	parity_free(p);
}

/* What is lost of parity cannot mend, and the rest can. */
static void test_damaged_parity(void **state)
{
	struct bench *b = *state;
	struct parity_head h;
	size_t second;

	OK(parity_head_decode(b->object.data, b->object.len, &h, e));
	second = b->object.len - PARITY_END - h.bytes;
	spoil(b, b->parity, 10, 1); /* the first head */
	spoil(b, b->pack, 1000, 5 * 3 * CELL);
	assert_lost(b, b->s); /* six cells in some rows: the stretch begins within a cell */
	reset(b);
	spoil(b, b->parity, 10, 1);
	spoil(b, b->pack, 3 * CELL, 5 * 3 * CELL);
	assert_mends(b, b->s);
	reset(b);
	spoil(b, b->parity, second + 200, 1);
	spoil(b, b->pack, 3 * CELL, 5 * 3 * CELL);
	assert_mends(b, b->s);
	spoil(b, b->parity, 70, 1); /* both */
	assert_lost(b, b->s);
	reset(b);
	spoil(b, b->parity, h.bytes, 2 * 3 * CELL); /* two parity columns of five */
	spoil(b, b->pack, 9 * CELL, 3 * 3 * CELL);
	assert_mends(b, b->s);
	spoil(b, b->pack, 60 * CELL, 1);
	assert_lost(b, b->s);
	reset(b);
	store_mem_resize(b->s, b->parity, h.bytes + 2 * 3 * CELL); /* cut off */
	spoil(b, b->pack, 9 * CELL, 2 * 3 * CELL);
	assert_mends(b, b->s);
	for (size_t n = 0; n < 100; n++) {
		store_mem_resize(b->s, b->parity, n);
		assert_lost(b, b->s);
	}
	parity_head_done(&h);
}

static void test_of_another_pack(void **state)
{
	struct bench *b = *state;
	AUTO_BUF other = BUF_INIT;
	char key[STORE_KEY_MAX];

	memcpy(key, b->parity, sizeof(key));
	put_pack(b);
	OK(store_slurp(b->s, key, 1 << 20, &other, e));
	OK(store_remove(b->s, b->parity, e));
	OK(store_put_new(b->s, b->parity, other.data, other.len, e));
	assert_lost(b, b->s);
}

/* Checksums that were made to fit do not help: what comes out has to hash to the name. */
static void test_forged(void **state)
{
	struct bench *b = *state;
	struct parity *p = parity_new(5, SIZE);

	OK(store_remove(b->s, b->parity, e));
	b->bytes[5000] ^= 1;
	parity_add(p, b->bytes, SIZE);
	OK(parity_put(b->s, p, b->name, e));
	parity_free(p);
	assert_int_equal(parity_mends(b->s, b->name, NULL), 1);
	FAILS(ERR_CORRUPT, ({
		      AUTO_BUF out = BUF_INIT;
		      parity_rebuild(b->s, b->name, &out, e);
	      }));
}

static void test_no_parity(void **state)
{
	struct bench *b = *state;
	AUTO_BUF out = BUF_INIT;

	OK(store_remove(b->s, b->parity, e));
	assert_int_equal(parity_mends(b->s, b->name, NULL), 0);
	FAILS(ERR_NOENT, parity_rebuild(b->s, b->name, &out, e));
}

/* ---- sectors that cannot be read ---- */

struct sectors {
	const char *key;
	uint64_t bad[3];
	enum err_kind kind;
};

struct sector_store {
	struct store s;
	struct store_ops ops;
	struct store *inner;
	struct sectors *sectors;
};

static ssize_t get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
		   struct err *e)
{
	struct sector_store *x = (struct sector_store *)s;

	for (size_t i = 0; i < 3 && strcmp(key, x->sectors->key) == 0; i++) {
		if (off <= x->sectors->bad[i] && x->sectors->bad[i] < off + len)
			return err_set(e, x->sectors->kind, "sector of %s", key);
	}
	return store_get(x->inner, key, off, data, len, e);
}

static int size_of(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	return store_size(((struct sector_store *)s)->inner, key, ret_size, e);
}

static void test_unreadable_sectors(void **state)
{
	struct bench *b = *state;
	struct sectors sectors = {b->pack, {5, 77 * CELL, SIZE - 1}, ERR_IO};
	struct sector_store x = {
		.ops = {.get = get, .size = size_of}, .inner = b->s, .sectors = &sectors};

	x.s.ops = &x.ops;
	x.s.url = (char *)"bad:";
	assert_mends(b, &x.s);
	sectors.key = b->parity;
	sectors.bad[0] = 7; /* in the first head */
	spoil(b, b->pack, 100 * CELL, 3 * CELL);
	assert_mends(b, &x.s);
	sectors.kind = ERR_DENIED; /* nobody knows what is lost */
	assert_int_equal(parity_mends(&x.s, b->name, NULL), -1);
	sectors.key = b->pack;
	assert_int_equal(parity_mends(&x.s, b->name, NULL), -1);
	sectors.kind = ERR_IO;
	x.s.distant = true; /* nor where it may be the network */
	FAILS(ERR_IO, ({
		      AUTO_BUF out = BUF_INIT;
		      parity_rebuild(&x.s, b->name, &out, e);
	      }));
}

/* ---- coming and going ---- */

static void test_sweep(void **state)
{
	struct bench *b = *state;
	char gone[STORE_KEY_MAX];

	memcpy(gone, b->parity, sizeof(gone));
	OK(store_remove(b->s, b->pack, e));
	put_pack(b);
	assert_int_equal(test_count(b->s, "parity/"), 2);
	OK(parity_sweep(b->s, e));
	assert_int_equal(test_count(b->s, "parity/"), 1);
	assert_int_equal(store_has(b->s, gone, NULL), 0);
	assert_int_equal(store_has(b->s, b->parity, NULL), 1);
}

struct rival {
	struct bench *b;
	bool done;
};

/* Between the two lists of a sweep another writer stores a pack and its parity. */
static int put_between(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct rival *r = arg;

	(void)e;
	(void)key;
	if (call == HOOK_LIST && after && !r->done) {
		r->done = true;
		put_pack(r->b);
	}
	return 0;
}

static void test_sweep_beside_a_writer(void **state)
{
	struct bench *b = *state;
	struct rival rival = {b, false};
	AUTO(store) s = store_hook_new(b->s, put_between, &rival, false);

	OK(parity_sweep(s, e));
	assert_true(rival.done);
	assert_int_equal(test_count(b->s, "parity/"), 2);
}

static void on_bad(void *arg, const char *key, const struct err *why)
{
	unsigned *bad = arg;

	assert_true(key[0] && why->msg[0]);
	(*bad)++;
}

static struct parity_filled fill(struct bench *b, uint64_t bytes, unsigned want_bad)
{
	struct progress progress = {0};
	struct parity_filled result;
	unsigned bad = 0;
	struct parity_fill f = {.store = b->s,
				.percent = 5,
				.progress = &progress,
				.bytes = bytes,
				.bad = on_bad,
				.arg = &bad};

	OK(parity_fill(&f, &result, e));
	assert_int_equal(bad, want_bad);
	assert_int_equal(result.damaged, want_bad);
	assert_int_equal(progress_get(&progress.read), result.bytes + (uint64_t)want_bad * SIZE);
	return result;
}

static void test_fill(void **state)
{
	struct bench *b = *state;
	struct parity_filled r;

	for (int i = 0; i < 3; i++) {
		put_pack(b);
		OK(store_remove(b->s, b->parity, e));
	}
	r = fill(b, 1, 0);
	assert_int_equal(r.packs, 4);
	assert_int_equal(r.made, 1);
	assert_int_equal(r.left, 2);
	r = fill(b, 0, 0);
	assert_int_equal(r.made, 2);
	assert_int_equal(r.left, 0);
	assert_int_equal(fill(b, 0, 0).made, 0);
	assert_int_equal(test_count(b->s, "parity/"), 4);
	spoil(b, b->pack, 99, 9 * CELL);
	assert_mends(b, b->s);
	/* What is damaged gets none: it would keep the damage. */
	OK(store_remove(b->s, b->parity, e));
	assert_int_equal(fill(b, 0, 1).made, 0);
	assert_int_equal(test_count(b->s, "parity/"), 3);
}

static void test_fill_stopped(void **state)
{
	struct bench *b = *state;
	struct progress progress = {0};
	struct cancel cancel = {0};
	struct parity_filled result;
	struct parity_fill f = {
		.store = b->s, .percent = 5, .cancel = &cancel, .progress = &progress};

	OK(store_remove(b->s, b->parity, e));
	cancel_set(&cancel);
	FAILS(ERR_CANCELLED, parity_fill(&f, &result, e));
	assert_int_equal(test_count(b->s, "parity/"), 0);
}

static void test_renew(void **state)
{
	struct bench *b = *state;
	struct progress progress = {0};
	struct parity_fill f = {.store = b->s, .percent = 5, .progress = &progress};
	AUTO_BUF again = BUF_INIT;

	spoil(b, b->parity, 1000, 1000);
	OK(parity_renew(&f, b->name, e));
	OK(store_slurp(b->s, b->parity, 1 << 20, &again, e));
	assert_int_equal(again.len, b->object.len);
	assert_memory_equal(again.data, b->object.data, again.len);
	/* Of a damaged pack it stays as it is: it may be what brings the pack back. */
	spoil(b, b->pack, 0, 1);
	FAILS(ERR_CORRUPT, parity_renew(&f, b->name, e));
	assert_mends(b, b->s);
}

/* ---- with sessions and collectors ---- */

/* Each pack has parity, and that is of these bytes. */
static void assert_all_have(struct store *s)
{
	size_t n = test_count(s, "packs/"), len;

	assert_int_equal(test_count(s, "parity/"), n);
	for (size_t i = 0; i < n; i++) {
		char key[STORE_KEY_MAX];
		uint8_t name[HASH_BYTES], *bytes;
		AUTO_BUF out = BUF_INIT;

		test_nth(s, "packs/", i, key);
		assert_true(pack_key_parse(key, name));
		bytes = store_mem_bytes(s, key, &len);
		bytes[len / 3] ^= 4;
		OK(parity_rebuild(s, name, &out, e));
		bytes[len / 3] ^= 4;
		assert_int_equal(out.len, len);
		assert_memory_equal(out.data, bytes, len);
	}
}

static void test_backups_and_collections(void **state)
{
	static const struct collect_options collect = {.waste_percent = 1};
	struct bench *b = *state;
	struct session_options o = {.pack_bytes = 300 << 10};
	struct collect_result result;
	struct store *s;
	struct repo *r = test_repo_parity(&s, 10);
	struct uuid ids[2];
	struct disk d;

	for (int i = 0; i < 2; i++) {
		disk_make(&d, &b->rnd, 60);
		OK(protect(r, &o, &d, &ids[i], NULL, e));
		disk_done(&d);
		assert_all_have(s);
	}
	OK(point_delete(r, &ids[0], e));
	OK(collect_run(r, &collect, &result, e));
	assert_true(result.dropped > 0);
	assert_all_have(s);
	repo_free(r);
	store_free(s);
}

/*
 * Wherever a backup or a collector dies or fails, parity is of packs that are there, or goes with
 * the next collection; and what it lacks can be made.
 */
static void fail_at(struct bench *b, enum fault_mode mode, uint64_t at, bool *ret_reached)
{
	static const struct collect_options collect = {.waste_percent = 1};
	struct session_options o = {.pack_bytes = 200 << 10};
	struct random rnd = {7};
	struct store *inner, *faulty;
	struct repo *r = test_repo_parity(&inner, 5);
	struct collect_result result;
	struct err ignored = {0};
	struct uuid ids[2];
	struct disk d;

	disk_make(&d, &rnd, 12);
	OK(protect(r, &o, &d, &ids[0], NULL, e));
	repo_free(r);
	faulty = store_fault_new(inner, mode, at);
	AUTO(credential) c = test_credential(1);
	r = repo_open(faulty, c, &ignored);
	d.data[0] ^= 1;
	if (r && protect(r, &o, &d, &ids[1], NULL, &ignored) == 0 &&
	    point_delete(r, &ids[0], &ignored) == 0)
		collect_run(r, &collect, &result, &ignored);
	*ret_reached = store_fault_count(faulty) >= at;
	repo_free(r);
	store_free(faulty);
	r = test_reopen(inner);
	OK(protect(r, &o, &d, &ids[1], NULL, e));
	for (int i = 0; i < 2; i++)
		OK(collect_run(r, &collect, &result, e));
	assert_point(r, &ids[1], &d);
	assert_true(test_count(inner, "parity/") <= test_count(inner, "packs/"));
	{
		struct bench own = {.s = inner};

		fill(&own, 0, 0);
	}
	assert_all_have(inner);
	disk_done(&d);
	repo_free(r);
	store_free(inner);
	(void)b;
}

static void test_every_call_fails(void **state)
{
	static const enum fault_mode modes[] = {FAULT_ONCE, FAULT_ONCE_DONE, FAULT_DEAD,
						FAULT_DEAD_DONE};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		bool reached = true;

		for (uint64_t at = 1; reached; at++)
			fail_at(*state, modes[i], at, &reached);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(test_nothing_is_lost),
		T(test_flipped_bits),
		T(test_stretches),
		T(test_tail),
		T(test_small_pack),
		T(test_damaged_parity),
		T(test_of_another_pack),
		T(test_forged),
		T(test_no_parity),
		T(test_unreadable_sectors),
		T(test_sweep),
		T(test_sweep_beside_a_writer),
		T(test_fill),
		T(test_fill_stopped),
		T(test_renew),
		T(test_backups_and_collections),
		T(test_every_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
