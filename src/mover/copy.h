/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h: checkpoints of one repository, copied into another one with other keys. A copy is a
 * checkpoint in its own right: it needs nothing of the repository that it came from.
 *
 * What the other repository has is not stored again; of a disk whose older checkpoint was copied
 * before, only what changed is read. If interrupted: what was copied of a checkpoint stays known to
 * the next attempt.
 *
 * Threads: as backup.h.
 */
#ifndef HF_MOVER_COPY_H
#define HF_MOVER_COPY_H

#include "base/cancel.h"
#include "base/pace.h"
#include "base/progress.h"
#include "repo/session.h"

struct copying {
	struct repo *from, *to;
	const struct point_list *source; /* all of `from`; NULL: everything is read */
	const struct point_list *there;	 /* all of `to` */
	struct session_options options;
	struct pace *pace; /* of reading; NULL: as fast as it goes */
	struct progress *progress;
	const struct cancel *cancel;
};

/* The checkpoint that this one is a copy of, or itself. */
const struct uuid *copy_origin(const struct point *p);
/* A copy of the checkpoint in a list, or what it is a copy of; NULL when there is none. */
const struct point *copy_find(const struct point_list *l, const struct point *p);
/* Bytes that will be passed. */
uint64_t copy_size(const struct point *p);
/* Store what a checkpoint holds, and add it to `out`. */
int copy_content(const struct copying *c, struct session *s, const struct point *p,
		 struct point *out, struct err *e);
/* Copy one of c->source. The caller frees the new checkpoint. */
struct point *copy_point(const struct copying *c, const struct point *p, struct err *e);

#endif
