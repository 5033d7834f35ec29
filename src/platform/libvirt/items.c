/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a domain besides its disks: everything that is needed to define and start it
 * where nothing is left. What cannot be read is told, and does not fail the backup, but for the
 * definition.
 *
 *   domain.xml        the persistent definition, with secrets     network/NAME.xml
 *   domain-live.xml   as it runs                                  pool/NAME.xml
 *   nvram             firmware variables                          kernel, initrd
 *   tpm/FILE          state of the emulated TPM
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "platform/libvirt/priv.h"

#define FILE_MAX ((size_t)64 << 20)

struct keeping {
	struct lv *lv;
	struct session *s;
	struct point_resource *res;
	const struct protect *job;
};

static int keep(struct keeping *k, const char *name, const void *data, size_t n, struct err *e)
{
	struct tree tree;

	if (point_find_item(k->res, name))
		return 0;
	if (session_put_item(k->s, data, n, &tree, e) < 0)
		return -1;
	point_add_item(k->res, name)->tree = tree;
	return 0;
}

static void not_kept(struct keeping *k, const char *what, const struct err *why)
{
	platform_note(&k->job->watch, LOG_LEVEL_WARN, "%s is not in the backup: %s", what,
		      why->msg);
	point_add_warning(k->job->point, "%s is not in the backup: %s", what, why->msg);
}

static int keep_file(struct keeping *k, const char *name, const char *path, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	struct err why = {0};

	if (fio_slurp(path, FILE_MAX, &b, &why) < 0) {
		not_kept(k, name, &why);
		return 0;
	}
	return keep(k, name, b.data, b.len, e);
}

static int keep_definition(struct keeping *k, virDomainPtr dom, struct err *e)
{
	AUTO_FREE char *xml = lv_definition(dom, e);
	AUTO_FREE char *live = NULL;

	if (!xml)
		return -1;
	if (keep(k, "domain.xml", xml, strlen(xml), e) < 0)
		return -1;
	if (virDomainIsActive(dom) != 1)
		return 0;
	live = virDomainGetXMLDesc(dom, 0);
	return live ? keep(k, "domain-live.xml", live, strlen(live), e) : 0;
}

/* ---- TPM ---- */

/* Where libvirt has swtpm keep its state. */
static char *tpm_folder(const struct lv *lv, const char *uuid, const char *version)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (!strstr(lv->uri, "/session"))
		return xasprintf("/var/lib/libvirt/swtpm/%s/%s", uuid, version);
	if (config)
		return xasprintf("%s/libvirt/qemu/swtpm/%s/%s", config, uuid, version);
	return xasprintf("%s/.config/libvirt/qemu/swtpm/%s/%s", home ? home : "", uuid, version);
}

static int keep_tpm_version(struct keeping *k, const char *uuid, const char *version, bool *found,
			    struct err *e)
{
	AUTO_FREE char *dir = tpm_folder(k->lv, uuid, version);
	struct dirent *entry;
	DIR *d = opendir(dir);
	int rc = 0;

	if (!d)
		return 0;
	*found = true;
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, entry->d_name);
		AUTO_FREE char *name = xasprintf("tpm/%s/%s", version, entry->d_name);

		if (entry->d_name[0] != '.' && !strstr(entry->d_name, "lock"))
			rc = keep_file(k, name, path, e);
	}
	closedir(d);
	return rc;
}

static int keep_tpm(struct keeping *k, const char *uuid, struct err *e)
{
	struct err why = {0};
	bool found = false;

	if (keep_tpm_version(k, uuid, "tpm2", &found, e) < 0 ||
	    keep_tpm_version(k, uuid, "tpm1.2", &found, e) < 0)
		return -1;
	if (!found) {
		err_set(&why, ERR_NOENT, "its folder cannot be read");
		not_kept(k, "the state of the TPM", &why);
	}
	return 0;
}

