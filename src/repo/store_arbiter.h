/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_arbiter.h: a bucket whose service does not keep conditions of writes, and an arbiter: a
 * small store beside it that does, a directory or a bucket elsewhere, where all that must have a
 * first and a second is decided (docs/adr/0041.md; format section 11).
 *
 * In the arbiter: sessions, epochs, and each key ring, header and point at the moment in which it
 * comes to be. In the bucket: everything else, and a copy of those three, so that it restores
 * without the arbiter. Whoever finds a point that lacks its copy makes it.
 *
 * The header names the arbiter by an id; both places have the same header, or nothing is written.
 *
 * Threads: as every store.
 */
#ifndef HF_REPO_STORE_ARBITER_H
#define HF_REPO_STORE_ARBITER_H

#include "base/uuid.h"
#include "repo/store.h"

/*
 * What follows "s3:" as a store: the bucket, with the arbiter that it names, if it does. `key` as
 * in store_s3_open(), for the arbiter too, if that is a bucket. With `create` the arbiter's place
 * is made when it is absent.
 */
struct sigv4_key;
struct store *store_bucket_open(const char *url, const struct sigv4_key *key, bool create,
				struct err *e);
/* Takes both; never NULL. */
struct store *store_arbiter_new(struct store *bucket, struct store *arbiter);
/*
 * Make the arbiter of `s` the one that decides for the repository `id` from now on, which has
 * `parity` per cent. No writer may be at work. ERR_INVALID: there is none; ERR_EXISTS: it decides
 * for another repository. If interrupted, it is to be called again.
 */
int store_arbiter_take(struct store *s, const struct uuid *id, unsigned parity, struct err *e);

#endif
