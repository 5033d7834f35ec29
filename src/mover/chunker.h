/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunker.h: where to cut a stream so that equal parts of two streams become equal blocks wherever
 * they lie: FastCDC (Xia et al., USENIX ATC 2016) with a gear table that depends on the
 * repository's keys, so that the cuts of known content cannot be foretold.
 *
 * The scan is a pure function over a chunker, which is read-only once made; any thread.
 */
#ifndef HF_MOVER_CHUNKER_H
#define HF_MOVER_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#include "repo/keyring.h"

struct chunker {
	size_t min, average, max;
	uint64_t before, after; /* masks: harder to meet before the average length, easier after */
	uint64_t gear[256];
};

/* `average` is a power of two; blocks are between a quarter and four times that. */
void chunker_init(struct chunker *c, const struct keyring *k, size_t average);
/* The length of the next block at `data`, where `n` bytes are at hand; n less than c->max means
 * that the stream ends there. */
size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t n);

#endif
