/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points in a repository: loading, listing, finding, deleting, with damaged ones among them.
 */
#include "testing.h"

#include <string.h>

#include "repo/object.h"
#include "repo/point.h"
#include "repo/record.h"
#include "repo/store_fault.h"
#include "repo/store_hook.h"

static void put_body(struct repo_fixture *f, const struct buf *body, const char *key)
{
	AUTO_BUF object = BUF_INIT;

	object_seal(repo_keys(f->r), BOX_POINT, body, &object);
	OK(store_put_new(f->s, key, object.data, object.len, e));
}

/* A point of one resource; its id is `uuid`. */
static void put_point(struct repo_fixture *f, const char *uuid, uint64_t instant_us,
		      const char *name)
{
	AUTO(point) p = point_new();
	AUTO_BUF body = BUF_INIT;
	char key[STORE_KEY_MAX];
	struct point_resource *r;

	assert_true(uuid_parse(uuid, &p->id));
	p->instant_us = instant_us;
	r = point_add_resource(p, "domain", "", name, "host");
	free(r->id);
	r->id = xasprintf("id-of-%s", name);
	point_encode(p, &body);
	point_key_name(&p->id, key);
	put_body(f, &body, key);
}

#define A "aaaa0000-0000-4000-8000-000000000001"
#define B "aaaa1111-0000-4000-8000-000000000002"
#define C "cccc0000-0000-4000-8000-000000000003"

static void put_three(struct repo_fixture *f)
{
	put_point(f, B, 200, "web");
	put_point(f, A, 100, "web");
	put_point(f, C, 300, "db");
}

static void damage(struct repo_fixture *f, const char *key)
{
	size_t len;
	uint8_t *bytes = store_mem_bytes(f->s, key, &len);

	bytes[len / 2] ^= 1;
}

static void test_load(void **state)
{
	struct repo_fixture *f = *state;
	AUTO(point) p = NULL;
	uint8_t hash[HASH_BYTES], *bytes;
	struct uuid id;
	size_t len;

	put_three(f);
	assert_true(uuid_parse(B, &id));
	p = OK_PTR(point_load(f->r, &id, e));
	assert_true(uuid_equal(&p->id, &id));
	assert_int_equal(p->instant_us, 200);
	bytes = store_mem_bytes(f->s, "points/" B, &len);
	sha256(bytes, len, hash);
	assert_memory_equal(p->hash, hash, HASH_BYTES);
	point_free(NULL);
}

static void test_load_of_what_is_not_there(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid id = uuid_random();

	FAILS_PTR(ERR_NOENT, point_load(f->r, &id, e));
}

/* Stored under another name, a point is nobody's. */
static void test_load_of_another_points_bytes(void **state)
{
	struct repo_fixture *f = *state;
	struct err why = {0};
	struct uuid id;
	uint8_t *bytes;
	size_t len;

	put_three(f);
	bytes = store_mem_bytes(f->s, "points/" A, &len);
	OK(store_remove(f->s, "points/" B, e));
	OK(store_put_new(f->s, "points/" B, bytes, len, e));
	assert_true(uuid_parse(B, &id));
	assert_null(point_load(f->r, &id, &why));
	assert_int_equal(why.kind, ERR_CORRUPT);
	assert_non_null(strstr(why.msg, "points/" B));
}

static void test_delete(void **state)
{
	struct repo_fixture *f = *state;
	struct uuid id;

	put_three(f);
	assert_true(uuid_parse(B, &id));
	OK(point_delete(f->r, &id, e));
	FAILS(ERR_NOENT, point_delete(f->r, &id, e));
	FAILS_PTR(ERR_NOENT, point_load(f->r, &id, e));
	assert_int_equal(test_count(f->s, "points/"), 2);
}

/* ---- lists ---- */

