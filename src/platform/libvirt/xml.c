/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domain definitions, read with libxml2. What comes in is from libvirtd or from a checkpoint of our
 * own repository; no network access, no entity expansion, bounded size.
 */
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/libvirt/priv.h"

static void no_message(void *arg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void no_message(void *arg, const char *fmt, ...)
{
	(void)arg;
	(void)fmt;
}

xmlDocPtr lv_xml_parse(const char *text, const char *what, struct err *e)
{
	size_t n = strlen(text);
	xmlDocPtr doc;

	if (n > LV_XML_MAX) {
		err_set(e, ERR_LIMIT, "%s: more than %zu bytes of XML", what, LV_XML_MAX);
		return NULL;
	}
	xmlSetGenericErrorFunc(NULL, no_message);
	doc = xmlReadMemory(text, (int)n, NULL, NULL,
			    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				    XML_PARSE_NOBLANKS);
	if (!doc || !xmlDocGetRootElement(doc)) {
		xmlFreeDoc(doc);
		err_set(e, ERR_CORRUPT, "%s is not well-formed XML", what);
		return NULL;
	}
	return doc;
}

xmlNodePtr *lv_xml_nodes(xmlDocPtr doc, xmlNodePtr at, const char *xpath, size_t *ret_n)
{
	xmlXPathContextPtr ctx = xmlXPathNewContext(doc);
	xmlXPathObjectPtr found;
	xmlNodePtr *nodes = NULL;
	size_t n = 0;

	ctx->node = at ? at : xmlDocGetRootElement(doc);
	found = xmlXPathEvalExpression((const xmlChar *)xpath, ctx);
	if (found && found->nodesetval && found->nodesetval->nodeNr > 0) {
		n = (size_t)found->nodesetval->nodeNr;
		nodes = xcalloc(n, sizeof(xmlNodePtr));
		memcpy(nodes, found->nodesetval->nodeTab, n * sizeof(xmlNodePtr));
	}
	xmlXPathFreeObject(found);
	xmlXPathFreeContext(ctx);
	*ret_n = n;
	return nodes;
}

char *lv_xml_text(xmlDocPtr doc, xmlNodePtr at, const char *xpath)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes = lv_xml_nodes(doc, at, xpath, &n);
	xmlChar *text;
	char *copy;

	if (n == 0)
		return NULL;
	text = xmlNodeGetContent(nodes[0]);
	copy = xstrdup0((const char *)text);
	xmlFree(text);
	return copy;
}

char *lv_xml_quote(const char *text)
{
	AUTO_BUF b = BUF_INIT;

	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '&':
			buf_text(&b, "&amp;");
			break;
		case '<':
			buf_text(&b, "&lt;");
			break;
		case '>':
			buf_text(&b, "&gt;");
			break;
		case '\'':
			buf_text(&b, "&apos;");
			break;
		default:
			buf_u8(&b, (uint8_t)*p);
		}
	}
	return xstrdup(buf_str(&b));
}

static bool has(xmlDocPtr doc, xmlNodePtr at, const char *xpath)
{
	size_t n;

	free(lv_xml_nodes(doc, at, xpath, &n));
	return n > 0;
}

/* ---- a domain ---- */

static void read_chain(xmlDocPtr doc, xmlNodePtr node, struct lv_disk *d)
{
	size_t n;
	AUTO_FREE xmlNodePtr *sources =
		lv_xml_nodes(doc, node, ".//backingStore/source[@file or @dev]", &n);

	d->chain = xcalloc(n, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		char *path = lv_xml_text(doc, sources[i], "@file | @dev");

		if (path)
			d->chain[d->n_chain++] = path;
	}
}

/* Where a disk is that has no path: enough for a person to recognise it. */
static char *describe_source(xmlDocPtr doc, xmlNodePtr node)
{
	AUTO_FREE char *protocol = lv_xml_text(doc, node, "source/@protocol");
	AUTO_FREE char *name = lv_xml_text(doc, node, "source/@name");
	AUTO_FREE char *pool = lv_xml_text(doc, node, "source/@pool");
	AUTO_FREE char *volume = lv_xml_text(doc, node, "source/@volume");

	if (pool && volume)
		return xasprintf("pool:%s/%s", pool, volume);
	return xasprintf("%s:%s", protocol ? protocol : "unknown", name ? name : "");
}

