/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parity_store.h: parity (parity.h) in a store: put beside a pack, made for packs that have none,
 * used, and removed when its pack is gone. Needs no key.
 *
 * Threads: everything here may be called by any thread.
 */
#ifndef HF_REPO_PARITY_STORE_H
#define HF_REPO_PARITY_STORE_H

#include "base/cancel.h"
#include "base/pace.h"
#include "base/progress.h"
#include "repo/index.h"
#include "repo/parity.h"

/*
 * Put the parity of a pack that is in the store. That there is one already is no error.
 *
 * Every parity object comes to be here, after its pack is durable. If interrupted before: a pack
 * without parity. If its pack is removed meanwhile: parity that the next collector removes.
 */
int parity_put(struct store *s, struct parity *p, const uint8_t pack[HASH_BYTES], struct err *e);

/* Is there enough left of a pack and its parity? 1; 0: too much is lost, or there is no parity; -1.
 */
int parity_mends(struct store *s, const uint8_t pack[HASH_BYTES], struct err *e);
/* The whole pack from what is left. ERR_NOENT: it has no parity; ERR_CORRUPT: too much is lost, or
 * its parity is damaged, which is told. What comes out hashes to the pack's name. */
int parity_rebuild(struct store *s, const uint8_t pack[HASH_BYTES], struct buf *ret_bytes,
		   struct err *e);

/* Remove the parity of packs that are not there. Another writer's is left: it is put after its
 * pack. */
int parity_sweep(struct store *s, struct err *e);

/* ---- for packs that have none ---- */

struct parity_fill {
	struct store *store;
	unsigned percent;
	const struct cancel *cancel; /* may be NULL */
	struct progress *progress;
	/* What may be left for the next time; zero members: no bound. */
	uint64_t bytes; /* of packs to read, at least one of them */
	uint64_t time_us;
	uint64_t bytes_per_s;
	/* A pack that is damaged or cannot be read, and so gets none. */
	void (*bad)(void *arg, const char *key, const struct err *why);
	void *arg;
};

struct parity_filled {
	uint64_t packs;	      /* in the store */
	uint64_t made, bytes; /* parity objects made now, and bytes of their packs */
	uint64_t damaged;     /* packs that are, of those that were read */
	uint64_t left;	      /* packs without, because of a bound */
	uint64_t too_large;   /* packs that cannot have any */
};

/* ERR_CANCELLED: what was made until then stays. */
int parity_fill(const struct parity_fill *f, struct parity_filled *ret, struct err *e);
/* Make the parity of one pack anew, whatever there is. ERR_CORRUPT: the pack is damaged. */
int parity_renew(const struct parity_fill *f, const uint8_t pack[HASH_BYTES], struct err *e);

#endif
