/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.h: a file that keeps what is written over a disk of a checkpoint: a qcow2 image whose
 * header says of which disk it is. QEMU's own order of writes makes it safe against being killed:
 * what was flushed is there, and the image is whole.
 *
 * What lies beneath is named there as the export CHECKPOINT/DISK of a server that QEMU does not
 * find: nobody who opens the file alone takes holes for zeros. Threads: none of this keeps state.
 */
#ifndef HF_MOVER_OVERLAY_H
#define HF_MOVER_OVERLAY_H

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct overlay_base {
	const char *checkpoint; /* its id as text */
	const char *disk;
	uint64_t size;
};

/*
 * Make `path` an overlay of the base when nothing is there; else check that it is one, and that
 * nobody has it open. If interrupted: nothing, or a complete overlay, at `path`; PATH.part-PID.
 * ERR_INVALID: it is another's, or no overlay; ERR_BUSY.
 */
int overlay_prepare(const char *path, const struct overlay_base *base, struct err *e);

/* How qemu-nbd is to open it, where the export CHECKPOINT/DISK is served on a unix socket. To be
 * freed; NULL when a path is not UTF-8. */
char *overlay_image(const char *path, const char *socket);

#endif
