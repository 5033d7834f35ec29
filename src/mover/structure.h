/* SPDX-License-Identifier: Apache-2.0 */
/*
 * structure.h: has everything that a tree needs a place in a pack that is there? Nodes are read and
 * checked, blocks are not: a fraction of the time that reading them takes, and it finds what is
 * missing, not what is bent.
 *
 * Threads: uses the caller's.
 */
#ifndef HF_MOVER_STRUCTURE_H
#define HF_MOVER_STRUCTURE_H

#include "mover/restore.h"
#include "repo/presence.h"

struct structure {
	struct repo *repo;
	const struct tree *tree;
	struct presence *packs; /* of the repository's store */
	struct progress *progress;
	const struct cancel *cancel;
	restore_damage_fn *damage;
	void *arg;
};

int structure_check(const struct structure *s, struct err *e);

#endif
