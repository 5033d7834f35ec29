/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where restored disks go.
 *
 * To a new domain: to a folder, a storage pool, or where they were if nothing is there. In place:
 * every disk is written to PATH.holdfast-new beside the old one, and when all are complete, each is
 * exchanged with the old one in one step of the file system, so that at any time a whole disk is at
 * PATH.
 *
 * If interrupted before the exchanges: PATH.holdfast-new files; the domain is untouched. If
 * interrupted between them: some disks are new and some old, and every old one is at
 * PATH.holdfast-new; restoring in place again completes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "mover/restore.h"
#include "platform/libvirt/restore_priv.h"

#define NEW_SUFFIX ".holdfast-new"
#define OLD_SUFFIX ".old"

static bool wanted(const struct platform_restore *job, const char *disk)
{
	return !job->only || platform_listed(job->only, disk);
}

static int check_only(const struct platform_restore *job, struct err *e)
{
	for (const char *const *n = job->only; n && *n; n++) {
		if (!point_find_disk(job->resource, *n))
			return err_set(e, ERR_INVALID, "the checkpoint has no disk '%s'", *n);
	}
	return 0;
}

static struct lv_place *add_place(struct lv_places *p, const struct point_disk *disk)
{
	struct lv_place *x = &p->v[p->n++];
	bool qcow2 = disk->format && strcmp(disk->format, "qcow2") == 0;

	x->disk = disk;
	x->format = xstrdup(qcow2 ? "qcow2" : "raw");
	return x;
}

/* ---- for a new domain ---- */

/* A volume of the pool, made with the disk's size. */
static int place_in_pool(virStoragePoolPtr pool, const struct platform_restore *job,
			 const char *name, struct lv_place *x, struct err *e)
{
	AUTO_FREE char *volume = xasprintf("%s-%s.%s", name, x->disk->name, x->format);
	AUTO_FREE char *quoted = lv_xml_quote(volume);
	AUTO_FREE char *xml = xasprintf("<volume><name>%s</name><capacity>%llu</capacity>"
					"<allocation>0</allocation><target><format type='%s'/>"
					"</target></volume>",
					quoted, (unsigned long long)x->disk->tree.size, x->format);
	AUTO_FREE char *made = xasprintf("%s/%s", virStoragePoolGetName(pool), volume);
	virStorageVolPtr there = virStorageVolLookupByName(pool, volume);
	struct stat st;
	char *path;

	if (there) {
		virStorageVolFree(there);
		return err_set(e, ERR_EXISTS,
			       "the pool has a volume %s already: restore under another name",
			       volume);
	}
	if (lv_making(job, PLATFORM_VOLUME, made, e) < 0)
		return -1;
	x->volume = virStorageVolCreateXML(pool, xml, 0);
	if (!x->volume)
		return lv_fail(e, "create volume %s in the pool", volume);
	path = virStorageVolGetPath(x->volume);
	if (!path)
		return lv_fail(e, "ask for the path of volume %s", volume);
	x->path = path;
	x->device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);
	if (x->device) {
		free(x->format);
		x->format = xstrdup("raw");
	}
	return 0;
}

static int place_in_folder(const struct platform_restore *job, const char *name, struct lv_place *x,
			   struct err *e)
{
	if (job->directory)
		x->path = xasprintf("%s/%s-%s.%s", job->directory, name, x->disk->name, x->format);
	else if (x->disk->source && x->disk->source[0] == '/')
		x->path = xstrdup(x->disk->source);
	else
		return err_set(e, ERR_INVALID,
			       "disk %s was not a file (%s): name a directory or a storage pool "
			       "for it",
			       x->disk->name, x->disk->source ? x->disk->source : "");
	if (access(x->path, F_OK) == 0)
		return err_set(e, ERR_EXISTS,
			       "%s is still there: name another directory or a storage pool, or "
			       "restore in place",
			       x->path);
	return lv_making(job, PLATFORM_FILE, x->path, e);
}

static int place_new(virStoragePoolPtr pool, const struct platform_restore *job, const char *name,
		     struct lv_places *p, struct err *e)
{
	for (size_t i = 0; i < job->resource->n_disks; i++) {
		const struct point_disk *d = &job->resource->disks[i];
		struct lv_place *x;
		int rc;

		if (!wanted(job, d->name))
			continue;
		x = add_place(p, d);
		rc = pool ? place_in_pool(pool, job, name, x, e) : place_in_folder(job, name, x, e);
		if (rc < 0)
			return -1;
		x->made = true;
		x->target = xstrdup(x->path);
	}
	return 0;
}

int lv_places_new(struct lv *lv, const struct platform_restore *job, const char *name,
		  struct lv_places *ret_p, struct err *e)
{
	virStoragePoolPtr pool = NULL;
	int rc;

	if (check_only(job, e) < 0)
		return -1;
	ret_p->v = xcalloc(job->resource->n_disks, sizeof(*ret_p->v));
	if (job->pool) {
		pool = virStoragePoolLookupByName(lv->conn, job->pool);
		if (!pool && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL)
			return err_set(e, ERR_NOENT,
				       "the storage pool '%s' does not exist: name another pool, "
				       "or a directory",
				       job->pool);
		if (!pool)
			return lv_fail(e, "look for storage pool '%s'", job->pool);
	}
	rc = place_new(pool, job, name, ret_p, e);
	if (pool)
		virStoragePoolFree(pool);
	return rc;
}

/* ---- in place ---- */

