/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "testing.h"

/* ---- standard error, caught ---- */

static int caught[2], saved;
static char said[8192];
static int cleared;

static void catch_begin(void)
{
	saved = dup(STDERR_FILENO);
	assert_int_equal(pipe2(caught, O_NONBLOCK | O_CLOEXEC), 0);
	dup2(caught[1], STDERR_FILENO);
}

static const char *catch_end(void)
{
	ssize_t n = read(caught[0], said, sizeof(said) - 1);

	said[n > 0 ? n : 0] = 0;
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(caught[0]);
	close(caught[1]);
	return said;
}

static void clear_line(void)
{
	cleared++;
}

static const char *say_all(enum log_level max)
{
	log_set_level(max);
	catch_begin();
	log_error("one %d", 1);
	log_warn("two");
	log_info("three");
	log_debug("four");
	return catch_end();
}

static void test_levels(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(say_all(LOG_LEVEL_ERROR), "holdfast: error: one 1\n");
	assert_string_equal(say_all(LOG_LEVEL_INFO), "holdfast: error: one 1\n"
						     "holdfast: warning: two\n"
						     "holdfast: three\n");
	assert_string_equal(say_all(LOG_LEVEL_DEBUG), "holdfast: error: one 1\n"
						      "holdfast: warning: two\n"
						      "holdfast: three\n"
						      "holdfast: debug: four\n");
}

static void test_journal_gets_priorities(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:12345", 1);
	assert_string_equal(say_all(LOG_LEVEL_DEBUG), "<3>holdfast: error: one 1\n"
						      "<4>holdfast: warning: two\n"
						      "<6>holdfast: three\n"
						      "<7>holdfast: debug: four\n");
	unsetenv("JOURNAL_STREAM");
}

static void test_progress_line_is_cleared_first(void **state)
{
	(void)state;
	log_set_before(clear_line);
	say_all(LOG_LEVEL_WARN);
	log_set_before(NULL);
	/* Only for lines that are written. */
	assert_int_equal(cleared, 2);
	say_all(LOG_LEVEL_WARN);
	assert_int_equal(cleared, 2);
}

static void test_long_line_is_cut_but_ends(void **state)
{
	char text[3000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_set_level(LOG_LEVEL_INFO);
	catch_begin();
	log_info("%s", text);
	log_info("next");
	catch_end();
	assert_int_equal(strchr(said, '\n') - said, strlen("holdfast: ") + 1023);
	assert_string_equal(strchr(said, '\n') + 1, "holdfast: next\n");
}

static void test_nowhere_to_say_it(void **state)
{
	(void)state;
	catch_begin();
	close(STDERR_FILENO);
	log_error("lost");
	assert_string_equal(catch_end(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_journal_gets_priorities),
		cmocka_unit_test(test_progress_line_is_cleared_first),
		cmocka_unit_test(test_long_line_is_cut_but_ends),
		cmocka_unit_test(test_nowhere_to_say_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
