/* SPDX-License-Identifier: Apache-2.0 */
/* /identity/password, /tokens, /users, /projects, /grants, /audit: who may come in, and what was
 * done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "auth/account.h"
#include "auth/audit.h"
#include "base/clock.h"

#define PAGE 1000

/* Roles by name in the field; 0 where it is not there. */
static unsigned take_roles(struct input *in, const char *name)
{
	json_t *a = input_json(in, name, OPTIONAL, JSON_ARRAY, 8), *v;
	unsigned roles = 0, role;
	size_t i;

	json_array_foreach(a, i, v)
	{
		role = json_is_string(v) ? auth_role_of(json_string_value(v)) : 0;
		if (!(role & AUTH_ROLES_GRANTED)) {
			input_wrong(in, name,
				    "Roles are admin, operator, member, viewer, backup-only and "
				    "restore-only.");
			return 0;
		}
		roles |= role;
	}
	return roles;
}

/* Where a list goes on, and how long it is. */
static int take_page(struct api_call *c, const char **ret_marker, size_t *ret_limit, struct err *e)
{
	const char *limit = httpd_query(c->http, "limit");
	char *end;
	long n = limit ? strtol(limit, &end, 10) : PAGE;

	*ret_marker = httpd_query(c->http, "marker");
	if (limit && (*end || end == limit || n < 1))
		return err_set(e, ERR_INVALID, "limit '%.40s': limit param must be positive",
			       limit);
	*ret_limit = n < PAGE ? (size_t)n : PAGE;
	return 0;
}

/* ---- passwords ---- */

static int change_password(struct api_call *c, struct err *e)
{
	const char *old_password, *new_password;
	struct input in;
	unsigned retry;

	api_input(c, "password", &in);
	old_password = input_text(&in, "old", REQUIRED, 1024);
	new_password = input_text(&in, "new", REQUIRED, 1024);
	if (input_done(&in, e) < 0)
		return -1;
	if (auth_change_password(c->core->auth, c->who->user_id, old_password, new_password,
				 httpd_address(c->http), &retry, e) == 0)
		return 0;
	c->status = e->kind == ERR_BUSY ? 429 : 0;
	return -1;
}

/* ---- tokens ---- */

static json_t *token_json(const struct token *k)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "id", k->id, "user_id",
			 k->user_id, "project_id", k->project_id, "name", k->name, "kind", k->kind,
			 "roles", api_roles(k->roles), "created_at", json_time(k->created_us),
			 "expires_at", json_time(k->expires_us), "last_used_at",
			 json_time(k->last_used_us));
}

static int list_tokens(struct api_call *c, struct err *e)
{
	AUTO(tokens) k = NULL;
	json_t *a = json_array();
	const char *marker;
	size_t limit = 0;

	if (take_page(c, &marker, &limit, e) == 0)
		k = tokens_list(c->t, c->who->user_id, TOKEN_API, marker, limit, e);
	for (size_t i = 0; k && i < k->n; i++)
		json_array_append_new(a, token_json(&k->v[i]));
	api_reply(c, 200, "tokens", a);
	return k ? 0 : -1;
}

#define DAY_US UINT64_C(86400000000)
#define TOKEN_DAYS_MAX 3650

static int create_token(struct api_call *c, struct err *e)
{
	struct token_new k = {.kind = TOKEN_API, .user = c->who->user_id};
	char id[AUTH_ID], text[TOKEN_TEXT];
	struct input in;
	int64_t days;
	json_t *v;

	api_input(c, "token", &in);
	k.name = input_name(&in, "name", REQUIRED);
	k.project = input_text(&in, "project_id", OPTIONAL, 64);
	k.roles = take_roles(&in, "roles");
	days = input_number(&in, "days", OPTIONAL, 1, TOKEN_DAYS_MAX, 0);
	if (days)
		k.expires_us = clock_wall_us() + (uint64_t)days * DAY_US;
	if (input_done(&in, e) < 0 || tokens_add(c->t, &k, id, text, e) < 0)
		return -1;
	v = json_pack("{s:s, s:s, s:s, s:o}", "id", id, "name", k.name, "token", text, "expires_at",
		      json_time(k.expires_us));
	secret_wipe(text, sizeof(text));
	httpd_set_header(c->http, "Cache-Control", "no-store");
	api_reply(c, 201, "token", v);
	return 0;
}