static int place_old(const struct lv_disk *now, struct lv_place *x, struct err *e)
{
	struct stat st;

	if (!now->path)
		return err_set(e, ERR_UNSUPPORTED,
			       "disk %s (%s) is no file of this host: restore it to a file with "
			       "'holdfast restore disk'",
			       now->name, now->source);
	x->path = xstrdup(now->source);
	free(x->format);
	x->format = xstrdup(strcmp(now->format, "qcow2") == 0 ? "qcow2" : "raw");
	x->device = stat(x->path, &st) == 0 && S_ISBLK(st.st_mode);
	if (x->device)
		return err_set(
			e, ERR_UNSUPPORTED,
			"disk %s is the block device %s, where the old content cannot be kept "
			"until the new one is complete: restore to a new domain, or write it "
			"with 'holdfast restore disk'",
			now->name, x->path);
	x->target = xasprintf("%s" NEW_SUFFIX, x->path);
	x->made = true;
	return 0;
}

int lv_places_in_place(const struct platform_restore *job, const struct lv_domain_info *info,
		       struct lv_places *ret_p, struct err *e)
{
	if (check_only(job, e) < 0)
		return -1;
	ret_p->v = xcalloc(job->resource->n_disks, sizeof(*ret_p->v));
	for (size_t i = 0; i < job->resource->n_disks; i++) {
		const struct point_disk *d = &job->resource->disks[i];
		const struct lv_disk *now = NULL;

		if (!wanted(job, d->name))
			continue;
		for (size_t k = 0; k < info->n_disks; k++) {
			if (strcmp(info->disks[k].name, d->name) == 0)
				now = &info->disks[k];
		}
		if (!now)
			return err_set(
				e, ERR_NOENT,
				"the domain has no disk %s any more: restore to a new domain, "
				"or only the other disks",
				d->name);
		if (place_old(now, add_place(ret_p, d), e) < 0)
			return -1;
	}
	return 0;
}

/* ---- filling ---- */

static struct sink *open_sink(const struct repo *r, const struct lv_place *x, struct err *e)
{
	uint64_t size = x->disk->tree.size;

	if (!x->device && strcmp(x->format, "qcow2") == 0)
		return sink_qcow2_open(x->target, size, true, restore_threads(r), e);
	return sink_file_open(x->target, size, true, e);
}

/* A disk that replaces another one gets its owner and permissions. */
static void copy_owner(const struct lv_place *x)
{
	struct stat st;

	if (x->device || strcmp(x->path, x->target) == 0 || stat(x->path, &st) < 0)
		return;
	if (chown(x->target, st.st_uid, st.st_gid) < 0)
		return; /* not root: QEMU runs as us then */
	chmod(x->target, st.st_mode & 07777);
}

static int fill(const struct platform_restore *job, const struct lv_place *x, struct err *e)
{
	AUTO(sink) sink = open_sink(job->repo, x, e);
	struct restore r = {
		.repo = job->repo,
		.tree = &x->disk->tree,
		.sink = sink,
		.progress = job->watch.progress,
		.cancel = job->watch.cancel,
		.pace = job->pace,
	};

	if (!sink || restore_run(&r, e) < 0)
		return err_wrap(e, "disk %s", x->disk->name);
	copy_owner(x);
	return 0;
}

int lv_places_fill(const struct platform_restore *job, struct lv_places *p, struct err *e)
{
	uint64_t total = 0;

	for (size_t i = 0; i < p->n; i++)
		total += p->v[i].disk->tree.size;
	atomic_store(&job->watch.progress->total, total);
	for (size_t i = 0; i < p->n; i++) {
		if (fill(job, &p->v[i], e) < 0)
			return -1;
	}
	return 0;
}

/* ---- afterwards ---- */

static int exchange(const struct lv_place *x)
{
	return renameat2(AT_FDCWD, x->target, AT_FDCWD, x->path, RENAME_EXCHANGE);
}

int lv_places_swap(struct lv_places *p, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		struct lv_place *x = &p->v[i];

		if (access(x->path, F_OK) != 0) {
			/* The old disk is lost already. */
			if (rename(x->target, x->path) < 0)
				return err_sys(e, errno, "rename %s to %s", x->target, x->path);
			x->made = false;
			continue;
		}
		if (exchange(x) < 0)
			return err_sys(e, errno, "exchange %s and %s", x->target, x->path);
		x->swapped = true;
	}
	return 0;
}

void lv_places_undo(struct lv_places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct lv_place *x = &p->v[i];

		if (x->swapped)
			exchange(x);
		if (x->volume)
			virStorageVolDelete(x->volume, 0);
		else if (x->made && x->target && !x->device)
			unlink(x->target);
	}
}

/* Beside the new disk, under a name that is free: one that was kept before stays, too. */
static void keep_old(const struct platform_restore *job, const struct lv_place *x)
{
	const char *at = x->target;
	AUTO_FREE char *old = NULL;
	struct err why = {0};

	for (int i = 1; i < 1000 && at == x->target; i++) {
		free(old);
		old = i == 1 ? xasprintf("%s" OLD_SUFFIX, x->path)
			     : xasprintf("%s" OLD_SUFFIX ".%d", x->path, i);
		if (fio_move(x->target, old, false, &why) == 0)
			at = old;
		else if (why.kind != ERR_EXISTS)
			break;
	}
	platform_note(&job->watch, LOG_LEVEL_INFO, "the old disk %s is at %s", x->disk->name, at);
}

void lv_places_settle(const struct platform_restore *job, struct lv_places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].swapped && job->keep_old)
			keep_old(job, &p->v[i]);
		else if (p->v[i].swapped)
			unlink(p->v[i].target);
	}
}

void lv_places_done(struct lv_places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].volume)
			virStorageVolFree(p->v[i].volume);
		free(p->v[i].path);
		free(p->v[i].target);
		free(p->v[i].format);
	}
	free(p->v);
	*p = (struct lv_places){0};
}
