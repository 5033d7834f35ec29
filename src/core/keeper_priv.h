/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_priv.h: what the files of the keeper share. */
#ifndef HF_CORE_KEEPER_PRIV_H
#define HF_CORE_KEEPER_PRIV_H

#include "core/keeper.h"

/* A checkpoint, besides what its point says. */
struct keeping_row {
	char *id, *maker, *status, *provider;
	char *copy_of; /* NULL: it is no copy */
};

/* Checkpoints that are judged together. */
struct keeping_group {
	size_t first, n;
	struct retention_set *sets;
	struct retention retention;
	struct retention_result result;
};

/* A plan, its checkpoints by groups, those that are no copies first, and what becomes of them. */
struct keeping {
	char id[UUID_TEXT];
	char *name, *project, *policy;
	struct keeping_row *rows;
	struct retention_point *points; /* of the rows */
	size_t n;
	struct keeping_group *groups;
	size_t n_groups;
	size_t n_kept; /* once judged */
	struct plan_policy *rules;
	struct retention_set *scheduled; /* of operations retention_protect */
	size_t n_scheduled;
	struct retention_firing *firings;
	size_t n_firings;
};

/* How many firings are foretold at most, and how far. */
#define KEEPING_FIRINGS 20000
#define KEEPING_US ((uint64_t)5 * 366 * 86400 * 1000000)

/* A plan and its checkpoints; `plan` "": one that begins now. `project` NULL: any. ERR_NOENT. */
struct keeping *keeping_load(struct db_tx *t, const char *project, const char *plan, struct err *e);
void keeping_free(struct keeping *g);
DEFINE_AUTO(keeping, keeping_free);
/* Judge them by what holds for the plan, in place of what was judged before. `firings`: foretell so
 * many. */
int keeping_judge(struct keeping *g, struct db_tx *t, struct zones *zones,
		  const struct policy_draft *draft, size_t firings, uint64_t now_us, struct err *e);

#endif
