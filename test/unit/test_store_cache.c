/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a distant store: served when the last listing showed it, and never wrong.
 */
#include "writer.h"

#include <stdatomic.h>
#include <string.h>

#include "repo/box.h"
#include "repo/point.h"
#include "repo/store_cache.h"
#include "repo/store_hook.h"

#define POINT "points/11111111-2222-3333-4444-555555555555"
#define RUN "index/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* A store that counts reads, behind a cache that may be opened again. */
struct fixture {
	char *folder;
	struct store *mem, *hook, *s;
	atomic_int gets, sizes, lists;
};

static int count(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct fixture *f = arg;

	(void)e;
	if (!after && (strncmp(key, "points/", 7) == 0 || strncmp(key, "index/", 6) == 0)) {
		atomic_fetch_add(&f->gets, call == HOOK_GET);
		atomic_fetch_add(&f->sizes, call == HOOK_SIZE);
		atomic_fetch_add(&f->lists, call == HOOK_LIST);
	}
	return 0;
}

/* As the next process would. */
static void reopen(struct fixture *f)
{
	AUTO_FREE char *root = test_path(f->folder, "c");

	store_free(f->s);
	f->hook = store_hook_new(f->mem, count, f, false);
	f->s = store_cache_new(f->hook, OK_PTR(disk_cache_open(root, "p", (uint64_t)1 << 30, e)));
	f->gets = f->sizes = f->lists = 0;
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->folder = test_folder();
	f->mem = store_mem_new();
	reopen(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_free(f->s);
	store_free(f->mem);
	test_folder_done(f->folder);
	free(f);
	return 0;
}

/* As points end: with the SHA-256 of what is before. */
static void put_point(struct store *s, const char *text)
{
	AUTO_BUF b = BUF_INIT;
	uint8_t hash[HASH_BYTES];

	buf_text(&b, text);
	sha256(b.data, b.len, hash);
	buf_add(&b, hash, HASH_BYTES);
	OK(store_put_new(s, POINT, b.data, b.len, e));
}

static int ignore(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)arg;
	(void)key;
	(void)size;
	(void)e;
	return 0;
}

static void list(struct fixture *f, const char *prefix)
{
	OK(store_list(f->s, prefix, ignore, NULL, e));
}

static void assert_bytes(struct fixture *f, const char *text)
{
	AUTO_BUF b = BUF_INIT;

	OK(store_slurp(f->s, POINT, 1000, &b, e));
	assert_int_equal(b.len, strlen(text) + HASH_BYTES);
	assert_memory_equal(b.data, text, strlen(text));
}

static void test_points(void **state)
{
	struct fixture *f = *state;
	char piece[4];

	put_point(f->mem, "a point");
	/* Not listed: as if there were no cache. */
	assert_bytes(f, "a point");
	assert_bytes(f, "a point");
	assert_int_equal(f->gets, 2);
	list(f, "points/");
	assert_bytes(f, "a point");
	assert_int_equal(f->gets, 3);
	assert_bytes(f, "a point");
	assert_int_equal(f->gets, 3);
	reopen(f);
	assert_bytes(f, "a point");
	assert_int_equal(f->gets, 1);
	list(f, "points/");
	assert_bytes(f, "a point");
	assert_int_equal(store_get(f->s, POINT, 2, piece, 4, NULL), 4);
	assert_memory_equal(piece, "poin", 4);
	assert_int_equal(store_get(f->s, POINT, 1000, piece, 4, NULL), 0);
	assert_int_equal(f->gets, 1);
	assert_int_equal(f->sizes, 0);
	/* Whether it is there, the store is asked. */
	assert_int_equal(store_has(f->s, POINT, NULL), 1);
	assert_int_equal(f->sizes, 1);
}

static void test_a_deleted_point(void **state)
{
	struct fixture *f = *state;

	put_point(f->mem, "a point");
	list(f, "points/");
	assert_bytes(f, "a point");
	OK(store_remove(f->mem, POINT, e));
	assert_int_equal(store_has(f->s, POINT, NULL), 0);
	list(f, "points/");
	FAILS(ERR_NOENT, store_slurp(f->s, POINT, 1000, &(struct buf){0}, e));
	reopen(f);
	list(f, "points/");
	FAILS(ERR_NOENT, store_slurp(f->s, POINT, 1000, &(struct buf){0}, e));
}

/* What is no point is not kept: a mark, and a point that is damaged in the store. */
static void test_what_is_not_kept(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = BUF_INIT;
	uint8_t *bytes;
	size_t n;

	OK(store_put_new(f->mem, POINT, "111111111111111111111111111111111111111111111111", 48, e));
	list(f, "points/");
	OK(store_slurp(f->s, POINT, 1000, &b, e));
	OK(store_remove(f->mem, POINT, e));
	put_point(f->mem, "a point that replaces it");
	bytes = store_mem_bytes(f->mem, POINT, &n);
	bytes[2] ^= 1;
	list(f, "points/");
	buf_done(&b);
	OK(store_slurp(f->s, POINT, 1000, &b, e));
	bytes[2] ^= 1;
	assert_bytes(f, "a point that replaces it");
	assert_int_equal(f->gets, 3);
	bytes[2] ^= 1;
	reopen(f);
	list(f, "points/");
	/* The bytes that were whole are kept: that they are damaged now, verifiers see, who look
	 * there. */
	assert_bytes(f, "a point that replaces it");
	assert_int_equal(f->gets, 0);
	/* Another size is another object. */
	store_mem_resize(f->mem, POINT, n - 1);
	list(f, "points/");
	assert_int_equal(store_get(f->s, POINT, 0, (char[100]){0}, 100, NULL), n - 1);
	assert_int_equal(f->gets, 1);
}

