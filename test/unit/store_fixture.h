/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fixture.h: an empty store of each kind, for tests that hold for all of them.
 */
#ifndef HF_TEST_STORE_FIXTURE_H
#define HF_TEST_STORE_FIXTURE_H

#include "testing.h"

/* Buckets, and nothing else, where HF_TEST_S3 says which: integration tests start a service. */
enum store_kind {
	ON_DIR,
	ON_MEM,
	ON_FAULT,
	ON_HOOK,
	ON_CACHE,
	ON_ARBITER,
	ON_S3,
	ON_S3_ARBITER,
	STORE_KINDS
};
extern const char *const store_kind_names[STORE_KINDS];
/* Is it one that needs HF_TEST_S3? */
bool store_kind_in_bucket(enum store_kind k);

struct store_fixture {
	enum store_kind kind;
	struct store *s, *inner;
	char *folder;
};

/* *state: the kind, then the fixture. */
int store_set_up(void **state);
int store_tear_down(void **state);

#endif
