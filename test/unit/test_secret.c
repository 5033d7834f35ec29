/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "testing.h"

/* ---- what is done to the pages ---- */

static struct {
	void *locked, *undumped;
	size_t locked_len, undumped_len;
	bool wiped; /* all zeros when they were given back */
	bool refuse_pages;
	bool expect_abort;
} pages;
static jmp_buf aborted;
static void *unfinished; /* what an aborted secret_new had */

void *__real_xcalloc(size_t n, size_t size);
void *__wrap_xcalloc(size_t n, size_t size);
void *__wrap_xcalloc(size_t n, size_t size)
{
	unfinished = __real_xcalloc(n, size);
	return unfinished;
}

int __real_mlock(const void *p, size_t n);
int __wrap_mlock(const void *p, size_t n);
int __wrap_mlock(const void *p, size_t n)
{
	pages.locked = (void *)p;
	pages.locked_len = n;
	/* As under a small RLIMIT_MEMLOCK: that must not matter. */
	errno = ENOMEM;
	return -1;
}

int __real_madvise(void *p, size_t n, int advice);
int __wrap_madvise(void *p, size_t n, int advice);
int __wrap_madvise(void *p, size_t n, int advice)
{
	if (advice == MADV_DONTDUMP) {
		pages.undumped = p;
		pages.undumped_len = n;
	}
	return __real_madvise(p, n, advice);
}

int __real_munmap(void *p, size_t n);
int __wrap_munmap(void *p, size_t n);
int __wrap_munmap(void *p, size_t n)
{
	const uint8_t *bytes = p;

	pages.wiped = true;
	for (size_t i = 0; i < n; i++)
		pages.wiped = pages.wiped && bytes[i] == 0;
	return __real_munmap(p, n);
}

void *__real_mmap64(void *p, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *p, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *p, size_t n, int prot, int flags, int fd, off_t off)
{
	return pages.refuse_pages ? MAP_FAILED : __real_mmap64(p, n, prot, flags, fd, off);
}

_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
_Noreturn void __wrap_abort(void)
{
	if (pages.expect_abort)
		longjmp(aborted, 1);
	__real_abort();
}

static void test_lies_in_pages_of_its_own(void **state)
{
	static const size_t lengths[] = {0, 1, 32, 4095, 4096, 4097, 100000};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct secret *s = secret_new(lengths[i]);

		assert_int_equal(s->len, lengths[i]);
		assert_true(s->cap >= s->len && s->cap > 0 && s->cap % page == 0);
		assert_int_equal((uintptr_t)s->data % page, 0);
		assert_ptr_equal(pages.locked, s->data);
		assert_int_equal(pages.locked_len, s->cap);
		assert_ptr_equal(pages.undumped, s->data);
		assert_int_equal(pages.undumped_len, s->cap);
		for (size_t j = 0; j < s->len; j++)
			assert_int_equal(s->data[j], 0);
		memset(s->data, 0x5a, s->cap);
		pages.wiped = false;
		secret_free(s);
		assert_true(pages.wiped);
	}
	secret_free(NULL);
}

static void test_compares(void **state)
{
	AUTO(secret) a = secret_of("passphrase", 10);
	AUTO(secret) same = secret_of("passphrase", 10);
	AUTO(secret) shorter = secret_of("passphras", 9);
	AUTO(secret) none = secret_of("", 0);

	(void)state;
	assert_memory_equal(a->data, "passphrase", 10);
	assert_true(secret_equal(a, same));
	assert_true(secret_equal(none, none));
	assert_false(secret_equal(a, shorter));
	assert_false(secret_equal(shorter, a));
	assert_false(secret_equal(a, none));
	/* Every single bit counts. */
	for (size_t bit = 0; bit < 80; bit++) {
		same->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(secret_equal(a, same));
		same->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(secret_equal(a, same));
}

static void test_wipes_plain_memory(void **state)
{
	char text[] = "0123456789";

	(void)state;
	secret_wipe(text + 2, 5);
	assert_memory_equal(text,
			    "01\0\0\0\0\0"
			    "789",
			    10);
}

static void test_no_pages_end_the_process(void **state)
{
	struct secret *volatile s = NULL;
	volatile bool ended = false;

	(void)state;
	pages.refuse_pages = pages.expect_abort = true;
	if (setjmp(aborted) == 0)
		s = secret_new(1);
	else
		ended = true;
	pages.refuse_pages = pages.expect_abort = false;
	assert_true(ended);
	assert_null(s);
	free(unfinished);
}

static void test_harden(void **state)
{
	struct rlimit core;

	(void)state;
	secret_harden();
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
	assert_int_equal(core.rlim_cur, 0);
	assert_int_equal(core.rlim_max, 0);
	/* A leak checker looks into this process. */
	prctl(PR_SET_DUMPABLE, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies_in_pages_of_its_own),
		cmocka_unit_test(test_compares),
		cmocka_unit_test(test_wipes_plain_memory),
		cmocka_unit_test(test_no_pages_end_the_process),
		cmocka_unit_test(test_harden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
