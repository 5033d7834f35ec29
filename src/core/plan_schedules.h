/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_schedules.h: the schedules of a plan's policies, as triggers and scheduled operations of the
 * plan's project, which follow when a plan or a policy changes. Threads: as transactions.
 */
#ifndef HF_CORE_PLAN_SCHEDULES_H
#define HF_CORE_PLAN_SCHEDULES_H

#include "core/core.h"

/*
 * Make those that the plan should have and has not, and remove those that it should not have.
 * `plan` that is gone: all of its go.
 */
int plan_schedules_sync(struct core *c, struct db_tx *t, const char *plan, struct err *e);
/* They do not fire, or fire again. */
int plan_schedules_pause(struct db_tx *t, const char *plan, bool paused, struct err *e);
/* Before a plan is removed: all of its go. */
int plan_schedules_clear(struct db_tx *t, const char *plan, struct err *e);
/* Of every plan that has the policy, or, where it is mandatory, that it holds for (`project` NULL:
 * all). */
int plan_schedules_sync_policy(struct core *c, struct db_tx *t, const char *policy,
			       const char *project, bool mandatory, struct err *e);

#endif
