/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with the key ring: opening, changing, being interrupted, being overtaken. Its bytes
 * are looked at in test_keyring_format.c.
 */
#include "testing.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/store_fault.h"
#include "repo/store_hook.h"
#include "writer.h"

/* Argon2id at its cheapest. */
static const struct keyring_cost cheap = {1, 8, 1};

static struct keyring *new_ring(struct store *s, uint8_t byte)
{
	AUTO(credential) c = test_credential(byte);
	struct uuid id = uuid_random();
	struct keyring *k = OK_PTR(keyring_new(&id, c, "first", NULL, e));

	OK(keyring_store(k, s, e));
	return k;
}

static struct keyring *open_with(struct store *s, uint8_t byte)
{
	AUTO(credential) c = test_credential(byte);

	return OK_PTR(keyring_open(s, c, e));
}

static int add(struct keyring *k, struct store *s, uint8_t byte, struct err *e)
{
	AUTO(credential) c = test_credential(byte);

	return keyring_add_slot(k, s, c, "more", NULL, e);
}

static size_t slots(const struct keyring *k)
{
	size_t n;

	keyring_slots(k, &n);
	return n;
}

static void assert_opens(struct store *s, uint8_t byte)
{
	keyring_free(open_with(s, byte));
}

static void assert_shut(struct store *s, uint8_t byte)
{
	AUTO(credential) c = test_credential(byte);

	FAILS_PTR(ERR_KEY, keyring_open(s, c, e));
}

/* ---- opening ---- */

static void test_round_trip(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(keyring) again = open_with(s, 1);
	uint8_t a[64], b[64];

	(void)state;
	assert_true(uuid_equal(keyring_repo_id(k), keyring_repo_id(again)));
	assert_int_equal(keyring_generation(again), 1);
	assert_true(keyring_generation_time_us(again) == keyring_generation_time_us(k));
	assert_memory_equal(keyring_key(k, 1, NULL), keyring_key(again, 1, NULL), SEAL_KEY);
	FAILS_PTR(ERR_CORRUPT, keyring_key(k, 2, e));
	FAILS_PTR(ERR_CORRUPT, keyring_key(k, 0, e));
	for (int node = 0; node < 2; node++) {
		keyring_id_key(k, node, a + 32 * node);
		keyring_id_key(again, node, b + 32 * node);
	}
	assert_memory_equal(a, b, 64);
	assert_memory_not_equal(a, a + 32, 32);
	keyring_derive(k, "one", a, 64);
	keyring_derive(again, "one", b, 64);
	assert_memory_equal(a, b, 64);
	keyring_derive(again, "two", b, 64);
	assert_memory_not_equal(a, b, 64);
	assert_int_equal(slots(again), 1);
	assert_string_equal(keyring_slots(again, &(size_t){0})[0].label, "first");
	assert_true(uuid_equal(keyring_opened_by(again), &keyring_slots(again, &(size_t){0})->id));
	FAILS(ERR_EXISTS, keyring_store(k, s, e));
	keyring_free(NULL);
}

static void test_two_rings_share_nothing(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(store) t = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(keyring) l = new_ring(t, 1);
	uint8_t a[SEAL_KEY], b[SEAL_KEY];

	(void)state;
	assert_memory_not_equal(keyring_key(k, 1, NULL), keyring_key(l, 1, NULL), SEAL_KEY);
	keyring_id_key(k, KEY_DATA, a);
	keyring_id_key(l, KEY_DATA, b);
	assert_memory_not_equal(a, b, SEAL_KEY);
}

static void test_wrong_keys(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(store) empty = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(credential) right = test_credential(1);
	AUTO(credential) other = test_credential(1);
	AUTO(credential) phrase = OK_PTR(credential_passphrase("secret", 6, e));

	(void)state;
	assert_shut(s, 2);
	/* The same bytes as another kind of secret open nothing. */
	other->kind = CREDENTIAL_MANAGER;
	FAILS_PTR(ERR_KEY, keyring_open(s, other, e));
	FAILS_PTR(ERR_KEY, keyring_open(s, phrase, e));
	FAILS_PTR(ERR_NOENT, keyring_open(empty, right, e));
	OK(store_put_new(empty, "keys/README", "x", 1, e));
	OK(store_put_new(empty, "keys/0", "x", 1, e));
	OK(store_put_new(empty, "keys/01", "x", 1, e));
	OK(store_put_new(empty, "keys/1x", "x", 1, e));
	OK(store_put_new(empty, "keys/1.copy2", "x", 1, e));
	OK(store_put_new(empty, "keys/99999999999", "x", 1, e));
	FAILS_PTR(ERR_NOENT, keyring_open(empty, right, e));
}

