/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.h: time zones by their IANA names, from the system's zoneinfo files (TZif, RFC 8536).
 *
 * The zone of the process and its environment are never asked nor changed. A local time that does
 * not exist, because clocks went forward, is taken with the offset before (02:30 becomes 03:30);
 * of one that exists twice, because clocks went back, the first is taken (RFC 5545, 3.3.5).
 *
 * Threads: a zone never changes and may be used by any thread; struct zones is thread-safe.
 */
#ifndef HF_SCHED_ZONE_H
#define HF_SCHED_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define ZONE_NAME_MAX 64
#define ZONE_FILE_MAX 65536

struct zone;
struct zones;

/* A time during which the offset from UTC stays the same. Instants are seconds since 1970 UTC. */
struct zone_period {
	int64_t from, until; /* INT64_MIN, INT64_MAX: for ever */
	int offset;	     /* seconds, east is positive: local time = UTC + offset */
	int offset_before;   /* of the period before; `offset` for the first */
};

/* The zones that were asked for, kept. `folder` NULL: /usr/share/zoneinfo. */
struct zones *zones_new(const char *folder);
void zones_free(struct zones *z);
DEFINE_AUTO(zones, zones_free);
/*
 * A reference, to be given back with zone_unref(). "UTC" needs no file. ERR_INVALID: no such zone;
 * ERR_CORRUPT: the file is not one; ERR_IO.
 */
struct zone *zones_get(struct zones *z, const char *name, struct err *e);
/* Forget what was read: who asks next gets what the files say now. Zones in use stay as they are.
 */
void zones_forget(struct zones *z);

/* The content of a zoneinfo file. ERR_CORRUPT. */
struct zone *zone_parse(const char *name, const void *data, size_t len, struct err *e);
struct zone *zone_ref(struct zone *z);
void zone_unref(struct zone *z);
DEFINE_AUTO(zone, zone_unref);

const char *zone_name(const struct zone *z);
struct zone_period zone_period(const struct zone *z, int64_t utc_s);
int64_t zone_to_local(const struct zone *z, int64_t utc_s);
int64_t zone_to_utc(const struct zone *z, int64_t local_s);

/* Gives the first local time after `local_s` that something falls on; false: none. */
typedef bool zone_next_fn(const void *arg, int64_t local_s, int64_t *ret_s);
/*
 * The first instant strictly after `utc_s` that is zone_to_utc() of a local time of `fn`. Each
 * local time counts once, also where clocks change.
 */
bool zone_next(const struct zone *z, zone_next_fn *fn, const void *arg, int64_t utc_s,
	       int64_t *ret_s);
/*
 * The first instant strictly after `utc_s` at which clocks show a local time of `fn`: what clocks
 * leave out does not count, what they show twice counts twice.
 */
bool zone_next_shown(const struct zone *z, zone_next_fn *fn, const void *arg, int64_t utc_s,
		     int64_t *ret_s);

#endif
