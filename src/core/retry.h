/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h: running an operation again that failed or was cancelled, if what it is about has not
 * become something else since: a checkpoint that was deleted is not made again, one that is there
 * is not deleted by an old operation. Threads: as transactions.
 */
#ifndef HF_CORE_RETRY_H
#define HF_CORE_RETRY_H

#include "core/core.h"

/* ERR_NOENT; ERR_CONFLICT: it has not ended, it succeeded, or its subject is in another state now.
 */
int operation_retry(struct core *c, struct db_tx *t, const char *operation, struct err *e);

#endif
