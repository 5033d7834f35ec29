/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/account.h"

#include <string.h>

#include "auth/auth_priv.h"

void grants_free(struct grants *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++) {
		free(g->v[i].user_name);
		free(g->v[i].project_name);
	}
	free(g->v);
	free(g);
}

static int check_role(unsigned role, struct err *e)
{
	if (role && !(role & (role - 1)) && (role & AUTH_ROLES_GRANTED))
		return 0;
	return err_set(e, ERR_INVALID,
		       "role: choose one of admin, operator, member, viewer, backup-only and "
		       "restore-only");
}

int grants_add(struct db_tx *t, const char *user, const char *project, unsigned role, struct err *e)
{
	if (check_role(role, e))
		return -1;
	AUTO(users) u = users_get(t, user, e);
	if (!u)
		return -1;
	if (strcmp(project, AUTH_EVERYWHERE) != 0) {
		AUTO(projects) p = projects_get(t, project, e);
		if (!p)
			return -1;
	}
	if (db_exec(t, NULL, e,
		    "INSERT INTO grants (user_id, project_id, role, source) "
		    "VALUES ($1, $2, $3, 'local') ON CONFLICT DO NOTHING",
		    db_t(user), db_t(project), db_t(auth_role_name(role))))
		return -1;
	return auth_changed(t, e);
}

int grants_remove(struct db_tx *t, const char *user, const char *project, unsigned role,
		  struct err *e)
{
	bool admin = role == AUTH_ADMIN && !strcmp(project, AUTH_EVERYWHERE);
	uint64_t n;

	if (check_role(role, e) ||
	    db_exec(t, &n, e,
		    "DELETE FROM grants WHERE user_id = $1 AND project_id = $2 AND role = $3",
		    db_t(user), db_t(project), db_t(auth_role_name(role))))
		return -1;
	if (!n)
		return err_set(e, ERR_NOENT, "user %.70s has not the role %s in project %.70s",
			       user, auth_role_name(role), project);
	if (auth_keep_admin(t, admin, e))
		return -1;
	return auth_changed(t, e);
}

struct grants *grants_list(struct db_tx *t, const char *user, const char *project, struct err *e)
{
	AUTO(grants) g = xcalloc(1, sizeof(*g));
	AUTO(db_rows)
	r = db_query(
		t, e,
		"SELECT DISTINCT g.user_id, g.project_id, g.role, u.name, COALESCE(p.name, '') "
		"FROM grants g JOIN users u ON u.id = g.user_id "
		"LEFT JOIN projects p ON p.id = g.project_id "
		"WHERE ($1 = '' OR g.user_id = $1) AND ($2 = '' OR g.project_id = $2) "
		"ORDER BY 4, 5, 3",
		db_t(user ? user : ""), db_t(project ? project : ""));
	int rc = r ? db_next(r, e) : -1;

	for (; rc > 0; rc = db_next(r, e)) {
		struct grant *x;

		g->v = xreallocarray(g->v, g->n + 1, sizeof(*g->v));
		x = &g->v[g->n++];
		auth_column_id(r, 0, x->user_id);
		auth_column_id(r, 1, x->project_id);
		x->role = auth_role_of(db_text(r, 2));
		x->user_name = auth_column(r, 3);
		x->project_name = auth_column(r, 4);
	}
	return rc < 0 ? NULL : steal(&g);
}
