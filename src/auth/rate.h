/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.h: how often something may happen: a token bucket for each key (a project, an address).
 *
 * Memory is bounded: a fixed number of buckets in sets of eight. A new key takes the place of the
 * one in its set that is nearest to full, which had the least to remember.
 *
 * Threads: thread-safe.
 */
#ifndef HF_AUTH_RATE_H
#define HF_AUTH_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct rate;

/* `per_second` over time, `burst` at once (at least 1); `keys`: for how many, rounded up. */
struct rate *rate_new(double per_second, double burst, size_t keys);
void rate_free(struct rate *r);
DEFINE_AUTO(rate, rate_free);

/*
 * Take `cost` for `key`, at clock_mono_us() `now_us`. False: not yet, and nothing was taken;
 * *ret_retry_s (may be NULL) is in how many seconds there is enough, rounded up, at least 1: for
 * Retry-After.
 */
bool rate_take(struct rate *r, const char *key, double cost, uint64_t now_us,
	       unsigned *ret_retry_s);
/* Change the limits; what was taken stays taken. */
void rate_set(struct rate *r, double per_second, double burst);

#endif
