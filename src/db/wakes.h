/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wakes.h: who waits for something in this process. A channel is a name and how often it was woken;
 * it has a number as long as the process lives, so a set of channels is a word of bits.
 * Thread-safe.
 */
#ifndef HF_DB_WAKES_H
#define HF_DB_WAKES_H

#include <stdint.h>

#include "base/mem.h"

#define WAKES_MAX 64
#define WAKES_NAME 40 /* the longest name */

struct wakes;

struct wakes *wakes_new(void);
void wakes_free(struct wakes *w);
DEFINE_AUTO(wakes, wakes_free);

/* The number of a channel, which is made when it is new; -1: no such name, or there are
 * WAKES_MAX already. */
int wakes_number(struct wakes *w, const char *name);
/* The name of a channel that there is; lives as long as `w`. */
const char *wakes_name(struct wakes *w, unsigned number);
/* Wake who waits for the channels in this set; UINT64_MAX: all that there are. */
void wakes_bump(struct wakes *w, uint64_t set);
uint64_t wakes_count(struct wakes *w, unsigned number);
/* Until the count differs from `seen`, or so long. */
uint64_t wakes_wait(struct wakes *w, unsigned number, uint64_t seen, unsigned timeout_ms);

#endif
