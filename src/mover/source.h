/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h: a disk to be read: what of it is data, zeros, or unchanged, and its bytes.
 *
 * A source is asked for its map piece by piece and then for the bytes of what matters, with several
 * requests in flight where it can, or by several threads (a file).
 *
 * Threads: a source belongs to one thread, but for what says otherwise.
 */
#ifndef HF_MOVER_SOURCE_H
#define HF_MOVER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "repo/tree.h"

enum extent_kind {
	EXTENT_DATA,	   /* must be read */
	EXTENT_ZERO,	   /* reads as zeros */
	EXTENT_CLEAN,	   /* unchanged since the checkpoint that the source compares with */
	EXTENT_CLEAN_ZERO, /* unchanged, and known to read as zeros */
};

struct extent {
	uint64_t len;
	enum extent_kind kind;
};

/* Consecutive extents; grows. */
struct extent_list {
	struct extent *v;
	size_t n, cap;
};
void extent_add(struct extent_list *l, uint64_t len, enum extent_kind kind);
void extent_done(struct extent_list *l);

/* A read in flight; the buffer is the caller's and stays until it is done. */
struct source_read {
	void *buf;
	size_t len;
	uint64_t off;
	bool done;
	int error; /* errno, when done */
};

struct source;

struct source_ops {
	void (*free)(struct source *s);
	/* Extents from `off` on, covering at least one byte and at most `len`, appended to `out`.
	 */
	int (*map)(struct source *s, uint64_t off, uint64_t len, struct extent_list *out,
		   struct err *e);
	/* Read now: in place of the three below, where waiting is all there is to it. Called by
	 * several threads at once, which goes faster, and each finds what it read in its caches. */
	int (*read)(struct source *s, void *buf, size_t len, uint64_t off, struct err *e);
	/* Begin a read. A source that cannot wait later does it now. */
	int (*start)(struct source *s, struct source_read *r, struct err *e);
	/* Let reads make progress for at most `timeout_ms`; NULL when start is always done. */
	int (*wait)(struct source *s, int timeout_ms, struct err *e);
	/* Give up the reads in flight: from now on their memory is not touched. Afterwards the
	 * source can only be freed. NULL when start is always done. */
	void (*drop)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	char *name;	    /* for messages; owned by the driver */
	uint64_t size;	    /* bytes */
	unsigned in_flight; /* reads that are worth having at once */
	bool tracks;	    /* its map tells EXTENT_CLEAN */
};

static inline void source_free(struct source *s)
{
	if (s)
		s->ops->free(s);
}

DEFINE_AUTO(source, source_free);

/* A raw file or block device. ERR_BUSY while a QEMU writes to it; none can begin to while it is
 * open here. */
struct source *source_file_open(const char *path, struct err *e);

/*
 * An NBD export on a unix socket. `bitmap` names a meta context that tells what changed
 * ("qemu:dirty-bitmap:…"), NULL: read all that is allocated. `name` is for messages. ERR_NOENT when
 * the server does not offer the bitmap.
 */
struct source *source_nbd_open(const char *socket, const char *export_name, const char *bitmap,
			       const char *name, struct err *e);

/*
 * A disk image in any format that QEMU reads, through a qemu-nbd of our own, which keeps everybody
 * else from writing to it meanwhile. `format` NULL: let QEMU find out. `bitmap` NULL or the name of
 * a persistent bitmap in the image; it fails when that is not there or not usable.
 */
struct source *source_image_open(const char *path, const char *format, const char *bitmap,
				 struct err *e);

/*
 * A disk of a checkpoint. `parent` is the tree of an older one to tell changes from, or NULL. The
 * repository must outlive it. ERR_UNSUPPORTED when the two cannot be compared, or for a stream.
 */
struct source *source_point_open(struct repo *r, const struct tree *t, const struct tree *parent,
				 const char *name, struct err *e);

#endif
