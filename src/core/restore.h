/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h: what is done with checkpoints that are available: restoring, verifying, copying them.
 *
 * A restore or verification is `in_progress`, then `success` or `fail`; resources_status says the
 * same of each resource, as "TYPE#ID" (of a restore, the id of what was restored), and
 * resources_reason why. Parameters are {"TYPE" or "TYPE#ID": {option: value}}; where there is one
 * with an id, only the resources that are named so are restored or verified. Threads: as
 * transactions.
 */
#ifndef HF_CORE_RESTORE_H
#define HF_CORE_RESTORE_H

#include <jansson.h>

#include "core/core.h"

struct restore_new {
	const char *project, *provider, *checkpoint;
	const char *target;	  /* a platform to restore to, by id; NULL: where they were */
	const json_t *parameters; /* object */
	const char *created_by;
};

/* ERR_NOENT, ERR_INVALID: a parameter; ERR_CONFLICT: the checkpoint is not available. */
int restore_start(struct core *c, struct db_tx *t, const struct restore_new *n,
		  char ret_id[UUID_TEXT], char ret_operation[UUID_TEXT], struct err *e);
/* `target` counts for nothing. */
int verification_start(struct core *c, struct db_tx *t, const struct restore_new *n,
		       char ret_id[UUID_TEXT], char ret_operation[UUID_TEXT], struct err *e);

extern const struct flow_kind checkpoint_restore_kind, checkpoint_verify_kind;
extern const struct flow_operation_kind operation_restore, operation_verify;

#endif
