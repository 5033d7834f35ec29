/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h: counters of an operation, for whoever watches it. Thread-safe: any thread adds, any
 * thread reads; numbers read together may be of slightly different moments.
 */
#ifndef HF_BASE_PROGRESS_H
#define HF_BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

struct progress {
	atomic_uint_fast64_t total;  /* bytes of content there are to pass */
	atomic_uint_fast64_t passed; /* of that: read, skipped or written */
	atomic_uint_fast64_t read;   /* bytes read from the source or the store */
	atomic_uint_fast64_t fresh;  /* of these, new to the repository (backup) */
	atomic_uint_fast64_t stored; /* bytes sent to the store (backup) or written (restore) */
};

static inline void progress_add(atomic_uint_fast64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}
static inline uint64_t progress_get(const atomic_uint_fast64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
