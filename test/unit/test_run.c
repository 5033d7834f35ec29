/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index runs, against a plain sorted list: writing, merging, and finding every place again.
 */
#include "testing.h"

#include <string.h>

#include "base/buf.h"
#include "repo/box.h"
#include "repo/run.h"
#include "repo/store_fault.h"

#define SESSION "5d1f3c0e-8f3a-4c4e-9a53-0e6f5b3b7a11"

struct fixture {
	struct keyring *keys;
	struct store *s;
	struct store_session *ss;
	struct random rnd;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->keys = test_keys();
	f->s = store_mem_new();
	f->ss = OK_PTR(store_session_begin(f->s, SESSION, "x", 1, e));
	f->rnd.state = random_seed();
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

/* Entries and the packs that they name. */
struct list {
	struct run_entry *entries;
	size_t n;
	uint8_t (*packs)[HASH_BYTES];
	size_t n_packs;
};

/* Random ids in `n_packs` packs named by numbers from `first_pack` on. */
static void list_make(struct fixture *f, struct list *l, size_t n, uint8_t first_pack,
		      size_t n_packs)
{
	*l = (struct list){xcalloc(n, sizeof(*l->entries)), n, xcalloc(n_packs, HASH_BYTES),
			   n_packs};
	for (size_t i = 0; i < n_packs; i++)
		put_le32(l->packs[i] + 1, (uint32_t)(first_pack + n_packs - i));
	for (size_t i = 0; i < n; i++) {
		struct run_entry *r = &l->entries[i];

		random_fill(&f->rnd, r->id.b, HASH_BYTES, true);
		r->pack = (uint32_t)random_below(&f->rnd, n_packs);
		r->offset = (uint32_t)(64 + i * 100);
		r->stored = (uint32_t)random_below(&f->rnd, 1 << 24);
		r->kind = BLOCK_DATA + i % 2;
		r->encoding = (uint8_t)(i % 3);
		if (r->encoding == BLOCK_DELTA)
			random_fill(&f->rnd, r->base.b, HASH_BYTES, true);
	}
	run_sort(l->entries, n);
}

static void list_done(struct list *l)
{
	free(l->entries);
	free(l->packs);
}

static struct run_input *input_of(const struct list *l)
{
	return run_input_array(l->entries, l->n, (const uint8_t(*)[HASH_BYTES])l->packs,
			       l->n_packs);
}

static struct run *write_run(struct fixture *f, const struct list *lists, size_t n,
			     uint64_t filter_max)
{
	AUTO_FREE struct run_input **inputs = xcalloc(n, sizeof(*inputs));
	uint8_t name[HASH_BYTES];
	bool written;

	for (size_t i = 0; i < n; i++)
		inputs[i] = input_of(&lists[i]);
	OK(run_write(f->keys, f->ss, inputs, n, NULL, 0, name, &written, e));
	for (size_t i = 0; i < n; i++)
		inputs[i]->free(inputs[i]);
	assert_true(written);
	return OK_PTR(run_open(f->s, f->keys, name, filter_max, e));
}

/* How many entries the run has for the id, looked up as the index does; `r` must be among them. */
static size_t find(const struct run *run, const struct block_id *id, const struct run_entry *r,
		   const uint8_t *pack)
{
	struct run_group group = {0};
	size_t hits = 0, same = 0;
	struct run_entry at;
	uint64_t g, end;

	if (!run_may_hold(run, id))
		return 0;
	for (run_groups_of(run, id, &g, &end); g < end; g++) {
		OK(run_read_group(run, g, &group, e));
		for (size_t i = run_lower_bound(&group, id); i < group.n; i++) {
			run_group_entry(&group, i, &at);
			if (!block_id_equal(&at.id, id))
				break;
			hits++;
			same += r && at.offset == r->offset && at.stored == r->stored &&
				at.kind == r->kind && at.encoding == r->encoding &&
				block_id_equal(&at.base, &r->base) &&
				memcmp(run->packs[at.pack], pack, HASH_BYTES) == 0;
		}
	}
	run_group_done(&group);
	if (r)
		assert_int_equal(same, 1);
	return hits;
}

/* A part of the entries of a long list, the first and the last among them. */
static void assert_finds(const struct run *run, const struct list *l)
{
	size_t step = l->n > 600 ? 17 : 3;

	for (size_t i = 0; i < l->n; i = i < l->n - 1 ? MIN(i + step, l->n - 1) : l->n) {
		struct block_id other = l->entries[i].id;

		assert_true(find(run, &l->entries[i].id, &l->entries[i],
				 l->packs[l->entries[i].pack]) > 0);
		if (i % 4 == 0) {
			other.b[31] ^= 1;
			assert_int_equal(find(run, &other, NULL, NULL), 0);
			other.b[0] ^= 0x80;
			assert_int_equal(find(run, &other, NULL, NULL), 0);
		}
	}
}

static void test_entry_layout(void **state)
{
	struct run_entry r = {{{1, 2, 3}}, 0x01020304, 0x0a0b0c0d, 0xfffefd, 2, 1}, back;
	uint8_t raw[RUN_ENTRY];

	(void)state;
	run_entry_encode(&r, raw);
	assert_memory_equal(raw, r.id.b, HASH_BYTES);
	assert_int_equal(get_le32(raw + 32), 0x01020304);
	assert_int_equal(get_le32(raw + 36), 0x0a0b0c0d);
	assert_int_equal(get_le32(raw + 40), 0x21fffefd);
	run_entry_decode(raw, &back);
	assert_memory_equal(&back.id, &r.id, sizeof(r.id));
	assert_int_equal(back.pack, r.pack);
	assert_int_equal(back.offset, r.offset);
	assert_int_equal(back.stored, r.stored);
	assert_int_equal(back.kind, 2);
	assert_int_equal(back.encoding, 1);
}

/* From its beginning to its end, as a merge reads it. */
static void assert_streams(const struct run *run, const struct list *l)
{
	struct run_input *in = run_input_run(run);
	struct run_entry r;

	for (size_t i = 0; i < l->n; i++) {
		const struct run_entry *want = &l->entries[i];

		assert_int_equal(in->next(in, &r, NULL), 1);
		assert_memory_equal(r.id.b, want->id.b, HASH_BYTES);
		assert_memory_equal(r.base.b, want->base.b, HASH_BYTES);
		assert_memory_equal(run->packs[r.pack], l->packs[want->pack], HASH_BYTES);
		assert_int_equal(r.offset, want->offset);
		assert_int_equal(r.encoding, want->encoding);
	}
	assert_int_equal(in->next(in, &r, NULL), 0);
	in->free(in);
}

static void test_round_trips(void **state)
{
	static const size_t counts[] = {1,
					2,
					RUN_GROUP - 1,
					RUN_GROUP,
					RUN_GROUP + 1,
					3000,
					16 * RUN_GROUP,
					17 * RUN_GROUP + 5};
	struct fixture *f = *state;

	for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
		struct list l;
		AUTO(run) run = NULL;

		list_make(f, &l, counts[c], 1, 5);
		run = write_run(f, &l, 1, UINT64_MAX);
		assert_int_equal(run->n, l.n);
		assert_int_equal(run->n_packs, 5);
		assert_int_equal(run->n_superseded, 0);
		assert_int_equal(run->filter != NULL, l.n > RUN_GROUP);
		assert_true(run->bytes >= 5 * HASH_BYTES);
		assert_finds(run, &l);
		assert_streams(run, &l);
		list_done(&l);
	}
}

