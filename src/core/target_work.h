/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_work.h: what is done with all that is stored in a target: is it as it was written, and
 * giving back space. One operation, with a step for each repository in it; what they found is the
 * result of the steps, and damage is noted in the repository's row. Threads: as transactions.
 */
#ifndef HF_CORE_TARGET_WORK_H
#define HF_CORE_TARGET_WORK_H

#include <jansson.h>

#include "core/core.h"

struct target_work {
	const char *target;
	const char *project; /* whose operation it is */
	bool all_projects;   /* what all have in the target, not only `project` */
	const char *created_by;
	json_t *options; /* borrowed: of the step (step/kinds.h) */
};
/* ERR_CONFLICT: nothing is stored there. */
int target_verify(struct core *c, struct db_tx *t, const struct target_work *w,
		  char ret_operation[UUID_TEXT], struct err *e);
int target_collect(struct core *c, struct db_tx *t, const struct target_work *w,
		   char ret_operation[UUID_TEXT], struct err *e);
/* Give space back in one repository. *ret_operation is the one that waits already, if there is one.
 */
int repository_collect(struct core *c, struct db_tx *t, const char *id, const char *created_by,
		       char ret_operation[UUID_TEXT], struct err *e);

extern const struct flow_kind target_collect_kind, target_verify_kind;
extern const struct flow_operation_kind operation_collect, operation_target_verify;

#endif
