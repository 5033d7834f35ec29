/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h: reading any part of a disk's content, in any order, by any number of threads.
 *
 * Blocks are checked against their ids before a byte of them is given. What was read is kept for a
 * while, within a bound; whoever reads on where the last read ended gets what follows read ahead.
 *
 * Thread-safe.
 */
#ifndef HF_REPO_VIEW_H
#define HF_REPO_VIEW_H

#include "repo/tree.h"

struct view;

#define VIEW_CACHE ((size_t)32 << 20)

/* The content of a map; `cache` bytes of blocks are kept at most. The repository must outlive it.
 * ERR_UNSUPPORTED for a stream. */
struct view *view_open(struct repo *r, const struct tree *t, size_t cache, struct err *e);
/* No read may be under way. NULL is fine. */
void view_free(struct view *v);
uint64_t view_size(const struct view *v);

/* ERR_INVALID for what is beyond the end, ERR_CORRUPT for what cannot be brought back. */
int view_read(struct view *v, void *buf, size_t len, uint64_t off, struct err *e);
/* Is what lies at `off` stored, or a hole that reads as zeros; and how far does that reach, to
 * `len` bytes from `off` at most? */
int view_extent(struct view *v, uint64_t off, uint64_t len, bool *ret_hole, uint64_t *ret_len,
		struct err *e);

DEFINE_AUTO(view, view_free);

#endif
