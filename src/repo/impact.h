/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impact.h: which checkpoints need something that is lost. Trees share nodes: below one that was
 * found clean, nothing is looked at again, whoever needs it.
 *
 * Belongs to one thread.
 */
#ifndef HF_REPO_IMPACT_H
#define HF_REPO_IMPACT_H

#include "repo/idset.h"
#include "repo/point.h"

struct impact {
	struct repo *repo;
	struct fetch *fetch;
	const struct cancel *cancel; /* or NULL */
	/* Is a block or node lost? 1, 0, -1. A node that cannot be read is, whatever this says. */
	int (*lost)(void *arg, const struct block_id *id, struct err *e);
	void *arg;
	struct idset clean; /* nodes below which nothing is */
};

/* Does the checkpoint need anything that is lost? 1, 0, -1. All of it is looked at, not just up to
 * the first loss. */
int impact_on(struct impact *im, const struct point *p, struct err *e);
void impact_done(struct impact *im);

#endif
