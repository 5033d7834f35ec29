/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/account.h"

#include <string.h>

#include "auth/auth_priv.h"
#include "base/clock.h"

#define EMAIL_MAX 320
/* The roles that a user holds everywhere, as bits of enum auth_role. */
#define EVERYWHERE                                                                                 \
	"COALESCE((SELECT SUM(CASE d.role WHEN 'admin' THEN 1 WHEN 'operator' THEN 2 "             \
	"WHEN 'member' THEN 4 WHEN 'viewer' THEN 8 WHEN 'backup-only' THEN 16 "                    \
	"WHEN 'restore-only' THEN 32 ELSE 0 END) FROM (SELECT DISTINCT g.role FROM grants g "      \
	"WHERE g.user_id = u.id AND g.project_id = '*') d), 0)"
#define SELECT                                                                                     \
	"SELECT u.id, u.name, u.email, u.source, u.enabled, u.password IS NOT NULL, "              \
	"u.created_at, u.last_login_at, " EVERYWHERE " FROM users u "

void users_free(struct users *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < u->n; i++) {
		free(u->v[i].name);
		free(u->v[i].email);
		free(u->v[i].source);
	}
	free(u->v);
	free(u);
}

static struct users *read_all(struct db_rows *r, struct err *e)
{
	AUTO(users) u = xcalloc(1, sizeof(*u));
	int rc = r ? db_next(r, e) : -1;

	for (; rc > 0; rc = db_next(r, e)) {
		struct user *x;

		u->v = xreallocarray(u->v, u->n + 1, sizeof(*u->v));
		x = &u->v[u->n++];
		auth_column_id(r, 0, x->id);
		x->name = auth_column(r, 1);
		x->email = auth_column(r, 2);
		x->source = auth_column(r, 3);
		x->enabled = db_int(r, 4) != 0;
		x->has_password = db_int(r, 5) != 0;
		x->created_us = (uint64_t)db_int(r, 6);
		x->last_login_us = auth_column_us(r, 7);
		x->everywhere = (unsigned)db_int(r, 8);
	}
	return rc < 0 ? NULL : steal(&u);
}

char *auth_password_hash(struct auth *a, const char *password, struct err *e)
{
	return passwords_hash(a->passwords, password, e);
}

static int check_free(struct db_tx *t, const char *name, const char *id, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT 1 FROM users WHERE name = $1 AND id <> $2", db_t(name),
		     db_t(id));
	int rc = r ? db_next(r, e) : -1;

	if (rc > 0)
		return err_set(e, ERR_EXISTS, "name: there is a user \"%s\" already", name);
	return rc;
}

/* A colon would end the name in "Authorization: Basic". */
static int check_name(struct db_tx *t, const char *name, const char *id, struct err *e)
{
	if (auth_check_name("name", name, e))
		return -1;
	if (strchr(name, ':'))
		return err_set(e, ERR_INVALID, "name: a user's name cannot have a colon");
	return check_free(t, name, id, e);
}

int users_add(struct db_tx *t, const struct user_new *u, char ret_id[AUTH_ID], struct err *e)
{
	const char *email = u->email ? u->email : "";
	char id[AUTH_ID];

	auth_new_id(id);
	if (check_name(t, u->name, id, e) || auth_check_text("email", email, EMAIL_MAX, e))
		return -1;
	if (db_exec(t, NULL, e,
		    "INSERT INTO users (id, name, email, source, password, enabled, created_at) "
		    "VALUES ($1, $2, $3, 'local', $4, 1, $5)",
		    db_t(id), db_t(u->name), db_t(email), db_t(u->password_hash),
		    db_i(clock_wall_us())) ||
	    auth_changed(t, e))
		return -1;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

struct users *users_get(struct db_tx *t, const char *id, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, SELECT "WHERE u.id = $1", db_t(id));
	AUTO(users) u = read_all(r, e);

	if (u && !u->n) {
		err_set(e, ERR_NOENT, "there is no user %.70s", id);
		return NULL;
	}
	return steal(&u);
}

