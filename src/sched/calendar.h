/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calendar.h: when an iCalendar text (RFC 5545) says that something happens.
 *
 * Of VCALENDAR and VEVENT, which may both be left out, it reads DTSTART, RRULE (several: their
 * union), RDATE and EXDATE; other components and properties are passed over; EXRULE, periods and a
 * second DTSTART are refused. A text on one line may write line ends as \n.
 *
 * Rules run in the local time of DTSTART's TZID (an IANA name), in UTC if DTSTART ends with Z, else
 * in the zone that is given. Without DTSTART they start at the given time. DTSTART counts only if a
 * rule gives it, or if there is neither a rule nor RDATE: then it is the only firing. EXDATE as a
 * date excludes that whole day.
 *
 * Pure; a calendar never changes; any thread.
 */
#ifndef HF_SCHED_CALENDAR_H
#define HF_SCHED_CALENDAR_H

#include "sched/zone.h"

#define CALENDAR_TEXT_MAX 16384
#define CALENDAR_RULES_MAX 16
#define CALENDAR_DATES_MAX 1000

struct calendar;

/* `start_s`: UTC. Errors name the property: ERR_INVALID, ERR_UNSUPPORTED, ERR_LIMIT. */
struct calendar *calendar_parse(const char *text, struct zones *zones, struct zone *zone,
				int64_t start_s, struct err *e);
void calendar_free(struct calendar *c);
DEFINE_AUTO(calendar, calendar_free);
/* The first instant strictly after `utc_s`; false: none. */
bool calendar_next(const struct calendar *c, int64_t utc_s, int64_t *ret_s);

#endif
