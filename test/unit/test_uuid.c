/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

#include "testing.h"

/* ---- the kernel's random bytes, scarce ---- */

static int interrupts;	   /* so many calls are interrupted first */
static size_t at_most = 0; /* a call gives at most so many; 0: as it likes */
static int broken;	   /* errno that every call gives */
static bool expect_abort;
static jmp_buf aborted;

ssize_t __real_getrandom(void *p, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags)
{
	if (broken || interrupts > 0) {
		errno = broken ? broken : EINTR;
		interrupts--;
		return -1;
	}
	return __real_getrandom(p, at_most && n > at_most ? at_most : n, flags);
}

_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
_Noreturn void __wrap_abort(void)
{
	if (expect_abort)
		longjmp(aborted, 1);
	__real_abort();
}

static void test_random_bytes_fill_all(void **state)
{
	uint8_t a[1000], counts[256] = {0};
	int different = 0;

	(void)state;
	interrupts = 3;
	at_most = 7;
	memset(a, 0, sizeof(a));
	random_bytes(a, 999);
	assert_true(interrupts <= 0);
	at_most = 0;
	/* The last stretch was filled too, and nothing behind it. */
	assert_true(memcmp(a + 980, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18) != 0);
	assert_int_equal(a[999], 0);
	for (int i = 0; i < 999; i++)
		different += counts[a[i]]++ == 0;
	assert_true(different > 200);
	random_bytes(a, 0);
}

static void test_no_random_bytes_end_the_process(void **state)
{
	volatile bool ended = false;
	uint8_t a[4];

	(void)state;
	broken = ENOSYS;
	expect_abort = true;
	if (setjmp(aborted) == 0)
		random_bytes(a, sizeof(a));
	else
		ended = true;
	broken = 0;
	expect_abort = false;
	assert_true(ended);
}

/* ---- UUIDs ---- */

static void test_random_uuids_are_version_4(void **state)
{
	struct uuid u[50];

	(void)state;
	for (int i = 0; i < 50; i++) {
		u[i] = uuid_random();
		assert_int_equal(u[i].b[6] >> 4, 4);
		assert_int_equal(u[i].b[8] >> 6, 2);
		assert_false(uuid_is_zero(&u[i]));
		for (int j = 0; j < i; j++)
			assert_false(uuid_equal(&u[i], &u[j]));
	}
}

static void test_text(void **state)
{
	static const struct uuid u = {{0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56,
				       0x42, 0x66, 0x14, 0x17, 0x40, 0x0f}};
	static const char text[] = "123e4567-e89b-12d3-a456-42661417400f";
	char out[UUID_TEXT];
	struct uuid back;

	(void)state;
	assert_string_equal(uuid_text(&u, out), text);
	assert_true(uuid_parse(text, &back));
	assert_true(uuid_equal(&u, &back));
	memset(&back, 0, sizeof(back));
	assert_true(uuid_is_zero(&back));
	assert_true(uuid_parse("123E4567-E89B-12D3-A456-42661417400F", &back));
	assert_true(uuid_equal(&u, &back));
}

static void test_other_texts_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"123e4567",
		"123e4567-e89b-12d3-a456-42661417400",
		"123e4567-e89b-12d3-a456-42661417400f0",
		"123e4567-e89b-12d3-a456-42661417400g",
		"123e4567e-89b-12d3-a456-42661417400f",
		"123e4567-e89b-12d3-a456042661417400f",
		"{23e4567-e89b-12d3-a456-42661417400}",
		" 23e4567-e89b-12d3-a456-42661417400f",
	};
	struct uuid u = {{7}}, was = u;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (uuid_parse(bad[i], &u))
			fail_msg("%s was taken", bad[i]);
		assert_true(uuid_equal(&u, &was));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_bytes_fill_all),
		cmocka_unit_test(test_no_random_bytes_end_the_process),
		cmocka_unit_test(test_random_uuids_are_version_4),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_other_texts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
