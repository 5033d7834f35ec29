/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fields.h"
#include "step/kinds.h"
#include "step/open.h"

static struct platform *open_it(const struct step *s, struct err *e)
{
	const json_t *platform = NULL;
	const struct field f[] = {{"platform", FIELD_OBJECT, &platform, .needed = true}};

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0)
		return NULL;
	return step_open_platform(platform, e);
}

/* A path may be anything. */
static json_t *text(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();

	return j ? j : json_string("?");
}

int step_platform_check(const struct step *s, json_t **ret, struct err *e)
{
	AUTO(platform) p = open_it(s, e);
	struct platform_resource_list l = {0};
	struct platform_about a = {0};

	if (!p || p->ops->about(p, &a, e) < 0)
		return -1;
	if (p->ops->list(p, &l, e) < 0) {
		platform_about_done(&a);
		return -1;
	}
	*ret = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:I}", "name", p->name, "uri", a.uri, "host",
			 a.host, "version", a.version, "hypervisor", a.hypervisor,
			 "hypervisor_version", a.hypervisor_version, "local", a.local, "resources",
			 (json_int_t)l.n);
	platform_resource_list_done(&l);
	platform_about_done(&a);
	return 0;
}

static json_t *texts(char *const *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, text(v[i]));
	return list;
}

static json_t *offers_json(const struct platform_offers *o)
{
	json_t *pools = json_array();

	for (size_t i = 0; i < o->n_pools; i++)
		json_array_append_new(pools,
				      json_pack("{s:o,s:o,s:I,s:I}", "name", text(o->pools[i].name),
						"path", text(o->pools[i].path), "bytes",
						(json_int_t)o->pools[i].bytes, "free_bytes",
						(json_int_t)o->pools[i].free_bytes));
	return json_pack("{s:o,s:o}", "networks", texts(o->networks, o->n_networks), "pools",
			 pools);
}

static json_t *resource_json(const struct platform_resource *r)
{
	json_t *disks = json_array();

	for (size_t i = 0; i < r->n_disks; i++)
		json_array_append_new(disks,
				      json_pack("{s:o,s:o,s:o,s:I}", "name", text(r->disks[i].name),
						"source", text(r->disks[i].source), "format",
						text(r->disks[i].format), "bytes",
						(json_int_t)r->disks[i].bytes));
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "type", text(r->type), "id", text(r->id),
			 "name", text(r->name), "state", text(r->state), "disks", disks, "networks",
			 texts(r->networks, r->n_networks));
}

int step_platform_list(const struct step *s, json_t **ret, struct err *e)
{
	AUTO(platform) p = open_it(s, e);
	struct platform_resource_list l = {0};
	struct platform_offers o = {0};
	json_t *list;

	if (!p || p->ops->list(p, &l, e) < 0)
		return -1;
	if (p->ops->offers(p, &o, e) < 0) {
		platform_resource_list_done(&l);
		return -1;
	}
	list = json_array();
	for (size_t i = 0; i < l.n; i++)
		json_array_append_new(list, resource_json(&l.v[i]));
	platform_resource_list_done(&l);
	*ret = json_pack("{s:o, s:o}", "resources", list, "offers", offers_json(&o));
	platform_offers_done(&o);
	return 0;
}
