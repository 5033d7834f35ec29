/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h: the two clocks. clock_mono_us() measures how long something takes; clock_wall_us() is
 * only ever shown to people or recorded for them: nothing that keeps data safe depends on it. Any
 * thread.
 */
#ifndef HF_BASE_CLOCK_H
#define HF_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_TEXT 32 /* room for either text form */

/* Microseconds since an arbitrary start; never goes back. */
uint64_t clock_mono_us(void);
/* Microseconds since 1970-01-01T00:00:00Z. */
uint64_t clock_wall_us(void);
/* "2026-11-21T05:30:00Z" (RFC 3339) into `out` (CLOCK_TEXT bytes); returns `out`. */
char *clock_rfc3339(uint64_t wall_us, char *out);
/*
 * Read that form, perhaps with a fraction of a second ("2026-11-21T05:30:00.25Z"), which is left
 * off: UTC only, from 1970 to 9999, and nothing before or behind it. false: it is something else.
 */
bool clock_parse_rfc3339(const char *text, uint64_t *ret_wall_us);
/* "2026-11-21 05:30:00" in the machine's time zone, for people. */
char *clock_local(uint64_t wall_us, char *out);
/* Notices that the wall clock jumps. Asked every few seconds or minutes, by one thread. */
struct clock_watch {
	uint64_t wall_us, mono_us; /* when it was asked last */
	uint64_t jumped_us;	   /* by the clock that does not; 0: never */
};
void clock_watch_init(struct clock_watch *w);
/* How far the wall clock has moved against the other one since it was asked last. */
int64_t clock_watch_drift(struct clock_watch *w);
/*
 * May what is old by the wall clock be forgotten? Not for a day after it jumped by more than an
 * hour: if it still says so then, somebody has meant it.
 */
bool clock_watch_trusted(struct clock_watch *w);

void clock_sleep_ms(unsigned ms);

#endif
