/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of a server: which one is meant, and the commands about them. */
#include <stdio.h>
#include <string.h>

#include "base/uuid.h"
#include "cmd/remote.h"

#define LATEST "latest"
#define PREFIX_LEAST 4

char *remote_point_path(const json_t *point)
{
	return xasprintf("providers/%s/checkpoints/%s", client_text(point, "provider_id"),
			 client_text(point, "id"));
}

/* ---- all ---- */

/* What orders them: whose state it is, or where that is not known yet when it began. */
static const char *moment(const json_t *point)
{
	const char *at = client_text(point, "instant_at");

	return *at ? at : client_text(point, "started_at");
}

static int by_moment(const void *a, const void *b)
{
	return strcmp(moment(*(json_t *const *)a), moment(*(json_t *const *)b));
}

static json_t *sorted_take(json_t *all)
{
	size_t n = json_array_size(all);
	AUTO_FREE json_t **v = xcalloc(n + 1, sizeof(*v));
	json_t *sorted = json_array();

	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(all, i);
	qsort(v, n, sizeof(*v), by_moment);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, v[i]);
	json_decref(all);
	return sorted;
}

int remote_points(struct cli *c, const char *query, json_t **ret, struct err *e)
{
	AUTO_FREE char *path = xasprintf("checkpoints%s%s", *query ? "?" : "", query);
	json_t *all = NULL;

	if (client_list(c->client, path, "checkpoints", 0, &all, e) < 0)
		return -1;
	*ret = sorted_take(all);
	return 0;
}

/* ---- which ---- */

static bool has_resource(const json_t *resources, const char *name)
{
	json_t *r;
	size_t i;

	json_array_foreach((json_t *)resources, i, r)
	{
		if (strcmp(client_text(r, "name"), name) == 0 ||
		    strcmp(client_text(r, "id"), name) == 0)
			return true;
	}
	return false;
}

/*
 * Is it of a resource, or else a plan, of that name? What a plan's selectors found is in the
 * checkpoint itself, not in the list.
 */
static int concerns(struct cli *c, const json_t *point, const char *name, bool *ret, struct err *e)
{
	const json_t *plan = json_object_get(point, "protection_plan");
	json_t *whole = NULL;
	AUTO_FREE char *path = NULL;

	*ret = strcmp(client_text(plan, "name"), name) == 0 ||
	       has_resource(json_object_get(plan, "resources"), name);
	if (*ret || json_array_size(json_object_get(plan, "selectors")) == 0)
		return 0;
	path = remote_point_path(point);
	if (client_get(c->client, path, "checkpoint", &whole, e) < 0)
		return -1;
	*ret = has_resource(json_object_get(whole, "resources"), name);
	json_decref(whole);
	return 0;
}

/* The newest one of `name` (NULL: of all), which is available: `all` is oldest first. */
static int find_latest(struct cli *c, const json_t *all, const char *name, json_t **ret,
		       struct err *e)
{
	for (size_t i = json_array_size(all); i-- > 0;) {
		json_t *point = json_array_get(all, i);
		bool good = true;

		if (strcmp(client_text(point, "status"), "available") != 0)
			continue;
		if (name && concerns(c, point, name, &good, e) < 0)
			return -1;
		if (good) {
			*ret = json_incref(point);
			return 0;
		}
	}
	return err_set(e, ERR_NOENT,
		       "there is no checkpoint%s%.80s: see 'holdfast checkpoint list'",
		       name ? " of " : "", name ? name : "");
}

static int find_by_id(const json_t *all, const char *ref, json_t **ret, struct err *e)
{
	json_t *found = NULL, *p;
	size_t i, n = 0;

	json_array_foreach((json_t *)all, i, p)
	{
		if (strncmp(client_text(p, "id"), ref, strlen(ref)) == 0) {
			found = p;
			n++;
		}
	}
	if (n > 1)
		return err_set(e, ERR_INVALID,
			       "%zu checkpoints begin with '%.40s': give more of the id", n, ref);
	if (!n || strlen(ref) < PREFIX_LEAST)
		return err_set(e, ERR_NOENT,
			       "there is no checkpoint '%.80s': name it by its id, the first "
			       "digits of it (at least four), 'latest', or NAME@latest",
			       ref);
	*ret = json_incref(found);
	return 0;
}