int lv_tpm_put(const struct lv *lv, const char *uuid, const char *file, const void *data, size_t n,
	       struct err *e)
{
	const char *slash = strchr(file, '/');
	AUTO_FREE char *version = xstrndup(file, slash ? (size_t)(slash - file) : 0);
	AUTO_FREE char *dir = tpm_folder(lv, uuid, version);
	AUTO_FREE char *above = xstrndup(dir, (size_t)(strrchr(dir, '/') - dir));
	AUTO_FREE char *path = slash ? xasprintf("%s%s", dir, slash) : NULL;

	if (!path)
		return err_set(e, ERR_CORRUPT, "an item of the TPM has no version: %s", file);
	if ((mkdir(above, 0711) < 0 && errno != EEXIST) ||
	    (mkdir(dir, 0700) < 0 && errno != EEXIST))
		return err_sys(e, errno, "create %s", dir);
	return fio_replace(path, data, n, 0600, e);
}

/* ---- networks and pools ---- */

static int keep_network(struct keeping *k, const char *network, struct err *e)
{
	virNetworkPtr net = virNetworkLookupByName(k->lv->conn, network);
	AUTO_FREE char *xml = net ? virNetworkGetXMLDesc(net, VIR_NETWORK_XML_INACTIVE) : NULL;
	AUTO_FREE char *name = xasprintf("network/%s.xml", network);
	struct err why = {0};

	if (!xml)
		lv_fail(&why, "its definition");
	if (net)
		virNetworkFree(net);
	if (xml)
		return keep(k, name, xml, strlen(xml), e);
	not_kept(k, name, &why);
	return 0;
}

static int keep_pool(struct keeping *k, virStoragePoolPtr pool, struct err *e)
{
	AUTO_FREE char *xml = virStoragePoolGetXMLDesc(pool, 0);
	AUTO_FREE char *name = xasprintf("pool/%s.xml", virStoragePoolGetName(pool));

	return xml ? keep(k, name, xml, strlen(xml), e) : 0;
}

/* The pool that a disk's path or <source pool=…> belongs to, if any. */
static virStoragePoolPtr pool_of(struct keeping *k, const struct lv_disk *d)
{
	virStoragePoolPtr pool = NULL;
	virStorageVolPtr vol;

	if (strncmp(d->source, "pool:", 5) == 0) {
		AUTO_FREE char *name = xstrdup(d->source + 5);
		char *slash = strchr(name, '/');

		if (slash)
			*slash = 0;
		return virStoragePoolLookupByName(k->lv->conn, name);
	}
	vol = d->path ? virStorageVolLookupByPath(k->lv->conn, d->source) : NULL;
	if (vol) {
		pool = virStoragePoolLookupByVolume(vol);
		virStorageVolFree(vol);
	}
	return pool;
}

static int keep_surroundings(struct keeping *k, xmlDocPtr doc, const struct lv_domain_info *info,
			     struct err *e)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nets =
		lv_xml_nodes(doc, NULL, "devices/interface/source[@network]", &n);

	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *network = lv_xml_text(doc, nets[i], "@network");

		if (network && keep_network(k, network, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < info->n_disks; i++) {
		virStoragePoolPtr pool = pool_of(k, &info->disks[i]);
		int rc = pool ? keep_pool(k, pool, e) : 0;

		if (pool)
			virStoragePoolFree(pool);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int lv_items_store(struct lv *lv, virDomainPtr dom, const struct lv_domain_info *info,
		   struct session *s, struct point_resource *res, const struct protect *job,
		   struct err *e)
{
	struct keeping k = {lv, s, res, job};
	AUTO_FREE char *xml = virDomainGetXMLDesc(dom, 0);
	AUTO_XML doc = xml ? lv_xml_parse(xml, "the domain's definition", e) : NULL;

	if (!xml)
		return lv_fail(e, "ask for the domain's definition");
	if (!doc || keep_definition(&k, dom, e) < 0)
		return -1;
	if (info->nvram && keep_file(&k, "nvram", info->nvram, e) < 0)
		return -1;
	if (info->tpm && keep_tpm(&k, info->uuid, e) < 0)
		return -1;
	if (info->kernel && keep_file(&k, "kernel", info->kernel, e) < 0)
		return -1;
	if (info->initrd && keep_file(&k, "initrd", info->initrd, e) < 0)
		return -1;
	return keep_surroundings(&k, doc, info, e);
}
