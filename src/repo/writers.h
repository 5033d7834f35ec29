/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writers.h: the sessions that are there, and their end (format section 11, step 3 of a collector).
 */
#ifndef HF_REPO_WRITERS_H
#define HF_REPO_WRITERS_H

#include "base/cancel.h"
#include "repo/store.h"

/* How many sessions there are now. */
int writers_count(struct store *s, size_t *ret_n, struct err *e);

/*
 * Wait until every session that is there now has ended. One whose object does not change for
 * `dead_after_us`, as far as this process sees it, is taken for dead and revoked: no clock is
 * compared with another, and a guess that is wrong costs a backup, never data. `waiting` (may be
 * NULL) is told how many are left, when that changes. ERR_CANCELLED.
 */
int writers_wait(struct store *s, uint64_t dead_after_us, void (*waiting)(void *arg, size_t n),
		 void *arg, const struct cancel *cancel, struct err *e);

/*
 * Revoke those of the sessions there are now that are dead, as above, and wait for no other: one is
 * alive once its object changes. `*ret_n`: how many were revoked. ERR_CANCELLED.
 */
int writers_bury(struct store *s, uint64_t dead_after_us, const struct cancel *cancel,
		 size_t *ret_n, struct err *e);

/*
 * Work that can wait, beside that of writers, who should not notice: where disk or network are what
 * everybody waits for, a low priority does not help. Of a session's owner, in one thread.
 */
struct yielding {
	struct store *store;
	uint64_t since_us, looked_us; /* monotonic: work goes on since, sessions were listed */
	bool others;
};

void yielding_init(struct yielding *y, struct store *s);
/*
 * Call it every few milliseconds of work: as long as there are sessions beside the caller's own one
 * it stands still for YIELDING_TIMES what was worked. ERR_CANCELLED.
 */
#define YIELDING_TIMES 8
int yielding_pause(struct yielding *y, const struct cancel *cancel, struct err *e);

#endif
