/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h: waits until an operation of the server has ended. The server's events say when to look;
 * without them it is looked at every second in any case. The server may restart or be away
 * meanwhile: the operation goes on there, or will.
 *
 * Threads: one wait at a time for each client; it has a thread of its own that listens.
 */
#ifndef HF_CLIENT_WATCH_H
#define HF_CLIENT_WATCH_H

#include "client/client.h"

#define WATCH_AWAY_S 600 /* for so long the server may be away */

struct watch {
	/* As it is now, whenever it was looked at. */
	void (*seen)(void *arg, const json_t *operation);
	/* A line of its log: {"seq", "at", "step", "level", "text"}. */
	void (*line)(void *arg, const json_t *line);
	/* The server does not answer: why; and NULL when it does again. */
	void (*away)(void *arg, const char *why);
	void *arg;
	const struct cancel *cancel; /* or NULL */
};

/*
 * The operation when it has ended, however: look at its state. The caller's. ERR_CANCELLED: stop
 * waiting; the operation goes on. ERR_UNREACHABLE, ERR_TIMEOUT: the server was away for too long.
 */
int watch_operation(struct client *c, const char *id, const struct watch *w, json_t **ret,
		    struct err *e);
/* Has it ended? */
bool watch_ended(const json_t *operation);

#endif
