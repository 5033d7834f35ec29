/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticker.h: a thread that does something again and again, with a rest in between.
 *
 * The rest is measured by the clock that never goes back. Threads: a ticker belongs to who started
 * it.
 */
#ifndef HF_BASE_TICKER_H
#define HF_BASE_TICKER_H

#include "base/err.h"

struct ticker;

/* `fn` is called at once, and `rest_ms` after it has returned, in a thread of its own. Fails where
 * there is no thread. */
struct ticker *ticker_start(void (*fn)(void *arg), void *arg, unsigned rest_ms, struct err *e);
/* Waits until `fn` has returned; it is not called again. NULL is fine. */
void ticker_stop(struct ticker *t);

#endif
