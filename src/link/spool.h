/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h: steps that a mover has taken and whose end the server has not acknowledged, each a file
 * in STATE/spool. So what was finished while the server was away is told when it is back, also by
 * a mover that was started anew meanwhile.
 *
 * STEP.FENCE.json holds what is to be told: {} as long as it runs.
 *
 * Threads: of one name, one at a time.
 */
#ifndef HF_LINK_SPOOL_H
#define HF_LINK_SPOOL_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"

/* Make the folder if it is not there. */
int spool_prepare(const char *state, struct err *e);
/* Durably. `report` as text: "{}" when it is taken. */
int spool_put(const char *state, const char *step, uint64_t fence, const char *report,
	      struct err *e);
/* It was acknowledged. */
void spool_drop(const char *state, const char *step, uint64_t fence);

/* What is there; `report` is borrowed, NULL if it cannot be read. */
typedef void spool_fn(void *arg, const char *step, uint64_t fence, const json_t *report);
int spool_each(const char *state, spool_fn *fn, void *arg, struct err *e);

#endif
