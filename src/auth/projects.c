/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/account.h"

#include <string.h>

#include "auth/auth_priv.h"
#include "base/clock.h"

#define COLUMNS "p.id, p.name, p.description, p.quota_class, p.source, p.enabled, p.created_at"
#define DESCRIPTION_MAX 4000

void projects_free(struct projects *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].name);
		free(p->v[i].description);
		free(p->v[i].quota_class);
		free(p->v[i].source);
	}
	free(p->v);
	free(p);
}

/* All that `r` still has. `r` may be NULL: it failed. */
static struct projects *read_all(struct db_rows *r, struct err *e)
{
	AUTO(projects) p = xcalloc(1, sizeof(*p));
	int rc = r ? db_next(r, e) : -1;

	for (; rc > 0; rc = db_next(r, e)) {
		struct project *x;

		p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
		x = &p->v[p->n++];
		auth_column_id(r, 0, x->id);
		x->name = auth_column(r, 1);
		x->description = auth_column(r, 2);
		x->quota_class = auth_column(r, 3);
		x->source = auth_column(r, 4);
		x->enabled = db_int(r, 5) != 0;
		x->created_us = (uint64_t)db_int(r, 6);
	}
	return rc < 0 ? NULL : steal(&p);
}

static bool is_id(const char *id)
{
	size_t n = strlen(id);

	return n == strspn(id, "0123456789abcdefABCDEF-") && (n == 32 || n == 36 || n == 64);
}

/* No other project has this name. */
static int check_free(struct db_tx *t, const char *name, const char *id, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT 1 FROM projects WHERE name = $1 AND id <> $2", db_t(name),
		     db_t(id));
	int rc = r ? db_next(r, e) : -1;

	if (rc > 0)
		return err_set(e, ERR_EXISTS, "name: there is a project \"%s\" already", name);
	return rc;
}

int projects_add(struct db_tx *t, const struct project_new *p, char ret_id[AUTH_ID], struct err *e)
{
	const char *description = p->description ? p->description : "";
	const char *quota_class = p->quota_class ? p->quota_class : "default";
	char id[AUTH_ID];

	if (auth_check_name("name", p->name, e) ||
	    auth_check_text("description", description, DESCRIPTION_MAX, e) ||
	    auth_check_name("quota_class", quota_class, e))
		return -1;
	if (p->id && !is_id(p->id))
		return err_set(e, ERR_INVALID,
			       "id: \"%.70s\" is not 32 hexadecimal digits, nor a UUID", p->id);
	if (p->id)
		memcpy(id, p->id, strlen(p->id) + 1);
	else
		auth_new_id(id);
	if (check_free(t, p->name, id, e))
		return -1;
	if (db_exec(t, NULL, e,
		    "INSERT INTO projects (id, name, description, quota_class, source, enabled, "
		    "created_at) VALUES ($1, $2, $3, $4, $5, 1, $6)",
		    db_t(id), db_t(p->name), db_t(description), db_t(quota_class),
		    db_t(p->source ? p->source : "local"), db_i(clock_wall_us())) ||
	    auth_changed(t, e))
		return -1;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

struct projects *projects_get(struct db_tx *t, const char *id, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT " COLUMNS " FROM projects p WHERE p.id = $1", db_t(id));
	AUTO(projects) p = read_all(r, e);

	if (p && !p->n) {
		err_set(e, ERR_NOENT, "there is no project %.70s", id);
		return NULL;
	}
	return steal(&p);
}

struct projects *projects_list(struct db_tx *t, const char *user, const char *marker, size_t limit,
			       struct err *e)
{
	const char *after = "";
	AUTO(projects) at = NULL;

	if (marker) {
		at = projects_get(t, marker, e);
		if (!at) {
			err_wrap(e, "marker");
			return NULL;
		}
		after = at->v[0].name;
	}
	AUTO(db_rows)
	r = db_query(
		t, e,
		"SELECT " COLUMNS " FROM projects p WHERE p.name > $1 AND ($2 = '' OR EXISTS "
		"(SELECT 1 FROM grants g WHERE g.user_id = $2 AND g.project_id IN (p.id, '*'))) "
		"ORDER BY p.name LIMIT $3",
		db_t(after), db_t(user ? user : ""), db_i(limit));
	return read_all(r, e);
}

int projects_change(struct db_tx *t, const char *id, const struct project_change *c, struct err *e)
{
	AUTO(projects) old = projects_get(t, id, e);
	const struct project *p = old ? old->v : NULL;
	const char *name;

	if (!p)
		return -1;
	name = c->name ? c->name : p->name;
	if ((c->name && (auth_check_name("name", name, e) || check_free(t, name, id, e))) ||
	    (c->description &&
	     auth_check_text("description", c->description, DESCRIPTION_MAX, e)) ||
	    (c->quota_class && auth_check_name("quota_class", c->quota_class, e)))
		return -1;
	if (db_exec(t, NULL, e,
		    "UPDATE projects SET name = $1, description = $2, quota_class = $3, "
		    "enabled = $4 WHERE id = $5",
		    db_t(name), db_t(c->description ? c->description : p->description),
		    db_t(c->quota_class ? c->quota_class : p->quota_class),
		    db_i(c->enabled < 0 ? p->enabled : c->enabled != 0), db_t(id)))
		return -1;
	return auth_changed(t, e);
}

int projects_remove(struct db_tx *t, const char *id, struct err *e)
{
	uint64_t n;

	if (db_exec(t, NULL, e, "DELETE FROM grants WHERE project_id = $1", db_t(id)) ||
	    db_exec(t, NULL, e, "DELETE FROM tokens WHERE project_id = $1", db_t(id)) ||
	    db_exec(t, &n, e, "DELETE FROM projects WHERE id = $1", db_t(id)))
		return -1;
	if (!n)
		return err_set(e, ERR_NOENT, "there is no project %.70s", id);
	return auth_changed(t, e);
}
