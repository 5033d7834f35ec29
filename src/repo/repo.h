/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repo.h: an open repository: a store, its keys and its index, and reading blocks from it. Writing
 * goes through session.h, checkpoints through point.h.
 *
 * Threads: a repo is thread-safe. A fetch belongs to one thread.
 */
#ifndef HF_REPO_REPO_H
#define HF_REPO_REPO_H

#include "repo/block.h"
#include "repo/header.h"
#include "repo/index.h"
#include "repo/keyring.h"
#include "repo/pack_heads.h"
#include "repo/store.h"

struct repo;

/* What a repository is made with; zero members mean the defaults. */
struct repo_options {
	const struct keyring_cost *cost;
	unsigned parity; /* per cent of every pack: see parity.h; 0: none */
};

/* Create a repository in an empty store, opened by one credential. ERR_EXISTS: there is one. NULL
 * options: the defaults. */
int repo_create(struct store *s, const struct credential *c, const char *label,
		const struct repo_options *o, struct err *e);
/* The header of what is in a store. */
int repo_header(struct store *s, struct header *ret_h, struct err *e);
/*
 * Open the repository in a store, which stays the caller's and must outlive it. ERR_NOENT: there is
 * none; ERR_KEY; ERR_VERSION; ERR_CORRUPT.
 */
struct repo *repo_open(struct store *s, const struct credential *c, struct err *e);
void repo_free(struct repo *r);

struct store *repo_store(const struct repo *r);
struct keyring *repo_keys(const struct repo *r);
struct index *repo_index(const struct repo *r);
struct pack_heads *repo_heads(const struct repo *r);
/* What the user should hear about: a damaged header, say; NULL for nothing. Owned by the repo. */
const char *repo_warning(const struct repo *r);
/* Per cent of parity that packs are to have; 0: none. */
unsigned repo_parity(const struct repo *r);
/* -1 with ERR_VERSION when this program may only read it, ERR_UNSUPPORTED when the target names no
 * arbiter, or one that it has not. */
int repo_check_writable(const struct repo *r, struct err *e);

DEFINE_AUTO(repo, repo_free);

/* ---- reading ---- */

struct fetch;

struct fetch *fetch_new(struct repo *r);
void fetch_free(struct fetch *f);
/*
 * The content of a block or node, at most `cap` bytes, verified against its id. A place that is
 * damaged or gone is passed over for another one; ERR_CORRUPT when none is left, naming the pack.
 */
int fetch_block(struct fetch *f, enum block_kind kind, const struct block_id *id, void *out,
		size_t cap, size_t *ret_len, struct err *e);
/* The same of a block or node that somebody knows a place of, with its kind. 1; 0: it cannot be
 * had; -1. */
int fetch_any(struct fetch *f, const struct block_id *id, enum block_kind *ret_kind, void *out,
	      size_t cap, size_t *ret_len, struct err *e);
/* Where a block lies; ERR_CORRUPT when nobody knows. */
int fetch_locate(struct fetch *f, const struct block_id *id, struct location *ret_l, struct err *e);
/* A record to be read among others. */
struct record_read {
	struct location at;
	size_t in; /* where it lies in what was read */
	bool have; /* it could be read; why not is told by who reads it alone */
};

/*
 * Read records as they are stored, behind what `in` holds: those that lie near each other in a pack
 * with one read, and what lies between them. That is at most `max` bytes, or as much as the records
 * have if that is more. `records` is put in the order of the places.
 */
void fetch_records(struct fetch *f, struct record_read **records, size_t n, size_t max,
		   struct buf *in);
/* The content of a record that was read so, verified; `sealed` is overwritten. */
int fetch_decode(struct fetch *f, const struct location *l, void *sealed, void *out, size_t cap,
		 size_t *ret_len, struct err *e);
/* A record's payload as it was packed, opened but not decoded; `out` takes l->at.stored bytes. */
int fetch_payload(struct fetch *f, const struct location *l, void *out, size_t *ret_len,
		  struct err *e);

DEFINE_AUTO(fetch, fetch_free);

#endif
