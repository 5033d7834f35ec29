/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.h: which checkpoints of a plan stay, why, and until when.
 *
 * A pure function of a policy's rules, the plan's points and a moment: no clock, no database.
 * A point that any rule keeps stays. What the rules promise:
 *
 *  - Only good points count: those that are finished and not known to be damaged. A damaged point
 *    takes nobody's place; it stays as long as it would if it were whole, so that it can be mended.
 *  - Every schedule's points are counted by themselves, so nothing that people or other schedules
 *    make pushes them out.
 *  - "daily 7" keeps the last point of each of the 7 newest days that have one, in the policy's
 * time zone; days without a point do not count. Until there are as many days, the oldest point
 * stays too, so that history begins to fill at once. Weeks begin on Monday, hours are hours of UTC.
 *  - "days 14" keeps what is less than 14 days older than the plan's newest good point: when no new
 *    points come, or the clock jumps, nothing grows old.
 *  - The newest good point always stays, and so many more as the policy's minimum says.
 *  - Legal holds and locks win over everything. A point from the future is kept and not counted.
 *  - A point that no rule is for stays.
 *
 * Threads: pure functions; any thread.
 */
#ifndef HF_CORE_RETENTION_H
#define HF_CORE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* What a point that nobody's schedule made is made by. */
#define RETENTION_MANUAL "manual"
/* As a number: all of them. */
#define RETENTION_ALL UINT32_MAX
/* More days than this, or as many hours, are all of them. */
#define RETENTION_DAYS_MAX 100000

enum retention_level {
	RETENTION_LAST,
	RETENTION_HOURS,
	RETENTION_DAYS,
	RETENTION_HOURLY,
	RETENTION_DAILY,
	RETENTION_WEEKLY,
	RETENTION_MONTHLY,
	RETENTION_YEARLY,
	RETENTION_LEVELS
};
/* "last", "hours" … as in a policy's document. */
const char *retention_level_name(enum retention_level l);

enum retention_scope {
	RETENTION_OF_MAKER,  /* points that `maker` made: a schedule's name, or RETENTION_MANUAL */
	RETENTION_OF_EVERY,  /* every point of the plan */
	RETENTION_OF_OTHERS, /* points that no RETENTION_OF_MAKER of the same group is for */
};

/* Rules for some of the points. One that says nothing is as if it were not there. */
struct retention_set {
	enum retention_scope scope;
	unsigned group;	   /* the policy that it is from, where several hold for a plan */
	const char *maker; /* borrowed */
	uint32_t keep[RETENTION_LEVELS];
	bool forever; /* until somebody deletes them */
	bool both; /* last and days must both hold, as in Karbor; other levels are not looked at */
};

struct retention {
	const struct retention_set *sets; /* borrowed */
	size_t n_sets;
	uint32_t minimum;     /* so many of the newest good points stay; 0 is taken for 1 */
	uint32_t failed_days; /* failed points go after so many days, but for the newest */
	bool proven;	      /* the newest point that was verified stays */
};

enum retention_state {
	RETENTION_GOOD,	      /* finished, and not known to be damaged */
	RETENTION_DAMAGED,    /* finished, and something of it is lost */
	RETENTION_FAILED,     /* never became a checkpoint */
	RETENTION_UNFINISHED, /* somebody is at work on it */
};

/* Texts are borrowed. Points with the same instant are ordered by when they were committed, then by
 * id. */
struct retention_point {
	const char *id;
	const char *maker;
	uint64_t instant_us;
	uint64_t committed_us;
	uint64_t locked_until_us; /* 0: not locked */
	enum retention_state state;
	bool verified; /* it was proved to restore */
	bool held;     /* legal hold */
	bool awaited;  /* a copy of it has to be there before it may go, and is not yet */
};

/* A point that a schedule will make. Those that are not later than now are ignored. */
struct retention_firing {
	const char *maker; /* borrowed */
	uint64_t instant_us;
};

/* Where local time is ahead of UTC at a moment, in seconds. A NULL zone is UTC. */
struct retention_zone {
	int32_t (*offset_s)(void *arg, int64_t unix_s);
	void *arg;
};

