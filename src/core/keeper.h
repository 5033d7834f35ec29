/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h: retention at work: which checkpoints of a plan go now, why each stays, and what a
 * change of policy would do.
 *
 * The checkpoints of a plan are judged together (retention.h), its copies by themselves, for each
 * provider that they lie at. Available ones count, unless their last verification failed; those in
 * state error or error-deleting go as failures do; those that are being made or deleted are left
 * alone. Besides the policies, the plan's scheduled operations of type retention_protect, as long
 * as they are enabled, say for all its checkpoints how many stay and for how many days; then it is
 * not needed that a policy says something of manual ones. A plan whose policy cannot be read keeps
 * everything, and it is an error.
 *
 * Deciding and starting to delete happen in one transaction, so any number of schedulers may do it
 * at once, and doing it again changes nothing. Threads: as transactions.
 */
#ifndef HF_CORE_KEEPER_H
#define HF_CORE_KEEPER_H

#include "core/core.h"
#include "core/plan_walk.h"
#include "core/policy_store.h"

/*
 * Start to delete a checkpoint, so that its state is no longer what it was. 0: started; 1: it is in
 * use, and is left for the next time; -1.
 */
typedef int keeper_delete_fn(void *arg, struct db_tx *t, const char *project,
			     const char *checkpoint, struct err *e);
/* The one for use: checkpoint_delete(); `arg` is the struct core. */
int keeper_delete(void *arg, struct db_tx *t, const char *project, const char *checkpoint,
		  struct err *e);

struct keeper {
	struct zones *zones;
	keeper_delete_fn *delete;
	void *arg;
	size_t most; /* deletions of a plan in one transaction; 0: 100 */
};

/* Look after a plan. *ret_more: there are more to go than were started. ERR_NOENT: there is no such
 * plan. */
int keeper_plan(struct db_tx *t, const struct keeper *k, const char *plan, uint64_t now_us,
		size_t *ret_started, bool *ret_more, struct err *e);

struct keeper_report {
	size_t plans, started;
	struct plan_walk walk; /* those that could not be looked after */
};
/* Look after all plans, each in transactions of its own. What fails for one is no matter to others.
 */
int keeper_run(struct db *d, const struct keeper *k, uint64_t now_us,
	       struct keeper_report *ret_report, struct err *e);

/*
 * Why each checkpoint of a plan stays or goes, and when it will go: {"plan_id", "timezone", "kept",
 * "going", "checkpoints": [{"id", "status", "provider_id", "copy_of", "made_by", "instant_at",
 * "keep", "reasons": [{"rule", "text", "until"}], "goes_at"}], "more"}, the newest `most`. The
 * caller's. `checkpoint`: only this one; ERR_NOENT.
 */
json_t *keeper_explain(struct db_tx *t, struct zones *zones, const char *project, const char *plan,
		       const char *checkpoint, size_t most, uint64_t now_us, struct err *e);

/*
 * What a change of policy would do to a plan: {"plan_id", "plan_name", "checkpoints": how many
 * there are, "going_now": what would go that stays now, as in keeper_explain, "staying_now": ids of
 * what would stay that goes now, "timeline": [{"at", "checkpoints"}] of those that are not copies,
 * if its schedules fire as they should until `until_us`, "lives": [{"made_by", "at", "until",
 * "foretold"}] those that live longest, "more_lives"}. `plan` "": one that begins now. The
 * caller's.
 */
json_t *keeper_simulate(struct db_tx *t, struct zones *zones, const char *project, const char *plan,
			const struct policy_draft *draft, uint64_t now_us, uint64_t until_us,
			struct err *e);

#endif
