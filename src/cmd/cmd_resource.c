/* SPDX-License-Identifier: Apache-2.0 */
#include "base/human.h"
#include "cmd/cli.h"
#include "platform/driver.h"

static json_t *resource_json(const struct platform_resource *r)
{
	json_t *disks = json_array();

	for (size_t i = 0; i < r->n_disks; i++)
		json_array_append_new(
			disks, json_pack("{s:s,s:s,s:s,s:I}", "name", r->disks[i].name, "source",
					 r->disks[i].source, "format", r->disks[i].format,
					 "size_bytes", (json_int_t)r->disks[i].bytes));
	return json_pack("{s:s,s:s,s:s,s:s,s:o}", "type", r->type, "id", r->id, "name", r->name,
			 "state", r->state, "disks", disks);
}

static void resource_rows(struct table *t, const struct platform_resource *r)
{
	char size[HUMAN_TEXT];

	for (size_t i = 0; i < MAX(r->n_disks, (size_t)1); i++) {
		const struct platform_disk *d = i < r->n_disks ? &r->disks[i] : NULL;
		const char *const cells[] = {i ? "" : r->type,
					     i ? "" : r->name,
					     i ? "" : r->state,
					     d ? d->name : "",
					     d && d->bytes ? human_bytes(d->bytes, size) : "",
					     d ? d->format : "",
					     d ? d->source : ""};

		table_row(t, cells);
	}
}

int cmd_resource_list(struct cli *c, struct err *e)
{
	static const char *const titles[] = {"type", "name",   "state", "disk",
					     "size", "format", "source"};
	AUTO(platform) platform = platform_open(parsed_text(&c->p, "connect"), e);
	struct platform_resource_list l;
	struct table *t;

	if (!platform || platform->ops->list(platform, &l, e) < 0)
		return -1;
	if (c->json) {
		json_t *list = json_array();

		for (size_t i = 0; i < l.n; i++)
			json_array_append_new(list, resource_json(&l.v[i]));
		cli_json(list);
	} else {
		t = table_new(titles, "llllrll");
		for (size_t i = 0; i < l.n; i++)
			resource_rows(t, &l.v[i]);
		table_print(t);
	}
	platform_resource_list_done(&l);
	return 0;
}
