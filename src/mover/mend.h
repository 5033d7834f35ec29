/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mend.h: making a damaged repository whole again.
 *
 * A pack that its parity can bring back is put back where it was (repo/parity.h). The others that
 * are damaged are named in an epoch, so that from then on no backup counts on what they hold: the
 * next one that comes across a lost block stores it anew, which mends every checkpoint that needs
 * it. What is lost can also be fetched from another repository that has copies. What is left of
 * the packs is saved, and they are removed, by the next collector.
 *
 * If interrupted anywhere: begin again.
 *
 * Threads: as backup.h.
 */
#ifndef HF_MOVER_MEND_H
#define HF_MOVER_MEND_H

#include "mover/copy.h"
#include "repo/damage.h"

struct mend {
	struct repo *repo;
	struct repo *other;		 /* with copies, or NULL */
	const struct point_list *points; /* of `repo` */
	const struct point_list *there;	 /* of `other`, or NULL */
	struct progress *progress;
	const struct cancel *cancel;
	/* What is damaged; one call at a time, from any thread. */
	void (*bad)(void *arg, const struct scrub_finding *f);
	/* May be NULL: a damaged pack that has parity was brought back (`why_not` is NULL), or not.
	 */
	void (*rebuilt)(void *arg, const char *key, const char *why_not);
	/* A checkpoint that was hurt: is it whole now; else why not. */
	void (*tell)(void *arg, const struct point *p, bool mended, const char *why);
	void *arg;
};

struct mend_result {
	struct scrub_result scrub; /* of all there is to read */
	size_t rebuilt;		   /* packs brought back by their parity */
	size_t parity;		   /* damaged parity that was made anew */
	size_t packs;		   /* still damaged or gone */
	size_t lost;	     /* blocks and nodes that are needed and can be read from nowhere */
	size_t hurt, mended; /* checkpoints */
};

/* Damage that cannot be mended is told, and no failure. */
int mend_run(const struct mend *m, struct mend_result *ret, struct err *e);

#endif
