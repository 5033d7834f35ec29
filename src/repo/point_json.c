/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/point_json.h"

#include "base/clock.h"
#include "repo/lock.h"

static json_t *text_json(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();

	/* Not UTF-8: a path may be anything. */
	return j ? j : json_string("?");
}

static json_t *time_json(uint64_t us)
{
	char text[CLOCK_TEXT];

	return json_string(clock_rfc3339(us, text));
}

static json_t *stats_json(const struct point_stats *s)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:f}", "content_bytes", (json_int_t)s->content,
			 "read_bytes", (json_int_t)s->read, "new_bytes", (json_int_t)s->fresh,
			 "stored_bytes", (json_int_t)s->stored, "seconds",
			 (double)s->spent_us / 1e6);
}

static json_t *strings_json(char *const *list, size_t n)
{
	json_t *j = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(j, text_json(list[i]));
	return j;
}

static json_t *disk_json(const struct point_disk *d)
{
	return json_pack("{s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "name", text_json(d->name),
			 "size_bytes", (json_int_t)d->tree.size, "source", text_json(d->source),
			 "format", text_json(d->format), "mode", text_json(d->mode), "reason",
			 text_json(d->reason), "tracking", text_json(d->tracking), "stats",
			 stats_json(&d->stats));
}

static json_t *resource_json(const struct point_resource *r)
{
	json_t *disks = json_array(), *items = json_array();

	for (size_t i = 0; i < r->n_disks; i++)
		json_array_append_new(disks, disk_json(&r->disks[i]));
	for (size_t i = 0; i < r->n_items; i++)
		json_array_append_new(items,
				      json_pack("{s:o,s:I}", "name", text_json(r->items[i].name),
						"size_bytes", (json_int_t)r->items[i].tree.size));
	return json_pack("{s:o,s:o,s:o,s:o,s:{s:s,s:s,s:o,s:f},s:o,s:o}", "type",
			 text_json(r->type), "id", text_json(r->id), "name", text_json(r->name),
			 "platform", text_json(r->platform), "consistency", "asked",
			 consistency_name(r->asked), "achieved", achieved_name(r->achieved),
			 "why_less", text_json(r->why_less), "frozen_seconds",
			 (double)r->frozen_us / 1e6, "disks", disks, "items", items);
}

static json_t *lock_json(const struct point_lock *l)
{
	return l->mode ? json_pack("{s:s,s:o,s:o}", "mode", lock_mode_name(l->mode), "until",
				   time_json(l->until_us), "covered_until",
				   time_json(l->covered_us))
		       : json_null();
}

json_t *point_json(const struct point *p)
{
	char id[UUID_TEXT], parent[UUID_TEXT], origin[UUID_TEXT];
	json_t *resources = json_array();

	for (size_t i = 0; i < p->n_resources; i++)
		json_array_append_new(resources, resource_json(&p->resources[i]));
	uuid_text(&p->parent, parent);
	uuid_text(&p->origin, origin);
	return json_pack("{s:s,s:o,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id",
			 uuid_text(&p->id, id), "time", time_json(p->instant_us), "window_seconds",
			 (double)p->window_us / 1e6, "complete", time_json(p->complete_us),
			 "writer", text_json(p->writer), "parent",
			 uuid_is_zero(&p->parent) ? json_null() : json_string(parent), "copy_of",
			 uuid_is_zero(&p->origin) ? json_null() : json_string(origin), "tags",
			 strings_json(p->tags, p->n_tags), "warnings",
			 strings_json(p->warnings, p->n_warnings), "stats", stats_json(&p->stats),
			 "lock", lock_json(&p->lock), "resources", resources);
}
