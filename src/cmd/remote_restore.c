/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with checkpoints of a server: restored, verified, copied, held, deleted. */
#include <stdio.h>
#include <string.h>

#include "cmd/remote.h"

#define SERVER "OS::Nova::Server"

/* ---- restore domain ---- */

/* {"FROM": "TO"} of --network FROM=TO; NULL: none. */
static int take_networks(struct cli *c, json_t **ret, struct err *e)
{
	AUTO_FREE const char **list = parsed_list(&c->p, "network");

	*ret = list ? json_object() : NULL;
	for (size_t i = 0; list && list[i]; i++) {
		const char *equals = strchr(list[i], '=');

		if (!equals || equals == list[i] || !equals[1]) {
			json_decref(*ret);
			*ret = NULL;
			return err_set(e, ERR_INVALID, "--network '%s': write it as FROM=TO",
				       list[i]);
		}
		json_object_setn_new(*ret, list[i], (size_t)(equals - list[i]),
				     json_string(equals + 1));
	}
	return 0;
}

static json_t *words_json(const char **words)
{
	json_t *a = words ? json_array() : NULL;

	for (size_t i = 0; words && words[i]; i++)
		json_array_append_new(a, json_string(words[i]));
	return a;
}

/* The options as the server calls them. */
static json_t *restore_options(struct cli *c, struct err *e)
{
	static const struct {
		const char *opt, *member;
		bool flag;
	} rows[] = {
		{"name", "restore_name", false}, {"to", "directory", false},
		{"pool", "pool", false},	 {"start", "start", true},
		{"stop", "stop", true},		 {"keep-identity", "keep_identity", true},
	};
	AUTO_FREE const char **disks = parsed_list(&c->p, "disk");
	json_t *o, *networks;

	if (take_networks(c, &networks, e) < 0)
		return NULL;
	o = json_object();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *text = parsed_text(&c->p, rows[i].opt);

		if (text)
			json_object_set_new(o, rows[i].member,
					    rows[i].flag ? json_true() : json_string(text));
	}
	if (parsed_flag(&c->p, "in-place"))
		json_object_set_new(o, "mode", json_string("in_place"));
	if (networks)
		json_object_set_new(o, "networks", networks);
	if (disks)
		json_object_set_new(o, "disks", words_json(disks));
	return o;
}

/*
 * Which machine of the checkpoint: what --resource names, or the NAME of NAME@latest; NULL: the
 * only one. Its id is the caller's. A NAME that is a plan's, and no machine's, is all of it.
 */
static int which_machine(struct cli *c, const json_t *whole, char **ret, struct err *e)
{
	const char *named = parsed_text(&c->p, "resource"), *at = strrchr(c->p.args[0], '@');
	AUTO_FREE char *before = at ? xstrndup(c->p.args[0], (size_t)(at - c->p.args[0])) : NULL;
	const char *name = named ? named : before;
	json_t *r;
	size_t i;

	*ret = NULL;
	json_array_foreach(json_object_get(whole, "resources"), i, r)
	{
		if (name && (strcmp(client_text(r, "name"), name) == 0 ||
			     strcmp(client_text(r, "id"), name) == 0)) {
			*ret = xstrdup(client_text(r, "id"));
			return 0;
		}
	}
	if (named)
		return err_set(e, ERR_NOENT,
			       "the checkpoint holds no machine '%.80s': see 'holdfast checkpoint "
			       "show'",
			       named);
	if (json_array_size(json_object_get(whole, "resources")) > 1 &&
	    (parsed_flag(&c->p, "name") || parsed_flag(&c->p, "disk")))
		return err_set(e, ERR_INVALID,
			       "the checkpoint holds several machines: say which one with "
			       "--resource");
	return 0;
}

static json_t *restore_body(const json_t *point, const char *machine, json_t *options_taken,
			    const char *platform)
{
	AUTO_FREE char *key = machine ? xasprintf(SERVER "#%s", machine) : xstrdup(SERVER);

	return json_pack("{s:{s:s, s:s, s:{s:o}, s:s*}}", "restore", "provider_id",
			 client_text(point, "provider_id"), "checkpoint_id",
			 client_text(point, "id"), "parameters", key, options_taken,
			 "restore_target", platform);
}

