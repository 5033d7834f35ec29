/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler.h: fires triggers. Any number may run, in any number of processes; none is special.
 *
 * A scheduler marks some triggers that are due as its own for a few seconds, so that others take
 * other ones, and deals with each batch in one transaction: the firing is inserted, what belongs to
 * it is started, and the trigger's next time is stored. The key of the firing decides who has it,
 * and it exists if and only if its operations do. A mark that has run out, because its scheduler
 * died, only means that another one looks at the trigger.
 *
 * Whatever cannot be started is told in the firing, and does not hold up anything else.
 *
 * Threads: thread-safe.
 */
#ifndef HF_CORE_SCHEDULER_H
#define HF_CORE_SCHEDULER_H

#include "core/scheduled.h"
#include "sched/zone.h"

/*
 * Start what `s` says, in the transaction; `at_us` is the firing's name. May be called again if the
 * transaction is. An error that could go away (err_info: retryable) is tried again later; any other
 * is recorded in the firing. ERR_EXISTS: a rule says that nothing is to be started, which is no
 * failure.
 */
typedef int scheduler_start_fn(struct db_tx *x, const struct scheduled_operation *s, uint64_t at_us,
			       void *arg, struct err *e);

struct scheduler;
struct services;

/* `zones` is borrowed. */
struct scheduler *scheduler_new(struct db *d, struct zones *zones, scheduler_start_fn *start,
				void *arg);
/* Its thread fires nothing while the scheduler of this host is disabled; missed firings are dealt
 * with when it is enabled. Borrowed; before scheduler_begin(). */
void scheduler_obey(struct scheduler *s, struct services *services);
void scheduler_free(struct scheduler *s);
DEFINE_AUTO(scheduler, scheduler_free);

struct scheduler_counts {
	uint64_t fired, missed, skipped, failed; /* firings */
	uint64_t started;			 /* scheduled operations */
};

/*
 * Deal with all that is due at `now_us`. *ret_next_us: when the next trigger is; 0: none is. What
 * was done is added to *counts (may be NULL). An error may be of a part of it; what was done stays
 * done, and the rest is tried again some seconds later.
 */
int scheduler_run(struct scheduler *s, uint64_t now_us, struct scheduler_counts *counts,
		  uint64_t *ret_next_us, struct err *e);
/* A thread that does so whenever something is due, until scheduler_stop() or _free(). */
int scheduler_begin(struct scheduler *s, struct err *e);
void scheduler_stop(struct scheduler *s);
/*
 * Triggers that fired, or were made, in a future that a clock has left since would not fire until
 * then: they go on from now. What fired already does not again. The thread does so when it starts,
 * when it sees the clock jump, and from time to time.
 */
int scheduler_mend(struct scheduler *s, uint64_t now_us, struct err *e);
/*
 * Remove firings that are older than a day and are not among the newest fifty of their trigger.
 * The thread does so from time to time.
 */
int scheduler_prune(struct scheduler *s, uint64_t now_us, struct err *e);

#endif