enum retention_why {
	/* why it stays */
	RETENTION_HELD,
	RETENTION_LOCKED,
	RETENTION_AWAITED,	/* it is not copied yet */
	RETENTION_IS_NEWEST,	/* of the good ones */
	RETENTION_MINIMUM,	/* number of `of` */
	RETENTION_IS_PROVEN,	/* the newest that was verified */
	RETENTION_COUNTED,	/* level last: number of `of` */
	RETENTION_YOUNG,	/* level hours or days: `of` */
	RETENTION_PERIOD,	/* the last of its period, which is number of `of` */
	RETENTION_OLDEST,	/* until the level has `of` periods; it has `number` */
	RETENTION_FOREVER,	/* until somebody deletes it */
	RETENTION_UNCOVERED,	/* no rule is for it */
	RETENTION_FROM_FUTURE,	/* its instant is later than now */
	RETENTION_BEING_MADE,	/* unfinished */
	RETENTION_FAILED_YOUNG, /* `of` days */
	RETENTION_FAILED_LAST,	/* the newest failure, to see why */
	/* why it goes */
	RETENTION_NOT_COUNTED, /* level last: number of `of` */
	RETENTION_NOT_YOUNG,   /* level hours or days: `of` */
	RETENTION_NOT_LAST,    /* its period has a later point */
	RETENTION_NOT_RECENT,  /* its period is number of `of` */
	RETENTION_FAILED_OLD,  /* `of` days */
};

struct retention_reason {
	enum retention_why why;
	uint32_t set; /* index; of those from RETENTION_COUNTED to _FOREVER and _NOT_… */
	enum retention_level level;
	uint32_t number, of;
	int64_t period_s; /* when its period began, in seconds of local time since 1970 */
	uint64_t ends_us; /* when this stops to be a reason; 0: as in goes_at_us */
};

struct retention_verdict {
	bool keep;
	/*
	 * The earliest moment at which it goes if schedules fire as foretold and nothing else
	 * happens; now for those that go now; 0: never, or later than the firings reach.
	 */
	uint64_t goes_at_us;
	size_t first_reason, n_reasons; /* all of them, in retention_result.reasons */
};

struct retention_result {
	struct retention_verdict *verdicts; /* in the order of the points */
	size_t n;
	size_t n_kept;
	struct retention_reason *reasons;
	size_t n_reasons;
};

/*
 * Judge `n` points, given in any order, at `now_us`. `firings` in any order foretell the future for
 * goes_at_us; there may be none.
 */
void retention_decide(const struct retention *r, const struct retention_point *points, size_t n,
		      const struct retention_firing *firings, size_t n_firings, uint64_t now_us,
		      const struct retention_zone *zone, struct retention_result *ret_result);
void retention_result_done(struct retention_result *r);

/* From when to when a point lives. */
struct retention_life {
	bool future;	  /* a firing's point */
	size_t index;	  /* of the point, or of the firing */
	uint64_t born_us; /* its instant */
	uint64_t gone_us; /* 0: it lives on */
};

struct retention_timeline {
	struct retention_life *lives; /* by born_us */
	size_t n;
	size_t gone_now; /* so many points go at once */
};

/*
 * What would live when, from `now_us` to `until_us`, if every firing made a good point and
 * retention ran after each. It is the same as judging after every firing.
 */
void retention_simulate(const struct retention *r, const struct retention_point *points, size_t n,
			const struct retention_firing *firings, size_t n_firings, uint64_t now_us,
			uint64_t until_us, const struct retention_zone *zone,
			struct retention_timeline *ret_timeline);
void retention_timeline_done(struct retention_timeline *t);
/* How many live at a moment. */
size_t retention_timeline_alive(const struct retention_timeline *t, uint64_t at_us);

/*
 * Karbor's operation retention_protect as a set of rules for every point: at most so many, and none
 * older than so many days; what is not positive is off.
 */
struct retention_set retention_karbor(int64_t max_backups, int64_t retention_duration);

#define RETENTION_TEXT 256
/* A reason for people, "nightly: daily 3 of 7, the last of 2026-11-20"; returns `out`. */
char *retention_reason_text(const struct retention *r, const struct retention_reason *reason,
			    char out[RETENTION_TEXT]);
/* A word for programs: "hold", "last", "daily", "minimum" …; static. */
const char *retention_reason_word(const struct retention_reason *reason);

#endif
