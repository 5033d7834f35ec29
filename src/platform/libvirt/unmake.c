/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing what a restore made that did not live to remove it itself. What it was about to make it
 * had told before (driver.h: making), and told only what was not there; so all of it is its own.
 */
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "platform/libvirt/restore_priv.h"

int lv_making(const struct platform_restore *job, enum platform_made kind, const char *what,
	      struct err *e)
{
	return job->making ? job->making(job->making_arg, kind, what, e) : 0;
}

/* ---- files ---- */

/* PATH as a pattern that matches only itself. */
static char *quoted(const char *path)
{
	char *out = xmalloc(2 * strlen(path) + 1), *p = out;

	for (; *path; path++) {
		if (strchr("*?[\\", *path))
			*p++ = '\\';
		*p++ = *path;
	}
	*p = 0;
	return out;
}

/* What a killed writer left beside it (mover/draft.h). */
static void remove_drafts(const char *path)
{
	AUTO_FREE char *plain = quoted(path);
	AUTO_FREE char *pattern = xasprintf("%s.part-*", plain);
	glob_t found = {0};

	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	}
	globfree(&found);
}

static int remove_file(const char *path, struct err *e)
{
	remove_drafts(path);
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "remove %s, which a restore made that was not completed", path);
}

/* ---- volumes ---- */

static int remove_volume(struct lv *lv, const char *what, struct err *e)
{
	const char *slash = strchr(what, '/');
	AUTO_FREE char *name = slash ? xstrndup(what, (size_t)(slash - what)) : xstrdup(what);
	virStoragePoolPtr pool = virStoragePoolLookupByName(lv->conn, name);
	virStorageVolPtr volume = NULL;
	int rc = 0;

	if (!pool)
		return lv_fail(e, "look for storage pool '%s'", name);
	volume = slash ? virStorageVolLookupByName(pool, slash + 1) : NULL;
	if (volume && virStorageVolDelete(volume, 0) < 0)
		rc = lv_fail(e, "delete volume %s", what);
	else if (!volume && slash && lv_code() != VIR_ERR_NO_STORAGE_VOL)
		rc = lv_fail(e, "look for volume %s", what);
	if (volume)
		virStorageVolFree(volume);
	virStoragePoolFree(pool);
	return rc;
}

/* ---- domains ---- */

static int remove_domain(struct lv *lv, const char *uuid, struct err *e)
{
	const unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
			       VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
			       VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
			       VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_TPM;
	AUTO_DOMAIN dom = virDomainLookupByUUIDString(lv->conn, uuid);

	if (!dom)
		return lv_code() == VIR_ERR_NO_DOMAIN ? 0 : lv_fail(e, "look for domain %s", uuid);
	if (virDomainIsActive(dom) == 1 && virDomainDestroy(dom) < 0 && virDomainIsActive(dom) == 1)
		return lv_fail(e, "stop domain %s", virDomainGetName(dom));
	if (virDomainUndefineFlags(dom, flags) < 0 && lv_code() != VIR_ERR_NO_DOMAIN)
		return lv_fail(e, "undefine domain %s", virDomainGetName(dom));
	return 0;
}

int lv_unmake(struct platform *p, enum platform_made kind, const char *what, struct err *e)
{
	struct lv *lv = (struct lv *)p;

	switch (kind) {
	case PLATFORM_FILE:
		if (lv_check_local(lv, what, e) < 0)
			return -1;
		return remove_file(what, e);
	case PLATFORM_VOLUME:
		return remove_volume(lv, what, e);
	case PLATFORM_RESOURCE:
		return remove_domain(lv, what, e);
	}
	return 0;
}
