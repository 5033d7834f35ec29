/* SPDX-License-Identifier: Apache-2.0 */
/*
 * when.h: instants as people and clients type them.
 *
 *	2026-11-21 05:30:00		UTC (Karbor's form)
 *	2026-11-21T05:30:00Z		UTC (ISO 8601, RFC 3339); fractions of seconds are cut off
 *	2026-11-21T05:30:00+01:00	with an offset
 *	2026-11-21T05:30:00		in a time zone that is known otherwise
 *
 * Any thread.
 */
#ifndef HF_SCHED_WHEN_H
#define HF_SCHED_WHEN_H

#include "sched/zone.h"

/* The whole text, in the years of civil.h; false: it is none of these. */
bool when_parse(const char *text, const struct zone *zone, int64_t *ret_utc_s);

#endif
