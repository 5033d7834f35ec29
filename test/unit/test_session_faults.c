/* SPDX-License-Identifier: Apache-2.0 */
/* A session whose store fails: what was not made durable is never published. */
#include "testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "repo/run.h"
#include "repo/store_hook.h"
#include "writer.h"

static _Thread_local bool linger;

int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);

/* A thread that lingers sleeps whenever it has given a lock back, so that others go first. */
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	int rc = __real_pthread_mutex_unlock(m);

	if (linger)
		clock_sleep_ms(60);
	return rc;
}

struct fault {
	enum hook_call call;
	const char *prefix;
	int left; /* so many of these calls still work */
	bool linger;
};

static int fail_call(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct fault *f = arg;

	if (after || call != f->call || strncmp(key, f->prefix, strlen(f->prefix)) != 0 ||
	    f->left-- > 0)
		return 0;
	linger = f->linger;
	return err_set(e, ERR_NOSPACE, "%s: no room (injected)", key);
}

/* No run may name a pack that is not there: its blocks would be taken for known for ever. */
static void assert_runs_are_true(struct store *s)
{
	struct repo *r = test_reopen(s);
	size_t n = test_count(s, "index/");

	for (size_t i = 0; i < n; i++) {
		uint8_t name[HASH_BYTES];
		char key[STORE_KEY_MAX];
		struct run *run;

		test_nth(s, "index/", i, key);
		assert_true(hex_decode(key + strlen("index/"), HASH_BYTES, name));
		run = OK_PTR(run_open(s, repo_keys(r), name, 0, e));
		for (size_t p = 0; p < run->n_packs; p++) {
			uint64_t size;

			pack_key_name(run->packs[p], key);
			OK(store_size(s, key, &size, e));
		}
		run_free(run);
	}
	repo_free(r);
}

/* One backup with this fault, then one without: that one must be whole. */
static void fail_and_go_on(struct fault *f)
{
	struct session_options o = {.pack_bytes = 200000, .run_entries = 15};
	AUTO(credential) c = test_credential(1);
	struct random rnd = {random_seed()};
	struct store *inner = store_mem_new(), *hooked = store_hook_new(inner, fail_call, f, false);
	struct repo *r;
	struct uuid id;
	struct disk d;

	OK(repo_create(inner, c, "", NULL, e));
	r = OK_PTR(repo_open(hooked, c, e));
	disk_make(&d, &rnd, 60);
	FAILS(ERR_NOSPACE, protect(r, &o, &d, &id, NULL, e));
	repo_free(r);
	assert_int_equal(test_count(inner, "points/"), 0);
	assert_runs_are_true(inner);
	r = test_reopen(inner);
	OK(protect(r, &o, &d, &id, NULL, e));
	assert_point(r, &id, &d);
	disk_done(&d);
	repo_free(r);
	store_free(hooked);
	store_free(inner);
}

static void test_failing_calls(void **state)
{
	static const struct fault faults[] = {
		{HOOK_BEGIN, "", 0, false},	   {HOOK_LIST, "epochs/", 0, false},
		{HOOK_UPLOAD, "", 0, false},	   {HOOK_UPLOAD, "", 2, false},
		{HOOK_WRITE, "", 0, false},	   {HOOK_WRITE, "", 3, false},
		{HOOK_FINISH, "packs/", 0, false}, {HOOK_FINISH, "packs/", 1, false},
		{HOOK_FINISH, "packs/", 3, false}, {HOOK_FINISH, "index/", 0, false},
		{HOOK_FINISH, "index/", 1, false}, {HOOK_COMMIT, "", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct fault f = faults[i];

		fail_and_go_on(&f);
	}
}

/*
 * The thread that makes packs durable fails and is slow to say so: the writer, which waits for it,
 * must not take its silence for success.
 */
static void test_slow_failure_in_background(void **state)
{
	(void)state;
	for (int left = 0; left < 4; left++) {
		struct fault f = {HOOK_FINISH, "packs/", left, true};

		fail_and_go_on(&f);
	}
}

static int let_finish_wait(void *arg, enum hook_call call, const char *key, bool after,
			   struct err *e)
{
	atomic_int *packs = arg;

	(void)e;
	if (call == HOOK_FINISH && !after && strncmp(key, "packs/", 6) == 0) {
		clock_sleep_ms(30);
		atomic_fetch_add(packs, 1);
	}
	return 0;
}

/* Freeing a session whose packs are still on their way waits for them and leaks nothing. */
static void test_free_while_finishing(void **state)
{
	struct session_options o = {.pack_bytes = 3000};
	AUTO(credential) c = test_credential(1);
	AUTO(store) inner = store_mem_new();
	atomic_int packs = 0;
	AUTO(store) s = store_hook_new(inner, let_finish_wait, &packs, false);
	struct repo *r;
	struct writer w;

	(void)state;
	OK(repo_create(inner, c, "", NULL, e));
	r = OK_PTR(repo_open(s, c, e));
	OK(writer_begin(&w, r, &o, e));
	for (uint8_t i = 0; i < 3; i++) {
		struct random rnd = {i + 1U};
		struct block_id id;
		uint8_t noise[4000];

		random_fill(&rnd, noise, sizeof(noise), true);
		assert_int_equal(writer_put(&w, noise, sizeof(noise), &id, NULL), 1);
	}
	writer_end(&w);
	assert_in_range(packs, 1, 3);
	assert_int_equal(test_count(inner, "packs/"), packs);
	repo_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failing_calls),
		cmocka_unit_test(test_slow_failure_in_background),
		cmocka_unit_test(test_free_while_finishing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
