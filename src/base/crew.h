/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew.h: threads that work on one operation and fail together.
 *
 * Each member runs a function to its end. The first failure is kept; it raises the crew's stop flag
 * and calls the hook, which closes the queues that the others may wait on. crew_join() waits for
 * all and gives that first failure. The user's own cancel flag stays separate: a failure of one
 * operation does not cancel others that share the flag.
 *
 * Thread-safe, except that one thread creates, joins and frees.
 */
#ifndef HF_BASE_CREW_H
#define HF_BASE_CREW_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

struct crew;

/* Called once, by the member that failed first, without locks held. */
typedef void crew_stop_fn(void *arg);
typedef int crew_work_fn(void *arg, struct err *e);

struct crew *crew_new(crew_stop_fn *stop, void *arg);
/* Start a member. Fails when the system has no thread to give. */
int crew_add(struct crew *c, crew_work_fn *work, void *arg, struct err *e);
/* Record a failure seen outside the members; as if a member had failed. */
void crew_fail(struct crew *c, const struct err *e);
/* Somebody failed: stop working. */
bool crew_stopping(const struct crew *c);
/* Wait for all members. -1 with the first failure, if there was one. */
int crew_join(struct crew *c, struct err *e);
/* Joins if that has not been done. NULL is fine. */
void crew_free(struct crew *c);

/* How many threads the machine runs at once, at least 1 (respects CPU affinity). */
unsigned crew_cores(void);

DEFINE_AUTO(crew, crew_free);

#endif
