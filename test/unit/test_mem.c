/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "testing.h"

/* ---- memory that is out ---- */

static bool out_of_memory;
static bool expect_abort;
static jmp_buf aborted;

/* While memory is out, these have none; else they do what they do. */
#define STARVED(type, name, params, args)                                                          \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return out_of_memory ? NULL : __real_##name args;                                  \
	}
STARVED(void *, malloc, (size_t n), (n))
STARVED(void *, aligned_alloc, (size_t at, size_t n), (at, n))
STARVED(void *, calloc, (size_t n, size_t size), (n, size))
STARVED(void *, realloc, (void *p, size_t n), (p, n))
STARVED(char *, strdup, (const char *s), (s))
STARVED(char *, strndup, (const char *s, size_t n), (s, n))

/* A sanitizer's ends the program on overflow, where the C library's gives NULL. */
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (out_of_memory || __builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return __real_reallocarray(p, n, size);
}

int __real_vasprintf(char **s, const char *fmt, va_list ap);
int __wrap_vasprintf(char **s, const char *fmt, va_list ap);
int __wrap_vasprintf(char **s, const char *fmt, va_list ap)
{
	return out_of_memory ? -1 : __real_vasprintf(s, fmt, ap);
}

_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
_Noreturn void __wrap_abort(void)
{
	if (expect_abort)
		longjmp(aborted, 1);
	__real_abort();
}

static void do_malloc(void)
{
	free(xmalloc(10));
}
static void do_malloc_pages(void)
{
	void *p = xmalloc_pages(5000);

	assert_int_equal((uintptr_t)p % 4096, 0);
	free(p);
}
static void do_calloc(void)
{
	free(xcalloc(1, 10));
}
static void do_realloc(void)
{
	free(xrealloc(NULL, 10));
}
static void do_reallocarray(void)
{
	free(xreallocarray(NULL, 1, 10));
}
static void do_strdup(void)
{
	free(xstrdup("x"));
}
static void do_strdup0(void)
{
	free(xstrdup0("x"));
}
static void do_strndup(void)
{
	free(xstrndup("x", 1));
}
static void do_asprintf(void)
{
	free(xasprintf("%d", 1));
}
static void do_overflow(void)
{
	/* The product is small again: only reallocarray notices. */
	free(xreallocarray(NULL, SIZE_MAX / 8 + 2, 8));
}

/* Does `fn` end the process? What it says goes to `said`. */
static bool ends(void (*fn)(void), bool starve, char *said, size_t cap)
{
	int fds[2], saved = dup(STDERR_FILENO);
	volatile bool ended = false;
	ssize_t n;

	assert_true(saved >= 0);
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	expect_abort = true;
	if (setjmp(aborted) == 0) {
		out_of_memory = starve;
		fn();
	} else {
		ended = true;
	}
	out_of_memory = expect_abort = false;
	dup2(saved, STDERR_FILENO);
	n = read(fds[0], said, cap - 1);
	said[n > 0 ? n : 0] = 0;
	close(saved);
	close(fds[0]);
	close(fds[1]);
	return ended;
}

static void test_out_of_memory_ends_the_process(void **state)
{
	static void (*const fns[])(void) = {do_malloc,	do_malloc_pages, do_calloc,
					    do_realloc, do_reallocarray, do_strdup,
					    do_strdup0, do_strndup,	 do_asprintf};
	char said[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fns); i++) {
		assert_false(ends(fns[i], false, said, sizeof(said)));
		assert_string_equal(said, "");
		assert_true(ends(fns[i], true, said, sizeof(said)));
		assert_string_equal(said, "holdfast: out of memory\n");
	}
	assert_true(ends(do_overflow, false, said, sizeof(said)));
}

/* ---- the rest ---- */

static void test_nothing_is_something(void **state)
{
	AUTO_FREE char *a = xmalloc(0);
	AUTO_FREE char *b = xcalloc(0, 8);
	AUTO_FREE char *c = xcalloc(8, 0);
	AUTO_FREE char *d = xrealloc(NULL, 0);
	AUTO_FREE char *f = xreallocarray(NULL, 0, 8);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_non_null(d);
	assert_non_null(f);
}

static void test_contents(void **state)
{
	AUTO_FREE uint8_t *zeros = xcalloc(3, 5);
	AUTO_FREE char *text = xasprintf("%s-%d", "disk", 42);
	AUTO_FREE char *copy = xstrdup(text);
	AUTO_FREE char *part = xstrndup(text, 3);
	AUTO_FREE char *all = xstrndup(text, 300);
	AUTO_FREE char *again = xstrdup0("x");
	AUTO_FREE uint32_t *grown = xmalloc(sizeof(*grown));

	(void)state;
	for (int i = 0; i < 15; i++)
		assert_int_equal(zeros[i], 0);
	assert_string_equal(text, "disk-42");
	assert_string_equal(copy, "disk-42");
	assert_ptr_not_equal(copy, text);
	assert_string_equal(part, "dis");
	assert_string_equal(all, "disk-42");
	assert_string_equal(again, "x");
	assert_null(xstrdup0(NULL));
	grown[0] = 77;
	grown = xreallocarray(grown, 1000, sizeof(*grown));
	grown[999] = 1;
	grown = xrealloc(grown, 4000);
	assert_int_equal(grown[0], 77);
	assert_int_equal(grown[999], 1);
}

static void test_scopes_clean_up(void **state)
{
	char *p = xstrdup("mine");
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	{
		AUTO_CLOSE int a = fds[0];
		AUTO_CLOSE int b = fds[1];
		AUTO_CLOSE int none = -1;
		AUTO_FREE char *q = p;

		assert_ptr_equal(steal(&q), p);
		assert_null(q);
		assert_true(fcntl(a, F_GETFD) >= 0 && b >= 0 && none < 0);
	}
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
	assert_string_equal(p, "mine");
	free(p);
}

static void test_arithmetic(void **state)
{
	int three[3];

	(void)state;
	assert_int_equal(ARRAY_LEN(three), 3);
	assert_int_equal(MIN(2, 3), 2);
	assert_int_equal(MAX(2, 3), 3);
	assert_int_equal(DIV_UP(0, 4), 0);
	assert_int_equal(DIV_UP(4, 4), 1);
	assert_int_equal(DIV_UP(5, 4), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out_of_memory_ends_the_process),
		cmocka_unit_test(test_nothing_is_something),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_scopes_clean_up),
		cmocka_unit_test(test_arithmetic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
