/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collect.h: giving back the space of what no checkpoint needs (format section 11), beside any
 * number of writers, readers and other collectors. Any step may fail or be the last; nothing that a
 * checkpoint needs is lost, and the next run goes on with what this one left.
 */
#ifndef HF_REPO_COLLECT_H
#define HF_REPO_COLLECT_H

#include "base/cancel.h"
#include "repo/lock.h"
#include "repo/repo.h"

struct collect_options {
	/* A pack is written anew when so much of it is not needed: per cent, 1 to 100; 0: 25. */
	unsigned waste_percent;
	/* A writer that is silent for so long is dead: see writers_wait(). */
	uint64_t dead_after_us;
	bool dry_run; /* find out what would go */
	const struct cancel *cancel;
	/* May be NULL: what is being done, and how many writers are being waited for. */
	void (*doing)(void *arg, const char *what);
	void (*waiting)(void *arg, size_t n);
	void *arg;
};

struct collect_result {
	uint64_t checkpoints;	/* that there are */
	uint64_t packs, bytes;	/* in the store before */
	uint64_t needed;	/* bytes of these that checkpoints need */
	uint64_t dropped;	/* packs removed, or to be removed */
	uint64_t dropped_bytes; /* of these */
	uint64_t copied;	/* bytes that were needed and are in new packs now */
	uint64_t kept;		/* packs that should go and cannot be read: see collect_run() */
	uint64_t locked;	/* packs that would be dropped, and are locked (lock.h) */
	uint64_t locked_bytes;	/* of these */
	uint64_t cleared;	/* old versions of objects removed */
	struct lock_kept locks; /* what was done for checkpoints that are locked */
	uint64_t unfinished;	/* packs of writers at work, or of dead ones beside them */
	bool more;		/* there is more to do than fits into one run, or into the store */
};

#define COLLECT_DEAD_AFTER_US ((uint64_t)180 * 1000000)

/*
 * ERR_CORRUPT: it cannot be told what is needed, because something that is needed is missing or
 * damaged: nothing is removed. A pack that holds something needed and damaged is kept.
 * ERR_NOSPACE: not even for the little that has to be written first.
 * ERR_CONFLICT: somebody took this collector for dead, or removed what it was about to copy:
 * nothing was removed, begin again.
 */
int collect_run(struct repo *r, const struct collect_options *o, struct collect_result *ret,
		struct err *e);
/* As many runs as it takes, for as long as they get anywhere; what all of them did. */
int collect_all(struct repo *r, const struct collect_options *o, struct collect_result *ret,
		struct err *e);

#endif
