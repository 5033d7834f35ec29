/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_nbd.h: a disk image in any format that QEMU knows, served by a qemu-nbd of our own on a unix
 * socket in a private folder. It ends when it is stopped, and with this process. One thread.
 */
#ifndef HF_MOVER_QEMU_NBD_H
#define HF_MOVER_QEMU_NBD_H

#include "base/err.h"
#include "base/mem.h"

struct qemu_nbd_options {
	const char *format; /* NULL: let QEMU find out (only for reading what is trusted) */
	const char *bitmap; /* a persistent bitmap to offer, or NULL */
	bool writable;
	unsigned clients; /* connections at once; 0: one */
};

struct qemu_nbd;

/* The name of a file for QEMU's tools, which take what stands before a colon for a protocol, to be
 * freed. */
char *qemu_file_name(const char *path);

/* Start and wait until it answers. An image that is read is locked against writers; ERR_BUSY when
 * there is one already. */
struct qemu_nbd *qemu_nbd_start(const char *path, const struct qemu_nbd_options *o, struct err *e);
/* The socket; the export's name is empty. */
const char *qemu_nbd_socket(const struct qemu_nbd *q);
/* Stop it; a writable image is flushed and closed cleanly. -1 when it ended with an error. */
int qemu_nbd_stop(struct qemu_nbd *q, struct err *e);
/* Stop and forget errors. NULL is fine. */
void qemu_nbd_free(struct qemu_nbd *q);

DEFINE_AUTO(qemu_nbd, qemu_nbd_free);

#endif
