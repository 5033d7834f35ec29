/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_walk.h: going through plans, of which there may be many: by pages, each in transactions of
 * its own. What fails for one is no matter to others. Threads: any.
 */
#ifndef HF_CORE_PLAN_WALK_H
#define HF_CORE_PLAN_WALK_H

#include "base/uuid.h"
#include "db/db.h"

#define PLAN_WALK_PAGE 100

struct plan_walk {
	size_t failed;	      /* plans */
	struct err first;     /* why the first of them */
	char plan[UUID_TEXT]; /* the first of them */
};

/*
 * Call `fn` for each plan that `sql` lists: ids above $1, in their order, at most $2 of them. A
 * plan may be gone by then. -1: the database is away, or full.
 */
typedef int plan_walk_fn(void *arg, const char *plan, struct err *e);
int plan_walk(struct db *d, const char *sql, plan_walk_fn *fn, void *arg, struct plan_walk *ret,
	      struct err *e);

#endif
