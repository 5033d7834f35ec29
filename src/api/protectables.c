/* SPDX-License-Identifier: Apache-2.0 */
/* /protectables: the kinds of things, and those that were found. */
#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/dict.h"
#include "core/protectable.h"

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"type", "type", COLUMN_TEXT, false},
	{"name", "name", COLUMN_TEXT, true},
	{"extra_info", "extra_info", COLUMN_JSON, false},
	{"status", "state", COLUMN_TEXT, true},
	{"platform_id", "platform_id", COLUMN_TEXT, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"created_at", "first_seen_at", COLUMN_TIME, true},
	{"seen_at", "seen_at", COLUMN_TIME, false},
	{"protected",
	 "CASE WHEN EXISTS (SELECT 1 FROM checkpoint_resources k WHERE k.id = resources.id AND "
	 "k.type = resources.type AND k.status = 'available') THEN 1 ELSE 0 END",
	 COLUMN_FLAG, false},
};
#define FILTERS_OF_INSTANCES                                                                       \
	{"type", "type", FILTER_IS}, {"name", "name", FILTER_CONTAINS},                            \
		{"status", "state", FILTER_IS}, {"platform_id", "platform_id", FILTER_IS},         \
	{                                                                                          \
		"platform", "(SELECT p.name FROM platforms p WHERE p.id = platform_id)", FILTER_IS \
	}
static const struct filter filters[] = {FILTERS_OF_INSTANCES};
/* For one of them. */
static const struct filter by_id[] = {FILTERS_OF_INSTANCES, {"id", "id", FILTER_IS}};
static const struct table instances = {.sql = "resources",
				       .item = "instance",
				       .items = "instances",
				       TABLE_OF(columns, filters),
				       .where = "gone_at IS NULL",
				       .own = "parameters"};

#define FILTERS 8

/*
 * What clients ask of an instance, as filters of lists; `first` is one more. The texts are those of
 * *ret_parameters, which is the caller's also when it fails.
 */
static int read_parameters(struct api_call *c, const struct list_filter *first,
			   struct list_filter ret[FILTERS], size_t *ret_n, json_t **ret_parameters,
			   struct err *e)
{
	const char *text = httpd_query(c->http, "parameters"), *name;
	json_t *v;

	ret[0] = *first;
	*ret_n = 1;
	*ret_parameters = text ? dict_parse("parameters", text, e) : json_object();
	if (!*ret_parameters)
		return -1;
	json_object_foreach(*ret_parameters, name, v)
	{
		if (!table_filter(&instances, name) || strcmp(name, "type") == 0 ||
		    *ret_n == FILTERS)
			return err_set(e, ERR_INVALID,
				       "parameters: instances have no '%.60s'; give name, status, "
				       "platform_id or platform.",
				       name);
		ret[(*ret_n)++] = (struct list_filter){.name = name, .value = json_string_value(v)};
	}
	return 0;
}

static const struct protectable *type_of(struct api_call *c, struct err *e)
{
	const char *name = httpd_part(c->http, "type");
	const struct protectable *p = protectable_get(name);

	if (!p)
		err_set(e, ERR_INVALID, "Invalid protectable type provided. Value: %.80s.", name);
	return p;
}

static int list_types(struct api_call *c, struct err *e)
{
	json_t *a = json_array();
	size_t n;
	const struct protectable *p = protectables(&n);

	(void)e;
	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_string(p[i].type));
	api_reply(c, 200, "protectable_type", a);
	return 0;
}

static int show_type(struct api_call *c, struct err *e)
{
	const struct protectable *p = type_of(c, e);
	json_t *types = json_array();

	for (size_t i = 0; p && p->dependents[i]; i++)
		json_array_append_new(types, json_string(p->dependents[i]));
	api_reply(c, 200, "protectable_type",
		  json_pack("{s:s, s:o}", "name", p ? p->type : "", "dependent_types", types));
	return p ? 0 : -1;
}

/* ---- dependents ---- */

/* The disks of a machine. */
static json_t *disks_of(const json_t *instance)
{
	const char *id = json_string_value(json_object_get(instance, "id"));
	const json_t *extra = json_object_get(instance, "extra_info"), *v;
	json_t *a = json_array();
	size_t i;

	json_array_foreach(json_object_get(extra, "disks"), i, v)
	{
		const char *name = json_string_value(json_object_get(v, "name"));
		AUTO_FREE char *own = xasprintf("%s/%s", id, name ? name : "?");

		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:O}", "type",
						   PROTECTABLE_VOLUME, "id", own, "name",
						   name ? name : "?", "extra_info", v));
	}
	return a;
}

