/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h: a policy's document, understood: when checkpoints are made, how, and how long they
 * stay. All fields may be left out:
 *
 *	schedules	array; of each:
 *	    name	unique; letters, digits, space, _ - and .; what it makes is marked with it
 *	    trigger	as of a trigger of type time (schedule.h), in the policy's time zone unless
 *			it says its own. Without one it makes nothing, and says only how long
 *			what it once made stays
 *	    full	true: everything is read each time
 *	    retention	{"last", "hours", "days", "hourly", "daily", "weekly", "monthly", "yearly"},
 *			each a number or "all" (retention.h); without one: until deleted by hand
 *	manual		retention of what people make; without: until deleted by hand
 *	others		retention of what no schedule of the policy made (schedules that it had,
 *			other policies); without: until deleted by hand
 *	minimum		so many of the newest good checkpoints always stay: 1 to 1000; 1
 *	keep_verified	true: the newest that was proved to restore always stays
 *	failed		{"days": N}: failed ones go after so many days, but for the newest; 7
 *	timezone	IANA name, of days and of triggers; UTC
 *	consistency	required, best-effort, off; best-effort
 *	window		{"start": "22:00", "end": "06:00", "days": ["mon" …]}: work begins only
 *			then; the days are those on which it starts; all
 *	limits		{"bandwidth": "100MiB" (a second, of each step that moves data),
 *			"concurrent": N (steps at once that protect, verify or copy, of all the
 *			plans that it holds for)}
 *	verify		{"every_days": N: whatever is kept is verified again before N days have
 *			gone by, "after": N: so is each N-th new checkpoint as soon as it is there,
 *			"depth": "content" (every byte is read; without it) or "structure"}
 *	rpo		seconds, or "12h", "1d": the newest good checkpoint may not be older, else
 *the plan is late; without it, what the schedules promise says when
 *	copy		{"provider_id", "retention", "keep_until_copied"}, or an array of them:
 *			each checkpoint is copied there, and the copies stay as long as their own
 *			retention says (for all of them together), or as long as the checkpoints
 *			would; keep_until_copied: no checkpoint goes before it was copied there
 *
 * Unknown fields are errors.
 *
 * A mandatory policy holds for every plan besides the plan's own. Whatever either keeps, stays; of
 * what else they say the stricter holds. What a mandatory policy leaves out it does not demand. Its
 * schedules are named "ID/name" then, so that nothing of the plan's own counts as theirs.
 *
 * Threads: a policy never changes; any thread.
 */
#ifndef HF_CORE_POLICY_H
#define HF_CORE_POLICY_H

#include <jansson.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "core/retention.h"
#include "sched/schedule.h"

#define POLICY_SCHEDULES 32
#define POLICY_COPIES 8
#define POLICY_NAME_MAX 64
#define POLICY_NUMBER_MAX 100000
#define POLICY_SIZE_MAX 65536 /* of the document as text */

struct policy_schedule {
	char *name;		/* as points are marked */
	json_t *trigger;	/* properties for schedule_parse, with a time zone; NULL: none */
	struct schedule *times; /* of the trigger; NULL: none */
	bool full;
	bool lent; /* trigger and times are another policy's */
};

struct policy_window {
	bool given;
	unsigned start, end; /* minutes of the day; end < start: past midnight */
	uint8_t days;	     /* bit 0: Monday */
	struct zone *zone;   /* of the policy that has it; borrowed */
};

struct policy_copy {
	char provider[UUID_TEXT];
	struct retention_set *sets; /* of the copies; none: as of the checkpoints */
	size_t n_sets;
	bool awaited; /* keep_until_copied */
};

struct policy {
	struct policy_schedule *schedules;
	size_t n_schedules;
	struct retention_set *sets; /* of the schedules in their order, manual points, others */
	size_t n_sets;
	bool manual, others, zone_given; /* it says something of them */
	uint32_t minimum, failed_days;
	bool keep_verified;
	struct zone *zone;
	const char *consistency; /* "required", "best-effort", "off"; NULL: not said */
	struct policy_window window;
	uint64_t bandwidth;    /* bytes a second; 0: no limit */
	uint32_t concurrent;   /* 0: no limit */
	uint32_t rpo_s;	       /* 0: as the schedules say */
	uint32_t verify_days;  /* 0: not by age */
	uint32_t verify_after; /* each so many; 0: not because it is new */
	bool verify_structure; /* only */
	struct policy_copy *copies;
	size_t n_copies;
};

/*
 * `now_us` is when calendars without a start begin. ERR_INVALID, ERR_UNSUPPORTED, ERR_LIMIT: the
 * message begins with the path of the field.
 */
struct policy *policy_parse(const json_t *document, struct zones *zones, uint64_t now_us,
			    struct err *e);
/* The same of a text, which must be one JSON object without duplicate fields. */
struct policy *policy_parse_text(const char *text, size_t len, struct zones *zones, uint64_t now_us,
				 struct err *e);
void policy_free(struct policy *p);
DEFINE_AUTO(policy, policy_free);

/*
 * The document again, in one form: all that says something, in the order above. Parsed, it gives
 * the same. Not for merged policies. The caller's.
 */
json_t *policy_json(const struct policy *p);

struct policy_mandatory {
	const char *id;
	const struct policy *policy;
};
/* What holds for a plan with its own policy (NULL: none) and the mandatory ones. It borrows from
 * all of them. */
struct policy *policy_merge(const struct policy *own, const struct policy_mandatory *mandatory,
			    size_t n);

/* Of "required", "best-effort", "off" and NULL (not said). */
const char *policy_stricter_consistency(const char *a, const char *b);
/* What retention asks for. Borrowed from the policy. `copies_at`: for copies at that provider. */
struct retention policy_retention(const struct policy *p, const char *copies_at);
struct retention_zone policy_zone(const struct policy *p);
/*
 * The points that the schedules will make after `now_us`, until `until_us`, at most `most`; without
 * jitter. The caller frees the array; makers are the policy's.
 */
struct retention_firing *policy_foretell(const struct policy *p, uint64_t now_us, uint64_t until_us,
					 size_t most, size_t *ret_n);

/* The first moment, now or later, that lies in the window; `now_us` where there is none. By the
 * clocks of the zone of the policy that says it. */
uint64_t policy_window_opens(const struct policy *p, uint64_t now_us);

#endif
