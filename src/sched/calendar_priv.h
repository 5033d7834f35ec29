/* SPDX-License-Identifier: Apache-2.0 */
/* calendar_priv.h: a calendar as calendar.c keeps it, for who says it in words. */
#ifndef HF_SCHED_CALENDAR_PRIV_H
#define HF_SCHED_CALENDAR_PRIV_H

#include "sched/calendar.h"
#include "sched/rrule.h"

struct dates {
	int64_t *s;
	size_t n;
};

struct calendar {
	struct zone *zone;
	int64_t start_local_s;
	struct rrule *rules;
	size_t n_rules;
	struct dates also;	  /* RDATE; UTC, ascending */
	struct dates except;	  /* EXDATE; UTC, ascending */
	struct dates except_days; /* EXDATE of days; starts of local days, ascending */
};

#endif
