/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark.h: what checkpoints need: every node and block that the trees of points reach, as marks on
 * the index. Belongs to one thread.
 */
#ifndef HF_REPO_MARK_H
#define HF_REPO_MARK_H

#include "base/cancel.h"
#include "base/progress.h"
#include "repo/point.h"

/*
 * List the points, then the index, and mark. ERR_CORRUPT when a point, a node or a place is missing
 * or damaged: what is needed is then not known. ERR_NOENT: a checkpoint or a run went meanwhile,
 * begin again.
 */
struct index_marks *mark_points(struct repo *r, const struct cancel *cancel, size_t *ret_points,
				struct err *e);

struct mark_check {
	struct repo *repo;
	struct presence *packs; /* of the repository's store */
	const struct point *const *points;
	size_t n;
	struct progress *progress;
	const struct cancel *cancel;
};

/* Has all that these points need a place in a pack that is there? ERR_CORRUPT: not in what the
 * index says now; impact.h finds what is missing. ERR_NOENT: as above. */
int mark_check(const struct mark_check *c, struct err *e);

#endif
