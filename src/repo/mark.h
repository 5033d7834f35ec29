/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark.h: what checkpoints need: every node and block that the trees of all points reach, as marks
 * on the index. Belongs to one thread.
 */
#ifndef HF_REPO_MARK_H
#define HF_REPO_MARK_H

#include "base/cancel.h"
#include "repo/point.h"

/*
 * List the points, then the index, and mark. ERR_CORRUPT when a point, a node or a place is missing
 * or damaged: what is needed is then not known. ERR_NOENT: a checkpoint or a run went meanwhile,
 * begin again.
 */
struct index_marks *mark_points(struct repo *r, const struct cancel *cancel, size_t *ret_points,
				struct err *e);

#endif
