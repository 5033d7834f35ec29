/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.h: work that begins by itself begins in the window of the plan's policies (policy.h), and
 * what people ask for begins at once. What has begun goes on after the window.
 *
 * What a trigger starts outside of it waits for it, as the trigger's misfire rule says: "skip":
 * nothing waits; "once": one does, and what comes meanwhile is made up for by it; "all": as many as
 * its misfire_limit. What waits is asked again every few minutes, so a window that is changed
 * counts at once, and so does a clock that was put right. Threads: as transactions.
 */
#ifndef HF_CORE_WINDOW_H
#define HF_CORE_WINDOW_H

#include "core/core.h"
#include "core/scheduled.h"

/*
 * A trigger fires: may `s` start an operation, which begins now or waits? ERR_EXISTS if not; the
 * message is the reason.
 */
int window_admit(struct core *c, struct db_tx *t, const struct scheduled_operation *s,
		 uint64_t now_us, struct err *e);
/* may_begin of kinds of steps (flow.h). */
int window_may_begin(struct db_tx *t, const struct flow_step *s, uint64_t now_us,
		     uint64_t *ret_until_us, char why[FLOW_WHY], struct err *e);

#endif
