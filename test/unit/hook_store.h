/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_store.h: a store around another one that tells a test of every call, before and after it, so
 * that the test can count, fail, or do what another process might do just then.
 */
#ifndef HF_TEST_HOOK_STORE_H
#define HF_TEST_HOOK_STORE_H

#include "repo/store.h"

enum hook_call {
	HOOK_GET,
	HOOK_SIZE,
	HOOK_LIST,
	HOOK_PUT_NEW,
	HOOK_REMOVE,
	HOOK_BEGIN,
	HOOK_REVOKE,
	HOOK_RENEW,
	HOOK_UPLOAD,
	HOOK_WRITE,
	HOOK_FINISH,
	HOOK_COMMIT,
	HOOK_END,
	HOOK_CALLS
};

/*
 * Before a call (`after` false): -1 makes it fail with `e`, undone. After one that succeeded: -1
 * makes it fail although it was done. `key` is the object's name, a session's id, or "". Called in
 * the thread of the call, without locks. HOOK_END cannot fail.
 */
typedef int hook_fn(void *arg, enum hook_call call, const char *key, bool after, struct err *e);

/* The inner store stays the caller's. */
struct store *hook_store_new(struct store *inner, hook_fn *fn, void *arg);

#endif
