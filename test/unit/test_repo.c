/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating and opening repositories: interrupted, damaged, mixed up.
 */
#include "testing.h"

#include <string.h>

#include "base/hex.h"
#include "repo/header.h"
#include "repo/store_fault.h"
#include "repo/store_hook.h"
#include "writer.h"

static void damage_header(struct store *s, size_t at)
{
	size_t len;
	uint8_t *bytes = store_mem_bytes(s, HEADER_KEY, &len);

	bytes[at] ^= 1;
}

static void replace_header(struct store *s, const struct uuid *id, const char *more)
{
	uint8_t hash[HASH_BYTES];
	char hex[HASH_TEXT], text[UUID_TEXT];
	AUTO_BUF b = BUF_INIT;

	buf_fmt(&b, "holdfast repository\nversion: 1\nid: %s\n%s", uuid_text(id, text), more);
	sha256(b.data, b.len, hash);
	buf_fmt(&b, "sha256: %s\n", hex_encode(hash, HASH_BYTES, hex));
	OK(store_remove(s, HEADER_KEY, e));
	OK(store_put_new(s, HEADER_KEY, b.data, b.len, e));
}

static void test_create_and_open(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(store) s = store_mem_new();
	AUTO(repo) r = NULL;

	(void)state;
	OK(repo_create(s, c, "test", NULL, e));
	r = OK_PTR(repo_open(s, c, e));
	assert_ptr_equal(repo_store(r), s);
	assert_non_null(repo_keys(r));
	assert_non_null(repo_index(r));
	assert_null(repo_warning(r));
	OK(repo_check_writable(r, e));
	repo_free(NULL);
}

static void test_nothing_there(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(store) s = store_mem_new();

	(void)state;
	FAILS_PTR(ERR_NOENT, repo_open(s, c, e));
}

static void test_wrong_credential(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(credential) other = test_credential(2);
	AUTO(store) s = store_mem_new();

	(void)state;
	OK(repo_create(s, c, "test", NULL, e));
	FAILS_PTR(ERR_KEY, repo_open(s, other, e));
}

static void test_create_twice(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(credential) other = test_credential(2);
	AUTO(store) s = store_mem_new();

	(void)state;
	OK(repo_create(s, c, "test", NULL, e));
	FAILS(ERR_EXISTS, repo_create(s, c, "test", NULL, e));
	FAILS(ERR_EXISTS, repo_create(s, other, "test", NULL, e));
	assert_int_equal(repo_create(s, other, "test", NULL, NULL), -1);
	repo_free(OK_PTR(repo_open(s, c, e)));
	FAILS_PTR(ERR_KEY, repo_open(s, other, e));
}

/* Keys without a header: usable, and finished by whoever has the key. */
static void test_create_interrupted(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(credential) other = test_credential(2);
	AUTO(store) s = store_mem_new();
	AUTO(repo) r = NULL;
	struct uuid id;

	(void)state;
	OK(repo_create(s, c, "test", NULL, e));
	OK(store_remove(s, HEADER_KEY, e));
	r = OK_PTR(repo_open(s, c, e));
	id = *keyring_repo_id(repo_keys(r));
	assert_non_null(repo_warning(r));
	OK(repo_check_writable(r, e));
	repo_free(steal(&r));
	FAILS(ERR_KEY, repo_create(s, other, "test", NULL, e));
	OK(repo_create(s, c, "test", NULL, e));
	r = OK_PTR(repo_open(s, c, e));
	assert_null(repo_warning(r));
	assert_true(uuid_equal(keyring_repo_id(repo_keys(r)), &id));
}

/* Whichever call fails or is the last one: a second try gives a repository. */
static void test_create_fails_anywhere(void **state)
{
	static const enum fault_mode modes[] = {FAULT_ONCE, FAULT_ONCE_DONE, FAULT_DEAD,
						FAULT_DEAD_DONE, FAULT_READ};
	AUTO(credential) c = test_credential(1);

	(void)state;
	for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
		struct err why = {.kind = ERR_IO};

		for (uint64_t at = 1; why.kind == ERR_IO; at++) {
			AUTO(store) inner = store_mem_new();
			AUTO(store) s = store_fault_new(inner, modes[m], at);

			why = (struct err){0};
			if (repo_create(s, c, "test", NULL, &why) < 0)
				assert_int_equal(why.kind, ERR_IO);
			repo_create(inner, c, "test", NULL, NULL);
			repo_free(OK_PTR(repo_open(inner, c, e)));
			assert_true(at < 50);
		}
	}
}

