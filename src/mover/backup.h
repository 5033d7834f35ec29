/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.h: reading disks and streams into a repository.
 *
 * Threads: a call uses one thread per core and a few more, and returns when all have ended. It is
 * the session's only user meanwhile.
 */
#ifndef HF_MOVER_BACKUP_H
#define HF_MOVER_BACKUP_H

#include "base/cancel.h"
#include "base/pace.h"
#include "base/progress.h"
#include "mover/source.h"
#include "repo/session.h"

struct backup_disk {
	struct source *source;
	const struct tree *parent; /* what the disk held before, to compare with; may be damaged
				      or NULL */
	/* The checkpoint that the parent is of. If it is not there any more, a collector may be
	 * about to remove what it needed. NULL: the caller knows better. */
	const struct uuid *parent_point;
	/*
	 * The source tells what changed since `parent`: the rest is taken over from it unread. A
	 * sample of it is read all the same; ERR_CONFLICT when it did change (change tracking
	 * cannot be trusted) or when the parent is damaged or gone: the disk must be read as a
	 * whole.
	 */
	bool incremental;
	struct pace *pace; /* how fast it may be read; NULL: as fast as it goes */
	struct progress *progress;
	const struct cancel *cancel;
};

/* Store a disk; its tree and statistics are for the checkpoint's point. After a failure the source
 * can only be freed. */
int backup_disk(struct session *s, const struct backup_disk *b, struct tree *ret_tree,
		struct point_stats *ret_stats, struct err *e);

struct backup_stream {
	int fd;
	const char *name; /* for messages */
	/* What the stream gave before, and the checkpoint of that, as for a disk. A tree of another
	 * type is as good as none. */
	const struct tree *parent;
	const struct uuid *parent_point;
	struct progress *progress;
	const struct cancel *cancel;
};

/* Store all that a stream gives until its end, in content-defined blocks. */
int backup_stream(struct session *s, const struct backup_stream *b, struct tree *ret_tree,
		  struct point_stats *ret_stats, struct err *e);

#endif
