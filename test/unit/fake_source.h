/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_source.h: a disk in memory as a source, with a map by script, which answers as late, as
 * piecemeal and as wrongly as a test wants.
 */
#ifndef HF_TEST_FAKE_SOURCE_H
#define HF_TEST_FAKE_SOURCE_H

#include <stdatomic.h>

#include "mover/source.h"
#include "testing.h"

#define FAKE_PENDING 64

struct fake_source {
	struct source s;
	const uint8_t *data;
	/* The map: extents one after the other from 0 on; NULL: all data. Borrowed. */
	const struct extent *map;
	size_t n_map;
	unsigned pieces; /* at most so many extents in one answer; 0: all */
	bool late;	 /* reads are done by wait, some of them, in any order */
	unsigned fail_read, fail_wait, fail_map; /* the n-th fails, from 1; 0: none */
	int read_errno;				 /* 0: start itself fails */
	/* Told before every read; may change anything. */
	void (*before_read)(struct fake_source *f, uint64_t off, size_t len);
	void *arg;
	struct random rnd;

	atomic_uint reads;
	unsigned waits, maps, drops;
	_Atomic uint64_t bytes; /* read */
	unsigned most, pending; /* reads in flight, at most and now */
	struct source_read *flying[FAKE_PENDING];
};

/* Over `size` bytes of `data`, which are borrowed; not freed with source_free but dropped. */
void fake_source_init(struct fake_source *f, const uint8_t *data, uint64_t size);
/* From now on workers read it, as they do a file. */
void fake_source_direct(struct fake_source *f);

#endif
