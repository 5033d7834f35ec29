/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h: is everything there that checkpoints need, and is it what was backed up? What several
 * of them need is looked at once.
 *
 * The structure alone: nodes are read and checked, blocks are only looked up: a fraction of the
 * time that reading them takes, and it finds what is missing, not what is bent.
 *
 * Threads: as backup.h.
 */
#ifndef HF_MOVER_VERIFY_H
#define HF_MOVER_VERIFY_H

#include "mover/restore.h"
#include "repo/presence.h"

/* A part of a disk or item (`what`) that cannot be brought back: as much as lies together, with the
 * reason for the first block of it. */
typedef void verify_damage_fn(void *arg, const struct point *p, const struct point_resource *r,
			      const char *what, uint64_t offset, uint64_t len, const char *why);

struct verify {
	struct repo *repo;
	const struct point *const *points;
	size_t n;
	struct presence *packs; /* of the repository's store: only the structure; NULL: all */
	struct progress *progress;
	const struct cancel *cancel;
	verify_damage_fn *damage;
	void *arg;
	struct pace *pace; /* of reading; NULL: as fast as it goes */
};

/* Damage is told, and no failure. A checkpoint that is deleted meanwhile lacks nothing. */
int verify_run(const struct verify *v, struct err *e);

#endif
