/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_fixture.h: a flow over a database of its own, with a clock that stands still, and kinds of
 * steps that write down what is called, in the log of the operation.
 *
 * Kinds: "plain" (nothing to undo), "undo" (undone by a worker), "moved" (undone by a mover),
 * "once" (one attempt). Steps are written as text: "a b<a c<a,b" is a diamond's half; "a/undo" is
 * of that kind, "a@mover" at that place, "a#host:x" under that limit.
 */
#ifndef HF_TEST_FLOW_FIXTURE_H
#define HF_TEST_FLOW_FIXTURE_H

#include "db_fixture.h"
#include "flow/flow_priv.h"
#include "flow/flow_query.h"

struct flow_fixture {
	struct db_fixture db;
	struct flow *f;
	uint64_t now;
};

int flow_fixture_up(void **state);
int flow_fixture_down(void **state);
#define FLOW_TEST(fn) cmocka_unit_test_setup_teardown(fn, flow_fixture_up, flow_fixture_down)
/* As db_fixture_run(). */
int flow_fixture_run(const struct CMUnitTest *tests, size_t n);

/* The kinds, and their functions, for others. */
extern const struct flow_kind *const flow_fixture_kinds[];
extern const struct flow_operation_kind *const flow_fixture_operations[];
int flow_fixture_settle(struct db_tx *t, const struct flow_step *s, struct err *e);
int flow_fixture_settle_more(struct db_tx *t, const struct flow_step *s, struct err *e);
int flow_fixture_failed(struct db_tx *t, const struct flow_step *s, const struct err *why,
			struct err *e);
int flow_fixture_undone(struct db_tx *t, const struct flow_step *s, struct err *e);
int flow_fixture_ended(struct db_tx *t, const char *operation, const char *subject,
		       const char *state, const char *reason, struct err *e);

/* What the functions of kinds do besides: fail with this kind, for steps with this name. */
struct flow_fixture_fault {
	const char *name;
	enum hook hook;
	enum err_kind kind;
};
extern struct flow_fixture_fault flow_fixture_fault;

/* A new operation "op" of project "p", with these steps. */
void flow_fixture_start(struct flow_fixture *x, const char *steps, char ret_id[UUID_TEXT]);
void flow_fixture_start_as(struct flow_fixture *x, const struct flow_operation_new *o,
			   const char *steps, char ret_id[UUID_TEXT]);
/* "running: a=done b=ready", with "-" before what is being undone. To be freed. */
char *flow_fixture_states(struct flow_fixture *x, const char *operation);
/* What was called: "settle a, undone a, ended failed". To be freed. */
char *flow_fixture_calls(struct flow_fixture *x, const char *operation);
/* Name of the step. */
const char *flow_fixture_name(const struct flow_step *s);

/* Take the next of `place`; fails unless it is this one (NULL: there must be none). */
struct flow_step *flow_fixture_take(struct flow_fixture *x, const char *place, const char *name);
/* Take the next of FLOW_WORKER, and report this; ERR_NONE: it is done. */
void flow_fixture_do(struct flow_fixture *x, const char *name, enum err_kind kind);

void flow_fixture_cancel(struct flow_fixture *x, const char *operation);
void flow_fixture_retry(struct flow_fixture *x, const char *operation);
void flow_fixture_limit(struct flow_fixture *x, const char *key, unsigned most);
/* As the keeper does, so much later. */
void flow_fixture_later(struct flow_fixture *x, int64_t us);

#define STATES(x, operation, want)                                                                 \
	do {                                                                                       \
		AUTO_FREE char *states_ = flow_fixture_states((x), (operation));                   \
		assert_string_equal(states_, (want));                                              \
	} while (0)
#define CALLS(x, operation, want)                                                                  \
	do {                                                                                       \
		AUTO_FREE char *calls_ = flow_fixture_calls((x), (operation));                     \
		assert_string_equal(calls_, (want));                                               \
	} while (0)

#endif
