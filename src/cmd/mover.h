/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mover.h: the commands of holdfast-mover.
 *
 * Threads: the main thread's.
 */
#ifndef HF_CMD_MOVER_H
#define HF_CMD_MOVER_H

#include "base/cancel.h"

/* One step, a child of the mover's: a job on standard input, lines of JSON on standard output.
 * Returns the exit code. `state`: folder, or NULL. */
int mover_step(const char *state, const char *self, const struct cancel *cancel);

#endif
