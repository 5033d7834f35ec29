/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exports.h: which disk of which checkpoint an export's name means, and the views of those that are
 * open. Connections to one disk share its view, and so its cache.
 *
 * An export is named CHECKPOINT/DISK, with a checkpoint as the command line names it. Where there
 * is a default, DISK alone is a disk of the default checkpoint, and the empty name its default
 * disk; without one, the only disk that it has.
 *
 * Thread-safe.
 */
#ifndef HF_NBDKIT_EXPORTS_H
#define HF_NBDKIT_EXPORTS_H

#include "repo/repo.h"
#include "repo/view.h"

struct exports_options {
	const char *checkpoint, *disk; /* the defaults, or NULL; borrowed */
	bool only;		       /* and nothing but these may be read */
	size_t cache;		       /* bytes for each disk that is open */
};

struct exports;
struct served;

/* The repository and the options' texts must outlive it. */
struct exports *exports_new(struct repo *r, const struct exports_options *o);
/* Every export is closed. NULL is fine. */
void exports_free(struct exports *x);

/* ERR_NOENT, ERR_INVALID: no such checkpoint or disk, with what there is; ERR_DENIED: not one of
 * those that may be read; ERR_UNSUPPORTED for a stream. */
struct served *exports_open(struct exports *x, const char *name, struct err *e);
/* For each open once. */
void exports_close(struct exports *x, struct served *sv);

struct view *served_view(const struct served *sv);
/* For people: resource, disk, time. Valid until it is closed. */
const char *served_description(const struct served *sv);

/* What the empty name stands for, to be freed; NULL when it stands for nothing. */
char *exports_default(struct exports *x);

/* One export that can be opened; -1 stops the listing with `e`. */
typedef int exports_list_fn(void *arg, const char *name, const char *description, struct err *e);
/* The disks of the default checkpoint, or of all, newest first, EXPORTS_LISTED at most. */
int exports_list(struct exports *x, exports_list_fn *fn, void *arg, struct err *e);

#define EXPORTS_LISTED 1000

DEFINE_AUTO(exports, exports_free);

#endif