static void test_passphrases(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(credential) phrase = OK_PTR(credential_passphrase("correct horse", 13, e));
	AUTO(credential) wrong = OK_PTR(credential_passphrase("correct horsf", 13, e));
	AUTO(credential) manager = test_credential(9);
	struct uuid id = uuid_random();
	AUTO(keyring) k = OK_PTR(keyring_new(&id, phrase, NULL, &cheap, e));
	AUTO(keyring) a = NULL;
	AUTO(keyring) b = NULL;
	const struct keyring_slot *slot;
	size_t n;

	(void)state;
	OK(keyring_store(k, s, e));
	a = OK_PTR(keyring_open(s, phrase, e));
	FAILS_PTR(ERR_KEY, keyring_open(s, wrong, e));
	manager->kind = CREDENTIAL_MANAGER;
	OK(keyring_add_slot(a, s, manager, "vault", &cheap, e));
	b = OK_PTR(keyring_open(s, manager, e));
	slot = keyring_slots(b, &n);
	assert_int_equal(n, 2);
	assert_int_equal(slot[0].kind, CREDENTIAL_PASSPHRASE);
	assert_string_equal(slot[0].label, "");
	assert_int_equal(slot[1].kind, CREDENTIAL_MANAGER);
	assert_string_equal(slot[1].label, "vault");
	assert_true(uuid_equal(keyring_opened_by(b), &slot[1].id));
}

static void test_the_default_costs_something(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(credential) phrase = OK_PTR(credential_passphrase("x", 1, e));
	struct uuid id = uuid_random();
	AUTO(keyring) k = OK_PTR(keyring_new(&id, phrase, NULL, NULL, e));

	(void)state;
	assert_true(keyring_cost_default.memory_kib >= 64 * 1024);
	OK(keyring_store(k, s, e));
	keyring_free(OK_PTR(keyring_open(s, phrase, e)));
}

/* ---- slots ---- */

static void test_add_and_remove(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(keyring) two = NULL;
	struct uuid first = *keyring_opened_by(k), none = uuid_random();

	(void)state;
	OK(add(k, s, 2, e));
	OK(add(k, s, 3, e));
	assert_opens(s, 1);
	assert_opens(s, 3);
	assert_int_equal(test_count(s, "keys/"), 2); /* the newest and its copy */
	two = open_with(s, 2);
	assert_int_equal(slots(two), 3);
	FAILS(ERR_NOENT, keyring_remove_slot(two, s, &none, e));
	OK(keyring_remove_slot(two, s, &first, e));
	assert_shut(s, 1);
	assert_opens(s, 2);
	assert_opens(s, 3);
	assert_int_equal(test_count(s, "keys/"), 2);
	OK(keyring_remove_slot(two, s, &keyring_slots(two, &(size_t){0})[1].id, e));
	FAILS(ERR_INVALID, keyring_remove_slot(two, s, keyring_opened_by(two), e));
	assert_opens(s, 2);
	assert_shut(s, 3);
	/* Keys of blocks did not change with the slots. */
	assert_int_equal(keyring_generation(two), 1);
}

/* As many slots as there may be, each with the longest label. */
static void test_slots_and_labels_are_limited(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(keyring) again = NULL;
	AUTO_FREE char *label = xcalloc(KEYRING_LABEL_MAX + 2, 1);

	(void)state;
	memset(label, 'l', KEYRING_LABEL_MAX + 1);
	for (uint8_t i = 2; i <= 64; i++) {
		AUTO(credential) c = test_credential(i);

		label[KEYRING_LABEL_MAX] = 'l';
		FAILS(ERR_INVALID, keyring_add_slot(k, s, c, label, NULL, e));
		label[KEYRING_LABEL_MAX] = 0;
		OK(keyring_add_slot(k, s, c, label, NULL, e));
	}
	FAILS(ERR_LIMIT, add(k, s, 65, e));
	again = open_with(s, 64);
	assert_int_equal(slots(again), 64);
	assert_opens(s, 1);
}

