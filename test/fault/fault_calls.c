/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call of the store (of reads, every fifth) fails in turn, in every way that store_fault.h
 * knows: what was acknowledged stays, and the repository can be used afterwards.
 */
#include "scenario.h"

#include <string.h>

#include "repo/store_arbiter.h"
#include "repo/store_fault.h"

static const char *const names[] = {
	[FAULT_NONE] = "counting", [FAULT_ONCE] = "once",	    [FAULT_ONCE_DONE] = "once-done",
	[FAULT_DEAD] = "dead",	   [FAULT_DEAD_DONE] = "dead-done", [FAULT_READ] = "read",
	[FAULT_FULL] = "full",
};

/* Where faults happen: in a store that decides by itself, or in one of a bucket and its arbiter. */
enum where { ALONE, BUCKET, ARBITER, PLACES };
static const char *const places[PLACES] = {"alone", "bucket", "arbiter"};

/* What outlives every process, and how one has it. */
struct world {
	enum where where;
	struct store *mem, *other; /* `other`: the arbiter */
	struct store *fault, *s;
};

/* As somebody has it for whom nothing fails. */
static struct store *world_whole(const struct world *w)
{
	struct store *s = store_fault_new(w->mem, FAULT_NONE, 0);

	return w->other ? store_arbiter_new(s, store_fault_new(w->other, FAULT_NONE, 0)) : s;
}

static void world_make(struct world *w, enum where where, enum fault_mode mode, uint64_t at)
{
	*w = (struct world){.where = where, .mem = store_mem_new()};
	w->fault = store_fault_new(w->mem, mode, at);
	w->s = w->fault;
	if (where == ALONE)
		return;
	w->other = store_mem_new();
	if (where == BUCKET) {
		w->s = store_arbiter_new(w->fault, store_fault_new(w->other, FAULT_NONE, 0));
		return;
	}
	store_free(w->fault);
	w->fault = store_fault_new(w->other, mode, at);
	w->s = store_arbiter_new(store_fault_new(w->mem, FAULT_NONE, 0), w->fault);
}

static const char *world_check(const struct world *w, const struct ledger *l)
{
	AUTO(store) s = world_whole(w);

	return scenario_check(s, l);
}

static void world_done(struct world *w)
{
	store_free(w->s);
	store_free(w->mem);
	store_free(w->other);
}

static uint64_t count_calls(enum where where, enum fault_mode mode)
{
	struct ledger l = {0};
	struct world w;
	uint64_t n;

	world_make(&w, where, mode, UINT64_MAX);
	scenario_run(w.s, false, &l);
	assert_int_equal(l.failed, 0);
	assert_null(world_check(&w, &l));
	n = store_fault_count(w.fault);
	world_done(&w);
	return n;
}

/* Every so many calls: most reads are alike. */
static uint64_t stride_of(enum fault_mode mode)
{
	return mode == FAULT_READ ? 5 : 1;
}

static void enumerate(enum where where, enum fault_mode mode, bool go_on)
{
	uint64_t calls = count_calls(where, mode);
	unsigned points = 0, wrong = 0;
	size_t failed = 0;

	for (uint64_t at = 1; at <= calls; at += stride_of(mode)) {
		struct ledger l = {0};
		const char *what;
		struct world w;

		points++;
		world_make(&w, where, mode, at);
		scenario_run(w.s, go_on, &l);
		failed += l.failed;
		what = world_check(&w, &l);
		world_done(&w);
		if (!what)
			continue;
		wrong++;
		print_error("%s, %s, call %llu of %llu: %s\n", names[mode], places[where],
			    (unsigned long long)at, (unsigned long long)calls, what);
	}
	printf("# %s, %s: %u of %llu calls, %zu steps failed, %u wrong\n", names[mode],
	       places[where], points, (unsigned long long)calls, failed, wrong);
	assert_int_equal(wrong, 0);
	assert_true(calls > 100 || (where == ARBITER && calls > 30));
}

/* What a test is about: a mode and a place. */
static uintptr_t about(uintptr_t mode, uintptr_t where)
{
	return mode * PLACES + where;
}

static void test_mode(void **state)
{
	enum fault_mode mode = (enum fault_mode)((uintptr_t)*state / PLACES);

	/* A process that died takes no further steps. */
	enumerate((enum where)((uintptr_t)*state % PLACES), mode,
		  mode != FAULT_DEAD && mode != FAULT_DEAD_DONE);
}

/* Which mode, and which place ("alone" where none is named); every mode when none is given. */
int main(int argc, char **argv)
{
	struct CMUnitTest tests[FAULT_FULL];
	uintptr_t where = ALONE;
	size_t n = 0;

	for (uintptr_t k = 0; k < PLACES; k++)
		where = argc > 2 && strcmp(argv[2], places[k]) == 0 ? k : where;
	for (uintptr_t mode = FAULT_ONCE; mode <= FAULT_FULL; mode++) {
		if (argc == 1 || strcmp(argv[1], names[mode]) == 0)
			tests[n++] = (struct CMUnitTest){names[mode], test_mode, NULL, NULL,
							 (void *)about(mode, where)};
	}
	return _cmocka_run_group_tests("fault_calls", tests, n, NULL, NULL);
}
