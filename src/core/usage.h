/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.h: what was stored for whom, for chargeback: per project, target, plan and resource.
 *
 * Each block is stored once, so of what is stored nobody can say whose it is. It is counted for who
 * stored it first: `stored_bytes` of a checkpoint is what it stored anew when it was made (packed:
 * compressed, with what belongs to it), and stays with it even if others use the same blocks, or it
 * goes and they stay. `logical_bytes` is the size of what was protected. What was done on a day
 * stays known when checkpoints, plans and targets are gone.
 *
 * Threads: as transactions.
 */
#ifndef HF_CORE_USAGE_H
#define HF_CORE_USAGE_H

#include <jansson.h>

#include "base/buf.h"
#include "db/db.h"

/* A checkpoint became available, or is not any more: count it once, or no longer as kept. Its
 * resources are still in the database. */
int usage_checkpoint(struct db_tx *t, const char *checkpoint, struct err *e);
/* A resource of this restore is back (`n` 1), or was removed again (-1). */
int usage_restored(struct db_tx *t, const char *restore, const char *type, const char *id, int n,
		   struct err *e);

enum usage_by { USAGE_PROJECT, USAGE_TARGET, USAGE_PLAN, USAGE_RESOURCE };
extern const char *const usage_by_names[]; /* in that order, NULL-terminated */

#define USAGE_ROWS_MOST 100000

struct usage_query {
	const char *project;	  /* NULL: all */
	int64_t from_day, to_day; /* days since 1970, both included */
	enum usage_by by;
	size_t limit; /* 1 … USAGE_ROWS_MOST */
};
/* An array of rows as the API has them, ordered by their ids; the caller's. */
int usage_list(struct db_tx *t, const struct usage_query *q, json_t **ret_rows, bool *ret_more,
	       struct err *e);

/*
 * Rows as CSV (RFC 4180) with a line of names. A text that a spreadsheet could take for a formula
 * gets a ' before it.
 */
void usage_csv(const json_t *rows, struct buf *out);
/* One field of it. */
void usage_csv_text(struct buf *out, const char *text);

#endif
