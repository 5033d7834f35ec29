/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_mover.h: the mover on the server's own machine, which the server starts, invites, and
 * starts again when it ends.
 *
 * It is the same program as everywhere and dials in the same way; its invitation comes through a
 * pipe. It ends when the server's process does, however that happens.
 *
 * Threads: thread-safe; it has one of its own.
 */
#ifndef HF_LINK_LOCAL_MOVER_H
#define HF_LINK_LOCAL_MOVER_H

#include "db/db.h"

struct local_mover;

struct local_mover_options {
	struct db *db;
	const char *program; /* path of holdfast-mover */
	const char *server;  /* URL that it dials */
	const char *ca;	     /* file, or NULL */
	const char *state;   /* its folder */
	unsigned slots;
	uint64_t drain_us; /* how long its steps are waited for */
};

/* Texts are copied. That the program cannot be started is told in the log, and tried again. */
struct local_mover *local_mover_start(const struct local_mover_options *o, struct err *e);
/* It has `timeout_ms` to end; then it is killed. NULL is fine. */
void local_mover_stop(struct local_mover *m, unsigned timeout_ms);

#endif
