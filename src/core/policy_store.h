/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_store.h: policies in the catalogue, and which of them hold for a plan: its own, and every
 * mandatory one of its project or of all projects. Threads: as transactions.
 */
#ifndef HF_CORE_POLICY_STORE_H
#define HF_CORE_POLICY_STORE_H

#include "core/policy.h"
#include "db/db.h"

struct policy_new {
	const char *project; /* NULL: every project's */
	const char *name, *description;
	const json_t *spec;
	bool mandatory;
	const char *created_by;
};
/* The errors of policy_parse(); ERR_INVALID: a provider that the project cannot use. */
int policy_insert(struct db_tx *t, struct zones *zones, const struct policy_new *n,
		  char ret_id[UUID_TEXT], struct err *e);

/* What is NULL stays as it is. */
struct policy_change {
	const char *name, *description;
	const json_t *spec;
	const bool *mandatory;
};
int policy_update(struct db_tx *t, struct zones *zones, const char *id,
		  const struct policy_change *c, struct err *e);
/* ERR_NOENT; ERR_BUSY: a plan has it. */
int policy_remove(struct db_tx *t, const char *id, struct err *e);

#define POLICY_LIMIT_KEY (UUID_TEXT + 8)
/* What its steps are counted under (flow_set_limit); the limit is kept as the policy says. */
char *policy_limit_key(const char *id, char out[POLICY_LIMIT_KEY]);

/* One that is not in the catalogue (yet): it takes the place of the one with this id, or, without
 * one (NULL), of the plan's own. */
struct policy_draft {
	const char *id;
	const struct policy *policy;
	bool mandatory;
};

/* All that holds for a plan. */
struct plan_policy {
	struct policy *own; /* NULL: none */
	char own_id[UUID_TEXT];
	struct policy **mandatory;
	struct policy_mandatory *parts;
	size_t n;
	struct policy *merged;
	uint64_t now_us;
};
void plan_policy_free(struct plan_policy *p);
DEFINE_AUTO(plan_policy, plan_policy_free);
/* `policy`: the plan's own; NULL or "": none. `draft` may be NULL; it must outlive the result.
 * `now_us`: from when on its schedules fire. */
struct plan_policy *plan_policy_load(struct db_tx *t, struct zones *zones, const char *project,
				     const char *policy, const struct policy_draft *draft,
				     uint64_t now_us, struct err *e);

/* The same of a plan by its id. *ret stays NULL where there is no such plan any more. */
int plan_policy_of(struct db_tx *t, struct zones *zones, const char *plan, struct plan_policy **ret,
		   struct err *e);

#endif
