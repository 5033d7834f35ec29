/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call of the store (of reads, every fifth) fails in turn, in every way that store_fault.h
 * knows: what was acknowledged stays, and the repository can be used afterwards.
 */
#include "scenario.h"

#include <string.h>

#include "repo/store_fault.h"

static const char *const names[] = {
	[FAULT_NONE] = "counting", [FAULT_ONCE] = "once",	    [FAULT_ONCE_DONE] = "once-done",
	[FAULT_DEAD] = "dead",	   [FAULT_DEAD_DONE] = "dead-done", [FAULT_READ] = "read",
	[FAULT_FULL] = "full",
};

static uint64_t count_calls(enum fault_mode mode)
{
	AUTO(store) inner = store_mem_new();
	AUTO(store) f = store_fault_new(inner, mode, UINT64_MAX);
	struct ledger l = {0};

	scenario_run(f, false, &l);
	assert_int_equal(l.failed, 0);
	assert_null(scenario_check(inner, &l));
	return store_fault_count(f);
}

/* Every so many calls: most reads are alike. */
static uint64_t stride_of(enum fault_mode mode)
{
	return mode == FAULT_READ ? 5 : 1;
}

static void enumerate(enum fault_mode mode, bool go_on)
{
	uint64_t calls = count_calls(mode);
	unsigned points = 0, wrong = 0;
	size_t failed = 0;

	for (uint64_t at = 1; at <= calls; at += stride_of(mode)) {
		AUTO(store) inner = store_mem_new();
		AUTO(store) f = store_fault_new(inner, mode, at);
		struct ledger l = {0};
		const char *what;

		points++;
		scenario_run(f, go_on, &l);
		failed += l.failed;
		what = scenario_check(inner, &l);
		if (!what)
			continue;
		wrong++;
		print_error("%s, call %llu of %llu: %s\n", names[mode], (unsigned long long)at,
			    (unsigned long long)calls, what);
	}
	printf("# %s: %u of %llu calls, %zu steps failed, %u wrong\n", names[mode], points,
	       (unsigned long long)calls, failed, wrong);
	assert_int_equal(wrong, 0);
	assert_true(calls > 100);
}

static void test_mode(void **state)
{
	enum fault_mode mode = (enum fault_mode)(uintptr_t)*state;

	/* A process that died takes no further steps. */
	enumerate(mode, mode != FAULT_DEAD && mode != FAULT_DEAD_DONE);
}

/* Which modes, by their names; all when none is given. */
int main(int argc, char **argv)
{
	struct CMUnitTest tests[FAULT_FULL];
	size_t n = 0;

	for (uintptr_t mode = FAULT_ONCE; mode <= FAULT_FULL; mode++) {
		bool wanted = argc == 1;

		for (int i = 1; i < argc; i++)
			wanted |= strcmp(argv[i], names[mode]) == 0;
		if (wanted)
			tests[n++] = (struct CMUnitTest){names[mode], test_mode, NULL, NULL,
							 (void *)mode};
	}
	return _cmocka_run_group_tests("fault_calls", tests, n, NULL, NULL);
}
