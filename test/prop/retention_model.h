/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention_model.h: what retention.h promises, said again as plainly as can be, and slowly. The
 * time zone is that of the process (TZ).
 */
#ifndef HF_TEST_RETENTION_MODEL_H
#define HF_TEST_RETENTION_MODEL_H

#include <time.h>

#include "core/retention.h"
#include "testing.h"

#define SECOND_US 1000000ULL
#define DAY_US (86400 * SECOND_US)
#define MOST 60
#define LABEL 32

/* A plan, and rules for it. */
struct plan {
	struct random rnd;
	struct retention_point p[MOST];
	char names[MOST][8];
	size_t n;
	uint64_t now;
	struct retention_set sets[4];
	struct retention r;
};

/* Points that count, newest first. */
struct counted {
	const struct retention_point *p[MOST];
	size_t n;
};

struct tm model_local(uint64_t at_us);
bool model_empty(const struct retention_set *set);
/* The name of the period that a moment is in. */
void model_period(uint64_t at_us, enum retention_level level, char out[LABEL]);
/* Those that a set (NULL: the plan) is for. */
void model_count(const struct plan *l, const struct retention_set *set, bool damaged_too,
		 struct counted *c);
bool model_keeps(const struct plan *l, const struct retention_point *p);

#endif
