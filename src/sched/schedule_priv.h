/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule_priv.h: what schedule.c and schedule_parse.c share.
 */
#ifndef HF_SCHED_SCHEDULE_PRIV_H
#define HF_SCHED_SCHEDULE_PRIV_H

#include "sched/calendar.h"
#include "sched/cron.h"
#include "sched/schedule.h"

#define SECOND_US 1000000

enum misfire { MISFIRE_SKIP, MISFIRE_ONCE, MISFIRE_ALL };

struct schedule {
	struct zone *zone;
	struct calendar *calendar; /* NULL: cron */
	struct cron cron;
	int64_t start_s, end_s; /* both fire */
	unsigned window_s, jitter_s;
	enum misfire misfire;
	unsigned misfire_limit;
};

#endif
