/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In a store where requests arrive late, a session counts only on packs that it has seen.
 */
#include "testing.h"

#include <stdatomic.h>
#include <string.h>

#include "repo/presence.h"
#include "repo/store_hook.h"
#include "writer.h"

struct counted {
	atomic_uint sizes, lists;
	bool fails;
};

static int count(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct counted *c = arg;

	if (after || strncmp(key, "packs/", 6) != 0)
		return 0;
	c->sizes += call == HOOK_SIZE;
	c->lists += call == HOOK_LIST;
	return c->fails ? err_set(e, ERR_IO, "made to fail") : 0;
}

static struct location at(unsigned number)
{
	struct location l = {.pack = {(uint8_t)number, (uint8_t)(number >> 8), 1}};

	return l;
}

static void put_pack(struct store *s, unsigned number)
{
	struct location l = at(number);
	char key[STORE_KEY_MAX];

	pack_key_name(l.pack, key);
	OK(store_put_new(s, key, "x", 1, e));
}

static int look(struct presence *p, unsigned a, unsigned b)
{
	int there = presence_has(p, at(a).pack, NULL);

	return there ? there : presence_has(p, at(b).pack, NULL);
}

static void test_each_is_asked_once(void **state)
{
	struct counted c = {0};
	AUTO(store) inner = store_mem_new();
	AUTO(store) s = store_hook_new(inner, count, &c, false);
	AUTO(presence) p = presence_new(s);
	struct pack_set told = {0};

	(void)state;
	put_pack(inner, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(look(p, 1, 2), 1);
		assert_int_equal(look(p, 2, 1), 1);
		assert_int_equal(look(p, 2, 3), 0);
	}
	assert_int_equal(c.sizes, 3);
	assert_int_equal(c.lists, 0);
	presence_told(p, &told);
	assert_int_equal(told.n, 1);
	assert_true(pack_set_has(&told, at(1).pack));
	pack_set_done(&told);
	presence_free(NULL);
}

static void test_many_are_listed(void **state)
{
	struct counted c = {0};
	AUTO(store) inner = store_mem_new();
	AUTO(store) s = store_hook_new(inner, count, &c, false);
	AUTO(presence) p = presence_new(s);

	(void)state;
	for (unsigned i = 0; i < 500; i++)
		put_pack(inner, i);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(look(p, i, i), 1);
	assert_int_equal(c.lists, 1);
	assert_true(c.sizes < 100);
	/* One that came later is found all the same. */
	put_pack(inner, 500);
	assert_int_equal(look(p, 500, 501), 1);
	assert_int_equal(look(p, 501, 502), 0);
	assert_int_equal(c.lists, 1);
}

static void test_not_to_know_is_an_error(void **state)
{
	struct counted c = {.fails = true};
	AUTO(store) inner = store_mem_new();
	AUTO(store) s = store_hook_new(inner, count, &c, false);
	AUTO(presence) p = presence_new(s);

	(void)state;
	put_pack(inner, 1);
	assert_int_equal(look(p, 1, 1), -1);
	c.fails = false;
	assert_int_equal(look(p, 1, 1), 1);
}

static int remove_it(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)size;
	return store_remove(arg, key, e);
}

/* Is the block new to a session? */
static int is_new(struct repo *r, const struct disk *d)
{
	struct writer w;
	struct block_id id;
	int rc;

	OK(writer_begin(&w, r, NULL, e));
	rc = writer_put(&w, d->data, BLOCK, &id, NULL);
	writer_end(&w);
	return rc;
}

/* A run names packs that are gone: in such a store, their blocks are not known. */
static void test_sessions(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid id;
	struct disk d;

	disk_make_small(&d, 1, 20);
	OK(protect(f->r, NULL, &d, &id, NULL, e));
	f->s->late = true;
	assert_int_equal(is_new(f->r, &d), 0);
	OK(store_list(f->s, "packs/", remove_it, f->s, e));
	assert_int_equal(is_new(f->r, &d), 1);
	f->s->late = false;
	assert_int_equal(is_new(f->r, &d), 0);
	disk_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_asked_once),
		cmocka_unit_test(test_many_are_listed),
		cmocka_unit_test(test_not_to_know_is_an_error),
		cmocka_unit_test_setup_teardown(test_sessions, repo_fixture_up, repo_fixture_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
