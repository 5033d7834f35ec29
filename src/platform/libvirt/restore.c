/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of a restore.
 *
 * To a new domain: disks are written, firmware variables, TPM state and boot files put beside them,
 * the definition adapted, the domain defined and, if asked for, started. Until it is defined, a
 * failure removes what was made.
 *
 * In place: the domain must be shut off. All disks are written beside the old ones, then exchanged
 * with them, then the definition of the checkpoint is put back; a failure at any step exchanges
 * them back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fio.h"
#include "mover/restore.h"
#include "platform/libvirt/restore_priv.h"

#define STOP_WAIT_S 120

struct restoring {
	struct lv *lv;
	const struct platform_restore *job;
	xmlDocPtr doc;
	char *name;
	char id[VIR_UUID_STRING_BUFLEN]; /* of what is there now */
	bool keep_identity;
	struct lv_places places;
	char *made[4]; /* files beside disks that we created */
	size_t n_made;
};

/* ---- items ---- */

static int item_bytes(const struct restoring *r, const char *name, struct buf *ret_b, struct err *e)
{
	const struct point_item *it = point_find_item(r->job->resource, name);

	if (!it)
		return err_set(e, ERR_NOENT, "the checkpoint has no item '%s'", name);
	return restore_item(r->job->repo, it, ret_b, e);
}

static int load_definition(struct restoring *r, struct err *e)
{
	AUTO_BUF xml = BUF_INIT;

	if (item_bytes(r, "domain.xml", &xml, e) < 0)
		return -1;
	r->doc = lv_xml_parse(buf_str(&xml), "the definition in the checkpoint", e);
	return r->doc ? 0 : -1;
}

/* The folder for files that belong to the domain: where its disks go, or went. */
static char *folder_of(const struct restoring *r)
{
	const char *path = r->places.n ? r->places.v[0].path : NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (r->job->directory)
		return xstrdup(r->job->directory);
	return slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
}

static bool missing(const char *path)
{
	return access(path, F_OK) != 0;
}

/* There is no place for a file: the one that the definition names belongs to another domain. */
static int not_put(struct restoring *r, const char *xpath)
{
	if (!r->keep_identity)
		lv_edit_path(r->doc, xpath, NULL); /* libvirt makes a new one */
	return 0;
}

/*
 * Put a file item back: at its old path if nothing is there, else beside the disks under the
 * domain's name. Sets the element to where it is.
 */
static int put_file(struct restoring *r, const char *item, const char *xpath, const char *suffix,
		    struct err *e)
{
	AUTO_FREE char *was = lv_xml_text(r->doc, NULL, xpath);
	AUTO_FREE char *folder = folder_of(r);
	AUTO_BUF bytes = BUF_INIT;
	char *path;

	if (!was || !point_find_item(r->job->resource, item))
		return 0;
	if (item_bytes(r, item, &bytes, e) < 0)
		return -1;
	if (r->keep_identity && !r->job->directory && missing(was))
		path = xstrdup(was);
	else if (folder)
		path = xasprintf("%s/%s%s", folder, r->name, suffix);
	else
		return not_put(r, xpath);
	if (missing(path) && lv_making(r->job, PLATFORM_FILE, path, e) < 0) {
		free(path);
		return -1;
	}
	if (fio_replace(path, bytes.data, bytes.len, 0600, e) < 0) {
		free(path);
		return -1;
	}
	lv_edit_path(r->doc, xpath, path);
	r->made[r->n_made++] = path;
	return 0;
}

static int put_files(struct restoring *r, struct err *e)
{
	AUTO_FREE char *kernel = lv_xml_text(r->doc, NULL, "os/kernel");

	if (put_file(r, "nvram", "os/nvram", "_VARS.fd", e) < 0)
		return -1;
	/* Boot files are shared and usually still there. */
	if (!kernel || !missing(kernel))
		return 0;
	if (put_file(r, "kernel", "os/kernel", "-kernel", e) < 0)
		return -1;
	return put_file(r, "initrd", "os/initrd", "-initrd", e);
}

