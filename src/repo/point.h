/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point.h: points, the root objects of checkpoints (format section 10): what was protected, how it
 * was read, and the tree of every disk and item.
 *
 * A point owns everything it names, but those in a list share their texts. Threads: a point
 * belongs to one thread.
 */
#ifndef HF_REPO_POINT_H
#define HF_REPO_POINT_H

#include "base/intern.h"
#include "base/uuid.h"
#include "repo/repo.h"
#include "repo/tree.h"

struct point_stats {
	uint64_t content;  /* bytes of the disks */
	uint64_t read;	   /* bytes read from them */
	uint64_t fresh;	   /* of these, bytes that the repository did not have */
	uint64_t stored;   /* bytes written to the store */
	uint64_t spent_us; /* how long it took */
};

/* What was asked for about consistency, and what was achieved. */
enum consistency { CONSISTENCY_OFF = 0, CONSISTENCY_BEST_EFFORT = 1, CONSISTENCY_REQUIRED = 2 };
enum achieved {
	ACHIEVED_UNKNOWN = 0,
	ACHIEVED_CRASH = 1,    /* as after a power cut */
	ACHIEVED_QUIESCED = 2, /* file systems frozen for the instant */
	ACHIEVED_SHUT_OFF = 3,
};
const char *consistency_name(enum consistency c);
const char *achieved_name(enum achieved a);

struct point_disk {
	struct uuid point; /* the checkpoint that it is of, once that is loaded */
	char *name;	   /* vda */
	char *source;	   /* where it was */
	char *format;	   /* qcow2, raw */
	char *tracking;	   /* the change-tracking checkpoint that starts here; NULL: none */
	char *mode;	   /* full, incremental */
	char *reason;	   /* why it was read wider than asked; NULL */
	struct tree tree;
	struct point_stats stats;
};

struct point_item {
	char *name; /* domain.xml, nvram … */
	struct tree tree;
};

struct point_resource {
	char *type; /* domain, disk, stream */
	char *id, *name, *platform;
	enum consistency asked;
	enum achieved achieved;
	char *why_less; /* NULL */
	uint64_t frozen_us;
	struct point_disk *disks;
	size_t n_disks;
	struct point_item *items;
	size_t n_items;
};

/* What was promised when it was made; how an object is locked now, the store tells (lock.h). */
struct point_lock {
	enum lock_mode mode;
	uint64_t until_us;   /* the checkpoint */
	uint64_t covered_us; /* everything that it needs, not less */
};

struct point {
	struct uuid id;
	uint64_t instant_us, complete_us;
	uint64_t window_us; /* several machines: how far apart their instants are at most */
	char *writer;
	struct uuid origin; /* the checkpoint that this is a copy of; zero: none */
	struct uuid parent; /* zero: none */
	uint8_t parent_hash[HASH_BYTES];
	char **tags; /* key=value */
	size_t n_tags;
	char **warnings;
	size_t n_warnings;
	struct point_stats stats;
	struct point_lock lock;
	struct point_resource *resources;
	size_t n_resources;
	uint8_t hash[HASH_BYTES]; /* of the stored object; known after point_load */
	bool in_list;		  /* in one piece, its texts are the list's: not to be changed */
};

struct point *point_new(void);
void point_free(struct point *p);
/* New members, zeroed, owned by the point; valid until the next of the same list is added. */
struct point_resource *point_add_resource(struct point *p, const char *type, const char *id,
					  const char *name, const char *platform);
struct point_disk *point_add_disk(struct point_resource *r, const char *name);
/* Forget all disks of a resource. */
void point_drop_disks(struct point_resource *r);
struct point_item *point_add_item(struct point_resource *r, const char *name);
void point_add_tag(struct point *p, const char *tag);
void point_add_warning(struct point *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* NULL when there is none. */
struct point_disk *point_find_disk(const struct point_resource *r, const char *name);
struct point_item *point_find_item(const struct point_resource *r, const char *name);
/* What people call a disk or item of it: "vda"; "web1:vda" where it holds several resources. The
 * caller frees it. */
char *point_label(const struct point *p, const struct point_resource *r, const char *what);
bool point_is_called(const struct point *p, const struct point_resource *r, const char *what,
		     const char *name);
/* "web1", "web1, db1", "nothing"; the caller frees it. */
char *point_resource_names(const struct point *p);
/* The labels of all disks for a message, "vda, vdb" or "none", cut to what fits. */
#define POINT_NAMES 256
const char *point_disk_names(const struct point *p, char out[POINT_NAMES]);

/* Tell of every tree, with the resource and name of its item or disk; what is not 0 ends it. */
typedef int point_tree_fn(void *arg, const struct point_resource *r, const char *what,
			  const struct tree *t, struct err *e);
int point_each_tree(const struct point *p, point_tree_fn *fn, void *arg, struct err *e);

/* The body of the object. */
void point_encode(const struct point *p, struct buf *out);
struct point *point_decode(const void *body, size_t n, struct err *e);

/* ---- in a repository ---- */

/* "points/UUID" */
void point_key_name(const struct uuid *id, char out[STORE_KEY_MAX]);
/* The way back; false for what is no point's name, as one with upper-case digits. */
bool point_key_parse(const char *key, struct uuid *ret_id);
struct point *point_load(struct repo *r, const struct uuid *id, struct err *e);
/* Is it there? 1, 0, -1. One that was deleted, and collected, while it was looked at misses
 * nothing.
 */
int point_is_there(struct repo *r, const struct uuid *id, struct err *e);
/* Remove a checkpoint. Its blocks stay until they are collected. ERR_NOENT when it is not there. */
int point_delete(struct repo *r, const struct uuid *id, struct err *e);

/* The ids of all points, in no order; the caller frees the array. */
int point_list_ids(struct repo *r, struct uuid **ret_ids, size_t *ret_n, struct err *e);

/* All points, oldest first. */
struct point_list {
	struct point **points;
	size_t n;
	char **damaged; /* what is wrong with points that could not be read */
	size_t n_damaged;
	struct intern *texts; /* of all points */
};
int point_list_load(struct repo *r, struct point_list *ret_l, struct err *e);
/* At the end. `p` goes; the list has it in another place. */
void point_list_add(struct point_list *l, struct point *p);
void point_list_done(struct point_list *l);
/*
 * The one that `ref` means: a UUID, at least four of its first digits, "latest", or "NAME@latest"
 * for the newest of the resource with that name or id. ERR_NOENT; ERR_INVALID when it means
 * several.
 */
struct point *point_list_find(const struct point_list *l, const char *ref, struct err *e);

DEFINE_AUTO(point, point_free);

#endif