static void test_bad_cost(void **state)
{
	static const struct keyring_cost cost = {0, 8, 1};
	AUTO(credential) c = OK_PTR(credential_passphrase("word", 4, e));
	AUTO(store) s = store_mem_new();

	(void)state;
	FAILS(ERR_INVALID, repo_create(s, c, "test", &(struct repo_options){.cost = &cost}, e));
	assert_int_equal(test_count(s, ""), 0);
}

/* ---- headers ---- */

static void test_damaged_header_is_a_warning(void **state)
{
	AUTO(store) s = NULL;
	AUTO(repo) r = test_repo(&s);
	struct disk d;
	struct uuid id;
	size_t len;

	(void)state;
	disk_make_small(&d, 1, 3);
	OK(protect(r, NULL, &d, &id, NULL, e));
	store_mem_bytes(s, HEADER_KEY, &len);
	for (size_t i = 0; i < len; i++) {
		AUTO(repo) again = NULL;

		damage_header(s, i);
		again = test_reopen(s);
		assert_non_null(repo_warning(again));
		if (i % 50 == 0)
			assert_point(again, &id, &d);
		damage_header(s, i);
	}
	store_mem_resize(s, HEADER_KEY, HEADER_MAX + 1); /* longer than any header */
	repo_free(steal(&r));
	r = test_reopen(s);
	assert_non_null(repo_warning(r));
	assert_point(r, &id, &d);
	disk_done(&d);
}

static void test_header_of_another_repository(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(store) s = NULL;
	AUTO(repo) r = test_repo(&s);
	struct uuid other = uuid_random();

	(void)state;
	replace_header(s, &other, "");
	FAILS_PTR(ERR_CORRUPT, repo_open(s, c, e));
}

static void test_features(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(store) s = NULL;
	AUTO(repo) r = test_repo(&s);
	AUTO(repo) reader = NULL;
	struct uuid id = *keyring_repo_id(repo_keys(r));

	(void)state;
	replace_header(s, &id, "needs-to-write: magic\n");
	reader = OK_PTR(repo_open(s, c, e));
	FAILS(ERR_VERSION, repo_check_writable(reader, e));
	replace_header(s, &id, "needs: magic\n");
	FAILS_PTR(ERR_VERSION, repo_open(s, c, e));
	assert_null(repo_open(s, c, NULL));
}

/* ---- a store that fails ---- */

static void test_open_fails_as_the_store_does(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(store) inner = NULL;
	AUTO(repo) r = test_repo(&inner);
	unsigned failed = 0;
	uint64_t reads = 0;
	struct disk d;
	struct uuid id;

	(void)state;
	disk_make_small(&d, 1, 3);
	OK(protect(r, NULL, &d, &id, NULL, e));
	for (uint64_t at = 0; at <= reads; at++) {
		AUTO(store) s = store_fault_new(inner, FAULT_READ, at);
		AUTO(repo) again = NULL;
		struct err why = {0};

		again = repo_open(s, c, &why);
		if (at == 0) /* nothing fails: how many there are */
			reads = store_fault_count(s);
		if (again) { /* the copy of the keys was read */
			assert_null(repo_warning(again));
			assert_point(again, &id, &d);
		} else {
			assert_int_equal(why.kind, ERR_IO);
			failed++;
		}
	}
	assert_true(failed >= 6);
	disk_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_and_open),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_wrong_credential),
		cmocka_unit_test(test_create_twice),
		cmocka_unit_test(test_create_interrupted),
		cmocka_unit_test(test_create_fails_anywhere),
		cmocka_unit_test(test_bad_cost),
		cmocka_unit_test(test_damaged_header_is_a_warning),
		cmocka_unit_test(test_header_of_another_repository),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_open_fails_as_the_store_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
