/* SPDX-License-Identifier: Apache-2.0 */
/*
 * structure.h: has everything that a tree needs a place in a pack that is there? Nodes are read and
 * checked, blocks are not: a fraction of the time that reading them takes, and it finds what is
 * missing, not what is bent.
 *
 * Threads: uses the caller's; a pack list may be shared.
 */
#ifndef HF_MOVER_STRUCTURE_H
#define HF_MOVER_STRUCTURE_H

#include "mover/restore.h"

/* The names of all packs in a store. */
int structure_packs(struct store *s, struct pack_set *ret_there, struct err *e);

struct structure {
	struct repo *repo;
	const struct tree *tree;
	const struct pack_set *there;
	struct progress *progress;
	const struct cancel *cancel;
	restore_damage_fn *damage;
	void *arg;
};

int structure_check(const struct structure *s, struct err *e);

#endif