/* False for what is no disk to protect: an empty drive, a CD-ROM. */
static bool read_disk(xmlDocPtr doc, xmlNodePtr node, struct lv_disk *d)
{
	d->name = lv_xml_text(doc, node, "target/@dev");
	if (!d->name || !has(doc, node, "source"))
		return false;
	d->type = lv_xml_text(doc, node, "@type");
	d->format = lv_xml_text(doc, node, "driver/@type");
	d->source = lv_xml_text(doc, node, "source/@file | source/@dev");
	d->path = d->source != NULL;
	if (!d->source)
		d->source = describe_source(doc, node);
	if (!d->type)
		d->type = xstrdup("file");
	if (!d->format)
		d->format = xstrdup("raw");
	read_chain(doc, node, d);
	return true;
}

static void disk_done(struct lv_disk *d)
{
	for (size_t i = 0; i < d->n_chain; i++)
		free(d->chain[i]);
	free(d->chain);
	free(d->name);
	free(d->type);
	free(d->format);
	free(d->source);
}

static void read_disks(xmlDocPtr doc, struct lv_domain_info *info)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes =
		lv_xml_nodes(doc, NULL, "devices/disk[not(@device) or @device='disk']", &n);

	info->disks = xcalloc(n, sizeof(*info->disks));
	for (size_t i = 0; i < n; i++) {
		struct lv_disk d = {0};

		if (read_disk(doc, nodes[i], &d))
			info->disks[info->n_disks++] = d;
		else
			disk_done(&d);
	}
}

static bool knows_network(const struct lv_domain_info *info, const char *name)
{
	for (size_t i = 0; i < info->n_networks; i++) {
		if (strcmp(info->networks[i], name) == 0)
			return true;
	}
	return false;
}

/* What lv_edit_networks() can give another name. */
static void read_networks(xmlDocPtr doc, struct lv_domain_info *info)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes =
		lv_xml_nodes(doc, NULL, "devices/interface/source[@network or @bridge]", &n);

	info->networks = xcalloc(n, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *network = lv_xml_text(doc, nodes[i], "@network");
		AUTO_FREE char *bridge = lv_xml_text(doc, nodes[i], "@bridge");
		const char *name = network ? network : bridge;

		if (!knows_network(info, name))
			info->networks[info->n_networks++] = xstrdup(name);
	}
}

/* QEMU's user as libvirt's DAC driver set it ("+64055:+64055"), or our own. */
static void read_user(xmlDocPtr doc, struct lv_domain_info *info)
{
	AUTO_FREE char *label = lv_xml_text(doc, NULL, "seclabel[@model='dac']/label");
	unsigned uid, gid;

	info->qemu_uid = geteuid();
	info->qemu_gid = getegid();
	if (label && sscanf(label, "+%u:+%u", &uid, &gid) == 2) {
		info->qemu_uid = uid;
		info->qemu_gid = gid;
	}
}

int lv_domain_info(const char *xml, struct lv_domain_info *ret_i, struct err *e)
{
	AUTO_XML doc = lv_xml_parse(xml, "the domain's definition", e);
	struct lv_domain_info info = {0};

	if (!doc)
		return -1;
	info.uuid = lv_xml_text(doc, NULL, "uuid");
	info.name = lv_xml_text(doc, NULL, "name");
	if (!info.name || !info.uuid) {
		lv_domain_info_done(&info);
		return err_set(e, ERR_CORRUPT, "the domain's definition has no name or no UUID");
	}
	read_disks(doc, &info);
	read_networks(doc, &info);
	read_user(doc, &info);
	info.nvram = lv_xml_text(doc, NULL, "os/nvram");
	info.kernel = lv_xml_text(doc, NULL, "os/kernel");
	info.initrd = lv_xml_text(doc, NULL, "os/initrd");
	info.agent = has(doc, NULL, "devices/channel/target[@name='org.qemu.guest_agent.0']");
	info.tpm = has(doc, NULL, "devices/tpm/backend[@type='emulator']");
	*ret_i = info;
	return 0;
}

void lv_domain_info_done(struct lv_domain_info *i)
{
	for (size_t d = 0; d < i->n_disks; d++)
		disk_done(&i->disks[d]);
	free(i->disks);
	for (size_t n = 0; n < i->n_networks; n++)
		free(i->networks[n]);
	free(i->networks);
	free(i->uuid);
	free(i->name);
	free(i->nvram);
	free(i->kernel);
	free(i->initrd);
	*i = (struct lv_domain_info){0};
}
