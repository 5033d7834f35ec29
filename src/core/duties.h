/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duties.h: what policies ask for besides making and keeping checkpoints: that they are copied to
 * other providers, and verified (policy.h).
 *
 * Nothing is noted down: what is missing is worked out from the checkpoints, their copies and
 * verifications that are there. So whoever was killed in between, a policy that was changed and a
 * copy that failed need nothing of their own. Of each plan one copy to each provider is under way
 * at a time, the oldest checkpoint first, so that each is an increment of the one before; and one
 * verification. When one ends, the next begins. What failed is tried again after a pause.
 *
 * What is looked at and what is started is one transaction, so any number of schedulers may do it.
 * Threads: as transactions.
 */
#ifndef HF_CORE_DUTIES_H
#define HF_CORE_DUTIES_H

#include "core/core.h"
#include "core/plan_walk.h"

/* Pauses after a failure: the first, doubled with each one, and the longest. */
#define DUTIES_PAUSE_US UINT64_C(300000000)
#define DUTIES_PAUSE_MOST_US UINT64_C(21600000000)

/* Start what is missing of a plan, which may be gone. *ret_n: how many operations. */
int duties_plan(struct core *c, struct db_tx *t, const char *plan, uint64_t now_us, size_t *ret_n,
		struct err *e);
/*
 * After `operation`, which was about a checkpoint of `plan`. That something cannot be started is
 * told in the operation's log, and tried again by duties_run().
 */
int duties_after(struct core *c, struct db_tx *t, const char *operation, const char *plan,
		 struct err *e);

struct duties_report {
	size_t started;
	struct plan_walk walk;
};
/* All plans, each in a transaction of its own. */
int duties_run(struct core *c, uint64_t now_us, struct duties_report *ret_report, struct err *e);

#endif
