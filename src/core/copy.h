/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h: checkpoints copied to another provider, whose copies are checkpoints of their own: they
 * have another target and key, restore alone, and stay when the first are deleted. Until it is
 * there, a copy is `copying`. Threads: as transactions.
 */
#ifndef HF_CORE_COPY_H
#define HF_CORE_COPY_H

#include <jansson.h>

#include "core/core.h"

struct copy_new {
	const char *project, *provider, *plan;
	const char *to;		/* provider */
	const char *checkpoint; /* only this one; NULL: all of the plan that have no copy there */
	const char *created_by;
};
/*
 * *ret_pairs: [{"checkpoint_protect_id", "checkpoint_copy_id"}], the caller's. ERR_INVALID: the
 * other provider is the same or not the project's, or there is nothing to copy; ERR_LIMIT: the
 * quota.
 */
int copy_start(struct core *c, struct db_tx *t, const struct copy_new *n, json_t **ret_pairs,
	       struct err *e);

extern const struct flow_kind checkpoint_copy_kind;
extern const struct flow_operation_kind operation_copy;

#endif
