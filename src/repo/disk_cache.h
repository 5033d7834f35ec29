/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_cache.h: pieces of bytes kept in a folder of this machine, so that the next process need not
 * fetch them again. A piece that is not there, cannot be read, or is not what was put costs nothing
 * but a fetch: no call fails. Pieces are found by name; those of one `part` (a target) lie
 * together.
 *
 * Any number of processes may use one folder at once, and be killed anywhere: a piece is written
 * beside its place, ends with the SHA-256 of its name and bytes, and is thrown away if that is
 * wrong. Nothing is flushed. When a process that put something is done, the pieces that were not
 * used for longest are removed until all fit into the limit.
 *
 * Threads: thread-safe.
 */
#ifndef HF_REPO_DISK_CACHE_H
#define HF_REPO_DISK_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define DISK_CACHE_NAME_MAX 128
#define DISK_CACHE_PIECE_MAX ((size_t)1 << 20)

struct disk_cache;

/* `folder` and `part` in it are made where they are missing. ERR_DENIED: others may write there. */
struct disk_cache *disk_cache_open(const char *folder, const char *part, uint64_t max_bytes,
				   struct err *e);
void disk_cache_free(struct disk_cache *c);
/* Is the piece there? Then its bytes are in `ret`, to be freed with buf_done. `name` is a file's.
 */
bool disk_cache_get(struct disk_cache *c, const char *name, struct buf *ret);
/* Up to DISK_CACHE_PIECE_MAX bytes; more are not kept. */
void disk_cache_put(struct disk_cache *c, const char *name, const void *data, size_t n);

/*
 * Where the pieces of targets are kept by default: XDG_CACHE_HOME/holdfast, or /var/cache/holdfast
 * for root, or ~/.cache/holdfast; NULL: nowhere. And how much: HOLDFAST_CACHE_SIZE, else 2 GiB; 0:
 * nothing is kept. ERR_INVALID: that is no size.
 */
char *disk_cache_folder(void);
int disk_cache_limit(uint64_t *ret_bytes, struct err *e);

DEFINE_AUTO(disk_cache, disk_cache_free);

#endif
