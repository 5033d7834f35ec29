/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_lock.h: keeps QEMU from writing to an image while it is read: by us, or by qemu-nbd, which
 * does not do that for raw images. Thread-safe.
 */
#ifndef HF_MOVER_IMAGE_LOCK_H
#define HF_MOVER_IMAGE_LOCK_H

#include "base/err.h"

/*
 * Open an image, or a device, for reading, and lock it against programs that would write to it
 * through QEMU, until the descriptor is closed. ERR_BUSY when one does already. Where the file
 * system has no locks, as QEMU then has none either, that is success.
 */
int image_lock_read(const char *path, int *ret_fd, struct err *e);

#endif
