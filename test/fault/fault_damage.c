/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small repository, damaged in every place: each byte changed, each object cut at each length,
 * made longer, dropped, exchanged for another. Opening, listing and restoring then give an error or
 * the right data, never anything else.
 */
#include "writer.h"

#include <stdlib.h>
#include <string.h>

enum { POINTS = 3, CONTENT_BLOCKS = 5, OBJECTS_MAX = 64 };

struct object {
	char key[STORE_KEY_MAX];
	uint8_t *bytes;
	size_t len;
};

struct patient {
	struct store *s;
	struct uuid ids[POINTS];
	struct disk disks[POINTS];
	struct object objects[OBJECTS_MAX];
	size_t n;
};

static int note_object(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct patient *p = arg;
	struct object *o = &p->objects[p->n++];

	assert_true(p->n <= OBJECTS_MAX);
	snprintf(o->key, sizeof(o->key), "%s", key);
	o->len = size;
	o->bytes = xmalloc(size + 1);
	return store_get_all(p->s, key, 0, o->bytes, size, e);
}

/* An item, several packs and runs, two key slots, two generations. */
static int set_up(void **state)
{
	struct session_options pieces = {.pack_bytes = 300, .run_entries = 3};
	AUTO(credential) one = test_credential(1);
	AUTO(credential) two = test_credential(2);
	const struct credential *keep[] = {one, two};
	struct patient *p = xcalloc(1, sizeof(*p));
	struct repo *r = test_repo(&p->s);
	uint64_t size;

	OK(keyring_add_slot(repo_keys(r), p->s, two, "second", NULL, e));
	for (uint32_t i = 0; i < POINTS; i++) {
		disk_make_small(&p->disks[i], 7, CONTENT_BLOCKS);
		memset(p->disks[i].data + BLOCK, 0, BLOCK);
		put_le32(p->disks[i].data, i);
		OK(protect(r, i == 1 ? &pieces : NULL, &p->disks[i], &p->ids[i], NULL, e));
		if (i == 1)
			OK(keyring_rotate(repo_keys(r), p->s, keep, 2, false, NULL, e));
	}
	repo_free(r);
	OK(store_list(p->s, "keys/", note_object, p, e));
	OK(store_list(p->s, "packs/", note_object, p, e));
	OK(store_list(p->s, "index/", note_object, p, e));
	OK(store_list(p->s, "points/", note_object, p, e));
	OK(store_size(p->s, "holdfast", &size, e));
	OK(note_object(p, "holdfast", size, e));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct patient *p = *state;

	for (size_t i = 0; i < p->n; i++)
		free(p->objects[i].bytes);
	for (int i = 0; i < POINTS; i++)
		disk_done(&p->disks[i]);
	store_free(p->s);
	free(p);
	return 0;
}

/* ---- looking at it ---- */

enum verdict { HARMLESS, REPORTED, WRONG };

static const struct point *find(const struct point_list *l, const struct uuid *id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (uuid_equal(&l->points[i]->id, id))
			return l->points[i];
	}
	return NULL;
}

static enum verdict look_at_points(const struct patient *p, struct repo *r)
{
	enum verdict v = HARMLESS;
	struct point_list list;

	if (point_list_load(r, &list, NULL) < 0)
		return REPORTED;
	if (list.n_damaged || list.n < POINTS)
		v = list.n + list.n_damaged >= POINTS ? REPORTED : WRONG;
	for (int i = 0; i < POINTS && v != WRONG; i++) {
		const struct point *pt = find(&list, &p->ids[i]);
		AUTO_BUF b = BUF_INIT;

		if (!pt)
			continue; /* among the damaged */
		if (read_tree(r, &pt->resources[0].disks[0].tree, &b, NULL) < 0)
			v = REPORTED;
		else if (b.len != p->disks[i].size ||
			 memcmp(b.data, p->disks[i].data, b.len) != 0 || pt->n_resources != 1 ||
			 strcmp(pt->resources[0].name, "one") != 0)
			v = WRONG;
	}
	point_list_done(&list);
	return v;
}

/* Every key must do. */
static enum verdict look(const struct patient *p)
{
	enum verdict v = HARMLESS;

	for (uint8_t key = 1; key <= 2; key++) {
		AUTO(credential) c = test_credential(key);
		AUTO(repo) r = repo_open(p->s, c, NULL);
		size_t runs, damaged;
		uint64_t entries;

		if (!r)
			return REPORTED;
		if (key == 2)
			break;
		v = look_at_points(p, r);
		index_state(repo_index(r), &runs, &entries, &damaged);
		if (v == HARMLESS && (repo_warning(r) || damaged))
			v = REPORTED;
	}
	return v;
}

struct count {
	unsigned of[3];
};

static void judge(struct count *c, const struct patient *p, const char *what, const char *key,
		  size_t at)
{
	enum verdict v = look(p);

	c->of[v]++;
	if (v == WRONG)
		print_error("%s %s at %zu: wrong data\n", what, key, at);
}