static int delete_token(struct api_call *c, struct err *e)
{
	AUTO(tokens) k = tokens_get(c->t, httpd_part(c->http, "token_id"), e);

	if (!k)
		return -1;
	if (!c->who->admin && strcmp(k->v[0].user_id, c->who->user_id) != 0)
		return err_set(e, ERR_NOENT, "There is no token '%s'.", k->v[0].id);
	return tokens_revoke(c->t, k->v[0].id, e);
}

/* ---- users ---- */

static json_t *user_json(const struct user *u)
{
	return json_pack("{s:s, s:s, s:s?, s:s, s:b, s:b, s:o, s:o, s:o}", "id", u->id, "name",
			 u->name, "email", u->email, "source", u->source, "enabled", u->enabled,
			 "has_password", u->has_password, "everywhere", api_roles(u->everywhere),
			 "created_at", json_time(u->created_us), "last_login_at",
			 json_time(u->last_login_us));
}

static int list_users(struct api_call *c, struct err *e)
{
	AUTO(users) u = NULL;
	json_t *a = json_array();
	const char *marker;
	size_t limit = 0;

	if (take_page(c, &marker, &limit, e) == 0)
		u = users_list(c->t, marker, limit, e);
	for (size_t i = 0; u && i < u->n; i++)
		json_array_append_new(a, user_json(&u->v[i]));
	api_reply(c, 200, "users", a);
	return u ? 0 : -1;
}

static int reply_user(struct api_call *c, const char *id, int status, struct err *e)
{
	AUTO(users) u = users_get(c->t, id, e);

	if (u)
		api_reply(c, status, "user", user_json(&u->v[0]));
	return u ? 0 : -1;
}

static int show_user(struct api_call *c, struct err *e)
{
	return reply_user(c, httpd_part(c->http, "user_id"), 200, e);
}

/* A password is hashed outside of the transaction that stores it. */
struct storing {
	struct api_call *call;
	struct user_new add;
	struct user_change change;
	const char *id; /* NULL: add */
};

static int store_user(struct db_tx *t, void *arg, struct err *e)
{
	struct storing *s = arg;
	struct api_call *c = s->call;
	char id[AUTH_ID];
	int rc;

	c->t = t;
	if (s->id)
		rc = users_change(t, s->id, &s->change, e) || reply_user(c, s->id, 200, e);
	else
		rc = users_add(t, &s->add, id, e) || reply_user(c, id, 201, e);
	return rc ? -1 : api_audit(c, c->route, e);
}

static int put_user(struct api_call *c, const char *id, struct err *e)
{
	struct storing s = {.call = c, .id = id, .change.enabled = -1};
	AUTO_FREE char *hash = NULL;
	const char *password;
	struct input in;
	int rc;

	api_input(c, "user", &in);
	s.add.name = s.change.name = input_name(&in, "name", id ? OPTIONAL : REQUIRED);
	s.add.email = s.change.email = input_text(&in, "email", OPTIONAL, 255);
	password = input_text(&in, "password", OPTIONAL, 1024);
	if (id && input_has(&in, "enabled"))
		s.change.enabled = input_flag(&in, "enabled", true);
	if (input_done(&in, e) < 0)
		return -1;
	if (password) {
		hash = auth_password_hash(c->core->auth, password, e);
		if (!hash)
			return -1;
		s.add.password_hash = s.change.password_hash = hash;
	}
	rc = db_write(c->core->db, store_user, &s, e);
	c->t = NULL;
	return rc;
}

static int create_user(struct api_call *c, struct err *e)
{
	return put_user(c, NULL, e);
}

static int update_user(struct api_call *c, struct err *e)
{
	return put_user(c, httpd_part(c->http, "user_id"), e);
}

static int delete_user(struct api_call *c, struct err *e)
{
	return users_remove(c->t, httpd_part(c->http, "user_id"), e);
}

/* ---- projects ---- */

static json_t *project_json(const struct project *p)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "id", p->id, "name", p->name,
			 "description", p->description, "quota_class", p->quota_class, "source",
			 p->source, "enabled", p->enabled, "created_at", json_time(p->created_us));
}

