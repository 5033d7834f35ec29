/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/password.h"

#include <string.h>

#include "base/clock.h"
#include "testing.h"

static const struct passwords_options quick = {64, 1, 2};

static void test_right_and_wrong(void **state)
{
	AUTO(passwords) p = passwords_new(&quick);
	AUTO_FREE char *a = OK_PTR(passwords_hash(p, "correct horse", e));
	AUTO_FREE char *b = OK_PTR(passwords_hash(p, "correct horse", e));

	(void)state;
	assert_string_not_equal(a, b);
	assert_non_null(strstr(a, "$argon2id$v=19$m=64,t=1,p=1$"));
	assert_null(strstr(a, "horse"));
	for (int i = 0; i < 3; i++) {
		OK(passwords_check(p, "alice", "10.0.0.1", a, "correct horse", NULL, e));
		OK(passwords_check(p, "alice", NULL, b, "correct horse", NULL, e));
	}
	FAILS(ERR_DENIED, passwords_check(p, "alice", "10.0.0.1", a, "correct horsf", NULL, e));
	FAILS(ERR_DENIED, passwords_check(p, "alice", "10.0.0.1", a, "", NULL, e));
	FAILS(ERR_DENIED, passwords_check(p, "nobody", "10.0.0.1", NULL, "correct horse", NULL, e));
	FAILS(ERR_DENIED, passwords_check(p, "alice", "10.0.0.1", "$rubbish", "x", NULL, e));
}

static void test_lengths(void **state)
{
	AUTO(passwords) p = passwords_new(&quick);
	char text[PASSWORD_MAX + 2];

	(void)state;
	FAILS_PTR(ERR_INVALID, passwords_hash(p, "1234567", e));
	memset(text, 'x', sizeof(text));
	text[PASSWORD_MAX + 1] = 0;
	FAILS_PTR(ERR_INVALID, passwords_hash(p, text, e));
	FAILS(ERR_DENIED, passwords_check(p, "a", "b", NULL, text, NULL, e));
	text[PASSWORD_MAX] = 0;
	AUTO_FREE char *h = OK_PTR(passwords_hash(p, text, e));
	OK(passwords_check(p, "a", "b", h, text, NULL, e));
}

/* What was right is not computed again; a changed password is not mistaken for it. */
static void test_remembered(void **state)
{
	const struct passwords_options slow = {64 << 10, 3, 1};
	AUTO(passwords) p = passwords_new(&slow);
	AUTO_FREE char *old = OK_PTR(passwords_hash(p, "the old password", e));
	AUTO_FREE char *new = OK_PTR(passwords_hash(p, "the new password", e));
	uint64_t first = clock_mono_us();
	uint64_t again;

	(void)state;
	OK(passwords_check(p, "alice", "a", old, "the old password", NULL, e));
	again = clock_mono_us();
	for (int i = 0; i < 20; i++)
		OK(passwords_check(p, "alice", "a", old, "the old password", NULL, e));
	assert_true(clock_mono_us() - again < again - first);
	FAILS(ERR_DENIED, passwords_check(p, "alice", "a", new, "the old password", NULL, e));
	FAILS(ERR_DENIED, passwords_check(p, "alice", "a", old, "the new password", NULL, e));
}

/* A stranger at one address is slowed down; the one who knows the password elsewhere is not. */
static void test_guessing(void **state)
{
	AUTO(passwords) p = passwords_new(&quick);
	AUTO_FREE char *stored = OK_PTR(passwords_hash(p, "correct horse", e));
	unsigned retry = 0;
	int denied = 0;
	struct err err;

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(
			passwords_check(p, "alice", "6.6.6.6", stored, "guess", &retry, &err), -1);
		denied += err.kind == ERR_DENIED;
		if (err.kind != ERR_DENIED)
			assert_int_equal(err.kind, ERR_BUSY);
	}
	assert_int_equal(denied, 6);
	assert_in_range(retry, 1, 2);
	/* Even the right one has to wait there, or guessing would tell. */
	FAILS(ERR_BUSY, passwords_check(p, "alice", "6.6.6.6", stored, "correct horse", &retry, e));
	OK(passwords_check(p, "alice", "10.0.0.1", stored, "correct horse", &retry, e));
	/* An address that tries many names. */
	denied = 0;
	for (int i = 0; i < 60; i++) {
		AUTO_FREE char *name = xasprintf("user%d", i);

		passwords_check(p, name, "7.7.7.7", NULL, "guess", &retry, &err);
		denied += err.kind == ERR_DENIED;
	}
	assert_int_equal(denied, 31);
}

/* Who mistypes now and then and gets it right is never slowed down. */
static void test_typing_errors(void **state)
{
	AUTO(passwords) p = passwords_new(&quick);
	AUTO_FREE char *stored = OK_PTR(passwords_hash(p, "correct horse", e));

	(void)state;
	for (int i = 0; i < 10; i++) {
		AUTO_FREE char *address = xasprintf("10.0.0.%d", i);

		for (int k = 0; k < 3; k++)
			FAILS(ERR_DENIED, passwords_check(p, "alice", address, stored,
							  "correct hrose", NULL, e));
		OK(passwords_check(p, "alice", address, stored, "correct horse", NULL, e));
	}
}

struct crowd {
	struct passwords *p;
	const char *stored;
	_Atomic unsigned right, wrong, busy;
};

static void crowd(void *arg, unsigned number)
{
	struct crowd *c = arg;
	AUTO_FREE char *name = xasprintf("user%u", number);

	for (int i = 0; i < 6; i++) {
		struct err e = {0};
		bool know = i % 2;

		if (!passwords_check(c->p, name, name, c->stored,
				     know ? "correct horse" : "guess no 1", NULL, &e))
			c->right += know;
		else if (e.kind == ERR_BUSY)
			c->busy++;
		else
			c->wrong += !know;
	}
}

static void test_crowd(void **state)
{
	const struct passwords_options slow = {4096, 1, 1};
	AUTO(passwords) p = passwords_new(&slow);
	AUTO_FREE char *stored = OK_PTR(passwords_hash(p, "correct horse", e));
	struct crowd c = {.p = p, .stored = stored};

	(void)state;
	test_threads(48, crowd, &c);
	assert_int_equal(c.right + c.wrong + c.busy, 48 * 6);
	assert_true(c.right > 0);
	assert_true(c.wrong > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_and_wrong), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_remembered),	cmocka_unit_test(test_guessing),
		cmocka_unit_test(test_typing_errors),	cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
