/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline.h: the stages between a source and the repository.
 *
 *   reader ──slots──> workers (one per core) ──in order──> packer ──> session
 *           zero? as before? hash; known? compress  seal, pack, place in the tree
 *
 * A slot is a buffer with the blocks in it, and goes round: free, filled, worked, packed, free.
 * There is a fixed number of them, so memory is bounded and the slowest stage holds the others
 * back. The packer takes slots in the order in which the reader numbered them, so blocks lie in
 * packs as they do on the disk.
 *
 * This header is for the mover's own files: backup.c (disks) and stream.c (streams).
 */
#ifndef HF_MOVER_PIPELINE_H
#define HF_MOVER_PIPELINE_H

#include "base/cancel.h"
#include "base/progress.h"
#include "base/queue.h"
#include "mover/source.h"
#include "repo/session.h"

#define SLOT_BYTES ((size_t)512 << 10) /* small enough for the processor's caches */
#define SLOT_ITEMS 64

enum item_state { ITEM_ZERO, ITEM_KNOWN, ITEM_NEW };

/* One block in a slot. The worker compresses in place: a payload is never longer than its content.
 */
struct pipe_item {
	uint32_t off, len; /* in the slot's buffer */
	uint32_t payload;
	enum item_state state;
	enum block_encoding encoding;
	/* What stood here before, zeros if that is not known: equal means known. */
	struct block_ref parent;
	struct block_ref is;
};

enum slot_kind {
	SLOT_BLOCKS, /* items to be stored and placed */
	SLOT_AUDIT,  /* items that must equal their parent; not placed */
	SLOT_CLEAR,  /* no items: a range of blocks became a hole */
	SLOT_KEPT,   /* items without content, whose ids are known: to be placed */
};

struct pipe_slot {
	uint64_t number;
	enum slot_kind kind;
	uint64_t first, n_blocks; /* a disk's blocks; for SLOT_CLEAR any number of them */
	size_t n_items;
	struct pipe_item items[SLOT_ITEMS];
	uint8_t *buf;
	struct source_read read;
};

struct pipeline;

/* Fills slots until there is no more; runs in a thread of its own. */
typedef int pipe_read_fn(struct pipeline *p, void *arg, struct err *e);
/* Read what a slot's items are to hold, in a worker's thread, several at once. */
typedef int pipe_fill_fn(void *arg, struct pipe_slot *slot, struct err *e);
/* Place one slot's blocks, whose ids are known now, in a tree. */
typedef int pipe_place_fn(void *arg, const struct pipe_slot *slot, struct err *e);

struct pipeline_job {
	struct session *session;
	unsigned in_flight; /* slots that the reader may hold beside those being worked on */
	pipe_read_fn *read;
	pipe_fill_fn *fill; /* NULL: the reader gives slots with their content in them */
	pipe_place_fn *place;
	void *arg;
	struct progress *progress;
	const struct cancel *cancel;
};

/* Run it to its end. */
int pipeline_run(const struct pipeline_job *job, struct point_stats *stats, struct err *e);

/* For the reader: a free slot, with the next number; NULL when the pipeline stops. With `wait`
 * false also NULL when none is free just now. */
struct pipe_slot *pipeline_slot(struct pipeline *p, bool wait);
/* Hand a filled slot on; false when the pipeline stops. */
bool pipeline_give(struct pipeline *p, struct pipe_slot *slot);
/* Somebody failed or the user stopped it: -1. */
int pipeline_check(struct pipeline *p, struct err *e);

#endif
