/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h: bringing content back from a repository: to a sink, or to nothing, which verifies it.
 *
 * Every block is checked against its id before a byte of it is written.
 *
 * Threads: as backup.h.
 */
#ifndef HF_MOVER_RESTORE_H
#define HF_MOVER_RESTORE_H

#include "base/cancel.h"
#include "base/pace.h"
#include "base/progress.h"
#include "mover/sink.h"
#include "repo/point.h"
#include "repo/repo.h"
#include "repo/tree.h"

/* A part of the content that cannot be brought back: a block, or with NULL all below a node; return
 * 0 to go on without it, -1 to give up. Called by several threads, one at a time. */
typedef int restore_damage_fn(void *arg, const struct block_id *id, uint64_t offset, uint64_t len,
			      const struct err *why);

struct restore {
	struct repo *repo;
	const struct tree *tree;
	struct sink *sink;
	struct progress *progress;
	const struct cancel *cancel;
	restore_damage_fn *damage; /* NULL: the first damage ends it */
	tree_skip_fn *skip;	   /* asked of nodes and blocks, by one thread; NULL: nothing */
	void *arg;
	struct pace *pace; /* how fast it may be read; NULL: as fast as it goes */
};

/* How many threads will write what this repository has: what a sink is opened for. */
unsigned restore_threads(const struct repo *r);

/* Write all content to the sink and finish it. */
int restore_run(const struct restore *r, struct err *e);

/* Read all of a small tree into memory; ERR_LIMIT when it is longer than `max`. */
int restore_buffer(struct repo *repo, const struct tree *t, size_t max, struct buf *ret_b,
		   struct err *e);
/* The same of an item, which is a definition or some state: none needs more than 64 MiB. */
int restore_item(struct repo *repo, const struct point_item *it, struct buf *ret_b, struct err *e);

#endif