struct users *users_list(struct db_tx *t, const char *marker, size_t limit, struct err *e)
{
	AUTO(users) at = NULL;
	const char *after = "";

	if (marker) {
		at = users_get(t, marker, e);
		if (!at) {
			err_wrap(e, "marker");
			return NULL;
		}
		after = at->v[0].name;
	}
	AUTO(db_rows)
	r = db_query(t, e, SELECT "WHERE u.name > $1 ORDER BY u.name LIMIT $2", db_t(after),
		     db_i(limit));
	return read_all(r, e);
}

/* What the OpenID provider grants does not count: it may take that back without asking here. */
int auth_keep_admin(struct db_tx *t, bool was_admin, struct err *e)
{
	int rc;

	if (!was_admin)
		return 0;
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT 1 FROM grants g JOIN users u ON u.id = g.user_id "
		     "WHERE g.project_id = '*' AND g.role = 'admin' AND "
		     "u.enabled = 1 LIMIT 1");
	rc = r ? db_next(r, e) : -1;
	if (!rc)
		return err_set(e, ERR_CONFLICT,
			       "this is the last administrator: make another one first");
	return rc < 0 ? -1 : 0;
}

static bool is_admin(const struct user *u)
{
	return u->enabled && (u->everywhere & AUTH_ADMIN);
}

static int end_tokens(struct db_tx *t, const char *user, const char *kind, struct err *e)
{
	return db_exec(t, NULL, e,
		       "UPDATE tokens SET revoked_at = $1 WHERE user_id = $2 AND "
		       "revoked_at IS NULL AND ($3 = '' OR kind = $3)",
		       db_i(clock_wall_us()), db_t(user), db_t(kind));
}

static int check_change(struct db_tx *t, const char *id, const struct user *old,
			const struct user_change *c, struct err *e)
{
	if (strcmp(old->source, "local") != 0 && (c->password_hash || c->name))
		return err_set(e, ERR_INVALID,
			       "%s: the user comes from the OpenID provider, which knows it",
			       c->name ? "name" : "password");
	if (c->name && check_name(t, c->name, id, e))
		return -1;
	return c->email ? auth_check_text("email", c->email, EMAIL_MAX, e) : 0;
}

int users_change(struct db_tx *t, const char *id, const struct user_change *c, struct err *e)
{
	AUTO(users) old = users_get(t, id, e);
	const struct user *u = old ? old->v : NULL;

	if (!u || check_change(t, id, u, c, e))
		return -1;
	if (db_exec(t, NULL, e,
		    "UPDATE users SET name = $1, email = $2, enabled = $3, "
		    "password = COALESCE($4, password) WHERE id = $5",
		    db_t(c->name ? c->name : u->name), db_t(c->email ? c->email : u->email),
		    db_i(c->enabled < 0 ? u->enabled : c->enabled != 0), db_t(c->password_hash),
		    db_t(id)) ||
	    auth_keep_admin(t, is_admin(u), e))
		return -1;
	if (!c->enabled && end_tokens(t, id, "", e))
		return -1;
	if (c->password_hash && end_tokens(t, id, TOKEN_SESSION, e))
		return -1;
	return auth_changed(t, e);
}

int users_remove(struct db_tx *t, const char *id, struct err *e)
{
	AUTO(users) old = users_get(t, id, e);

	if (!old || db_exec(t, NULL, e, "DELETE FROM grants WHERE user_id = $1", db_t(id)) ||
	    db_exec(t, NULL, e, "DELETE FROM tokens WHERE user_id = $1", db_t(id)) ||
	    db_exec(t, NULL, e, "DELETE FROM users WHERE id = $1", db_t(id)) ||
	    auth_keep_admin(t, is_admin(old->v), e))
		return -1;
	return auth_changed(t, e);
}