static void assert_list(struct repo_fixture *f, const char *const *uuids, size_t n, size_t damaged)
{
	struct point_list l;

	OK(point_list_load(f->r, &l, e));
	assert_int_equal(l.n, n);
	for (size_t i = 0; i < n; i++) {
		char text[UUID_TEXT];

		assert_string_equal(uuid_text(&l.points[i]->id, text), uuids[i]);
	}
	assert_int_equal(l.n_damaged, damaged);
	point_list_done(&l);
	assert_int_equal(l.n, 0);
}

static void test_list_is_oldest_first(void **state)
{
	static const char *const want[] = {A, B, C};

	assert_list(*state, NULL, 0, 0);
	put_three(*state);
	assert_list(*state, want, 3, 0);
}

static void test_list_of_one_instant(void **state)
{
	static const char *const want[] = {A, B, C};

	put_point(*state, C, 5, "x");
	put_point(*state, A, 5, "x");
	put_point(*state, B, 5, "x");
	assert_list(*state, want, 3, 0);
}

static void test_list_tells_of_damaged_ones(void **state)
{
	static const char *const want[] = {A};
	static const uint8_t newer[] = {0, 0x80, 0, 0, 0, 0};
	struct repo_fixture *f = *state;
	AUTO_BUF body = BUF_INIT;
	struct point_list l;

	put_three(f);
	damage(f, "points/" B);
	OK(store_remove(f->s, "points/" C, e));
	buf_add(&body, newer, sizeof(newer));
	put_body(f, &body, "points/" C);
	assert_list(f, want, 1, 2);
	OK(point_list_load(f->r, &l, e));
	assert_non_null(strstr(l.damaged[0], "points/" B));
	assert_non_null(strstr(l.damaged[1], "points/" C));
	point_list_done(&l);
}

static void test_list_ignores_other_names(void **state)
{
	static const char *const want[] = {A};
	struct repo_fixture *f = *state;

	put_point(f, A, 1, "x");
	OK(store_put_new(f->s, "points/README", "x", 1, e));
	OK(store_put_new(f->s, "points/" A ".tmp", "x", 1, e));
	OK(store_put_new(f->s, "points/AAAA0000-0000-4000-8000-000000000001", "x", 1, e));
	OK(store_put_new(f->s, "points/CCCC0000-0000-4000-8000-000000000003", "x", 1, e));
	assert_list(f, want, 1, 0);
}

/* Deleted between the listing and the reading. */
static int remove_b(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	if (call == HOOK_GET && !after && strcmp(key, "points/" B) == 0)
		return store_remove(arg, key, e);
	return 0;
}

static void test_list_while_one_is_deleted(void **state)
{
	static const char *const want[] = {A, C};
	struct repo_fixture *f = *state;
	AUTO(store) hooked = store_hook_new(f->s, remove_b, f->s, false);
	struct repo_fixture other = {hooked, NULL};

	put_three(f);
	other.r = test_reopen(hooked);
	assert_list(&other, want, 2, 0);
	repo_free(other.r);
}

/* What cannot be read now is not called damaged. */
static int fail_gets(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	if (call == HOOK_GET && !after && strcmp(key, "points/" B) == 0)
		return err_set(e, ERR_UNREACHABLE, "failed on purpose");
	return 0;
}

static void test_list_that_cannot_be_read(void **state)
{
	struct repo_fixture *f = *state;
	AUTO(store) hooked = store_hook_new(f->s, fail_gets, NULL, false);
	AUTO(repo) r = test_reopen(hooked);
	struct point_list l;

	put_three(f);
	FAILS(ERR_UNREACHABLE, point_list_load(r, &l, e));
	assert_int_equal(point_list_load(r, &l, NULL), -1);
}

