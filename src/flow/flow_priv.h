/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_priv.h: what the files of flow share; also for its tests and benchmarks.
 *
 * Every function here that takes a `struct turn` works in its transaction. All that changes an
 * operation or its steps has locked the operation's row first (turn_lock), so two such transactions
 * never meet inside one operation. In PostgreSQL, those that settle are SERIALIZABLE besides.
 */
#ifndef HF_FLOW_FLOW_PRIV_H
#define HF_FLOW_FLOW_PRIV_H

#include <pthread.h>

#include "flow/flow.h"

#define FLOW_LEASE_S 60
#define FLOW_ATTEMPTS 5
/* An attempt that is given back is not counted, but not for ever. */
#define FLOW_GIVEN_BACK_MOST 50
/* How far apart the clocks of machines may be before a lease is taken for one from the future. */
#define FLOW_SKEW_US UINT64_C(600000000)
/* Undo steps that nobody takes, of an operation that was cancelled once more, wait so long. */
#define FLOW_GIVE_UP_US UINT64_C(60000000)
#define FLOW_STEPS_MOST 100000 /* of one operation */

/* Of a step. */
#define STEP_WAITING "waiting"
#define STEP_READY "ready"
#define STEP_RUNNING "running"
#define STEP_DONE "done"
#define STEP_FAILED "failed"
#define STEP_CANCELLED "cancelled"
#define STEP_UNDONE "undone"
#define STEP_UNDO_FAILED "undo_failed"

/* Channels of db_wake(). */
#define WAKE_STEPS FLOW_WAKE_STEPS
#define WAKE_OPERATIONS FLOW_WAKE_OPERATIONS
#define WAKE_STOPS FLOW_WAKE_STOPS

struct crowd;	/* take.c: what is ready, as it was a moment ago */
struct workers; /* work.c */

struct flow {
	struct db *db;
	char *name;
	const struct flow_kind *const *kinds;
	const struct flow_operation_kind *const *operations;
	void *user;
	bool (*may)(void *arg); /* take work now; NULL: always */
	void *may_arg;
	struct crowd *crowd;
	struct workers *workers;
	/* Tests set these before anything runs: another clock, and shorter pauses. */
	uint64_t (*now)(void *arg);
	void *now_arg;
	uint64_t pause_first_us, pause_most_us;
};

uint64_t flow_now(const struct flow *f);
/* NULL when it has no such kind. */
const struct flow_kind *flow_kind_find(const struct flow *f, const char *name);
const struct flow_operation_kind *flow_operation_find(const struct flow *f, const char *name);
bool flow_has_undo(const struct flow_kind *k);
uint64_t flow_lease_us(const struct flow_kind *k);
/* A random id, whose beginning may grow with time. */
char *flow_new_id(const struct db_tx *t, uint64_t now_us, char out[UUID_TEXT]);
/* NULL for a NULL; an object that cannot be read is an error. */
int flow_load_json(const char *text, json_t **ret, struct err *e);
/* Text of an object for the database; NULL for NULL. */
char *flow_dump_json(const json_t *j);

/* The functions of kinds that run inside of transactions. */
enum hook {
	HOOK_NONE,
	HOOK_SETTLE = 1,
	HOOK_FAILED = 2,
	HOOK_UNDONE = 4,
	HOOK_ENDED = 8,
};

/* One try of a transaction. */
struct turn {
	struct flow *f;
	struct db_tx *t;
	uint64_t now;
	unsigned skip;	 /* hooks that failed in earlier tries, and are left out now */
	enum hook in;	 /* the one that is running, or has failed */
	const char *why; /* what the hooks in `skip` said, for the log */
};

/* Around a hook: HOOK_NONE in the end where it went well. False: it is to be left out. */
bool turn_hook_begin(struct turn *x, enum hook hook, const struct flow_step *s);
void turn_hook_end(struct turn *x, int rc);

/* An operation whose row is locked. */
struct operation {
	char id[UUID_TEXT];
	char *kind, *project, *subject, *state, *ending, *reason;
	bool undo_begun, cancel_asked, give_up, ended;
};
void operation_done(struct operation *o);
#define AUTO_OPERATION CLEANUP(operation_done) struct operation

/*
 * Lock the row, count the change, wake who watches operations. ERR_NOENT. `o` is all zeros before,
 * and is released with operation_done() in any case.
 */
int turn_lock(struct turn *x, const char *operation, struct operation *o, struct err *e);
/* The number of this change; see flow_changes(). */
int turn_change(struct turn *x, int64_t *ret_n, struct err *e);
int turn_log(struct turn *x, const char *operation, const char *step, const char *level,
	     struct err *e, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/*
 * Do what follows from the states of the operation's steps: cancel those that need not start,
 * begin undoing, go on with it, end. To be called after every change. finish.c
 */
int turn_advance(struct turn *x, struct operation *o, struct err *e);
/* It is to end as `ending`; steps that run are told. */
int turn_stop(struct turn *x, struct operation *o, const char *ending, const char *reason,
	      struct err *e);
/* Set up the undoing of all that is done and has an undo. undo.c */
int turn_begin_undo(struct turn *x, struct operation *o, struct err *e);
/* If nothing of it is ready or running, make the next wave ready. */
int turn_next_wave(struct turn *x, struct operation *o, struct err *e);

/*
 * Run `fn` with `arg` as a transaction of db_write. A hook that fails for another reason than the
 * database is left out in another try, and the log tells; but for HOOK_SETTLE, whose error is
 * returned with *ret_settle (may be NULL) set. So no hook can keep an operation from ending.
 */
typedef int turn_fn(struct turn *x, void *arg, struct err *e);
int turn_write(struct flow *f, turn_fn *fn, void *arg, bool *ret_settle, struct err *e);

/* How many steps there are and are done, and the sums of what they told. flow_query.c */
int flow_progress(struct db_tx *t, const char *operation, json_t **ret, struct err *e);

/* The columns of FLOW_STEP_COLUMNS, in a row of steps `s` joined with operations `o`. */
#define FLOW_STEP_COLUMNS                                                                          \
	"s.id, s.operation_id, s.kind, s.place, s.project_id, o.subject, s.input, s.result, "      \
	"s.fence, s.attempt, s.undoing"
#define FLOW_STEP_N 11 /* columns */
struct flow_step *flow_step_load(const struct db_rows *r, struct err *e);
/* What flow_current() says from now on in this thread, and to which step flow_add() belongs. */
void flow_enter(struct flow *f, const struct flow_step *s);

/* One attempt is over: by its report, or because its lease ran out. finish.c */
struct attempt {
	const char *step;
	uint64_t fence;
	const json_t *result;
	const struct err *why; /* NULL: it is done */
	bool expired;	       /* only if its lease or deadline has passed at `now` */
};
int turn_attempt(struct turn *x, void *attempt, struct err *e);

/*
 * At $1, with FLOW_SKEW_US in $2: the lease has ended, or is from a future that a jump of the clock
 * has left, or who has it goes on renewing it long after its deadline.
 */
#define FLOW_EXPIRED_SQL                                                                           \
	"(s.lease_until < $1 OR s.lease_until > $1 + s.lease_us + $2 OR "                          \
	"s.deadline_at + s.lease_us < $1)"

/* The part of flow_look_after() for operations that were told to stop; quick. keep.c */
int flow_end_stopped(struct flow *f, uint64_t now_us, struct err *e);

struct crowd *crowd_new(void);
void crowd_free(struct crowd *c);

#endif
