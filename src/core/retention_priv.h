/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention_priv.h: what the rules (retention_rules.c) and who asks them (retention.c) share.
 */
#ifndef HF_CORE_RETENTION_PRIV_H
#define HF_CORE_RETENTION_PRIV_H

#include "core/retention.h"

#define SECOND_US 1000000
#define HOUR_S 3600
#define DAY_S 86400
#define NEVER UINT64_MAX

/* A point on the line. */
struct retention_item {
	uint64_t at_us, committed_us;
	const char *id, *maker;
	int64_t local_s;
	size_t source; /* index of the point; the firings' follow those of the points */
	bool exists, damaged, verified;
	bool covered; /* a set is for it */
};

/* Items that a rule looks at together, ascending; the first `there` exist. */
struct retention_line {
	size_t *items;
	size_t n, there;
};

/* A reason, and whose. */
struct retention_told {
	size_t point;
	struct retention_reason reason;
};

struct retention_work {
	const struct retention *r;
	const struct retention_point *points;
	const struct retention_zone *zone;
	size_t n_points;
	uint64_t now_us;
	struct retention_item *items;
	size_t n_items;
	struct retention_line plan, set;
	/* The set's line by periods: each item's number, and where each period begins. */
	uint32_t *ordinal;
	int64_t *key;
	size_t *begin;
	uint64_t *ends; /* of each source: when it goes; 0: it stays for no reason yet */
	bool some_damaged;
	bool damaged;  /* this run is about damaged points */
	bool refusals; /* and tells why those that go do not stay */
	bool silent;   /* no reasons are wanted */
	struct retention_told *told;
	size_t n_told, cap_told;
};

static inline int64_t retention_offset(const struct retention_work *w, int64_t unix_s)
{
	return w->zone ? w->zone->offset_s(w->zone->arg, unix_s) : 0;
}

/* A reason for a point. */
void retention_tell(struct retention_work *w, size_t point, const struct retention_reason *reason);
/* Ask all rules about the items of this run. */
void retention_run(struct retention_work *w);

#endif
