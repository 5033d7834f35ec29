/* SPDX-License-Identifier: Apache-2.0 */
#include "core/retention.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define LABEL 64

static const struct {
	const char *name;
	const char *period; /* "so many of them" */
	const char *format; /* of a period's begin, for strftime */
} levels[] = {
	[RETENTION_LAST] = {"last", "points", NULL},
	[RETENTION_HOURS] = {"hours", "hours", NULL},
	[RETENTION_DAYS] = {"days", "days", NULL},
	[RETENTION_HOURLY] = {"hourly", "hours", "the hour of %Y-%m-%d %H:%M"},
	[RETENTION_DAILY] = {"daily", "days", "%Y-%m-%d"},
	[RETENTION_WEEKLY] = {"weekly", "weeks", "the week of %Y-%m-%d"},
	[RETENTION_MONTHLY] = {"monthly", "months", "%Y-%m"},
	[RETENTION_YEARLY] = {"yearly", "years", "%Y"},
};

const char *retention_level_name(enum retention_level l)
{
	return levels[l].name;
}

const char *retention_reason_word(const struct retention_reason *reason)
{
	switch (reason->why) {
	case RETENTION_HELD:
		return "hold";
	case RETENTION_LOCKED:
		return "lock";
	case RETENTION_AWAITED:
		return "copy";
	case RETENTION_IS_NEWEST:
		return "newest";
	case RETENTION_MINIMUM:
		return "minimum";
	case RETENTION_IS_PROVEN:
		return "proven";
	case RETENTION_OLDEST:
		return "oldest";
	case RETENTION_FOREVER:
		return "forever";
	case RETENTION_UNCOVERED:
		return "no_rule";
	case RETENTION_FROM_FUTURE:
		return "future";
	case RETENTION_BEING_MADE:
		return "unfinished";
	case RETENTION_FAILED_YOUNG:
	case RETENTION_FAILED_LAST:
	case RETENTION_FAILED_OLD:
		return "failed";
	default:
		return levels[reason->level].name;
	}
}

/* "7", or "all". */
static const char *number_text(uint32_t v, char out[LABEL])
{
	if (v == RETENTION_ALL)
		return "all";
	snprintf(out, LABEL, "%u", v);
	return out;
}

static const char *period_text(const struct retention_reason *x, char out[LABEL])
{
	const char *format = levels[x->level].format;
	time_t at = (time_t)x->period_s;
	struct tm tm;

	/* The format is one of the table's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (!format || !gmtime_r(&at, &tm) || strftime(out, LABEL, format, &tm) == 0)
		snprintf(out, LABEL, "its period");
#pragma GCC diagnostic pop
	return out;
}

/* What a rule of a set says. */
static void rule_text(const struct retention_reason *x, char *out, size_t size)
{
	char number[LABEL], label[LABEL];
	const char *of = number_text(x->of, number), *level = levels[x->level].name;
	const char *periods = levels[x->level].period;

	switch (x->why) {
	case RETENTION_COUNTED:
	case RETENTION_NOT_COUNTED:
		snprintf(out, size, "%s %u of %s", level, x->number, of);
		break;
	case RETENTION_YOUNG:
		snprintf(out, size, "newer than %s %s", of, periods);
		break;
	case RETENTION_NOT_YOUNG:
		snprintf(out, size, "older than %s %s", of, periods);
		break;
	case RETENTION_PERIOD:
	case RETENTION_NOT_RECENT:
		snprintf(out, size, "%s %u of %s, the last of %s", level, x->number, of,
			 period_text(x, label));
		break;
	case RETENTION_NOT_LAST:
		snprintf(out, size, "%s %s: %s has a later point", level, of,
			 period_text(x, label));
		break;
	case RETENTION_OLDEST:
		snprintf(out, size, "%s: the oldest, as there are points of %u of %s %s", level,
			 x->number, of, periods);
		break;
	default:
		snprintf(out, size, "kept until it is deleted by hand");
	}
}

static void plan_text(const struct retention_reason *x, char *out, size_t size)
{
	static const char *const texts[] = {
		[RETENTION_HELD] = "legal hold",
		[RETENTION_AWAITED] = "it is not copied yet as the policy asks for",
		[RETENTION_IS_NEWEST] = "the newest good point",
		[RETENTION_IS_PROVEN] = "the newest point that was verified",
		[RETENTION_UNCOVERED] = "no rule of the policy is for points like this one",
		[RETENTION_FROM_FUTURE] = "its time is in the future: does not count",
		[RETENTION_BEING_MADE] = "it is being made",
		[RETENTION_FAILED_LAST] = "the newest failure, to see why",
	};
	char number[LABEL], when[CLOCK_TEXT];

	switch (x->why) {
	case RETENTION_LOCKED:
		snprintf(out, size, "locked until %s", clock_rfc3339(x->ends_us, when));
		break;
	case RETENTION_MINIMUM:
		snprintf(out, size, "minimum of %s good points: number %u",
			 number_text(x->of, number), x->number);
		break;
	case RETENTION_FAILED_YOUNG:
		snprintf(out, size, "failed less than %s days ago", number_text(x->of, number));
		break;
	case RETENTION_FAILED_OLD:
		snprintf(out, size, "failed %s days ago or earlier", number_text(x->of, number));
		break;
	default:
		snprintf(out, size, "%s", texts[x->why]);
	}
}

static bool of_set(const struct retention_reason *x)
{
	switch (x->why) {
	case RETENTION_COUNTED:
	case RETENTION_YOUNG:
	case RETENTION_PERIOD:
	case RETENTION_OLDEST:
	case RETENTION_FOREVER:
	case RETENTION_NOT_COUNTED:
	case RETENTION_NOT_YOUNG:
	case RETENTION_NOT_LAST:
	case RETENTION_NOT_RECENT:
		return true;
	default:
		return false;
	}
}

char *retention_reason_text(const struct retention *r, const struct retention_reason *reason,
			    char out[RETENTION_TEXT])
{
	const struct retention_set *set;
	int n = 0;

	if (!of_set(reason)) {
		plan_text(reason, out, RETENTION_TEXT);
		return out;
	}
	set = &r->sets[reason->set];
	if (set->scope == RETENTION_OF_MAKER)
		n = snprintf(out, RETENTION_TEXT, "%.100s: ", set->maker);
	rule_text(reason, out + n, RETENTION_TEXT - (size_t)n);
	return out;
}