static void put_run(struct fixture *f, uint8_t *bytes, size_t n)
{
	struct random rnd = {7};

	random_fill(&rnd, bytes, n, true);
	OK(store_put_new(f->mem, RUN, bytes, n, e));
}

static void test_pieces_of_runs(void **state)
{
	static const size_t n = 3 * STORE_CACHE_PIECE + 1000;
	AUTO_FREE uint8_t *bytes = xmalloc(n), *got = xmalloc(n + 10);
	struct fixture *f = *state;
	struct random rnd = {random_seed()};

	put_run(f, bytes, n);
	OK(store_get_all(f->s, RUN, 5, got, 100, e));
	assert_int_equal(f->gets, 1); /* not listed: nothing but what was asked for */
	OK(store_get_all(f->s, RUN, 5, got, 100, e));
	assert_int_equal(f->gets, 2);
	list(f, "index/");
	OK(store_get_all(f->s, RUN, 5, got, 100, e));
	OK(store_get_all(f->s, RUN, STORE_CACHE_PIECE - 100, got, 100, e));
	assert_int_equal(f->gets, 3);
	OK(store_get_all(f->s, RUN, STORE_CACHE_PIECE - 50, got, 100, e));
	assert_memory_equal(got, bytes + STORE_CACHE_PIECE - 50, 100);
	assert_int_equal(f->gets, 4);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			size_t at = (size_t)random_below(&rnd, n + 100);
			size_t len = (size_t)random_below(&rnd, i % 2 ? 40000 : n);
			ssize_t have = at < n ? (ssize_t)MIN(len, n - at) : 0;

			assert_int_equal(store_get(f->s, RUN, at, got, MIN(len, n), NULL), have);
			if (have)
				assert_memory_equal(got, bytes + at, (size_t)have);
		}
		assert_int_equal(f->gets, round ? 0 : 6);
		reopen(f);
		list(f, "index/");
	}
	OK(store_remove(f->mem, RUN, e));
	list(f, "index/");
	FAILS(ERR_NOENT, (int)store_get(f->s, RUN, 0, got, 10, e));
}

/* A repository with one checkpoint of a small disk. */
static void protect_one(struct fixture *f, struct disk *d, struct uuid *ret_id)
{
	struct repo *r;

	store_free(f->mem);
	r = test_repo(&f->mem);
	disk_make_small(d, 1, 8);
	OK(protect(r, NULL, d, ret_id, NULL, e));
	repo_free(r);
	reopen(f);
}

static void look(struct fixture *f, const struct disk *d, const struct uuid *id)
{
	struct repo *r = test_reopen(f->s);
	struct point_list l;

	OK(point_list_load(r, &l, e));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.n_damaged, 0);
	point_list_done(&l);
	assert_point(r, id, d);
	assert_false(index_is_damaged(repo_index(r)));
	repo_free(r);
}

static void test_a_repository(void **state)
{
	struct fixture *f = *state;
	struct uuid id;
	struct disk d;

	protect_one(f, &d, &id);
	look(f, &d, &id);
	assert_int_equal(f->gets, 2); /* the point, and the run in one piece */
	reopen(f);
	look(f, &d, &id);
	assert_int_equal(f->gets, 0);
	assert_int_equal(f->sizes, 0);
	disk_done(&d);
}

/* What came damaged, and was kept so, is no damage of the repository. */
static void test_damaged_on_its_way(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX];
	uint8_t *bytes, byte;
	struct uuid id;
	struct disk d;
	size_t n;

	protect_one(f, &d, &id);
	test_nth(f->mem, "index/", 0, key);
	bytes = store_mem_bytes(f->mem, key, &n);
	for (size_t at = 0; at < n; at += at < 100 ? 1 : 97) {
		bytes[at] ^= 4;
		list(f, "index/");
		OK(store_get_all(f->s, key, 0, &byte, 1, e));
		bytes[at] ^= 4;
		reopen(f);
		look(f, &d, &id);
		store_free(f->s);
		f->s = NULL;
		test_folder_done(steal(&f->folder));
		f->folder = test_folder();
		reopen(f);
	}
	disk_done(&d);
}

/* The same for a part of a run that is read when it is open. */
static void test_a_segment_damaged_on_its_way(void **state)
{
	static const uint8_t key[SEAL_KEY] = {7};
	enum { BODY = 400000, BENT = 300000 };
	AUTO_FREE uint8_t *body = xcalloc(1, BODY), *got = xmalloc(BODY);
	struct box_reader r = {.name = RUN};
	struct fixture *f = *state;
	struct random rnd = {3};
	AUTO_BUF box = BUF_INIT;
	uint8_t *bytes, byte;
	size_t n;

	random_fill(&rnd, body, BODY, true);
	box_seal(key, 1, BOX_RUN, body, BODY, &box);
	OK(store_put_new(f->mem, RUN, box.data, box.len, e));
	OK(box_head_parse(box.data, box.len, BOX_RUN, &r.head, e));
	box_key(key, &r.head, r.key);
	bytes = store_mem_bytes(f->mem, RUN, &n);
	bytes[BENT] ^= 1;
	list(f, "index/");
	OK(store_get_all(f->s, RUN, BENT, &byte, 1, e));
	bytes[BENT] ^= 1;
	reopen(f);
	list(f, "index/");
	r.store = f->s;
	OK(box_read(&r, 0, got, BODY, e));
	assert_memory_equal(got, body, BODY);
	/* And what is damaged there is. */
	bytes[BENT] ^= 1;
	FAILS(ERR_CORRUPT, box_read(&r, 0, got, BODY, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_points, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_deleted_point, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pieces_of_runs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_repository, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_on_its_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_segment_damaged_on_its_way, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