static void give_back(const struct patient *p, const struct object *o)
{
	OK(store_remove(p->s, o->key, e));
	OK(store_put_new(p->s, o->key, o->bytes, o->len, e));
}

static void report(const char *what, const struct count *c)
{
	printf("# %s: %u, %u reported, %u harmless, %u wrong\n", what,
	       c->of[0] + c->of[1] + c->of[2], c->of[REPORTED], c->of[HARMLESS], c->of[WRONG]);
	assert_int_equal(c->of[WRONG], 0);
	assert_true(c->of[REPORTED] > 0);
}

/* ---- damage ---- */

static void test_whole(void **state)
{
	assert_int_equal(look(*state), HARMLESS);
}

static void test_every_byte(void **state)
{
	struct patient *p = *state;
	struct count c = {0};
	size_t total = 0;

	for (size_t i = 0; i < p->n; i++) {
		size_t n;
		uint8_t *bytes = store_mem_bytes(p->s, p->objects[i].key, &n);

		total += n;
		for (size_t at = 0; at < n; at++) {
			bytes[at] ^= (uint8_t)(1U << (at % 8));
			judge(&c, p, "flip", p->objects[i].key, at);
			bytes[at] = p->objects[i].bytes[at];
		}
	}
	printf("# %zu objects, %zu bytes\n", p->n, total);
	report("flips", &c);
	assert_int_equal(look(p), HARMLESS);
}

/* Near both ends every length, between them a few. */
static bool is_sampled(size_t len, size_t of)
{
	return len < 140 || of - len < 140 || len % 16 == 0 || len % 16 == 15;
}

static void test_every_length(void **state)
{
	struct patient *p = *state;
	struct count c = {0};

	for (size_t i = 0; i < p->n; i++) {
		const struct object *o = &p->objects[i];

		for (size_t len = o->len; len-- > 0;) {
			if (!is_sampled(len, o->len))
				continue;
			store_mem_resize(p->s, o->key, len);
			judge(&c, p, "cut", o->key, len);
		}
		give_back(p, o);
	}
	report("cuts", &c);
	assert_int_equal(look(p), HARMLESS);
}

static void test_longer(void **state)
{
	static const size_t more[] = {1, 16, 32, 4096};
	struct patient *p = *state;
	struct count c = {0};

	for (size_t i = 0; i < p->n; i++) {
		const struct object *o = &p->objects[i];

		for (size_t k = 0; k < ARRAY_LEN(more); k++) {
			store_mem_resize(p->s, o->key, o->len + more[k]);
			judge(&c, p, "longer", o->key, more[k]);
			give_back(p, o);
		}
	}
	report("longer", &c);
}

/* A checkpoint that was removed is not there; everything else is missed. */
static void test_every_object_dropped(void **state)
{
	struct patient *p = *state;
	struct count c = {0};

	for (size_t i = 0; i < p->n; i++) {
		const struct object *o = &p->objects[i];

		OK(store_remove(p->s, o->key, e));
		if (strncmp(o->key, "points/", 7) != 0)
			judge(&c, p, "drop", o->key, 0);
		OK(store_put_new(p->s, o->key, o->bytes, o->len, e));
	}
	report("drops", &c);
}

static void test_exchanged(void **state)
{
	struct patient *p = *state;
	struct count c = {0};

	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->n; k++) {
			const struct object *a = &p->objects[i], *b = &p->objects[k];

			if (i == k)
				continue;
			OK(store_remove(p->s, a->key, e));
			OK(store_put_new(p->s, a->key, b->bytes, b->len, e));
			judge(&c, p, "another object as", a->key, k);
			give_back(p, a);
		}
	}
	report("exchanges", &c);
	assert_int_equal(look(p), HARMLESS);
}

/* Junk under names like ours, and names that are none of ours. */
static void test_foreign_objects(void **state)
{
	static const char *const names[] = {
		"points/README",
		"points/00000000-0000-0000-0000-00000000000g",
		"index/README",
		"index/0000000000000000000000000000000000000000000000000000000000000000",
		"packs/README",
		"packs/00/0000000000000000000000000000000000000000000000000000000000000000",
		"packs/zz/readme",
		"keys/README",
		"keys/99",
		"keys/99.copy",
		"sessions/README",
		"tmp/x",
		"README",
	};
	struct patient *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		enum verdict v;

		OK(store_put_new(p->s, names[i], "junk", 4, e));
		v = look(p);
		if (v != HARMLESS && strncmp(names[i], "index/0", 7) != 0)
			fail_msg("%s does harm", names[i]);
		assert_true(v != WRONG);
		OK(store_remove(p->s, names[i], e));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_longer),
		cmocka_unit_test(test_every_object_dropped),
		cmocka_unit_test(test_exchanged),
		cmocka_unit_test(test_foreign_objects),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
