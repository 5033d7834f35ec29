/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making checkpoints. A server protects plans: for a machine that is named by itself this is the
 * plan that protects it alone, which is made where there is none.
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

/* ---- the plan of one machine ---- */

static bool is_alone(const json_t *plan, const char *id)
{
	const json_t *resources = json_object_get(plan, "resources");

	return json_array_size(resources) == 1 &&
	       json_array_size(json_object_get(plan, "selectors")) == 0 &&
	       strcmp(client_text(json_array_get(resources, 0), "id"), id) == 0;
}

/* The plan for this machine alone, with this provider (NULL: any); NULL: there is none. */
static int find_plan(struct cli *c, const char *id, const char *provider, json_t **ret,
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
		if (!is_alone(p, id) ||
		    (provider && strcmp(client_text(p, "provider_id"), provider) != 0))
			continue;
		found = p;
		n++;
	}
	if (n > 1)
		rc = err_set(e, ERR_INVALID,
			     "%zu plans protect this machine: choose one with --plan, or with "
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

static int make_plan(struct cli *c, const json_t *machine, json_t **ret, struct err *e)
{
	AUTO_FREE char *provider = NULL;
	json_t *body, *answer = NULL;
	char note[400];
	int rc;

	if (find_provider(c, &provider, e) < 0)
		return -1;
	body = json_pack("{s:{s:s, s:s, s:{}, s:[{s:s, s:s, s:s}]}}", "plan", "name",
			 client_text(machine, "name"), "provider_id", provider, "parameters",
			 "resources", "id", client_text(machine, "id"), "type", SERVER, "name",
			 client_text(machine, "name"));
	rc = client_do(c->client, "POST", "plans", body, &answer, e);
	json_decref(body);
	if (rc < 0)
		return -1;
	*ret = json_incref(json_object_get(answer, "plan"));
	json_decref(answer);
	snprintf(note, sizeof(note), "made a plan '%.200s' for it, without a schedule",
		 client_text(machine, "name"));
	cli_note(c, LOG_LEVEL_INFO, note);
	return 0;
}

/* The plan that --plan names, which has to be about the machine. */
static int named_plan(struct cli *c, const char *name, const json_t *machine, json_t **ret,
		      struct err *e)
{
	const char *id = client_text(machine, "id");
	json_t *r;
	size_t i;

	if (remote_find(c, remote_kind("plan"), name, ret, e) < 0)
		return -1;
	json_array_foreach(json_object_get(*ret, "resources"), i, r)
	{
		if (strcmp(client_text(r, "id"), id) == 0)
			return 0;
	}
	if (json_array_size(json_object_get(*ret, "selectors")))
		return 0; /* it may select it: the server finds that out */
	json_decref(*ret);
	*ret = NULL;
	return err_set(e, ERR_INVALID, "plan '%.80s' does not protect '%.80s'", name,
		       client_text(machine, "name"));
}

static int settle_plan(struct cli *c, const json_t *machine, json_t **ret, struct err *e)
{
	const char *named = parsed_text(&c->p, "plan"), *with = parsed_text(&c->p, "provider");
	AUTO_FREE char *provider = NULL;

	if (named)
		return named_plan(c, named, machine, ret, e);
	if (with && remote_find_id(c, remote_kind("provider"), with, &provider, e) < 0)
		return -1;
	if (find_plan(c, client_text(machine, "id"), provider, ret, e) < 0)
		return -1;
	return *ret ? 0 : make_plan(c, machine, ret, e);
}

int remote_protect_domain(struct cli *c, struct err *e)
{
	json_t *machine = NULL, *plan = NULL;
	int rc;

	if (remote_open(c, e) < 0 ||
	    remote_find(c, remote_kind("resource"), c->p.args[0], &machine, e) < 0)
		return -1;
	rc = settle_plan(c, machine, &plan, e);
	if (rc == 0)
		rc = run_plan(c, plan, e);
	json_decref(machine);
	json_decref(plan);
	return rc;
}
