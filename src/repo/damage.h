/* SPDX-License-Identifier: Apache-2.0 */
/*
 * damage.h: which packs of a repository are damaged or gone, and which checkpoints that hurts,
 * because something that they need cannot be read from anywhere any more.
 *
 * Belongs to one thread.
 */
#ifndef HF_REPO_DAMAGE_H
#define HF_REPO_DAMAGE_H

#include "repo/impact.h"
#include "repo/scrub.h"

struct damage {
	struct pack_set packs;	 /* damaged, or named by the index and not there */
	struct pack_set parity;	 /* packs whose parity is damaged */
	struct pack_set shunned; /* these, and those that epochs name: nobody counts on them */
	/* Filled by damage_hurts(): */
	struct idset lost;	   /* blocks and nodes that no place gives whole */
	struct idset saved;	   /* that only a shunned pack gives, but whole */
	struct idset clean;	   /* nodes below which nothing was found lost */
	struct scrub_result scrub; /* of all there was to read */
};

/*
 * Read everything in the store, as `s` says, whose bad_packs are taken here. An index that is
 * damaged is mended first, which writes.
 */
int damage_find(struct repo *r, const struct scrub *s, struct damage *ret_d, struct err *e);
/* This pack of `packs` was made whole where it is. */
void damage_mended(struct damage *d, const uint8_t pack[HASH_BYTES]);
void damage_done(struct damage *d);

/* Does the checkpoint need anything that is lost, or known nowhere, and was not stored anew since?
 * 1, 0, -1. */
int damage_hurts(struct damage *d, struct repo *r, const struct point *p, struct err *e);

#endif
