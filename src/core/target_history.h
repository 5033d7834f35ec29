/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_history.h: how full targets were, and when they will be full. A sample of each target
 * every hour, as it was last measured; after two weeks one of each day stays, for two years.
 *
 * Threads: as transactions; forecasts are pure.
 */
#ifndef HF_CORE_TARGET_HISTORY_H
#define HF_CORE_TARGET_HISTORY_H

#include <jansson.h>

#include "db/db.h"

/* Note how full targets are that were measured lately and have no sample of this hour. */
int target_history_sample(struct db_tx *t, uint64_t now_us, struct err *e);
/* Old ones go. */
int target_history_prune(struct db_tx *t, uint64_t now_us, struct err *e);
/* Is there anything to do for the two above? 1, 0, -1 */
int target_history_due(struct db_tx *t, uint64_t now_us, struct err *e);

/* [{at, stored_bytes, logical_bytes, free_bytes, total_bytes}] since then, the oldest first; the
 * caller's. */
int target_history_list(struct db_tx *t, const char *target, uint64_t since_us, json_t **ret,
			struct err *e);

struct forecast_sample {
	uint64_t at_us;
	int64_t free_bytes;
};
#define FORECAST_DAYS 30    /* it looks back so far */
#define FORECAST_MIN_DAYS 2 /* less history tells nothing */
#define FORECAST_SAMPLES 3  /* nor do fewer samples */
#define FORECAST_YEARS 10   /* what is further away is not told */
/*
 * When nothing is free any more if it goes on as in the samples (ascending by time): the line of
 * least squares through them, drawn on from the newest. 0: it does not fill, not in FORECAST_YEARS,
 * or there is not enough history.
 */
uint64_t forecast_full(const struct forecast_sample *v, size_t n);
/* The same of a target's history until now. */
int target_history_full_at(struct db_tx *t, const char *target, uint64_t now_us,
			   uint64_t *ret_full_at_us, struct err *e);

#endif
