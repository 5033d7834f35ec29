/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testing.h: what unit tests share: cmocka, a repository in memory, seeded random data, folders.
 *
 * OK, FAILS and cmocka's assertions leave the test by a long jump: they are for the thread that
 * runs the test. Other threads count what goes wrong in an atomic and the test looks at that.
 */
#ifndef HF_TEST_TESTING_H
#define HF_TEST_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "repo/repo.h"
#include "repo/session.h"
#include "repo/store_mem.h"

/* A call that must succeed; its error is printed when it does not. */
#define OK(call)                                                                                   \
	do {                                                                                       \
		struct err err_ = {0};                                                             \
		struct err *e = &err_;                                                             \
		if ((call) < 0) {                                                                  \
			print_error("%s: %s\n", #call, err_.msg);                                  \
			fail();                                                                    \
		}                                                                                  \
	} while (0)
/* A call that gives a pointer and must succeed. */
#define OK_PTR(call)                                                                               \
	({                                                                                         \
		struct err err_ = {0};                                                             \
		struct err *e = &err_;                                                             \
		__auto_type ptr_ = (call);                                                         \
		if (!ptr_) {                                                                       \
			print_error("%s: %s\n", #call, err_.msg);                                  \
			fail();                                                                    \
		}                                                                                  \
		ptr_;                                                                              \
	})
/* A call that must fail in this way, and say so. */
#define FAILS(want, call)                                                                          \
	do {                                                                                       \
		struct err err_ = {0};                                                             \
		struct err *e = &err_;                                                             \
		if ((call) >= 0)                                                                   \
			fail_msg("%s succeeded", #call);                                           \
		if (err_.kind != (want))                                                           \
			fail_msg("%s: kind %s instead of %s: %s", #call,                           \
				 err_info(err_.kind)->name, err_info(want)->name, err_.msg);       \
		assert_true(err_.msg[0] != 0);                                                     \
	} while (0)
#define FAILS_PTR(want, call) FAILS(want, (call) ? 0 : -1)

/* A small, fast generator with a seed that a failing test prints (xorshift64*). */
struct random {
	uint64_t state;
};
uint64_t random_next(struct random *r);
/* 0 … n - 1 */
uint64_t random_below(struct random *r, uint64_t n);
/* Text-like bytes, which compress, or noise, which does not. */
void random_fill(struct random *r, void *out, size_t n, bool noise);
/* The seed of this run: HF_SEED, or a fixed one. */
uint64_t random_seed(void);

/* A key-file credential with fixed bytes: opens quickly. */
struct credential *test_credential(uint8_t byte);
/* A new ring for a repository with a fixed id, opened by test_credential(1), stored nowhere. */
struct keyring *test_keys(void);
/* A new repository in memory; the store is freed by the caller after the repo. */
struct repo *test_repo(struct store **ret_store);
/* The same, with so many per cent of parity. */
struct repo *test_repo_parity(struct store **ret_store, unsigned percent);
/* The repository in a store, with test_credential(1). */
struct repo *test_reopen(struct store *s);

/* Fixture of a test: test_repo() and its store. */
struct repo_fixture {
	struct store *s;
	struct repo *r;
};
int repo_fixture_up(void **state);
int repo_fixture_down(void **state);

/* A new empty folder, preferably in memory; test_folder_done removes it with all it holds. */
char *test_folder(void);
void test_folder_done(char *path);
/* How many files and folders lie in it. */
unsigned test_entries(const char *folder);
/* "FOLDER/NAME", to be freed. */
char *test_path(const char *folder, const char *name);
/* How many objects' names start with `prefix`. */
size_t test_count(struct store *s, const char *prefix);
/* The name of the n-th object under `prefix`, in the store's order; fails when there is none. */
void test_nth(struct store *s, const char *prefix, size_t n, char out[STORE_KEY_MAX]);
/* How many places in the index are deltas. */
uint64_t test_count_deltas(struct repo *r);

/* Run `fn` in `n` threads, each with its own number, and wait for all. */
typedef void test_thread_fn(void *arg, unsigned number);
void test_threads(unsigned n, test_thread_fn *fn, void *arg);

#endif
