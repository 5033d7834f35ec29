/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making checkpoints. A server protects plans: for machines that are named this is the plan that
 * protects just these, which is made where there is none.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/remote.h"

#define SERVER "OS::Nova::Server"

int remote_resource_list(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind("resource");
	json_t *all = NULL;

	if (remote_open(c, e) < 0 || client_list(c->client, k->path, k->items, 0, &all, e) < 0)
		return -1;
	remote_print(c, k->columns, all);
	return 0;
}

int remote_resource_coverage(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind("coverage");
	AUTO_BUF path = BUF_INIT;
	json_t *all = NULL;

	buf_text(&path, k->path);
	client_query(&path, "protection", parsed_text(&c->p, "only"));
	if (remote_open(c, e) < 0 ||
	    client_list(c->client, buf_str(&path), k->items, 0, &all, e) < 0)
		return -1;
	remote_print(c, k->columns, all);
	return 0;
}

/* ---- running a plan ---- */

/* --tag KEY=VALUE: what the checkpoint is noted with. *ret: the caller's, or NULL. */
static int take_tags(struct cli *c, json_t **ret, struct err *e)
{
	AUTO_FREE const char **list = parsed_list(&c->p, "tag");

	*ret = list ? json_object() : NULL;
	for (size_t i = 0; list && list[i]; i++) {
		const char *equals = strchr(list[i], '=');

		if (!equals || equals == list[i]) {
			json_decref(*ret);
			*ret = NULL;
			return err_set(e, ERR_INVALID, "--tag '%s': write it as KEY=VALUE",
				       list[i]);
		}
		json_object_setn_new(*ret, list[i], (size_t)(equals - list[i]),
				     json_string(equals + 1));
	}
	return 0;
}

static void show_point(struct cli *c, const json_t *point)
{
	json_t *one = json_pack("[O]", point);

	if (c->json) {
		cli_json(json_incref((json_t *)point));
		json_decref(one);
	} else {
		remote_print(c, remote_kind("checkpoint")->columns, one);
	}
}

static int run_plan(struct cli *c, const json_t *plan, struct err *e)
{
	AUTO_FREE char *path =
		xasprintf("providers/%s/checkpoints", client_text(plan, "provider_id"));
	json_t *tags = NULL, *body, *answer = NULL, *made;
	AUTO_FREE char *one = NULL;
	int rc;

	if (take_tags(c, &tags, e) < 0)
		return -1;
	body = json_pack("{s:{s:s, s:o*}}", "checkpoint", "plan_id", client_text(plan, "id"),
			 "extra_info", tags);
	rc = client_do(c->client, "POST", path, body, &answer, e);
	json_decref(body);
	if (rc < 0)
		return -1;
	made = json_incref(json_object_get(answer, "checkpoint"));
	json_decref(answer);
	rc = remote_started(c, made, client_text(plan, "name"), true, e);
	if (rc == 0 && remote_waits(c)) {
		one = remote_point_path(made);
		json_decref(made);
		made = NULL;
		rc = client_get(c->client, one, "checkpoint", &made, e);
	}
	if (rc == 0)
		show_point(c, made);
	json_decref(made);
	return rc;
}

int remote_plan_run(struct cli *c, struct err *e)
{
	json_t *plan = NULL;
	int rc;

	if (remote_open(c, e) < 0 ||
	    remote_find(c, remote_kind("plan"), c->p.args[0], &plan, e) < 0)
		return -1;
	rc = run_plan(c, plan, e);
	json_decref(plan);
	return rc;
}

/* ---- the plan of just these machines ---- */

static bool has_resource(const json_t *plan, const json_t *machine)
{
	const json_t *r;
	size_t i;

	json_array_foreach(json_object_get(plan, "resources"), i, r)
	{
		if (strcmp(client_text(r, "id"), client_text(machine, "id")) == 0)
			return true;
	}
	return false;
}

/* Several are named because they belong together. */
static bool is_for(const json_t *plan, const json_t *machines)
{
	size_t n = json_array_size(machines), i;
	const json_t *m;

	if (json_array_size(json_object_get(plan, "resources")) != n ||
	    json_array_size(json_object_get(plan, "selectors")) != 0 ||
	    (n > 1 && !json_is_true(json_object_get(plan, "consistency_group"))))
		return false;
	json_array_foreach(machines, i, m)
	{
		if (!has_resource(plan, m))
			return false;
	}
	return true;
}

/* The plan for these machines alone, with this provider (NULL: any); NULL: there is none. */
static int find_plan(struct cli *c, const json_t *machines, const char *provider, json_t **ret,
		     struct err *e)
{
	json_t *all = NULL, *found = NULL, *p;
	size_t i, n = 0;
	int rc = 0;

