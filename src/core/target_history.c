/* SPDX-License-Identifier: Apache-2.0 */
#include "core/target_history.h"

#include "core/json.h"

#define HOUR_US INT64_C(3600000000)
#define DAY_US (24 * HOUR_US)
#define HOURLY_US (14 * DAY_US)
#define DAILY_US (731 * DAY_US)

/* What was measured before that is no news. */
#define FRESH_US (2 * HOUR_US)

#define WANTING                                                                                    \
	"FROM targets t WHERE t.checked_at > $1 AND t.status = 'available' AND NOT EXISTS "        \
	"(SELECT "                                                                                 \
	"1 FROM target_samples s WHERE s.target_id = t.id AND s.at > $2)"

int target_history_sample(struct db_tx *t, uint64_t now_us, struct err *e)
{
	int64_t now = (int64_t)now_us;

	return db_exec(
		t, NULL, e,
		"INSERT INTO target_samples (target_id, at, daily, stored_bytes, free_bytes, "
		"total_bytes, logical_bytes) SELECT t.id, $3, CASE WHEN EXISTS (SELECT 1 FROM "
		"target_samples s WHERE s.target_id = t.id AND s.at >= $4) THEN 0 ELSE 1 END, "
		"t.stored_bytes, t.free_bytes, t.total_bytes, (SELECT "
		"CAST(coalesce(sum(u.logical_bytes), 0) AS BIGINT) FROM usage_now u WHERE "
		"u.target_id = t.id) " WANTING,
		db_i(now - FRESH_US), db_i(now - HOUR_US), db_i(now), db_i(now - now % DAY_US));
}

int target_history_prune(struct db_tx *t, uint64_t now_us, struct err *e)
{
	int64_t now = (int64_t)now_us;

	return db_exec(t, NULL, e,
		       "DELETE FROM target_samples WHERE (daily = 0 AND at < $1) OR (daily = 1 AND "
		       "at < $2)",
		       db_i(now - HOURLY_US), db_i(now - DAILY_US));
}

int target_history_due(struct db_tx *t, uint64_t now_us, struct err *e)
{
	int64_t now = (int64_t)now_us;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT 1 " WANTING " LIMIT 1", db_i(now - FRESH_US),
		     db_i(now - HOUR_US));

	return r ? db_next(r, e) : -1;
}

static json_t *or_null(const struct db_rows *r, int column)
{
	return db_is_null(r, column) ? json_null() : json_integer(db_int(r, column));
}

int target_history_list(struct db_tx *t, const char *target, uint64_t since_us, json_t **ret,
			struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT at, stored_bytes, logical_bytes, free_bytes, total_bytes FROM "
		     "target_samples WHERE target_id = $1 AND at >= $2 ORDER BY at",
		     db_t(target), db_i(since_us));
	json_t *list = json_array();
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o}", "at",
						      json_time((uint64_t)db_int(r, 0)),
						      "stored_bytes", or_null(r, 1),
						      "logical_bytes", or_null(r, 2), "free_bytes",
						      or_null(r, 3), "total_bytes", or_null(r, 4)));
	if (have < 0) {
		json_decref(list);
		return -1;
	}
	*ret = list;
	return 0;
}

/* ---- the future ---- */

/* How fast free space changes, in bytes a microsecond. */
static double slope(const struct forecast_sample *v, size_t n)
{
	double mean_x = 0, mean_y = 0, xy = 0, xx = 0;

	for (size_t i = 0; i < n; i++) {
		mean_x += (double)(v[i].at_us - v[0].at_us) / (double)n;
		mean_y += (double)v[i].free_bytes / (double)n;
	}
	for (size_t i = 0; i < n; i++) {
		double x = (double)(v[i].at_us - v[0].at_us) - mean_x;

		xy += x * ((double)v[i].free_bytes - mean_y);
		xx += x * x;
	}
	return xx > 0 ? xy / xx : 0;
}

uint64_t forecast_full(const struct forecast_sample *v, size_t n)
{
	double down, left_us;

	if (n < FORECAST_SAMPLES || v[n - 1].at_us - v[0].at_us < FORECAST_MIN_DAYS * DAY_US)
		return 0;
	down = -slope(v, n);
	if (down <= 0)
		return 0;
	left_us = (double)MAX(v[n - 1].free_bytes, 0) / down;
	if (left_us > FORECAST_YEARS * 365.0 * (double)DAY_US)
		return 0;
	return v[n - 1].at_us + (uint64_t)left_us;
}

int target_history_full_at(struct db_tx *t, const char *target, uint64_t now_us,
			   uint64_t *ret_full_at_us, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT at, free_bytes FROM target_samples WHERE target_id = $1 AND at >= $2 "
		     "AND free_bytes IS NOT NULL ORDER BY at",
		     db_t(target), db_i((int64_t)now_us - FORECAST_DAYS * DAY_US));
	AUTO_FREE struct forecast_sample *v = NULL;
	size_t n = 0;
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (n % 64 == 0)
			v = xreallocarray(v, n + 64, sizeof(*v));
		v[n++] = (struct forecast_sample){(uint64_t)db_int(r, 0), db_int(r, 1)};
	}
	if (have < 0)
		return -1;
	*ret_full_at_us = forecast_full(v, n);
	return 0;
}
