/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outfile.h: a file or block device that is written once and not read soon, by one thread or many.
 *
 * Large pieces that lie at pages in memory and in the file go to the disk directly (O_DIRECT): the
 * page cache would have to find room for them, copy them and write them all the same, at a price
 * that is a third of a backup where the machine is a guest whose host takes unused memory back. It
 * also stays what it is for: the machine's other work. Small or crooked pieces, and file systems
 * that cannot, use the page cache; the disk is told to begin with them early, so that the flush at
 * the end finds little left to do.
 *
 * Nothing is durable before outfile_flush. Threads: writes may be made at the same time.
 */
#ifndef HF_BASE_OUTFILE_H
#define HF_BASE_OUTFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define OUTFILE_ALIGN ((size_t)4096)	  /* of address, place and length, to go directly */
#define OUTFILE_LARGE ((size_t)256 << 10) /* what is less is better gathered by the kernel */

struct outfile;

/* `fd`, open for writing, becomes its own. `path` is for messages. Never NULL. */
struct outfile *outfile_new(int fd, const char *path);
void outfile_free(struct outfile *f);
DEFINE_AUTO(outfile, outfile_free);

int outfile_fd(const struct outfile *f);
int outfile_write(struct outfile *f, const void *data, size_t n, uint64_t off, struct err *e);
/* Make all that was written durable. */
int outfile_flush(struct outfile *f, struct err *e);

#endif
