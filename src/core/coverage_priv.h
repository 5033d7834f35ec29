/* SPDX-License-Identifier: Apache-2.0 */
/* coverage_priv.h: what the files of coverage share with each other. Threads: as transactions. */
#ifndef HF_CORE_COVERAGE_PRIV_H
#define HF_CORE_COVERAGE_PRIV_H

#include "db/db.h"

/* Write into the resource what its plans have of it. */
int coverage_show(struct db_tx *t, const char *project, const char *type, const char *id,
		  struct err *e);

/* Good checkpoints: both are terms of the index checkpoints_good. */
#define COVERAGE_GOOD "status = 'available' AND coalesce(verified_ok, 1) = 1"

#endif
