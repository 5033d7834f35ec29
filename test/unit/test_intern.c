/* SPDX-License-Identifier: Apache-2.0 */
/* Equal texts are one, different ones stay apart, however many there are. */
#include "base/intern.h"

#include <stdio.h>
#include <string.h>

#include "testing.h"

enum { TEXTS = 5000 };

static void test_one_copy_of_each(void **state)
{
	struct intern *t = intern_new();
	char *first[TEXTS], text[32];

	(void)state;
	assert_int_equal(intern_count(t), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < TEXTS; i++) {
			char *got;

			snprintf(text, sizeof(text), "text %d", i);
			got = intern(t, text);
			assert_true(got != text);
			assert_string_equal(got, text);
			if (round)
				assert_ptr_equal(got, first[i]);
			first[i] = got;
		}
		assert_int_equal(intern_count(t), TEXTS);
	}
	assert_string_equal(intern(t, ""), "");
	assert_int_equal(intern_count(t), TEXTS + 1);
	intern_free(t);
	intern_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_copy_of_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