/* Everything that a project has. */
static int servers_of(struct api_call *c, json_t **ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e,
		     "SELECT type, id, name FROM resources WHERE project_id = $1 AND gone_at IS "
		     "NULL ORDER BY type, name, id",
		     db_t(c->project));
	int have = r ? 1 : -1;

	*ret = json_array();
	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(*ret, json_pack("{s:s, s:s, s:s, s:n}", "type", db_text(r, 0),
						      "id", db_text(r, 1), "name", db_text(r, 2),
						      "extra_info"));
	return have < 0 ? -1 : 0;
}

static int project_instance(struct api_call *c, json_t **ret, struct err *e)
{
	json_t *servers;
	const char *name = c->who->project_name;

	if (servers_of(c, &servers, e) < 0) {
		json_decref(servers);
		return -1;
	}
	*ret = json_pack("{s:s, s:s, s:s, s:n, s:o}", "id", c->project, "type", PROTECTABLE_PROJECT,
			 "name", name && *name ? name : c->project, "extra_info",
			 "dependent_resources", servers);
	return 0;
}

static int list(struct api_call *c, struct err *e)
{
	const struct protectable *p = type_of(c, e);
	struct list_filter of = {.name = "type", .value = p ? p->type : NULL};
	struct list_filter filters_of[FILTERS];
	json_t *v, *parameters;
	size_t i, n;
	int done;

	if (!p)
		return -1;
	if (strcmp(p->type, PROTECTABLE_PROJECT) == 0) {
		if (project_instance(c, &v, e) < 0)
			return -1;
		api_reply(c, 200, "instances", json_pack("[o]", v));
		return 0;
	}
	done = read_parameters(c, &of, filters_of, &n, &parameters, e);
	if (done == 0)
		done = api_list(c, &instances, filters_of, n, e);
	json_decref(parameters);
	if (done < 0)
		return -1;
	json_array_foreach(json_object_get(c->reply, "instances"), i, v)
	{
		json_object_set_new(v, "dependent_resources", disks_of(v));
	}
	return 0;
}

/* The one with this id, if it is what the parameters say. */
static int find(struct api_call *c, const char *type, const char *id, json_t **ret, struct err *e)
{
	const struct list_filter of = {.name = "type", .value = type};
	struct list_query q = {.project = api_visible(c), .limit = 1};
	json_t *parameters, *items = NULL;
	struct table one = instances;
	bool more;
	int done = read_parameters(c, &of, q.filters, &q.n_filters, &parameters, e);

	one.filters = by_id;
	one.n_filters = ARRAY_LEN(by_id);
	q.filters[q.n_filters++] = (struct list_filter){.name = "id", .value = id};
	if (done == 0)
		done = table_list(c->t, &one, &q, &items, &more, e);
	json_decref(parameters);
	if (done == 0 && json_array_size(items) == 0)
		done = err_set(e, ERR_NOENT, "There is no instance '%.80s'.", id);
	if (done == 0)
		*ret = json_incref(json_array_get(items, 0));
	json_decref(items);
	return done;
}

static int show(struct api_call *c, struct err *e)
{
	const struct protectable *p = type_of(c, e);
	const char *id = httpd_part(c->http, "resource_id");
	json_t *v;

	if (!p)
		return -1;
	if (strcmp(p->type, PROTECTABLE_PROJECT) == 0 && strcmp(id, c->project) == 0) {
		if (project_instance(c, &v, e) < 0)
			return -1;
	} else {
		if (find(c, p->type, id, &v, e) < 0)
			return -1;
		json_object_set_new(v, "dependent_resources", disks_of(v));
	}
	api_reply(c, 200, "instance", v);
	return 0;
}

#define TYPE "/v1/{project_id}/protectables/{type}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/protectables", "protectable:get_all", list_types, 0},
	{"GET", TYPE, "protectable:get", show_type, 0},
	{"GET", TYPE "/instances", "protectable:instance_get_all", list, 0},
	{"GET", TYPE "/instances/{resource_id}", "protectable:instance_get", show, 0},
};
const struct api_resource api_protectables = {routes, ARRAY_LEN(routes)};
