/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h: what collectors are about to remove (format section 11), as a writer has to respect it.
 * Thread-safe.
 */
#ifndef HF_REPO_EPOCH_H
#define HF_REPO_EPOCH_H

#include "repo/index.h"
#include "repo/repo.h"

/* All packs named in epochs; freed with pack_set_done. An epoch that cannot be read is an error: a
 * writer that ignored it could lose data. */
int epoch_condemned(struct repo *r, struct pack_set *ret_set, struct err *e);

/* Name these packs in a new epoch. */
int epoch_publish(struct repo *r, const struct pack_set *packs, struct err *e);

/* Remove every epoch of which no pack is there and no run names one (format section 11, step 8 of a
 * collector). */
int epoch_end_all(struct repo *r, struct err *e);

/* "epochs/N" */
void epoch_key_name(uint64_t number, char out[STORE_KEY_MAX]);
/* The way back: N; 0 for what is no epoch's name. */
uint64_t epoch_key_parse(const char *key);
/* The body of an epoch; and reading it, adding to a set, which is not sorted by that. */
void epoch_encode(uint64_t number, const struct pack_set *packs, struct buf *out);
int epoch_decode(const void *body, size_t n, struct pack_set *add_to, struct err *e);

#endif
