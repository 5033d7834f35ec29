/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h: one step of an operation, as a mover runs it: what it is to do as JSON, what came of it
 * as JSON.
 *
 * A step may be run again after it was done or half done, because who ran it died or its word was
 * lost. So each kind finds what an earlier attempt left, and goes on from there or begins anew;
 * what comes out is the same (see the kinds).
 *
 * Threads: a step belongs to one thread, in which `watch.note` is called.
 */
#ifndef HF_STEP_STEP_H
#define HF_STEP_STEP_H

#include <jansson.h>

#include "base/uuid.h"
#include "platform/driver.h"

#define STEP_JOB_MAX ((size_t)1 << 20) /* bytes of a job as JSON */

struct step {
	json_t *job;	/* all of it; the others borrow from it */
	const char *id; /* UUID, the same for every attempt */
	const char *kind;
	int64_t attempt;      /* 1, 2 … */
	bool undo;	      /* take back what it did */
	const json_t *input;  /* object */
	const json_t *result; /* of what is to be undone; NULL: it is not known */
	const char *state;    /* folder for what has to outlive this process; NULL: none */
	const char *self;     /* path of the program, which has the freeze guard; NULL: none */
	struct platform_watch watch;
};

/*
 * Read a job: {"step": UUID, "kind", "attempt", "undo", "input": {…}, "result": {…}}. Takes `job`.
 * ERR_INVALID names the field. The caller fills in the rest.
 */
int step_take(json_t *job, struct step *ret, struct err *e);
void step_done(struct step *s);

/* Run it, or undo it, in a process of its own, whose priority goes down for what nobody waits for.
 * *ret_result is an object, the caller's. ERR_UNSUPPORTED: an unknown kind. */
int step_run(const struct step *s, json_t **ret_result, struct err *e);

/* The names of the kinds in order; NULL after the last. */
const char *step_kind_name(size_t i);

#endif
