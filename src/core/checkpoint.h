/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.h: recovery points of plans: making, deleting, holding them, and what became of them.
 *
 * A checkpoint is `protecting`, then `available` or `error`; `deleting`, then `deleted` or
 * `error-deleting`. Whatever it is in, its owner can delete it: while it is being made, that stops
 * the operation. It is available only when every resource has its point; else what was made is
 * undone, and it says why in `reason`. Threads: as transactions.
 */
#ifndef HF_CORE_CHECKPOINT_H
#define HF_CORE_CHECKPOINT_H

#include <jansson.h>

#include "core/core.h"

struct protect_new {
	const char *plan;
	const char *project;  /* whose plan it has to be; NULL: any */
	const char *provider; /* the plan's has to be this one; NULL: as it is */
	const json_t *extra_info;
	const char *made_by;	/* "manual", or the name of a schedule */
	const char *created_by; /* "user alice" */
	const char *scheduled;	/* id of the scheduled operation; NULL: none */
};
/* Make a checkpoint: it is in the database as `protecting`, and an operation is started. */
int checkpoint_protect(struct core *c, struct db_tx *t, const struct protect_new *n,
		       char ret_id[UUID_TEXT], char ret_operation[UUID_TEXT], struct err *e);

/* ERR_NOENT; ERR_CONFLICT: held or locked, or being restored from. *ret_operation is "" where none
 * was needed. */
int checkpoint_delete(struct core *c, struct db_tx *t, const char *project, const char *id,
		      const char *created_by, char ret_operation[UUID_TEXT], struct err *e);
/* To `available` or `error`, by its owner. ERR_INVALID: an operation is at work on it, or points
 * are missing. */
int checkpoint_reset(struct core *c, struct db_tx *t, const char *id, const char *state,
		     struct err *e);
int checkpoint_hold(struct db_tx *t, const char *id, bool hold, const char *reason, struct err *e);

struct checkpoint {
	char id[UUID_TEXT], project[AUTH_ID], provider[UUID_TEXT], plan[UUID_TEXT];
	char *status, *name; /* `name`: of its plan */
	bool hold;
};
void checkpoint_free(struct checkpoint *k);
DEFINE_AUTO(checkpoint, checkpoint_free);
struct checkpoint *checkpoint_load(struct db_tx *t, const char *project, const char *id,
				   struct err *e);

/* Its graph as Karbor shows it: a JSON text of nodes and edges. The caller frees it. */
char *checkpoint_graph(const json_t *resources);

/* It has ended so, now. */
int checkpoint_set_status(struct core *c, struct db_tx *t, const char *id, const char *status,
			  const char *reason, struct err *e);
/* The resources that a step is about (`resources` of its input) have no point in the step's
 * checkpoint. */
int checkpoint_no_point(struct db_tx *t, const struct flow_step *s, const char *status,
			const char *reason, struct err *e);
/* They have this one, as a mover tells it. */
int checkpoint_has_point(struct db_tx *t, const struct flow_step *s, const json_t *point,
			 struct err *e);
/* All its points are there: it is available, with the sums of its resources. */
int checkpoint_available(struct core *c, struct db_tx *t, const char *id, struct err *e);
/* Its status is another one, or whether it is known to be damaged: for coverage and usage. Its
 * resources are still in the database. */
int checkpoint_changed(struct core *c, struct db_tx *t, const char *id, struct err *e);
/* `operation` has looked whether it is as it was written. */
int checkpoint_verified(struct core *c, struct db_tx *t, const char *id, bool whole,
			const char *operation, uint64_t now_us, struct err *e);

extern const struct flow_kind protect_prepare, checkpoint_protect_kind, checkpoint_delete_kind;
extern const struct flow_operation_kind operation_protect, operation_delete, operation_clean;

/* Remove every point that carries its tag, of whatever attempt: after a protect that failed. */
int checkpoint_clean(struct core *c, struct db_tx *t, const struct checkpoint *k, struct err *e);

#endif