static void test_rotate(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(keyring) old = open_with(s, 1);
	AUTO(keyring) again = NULL;
	AUTO(credential) one = test_credential(1);
	AUTO(credential) two = test_credential(2);
	AUTO(credential) none = test_credential(3);
	const struct credential *keep[] = {one, two}, *bad[] = {one, none};

	(void)state;
	OK(add(k, s, 2, e));
	FAILS(ERR_INVALID, keyring_rotate(k, s, keep, 1, false, NULL, e));
	FAILS(ERR_KEY, keyring_rotate(k, s, bad, 2, true, NULL, e));
	FAILS(ERR_LIMIT, keyring_rotate(k, s, keep, 65, false, NULL, e));
	assert_opens(s, 2);
	OK(keyring_rotate(k, s, keep, 2, false, NULL, e));
	assert_int_equal(keyring_generation(k), 2);
	assert_opens(s, 1);
	again = open_with(s, 2);
	assert_int_equal(keyring_generation(again), 2);
	assert_string_equal(keyring_slots(again, &(size_t){0})[1].label, "more");
	/* What was sealed before can still be opened, and ids stay the same. */
	assert_memory_equal(keyring_key(again, 1, NULL), keyring_key(old, 1, NULL), SEAL_KEY);
	assert_memory_not_equal(keyring_key(again, 2, NULL), keyring_key(old, 1, NULL), SEAL_KEY);
	OK(keyring_rotate(k, s, keep, 1, true, NULL, e));
	assert_shut(s, 2);
	assert_opens(s, 1);
	assert_int_equal(test_count(s, "keys/"), 2);
}

static void test_rotation_must_keep_a_key(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);

	(void)state;
	FAILS(ERR_INVALID, keyring_rotate(k, s, NULL, 0, true, NULL, e));
	assert_opens(s, 1);
}

static void test_generations_are_limited(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(keyring) again = NULL;
	AUTO(credential) one = test_credential(1);
	const struct credential *keep[] = {one};

	(void)state;
	for (int i = 1; i < 1024; i++)
		OK(keyring_rotate(k, s, keep, 1, false, NULL, e));
	FAILS(ERR_LIMIT, keyring_rotate(k, s, keep, 1, false, NULL, e));
	again = open_with(s, 1);
	assert_int_equal(keyring_generation(again), 1024);
	assert_memory_equal(keyring_key(again, 7, NULL), keyring_key(k, 7, NULL), SEAL_KEY);
}

/* A rotation that could not be stored must not be used: nobody could read what it sealed. */
static void test_failed_rotation_seals_nothing(void **state)
{
	AUTO(store) inner = store_mem_new();
	AUTO(credential) one = test_credential(1);
	const struct credential *keep[] = {one};
	struct disk d;

	(void)state;
	OK(repo_create(inner, one, "", NULL, e));
	disk_make_small(&d, 1, 4);
	for (uint64_t at = 1; at <= 2; at++) {
		AUTO(store) faulty = store_fault_new(inner, FAULT_ONCE, at);
		AUTO(repo) r = OK_PTR(repo_open(faulty, one, e));
		AUTO(repo) later = NULL;
		struct uuid id;

		FAILS(ERR_IO, keyring_rotate(repo_keys(r), faulty, keep, 1, false, NULL, e));
		OK(protect(r, NULL, &d, &id, NULL, e));
		later = OK_PTR(repo_open(inner, one, e));
		assert_point(later, &id, &d);
	}
	disk_done(&d);
}

/* ---- damage ---- */

