/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trigger_priv.h: what the files of triggers share.
 */
#ifndef HF_CORE_TRIGGER_PRIV_H
#define HF_CORE_TRIGGER_PRIV_H

#include "core/scheduled.h"
#include "core/scheduler.h"
#include "core/trigger.h"

#define TRIGGER_COLUMNS "id, project_id, name, type, properties, enabled, last_at, next_at"
#define TRIGGER_SELECT "SELECT " TRIGGER_COLUMNS " FROM triggers WHERE "

/* Of a row that begins with TRIGGER_COLUMNS. */
struct trigger *trigger_from_row(const struct db_rows *r);
/* 64 digits. */
char *trigger_token_hash(const char *token, char out[TRIGGER_TOKEN]);

/* ---- trigger_fire.c: what one trigger does, in the scheduler's transaction ---- */

/* A scheduled operation that could not be started in an earlier try of the transaction. */
struct fire_failure {
	char id[UUID_TEXT];
	char reason[256];
	bool skipped; /* a rule says so: no failure */
};

struct fire {
	struct zones *zones;
	scheduler_start_fn *start;
	void *arg;
	uint64_t now_us;
	const struct fire_failure *failures;
	size_t n_failures;
	struct scheduler_counts counts;
	/* The operation that is being started; "" outside: who is to blame for an error. */
	char starting[UUID_TEXT];
};

/* Deal with all firings of `t` that are due, with what belongs to it; store when it is next. */
int trigger_fire(struct db_tx *x, const struct trigger *t, struct scheduled_operation *const *list,
		 size_t n, struct fire *f, struct err *e);

#endif
