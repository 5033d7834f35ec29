/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation.h: starting operations of the model, and finding those of a thing. What an operation is
 * about is linked to it, so that a plan, a checkpoint or a target shows everything that was done
 * with it. Threads: as transactions.
 */
#ifndef HF_CORE_OPERATION_H
#define HF_CORE_OPERATION_H

#include "core/core.h"

struct operation_link {
	const char *kind, *id; /* "checkpoint" …; a NULL id is passed over */
};

/* flow_start, with links. `o->subject` is linked as `o->kind`'s own subject by the caller. */
int operation_start(struct core *c, struct db_tx *t, const struct flow_operation_new *o,
		    const struct operation_link *links, size_t n, char ret_id[UUID_TEXT],
		    struct err *e);

/* One more. */
int operation_link_add(struct db_tx *t, const char *operation, const struct operation_link *link,
		       struct err *e);

/* The newest operation of `kind` (NULL: of any) that is about this and has not ended. 1: found, 0:
 * none. */
int operation_live(struct db_tx *t, const char *link, const char *id, const char *kind,
		   char ret_id[UUID_TEXT], struct err *e);

/* It ends, in this transaction: triggers that wait for such an end fire, and who wants to hear of
 * it is told. For the `ended` of kinds. */
int operation_ended(struct db_tx *t, const char *operation, const char *state, struct err *e);

#define OPERATION_PLACE 80
/* Who runs a step for which this mover is needed: "mover:ID", or FLOW_ANY_MOVER for "". */
char *operation_place(const char *mover, char out[OPERATION_PLACE]);
/* An operation of this one step. */
int operation_start_one(struct core *c, struct db_tx *t, const struct flow_operation_new *o,
			const struct operation_link *links, size_t n, const struct flow_step_new *s,
			char ret_id[UUID_TEXT], struct err *e);

/* In the functions of step and operation kinds: the core that is at work. */
struct core *core_current(void);

#endif
