/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar_time.h: dates and times as iCalendar writes them: 20261121, 20261121T053000,
 * 20261121T053000Z. Any thread.
 */
#ifndef HF_SCHED_CALENDAR_TIME_H
#define HF_SCHED_CALENDAR_TIME_H

#include <stdbool.h>
#include <stdint.h>

struct calendar_time {
	int64_t local_s; /* civil.h; of a date: its start */
	bool utc;	 /* with Z */
	bool date_only;
};

/* The whole text; false: it is none, or outside of the years of civil.h. */
bool calendar_time_parse(const char *text, struct calendar_time *ret_t);

#endif
