/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "testing.h"

static void test_set_tells_all(void **state)
{
	struct err e = {0};
	int line;

	(void)state;
	line = __LINE__ + 1;
	assert_int_equal(err_set(&e, ERR_BUSY, "disk %s: %d", "vda", 7), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.msg, "disk vda: 7");
	assert_int_equal(e.line, line);
	assert_non_null(strstr(e.file, "test_err.c"));
}

static void test_sys_appends_the_reason(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_sys(&e, ENOSPC, "write %s", "/x"), -1);
	assert_int_equal(e.kind, ERR_NOSPACE);
	assert_int_equal(e.sys, ENOSPC);
	assert_string_equal(e.msg, "write /x: No space left on device");
}

static void test_wrap_keeps_kind_and_place(void **state)
{
	struct err e = {0};
	int line;

	(void)state;
	err_sys(&e, ENOENT, "open %s", "b");
	line = e.line;
	assert_int_equal(err_wrap(&e, "load %s", "a"), -1);
	assert_string_equal(e.msg, "load a: open b: No such file or directory");
	assert_int_equal(e.kind, ERR_NOENT);
	assert_int_equal(e.sys, ENOENT);
	assert_int_equal(e.line, line);
}

static void test_nobody_wants_to_know(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_sys(NULL, EIO, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
}

/* The old message may be an argument of the new one. */
static void test_message_made_of_itself(void **state)
{
	struct err e = {0};

	(void)state;
	err_set(&e, ERR_IO, "one");
	err_set(&e, ERR_BUSY, "%s, %s", e.msg, e.msg);
	assert_string_equal(e.msg, "one, one");
	err_sys(&e, EIO, "%s", e.msg);
	assert_string_equal(e.msg, "one, one: Input/output error");
	err_wrap(&e, "%s", e.msg);
	assert_string_equal(e.msg, "one, one: Input/output error: one, one: Input/output error");
}

static void test_too_long_is_cut(void **state)
{
	char text[2000];
	struct err e = {0};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	err_set(&e, ERR_IO, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_sys(&e, EIO, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_wrap(&e, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

/* Half a character is refused by databases, and then nobody is told anything. */
static void test_it_is_utf8(void **state)
{
	char text[ERR_TEXT + 40] = "";
	struct err e = {0};
	size_t n;

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		err_set(&e, ERR_IO, "%s", text);
		err_wrap(&e, "%s", "a");
		for (const char *p = e.msg; *p; p += n) {
			n = text_utf8(p, strlen(p));
			assert_int_not_equal(n, 0);
		}
	}
	err_set(&e, ERR_IO, "of Latin-1: %s, or cut: %.2s", "B\xe4r", "B\xc3\xa4r");
	assert_string_equal(e.msg, "of Latin-1: B?r, or cut: B?");
}

/* Names and exit codes are a contract: no two the same, success only for none. */
static void test_every_kind_has_its_row(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_KINDS; i++) {
		const struct err_info *a = err_info((enum err_kind)i);

		assert_non_null(a->name);
		assert_int_equal(a->exit_code == 0, i == ERR_NONE);
		assert_true(a->http >= 200 && a->http < 600);
		for (int j = 0; j < i; j++) {
			const struct err_info *b = err_info((enum err_kind)j);

			assert_string_not_equal(a->name, b->name);
			assert_int_not_equal(a->exit_code, b->exit_code);
		}
	}
	assert_ptr_equal(err_info(ERR_KINDS), err_info(ERR_INTERNAL));
	assert_ptr_equal(err_info((enum err_kind) - 1), err_info(ERR_INTERNAL));
	assert_true(err_info(ERR_BUSY)->retryable);
	assert_false(err_info(ERR_CORRUPT)->retryable);
}

static void test_what_an_errno_means(void **state)
{
	static const struct {
		int sys;
		enum err_kind want;
	} rows[] = {
		{ENOENT, ERR_NOENT},
		{ENOTDIR, ERR_NOENT},
		{EEXIST, ERR_EXISTS},
		{EACCES, ERR_DENIED},
		{EPERM, ERR_DENIED},
		{EROFS, ERR_DENIED},
		{ENOSPC, ERR_NOSPACE},
		{EDQUOT, ERR_NOSPACE},
		{EFBIG, ERR_NOSPACE},
		{EBUSY, ERR_BUSY},
		{EINVAL, ERR_INVALID},
		{EISDIR, ERR_INVALID},
		{EOPNOTSUPP, ERR_UNSUPPORTED},
		{ENOSYS, ERR_UNSUPPORTED},
		{ETIMEDOUT, ERR_TIMEOUT},
		{ECONNREFUSED, ERR_UNREACHABLE},
		{EPIPE, ERR_UNREACHABLE},
		{ESTALE, ERR_UNREACHABLE},
		{ENOMEM, ERR_LIMIT},
		{EMFILE, ERR_LIMIT},
		{EIO, ERR_IO},
		{0, ERR_IO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(err_kind_of_errno(rows[i].sys), rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_tells_all),
		cmocka_unit_test(test_sys_appends_the_reason),
		cmocka_unit_test(test_wrap_keeps_kind_and_place),
		cmocka_unit_test(test_nobody_wants_to_know),
		cmocka_unit_test(test_message_made_of_itself),
		cmocka_unit_test(test_too_long_is_cut),
		cmocka_unit_test(test_it_is_utf8),
		cmocka_unit_test(test_every_kind_has_its_row),
		cmocka_unit_test(test_what_an_errno_means),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
