/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fio.h: files. Whole reads and writes that survive signals and short counts, with the path in the
 * error. `path` is only named in messages. Thread-safe as the file descriptors are.
 */
#ifndef HF_BASE_FIO_H
#define HF_BASE_FIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

int fio_write(int fd, const void *data, size_t n, const char *path, struct err *e);
int fio_pwrite(int fd, const void *data, size_t n, uint64_t off, const char *path, struct err *e);
/* Up to `n` bytes, fewer only at the end of the file. */
ssize_t fio_read(int fd, void *data, size_t n, const char *path, struct err *e);
ssize_t fio_pread(int fd, void *data, size_t n, uint64_t off, const char *path, struct err *e);
int fio_fsync(int fd, const char *path, struct err *e);
/* Make entries created, renamed or removed in a directory durable. */
int fio_fsync_dir(int dirfd, const char *path, struct err *e);
/* The same for the directory that `path` lies in. */
int fio_fsync_parent(const char *path, struct err *e);
/* A new file for writing that nobody else may read; a left-over of that name is removed. Returns
 * its descriptor. */
int fio_create(const char *path, struct err *e);
/* Give a flushed file its name, durably. Without `overwrite`: ERR_EXISTS if that is taken. */
int fio_move(const char *from, const char *to, bool overwrite, struct err *e);
/* Remove the files in the folder `path` (seen from `dirfd`), as far as that goes; folders in it and
 * names that begin with a dot stay. */
void fio_empty_dir(int dirfd, const char *path);
/* The whole file, ERR_LIMIT when it is longer than `max`. */
int fio_slurp(const char *path, size_t max, struct buf *ret_b, struct err *e);
/* Replace `path` by `data` at once and durably, with permissions `mode`. */
int fio_replace(const char *path, const void *data, size_t n, mode_t mode, struct err *e);
/* If it is a pipe, let it hold 1 MiB, where the system allows that (64 KiB otherwise): whoever is
 * at its other end is waited for less often. */
void fio_widen(int fd);
/* The size of a regular file or block device. */
int fio_size(int fd, const char *path, uint64_t *ret_bytes, struct err *e);

#endif
