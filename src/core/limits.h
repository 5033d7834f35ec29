/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h: what the policies of a plan allow its work: how many steps at once (policy.h,
 * flow_set_limit), how fast, how. Threads: as transactions.
 */
#ifndef HF_CORE_LIMITS_H
#define HF_CORE_LIMITS_H

#include <jansson.h>

#include "core/core.h"

#define LIMITS_MOST 128 /* each machine of a consistency group has one */

/* Keys that a step is counted under. */
struct limits {
	char *keys[LIMITS_MOST];
	size_t n;
};
void limits_done(struct limits *l);
#define AUTO_LIMITS CLEANUP(limits_done) struct limits
void limits_add(struct limits *l, const char *kind, const char *id);
/* Those of the policies that hold for the plan, which may be gone, and of the repository's target.
 */
int limits_of_plan(struct core *c, struct db_tx *t, const char *plan, const char *repository,
		   struct limits *l, struct err *e);
/* In a new step; borrowed. */
void limits_of_step(const struct limits *l, struct flow_step_new *s);

/* Into what a mover is told: bytes_per_s, if the plan's policies limit it. */
int limits_add_pace(struct core *c, struct db_tx *t, const char *plan, json_t *o, struct err *e);
/* Besides, how it is protected: "consistency" and "full", where the policies ask for more than `o`
 * says. `maker`: the checkpoint's. */
int limits_add_ways(struct core *c, struct db_tx *t, const char *plan, const char *maker, json_t *o,
		    struct err *e);

#endif