static void test_every_flip_falls_back(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	size_t n, m;
	uint8_t *first, *copy;

	(void)state;
	OK(add(k, s, 2, e));
	first = store_mem_bytes(s, "keys/2", &n);
	copy = store_mem_bytes(s, "keys/2.copy", &m);
	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++) {
		AUTO(credential) c = test_credential(1);
		struct err why = {0};

		first[i] ^= 0x40;
		assert_opens(s, 1);
		copy[n - 1 - i] ^= 0x04;
		assert_null(keyring_open(s, c, &why));
		if (why.kind != ERR_CORRUPT && why.kind != ERR_VERSION)
			fail_msg("byte %zu: kind %d: %s", i, (int)why.kind, why.msg);
		first[i] ^= 0x40;
		assert_opens(s, 1);
		copy[n - 1 - i] ^= 0x04;
	}
	OK(store_remove(s, "keys/2", e));
	assert_opens(s, 2);
}

static void test_every_length_falls_back(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(credential) c = test_credential(1);
	AUTO_FREE uint8_t *was = NULL;
	uint8_t *p;
	size_t n;

	(void)state;
	p = store_mem_bytes(s, "keys/1", &n);
	was = xmalloc(n);
	memcpy(was, p, n);
	for (size_t len = n; len-- > 0;) {
		store_mem_resize(s, "keys/1", len);
		assert_opens(s, 1);
	}
	OK(store_remove(s, "keys/1.copy", e));
	for (size_t len = 0; len < n; len++) {
		OK(store_remove(s, "keys/1", e));
		OK(store_put_new(s, "keys/1", was, len, e));
		FAILS_PTR(ERR_CORRUPT, keyring_open(s, c, e));
	}
	store_mem_resize(s, "keys/1", 2 << 20);
	FAILS_PTR(ERR_LIMIT, keyring_open(s, c, e));
}

/* A newer version that is not whole, without a copy: its writer died, the older one counts. */
static void test_older_version_stands_in(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);

	(void)state;
	OK(store_put_new(s, "keys/2", "half of it", 10, e));
	OK(store_put_new(s, "keys/7", "", 0, e));
	assert_opens(s, 1);
}

/* ---- interrupted ---- */

enum { CHANGE_ADD, CHANGE_REMOVE, CHANGE_ROTATE, CHANGES };

static int change(struct keyring *k, struct store *s, int what, struct err *e)
{
	AUTO(credential) one = test_credential(1);
	const struct credential *keep[] = {one};

	if (what == CHANGE_ADD)
		return add(k, s, 3, e);
	if (what == CHANGE_REMOVE)
		return keyring_remove_slot(k, s, &keyring_slots(k, &(size_t){0})[1].id, e);
	return keyring_rotate(k, s, keep, 1, true, NULL, e);
}

/* Key 1 opens it, before and after; what was acknowledged is so; the next change works. */
static void check_after(struct store *s, int what, bool done)
{
	AUTO(keyring) k = open_with(s, 1);
	AUTO(credential) two = test_credential(2);
	AUTO(credential) three = test_credential(3);
	AUTO(keyring) with_two = keyring_open(s, two, NULL);
	AUTO(keyring) with_three = keyring_open(s, three, NULL);

	if (what == CHANGE_ADD) {
		assert_non_null(with_two);
		assert_true(!done || with_three);
	} else {
		assert_null(with_three);
		assert_true(!done || !with_two);
	}
	OK(add(k, s, 4, e));
	assert_opens(s, 4);
	assert_opens(s, 1);
	assert_int_equal(test_count(s, "keys/"), 2);
}

static void test_interrupted_changes(void **state)
{
	static const enum fault_mode modes[] = {FAULT_ONCE,	 FAULT_ONCE_DONE, FAULT_DEAD,
						FAULT_DEAD_DONE, FAULT_FULL,	  FAULT_READ};
	int points = 0;

	(void)state;
	for (int what = 0; what < CHANGES; what++) {
		for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
			bool hit = true;

			for (uint64_t at = 1; hit; at++) {
				AUTO(store) s = store_mem_new();
				AUTO(keyring) first = new_ring(s, 1);
				AUTO(store) f = NULL;
				AUTO(keyring) k = NULL;
				int rc;

				OK(add(first, s, 2, e));
				k = open_with(s, 1);
				f = store_fault_new(s, modes[m], at);
				rc = change(k, f, what, NULL);
				hit = store_fault_count(f) >= at;
				check_after(s, what, rc == 0);
				points += hit;
			}
		}
	}
	printf("# %d interrupted changes\n", points);
	assert_true(points > 3 * 20);
}

