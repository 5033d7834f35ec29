/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collect_priv.h: what collect.c (the course of a collection) and collect_survey.c (what is needed,
 * and what is chosen) share.
 */
#ifndef HF_REPO_COLLECT_PRIV_H
#define HF_REPO_COLLECT_PRIV_H

#include "repo/collect.h"
#include "repo/rescue.h"
#include "repo/session.h"

struct pack_fact {
	uint8_t name[HASH_BYTES];
	uint64_t size;	      /* in the store */
	uint64_t total, live; /* bytes of records that a run names; of these, needed */
	size_t copies;	      /* needed records */
	bool listed;	      /* by a run */
};

struct collector {
	struct repo *repo;
	const struct collect_options *o;
	struct collect_result *result;
	struct pack_fact *packs; /* in the store, sorted by name */
	size_t n_packs, cap_packs;
	struct pack_set drop;
	struct pack_set old_epochs; /* what was condemned already */
	/* while saving: */
	struct session *session;
	struct rescue *rescue; /* once something could not be copied as it is */
	struct location *copies;
	size_t n_copies, cap_copies;
	struct location *failed;
	size_t n_failed;
	size_t writers; /* when it began */
	bool frugal;	/* there is no room for copies */
};

void collect_doing(struct collector *c, const char *what);
/* List the packs, weigh them, and choose. */
int collect_survey(struct collector *c, struct err *e);
/* The same, once more. */
int collect_survey_anew(struct collector *c, struct err *e);
/* Of a pack that was there, or NULL. */
struct pack_fact *collect_fact(struct collector *c, const uint8_t name[HASH_BYTES]);
/* Marks on all that is needed. */
struct index_marks *collect_marks_now(struct collector *c, struct err *e);
/* Tell of every entry whether it is needed. Runs may be merged away, and checkpoints deleted,
 * while they are read: then again, from the beginning, with those that are there. */
int collect_tell_marks(struct collector *c,
		       struct index_marks *(*marks)(struct collector *, struct err *),
		       void (*begin)(struct collector *), index_entry_fn *tell, struct err *e);

#endif
