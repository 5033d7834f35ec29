/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem_sink.h: a sink in memory that fails when a test wants it to and notices what a sink must not
 * be asked. What is not written stays 0xa5.
 */
#ifndef HF_TEST_MEM_SINK_H
#define HF_TEST_MEM_SINK_H

#include <stdatomic.h>

#include "mover/sink.h"
#include "testing.h"

#define MEM_SINK_FILLER 0xa5

struct mem_sink {
	struct sink s;
	uint8_t *data;
	uint64_t size;
	uint64_t next;			/* ordered: where the next write belongs */
	unsigned fail_write, fail_zero; /* the n-th fails, from 1; 0: none */
	bool fail_finish;
	/* Told before every write, in its thread. */
	void (*before_write)(void *arg);
	void *arg;

	atomic_uint writes, zeros, finished;
	atomic_uint wrong;   /* out of bounds, or out of order */
	atomic_uint highest; /* number of a thread */
};

/* With or without a `zero`. Not freed with sink_free but with mem_sink_done. */
void mem_sink_init(struct mem_sink *m, uint64_t size, bool ordered, bool zero);
void mem_sink_done(struct mem_sink *m);

#endif
