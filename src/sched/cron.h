/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cron.h: a crontab's five fields, as Vixie's cron reads them: minute, hour, day of the month,
 * month, day of the week. Values, lists, ranges, steps; English names of months and days; 7 is
 * Sunday too; @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually. Where both days
 * are restricted (neither starts with *), either is enough; else both must match. "5/10" is "from 5
 * to the end in steps of 10". Extensions of others (seconds, L, W, #, ?, @reboot) are refused.
 *
 * Pure: local times in, local times out (civil.h). Any thread.
 */
#ifndef HF_SCHED_CRON_H
#define HF_SCHED_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CRON_TEXT_MAX 1000

struct cron {
	uint64_t minutes; /* bit n: value n */
	uint32_t hours;
	uint32_t days;
	uint16_t months;
	uint8_t weekdays; /* bit 0: Sunday */
	bool either_day;  /* day of the month or of the week is enough */
};

/* ERR_INVALID names the field and the value. */
int cron_parse(const char *text, struct cron *ret_c, struct err *e);
/* It fires in every hour of the days on which it fires. */
bool cron_is_hourly(const struct cron *c);
/*
 * The first local time strictly after `local_s` that matches. False: there is none in the next
 * hundred years (as on February 30th).
 */
bool cron_next(const struct cron *c, int64_t local_s, int64_t *ret_s);

#endif
