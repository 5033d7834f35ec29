/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>

#include "base/env.h"

static void test_env(void **state)
{
	(void)state;
	unsetenv("HF_A");
	setenv("HF_B", "", 1);
	assert_null(env_text("HF_A"));
	assert_null(env_text("HF_B"));
	assert_null(env_either("HF_A", "HF_B"));
	setenv("HF_B", "b", 1);
	assert_string_equal(env_text("HF_B"), "b");
	assert_string_equal(env_either("HF_A", "HF_B"), "b");
	setenv("HF_A", "a", 1);
	assert_string_equal(env_either("HF_A", "HF_B"), "a");
	unsetenv("HF_A");
	unsetenv("HF_B");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_env)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
