/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coverage_due.h: when a plan is late. Each of its schedules (scheduled operations that protect,
 * with a trigger of type time, both enabled) promises a checkpoint for each firing. A checkpoint
 * keeps the promises of all firings until it was begun. The first firing after it is late when it
 * could have begun at the latest (the trigger's window; not before that of the plan's policies
 * opens), and twice the time has passed that the newest good checkpoint took. A schedule promises
 * from when it was last changed. Events promise nothing. Where the plan's policies say how old the
 * newest may be (rpo), that alone counts.
 *
 * Threads: belong to their transaction.
 */
#ifndef HF_CORE_COVERAGE_DUE_H
#define HF_CORE_COVERAGE_DUE_H

#include "core/policy.h"
#include "db/db.h"
#include "sched/zone.h"

struct promises;
/* Of a plan; a schedule that cannot be read promises nothing, as it does not fire. */
struct promises *promises_load(struct db_tx *t, struct zones *zones, const char *plan,
			       struct err *e);
void promises_free(struct promises *p);
DEFINE_AUTO(promises, promises_free);

/* Add one: properties of a trigger, promised from `from_us`. For promises_load and tests. */
struct promises *promises_new(void);
void promises_add(struct promises *p, struct zones *zones, const char *trigger,
		  const char *properties, uint64_t from_us);
/* Window and rpo are those of `policy`, which is taken over; NULL: none. */
void promises_within(struct promises *p, struct policy *policy);

/* From when on it is late if the newest was begun at `made_us` and takes `took_us`; 0: never. */
uint64_t promises_due(const struct promises *p, uint64_t made_us, uint64_t took_us);

#endif
