/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fault.h: a store around another one that fails on purpose, for tests.
 *
 * Calls that change the store are counted from 1; call number `at` fails as the mode says. In the
 * modes that die, nothing works afterwards, as if the process had ended there: the inner store
 * holds what it would have left behind.
 *
 * Thread-safe as the inner store is, which stays the caller's.
 */
#ifndef HF_REPO_STORE_FAULT_H
#define HF_REPO_STORE_FAULT_H

#include "repo/store.h"

enum fault_mode {
	FAULT_NONE,	 /* only count */
	FAULT_ONCE,	 /* the call fails without having done anything; later ones work */
	FAULT_ONCE_DONE, /* the call is carried out and still reports a failure */
	FAULT_DEAD,	 /* as if the process had died right before the call */
	FAULT_DEAD_DONE, /* as if it had died right after it */
	FAULT_READ,	 /* reads are counted and fail instead, that one only */
	FAULT_FULL,	 /* from that call on, whatever adds bytes gets ERR_NOSPACE */
};

struct store *store_fault_new(struct store *inner, enum fault_mode mode, uint64_t at);
/* How many calls were counted. */
uint64_t store_fault_count(struct store *s);

#endif
