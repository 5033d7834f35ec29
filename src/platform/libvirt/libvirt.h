/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt.h: the driver for KVM and QEMU domains under libvirt.
 *
 * Running domains are read through a pull-mode backup job (virDomainBackupBegin) over a unix
 * socket, shut-off ones through qemu-nbd. See backup.c for the whole course of a backup.
 */
#ifndef HF_PLATFORM_LIBVIRT_LIBVIRT_H
#define HF_PLATFORM_LIBVIRT_LIBVIRT_H

#include "platform/driver.h"

/* `uri` NULL: libvirt's default (LIBVIRT_DEFAULT_URI, or what its configuration says). */
struct platform *libvirt_open(const char *uri, struct err *e);

/*
 * The guard of a frozen guest: reads its standard input; when that ends without a "t" (thawed), or
 * `timeout_us` after an "f" (frozen), it thaws the domain. Returns the exit code of the program
 * that it is. Writes "r" to standard output when it is ready.
 */
int libvirt_freeze_guard(const char *uri, const char *uuid, uint64_t timeout_us);

#endif