/* ---- identity ---- */

/* Is a domain with this name or UUID there? */
static bool is_defined(struct lv *lv, const char *name, const char *uuid)
{
	virDomainPtr d = name ? virDomainLookupByName(lv->conn, name)
			      : virDomainLookupByUUIDString(lv->conn, uuid);

	if (d)
		virDomainFree(d);
	return d != NULL;
}

/* Its own name and UUID if they are free, else new ones. */
static int choose_identity(struct restoring *r, struct err *e)
{
	AUTO_FREE char *uuid = lv_xml_text(r->doc, NULL, "uuid");
	AUTO_FREE char *old_name = lv_xml_text(r->doc, NULL, "name");
	bool there = uuid && is_defined(r->lv, NULL, uuid);

	if (!old_name)
		return err_set(e, ERR_CORRUPT, "the definition in the checkpoint has no name");
	r->name = xstrdup(r->job->name ? r->job->name : old_name);
	if (is_defined(r->lv, r->name, NULL))
		return err_set(e, ERR_EXISTS,
			       "a domain named '%s' is there: choose another name, or restore in "
			       "place",
			       r->name);
	if (there && r->job->keep_identity)
		return err_set(
			e, ERR_EXISTS,
			"the original domain is still there, so its UUID cannot be used again: "
			"do not keep the identity, or restore in place");
	r->keep_identity = r->job->keep_identity || (!there && !r->job->name);
	return 0;
}

/* ---- defining ---- */

/* Disks that are not restored have no place in a new domain. */
static void adapt_disks(struct restoring *r)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes =
		lv_xml_nodes(r->doc, NULL, "devices/disk[not(@device) or @device='disk']", &n);

	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *name = lv_xml_text(r->doc, nodes[i], "target/@dev");
		const struct lv_place *at = NULL;

		for (size_t k = 0; name && k < r->places.n; k++) {
			if (strcmp(r->places.v[k].disk->name, name) == 0)
				at = &r->places.v[k];
		}
		if (at)
			lv_edit_disk(r->doc, name, at->path, at->format, at->device);
		else if (name && !r->job->definition_only)
			lv_edit_remove_disk(r->doc, name);
	}
}

static int tell_domain(struct restoring *r, struct err *e)
{
	AUTO_FREE char *uuid = lv_xml_text(r->doc, NULL, "uuid");

	return uuid ? lv_making(r->job, PLATFORM_RESOURCE, uuid, e) : 0;
}

static int define(struct restoring *r, virDomainPtr *ret_dom, struct err *e)
{
	AUTO_FREE char *xml = lv_edit_text(r->doc);

	*ret_dom = virDomainDefineXML(r->lv->conn, xml);
	return *ret_dom ? 0 : lv_fail(e, "define domain %s", r->name);
}

/* State of the TPM, under the UUID that the domain has now. */
static int put_tpm(struct restoring *r, virDomainPtr dom, struct err *e)
{
	const struct point_resource *res = r->job->resource;
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct err why = {0};

	if (virDomainGetUUIDString(dom, uuid) < 0)
		return lv_fail(e, "ask for the domain's UUID");
	for (size_t i = 0; i < res->n_items; i++) {
		const char *name = res->items[i].name;
		AUTO_BUF bytes = BUF_INIT;

		if (strncmp(name, "tpm/", 4) != 0 || strstr(name, ".."))
			continue;
		if (item_bytes(r, name, &bytes, e) < 0)
			return -1;
		if (lv_tpm_put(r->lv, uuid, name + 4, bytes.data, bytes.len, &why) < 0)
			platform_note(&r->job->watch, LOG_LEVEL_WARN,
				      "the state of the TPM was not restored: %s", why.msg);
	}
	return 0;
}

