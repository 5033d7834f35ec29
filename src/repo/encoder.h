/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder.h: the payload of a new block: as a whole, or as what changed against what stood there
 * before (format section 6, encoding 2).
 *
 * A delta is made where it takes no more than seven eighths of what the block would take as a
 * whole, and never of a delta, so that a block is read with two reads at most.
 *
 * Threads: an encoder belongs to one thread; there may be many of one session.
 */
#ifndef HF_REPO_ENCODER_H
#define HF_REPO_ENCODER_H

#include "repo/session.h"

struct encoder;

/* The session is borrowed. */
struct encoder *encoder_new(struct session *s);
void encoder_free(struct encoder *en);
/* For ids. */
struct codec *encoder_codec(struct encoder *en);
/*
 * As codec_encode(); `before` is the id of the block in whose place this one comes: zero if there
 * was none. What cannot be read of it does not matter.
 */
size_t encoder_encode(struct encoder *en, const struct block_id *before, const void *data, size_t n,
		      void *out, enum block_encoding *ret_encoding);

DEFINE_AUTO(encoder, encoder_free);

#endif
