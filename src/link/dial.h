/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.h: the mover's side of the link to the server (conductor.h): it dials out, takes steps, has
 * children run them, and tells what came of them.
 *
 * Three threads, whatever the number of steps: one starts and hears the children, one makes the
 * requests, one listens to events. A request that fails is made again with growing, random pauses;
 * children run on meanwhile, and what they came to is kept in a spool until it was acknowledged.
 *
 * Threads: dial_start and dial_stop by one; the rest by any.
 */
#ifndef HF_LINK_DIAL_H
#define HF_LINK_DIAL_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

#define DIAL_SLOTS_MAX 256

struct dial;

struct dial_options {
	const char *server;	  /* "https://holdfast.example.com:8799" */
	const char *ca;		  /* file; NULL: the system's authorities */
	const char *state;	  /* folder, is there */
	const char *invitation;	  /* NULL: none, it must be registered already */
	const char *program;	  /* of the children; "PROGRAM step --state FOLDER" */
	const char *host;	  /* the name of this machine */
	const char *const *kinds; /* of steps, NULL-terminated */
	unsigned slots;		  /* steps at once */
	unsigned look_s;	  /* how often it is looked for steps without being told; 0: 30 */
};

/* All texts are copied. Nothing is asked of the server yet. */
struct dial *dial_start(const struct dial_options *o, struct err *e);
/*
 * Take no more steps; wait for those that run, at most `timeout_ms`, then stop them: they are given
 * back. What cannot be told any more is told after the next start. NULL is fine.
 */
void dial_stop(struct dial *d, unsigned timeout_ms);
/* It cannot go on: the server does not know it. Waits at most `timeout_ms`; -1: so it is. */
int dial_check(struct dial *d, unsigned timeout_ms, struct err *e);
/* -1 with the reason: the server was not reached for a minute. */
int dial_health(struct dial *d, struct err *e);

#endif
