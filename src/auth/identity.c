/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/identity.h"

#include <stdio.h>
#include <string.h>

static const struct {
	enum auth_role role;
	const char *name;
} roles[] = {
	{AUTH_ADMIN, "admin"},	 {AUTH_OPERATOR, "operator"},  {AUTH_MEMBER, "member"},
	{AUTH_VIEWER, "viewer"}, {AUTH_BACKUP, "backup-only"}, {AUTH_RESTORE, "restore-only"},
	{AUTH_MOVER, "mover"},
};

const char *auth_role_name(enum auth_role r)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (roles[i].role == r)
			return roles[i].name;
	return "?";
}

unsigned auth_role_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (!strcmp(roles[i].name, name))
			return roles[i].role;
	return 0;
}

char *auth_roles_text(unsigned set, char *out)
{
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (set & roles[i].role)
			n += (size_t)snprintf(out + n, AUTH_ROLES_TEXT - n, "%s%s", n ? ", " : "",
					      roles[i].name);
	return out;
}

const char *auth_how_name(enum auth_how how)
{
	static const char *const names[] = {
		[AUTH_HOW_TOKEN] = "token",	  [AUTH_HOW_SESSION] = "session",
		[AUTH_HOW_PASSWORD] = "password", [AUTH_HOW_MOVER] = "mover",
		[AUTH_HOW_KEYSTONE] = "keystone", [AUTH_HOW_OIDC] = "oidc",
	};

	return (size_t)how < ARRAY_LEN(names) ? names[how] : "?";
}

struct identity *identity_new(void)
{
	struct identity *id = xcalloc(1, sizeof(*id));

	id->user_name = xstrdup("");
	id->project_name = xstrdup("");
	id->refs = 1;
	return id;
}

struct identity *identity_ref(struct identity *id)
{
	id->refs++;
	return id;
}

void identity_free(struct identity *id)
{
	if (!id || --id->refs)
		return;
	free(id->user_name);
	free(id->project_name);
	free(id);
}
