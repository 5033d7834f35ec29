/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rrule.h: one recurrence rule of iCalendar (RFC 5545, 3.3.10) in local time.
 *
 * HOURLY to YEARLY, with every BYxxx that the RFC allows there; SECONDLY and MINUTELY, more than
 * one BYSECOND, and RSCALE are refused. Where the RFC leaves it open: the start counts only if the
 * rule gives it; what the rule does not say (day, hour …) is the start's; days of BYWEEKNO belong
 * to the calendar year that they lie in; BYSETPOS counts in whole periods, also in the first.
 * Firings after CIVIL_LAST_YEAR are not looked for.
 *
 * Looking for the next firing jumps to the period that holds it and takes less than some
 * milliseconds whatever the rule says. Pure; a rule never changes; any thread.
 */
#ifndef HF_SCHED_RRULE_H
#define HF_SCHED_RRULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define RRULE_TEXT_MAX 2000
/* COUNT at most: it is counted out when the rule is read. */
#define RRULE_COUNT_MAX 10000
#define RRULE_INTERVAL_MAX 10000
#define RRULE_POSITIONS 32

enum rrule_freq { RRULE_HOURLY, RRULE_DAILY, RRULE_WEEKLY, RRULE_MONTHLY, RRULE_YEARLY };

/* Members of BYxxx: bit n of `pos` is n, of `neg` is -n. */
struct rrule_month_days {
	uint32_t pos, neg;
};
struct rrule_ordinals {
	uint64_t pos, neg;
};
struct rrule_year_days {
	uint64_t pos[6], neg[6];
};

enum rrule_until { RRULE_FOR_EVER, RRULE_UNTIL_LOCAL, RRULE_UNTIL_UTC };

struct rrule {
	enum rrule_freq freq;
	int interval;
	int count;		/* 0: none. Once read, `until_s` says the same */
	enum rrule_until until; /* what `until_s` means; the last time that counts */
	int64_t until_s;
	int week_start;	   /* 0: Sunday */
	unsigned given;	   /* RRULE_BY_… that stand in the text */
	uint16_t months;   /* bit 1: January */
	uint8_t weekdays;  /* bit 0: Sunday; those without a number */
	bool has_ordinals; /* BYDAY has numbers: */
	struct rrule_ordinals nth[7];
	struct rrule_month_days month_days;
	struct rrule_year_days year_days;
	struct rrule_ordinals weeks;
	uint32_t hours;
	uint64_t minutes;
	int second;
	unsigned n_positions;
	int positions[RRULE_POSITIONS];
	int64_t start_s;
};

#define RRULE_BY_MONTH 1u
#define RRULE_BY_WEEKNO 2u
#define RRULE_BY_YEARDAY 4u
#define RRULE_BY_MONTHDAY 8u
#define RRULE_BY_DAY 16u
#define RRULE_BY_HOUR 32u
#define RRULE_BY_MINUTE 64u
#define RRULE_BY_SECOND 128u
#define RRULE_BY_SETPOS 256u

/*
 * Read "FREQ=DAILY;INTERVAL=2;BYHOUR=1,13", a rule that starts at the local time `start_s`.
 * ERR_INVALID, ERR_UNSUPPORTED, ERR_LIMIT name the part and its value.
 */
int rrule_parse(const char *text, int64_t start_s, struct rrule *ret_r, struct err *e);
/* The first local time strictly after `local_s`; false: none. Heeds COUNT and a local UNTIL only.
 */
bool rrule_next(const struct rrule *r, int64_t local_s, int64_t *ret_s);

#endif
