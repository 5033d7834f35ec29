/* SPDX-License-Identifier: Apache-2.0 */
/* words_priv.h: what crontabs and recurrence rules both come down to before they are said. */
#ifndef HF_SCHED_WORDS_PRIV_H
#define HF_SCHED_WORDS_PRIV_H

#include "base/buf.h"
#include "sched/calendar.h"
#include "sched/words.h"

#define ALL_HOURS 0xffffffu
#define ALL_WEEKDAYS 0x7fu
#define ALL_MONTHS 0x1ffeu
#define ALL_MONTH_DAYS 0xfffffffeu

struct said {
	/* times of a day */
	uint64_t minutes;
	uint32_t hours;
	int second;
	/* days */
	uint8_t weekdays;    /* bit 0: Sunday */
	uint32_t month_days; /* bit n: day n */
	bool last_day;	     /* of the month, too */
	bool either;	     /* one of both is enough; else only one of them is restricted */
	int nth;	     /* the n-th of the weekdays in a month, -1: the last; 0: all */
	uint16_t months;     /* bit 1: January */
	const char *unit; /* "days", "weeks", "months": every `interval` of them; NULL: every one */
	int interval;
};

/* False: there are no simple words, and `b` is as it was. *ret_local: the zone matters. */
bool words_say(const struct said *w, struct buf *b, bool *ret_local);
/* The same of a calendar. */
bool words_of_calendar(const struct calendar *c, struct buf *b, bool *ret_local);
/* ", until 2026-12-31 22:00:00": an instant in the zone. */
void words_until(struct buf *b, const struct zone *zone, int64_t utc_s);

#endif
