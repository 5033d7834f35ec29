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
 * retries, told in the log, and the operation ends. A function of a kind that fails inside of a
 * transaction is left out, which the log tells, rather than keep an operation from ending.
 *
 * Waking: db_wait() on FLOW_WAKE_STEPS, _OPERATIONS and _STOPS.
 *
 * Threads: a flow is thread-safe.
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

/* Channels of db_wait(): something may be ready to be taken; any operation has changed; something
 * that runs is to stop. */
#define FLOW_WAKE_STEPS "flow_steps"
#define FLOW_WAKE_OPERATIONS "flow_operations"
#define FLOW_WAKE_STOPS "flow_stops"

struct flow;

/* A step that somebody has taken, or whose result is being recorded. Strings are the flow's. */
struct flow_step {
	char id[UUID_TEXT], operation[UUID_TEXT];
	char *kind;	/* "checkpoint.protect" */
	char *place;	/* who runs it: FLOW_WORKER, or "mover:ID", or FLOW_ANY_MOVER */
	char *project;	/* the operation's */
	char *subject;	/* the operation's: id of the checkpoint, restore … that it is about */
	json_t *input;	/* object */
	json_t *result; /* object; what run returned, also while undoing; NULL until then */
	uint64_t fence;
	unsigned attempt; /* 1, 2, … */
	bool undo;	  /* it is to be undone */
};
void flow_step_free(struct flow_step *s);
DEFINE_AUTO(flow_step, flow_step_free);

#define FLOW_WORKER "worker"
#define FLOW_ANY_MOVER "mover"

/* A worker at a step. The lease is renewed for it; flow_renew() is for telling progress. */
struct flow_run {
	const struct flow_step *step;
	const struct cancel *cancel; /* cancelled, past its deadline, drained, or not its own now */
	struct flow *flow;
	struct db *db;
};

/* So short, so that nothing waits long where a clock has jumped. */
#define FLOW_PUT_OFF_MOST_US UINT64_C(600000000)
#define FLOW_NEVER UINT64_MAX
#define FLOW_WHY 200

struct flow_kind {
	const char *name;
	/*
	 * In a worker, outside of transactions; may be NULL: nothing to do but settle. *ret_result
	 * is an object, or stays NULL. What is retryable follows from the error's kind (err_info).
	 * ERR_CANCELLED is right when `cancel` is set, and means nothing else.
	 */
	int (*run)(const struct flow_run *r, json_t **ret_result, struct err *e);
	/*
	 * Asked in a transaction that reads before the first attempt is taken; may be NULL. Not
	 * yet: *ret_until_us is when to ask again (at most FLOW_PUT_OFF_MOST_US from now), and
	 * `why` says what it waits for. FLOW_NEVER: its operation is cancelled, as `why` says.
	 * An error is told, and it is asked again.
	 */
	int (*may_begin)(struct db_tx *t, const struct flow_step *s, uint64_t now_us,
			 uint64_t *ret_until_us, char why[FLOW_WHY], struct err *e);
	/* In the transaction that records that it is done: changes the model, adds steps
	 * (flow_current). If it fails, the attempt has failed. May be NULL. */
	int (*settle)(struct db_tx *t, const struct flow_step *s, struct err *e);
	/* It was tried, and will not be again: it failed for good, or its operation is cancelled or
	 * failed (ERR_CANCELLED). In the transaction that records it. May be NULL. */
	int (*failed)(struct db_tx *t, const struct flow_step *s, const struct err *why,
		      struct err *e);
	/* Undo: run outside by a worker, settled in a transaction. Each may be NULL; both NULL and
	 * no mover_undoes: nothing to undo. Errors of every kind are tried again. */
	int (*undo)(const struct flow_run *r, json_t **ret_result, struct err *e);
	int (*undone)(struct db_tx *t, const struct flow_step *s, struct err *e);
	/* For a mover's step: undoing is done by the same place too; `undo` of the step is true and
	 * its result says what was done. */
	bool mover_undoes;
	unsigned attempts;   /* at most; 0: 5 */
	unsigned lease_s;    /* 0: 60; renewed by flow_renew() */
	unsigned deadline_s; /* of one attempt, which then is told to stop; 0: none */
};

struct flow_operation_kind {
	const char *name; /* "protect", "restore", "verify", "copy", "delete", "collect" … */
	/* In the transaction that ends it: `state` is FLOW_SUCCEEDED, _FAILED or _CANCELLED. May be
	 * NULL. */
	int (*ended)(struct db_tx *t, const char *operation, const char *subject, const char *state,
		     const char *reason, struct err *e);
};

