/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain's definition: read it, and change it as a restore does.
 */
#include "fuzz.h"

#include "platform/libvirt/restore_priv.h"

static void change(xmlDocPtr doc)
{
	const struct rename_pair map[] = {{"default", "other"}};

	lv_edit_identity(doc, "a<b&c", false);
	lv_edit_networks(doc, map, 1);
	lv_edit_disk(doc, "vda", "/x/y'z", "qcow2", false);
	lv_edit_remove_disk(doc, "vdb");
	lv_edit_path(doc, "os/nvram", "/n");
	lv_edit_path(doc, "os/kernel", NULL);
	free(lv_edit_text(doc));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	struct lv_domain_info info;
	AUTO_XML doc = NULL;
	struct err e = {0};

	free(lv_xml_quote(text));
	if (lv_domain_info(text, &info, &e) == 0)
		lv_domain_info_done(&info);
	doc = lv_xml_parse(text, "input", &e);
	if (doc)
		change(doc);
	return 0;
}
