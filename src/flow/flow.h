/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h: operations that outlive every process.
 *
 * An operation is a graph of steps in the database. A step becomes ready when all that it needs are
 * done; a worker of holdfastd or a mover takes it with a lease, does it, and records its result.
 * Every claim of a step raises its fence: who was taken for dead and comes back has an old fence,
 * and what it reports changes nothing. Leases end by the clock, which decides when a step is given
 * to somebody else, never whether a result counts.
 *
 * What a step does outside (run) may therefore be done twice, and is written so that this does not
 * hurt; what it does to the database (settle) happens in the transaction that records the result,
 * exactly once.
 *
 * An operation fails when a step fails for good. Then, and when it is cancelled, what was done is
 * undone in reverse where a kind has an undo. An operation never gets stuck: whatever its state, it
 * can be cancelled, and retried when it has ended; an undo that keeps failing is given up after its
 * retries, told in the log, and the operation ends.
 *
 * Threads: a flow is thread-safe once its kinds are registered.
 */
#ifndef HF_FLOW_FLOW_H
#define HF_FLOW_FLOW_H

#include <jansson.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "db/db.h"

/* Of an operation. */
#define FLOW_QUEUED "queued" /* no step was taken yet */
#define FLOW_RUNNING "running"
#define FLOW_UNDOING "undoing" /* failed or cancelled; undoing what was done */
#define FLOW_SUCCEEDED "succeeded"
#define FLOW_FAILED "failed"
#define FLOW_CANCELLED "cancelled"

struct flow;

/* A step that somebody has taken, or whose result is being recorded. Strings are the flow's. */
struct flow_step {
	char id[UUID_TEXT], operation[UUID_TEXT];
	char *kind;	/* "checkpoint.protect" */
	char *place;	/* who runs it: FLOW_WORKER, or "mover:ID", or FLOW_ANY_MOVER */
	char *project;	/* the operation's */
	char *subject;	/* the operation's: id of the checkpoint, restore … that it is about */
	json_t *input;	/* object */
	json_t *result; /* object; what run returned; NULL until then, and on failure */
	uint64_t fence;
	unsigned attempt; /* 1, 2, … */
	bool undo;	  /* it is to be undone */
};
void flow_step_free(struct flow_step *s);
DEFINE_AUTO(flow_step, flow_step_free);

#define FLOW_WORKER "worker"
#define FLOW_ANY_MOVER "mover"

/* A worker at a step: tells progress (which renews the lease), and learns that it has to stop. */
struct flow_run {
	const struct flow_step *step;
	const struct cancel *cancel; /* cancelled, drained, or the lease was lost */
	struct flow *flow;
	struct db *db;
};

struct flow_kind {
	const char *name;
	/*
	 * In a worker, outside of transactions; may be NULL: nothing to do but settle. *ret_result
	 * is an object, or stays NULL. What is retryable follows from the error's kind (err_info).
	 */
	int (*run)(const struct flow_run *r, json_t **ret_result, struct err *e);
	/* In the transaction that records that it is done: changes the model, adds steps. May be
	 * NULL. */
	int (*settle)(struct db_tx *t, const struct flow_step *s, struct err *e);
	/* It failed for good; `why` says so. In the transaction that records it. May be NULL. */
	int (*failed)(struct db_tx *t, const struct flow_step *s, const struct err *why,
		      struct err *e);
	/* Undo: run outside, settled in a transaction. Each may be NULL; both NULL: nothing to
	 * undo. */
	int (*undo)(const struct flow_run *r, json_t **ret_result, struct err *e);
	int (*undone)(struct db_tx *t, const struct flow_step *s, struct err *e);
	/* For a mover's step: undoing is done by a mover too (its input has "undo": true). */
	bool mover_undoes;
	unsigned attempts;   /* at most; 0: 5 */
	unsigned lease_s;    /* 0: 60; renewed by progress */
	unsigned deadline_s; /* of one attempt; 0: none */
};