/* ---- two at once ---- */

static void test_overtaken(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) a = new_ring(s, 1);
	AUTO(keyring) b = open_with(s, 1);
	AUTO(keyring) c = open_with(s, 1);
	AUTO(keyring) again = NULL;

	(void)state;
	OK(add(a, s, 2, e));
	FAILS(ERR_CONFLICT, add(b, s, 3, e));
	/* Far behind: its version is free again, but a higher one is there. */
	OK(add(a, s, 4, e));
	FAILS(ERR_CONFLICT, add(c, s, 5, e));
	assert_int_equal(test_count(s, "keys/"), 2);
	again = open_with(s, 1);
	assert_int_equal(slots(again), 3);
	OK(add(again, s, 3, e));
	assert_opens(s, 3);
	assert_shut(s, 5);
}

struct changers {
	struct store *s;
	atomic_int conflicts, failures;
};

static void changer(void *arg, unsigned number)
{
	struct changers *c = arg;
	AUTO(credential) one = test_credential(1);

	for (;;) {
		AUTO(keyring) k = keyring_open(c->s, one, NULL);
		struct err why = {0};

		if (!k)
			continue;  /* see test_open_while_changed */
		clock_sleep_ms(2); /* so that they meet */
		if (add(k, c->s, (uint8_t)(10 + number), &why) == 0)
			return;
		if (why.kind != ERR_CONFLICT) {
			atomic_fetch_add(&c->failures, 1);
			return;
		}
		atomic_fetch_add(&c->conflicts, 1);
	}
}

/* Everybody starts over until he wins: no change is lost. */
static void test_many_changers(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(keyring) again = NULL;
	struct changers c = {.s = s};

	(void)state;
	test_threads(12, changer, &c);
	assert_int_equal(c.failures, 0);
	printf("# 12 changers, %d conflicts\n", c.conflicts);
	again = open_with(s, 1);
	assert_int_equal(slots(again), 13);
	for (uint8_t i = 0; i < 12; i++)
		assert_opens(s, 10 + i);
}

struct interloper {
	struct store *s;
	bool done;
};

/* Another process changes the keys between the listing and the reading of a version. */
static int change_before_read(void *arg, enum hook_call call, const char *key, bool after,
			      struct err *e)
{
	struct interloper *i = arg;
	AUTO(keyring) k = NULL;

	if (after || i->done || (call != HOOK_SIZE && call != HOOK_GET) ||
	    strcmp(key, "keys/1") != 0)
		return 0;
	i->done = true;
	k = open_with(i->s, 1);
	return add(k, i->s, 2, e);
}

static void test_open_while_changed(void **state)
{
	AUTO(store) s = store_mem_new();
	struct interloper i = {.s = s};
	AUTO(store) hooked = store_hook_new(s, change_before_read, &i, false);
	AUTO(keyring) k = new_ring(s, 1);
	AUTO(credential) c = test_credential(1);
	AUTO(keyring) again = NULL;

	(void)state;
	again = OK_PTR(keyring_open(hooked, c, e));
	assert_true(i.done);
	assert_int_equal(slots(again), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_two_rings_share_nothing),
		cmocka_unit_test(test_wrong_keys),
		cmocka_unit_test(test_passphrases),
		cmocka_unit_test(test_the_default_costs_something),
		cmocka_unit_test(test_add_and_remove),
		cmocka_unit_test(test_slots_and_labels_are_limited),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_rotation_must_keep_a_key),
		cmocka_unit_test(test_generations_are_limited),
		cmocka_unit_test(test_failed_rotation_seals_nothing),
		cmocka_unit_test(test_every_flip_falls_back),
		cmocka_unit_test(test_every_length_falls_back),
		cmocka_unit_test(test_older_version_stands_in),
		cmocka_unit_test(test_interrupted_changes),
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_many_changers),
		cmocka_unit_test(test_open_while_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
