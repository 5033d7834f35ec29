/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel.h: one flag that asks everybody who works on an operation to stop.
 *
 * Thread-safe, and cancel_set() may be called in a signal handler. Whoever works looks at the flag
 * for every block or request; nobody waits without a bound while it can be raised.
 */
#ifndef HF_BASE_CANCEL_H
#define HF_BASE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct cancel {
	atomic_bool set;
};

static inline void cancel_set(struct cancel *c)
{
	atomic_store(&c->set, true);
}
static inline bool cancel_asked(const struct cancel *c)
{
	return c && atomic_load_explicit(&c->set, memory_order_relaxed);
}
/* -1 with ERR_CANCELLED when the flag is up. `c` may be NULL: never cancelled. */
static inline int cancel_check(const struct cancel *c, struct err *e)
{
	return cancel_asked(c) ? err_set(e, ERR_CANCELLED, "stopped on request") : 0;
}

#endif
