/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_behind.h: an upload that is written while the next bytes are being made.
 *
 * Whoever makes bytes puts them right into a buffer; full buffers are written by a thread, so that
 * the processors do not wait for the disk or the network. There are WRITE_BEHIND_BUFFERS of them;
 * when all are full, the maker waits. What fits into one buffer needs no thread.
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef HF_REPO_WRITE_BEHIND_H
#define HF_REPO_WRITE_BEHIND_H

#include "repo/parity.h"
#include "repo/store.h"

#define WRITE_BEHIND_BYTES ((size_t)2 << 20) /* of a buffer */
#define WRITE_BEHIND_ROOM ((size_t)1 << 20)  /* what write_behind_room gives at most */
#define WRITE_BEHIND_BUFFERS 3

struct write_behind;

/* The upload becomes its own. What is written is also added to `parity`, unless that is NULL; it
 * stays the caller's and has all of it when the upload is finished. */
struct write_behind *write_behind_new(struct store_upload *up, struct parity *parity);
/* Abandons the upload if it was not finished. NULL is fine. */
void write_behind_free(struct write_behind *w);

/* Where the next `n` bytes go. NULL: an earlier write failed. */
uint8_t *write_behind_room(struct write_behind *w, size_t n, struct err *e);
/* They are there. */
void write_behind_made(struct write_behind *w, size_t n);
/* Both for bytes that lie elsewhere, any number of them. */
int write_behind_add(struct write_behind *w, const void *data, size_t n, struct err *e);
/* Write what is left and finish the upload, durable as `key`. */
int write_behind_finish(struct write_behind *w, const char *key, struct err *e);

DEFINE_AUTO(write_behind, write_behind_free);

#endif
