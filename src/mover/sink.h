/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h: where a restore writes.
 *
 * Threads: write and zero may be called by as many threads at once as the sink was opened for, each
 * with a number of its own below that; the rest is for the owner.
 */
#ifndef HF_MOVER_SINK_H
#define HF_MOVER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct sink;

struct sink_ops {
	void (*free)(struct sink *s);
	int (*write)(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		     struct err *e);
	/* Make a range read as zeros; NULL when everything does that was not written. */
	int (*zero)(struct sink *s, unsigned thread, uint64_t len, uint64_t off, struct err *e);
	/* Everything written is durable and complete. */
	int (*finish)(struct sink *s, struct err *e);
};

struct sink {
	const struct sink_ops *ops;
	char *name;   /* for messages; owned by the driver */
	bool ordered; /* takes bytes from the start to the end only, zeros included */
};

static inline void sink_free(struct sink *s)
{
	if (s)
		s->ops->free(s);
}

DEFINE_AUTO(sink, sink_free);

/*
 * A raw file of `size` bytes, or a block device of at least that. A file is created and left
 * sparse; one that exists is ERR_EXISTS unless `overwrite`, which also a device needs.
 */
struct sink *sink_file_open(const char *path, uint64_t size, bool overwrite, struct err *e);
/* A new qcow2 image; needs qemu-img and qemu-nbd. */
struct sink *sink_qcow2_open(const char *path, uint64_t size, bool overwrite, unsigned threads,
			     struct err *e);
/* An NBD export, by URI ("nbd+unix:///?socket=…"), of at least `size` bytes. What it holds is
 * replaced. */
struct sink *sink_nbd_open(const char *uri, uint64_t size, unsigned threads, struct err *e);
/* A pipe or whatever standard output is; the descriptor stays the caller's. */
struct sink *sink_pipe_open(int fd, const char *name);
/* Takes everything and keeps nothing: for verification. */
struct sink *sink_null_open(void);

#endif