static int start_domain(struct restoring *r, virDomainPtr dom, struct err *e)
{
	if (!r->job->start)
		return 0;
	if (virDomainCreate(dom) < 0) {
		lv_fail(e, "start domain %s", r->name);
		return err_wrap(e, "the domain is restored and defined, but");
	}
	return 0;
}

/* ---- to a new domain ---- */

static int build_new(struct restoring *r, virDomainPtr *ret_dom, struct err *e)
{
	const struct platform_restore *job = r->job;

	if (choose_identity(r, e) < 0)
		return -1;
	if (!job->definition_only) {
		if (lv_places_new(r->lv, job, r->name, &r->places, e) < 0 ||
		    lv_places_fill(job, &r->places, e) < 0)
			return -1;
	}
	lv_edit_identity(r->doc, r->name, r->keep_identity);
	lv_edit_networks(r->doc, job->networks, job->n_networks);
	adapt_disks(r);
	if (put_files(r, e) < 0 || tell_domain(r, e) < 0)
		return -1;
	return define(r, ret_dom, e);
}

static int restore_new(struct restoring *r, struct err *e)
{
	AUTO_DOMAIN dom = NULL;

	if (build_new(r, &dom, e) < 0) {
		lv_places_undo(&r->places);
		for (size_t i = 0; i < r->n_made; i++)
			unlink(r->made[i]);
		return -1;
	}
	if (virDomainGetUUIDString(dom, r->id) < 0)
		return lv_fail(e, "ask for the domain's UUID");
	if (put_tpm(r, dom, e) < 0)
		return -1;
	return start_domain(r, dom, e);
}

/* ---- in place ---- */

static int stop_domain(const struct platform_restore *job, virDomainPtr dom, struct err *e)
{
	uint64_t until = clock_mono_us() + (uint64_t)STOP_WAIT_S * 1000000;

	if (virDomainIsActive(dom) != 1)
		return 0;
	if (!job->stop)
		return err_set(e, ERR_BUSY,
			       "domain %s is running: shut it down first, or let the restore "
			       "stop it",
			       virDomainGetName(dom));
	platform_note(&job->watch, LOG_LEVEL_INFO, "shutting down domain %s",
		      virDomainGetName(dom));
	virDomainShutdown(dom);
	while (virDomainIsActive(dom) == 1 && clock_mono_us() < until) {
		if (cancel_check(job->watch.cancel, e) < 0)
			return -1;
		clock_sleep_ms(200);
	}
	if (virDomainIsActive(dom) == 1 && virDomainDestroy(dom) < 0)
		return lv_fail(e, "stop domain %s", virDomainGetName(dom));
	return 0;
}

/* The restored images have no bitmaps, so what libvirt knows of any is wrong now. */
static void forget_checkpoints(virDomainPtr dom)
{
	virDomainCheckpointPtr *all = NULL;
	int n = virDomainListAllCheckpoints(dom, &all, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);

	/* Children first. */
	for (int i = n; i-- > 0;) {
		virDomainCheckpointDelete(all[i], VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY);
		virDomainCheckpointFree(all[i]);
	}
	free(all);
}

/* The definition of the checkpoint with the identity that the domain has, and its disks and
 * firmware variables where they are. */
static int redefine(struct restoring *r, const struct lv_domain_info *info, const char *nvram,
		    struct err *e)
{
	virDomainPtr dom = NULL;

	/* Only some disks: the rest of the domain stays as it is. */
	if (r->job->only)
		return 0;
	lv_edit_identity(r->doc, info->name, true);
	adapt_disks(r);
	if (nvram)
		lv_edit_path(r->doc, "os/nvram", nvram);
	if (define(r, &dom, e) < 0)
		return -1;
	virDomainFree(dom);
	return 0;
}

/* Where firmware variables go: where the domain has them, else had them. NULL: nowhere. */
static char *nvram_place(const struct restoring *r, const struct lv_domain_info *info)
{
	if (r->job->only || !point_find_item(r->job->resource, "nvram"))
		return NULL;
	return info->nvram ? xstrdup(info->nvram) : lv_xml_text(r->doc, NULL, "os/nvram");
}

