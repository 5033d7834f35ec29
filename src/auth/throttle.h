/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.h: who guesses has to wait longer each time.
 *
 * An attempt counts as failed until it is forgiven, so that many at the same time do not slip
 * through before the first has failed. After some failures for free, each next one doubles the
 * wait, up to a most; failures are forgotten a quarter of an hour after the last.
 *
 * Memory is bounded, as in rate.h: a new key takes the place of the one in its set with the fewest
 * failures.
 *
 * Threads: thread-safe.
 */
#ifndef HF_AUTH_THROTTLE_H
#define HF_AUTH_THROTTLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define THROTTLE_FORGET_S 900

struct throttle;

struct throttle *throttle_new(size_t keys);
void throttle_free(struct throttle *t);
DEFINE_AUTO(throttle, throttle_free);

struct throttle_limit {
	unsigned free;	 /* failures without a wait */
	unsigned most_s; /* the longest wait */
};

/* 0: go on, and the attempt is counted; else in how many seconds to try again. `now_us` is
 * clock_mono_us(). */
unsigned throttle_attempt(struct throttle *t, const char *key, struct throttle_limit l,
			  uint64_t now_us);
/* It was right: nothing is held against `key` any more. */
void throttle_forgive(struct throttle *t, const char *key);
/* It did not come to an attempt: this one does not count. */
void throttle_take_back(struct throttle *t, const char *key);

#endif