/*
 * `name`: of this process, unique among those alive, for people to see who has a lease. The arrays
 * end with NULL and are borrowed. `d` is open for longer than the flow.
 */
struct flow *flow_new(struct db *d, const char *name, const struct flow_kind *const *kinds,
		      const struct flow_operation_kind *const *operations, struct err *e);
void flow_free(struct flow *f);
DEFINE_AUTO(flow, flow_free);
/* Anything, for the functions of kinds; borrowed. Set before workers are started. */
void flow_set_user(struct flow *f, void *user);
/* Asked before a worker takes a step: false, it takes none now. Quick; any thread. Before
 * flow_workers(). */
void flow_set_gate(struct flow *f, bool (*may)(void *arg), void *arg);
void *flow_user(const struct flow *f);
/* In a function of a kind that is called in a transaction: the flow that calls it. */
struct flow *flow_current(void);

struct flow_operation_new {
	const char *kind, *project, *subject;
	const char *name;	/* for people: "protect plan web" */
	const char *created_by; /* "user alice", "trigger nightly" */
	int priority;		/* -100 … 100, higher first; 0 is usual */
	uint64_t not_before_us; /* 0: now */
	uint64_t deadline_us;	/* cancelled if it has not ended by then; 0: none */
	json_t *detail;		/* borrowed; shown with it; may be NULL */
};

/* Insert an operation without steps; add them in the same transaction. One without any succeeds. */
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
/*
 * Steps added by `settle` go when the step that added them is to run again, on a retry: it adds
 * them anew. ERR_INVALID: the kind, or one of `needs`, does not exist; ERR_CONFLICT: it has ended.
 */
int flow_add(struct flow *f, struct db_tx *t, const char *operation, const struct flow_step_new *s,
	     char ret_id[UUID_TEXT], struct err *e);

/*
 * How many steps with this key may run at once, in all processes together; 0: no limit. A key is
 * "kind:ID", the kind of letters from a to z; "kind" alone is for each key of that kind that has no
 * limit of its own. Each step has "project:ID" of its project besides those that it was added with.
 * What runs already goes on.
 */
int flow_set_limit(struct db_tx *t, const char *key, unsigned most, struct err *e);

/*
 * Ask it to stop. Steps that run are told; then it undoes and ends, by the workers' threads (or
 * flow_look_after) and not in this transaction. Again while it undoes: undo steps that nobody has
 * taken for a minute are given up. Ended already: ERR_CONFLICT.
 */
int flow_cancel(struct flow *f, struct db_tx *t, const char *operation, struct err *e);
/*
 * Run an operation that failed or was cancelled again: the steps that are not done, and those that
 * were built on them. The result of the others stays. Still running, or succeeded: ERR_CONFLICT.
 */
int flow_retry(struct flow *f, struct db_tx *t, const char *operation, struct err *e);
/* A line in the operation's log; level: "info", "warning" or "error". `step` may be NULL. */
int flow_log(struct db_tx *t, const char *operation, const char *step, const char *level,
	     const char *text, struct err *e);

/* ---- who runs steps ---- */

/*
 * Take a ready step for one of `places`, the most urgent first: priority, then the project with the
 * fewest running steps, then the oldest. *ret_step is NULL if there is none, which may also be
 * because others are taking them at this moment: look again when FLOW_WAKE_STEPS was woken, and
 * every few seconds. Where hundreds are ready, the order is as it was up to a second ago.
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
/*
 * Record that it is done (`why` NULL; `result` borrowed, may be NULL), or that this attempt failed.
 * ERR_CANCELLED from who was not told to stop gives the step back: somebody else takes it, and the
 * attempt is not counted. ERR_CONFLICT as for flow_renew(): nothing was changed. Any other error:
 * it is not recorded, and the same report may be made again.
 */
int flow_finish(struct flow *f, const char *step, uint64_t fence, json_t *result,
		const struct err *why, struct err *e);

/* Threads that run the steps of FLOW_WORKER and look after leases and deadlines, until flow_stop.
 */
int flow_workers(struct flow *f, unsigned n, struct err *e);
/*
 * Take no more steps; wait until those that run have ended, at most `timeout_ms`, then cancel them:
 * they are given back. Returns when all threads have ended.
 */
void flow_stop(struct flow *f, unsigned timeout_ms);
/*
 * Steps whose lease has run out become ready again, operations past their deadline are cancelled,
 * cancelled ones go on to their end. Called by the workers' threads every few seconds; for tests,
 * by hand. A wrong `now_us` costs additional attempts or a wait of minutes, and never a result.
 */
int flow_look_after(struct flow *f, uint64_t now_us, struct err *e);

#endif
