/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h: when a trigger fires: the properties of a trigger of type "time", understood.
 *
 *	format		"crontab" (cron.h) or "calendar" (calendar.h)
 *	pattern		the text
 *	timezone	IANA name, by which the pattern is meant; UTC without
 *	start_time	nothing fires before it; rules without DTSTART begin there. Without: now
 *	end_time	nothing fires after it
 *	window		seconds; a firing that begins later than this is missed. 900 without
 *	jitter		seconds; each firing is moved by something from 0 to this, less than to the
 *			next one; always the same for the same trigger and firing
 *	misfire		what is done with missed firings: "skip", "once": one of them is made up for
 *			if no later one is on time, "all": all, the newest `misfire_limit`. Without:
 *			"once"
 *	misfire_limit	10 without
 *
 * Times are written as when.h says. Where clocks change, a crontab that fires in every hour follows
 * what clocks show; one with chosen hours fires once for each of its times, as calendars do: at the
 * first of two, and moved forward with the clocks where its time is left out.
 *
 * Instants are microseconds since 1970 UTC. A schedule never changes; any thread; no clock is read.
 */
#ifndef HF_SCHED_SCHEDULE_H
#define HF_SCHED_SCHEDULE_H

#include <jansson.h>

#include "sched/zone.h"

#define SCHEDULE_WINDOW_S 900
#define SCHEDULE_WINDOW_MIN_S 60
#define SCHEDULE_WINDOW_MAX_S (7 * 86400)
#define SCHEDULE_JITTER_MAX_S 86400
#define SCHEDULE_MISFIRE_LIMIT 10
#define SCHEDULE_MISFIRE_LIMIT_MAX 100

struct schedule;

/* ERR_INVALID, ERR_UNSUPPORTED, ERR_LIMIT; the message begins with the property's name. */
struct schedule *schedule_parse(const json_t *properties, struct zones *zones, uint64_t now_us,
				struct err *e);
void schedule_free(struct schedule *s);
DEFINE_AUTO(schedule, schedule_free);

/* Properties with a start_time: what was given, or `now_us` if that is missing or null. New. */
json_t *schedule_with_start(const json_t *properties, uint64_t now_us);

/* How many firings that were missed are made up for at most: 0 (skip), 1 (once), or the limit. */
unsigned schedule_makes_up(const struct schedule *s);
/* The first firing strictly after `after_us`, without its jitter. False: there is none. */
bool schedule_next(const struct schedule *s, uint64_t after_us, uint64_t *ret_at_us);
/* The next `n` into `ret_at_us`; how many there are. */
size_t schedule_next_n(const struct schedule *s, uint64_t after_us, size_t n, uint64_t *ret_at_us);
/* When the firing `at_us` is to begin: with the jitter of the trigger with this id. */
uint64_t schedule_begin(const struct schedule *s, const char *trigger, uint64_t at_us);

/* How late a firing may begin. */
unsigned schedule_window_s(const struct schedule *s);

struct schedule_firing {
	uint64_t at_us;	  /* without jitter: its name */
	bool fire;	  /* else it is skipped */
	char reason[128]; /* "" if it is on time; why it is skipped or late */
};

/* At most so many are listed; older ones are told together, in the first. */
#define SCHEDULE_LISTED (SCHEDULE_MISFIRE_LIMIT_MAX + 1)

struct schedule_due {
	struct schedule_firing *list; /* ascending */
	size_t n;
	uint64_t next_us; /* when to ask again: the beginning of the first that is not due; 0: never
			   */
};

/*
 * What has become due after the firing (or beginning) `last_us` until `now_us`, and what is to be
 * done with it. Free with schedule_due_done().
 */
void schedule_due(const struct schedule *s, const char *trigger, uint64_t last_us, uint64_t now_us,
		  struct schedule_due *ret_due);
void schedule_due_done(struct schedule_due *d);

#endif
