/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a domain's definition so that it can be defined again: another name, new identity, disks
 * and firmware variables in other places, other networks.
 */
#include <stdio.h>
#include <string.h>

#include "platform/libvirt/restore_priv.h"

static void remove_nodes(xmlDocPtr doc, xmlNodePtr at, const char *xpath)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes = lv_xml_nodes(doc, at, xpath, &n);

	for (size_t i = 0; i < n; i++) {
		xmlUnlinkNode(nodes[i]);
		xmlFreeNode(nodes[i]);
	}
}

static void set_text(xmlDocPtr doc, const char *xpath, const char *text)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes = lv_xml_nodes(doc, NULL, xpath, &n);
	AUTO_FREE xmlChar *escaped = NULL;

	if (n == 0)
		return;
	escaped = xmlEncodeSpecialChars(doc, (const xmlChar *)text);
	xmlNodeSetContent(nodes[0], escaped);
}

void lv_edit_identity(xmlDocPtr doc, const char *name, bool keep)
{
	char text[UUID_TEXT];
	struct uuid u = uuid_random();

	set_text(doc, "name", name);
	if (keep)
		return;
	set_text(doc, "uuid", uuid_text(&u, text));
	remove_nodes(doc, NULL, "devices/interface/mac");
	/* An id that guests see; libvirt makes a new one. */
	remove_nodes(doc, NULL, "genid");
}

static xmlNodePtr disk_node(xmlDocPtr doc, const char *disk)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes = lv_xml_nodes(doc, NULL, "devices/disk", &n);

	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *name = lv_xml_text(doc, nodes[i], "target/@dev");

		if (name && strcmp(name, disk) == 0)
			return nodes[i];
	}
	return NULL;
}

void lv_edit_disk(xmlDocPtr doc, const char *disk, const char *path, const char *format,
		  bool device)
{
	xmlNodePtr node = disk_node(doc, disk), source, driver;
	size_t n;
	AUTO_FREE xmlNodePtr *drivers = NULL;

	if (!node)
		return;
	remove_nodes(doc, node, "source | backingStore | mirror");
	xmlSetProp(node, (const xmlChar *)"type", (const xmlChar *)(device ? "block" : "file"));
	drivers = lv_xml_nodes(doc, node, "driver", &n);
	driver = n ? drivers[0] : xmlNewChild(node, NULL, (const xmlChar *)"driver", NULL);
	xmlSetProp(driver, (const xmlChar *)"type", (const xmlChar *)format);
	source = xmlNewChild(node, NULL, (const xmlChar *)"source", NULL);
	xmlSetProp(source, (const xmlChar *)(device ? "dev" : "file"), (const xmlChar *)path);
}

void lv_edit_remove_disk(xmlDocPtr doc, const char *disk)
{
	xmlNodePtr node = disk_node(doc, disk);

	if (node) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
}

void lv_edit_path(xmlDocPtr doc, const char *xpath, const char *path)
{
	if (path)
		set_text(doc, xpath, path);
	else
		remove_nodes(doc, NULL, xpath);
}

void lv_edit_networks(xmlDocPtr doc, const struct rename_pair *map, size_t n_map)
{
	size_t n;
	AUTO_FREE xmlNodePtr *nodes =
		lv_xml_nodes(doc, NULL, "devices/interface/source[@network or @bridge]", &n);

	for (size_t i = 0; i < n; i++) {
		bool network = xmlHasProp(nodes[i], (const xmlChar *)"network") != NULL;
		const xmlChar *attribute = (const xmlChar *)(network ? "network" : "bridge");
		AUTO_FREE xmlChar *now = xmlGetProp(nodes[i], attribute);

		for (size_t k = 0; k < n_map; k++) {
			if (strcmp((const char *)now, map[k].from) == 0)
				xmlSetProp(nodes[i], attribute, (const xmlChar *)map[k].to);
		}
	}
}

char *lv_edit_text(xmlDocPtr doc)
{
	xmlChar *text = NULL;
	int n = 0;
	char *copy;

	xmlDocDumpFormatMemory(doc, &text, &n, 1);
	copy = xstrndup((const char *)text, (size_t)n);
	xmlFree(text);
	return copy;
}