static void test_find(void **state)
{
	static const struct {
		const char *ref, *uuid;
		enum err_kind kind;
	} rows[] = {
		{"latest", C, ERR_NONE},
		{"web@latest", B, ERR_NONE},
		{"db@latest", C, ERR_NONE},
		{"id-of-web@latest", B, ERR_NONE},
		{"we@latest", NULL, ERR_NOENT},
		{"webx@latest", NULL, ERR_NOENT},
		{"@latest", NULL, ERR_NOENT},
		{"web@oldest", NULL, ERR_NOENT},
		{"Latest", NULL, ERR_NOENT},
		{A, A, ERR_NONE},
		{"aaaa0", A, ERR_NONE},
		{"AAAA1", B, ERR_NONE},
		{"cccc", C, ERR_NONE},
		{"aaaa1111-0000-4000-8000-00000000000", B, ERR_NONE},
		{B "0", NULL, ERR_NOENT},
		{"aaaa", NULL, ERR_INVALID},
		{"ccc", NULL, ERR_INVALID},
		{"", NULL, ERR_INVALID},
		{"dddd", NULL, ERR_NOENT},
		{"cccc-", NULL, ERR_NOENT},
	};
	struct repo_fixture *f = *state;
	struct point_list l;

	put_three(f);
	OK(point_list_load(f->r, &l, e));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err why = {0};
		struct point *p = point_list_find(&l, rows[i].ref, &why);
		char text[UUID_TEXT];

		assert_int_equal(why.kind, rows[i].kind);
		assert_int_equal(p != NULL, rows[i].uuid != NULL);
		if (p)
			assert_string_equal(uuid_text(&p->id, text), rows[i].uuid);
	}
	point_list_done(&l);
	FAILS_PTR(ERR_NOENT, point_list_find(&l, "latest", e));
}

/* A resource's name may hold an @ itself. */
static void test_find_by_a_name_with_at(void **state)
{
	struct repo_fixture *f = *state;
	struct point_list l;

	put_point(f, A, 1, "root@web");
	OK(point_list_load(f->r, &l, e));
	assert_non_null(point_list_find(&l, "root@web@latest", NULL));
	assert_null(point_list_find(&l, "root@latest", NULL));
	point_list_done(&l);
}

/* ---- members ---- */

static void test_members(void **state)
{
	AUTO(point) p = point_new();
	struct point_resource *r = point_add_resource(p, "domain", "id", "name", "host");
	char text[2000];

	(void)state;
	point_add_disk(r, "vda");
	point_add_disk(r, "vdb")->source = xstrdup("/b");
	point_add_item(r, "domain.xml");
	assert_string_equal(point_find_disk(r, "vdb")->source, "/b");
	assert_null(point_find_disk(r, "vd"));
	assert_non_null(point_find_item(r, "domain.xml"));
	assert_null(point_find_item(r, "vda"));
	point_drop_disks(r);
	assert_null(point_find_disk(r, "vda"));
	point_add_disk(r, "vdc");
	assert_non_null(point_find_disk(r, "vdc"));
	memset(text, 'w', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	point_add_warning(p, "%s", text);
	assert_int_equal(strlen(p->warnings[0]), 1023);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(consistency_name(CONSISTENCY_OFF), "off");
	assert_string_equal(consistency_name(CONSISTENCY_BEST_EFFORT), "best-effort");
	assert_string_equal(consistency_name(CONSISTENCY_REQUIRED), "required");
	assert_string_equal(consistency_name((enum consistency)3), "unknown");
	assert_string_equal(achieved_name(ACHIEVED_UNKNOWN), "unknown");
	assert_string_equal(achieved_name(ACHIEVED_CRASH), "crash");
	assert_string_equal(achieved_name(ACHIEVED_QUIESCED), "quiesced");
	assert_string_equal(achieved_name(ACHIEVED_SHUT_OFF), "shut-off");
	assert_string_equal(achieved_name((enum achieved)4), "unknown");
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_up, repo_fixture_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_load),
		T(test_load_of_what_is_not_there),
		T(test_load_of_another_points_bytes),
		T(test_delete),
		T(test_list_is_oldest_first),
		T(test_list_of_one_instant),
		T(test_list_tells_of_damaged_ones),
		T(test_list_ignores_other_names),
		T(test_list_while_one_is_deleted),
		T(test_list_that_cannot_be_read),
		T(test_find),
		T(test_find_by_a_name_with_at),
		T(test_members),
		T(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
