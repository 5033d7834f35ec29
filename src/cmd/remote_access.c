/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: roles of users. Users and tokens themselves are kinds like others. */
#include <stdio.h>
#include <string.h>

#include "cmd/remote.h"

static const struct remote_column grants[] = {
	{"user", "user_name", CELL_TEXT},
	{"role", "role", CELL_TEXT},
	{"project", "project_name", CELL_TEXT},
	{"project id", "project_id", CELL_TEXT},
	{0},
};

int remote_user_grants(struct cli *c, struct err *e)
{
	AUTO_FREE char *id = NULL;
	AUTO_BUF path = BUF_INIT;
	json_t *all = NULL;

	if (remote_open(c, e) < 0 ||
	    (c->p.n_args && remote_find_id(c, remote_kind("user"), c->p.args[0], &id, e) < 0))
		return -1;
	buf_text(&path, "/v1/grants");
	client_query(&path, "user_id", id);
	if (client_get(c->client, buf_str(&path), "grants", &all, e) < 0)
		return -1;
	remote_print(c, grants, all);
	return 0;
}

/* Give a role ("user grant"), or take it away ("user revoke"). */
int remote_user_grant(struct cli *c, struct err *e)
{
	bool gives = strcmp(strrchr(c->p.command->name, ' ') + 1, "grant") == 0;
	AUTO_FREE char *id = NULL;
	const char *project;
	json_t *body;
	int rc;

	if (remote_open(c, e) < 0 ||
	    remote_find_id(c, remote_kind("user"), c->p.args[0], &id, e) < 0)
		return -1;
	project = parsed_flag(&c->p, "everywhere") ? "*" : client_project(c->client);
	body = json_pack("{s:{s:s, s:s, s:s}}", "grant", "user_id", id, "project_id", project,
			 "role", c->p.args[1]);
	rc = client_do(c->client, gives ? "POST" : "DELETE", "/v1/grants", body, NULL, e);
	if (rc == 0 && c->json)
		cli_json(json_incref(json_object_get(body, "grant")));
	else if (rc == 0)
		printf("%s: %s %s\n", c->p.args[0], gives ? "is now" : "is no longer",
		       c->p.args[1]);
	json_decref(body);
	return rc;
}
