/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep.h: what happens by itself to a plan's checkpoints: a scheduled operation makes one, and when
 * it is there, retention looks after the plan. Threads: as transactions.
 */
#ifndef HF_CORE_KEEP_H
#define HF_CORE_KEEP_H

#include "core/core.h"
#include "core/scheduler.h"

/* A scheduler_start_fn: `arg` is the core. */
int keep_start(struct db_tx *t, const struct scheduled_operation *s, uint64_t at_us, void *arg,
	       struct err *e);
/*
 * After `operation` made, copied or verified a checkpoint of `plan`: what no rule keeps goes, and
 * what its policies ask for besides (duties.h) is started. That retention cannot be
 * decided is told in the operation's log and costs nothing: everything stays.
 */
int keep_after(struct core *c, struct db_tx *t, const char *operation, const char *plan,
	       struct err *e);
/* The same, of the plan that this checkpoint is of. */
int keep_after_checkpoint(struct core *c, struct db_tx *t, const char *operation,
			  const char *checkpoint, struct err *e);

#endif
