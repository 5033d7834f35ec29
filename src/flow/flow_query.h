/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_query.h: what people see of operations, and what goes in the end.
 *
 * Everything here is read in the caller's transaction, which may be one of db_read(). JSON objects
 * are the caller's. Times are integers, microseconds since 1970, UTC; what is not known is absent.
 *
 * An operation: id, project, kind, subject, name, created_by, priority, state, reason, detail,
 * progress, cancel_asked, created_at, not_before, deadline_at, started_at, ended_at, revision.
 * Its progress: "steps" and "steps_done", and the sums of the numbers that its steps told
 * (flow_renew).
 *
 * A step: id, name, kind, place, state (waiting, ready, running, done, failed, cancelled, undone,
 * undo_failed), undoing (the first three are about undoing it), attempt, taken_by, not_before (when
 * it pauses before another attempt), progress, result, reason, started_at, ended_at,
 * undo_started_at, undo_ended_at, needs (ids).
 */
#ifndef HF_FLOW_FLOW_QUERY_H
#define HF_FLOW_FLOW_QUERY_H

#include "flow/flow.h"

/* With its steps as "steps". ERR_NOENT: there is none, or it is not of `project` (NULL: any). */
int flow_get(struct db_tx *t, const char *project, const char *operation, json_t **ret,
	     struct err *e);

struct flow_filter {
	const char *project, *kind, *subject; /* NULL: any */
	const char *state;		      /* NULL: any; "live": has not ended */
	uint64_t created_from_us;	      /* this or later */
	uint64_t created_until_us;	      /* before this; 0: any */
	const char *marker;		      /* as *ret_marker said; NULL: from the newest */
	unsigned limit;			      /* at most; 1 … 1000 */
};

/*
 * Operations without their steps, the newest first. *ret_marker (the caller's) is for the next
 * page, NULL after the last. ERR_INVALID: the marker or limit is none.
 */
int flow_list(struct db_tx *t, const struct flow_filter *filter, json_t **ret_array,
	      char **ret_marker, struct err *e);

/*
 * How many operations of a project ended since then, as an array (the caller's) of {day, kind,
 * state, n}; days since 1970, UTC.
 */
int flow_ended_days(struct db_tx *t, const char *project, uint64_t since_us, json_t **ret_array,
		    struct err *e);

/* Lines with a number above `after`: seq, at, step (may be absent), level, text. */
int flow_log_lines(struct db_tx *t, const char *operation, uint64_t after, unsigned limit,
		   json_t **ret_array, struct err *e);

/*
 * The operations that have changed since an earlier call: each once, as an object of flow_list()
 * without progress, in no particular order. *ret_next is what to give as `since` the next time; 0
 * at first gives no operations but a number to begin with. None is missed, however transactions
 * overlap; one may come again without a change, which its `revision` tells. Wait with db_wait() on
 * FLOW_WAKE_OPERATIONS between calls.
 */
int flow_changes(struct db_tx *t, uint64_t since, json_t **ret_array, uint64_t *ret_next,
		 struct err *e);

/* ---- for who hands steps out ---- */

/* Places but FLOW_WORKER with steps that could be taken now. */
struct flow_ready_list {
	struct flow_ready {
		char *place;
		unsigned n;
	} * v;
	size_t n;
};
/* Replaces what is in the list, also when it fails. */
int flow_ready(struct db_tx *t, struct flow_ready_list *l, struct err *e);
void flow_ready_done(struct flow_ready_list *l);
/* 1: `who` has the step with this fence, 0: not any more, -1. */
int flow_has_lease(struct db_tx *t, const char *step, uint64_t fence, const char *who,
		   char ret_operation[UUID_TEXT], struct err *e);

/* The steps that `who` has, as an array (the caller's) of {step, fence}. */
int flow_leases(struct db_tx *t, const char *who, json_t **ret_array, struct err *e);

/* 1: a step of this kind was taken once, 0: none was, -1. */
int flow_has_begun(struct db_tx *t, const char *operation, const char *kind, struct err *e);

/*
 * Remove operations that ended before `before_us`, with their steps and log, at most `most` and in
 * transactions of its own. *ret_n: how many; fewer than `most` means that there are no more.
 */
int flow_prune(struct flow *f, uint64_t before_us, unsigned most, unsigned *ret_n, struct err *e);

#endif
