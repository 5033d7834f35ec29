/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_priv.h: what restore.c (the course), place.c (where disks go) and edit.c (the definition)
 * share.
 */
#ifndef HF_PLATFORM_LIBVIRT_RESTORE_PRIV_H
#define HF_PLATFORM_LIBVIRT_RESTORE_PRIV_H

#include "platform/libvirt/priv.h"

/* ---- edit.c ---- */

/* Another name; unless `keep`, also a new UUID and no MAC addresses (libvirt makes new ones). */
void lv_edit_identity(xmlDocPtr doc, const char *name, bool keep);
/* Where a disk is now. */
void lv_edit_disk(xmlDocPtr doc, const char *disk, const char *path, const char *format,
		  bool device);
void lv_edit_remove_disk(xmlDocPtr doc, const char *disk);
/* Set the text of an element that is there; NULL removes it. */
void lv_edit_path(xmlDocPtr doc, const char *xpath, const char *path);
void lv_edit_networks(xmlDocPtr doc, const struct rename_pair *map, size_t n);
/* The caller frees. */
char *lv_edit_text(xmlDocPtr doc);

/* ---- unmake.c ---- */

/* Tell whoever asked for the restore what will be made. */
int lv_making(const struct platform_restore *job, enum platform_made kind, const char *what,
	      struct err *e);

/* ---- place.c ---- */

/* Where one disk is written, and what happens to what is there. */
struct lv_place {
	const struct point_disk *disk;
	char *path;   /* where it will be */
	char *target; /* what is written: the path itself, or a file beside it that is swapped in */
	char *format; /* qcow2 or raw */
	bool device;  /* a block device: written in place */
	bool made;    /* we created it: remove it on failure */
	bool swapped; /* target and path were exchanged: exchange them back on failure */
	virStorageVolPtr volume; /* we created it in a pool */
};

struct lv_places {
	struct lv_place *v;
	size_t n;
};

/* Decide on places for the disks of a restore to a new domain `name`. */
int lv_places_new(struct lv *lv, const struct platform_restore *job, const char *name,
		  struct lv_places *ret_p, struct err *e);
/* Likewise for the disks of a domain that stays. */
int lv_places_in_place(const struct platform_restore *job, const struct lv_domain_info *info,
		       struct lv_places *ret_p, struct err *e);
/* Write all disks. */
int lv_places_fill(const struct platform_restore *job, struct lv_places *p, struct err *e);
/* In place: exchange every new disk with the old one. */
int lv_places_swap(struct lv_places *p, struct err *e);
/* Undo: exchange back, remove what was made. */
void lv_places_undo(struct lv_places *p);
/* In place, when all is well: the old disks go, or stay as PATH.old. */
void lv_places_settle(const struct platform_restore *job, struct lv_places *p);
void lv_places_done(struct lv_places *p);

#endif
