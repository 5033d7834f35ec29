/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_device.h: files that say that they are block devices, for the tests of what reads and writes
 * those: not every machine that runs tests has one to give. A test program links fake_device.c and
 * lets it stand in for fstat64, stat64 and ioctl.
 */
#ifndef HF_TEST_FAKE_DEVICE_H
#define HF_TEST_FAKE_DEVICE_H

#include <stdint.h>

/* While it is not 0, every file is a device of so many bytes. */
extern uint64_t fake_device;
/* So many fstat() succeed, and the next fails with EIO; -1: all succeed. */
extern int fake_device_fstats;

#endif
