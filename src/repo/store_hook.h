/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_hook.h: a store around another one that tells of every call, before and after it, so that
 * somebody can count, fail, or do what another process might do just then. For tests; store_fault.h
 * is made of it. Thread-safe as the inner store and the hook are.
 */
#ifndef HF_REPO_STORE_HOOK_H
#define HF_REPO_STORE_HOOK_H

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
 * Before a call (`after` false): 0 lets it be, -1 makes it fail with `e`, undone, and 1 has it
 * carried out and fail with `e` all the same. After one that succeeded: -1 makes it fail although
 * it was done. `key` is the object's name, a session's id, or "". Called in the thread of the call,
 * without locks. HOOK_END cannot fail.
 */
typedef int hook_fn(void *arg, enum hook_call call, const char *key, bool after, struct err *e);

/* The inner store stays the caller's; `arg` too, or with `own` it is freed with the store. */
struct store *store_hook_new(struct store *inner, hook_fn *fn, void *arg, bool own);
void *store_hook_arg(struct store *s);

#endif