struct flow_operation_kind {
	const char *name; /* "protect", "restore", "verify", "copy", "delete", "collect" … */
	/* In the transaction that ends it: `state` is FLOW_SUCCEEDED, _FAILED or _CANCELLED. May be
	 * NULL. */
	int (*ended)(struct db_tx *t, const char *operation, const char *subject, const char *state,
		     const char *reason, struct err *e);
};

/* `name`: of this process, unique among those alive, for leases. The arrays are borrowed. */
struct flow *flow_new(struct db *d, const char *name, const struct flow_kind *const *kinds,
		      const struct flow_operation_kind *const *operations, struct err *e);
void flow_free(struct flow *f);
DEFINE_AUTO(flow, flow_free);

struct flow_operation_new {
	const char *kind, *project, *subject;
	const char *name;	/* for people: "protect plan web" */
	const char *created_by; /* "user alice", "trigger nightly" */
	int priority;		/* -100 … 100, higher first; 0 is usual */
	uint64_t not_before_us; /* 0: now */
	uint64_t deadline_us;	/* cancelled if it has not ended by then; 0: none */
	json_t *detail;		/* borrowed; shown with it; may be NULL */
};

/* Insert an operation without steps; add them in the same transaction. */
int flow_start(struct flow *f, struct db_tx *t, const struct flow_operation_new *o,
	       char ret_id[UUID_TEXT], struct err *e);

struct flow_step_new {
	const char *kind, *place;
	const char *name;	  /* for people: "protect vm web1" */
	json_t *input;		  /* borrowed; may be NULL */
	const char *const *needs; /* ids of steps of the same operation */
	size_t n_needs;
	const char *const *limits; /* "target:ID", "platform:ID", "host:NAME"; see flow_set_limit */
	size_t n_limits;
};
int flow_add(struct flow *f, struct db_tx *t, const char *operation, const struct flow_step_new *s,
	     char ret_id[UUID_TEXT], struct err *e);

/* How many steps with this key may run at once; 0: no limit. "project" is the default for each
 * project. */
int flow_set_limit(struct db_tx *t, const char *key, unsigned most, struct err *e);

/* Ask it to stop. Steps that run are told; then it undoes and ends. Ended already: ERR_CONFLICT. */
int flow_cancel(struct flow *f, struct db_tx *t, const char *operation, struct err *e);
/* Run an ended operation again from the steps that are not done. Still running: ERR_CONFLICT. */
int flow_retry(struct flow *f, struct db_tx *t, const char *operation, struct err *e);
/* A line in the operation's log. `step` may be NULL. */
int flow_log(struct db_tx *t, const char *operation, const char *step, const char *level,
	     const char *text, struct err *e);

/* ---- who runs steps ---- */

/*
 * Take a ready step for one of `places`, the most urgent first: priority, then the project with the
 * fewest running steps, then the oldest. *ret_step is NULL if there is none.
 */
int flow_take(struct flow *f, const char *who, const char *const *places, size_t n_places,
	      struct flow_step **ret_step, struct err *e);
/*
 * Renew the lease and tell progress (may be NULL; an object: bytes_done, bytes_total, bytes_read,
 * bytes_new, bytes_stored, message). *ret_stop: it was cancelled. ERR_CONFLICT: the fence is old,
 * somebody else has it, or it has ended: stop, and report nothing.
 */
int flow_renew(struct flow *f, const char *step, uint64_t fence, const json_t *progress,
	       bool *ret_stop, struct err *e);
/* Record that it is done (`why` NULL; `result` borrowed, may be NULL), or that this attempt failed.
 */
int flow_finish(struct flow *f, const char *step, uint64_t fence, json_t *result,
		const struct err *why, struct err *e);

/* Threads that run the steps of FLOW_WORKER and look after leases and deadlines, until flow_stop.
 */
int flow_workers(struct flow *f, unsigned n, struct err *e);
/* Take no more steps; wait until those that run have ended, at most `timeout_ms`, then cancel them.
 */
void flow_stop(struct flow *f, unsigned timeout_ms);
/*
 * Steps whose lease has run out become ready again, operations past their deadline are cancelled.
 * Called by the workers' threads every few seconds; for tests, by hand.
 */
int flow_look_after(struct flow *f, uint64_t now_us, struct err *e);

#endif