/* Put the definition back that the domain had. */
static void put_back(struct restoring *r, const char *xml)
{
	virDomainPtr dom = virDomainDefineXML(r->lv->conn, xml);
	struct err why = {0};

	if (dom) {
		virDomainFree(dom);
		return;
	}
	lv_fail(&why, "define domain %s", r->name);
	platform_note(&r->job->watch, LOG_LEVEL_WARN,
		      "the disks are as they were, the definition is the checkpoint's: %s",
		      why.msg);
}

/* `xml` is the definition that the domain has. */
static int fill_and_swap(struct restoring *r, virDomainPtr dom, const char *xml,
			 const struct lv_domain_info *info, struct err *e)
{
	AUTO_FREE char *nvram = nvram_place(r, info);
	AUTO_BUF variables = BUF_INIT;

	/* Whatever can be damaged is read before anything changes. */
	if (nvram && item_bytes(r, "nvram", &variables, e) < 0)
		return -1;
	if (lv_places_in_place(r->job, info, &r->places, e) < 0)
		return -1;
	if (lv_places_fill(r->job, &r->places, e) < 0)
		return -1;
	/* It may have been started while the disks were written. */
	if (virDomainIsActive(dom) == 1)
		return err_set(e, ERR_BUSY, "domain %s was started during the restore", info->name);
	if (lv_places_swap(&r->places, e) < 0)
		return -1;
	if (redefine(r, info, nvram, e) < 0)
		return -1;
	if (!nvram || fio_replace(nvram, variables.data, variables.len, 0600, e) == 0)
		return 0;
	put_back(r, xml);
	return -1;
}

static int restore_in_place(struct restoring *r, struct err *e)
{
	AUTO_DOMAIN dom = lv_domain(r->lv, r->job->resource->id, e);
	struct lv_domain_info info = {0};
	AUTO_FREE char *xml = NULL;
	int rc;

	if (!dom)
		return err_wrap(e, "restore in place");
	if (stop_domain(r->job, dom, e) < 0)
		return -1;
	xml = lv_definition(dom, e);
	if (!xml)
		return -1;
	if (lv_domain_info(xml, &info, e) < 0)
		return -1;
	r->name = xstrdup(info.name);
	snprintf(r->id, sizeof(r->id), "%s", info.uuid);
	r->keep_identity = true;
	rc = fill_and_swap(r, dom, xml, &info, e);
	if (rc < 0) {
		lv_places_undo(&r->places);
	} else {
		lv_places_settle(r->job, &r->places);
		forget_checkpoints(dom);
		if (!r->job->only)
			rc = put_tpm(r, dom, e);
		if (rc == 0)
			rc = start_domain(r, dom, e);
	}
	lv_domain_info_done(&info);
	return rc;
}

/* ---- entry ---- */

int lv_restore(struct platform *p, const struct platform_restore *job,
	       struct platform_restored *ret, struct err *e)
{
	struct restoring r = {.lv = (struct lv *)p, .job = job};
	int rc = 0;

	if (strcmp(job->resource->type, "domain") != 0)
		return err_set(
			e, ERR_INVALID,
			"the checkpoint holds a %s, not a domain: use 'holdfast restore disk'",
			job->resource->type);
	if (!job->definition_only)
		rc = lv_check_local(r.lv, job->resource->name, e);
	if (rc == 0)
		rc = load_definition(&r, e);
	if (rc == 0)
		rc = job->in_place ? restore_in_place(&r, e) : restore_new(&r, e);
	if (rc == 0)
		*ret = (struct platform_restored){xstrdup(r.name), xstrdup(r.id)};
	lv_places_done(&r.places);
	for (size_t i = 0; i < r.n_made; i++)
		free(r.made[i]);
	free(r.name);
	xmlFreeDoc(r.doc);
	return rc;
}
