/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h: what a mover needs to do a step. Steps in the database name things; when one is taken,
 * the names become addresses, keys and passwords, which go to that mover and nowhere else. Threads:
 * any.
 */
#ifndef HF_CORE_JOBS_H
#define HF_CORE_JOBS_H

#include <jansson.h>

#include "core/core.h"

/* `arg`: the core. *ret_input is the caller's, and holds secrets. ERR_NOENT: what it names is gone.
 */
int job_fill(void *arg, struct db_tx *t, const struct flow_step *s, json_t **ret_input,
	     struct err *e);

/* All kinds of steps and operations of the model, NULL-terminated. */
extern const struct flow_kind *const core_kinds[];
extern const struct flow_operation_kind *const core_operations[];

#endif
