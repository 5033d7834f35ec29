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

/* The body of an epoch, for collectors and tests; and reading it, adding to a set. */
void epoch_encode(uint64_t number, const struct pack_set *packs, struct buf *out);
int epoch_decode(const void *body, size_t n, struct pack_set *add_to, struct err *e);

#endif
