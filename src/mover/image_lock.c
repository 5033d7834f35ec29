/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's own protocol (block/file-posix.c): who uses permission N of an image holds a shared lock
 * on byte 100 + N of the file; who forbids it to others one on byte 200 + N. Everybody locks first
 * and looks for conflicting locks then, so that of two at once at least one gives way.
 */
#include "mover/image_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

#define WRITE_USED (100 + 1)
#define WRITE_FORBIDDEN (200 + 1)

int image_lock_read(const char *path, int *ret_fd, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct flock mine = {F_RDLCK, SEEK_SET, WRITE_FORBIDDEN, 1, 0};
	struct flock theirs = {F_WRLCK, SEEK_SET, WRITE_USED, 1, 0};

	if (fd < 0)
		return err_sys(e, errno, "open image %s", path);
	if (fcntl(fd, F_OFD_SETLK, &mine) == 0 && fcntl(fd, F_OFD_GETLK, &theirs) == 0 &&
	    theirs.l_type != F_UNLCK)
		return err_set(e, ERR_BUSY,
			       "image %s is in use: a program that writes to it, such as a running "
			       "machine, holds QEMU's lock; try again when that has ended",
			       path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}
