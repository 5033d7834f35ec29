/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone_priv.h: what zone.c (conversion), zone_file.c (TZif) and zone_rule.c (the rule for the years
 * after the table) share.
 */
#ifndef HF_SCHED_ZONE_PRIV_H
#define HF_SCHED_ZONE_PRIV_H

#include <stdatomic.h>

#include "sched/zone.h"

/* From `at` on, the offset is `offset`. */
struct zone_change {
	int64_t at;
	int32_t offset;
};

struct zone {
	atomic_uint refs;
	char name[ZONE_NAME_MAX];
	int32_t first; /* the offset before all changes */
	size_t n, cap;
	struct zone_change *changes; /* ascending; each changes the offset */
};

struct zone *zone_new(const char *name);
/* Add a change that is not before the last one; one that changes nothing is left out. */
void zone_add(struct zone *z, int64_t at, int32_t offset);
/*
 * Add what a rule like "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX TZ, with the extensions of RFC 8536)
 * gives after the last change, up to CIVIL_LAST_YEAR. ERR_CORRUPT.
 */
int zone_add_rule(struct zone *z, const char *rule, struct err *e);

#endif
