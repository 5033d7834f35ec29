/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_cache.h: a store that keeps on this machine what it read of a distant one, for later
 * commands: points, and pieces of index runs. Both never change under their name, and are kept as
 * they are stored, sealed.
 *
 * Whether an object is there only the store behind it knows. So nothing is served from the cache
 * that the last listing by this process did not show; and store_has() never asks the cache. A point
 * is kept only if its checksum is right, so a mark in its place (store_s3_priv.h) is not, and a
 * damaged one neither. What is damaged here is thrown away and read again (disk_cache.h); what was
 * damaged on its way here, readers of boxes and runs fetch from the store behind (store_behind).
 *
 * Who looks for damage in a target does not put this before it.
 *
 * Threads: as every store.
 */
#ifndef HF_REPO_STORE_CACHE_H
#define HF_REPO_STORE_CACHE_H

#include "repo/disk_cache.h"
#include "repo/store.h"

#define STORE_CACHE_PIECE ((size_t)256 << 10) /* of a run */

/* Takes both; never NULL. */
struct store *store_cache_new(struct store *inner, struct disk_cache *disk);
/*
 * The cache of this machine before a store that is distant; the store itself where it is not, or
 * where none is wanted or can be had. NULL stays NULL. Takes `inner`; ERR_INVALID: the environment
 * is wrong, and `inner` is freed.
 */
struct store *store_cache_wrap(struct store *inner, struct err *e);

#endif
