/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt checkpoints: the dirty bitmaps that say what changed since a backup.
 *
 * Ours are named "holdfast-REPOSITORY-POINT": eight digits of the repository's id and the UUID of
 * the point that was made with them. So they are never taken for another tool's, two repositories
 * can protect one domain side by side, and for every one of them it is known which content it
 * starts from.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "platform/libvirt/priv.h"

#define PREFIX "holdfast-"
#define REPO_DIGITS 8

static void prefix_of(const struct repo *r, char out[32])
{
	char hex[REPO_DIGITS + 1];

	snprintf(out, 32, PREFIX "%s-",
		 hex_encode(keyring_repo_id(repo_keys(r))->b, REPO_DIGITS / 2, hex));
}

void lv_checkpoint_name(const struct repo *r, const struct uuid *point, char out[80])
{
	char prefix[32], text[UUID_TEXT];

	prefix_of(r, prefix);
	snprintf(out, 80, "%s%s", prefix, uuid_text(point, text));
}

bool lv_checkpoint_parse(const struct repo *r, const char *name, struct uuid *ret_point)
{
	char prefix[32];

	prefix_of(r, prefix);
	return strncmp(name, prefix, strlen(prefix)) == 0 &&
	       uuid_parse(name + strlen(prefix), ret_point);
}

/* ---- listing ---- */

/* A bitmap can be used where libvirt tells how much it has recorded; where it is missing or broken,
 * the size is missing too. */
static void read_valid(virDomainCheckpointPtr ptr, struct lv_checkpoint *c)
{
	AUTO_FREE char *xml = virDomainCheckpointGetXMLDesc(
		ptr, VIR_DOMAIN_CHECKPOINT_XML_SIZE | VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
	AUTO_XML doc = xml ? lv_xml_parse(xml, "a libvirt checkpoint", NULL) : NULL;
	AUTO_FREE xmlNodePtr *nodes = NULL;
	size_t n;

	if (!doc)
		return; /* not running, or nothing known: nothing can be used */
	nodes = lv_xml_nodes(doc, NULL, "disks/disk[@checkpoint='bitmap' and @size]", &n);
	c->valid = xcalloc(n, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		char *name = lv_xml_text(doc, nodes[i], "@name");

		if (name)
			c->valid[c->n_valid++] = name;
	}
}

static uint64_t instant_of(const struct point_list *history, const struct uuid *point)
{
	for (size_t i = 0; i < history->n; i++) {
		if (uuid_equal(&history->points[i]->id, point))
			return history->points[i]->instant_us;
	}
	return 0;
}

static void sort_newest_first(struct lv_checkpoint_list *l, const struct point_list *history)
{
	for (size_t i = 1; i < l->n; i++) {
		struct lv_checkpoint c = l->v[i];
		uint64_t at = instant_of(history, &c.point);
		size_t j = i;

		for (; j && instant_of(history, &l->v[j - 1].point) < at; j--)
			l->v[j] = l->v[j - 1];
		l->v[j] = c;
	}
}

int lv_checkpoints(virDomainPtr dom, const struct repo *r, const struct point_list *history,
		   struct lv_checkpoint_list *ret_l, struct err *e)
{
	struct lv_checkpoint_list l = {0};
	virDomainCheckpointPtr *ptrs = NULL;
	int n = virDomainListAllCheckpoints(dom, &ptrs, 0);

	if (n < 0)
		return lv_fail(e, "list the domain's checkpoints");
	l.v = xcalloc((size_t)n, sizeof(*l.v));
	for (int i = 0; i < n; i++) {
		struct lv_checkpoint c = {.ptr = ptrs[i]};
		const char *name = virDomainCheckpointGetName(ptrs[i]);

		if (!name || !lv_checkpoint_parse(r, name, &c.point)) {
			virDomainCheckpointFree(ptrs[i]);
			continue;
		}
		snprintf(c.name, sizeof(c.name), "%s", name);
		read_valid(ptrs[i], &c);
		l.v[l.n++] = c;
	}
	free(ptrs);
	sort_newest_first(&l, history);
	*ret_l = l;
	return 0;
}

void lv_checkpoints_done(struct lv_checkpoint_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		for (size_t j = 0; j < l->v[i].n_valid; j++)
			free(l->v[i].valid[j]);
		free(l->v[i].valid);
		virDomainCheckpointFree(l->v[i].ptr);
	}
	free(l->v);
	*l = (struct lv_checkpoint_list){0};
}

bool lv_checkpoint_valid_for(const struct lv_checkpoint *c, const char *disk)
{
	for (size_t i = 0; i < c->n_valid; i++) {
		if (strcmp(c->valid[i], disk) == 0)
			return true;
	}
	return false;
}

/* ---- removing ---- */

int lv_checkpoint_delete(virDomainCheckpointPtr c, struct err *e)
{
	if (virDomainCheckpointDelete(c, 0) == 0)
		return 0;
	lv_fail(e, "remove libvirt checkpoint %s", virDomainCheckpointGetName(c));
	/* After a crash of QEMU the bitmaps are gone, and removing them fails for ever. Those of a
	 * domain that does not run are there, and must not be forgotten. */
	if (virDomainIsActive(virDomainCheckpointGetDomain(c)) == 1 &&
	    virDomainCheckpointDelete(c, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) == 0)
		return 0;
	return -1;
}

void lv_checkpoints_drop(virDomainPtr dom, const struct repo *r, const char *keep,
			 const struct platform_watch *w)
{
	static const struct point_list none;
	struct lv_checkpoint_list l;
	struct err why = {0};

	if (virDomainIsActive(dom) != 1)
		return; /* bitmaps can only be removed while it runs */
	if (lv_checkpoints(dom, r, &none, &l, &why) < 0) {
		platform_note(w, LOG_LEVEL_WARN, "old change tracking stays for now: %s", why.msg);
		return;
	}
	for (size_t i = 0; i < l.n; i++) {
		if (keep && strcmp(l.v[i].name, keep) == 0)
			continue;
		if (lv_checkpoint_delete(l.v[i].ptr, &why) < 0)
			platform_note(w, LOG_LEVEL_WARN, "old change tracking stays for now: %s",
				      why.msg);
	}
	lv_checkpoints_done(&l);
}

/* ---- telling libvirt again ---- */

void lv_checkpoint_restore(virDomainPtr dom, const char *name, const struct lv_domain_info *info,
			   const struct point_resource *from)
{
	AUTO_BUF xml = BUF_INIT;
	virDomainCheckpointPtr c;

	buf_fmt(&xml, "<domaincheckpoint><name>%s</name><creationTime>%llu</creationTime><disks>",
		name, (unsigned long long)1);
	for (size_t i = 0; i < info->n_disks; i++) {
		const char *disk = info->disks[i].name;
		const struct point_disk *d = point_find_disk(from, disk);
		bool tracked = d && d->tracking && strcmp(d->tracking, name) == 0;
		AUTO_FREE char *quoted = lv_xml_quote(disk);

		buf_fmt(&xml, "<disk name='%s' checkpoint='%s'/>", quoted,
			tracked ? "bitmap" : "no");
	}
	buf_text(&xml, "</disks></domaincheckpoint>");
	/* libvirt checks that the bitmaps are there; if not, it was worth a try. */
	c = virDomainCheckpointCreateXML(dom, buf_str(&xml),
					 VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE |
						 VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE);
	if (c)
		virDomainCheckpointFree(c);
}
