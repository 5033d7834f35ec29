/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upkeep.h: what every server does now and then: says that it is there, lists platforms anew when
 * that is due, forgets what is old. Harmless if several do it at once. Threads: any.
 */
#ifndef HF_CORE_UPKEEP_H
#define HF_CORE_UPKEEP_H

#include "core/core.h"

/* For operations_us: a clock is wrong, nothing is old. */
#define UPKEEP_NOTHING UINT64_MAX

/* Operations that ended so long ago, and other records, are forgotten. */
int upkeep_run(struct core *c, uint64_t now_us, uint64_t operations_us, struct err *e);

#endif
