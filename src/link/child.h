/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h: a step that runs in a process of its own ('holdfast-mover step'): what it says, and how
 * it ends.
 *
 * Threads: for the thread that started it; when that ends, the child is told to end.
 */
#ifndef HF_LINK_CHILD_H
#define HF_LINK_CHILD_H

#include <jansson.h>
#include <poll.h>

#include "base/buf.h"
#include "base/spawn.h"

#define CHILD_NOTES_MAX 100

struct child {
	struct spawn *spawn;
	int out; /* what it says; -1: it has said all */
	struct buf line;
	json_t *progress;  /* the last; or NULL */
	json_t *notes;	   /* since they were taken; the first CHILD_NOTES_MAX */
	json_t *end;	   /* {"result": …} or {"error": …}; NULL: not yet */
	uint64_t asked_us; /* to stop; 0: it was not */
};

/* Start `argv` with `job` on its standard input. */
struct child *child_start(const char *const argv[], const char *job, size_t n, struct err *e);
/* Kills it. */
void child_free(struct child *c);
DEFINE_AUTO(child, child_free);

/* Two descriptors to wait for. */
void child_poll(const struct child *c, struct pollfd p[2]);
/* Hear what it said. true: it has ended, and c->end says how. */
bool child_hear(struct child *c);
/* Ask it to stop; after a minute make it. May be called again and again. */
void child_stop(struct child *c);

#endif
