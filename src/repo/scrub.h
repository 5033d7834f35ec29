/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrub.h: is every stored byte as it was written? Needs no key: packs and runs are named by their
 * SHA-256, every other object ends with it (format sections 2 to 5). So whoever can read a target
 * can watch over it, without being able to read what is in it.
 *
 * That an object is missing only the keys can tell: what is not listed is not there. Sessions,
 * which change under their writers' hands and hold nothing that is missed, are passed over. The
 * parity of a pack is read after the pack, and the two have one age.
 */
#ifndef HF_REPO_SCRUB_H
#define HF_REPO_SCRUB_H

#include "base/cancel.h"
#include "base/progress.h"
#include "repo/index.h"
#include "repo/store.h"
#include "repo/verified.h"

/* What may be left for the next time; zero members: no bound. */
struct scrub_bounds {
	uint64_t max_age_us; /* packs and runs that were read since then are passed over */
	uint64_t bytes;	     /* of packs and runs to read, at least one of them */
	uint64_t time_us;
	uint64_t bytes_per_s;
};

/* What is known of a bad pack's parity. */
enum scrub_parity { PARITY_NONE, PARITY_MENDS, PARITY_LOST };

/* An object that is damaged or cannot be read. */
struct scrub_finding {
	const char *key;
	const struct err *why;
	enum scrub_parity parity; /* of a pack: is there parity, and is enough left? */
};

struct scrub {
	struct store *store;
	const struct cancel *cancel; /* may be NULL */
	struct progress *progress;
	/* One call at a time. */
	void (*bad)(void *arg, const struct scrub_finding *f);
	void *arg;
	struct scrub_bounds bounds;
	/* What was verified when; takes what is found whole now, and forgets what is gone. NULL:
	 * nothing is known. */
	struct verified *verified;
	/* Take the names of packs that are bad, and of those whose parity is, sorted; or NULL. */
	struct pack_set *bad_packs, *bad_parity;
};

struct scrub_result {
	uint64_t objects, bytes; /* checked, the damaged ones included */
	uint64_t damaged;
	uint64_t bare;	    /* packs without parity, and */
	unsigned parity;    /* ... per cent of it that the header wants */
	uint64_t strange;   /* with names that mean nothing here: not looked at */
	uint64_t passed;    /* packs and runs that were verified recently enough */
	uint64_t due;	    /* ... that should have been, and were left by a bound */
	uint64_t oldest_us; /* when the longest unverified of them was verified; 0: never */
};

/* Read everything, what was looked at least recently first, with a thread for each core. Damage is
 * no failure; ERR_NOENT: there is no repository; ERR_CANCELLED. */
int scrub_run(const struct scrub *s, struct scrub_result *ret, struct err *e);

#endif
