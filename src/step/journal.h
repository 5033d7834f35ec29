/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h: what a restore has made so far, in a file that outlives it.
 *
 * What is about to be made is noted, durably, before it is. So an attempt that follows one that was
 * killed can remove what that left, and an undo everything; and one that follows an attempt which
 * was complete, but whose word was lost, has its result. The file is STATE/restore-STEP.json; while
 * it is open nobody else has it.
 *
 * Threads: for the step's.
 */
#ifndef HF_STEP_JOURNAL_H
#define HF_STEP_JOURNAL_H

#include <jansson.h>

#include "platform/driver.h"

struct journal {
	char *path;
	int lock;	/* descriptor of PATH.lock */
	json_t *made;	/* [{kind, what}], in the order in which it was made */
	json_t *result; /* NULL: it was not completed */
};

/* Open that of a step. `state` NULL: nothing is kept. ERR_BUSY: an earlier attempt is at work. */
int journal_open(const char *state, const char *step, struct journal *ret, struct err *e);
void journal_done(struct journal *j);
/* Note what will be made: a `making` of struct platform_restore; `arg` is the journal. */
int journal_making(void *arg, enum platform_made kind, const char *what, struct err *e);
/* Remove all that is noted in `made`, the last first. */
int journal_unmake(const json_t *made, struct platform *p, struct err *e);
/* Nothing is there any more. */
int journal_clear(struct journal *j, struct err *e);
int journal_complete(struct journal *j, json_t *result, struct err *e);
/* Remove the files of steps that ended more than `age_s` seconds ago. */
void journal_tidy(const char *state, int64_t age_s);

#endif