static int list_projects(struct api_call *c, struct err *e)
{
	AUTO(projects) p = NULL;
	json_t *a = json_array();
	const char *marker;
	size_t limit = 0;

	if (take_page(c, &marker, &limit, e) == 0)
		p = projects_list(c->t, NULL, marker, limit, e);
	for (size_t i = 0; p && i < p->n; i++)
		json_array_append_new(a, project_json(&p->v[i]));
	api_reply(c, 200, "projects", a);
	return p ? 0 : -1;
}

static int reply_project(struct api_call *c, const char *id, int status, struct err *e)
{
	AUTO(projects) p = projects_get(c->t, id, e);

	if (p)
		api_reply(c, status, "project", project_json(&p->v[0]));
	return p ? 0 : -1;
}

static int show_project(struct api_call *c, struct err *e)
{
	return reply_project(c, httpd_part(c->http, "id"), 200, e);
}

static int create_project(struct api_call *c, struct err *e)
{
	struct project_new p = {0};
	char id[AUTH_ID];
	struct input in;

	api_input(c, "project", &in);
	p.name = input_name(&in, "name", REQUIRED);
	p.description = input_text(&in, "description", OPTIONAL, 255);
	p.quota_class = input_text(&in, "quota_class", OPTIONAL, 255);
	if (!p.description)
		p.description = "";
	if (input_done(&in, e) < 0 || projects_add(c->t, &p, id, e) < 0)
		return -1;
	return reply_project(c, id, 201, e);
}

static int update_project(struct api_call *c, struct err *e)
{
	const char *id = httpd_part(c->http, "id");
	struct project_change p = {.enabled = -1};
	struct input in;

	api_input(c, "project", &in);
	p.name = input_name(&in, "name", OPTIONAL);
	p.description = input_text(&in, "description", OPTIONAL, 255);
	p.quota_class = input_text(&in, "quota_class", OPTIONAL, 255);
	if (input_has(&in, "enabled"))
		p.enabled = input_flag(&in, "enabled", true);
	if (input_done(&in, e) < 0 || projects_change(c->t, id, &p, e) < 0)
		return -1;
	return reply_project(c, id, 200, e);
}

/* What still belongs to a project would be nobody's. */
static int delete_project(struct api_call *c, struct err *e)
{
	static const char *const tables[] = {"plans", "checkpoints", "targets", "platforms"};
	const char *id = httpd_part(c->http, "id");

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		AUTO_FREE char *sql = xasprintf(
			"SELECT 1 FROM %s WHERE project_id = $1%s LIMIT 1", tables[i],
			strcmp(tables[i], "checkpoints") == 0 ? " AND status <> 'deleted'" : "");
		AUTO(db_rows) r = db_query(c->t, e, sql, db_t(id));
		int have = r ? db_next(r, e) : -1;

		if (have > 0)
			return err_set(e, ERR_BUSY, "Project '%s' still has %s: remove them first.",
				       id, tables[i]);
		if (have < 0)
			return -1;
	}
	return projects_remove(c->t, id, e);
}

/* ---- grants ---- */

static int list_grants(struct api_call *c, struct err *e)
{
	AUTO(grants)
	g = grants_list(c->t, httpd_query(c->http, "user_id"), httpd_query(c->http, "project_id"),
			e);
	json_t *a = json_array();

	for (size_t i = 0; g && i < g->n; i++)
		json_array_append_new(a, json_pack("{s:s, s:s?, s:s, s:s?, s:s}", "user_id",
						   g->v[i].user_id, "user_name", g->v[i].user_name,
						   "project_id", g->v[i].project_id, "project_name",
						   g->v[i].project_name, "role",
						   auth_role_name(g->v[i].role)));
	api_reply(c, 200, "grants", a);
	return g ? 0 : -1;
}

static int change_grant(struct api_call *c,
			int (*fn)(struct db_tx *t, const char *user, const char *project,
				  unsigned role, struct err *e),
			struct err *e)
{
	const char *user, *project, *role;
	struct input in;

