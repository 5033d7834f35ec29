/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_device.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

uint64_t fake_device;
int fake_device_fstats = -1;

static int refuse(int error)
{
	errno = error;
	return -1;
}

static void disguise(struct stat *st)
{
	if (fake_device)
		st->st_mode = S_IFBLK | 0600;
}

int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st)
{
	int rc = __real_stat64(path, st);

	disguise(st);
	return rc;
}

int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st)
{
	int rc;

	if (fake_device_fstats == 0)
		return refuse(EIO);
	if (fake_device_fstats > 0)
		fake_device_fstats--;
	rc = __real_fstat64(fd, st);
	disguise(st);
	return rc;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	(void)fd;
	if (request != BLKGETSIZE64)
		return refuse(ENOTTY);
	va_start(ap, request);
	*va_arg(ap, uint64_t *) = fake_device;
	va_end(ap);
	return 0;
}
