/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draft.h: a file that is written beside its place and gets its name when it is complete, so that
 * nobody takes half a disk for a whole one, and one that is replaced stays until then.
 * If interrupted: PATH.part-PID.
 *
 * For sinks and overlays. Threads: for its owner.
 */
#ifndef HF_MOVER_DRAFT_H
#define HF_MOVER_DRAFT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

struct draft;

/*
 * A new, empty file for `path`. ERR_EXISTS when that is taken and not to be replaced; ERR_INVALID
 * when it is no file: the name of a device must not become a file's. `instead` then tells what to
 * do.
 */
struct draft *draft_new(const char *path, bool overwrite, const char *instead, struct err *e);
/* Removes the file unless it was kept. */
void draft_free(struct draft *d);
DEFINE_AUTO(draft, draft_free);

/* Its name until it is kept. */
const char *draft_path(const struct draft *d);
/* Open for writing; stays the draft's. */
int draft_fd(const struct draft *d);
/* Flush the file and give it its name, durably. */
int draft_keep(struct draft *d, struct err *e);

#endif