	*ret = NULL;
	if (client_list(c->client, "plans", "plans", 0, &all, e) < 0)
		return -1;
	json_array_foreach(all, i, p)
	{
		if (!is_for(p, machines) ||
		    (provider && strcmp(client_text(p, "provider_id"), provider) != 0))
			continue;
		found = p;
		n++;
	}
	if (n > 1)
		rc = err_set(e, ERR_INVALID,
			     "%zu plans protect just this: choose one with --plan, or with "
			     "--provider",
			     n);
	else if (n == 1)
		*ret = json_incref(found);
	json_decref(all);
	return rc;
}

static int find_provider(struct cli *c, char **ret, struct err *e)
{
	const char *named = parsed_text(&c->p, "provider");
	json_t *all = NULL;
	int rc = 0;

	if (named)
		return remote_find_id(c, remote_kind("provider"), named, ret, e);
	if (client_list(c->client, "providers", "providers", 0, &all, e) < 0)
		return -1;
	if (json_array_size(all) == 1)
		*ret = xstrdup(client_text(json_array_get(all, 0), "id"));
	else if (json_array_size(all) == 0)
		rc = err_set(e, ERR_NOENT,
			     "there is no provider to store with: make one with 'holdfast target "
			     "add' and 'holdfast provider add'");
	else
		rc = err_set(e, ERR_INVALID,
			     "there are several providers: choose one with --provider; see "
			     "'holdfast provider list'");
	json_decref(all);
	return rc;
}

/* "web1", "web1 and 2 more" */
static char *name_of(const json_t *machines)
{
	const char *first = client_text(json_array_get(machines, 0), "name");
	size_t n = json_array_size(machines);

	return n == 1 ? xstrdup(first) : xasprintf("%.200s and %zu more", first, n - 1);
}

static int make_plan(struct cli *c, const json_t *machines, json_t **ret, struct err *e)
{
	AUTO_FREE char *provider = NULL;
	AUTO_FREE char *name = name_of(machines);
	json_t *body, *answer = NULL, *list, *m;
	char note[400];
	size_t i;
	int rc;

	if (find_provider(c, &provider, e) < 0)
		return -1;
	list = json_array();
	json_array_foreach((json_t *)machines, i, m)
	{
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "id", client_text(m, "id"),
						"type", SERVER, "name", client_text(m, "name")));
	}
	body = json_pack("{s:{s:s, s:s, s:{}, s:o, s:b}}", "plan", "name", name, "provider_id",
			 provider, "parameters", "resources", list, "consistency_group",
			 json_array_size(machines) > 1);
	rc = client_do(c->client, "POST", "plans", body, &answer, e);
	json_decref(body);
	if (rc < 0)
		return -1;
	*ret = json_incref(json_object_get(answer, "plan"));
	json_decref(answer);
	snprintf(note, sizeof(note), "made a plan '%.220s' for it, without a schedule", name);
	cli_note(c, LOG_LEVEL_INFO, note);
	return 0;
}

/* The plan that --plan names, which has to be about the machines. */
static int named_plan(struct cli *c, const char *name, const json_t *machines, json_t **ret,
		      struct err *e)
{
	const json_t *m;
	size_t i;

	if (remote_find(c, remote_kind("plan"), name, ret, e) < 0)
		return -1;
	json_array_foreach(machines, i, m)
	{
		/* Selectors may select it: the server finds that out. */
		if (has_resource(*ret, m) || json_array_size(json_object_get(*ret, "selectors")))
			continue;
		json_decref(*ret);
		*ret = NULL;
		return err_set(e, ERR_INVALID, "plan '%.80s' does not protect '%.80s'", name,
			       client_text(m, "name"));
	}
	return 0;
}

static int settle_plan(struct cli *c, const json_t *machines, json_t **ret, struct err *e)
{
	const char *named = parsed_text(&c->p, "plan"), *with = parsed_text(&c->p, "provider");
	AUTO_FREE char *provider = NULL;

	if (named)
		return named_plan(c, named, machines, ret, e);
	if (with && remote_find_id(c, remote_kind("provider"), with, &provider, e) < 0)
		return -1;
	if (find_plan(c, machines, provider, ret, e) < 0)
		return -1;
	return *ret ? 0 : make_plan(c, machines, ret, e);
}

static int find_machines(struct cli *c, json_t *list, struct err *e)
{
	if (remote_open(c, e) < 0)
		return -1;
	for (int i = 0; i < c->p.n_args; i++) {
		json_t *machine = NULL;

		if (remote_find(c, remote_kind("resource"), c->p.args[i], &machine, e) < 0)
			return -1;
		json_array_append_new(list, machine);
	}
	return 0;
}

int remote_protect_domain(struct cli *c, struct err *e)
{
	json_t *machines = json_array(), *plan = NULL;
	int rc = find_machines(c, machines, e);

	if (rc == 0)
		rc = settle_plan(c, machines, &plan, e);
	if (rc == 0)
		rc = run_plan(c, plan, e);
	json_decref(machines);
	json_decref(plan);
	return rc;
}
