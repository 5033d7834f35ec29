/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_priv.h: what the files of lock.h share: locking keys and header, and many packs at once.
 */
#ifndef HF_REPO_LOCK_PRIV_H
#define HF_REPO_LOCK_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "repo/lock.h"

/* What every checkpoint needs: the key ring and the header. */
struct lock_roots {
	struct store *store;
	const struct lock_want *want; /* or NULL: hold it or release it */
	bool hold;
};

int lock_roots(struct lock_roots *k, struct err *e);

struct lock_many {
	struct store *store;
	const struct pack_set *packs;
	const struct lock_want *want; /* or NULL: hold or release */
	bool hold;
	atomic_size_t next;
	atomic_bool stop;
	pthread_mutex_t lock;
	uint64_t earliest_us; /* end of a lock among them */
};
/* Initialises the last four. */
int lock_many(struct lock_many *m, struct err *e);

#endif