/* A restore or verification: start it, wait for it, and get it as it then is. */
static int start_work(struct cli *c, const char *path, const char *item, const json_t *body,
		      const char *what, json_t **ret, struct err *e)
{
	json_t *answer = NULL, *made;
	AUTO_FREE char *one = NULL;
	int rc;

	if (client_do(c->client, "POST", path, body, &answer, e) < 0)
		return -1;
	made = json_incref(json_object_get(answer, item));
	json_decref(answer);
	rc = remote_started(c, made, what, false, e);
	one = xasprintf("%s/%s", path, client_text(made, "id"));
	if (rc == 0 && remote_waits(c)) {
		json_decref(made);
		made = NULL;
		rc = client_get(c->client, one, item, &made, e);
	}
	if (rc == 0)
		*ret = made;
	else
		json_decref(made);
	return rc;
}

static int restore_point(struct cli *c, const json_t *point, struct err *e)
{
	const char *where = parsed_text(&c->p, "platform");
	AUTO_FREE char *path = remote_point_path(point);
	AUTO_FREE char *platform = NULL;
	AUTO_FREE char *machine = NULL;
	json_t *whole = NULL, *options = NULL, *body, *done = NULL;
	int rc;

	if (where && remote_find_id(c, remote_kind("platform"), where, &platform, e) < 0)
		return -1;
	if (client_get(c->client, path, "checkpoint", &whole, e) < 0)
		return -1;
	rc = which_machine(c, whole, &machine, e);
	json_decref(whole);
	if (rc == 0)
		options = restore_options(c, e);
	if (!options)
		return -1;
	body = restore_body(point, machine, options, platform);
	rc = start_work(c, "restores", "restore", body, c->p.args[0], &done, e);
	json_decref(body);
	if (rc == 0 && c->json)
		cli_json(json_incref(done));
	else if (rc == 0 && remote_waits(c))
		printf("restored %s from checkpoint %.8s\n", c->p.args[0],
		       client_text(point, "id"));
	json_decref(done);
	return rc;
}

int remote_restore_domain(struct cli *c, struct err *e)
{
	json_t *point = NULL;
	int rc;

	if (parsed_text(&c->p, "to") && parsed_text(&c->p, "pool"))
		return err_set(e, ERR_INVALID, "give one of --to and --pool");
	if (remote_open(c, e) < 0 || remote_point(c, c->p.args[0], &point, e) < 0)
		return -1;
	rc = restore_point(c, point, e);
	json_decref(point);
	return rc;
}

/* ---- one after the other ---- */

/* Do it for each of the chosen; the objects that come out are printed with -o json. */
typedef int each_fn(struct cli *c, const json_t *point, json_t **ret, struct err *e);

static int for_each(struct cli *c, each_fn *fn, struct err *e)
{
	json_t *chosen = NULL, *results = json_array(), *point, *out;
	size_t i;
	int rc = remote_chosen(c, &chosen, e);

	json_array_foreach(chosen, i, point)
	{
		out = NULL;
		if (rc == 0)
			rc = fn(c, point, &out, e);
		if (out)
			json_array_append_new(results, out);
	}
	if (rc == 0 && c->json)
		cli_json(json_incref(results));
	json_decref(results);
	json_decref(chosen);
	return rc;
}

static void say(struct cli *c, const char *what, const json_t *point)
{
	if (!c->json)
		printf("%s checkpoint %s\n", what, client_text(point, "id"));
}

/* ---- verify ---- */

static int verify_one(struct cli *c, const json_t *point, json_t **ret, struct err *e)
{
	const char *depth = parsed_flag(&c->p, "structure") ? "structure" : "content";
	const char *id = client_text(point, "id");
	AUTO_FREE char *path = remote_point_path(point);
	json_t *body = json_pack("{s:{s:s, s:s, s:{s:{s:s}}}}", "verification", "provider_id",
				 client_text(point, "provider_id"), "checkpoint_id", id,
				 "parameters", SERVER, "depth", depth);
	json_t *whole = NULL;
	struct err why = {0};
	int rc = start_work(c, "verifications", "verification", body, "verify", ret, &why);

	json_decref(body);
	if (rc == 0) {
		if (remote_waits(c))
			say(c, "verified", point);
		return 0;
	}
	/* Did it fail, or did it find something? */
	if (why.kind == ERR_IO && client_get(c->client, path, "checkpoint", &whole, NULL) == 0 &&
	    json_is_false(json_object_get(whole, "verified_ok")))
		why.kind = ERR_CORRUPT;
	json_decref(whole);
	return err_set(e, why.kind, "checkpoint %.8s: %s", id, why.msg);
}