	api_input(c, "grant", &in);
	user = input_text(&in, "user_id", REQUIRED, 64);
	project = input_text(&in, "project_id", REQUIRED, 64);
	role = input_text(&in, "role", REQUIRED, 64);
	if (role && !(auth_role_of(role) & AUTH_ROLES_GRANTED))
		input_wrong(&in, "role", "There is no such role.");
	if (input_done(&in, e) < 0)
		return -1;
	/* What is granted everywhere, or in a project that is not one's own, is an administrator's
	 * to give. */
	if (!c->who->admin && strcmp(project, c->who->project_id) != 0)
		return err_set(e, ERR_DENIED, "Only an administrator grants roles in '%s'.",
			       project);
	return fn(c->t, user, project, auth_role_of(role), e);
}

static int add_grant(struct api_call *c, struct err *e)
{
	return change_grant(c, grants_add, e);
}

static int remove_grant(struct api_call *c, struct err *e)
{
	return change_grant(c, grants_remove, e);
}

/* ---- audit ---- */

static int list_audit(struct api_call *c, struct err *e)
{
	struct audit_filter f = {.project = api_visible(c),
				 .user_id = httpd_query(c->http, "user_id"),
				 .outcome = httpd_query(c->http, "outcome"),
				 .action = httpd_query(c->http, "action"),
				 .subject = httpd_query(c->http, "subject")};
	AUTO(audit_lines) l = NULL;
	json_t *a = json_array();

	if (take_page(c, &f.marker, &f.limit, e) == 0)
		l = audit_list(c->t, &f, e);
	for (size_t i = 0; l && i < l->n; i++) {
		const struct audit_line *v = &l->v[i];

		json_array_append_new(
			a,
			json_pack("{s:s, s:I, s:o, s:s?, s:s?, s:s?, s:s?, s:s, s:s?, s:s, s:s?, "
				  "s:s}",
				  "id", v->id, "seq", (json_int_t)v->seq, "at", json_time(v->at_us),
				  "project_id", v->project_id, "user_id", v->user_id, "user_name",
				  v->user_name, "address", v->address, "action", v->action,
				  "subject", v->subject, "outcome", v->outcome, "detail", v->detail,
				  "hash", v->hash));
	}
	api_reply(c, 200, "audit", a);
	return l ? 0 : -1;
}

static int verify_audit(struct api_call *c, struct err *e)
{
	struct audit_check k;

	if (audit_verify(c->core->auth, &k, e) < 0)
		return -1;
	api_reply(c, 200, "audit",
		  json_pack("{s:b, s:I, s:I, s:I, s:s, s:s}", "whole", k.broken == 0, "lines",
			    (json_int_t)k.lines, "waiting", (json_int_t)k.waiting, "broken",
			    (json_int_t)k.broken, "why", k.why, "head", k.head));
	return 0;
}

static const struct api_route routes[] = {
	{"POST", "/v1/identity/password", API_SELF, change_password, API_OUTSIDE},
	{"GET", "/v1/tokens", API_SELF, list_tokens, 0},
	{"POST", "/v1/tokens", API_SELF, create_token, API_WRITES},
	{"DELETE", "/v1/tokens/{token_id}", API_SELF, delete_token, API_WRITES},
	{"GET", "/v1/users", "user:get", list_users, 0},
	{"POST", "/v1/users", "user:create", create_user, API_WRITES | API_OUTSIDE},
	{"GET", "/v1/users/{user_id}", "user:get", show_user, 0},
	{"PUT", "/v1/users/{user_id}", "user:update", update_user, API_WRITES | API_OUTSIDE},
	{"DELETE", "/v1/users/{user_id}", "user:delete", delete_user, API_WRITES},
	{"GET", "/v1/projects", "project:get_all", list_projects, 0},
	{"POST", "/v1/projects", "project:create", create_project, API_WRITES},
	{"GET", "/v1/projects/{id}", "project:get_all", show_project, 0},
	{"PUT", "/v1/projects/{id}", "project:update", update_project, API_WRITES},
	{"DELETE", "/v1/projects/{id}", "project:delete", delete_project, API_WRITES},
	{"GET", "/v1/grants", "user:get", list_grants, 0},
	{"POST", "/v1/grants", "user:update", add_grant, API_WRITES},
	{"DELETE", "/v1/grants", "user:update", remove_grant, API_WRITES},
	{"GET", "/v1/{project_id}/audit", "audit:get", list_audit, 0},
	{"POST", "/v1/audit/verify", "audit:verify", verify_audit, API_OUTSIDE},
};
const struct api_resource api_access = {routes, ARRAY_LEN(routes)};
