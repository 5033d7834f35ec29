/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alignment.h: which block of an older stream stood where a block of the new one stands.
 *
 * Both are sequences of content-defined blocks. The lengths of such blocks depend on their content,
 * so lengths alone show where the two streams run in step, before anything is hashed. The answer is
 * a guess: it decides what a block is compared with, nothing else.
 *
 * Threads: an alignment belongs to one thread.
 */
#ifndef HF_MOVER_ALIGNMENT_H
#define HF_MOVER_ALIGNMENT_H

#include "repo/tree.h"

struct alignment;

/* With `old`, a sequence; `fetch` reads its nodes and is borrowed. */
struct alignment *alignment_new(const struct tree *old, struct fetch *fetch);
void alignment_free(struct alignment *a);
/*
 * The block of the old stream in whose place the next one of the new stream comes, which is `len`
 * bytes long; zero if there is none. Where the old stream cannot be read, it ends.
 */
void alignment_next(struct alignment *a, uint64_t len, struct block_ref *ret_before);

DEFINE_AUTO(alignment, alignment_free);

#endif