static int find_in(struct cli *c, const json_t *all, const char *ref, json_t **ret, struct err *e)
{
	const char *at = strrchr(ref, '@');

	if (strcmp(ref, LATEST) == 0)
		return find_latest(c, all, NULL, ret, e);
	if (at && strcmp(at + 1, LATEST) == 0) {
		AUTO_FREE char *name = xstrndup(ref, (size_t)(at - ref));

		return find_latest(c, all, name, ret, e);
	}
	return find_by_id(all, ref, ret, e);
}

int remote_point(struct cli *c, const char *ref, json_t **ret, struct err *e)
{
	json_t *all = NULL;
	int rc = remote_points(c, "", &all, e);

	if (rc == 0)
		rc = find_in(c, all, ref, ret, e);
	json_decref(all);
	return rc;
}

static bool in_list(const json_t *list, const json_t *point)
{
	size_t i;
	json_t *p;

	json_array_foreach((json_t *)list, i, p)
	{
		if (p == point)
			return true;
	}
	return false;
}

int remote_chosen(struct cli *c, json_t **ret, struct err *e)
{
	bool every = parsed_flag(&c->p, "all");
	json_t *all = NULL, *chosen, *point;
	int rc = 0;

	if (!every && c->p.n_args == 0)
		return err_set(e, ERR_INVALID, "name checkpoints, or give --all");
	if (remote_points(c, every ? "status=available" : "", &all, e) < 0)
		return -1;
	if (every) {
		*ret = all;
		return 0;
	}
	chosen = json_array();
	for (int i = 0; i < c->p.n_args && rc == 0; i++) {
		rc = find_in(c, all, c->p.args[i], &point, e);
		if (rc == 0 && !in_list(chosen, point))
			json_array_append(chosen, point);
		if (rc == 0)
			json_decref(point);
	}
	json_decref(all);
	if (rc < 0)
		json_decref(chosen);
	else
		*ret = chosen;
	return rc;
}

/* ---- list, show ---- */

/* Those of a resource or plan, where --resource names one. */
static int only_of(struct cli *c, json_t *all, json_t **ret, struct err *e)
{
	const char *name = parsed_text(&c->p, "resource");
	json_t *some = json_array(), *p;
	bool good;
	size_t i;

	json_array_foreach(all, i, p)
	{
		good = true;
		if (name && concerns(c, p, name, &good, e) < 0) {
			json_decref(some);
			return -1;
		}
		if (good)
			json_array_append(some, p);
	}
	*ret = some;
	return 0;
}

int remote_checkpoint_list(struct cli *c, struct err *e)
{
	json_t *all = NULL, *some = NULL;
	int rc;

	if (remote_open(c, e) < 0 || remote_points(c, "", &all, e) < 0)
		return -1;
	rc = only_of(c, all, &some, e);
	json_decref(all);
	if (rc == 0)
		remote_print(c, remote_kind("checkpoint")->columns, some);
	return rc;
}

static int show_point(struct cli *c, const json_t *point, struct err *e)
{
	AUTO_FREE char *path = remote_point_path(point);
	json_t *whole = NULL;

	if (client_get(c->client, path, "checkpoint", &whole, e) < 0)
		return -1;
	if (!c->json) {
		/* For programs that draw it. */
		json_object_del(whole, "resource_graph");
		json_object_set_new(whole, "protection_plan",
				    json_string(client_text(
					    json_object_get(whole, "protection_plan"), "name")));
	}
	remote_print_one(c, whole);
	return 0;
}

int remote_checkpoint_show(struct cli *c, struct err *e)
{
	json_t *point = NULL;
	int rc;

	if (remote_open(c, e) < 0 || remote_point(c, c->p.args[0], &point, e) < 0)
		return -1;
	rc = show_point(c, point, e);
	json_decref(point);
	return rc;
}
