/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epochs as a writer sees them: all of them count, and none that cannot be read is passed over.
 */
#include "testing.h"

#include <string.h>

#include "repo/epoch.h"
#include "repo/object.h"
#include "repo/record.h"
#include "repo/store_hook.h"
#include "writer.h"

static void put_body(struct repo_fixture *f, const char *key, const struct buf *body)
{
	AUTO_BUF object = BUF_INIT;

	object_seal(repo_keys(f->r), BOX_EPOCH, body, &object);
	OK(store_put_new(f->s, key, object.data, object.len, e));
}

static void put_epoch(struct repo_fixture *f, uint64_t number, const uint8_t *names, size_t n)
{
	uint8_t packs[8][HASH_BYTES] = {{0}};
	struct pack_set set = {packs, n};
	AUTO_BUF body = BUF_INIT;
	char key[STORE_KEY_MAX];

	for (size_t i = 0; i < n; i++)
		packs[i][0] = names[i];
	epoch_encode(number, &set, &body);
	snprintf(key, sizeof(key), "epochs/%llu", (unsigned long long)number);
	put_body(f, key, &body);
}

static void assert_condemned(struct repo_fixture *f, const uint8_t *names, size_t n)
{
	struct pack_set set = {0};

	OK(epoch_condemned(f->r, &set, e));
	assert_int_equal(set.n, n);
	for (size_t i = 0; i < n; i++) {
		uint8_t pack[HASH_BYTES] = {names[i]};

		assert_true(pack_set_has(&set, pack));
		pack[31] = 1;
		assert_false(pack_set_has(&set, pack));
	}
	pack_set_done(&set);
}

static void test_none(void **state)
{
	assert_condemned(*state, NULL, 0);
}

static void test_all_epochs_count(void **state)
{
	struct repo_fixture *f = *state;

	put_epoch(f, 7, (const uint8_t *)"zbx", 3);
	put_epoch(f, 12, (const uint8_t *)"", 0);
	put_epoch(f, 10000000000, (const uint8_t *)"ay", 2);
	assert_condemned(f, (const uint8_t *)"abxyz", 5);
}

static int keep_key(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)size;
	(void)e;
	snprintf(arg, STORE_KEY_MAX, "%s", key);
	return 0;
}

/* A collector that was stopped just before it removed an epoch that is done with removes it when it
 * goes on: nobody's new epoch may have that name meanwhile. */
static void test_no_name_is_used_twice(void **state)
{
	struct repo_fixture *f = *state;
	char first[STORE_KEY_MAX] = "", second[STORE_KEY_MAX] = "";
	uint8_t packs[1][HASH_BYTES] = {{'a'}};
	struct pack_set set = {packs, 1};

	OK(epoch_publish(f->r, &set, e));
	OK(store_list(f->s, "epochs/", keep_key, first, e));
	OK(store_remove(f->s, first, e));
	OK(epoch_publish(f->r, &set, e));
	OK(store_list(f->s, "epochs/", keep_key, second, e));
	assert_true(epoch_key_parse(first) && epoch_key_parse(second));
	assert_string_not_equal(first, second);
	OK(store_remove(f->s, first, e));
	assert_condemned(f, (const uint8_t *)"a", 1);
}

/* What a writer does not know of could be what keeps its blocks. */
static void test_damaged_epoch_is_an_error(void **state)
{
	struct repo_fixture *f = *state;
	struct pack_set set = {0};
	struct err why = {0};
	uint8_t *bytes;
	size_t len;

	put_epoch(f, 1, (const uint8_t *)"abc", 3);
	put_epoch(f, 2, (const uint8_t *)"def", 3);
	bytes = store_mem_bytes(f->s, "epochs/2", &len);
	bytes[100] ^= 1;
	assert_int_equal(epoch_condemned(f->r, &set, &why), -1);
	assert_int_equal(why.kind, ERR_CORRUPT);
	assert_non_null(strstr(why.msg, "epochs/2"));
	assert_null(set.names);
	FAILS_PTR(ERR_CORRUPT, session_begin(f->r, NULL, e));
	assert_int_equal(epoch_condemned(f->r, &set, NULL), -1);
}

