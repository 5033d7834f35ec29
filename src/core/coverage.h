/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coverage.h: how well resources are protected, kept where it changes: who asks reads columns and
 * compares a time with the clock.
 *
 * A plan takes a resource in by name or by a selector. Only good checkpoints count: those that are
 * available and whose last verification did not fail; copies are as good as what they are copies
 * of. In this order, a resource is
 *
 *	failing		the newest attempt of one of its plans failed, and no good checkpoint of it
 *			was begun since
 *	late		a plan has a schedule by which there should be a newer one (coverage_due.h)
 *	protected	there is a good one, and it is in time
 *	excluded	somebody said that it need not be protected
 *	unprotected	no plan takes it in, or none has made a checkpoint of it and none is due yet
 *
 * Who changes plans, what was found, schedules, or checkpoints calls what is here in the same
 * transaction. Threads: as transactions.
 */
#ifndef HF_CORE_COVERAGE_H
#define HF_CORE_COVERAGE_H

#include "base/uuid.h"
#include "db/db.h"
#include "sched/zone.h"

/* The order above as SQL over a row of resources, and of plans. `now`: "$NOW" (table.h), or another
 * parameter. */
#define COVERAGE_SQL(now)                                                                          \
	"CASE WHEN n_plans > 0 AND failing = 1 THEN 'failing' WHEN n_plans > 0 AND due_at <= " now \
	" THEN 'late' WHEN n_plans > 0 AND good_at IS NOT NULL THEN 'protected' WHEN excluded = "  \
	"1 THEN 'excluded' ELSE 'unprotected' END"
#define COVERAGE_PLAN_SQL(now)                                                                     \
	"CASE WHEN failed_at IS NOT NULL THEN 'failing' WHEN due_at <= " now " THEN 'late' WHEN "  \
	"good_at IS NOT NULL THEN 'protected' ELSE 'unprotected' END"

/* Things by type and id, each once. */
struct coverage_things {
	struct coverage_thing {
		char *type, *id;
	} * v;
	size_t n, room;
};
void coverage_add(struct coverage_things *l, const char *type, const char *id);
void coverage_things_done(struct coverage_things *l);

/* The plan was made or changed, be it only its name. One that is gone is nothing. */
int coverage_plan(struct db_tx *t, struct zones *zones, const char *plan, struct err *e);
/* The same for those that were there before anybody worked this out; *ret_n of at most `most`. */
int coverage_catch_up(struct db_tx *t, struct zones *zones, size_t most, size_t *ret_n,
		      struct err *e);
/* Its schedules changed, or its checkpoints as a whole. */
int coverage_points(struct db_tx *t, struct zones *zones, const char *plan, struct err *e);
/* A trigger did. */
int coverage_trigger(struct db_tx *t, struct zones *zones, const char *trigger, struct err *e);
/* A checkpoint became good, or is not any more, or an attempt failed. Its resources are still in
 * the database. */
int coverage_checkpoint(struct db_tx *t, struct zones *zones, const char *checkpoint,
			struct err *e);
/* The plan is about to be removed. */
int coverage_plan_gone(struct db_tx *t, const char *plan, struct err *e);
/* These of the project were found, changed their name or state, or are gone. */
int coverage_found(struct db_tx *t, struct zones *zones, const char *project,
		   const struct coverage_things *things, struct err *e);

#endif