/* The body ends where a segment does. */
static void test_full_segments(void **state)
{
	struct fixture *f = *state;
	AUTO(run) run = NULL;
	struct list l;

	list_make(f, &l, 312, 0, 482);
	run = write_run(f, &l, 1, 0);
	assert_int_equal(run->box->head.body_len, 1 << BOX_SEGMENT_LOG);
	assert_finds(run, &l);
	list_done(&l);
}

static void test_filter_that_has_no_room(void **state)
{
	struct fixture *f = *state;
	AUTO(run) run = NULL;
	struct list l;

	list_make(f, &l, 2000, 0, 2);
	run = write_run(f, &l, 1, run_filter_bytes(2000) - 1);
	assert_null(run->filter);
	assert_true(run->filter_bytes > 0);
	assert_finds(run, &l);
	list_done(&l);
}

/* A large filter is made in parts, and read by pages. */
static void test_filter_in_parts(void **state)
{
	enum { N = 15000 };
	const uint64_t usual = run_filter_part;
	AUTO_FREE uint8_t *page = xmalloc(RUN_FILTER_PAGE);
	struct fixture *f = *state;
	AUTO(run) whole = NULL;
	AUTO(run) parts = NULL;
	AUTO(run) pages = NULL;
	struct list l;

	list_make(f, &l, N, 0, 2);
	whole = write_run(f, &l, 1, UINT64_MAX);
	run_filter_part = 96 * RUN_FILTER_BLOCK;
	parts = write_run(f, &l, 1, UINT64_MAX);
	pages = write_run(f, &l, 1, 0);
	run_filter_part = usual;
	assert_int_equal(parts->filter_bytes, whole->filter_bytes);
	assert_true(whole->filter_bytes > RUN_FILTER_PAGE);
	assert_memory_equal(parts->filter, whole->filter, whole->filter_bytes);
	assert_finds(parts, &l);
	for (size_t i = 0; i < N; i++) {
		const struct block_id *id = &l.entries[i].id;

		OK(run_read_filter(pages, run_filter_page(pages, id), page, e));
		assert_true(run_page_may_hold(pages, page, id));
	}
	list_done(&l);
}

