/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints as people copy them; servers that show no authority. */
#include "testing.h"

#include "client/trust.h"

static void test_same(void **state)
{
	(void)state;
	assert_true(trust_same("AB:CD:01", "ab:cd:01"));
	assert_true(trust_same("AB:CD:01", "abcd01"));
	assert_true(trust_same("AB CD 01", "AB:CD:01"));
	assert_false(trust_same("AB:CD:01", "AB:CD:02"));
	assert_false(trust_same("AB:CD:01", "AB:CD"));
	assert_false(trust_same("AB:CD", "AB:CD:01"));
	assert_false(trust_same("", "AB"));
}

static void test_nobody(void **state)
{
	char print[TLS_FINGERPRINT], *pem = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(trust_fetch("https://127.0.0.1:1", &pem, print, &e), -1);
	assert_int_equal(e.kind, ERR_UNREACHABLE);
	assert_null(pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
