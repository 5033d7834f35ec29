/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Keystone tells of a token, and what its roles mean here. Source of the format: OpenStack
 * Identity API v3, "Validate and show information for token".
 */
#include "auth/keystone_priv.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "auth/account.h"
#include "base/clock.h"
#include "base/text.h"

#define ROLES_MAX 256
#define MAP_MAX 64
#define PROJECTS_MAX 10000

/* ---- what roles mean ---- */

void role_map_done(struct role_map *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].name);
	free(m->v);
	*m = (struct role_map){0};
}

static int add_meaning(struct role_map *m, char *text, struct err *e)
{
	char *equals = strchr(text, '=');
	bool everywhere;
	char *name;
	char *ours;
	size_t n;
	unsigned role;

	if (!equals)
		return err_set(e, ERR_INVALID, "roles: write \"name = role\" instead of \"%.40s\"",
			       text);
	*equals = 0;
	name = text_trim(text);
	ours = text_trim(equals + 1);
	n = strlen(ours);
	everywhere = n > 2 && !strcmp(ours + n - 2, "@*");
	if (everywhere)
		ours[n - 2] = 0;
	role = auth_role_of(ours);
	if (!*name || !role || role == AUTH_MOVER)
		return err_set(e, ERR_INVALID,
			       "roles: \"%.40s = %.40s\": it has to be one of admin, operator, "
			       "member, viewer, backup-only and restore-only",
			       name, ours);
	if (m->n == MAP_MAX)
		return err_set(e, ERR_LIMIT, "roles: more than %d", MAP_MAX);
	m->v = xreallocarray(m->v, m->n + 1, sizeof(*m->v));
	m->v[m->n].name = xstrdup(name);
	m->v[m->n].here = everywhere ? 0 : role;
	m->v[m->n++].everywhere = everywhere ? role : 0;
	return 0;
}

int role_map_parse(const char *text, struct role_map *ret, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(text);
	struct role_map m = {0};
	char *save = NULL;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		if (add_meaning(&m, p, e)) {
			role_map_done(&m);
			return -1;
		}
	*ret = m;
	return 0;
}

/* Add what a role of that name means. Keystone does not mind case in names. */
static void role_map_add(const struct role_map *m, const char *name, unsigned *here,
			 unsigned *everywhere)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcasecmp(m->v[i].name, name)) {
			*here |= m->v[i].here;
			*everywhere |= m->v[i].everywhere;
		}
}

/* ---- the answer ---- */

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_INVALID, "what Keystone says of a token: %s", what);
}

/* An id that can be a column and a part of a path. */
static int take_id(const json_t *o, char out[AUTH_ID], struct err *e)
{
	const char *id = json_string_value(json_object_get(o, "id"));
	size_t n = id ? strlen(id) : 0;

	if (!n || n >= AUTH_ID ||
	    n != strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"))
		return bad(e, "an id is not one");
	memcpy(out, id, n + 1);
	return 0;
}

static int take_name(const json_t *o, char **ret, struct err *e)
{
	const char *name = json_string_value(json_object_get(o, "name"));

	if (!name || strlen(name) > 255)
		return bad(e, "a name is missing or too long");
	free(*ret);
	*ret = xstrdup(name);
	return 0;
}

static int take_roles(const json_t *token, const struct role_map *m, struct identity *id, bool all,
		      struct err *e)
{
	const json_t *roles = json_object_get(token, "roles");
	unsigned everywhere = 0;
	unsigned here = 0;

	if (!json_is_array(roles) || json_array_size(roles) > ROLES_MAX)
		return bad(e, "there are no roles, or too many");
	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *r = json_array_get(roles, i);
		const char *name = json_string_value(json_object_get(r, "name"));

		if (!name)
			return bad(e, "a role has no name");
		role_map_add(m, name, &here, &everywhere);
	}
	id->everywhere = all ? here | everywhere : everywhere;
	id->roles = here | everywhere;
	id->admin = id->everywhere & AUTH_ADMIN;
	return 0;
}

static int take_scope(const json_t *token, const struct role_map *m, struct identity *id,
		      struct err *e)
{
	const json_t *project = json_object_get(token, "project");
	bool all = json_is_true(json_object_get(json_object_get(token, "system"), "all"));

	if (!project && !all)
		return err_set(e, ERR_DENIED,
			       "the token is for no project: ask Keystone for one "
			       "that is (OS_PROJECT_NAME)");
	if (project &&
	    (take_id(project, id->project_id, e) || take_name(project, &id->project_name, e)))
		return -1;
	return take_roles(token, m, id, all, e);
}

/* `m` NULL: not where. */
static int take_token(const json_t *root, const struct role_map *m, struct identity *id,
		      struct err *e)
{
	const json_t *token = json_object_get(root, "token");
	const json_t *user = json_object_get(token, "user");
	const char *ends = json_string_value(json_object_get(token, "expires_at"));

	if (!json_is_object(token) || !json_is_object(user))
		return bad(e, "there is no token in it, or no user");
	if (!ends || !clock_parse_rfc3339(ends, &id->expires_us) || !id->expires_us)
		return bad(e, "expires_at is not a time");
	if (take_id(user, id->user_id, e) || take_name(user, &id->user_name, e))
		return -1;
	return m ? take_scope(token, m, id, e) : 0;
}

static int parse(const char *json, size_t n, const struct role_map *m, struct identity **ret_id,
		 struct err *e)
{
	AUTO(identity) id = identity_new();
	json_error_t why;
	json_t *root;
	int rc;

	if (n > KEYSTONE_JSON_MAX)
		return err_set(e, ERR_LIMIT, "what Keystone says of a token is too long");
	root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return bad(e, why.text);
	id->how = AUTH_HOW_KEYSTONE;
	id->only = true;
	rc = take_token(root, m, id, e);
	json_decref(root);
	if (!rc)
		*ret_id = steal(&id);
	return rc;
}

int keystone_read_token(const struct keystone *k, const char *json, size_t n,
			struct identity **ret_id, struct err *e)
{
	return parse(json, n, &k->roles, ret_id, e);
}

int keystone_read_user(const char *json, size_t n, struct identity **ret_id, struct err *e)
{
	return parse(json, n, NULL, ret_id, e);
}

static int take_project(const json_t *o, struct projects *p, struct err *e)
{
	struct project *x;

	p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
	x = &p->v[p->n++];
	*x = (struct project){.enabled = true};
	return take_id(o, x->id, e) || take_name(o, &x->name, e) ? -1 : 0;
}

struct projects *keystone_parse_projects(const char *json, size_t n, struct err *e)
{
	AUTO(projects) p = xcalloc(1, sizeof(*p));
	json_error_t why = {0};
	json_t *root =
		n > KEYSTONE_JSON_MAX ? NULL : json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
	const json_t *all = json_object_get(root, "projects");
	int rc = 0;

	if (!json_is_array(all) || json_array_size(all) > PROJECTS_MAX)
		rc = err_set(e, ERR_INVALID, "what Keystone says of projects is no list: %s",
			     why.text);
	for (size_t i = 0; !rc && i < json_array_size(all); i++)
		rc = take_project(json_array_get(all, i), p, e);
	json_decref(root);
	return rc ? NULL : steal(&p);
}

int keystone_parse_token(const char *json, size_t n, const char *role_map, struct identity **ret_id,
			 struct err *e)
{
	struct role_map m;
	int rc;

	if (role_map_parse(role_map ? role_map : KEYSTONE_ROLES, &m, e))
		return -1;
	rc = parse(json, n, &m, ret_id, e);
	role_map_done(&m);
	return rc;
}