/* Ids that begin alike, over several groups, and one id in very many places. */
static void test_equal_beginnings(void **state)
{
	struct fixture *f = *state;
	AUTO(run) run = NULL;
	struct list l;

	list_make(f, &l, 6 * RUN_GROUP, 0, 1);
	for (size_t i = 0; i < l.n; i++) {
		uint8_t *id = l.entries[i].id.b;

		if (i >= 700 && i < 2200) {
			memset(id, 0x77, 8);
			put_le32(id + 28, (uint32_t)i);
		} else if (i >= 2200 && i < 2900) {
			memset(id, 0x78, HASH_BYTES);
		}
	}
	run_sort(l.entries, l.n);
	run = write_run(f, &l, 1, UINT64_MAX);
	assert_finds(run, &l);
	for (size_t i = 0; i < l.n; i++) {
		if (l.entries[i].id.b[0] == 0x78 && l.entries[i].id.b[31] == 0x78) {
			assert_int_equal(find(run, &l.entries[i].id, NULL, NULL), 700);
			break;
		}
	}
	list_done(&l);
}

static void test_ids_outside(void **state)
{
	struct fixture *f = *state;
	struct block_id low = {{0}}, high;
	AUTO(run) run = NULL;
	uint64_t g, end;
	struct list l;

	memset(&high, 0xff, sizeof(high));
	list_make(f, &l, 1500, 0, 1);
	run = write_run(f, &l, 1, 0);
	run_groups_of(run, &low, &g, &end);
	assert_true(g == end);
	run_groups_of(run, &high, &g, &end);
	assert_int_equal(g, 2);
	assert_int_equal(end, 3);
	list_done(&l);
}

/* ---- merging ---- */

static void test_merge(void **state)
{
	struct fixture *f = *state;
	AUTO(run) run = NULL;
	struct list l[3];
	size_t total = 0;

	list_make(f, &l[0], 700, 0, 3);
	list_make(f, &l[1], 1, 2, 2); /* shares packs with both others */
	list_make(f, &l[2], 900, 3, 4);
	run = write_run(f, l, 3, UINT64_MAX);
	for (size_t i = 0; i < 3; i++) {
		assert_finds(run, &l[i]);
		total += l[i].n;
		list_done(&l[i]);
	}
	assert_int_equal(run->n, total);
	assert_int_equal(run->n_packs, 7);
	for (size_t i = 1; i < run->n_packs; i++)
		assert_true(memcmp(run->packs[i - 1], run->packs[i], HASH_BYTES) < 0);
}

/* One place that several inputs name comes once; other places of the same id stay. */
static void test_merge_of_equal_places(void **state)
{
	struct fixture *f = *state;
	AUTO(run) run = NULL;
	struct list l[4];

	for (size_t i = 0; i < 4; i++) {
		list_make(f, &l[i], 1, 1, 2);
		memset(l[i].entries[0].id.b, 9, HASH_BYTES);
		l[i].entries[0].pack = i == 1;
		l[i].entries[0].offset = i == 3 ? 65 : 64;
		l[i].entries[0].stored = 20;
		l[i].entries[0].kind = BLOCK_DATA;
		l[i].entries[0].encoding = BLOCK_RAW;
	}
	run = write_run(f, l, 4, 0);
	assert_int_equal(run->n, 3);
	for (size_t i = 0; i < 4; i++) {
		assert_finds(run, &l[i]);
		list_done(&l[i]);
	}
}

static void test_merge_of_runs(void **state)
{
	struct fixture *f = *state;
	AUTO(run) one = NULL;
	AUTO(run) two = NULL;
	AUTO(run) both = NULL;
	uint8_t names[2][HASH_BYTES], name[HASH_BYTES];
	struct run_input *inputs[2];
	struct list l[2];
	bool written;

	list_make(f, &l[0], 1200, 0, 3);
	list_make(f, &l[1], 800, 1, 3);
	one = write_run(f, &l[0], 1, 0);
	two = write_run(f, &l[1], 1, 0);
	memcpy(names[0], one->name, HASH_BYTES);
	memcpy(names[1], two->name, HASH_BYTES);
	inputs[0] = run_input_run(one);
	inputs[1] = run_input_run(two);
	OK(run_write(f->keys, f->ss, inputs, 2, (const uint8_t(*)[HASH_BYTES])names, 2, name,
		     &written, e));
	both = OK_PTR(run_open(f->s, f->keys, name, UINT64_MAX, e));
	assert_int_equal(both->n, 2000);
	assert_int_equal(both->n_superseded, 2);
	assert_memory_equal(both->superseded, names, sizeof(names));
	for (size_t i = 0; i < 2; i++) {
		assert_finds(both, &l[i]);
		inputs[i]->free(inputs[i]);
		list_done(&l[i]);
	}
}