static void test_bodies_that_are_wrong(void **state)
{
	struct repo_fixture *f = *state;
	struct pack_set set = {0};
	AUTO_BUF body = BUF_INIT;
	struct err why = {0};

	record_u64(&body, 1, 1);
	record_add(&body, 0x8002, "newer", 5);
	put_body(f, "epochs/1", &body);
	assert_int_equal(epoch_condemned(f->r, &set, &why), -1);
	assert_int_equal(why.kind, ERR_VERSION);
	assert_non_null(strstr(why.msg, "epochs/1"));
	OK(store_remove(f->s, "epochs/1", e));
	body.len = 0;
	record_add(&body, 2, "a name that is too short", 24);
	put_body(f, "epochs/1", &body);
	FAILS(ERR_CORRUPT, epoch_condemned(f->r, &set, e));
}

/* Objects that are no epochs: a file left by the system, say. */
static void test_other_names_are_ignored(void **state)
{
	static const char *const names[] = {"epochs/README", "epochs/0",  "epochs/01",
					    "epochs/1.tmp",  "epochs/-1", "epochs/ 1"};
	struct repo_fixture *f = *state;

	put_epoch(f, 1, (const uint8_t *)"a", 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		OK(store_put_new(f->s, names[i], "x", 1, e));
	assert_condemned(f, (const uint8_t *)"a", 1);
}

/* Its collector was done between the listing and the reading. */
static int remove_it(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	if (call == HOOK_GET && !after && strcmp(key, "epochs/1") == 0)
		return store_remove(arg, key, e);
	return 0;
}

static void test_epoch_that_goes(void **state)
{
	struct repo_fixture *f = *state;
	AUTO(store) hooked = store_hook_new(f->s, remove_it, f->s, false);
	struct repo_fixture other = {hooked, NULL};

	put_epoch(f, 1, (const uint8_t *)"a", 1);
	put_epoch(f, 2, (const uint8_t *)"b", 1);
	other.r = test_reopen(hooked);
	assert_condemned(&other, (const uint8_t *)"b", 1);
	repo_free(other.r);
}

static void test_decode(void **state)
{
	struct pack_set set = {0};
	AUTO_BUF body = BUF_INIT;
	uint8_t pack[HASH_BYTES] = {5};

	(void)state;
	record_add(&body, 2, pack, HASH_BYTES);
	record_u64(&body, 1, 9);
	record_add(&body, 77, "newer, and of no matter", 23);
	OK(epoch_decode(body.data, body.len, &set, e));
	assert_int_equal(set.n, 1);
	for (size_t n = 0; n < body.len; n++) {
		struct pack_set part = {0};
		struct err why = {0};

		if (epoch_decode(body.data, n, &part, &why) < 0)
			assert_int_equal(why.kind, ERR_CORRUPT);
		assert_int_equal(part.n, n >= 38);
		pack_set_done(&part);
	}
	body.len = 0;
	record_add(&body, 1, "four", 4);
	FAILS(ERR_CORRUPT, epoch_decode(body.data, body.len, &set, e));
	pack_set_done(&set);
}

/* A session does not build on packs that will go: it stores their blocks again. */
static void test_sessions_respect_epochs(void **state)
{
	struct repo_fixture *f = *state;
	struct pack_set set = {0};
	struct disk d;
	struct uuid id;
	size_t fresh;
	AUTO_BUF body = BUF_INIT;
	struct location l;
	AUTO(fetch) fetch = NULL;
	AUTO(codec) c = codec_new(repo_keys(f->r), 1);
	struct block_id block;

	disk_make_small(&d, 1, 10);
	OK(protect(f->r, NULL, &d, &id, &fresh, e));
	assert_int_equal(fresh, 10);
	OK(protect(f->r, NULL, &d, &id, &fresh, e));
	assert_int_equal(fresh, 0);
	fetch = fetch_new(f->r);
	codec_id(c, BLOCK_DATA, d.data, BLOCK, &block);
	OK(fetch_locate(fetch, &block, &l, e));
	set = (struct pack_set){&l.pack, 1};
	epoch_encode(1, &set, &body);
	put_body(f, "epochs/1", &body);
	OK(protect(f->r, NULL, &d, &id, &fresh, e));
	assert_int_equal(fresh, 10);
	assert_point(f->r, &id, &d);
	disk_done(&d);
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_fixture_up, repo_fixture_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_none),
		T(test_all_epochs_count),
		T(test_no_name_is_used_twice),
		T(test_damaged_epoch_is_an_error),
		T(test_bodies_that_are_wrong),
		T(test_other_names_are_ignored),
		T(test_epoch_that_goes),
		T(test_decode),
		T(test_sessions_respect_epochs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
