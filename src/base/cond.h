/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cond.h: conditions of threads that wait for a time at most, by the clock that does not jump: a
 * wait by the wall clock lasts for days where somebody sets that back. Any thread.
 */
#ifndef HF_BASE_COND_H
#define HF_BASE_COND_H

#include <pthread.h>
#include <time.h>

/* One that pthread_cond_timedwait() waits on until a time of CLOCK_MONOTONIC, as cond_in_ms() and
 * clock_mono_us() tell it. */
void cond_init(pthread_cond_t *ret);
/* The time in so long. */
struct timespec cond_in_ms(unsigned ms);

#endif