static void test_nothing_to_write(void **state)
{
	struct fixture *f = *state;
	struct run_input *in = run_input_array(NULL, 0, NULL, 0);
	uint8_t name[HASH_BYTES];
	bool written = true;

	OK(run_write(f->keys, f->ss, &in, 1, NULL, 0, name, &written, e));
	assert_false(written);
	written = true;
	OK(run_write(f->keys, f->ss, NULL, 0, NULL, 0, name, &written, e));
	assert_false(written);
	in->free(in);
	run_sort(NULL, 0);
	run_free(NULL);
	assert_int_equal(test_count(f->s, "index/"), 0);
}

static void test_name(void **state)
{
	struct fixture *f = *state;
	uint8_t hash[HASH_BYTES], *bytes;
	char key[STORE_KEY_MAX];
	AUTO(run) run = NULL;
	struct list l;
	size_t len;

	list_make(f, &l, 1000, 0, 1);
	run = write_run(f, &l, 1, 0);
	run_key_name(run->name, key);
	assert_memory_equal(key, "index/", 6);
	bytes = store_mem_bytes(f->s, key, &len);
	sha256(bytes, len, hash);
	assert_memory_equal(hash, run->name, HASH_BYTES);
	assert_int_equal(len, box_len(run->box->head.body_len, BOX_SEGMENT_LOG));
	list_done(&l);
}

/* ---- failures ---- */

static void test_failing_store(void **state)
{
	struct fixture *f = *state;
	struct run_input *in;
	struct list l;
	uint64_t at = 0, calls;

	list_make(f, &l, 3000, 0, 2);
	in = input_of(&l);
	do {
		AUTO(store) inner = store_mem_new();
		AUTO(store) s = store_fault_new(inner, at ? FAULT_ONCE : FAULT_NONE, at + 1);
		struct store_session *ss = OK_PTR(store_session_begin(s, SESSION, "x", 1, e));
		uint8_t name[HASH_BYTES];
		bool written;

		if (at) {
			FAILS(ERR_IO, run_write(f->keys, ss, &in, 1, NULL, 0, name, &written, e));
			assert_int_equal(test_count(inner, "index/"), 0);
		} else {
			OK(run_write(f->keys, ss, &in, 1, NULL, 0, name, &written, e));
			calls = store_fault_count(s);
			assert_true(calls > 6);
		}
		store_session_end(ss);
	} while (++at < calls);
	in->free(in);
	list_done(&l);
}

/* An input that fails at its n-th entry, counted over all passes. */
struct failing {
	struct run_input in, *inner;
	size_t left;
};

static int failing_next(struct run_input *in, struct run_entry *ret_r, struct err *e)
{
	struct failing *fi = (struct failing *)in;

	if (fi->left-- == 0)
		return err_set(e, ERR_CORRUPT, "failed on purpose");
	return fi->inner->next(fi->inner, ret_r, e);
}

static void failing_rewind(struct run_input *in)
{
	struct failing *fi = (struct failing *)in;

	fi->inner->rewind(fi->inner);
}

static void test_failing_input(void **state)
{
	struct fixture *f = *state;
	struct failing fi = {0};
	struct run_input *inputs[2];
	struct list l[2];
	size_t at = 0;
	struct err why;
	int rc;

	list_make(f, &l[0], RUN_GROUP, 0, 1); /* with the others enough for a filter */
	list_make(f, &l[1], 5, 1, 1);
	inputs[0] = input_of(&l[0]);
	fi.inner = input_of(&l[1]);
	fi.in = *fi.inner;
	fi.in.next = failing_next;
	fi.in.rewind = failing_rewind;
	inputs[1] = &fi.in;
	do {
		uint8_t name[HASH_BYTES];
		bool written;

		why = (struct err){0};
		fi.left = at++;
		rc = run_write(f->keys, f->ss, inputs, 2, NULL, 0, name, &written, &why);
		if (rc < 0)
			assert_int_equal(why.kind, ERR_CORRUPT);
		assert_int_equal(test_count(f->s, "index/"), rc < 0 ? 0 : 1);
	} while (rc < 0);
	assert_int_equal(at, 4 * 6 + 1); /* four passes over five entries and their end */
	inputs[0]->free(inputs[0]);
	fi.inner->free(fi.inner);
	list_done(&l[0]);
	list_done(&l[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_entry_layout),	       T(test_round_trips),
		T(test_full_segments),	       T(test_filter_that_has_no_room),
		T(test_filter_in_parts),       T(test_equal_beginnings),
		T(test_ids_outside),	       T(test_merge),
		T(test_merge_of_equal_places), T(test_merge_of_runs),
		T(test_nothing_to_write),      T(test_name),
		T(test_failing_store),	       T(test_failing_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
