/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mover.h: what holdfast-mover consists of: a daemon (mover_program), and the steps that it starts
 * as processes of their own.
 *
 * Threads: the main thread's.
 */
#ifndef HF_CMD_MOVER_H
#define HF_CMD_MOVER_H

#include "base/cancel.h"
#include "cmd/daemon.h"

/* One step, a child of the mover's: a job on standard input, lines of JSON on standard output.
 * Returns the exit code. `state`: folder, or NULL. */
int mover_step(const char *state, const char *self, const struct cancel *cancel);

/* Path of this program; the caller frees. */
char *mover_path(void);

extern const struct daemon_program mover_program;
extern const struct config_schema mover_schema;
extern const struct daemon_part part_dial;

#endif