int remote_checkpoint_verify(struct cli *c, struct err *e)
{
	return remote_open(c, e) < 0 ? -1 : for_each(c, verify_one, e);
}

/* ---- delete ---- */

static int delete_one(struct cli *c, const json_t *point, json_t **ret, struct err *e)
{
	AUTO_FREE char *path = remote_point_path(point);
	json_t *answer = NULL;
	int rc;

	if (client_do(c->client, "DELETE", path, NULL, &answer, e) < 0)
		return -1;
	rc = remote_started(c, answer, "delete", false, e);
	json_decref(answer);
	if (rc < 0)
		return -1;
	if (remote_waits(c))
		say(c, "deleted", point);
	*ret = json_string(client_text(point, "id"));
	return 0;
}

int remote_checkpoint_delete(struct cli *c, struct err *e)
{
	char question[128];

	snprintf(question, sizeof(question), "delete %d checkpoint%s for ever?", c->p.n_args,
		 c->p.n_args == 1 ? "" : "s");
	if (remote_open(c, e) < 0 || cli_confirm(c, question, e) < 0)
		return -1;
	return for_each(c, delete_one, e);
}

/* ---- hold, release ---- */

static int put_hold(struct cli *c, const json_t *point, bool on, json_t **ret, struct err *e)
{
	AUTO_FREE char *path = remote_point_path(point);
	json_t *body = json_pack("{s:{s:b, s:s*}}", "hold", "on", on, "reason",
				 on ? parsed_text(&c->p, "reason") : NULL);
	int rc = client_do(c->client, "PUT", path, body, NULL, e);

	json_decref(body);
	if (rc < 0)
		return -1;
	say(c, on ? "held" : "released", point);
	return client_get(c->client, path, "checkpoint", ret, e);
}

static int hold_one(struct cli *c, const json_t *point, json_t **ret, struct err *e)
{
	return put_hold(c, point, true, ret, e);
}

static int release_one(struct cli *c, const json_t *point, json_t **ret, struct err *e)
{
	return put_hold(c, point, false, ret, e);
}

int remote_checkpoint_hold(struct cli *c, struct err *e)
{
	return remote_open(c, e) < 0 ? -1 : for_each(c, hold_one, e);
}

int remote_checkpoint_release(struct cli *c, struct err *e)
{
	return remote_open(c, e) < 0 ? -1 : for_each(c, release_one, e);
}

/* ---- copy ---- */

static int copy_one(struct cli *c, const json_t *point, json_t **ret, struct err *e)
{
	AUTO_FREE char *provider = NULL;
	AUTO_FREE char *path =
		xasprintf("providers/%s/checkpoints/action", client_text(point, "provider_id"));
	AUTO_FREE char *one = NULL;
	json_t *body, *answer = NULL, *made = NULL, *pair;
	int rc;

	if (remote_find_id(c, remote_kind("provider"), parsed_text(&c->p, "to"), &provider, e) < 0)
		return -1;
	body = json_pack("{s:{s:s, s:{s:s, s:s}}}", "copy", "plan_id",
			 client_text(point, "plan_id"), "parameters", "provider_id", provider,
			 "checkpoint_id", client_text(point, "id"));
	rc = client_do(c->client, "POST", path, body, &answer, e);
	json_decref(body);
	if (rc < 0)
		return -1;
	pair = json_array_get(json_object_get(json_object_get(answer, "copy"), "checkpoint_id"), 0);
	one = xasprintf("providers/%s/checkpoints/%s", provider,
			client_text(pair, "checkpoint_copy_id"));
	json_decref(answer);
	rc = client_get(c->client, one, "checkpoint", &made, e);
	if (rc == 0)
		rc = remote_started(c, made, "copy", true, e);
	json_decref(made);
	if (rc == 0)
		rc = client_get(c->client, one, "checkpoint", ret, e);
	if (rc == 0 && remote_waits(c))
		say(c, "copied: there is", *ret);
	return rc;
}

int remote_checkpoint_copy(struct cli *c, struct err *e)
{
	if (!parsed_text(&c->p, "to"))
		return err_set(e, ERR_INVALID, "--to: name the provider that is to have the copy");
	return remote_open(c, e) < 0 ? -1 : for_each(c, copy_one, e);
}
