/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/account.h"

#include <stdio.h>
#include <string.h>

#include "auth/auth_priv.h"
#include "base/clock.h"
#include "base/uuid.h"

#define COLUMNS "id, user_id, project_id, name, kind, roles, created_at, expires_at, last_used_at"
#define DIGITS 43 /* 62^43 > 2^256 */

void tokens_free(struct tokens *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++) {
		free(k->v[i].name);
		free(k->v[i].kind);
	}
	free(k->v);
	free(k);
}

static struct tokens *read_all(struct db_rows *r, struct err *e)
{
	AUTO(tokens) k = xcalloc(1, sizeof(*k));
	int rc = r ? db_next(r, e) : -1;

	for (; rc > 0; rc = db_next(r, e)) {
		struct token *x;

		k->v = xreallocarray(k->v, k->n + 1, sizeof(*k->v));
		x = &k->v[k->n++];
		auth_column_id(r, 0, x->id);
		auth_column_id(r, 1, x->user_id);
		auth_column_id(r, 2, x->project_id);
		x->name = auth_column(r, 3);
		x->kind = auth_column(r, 4);
		x->roles = (unsigned)db_int(r, 5);
		x->created_us = (uint64_t)db_int(r, 6);
		x->expires_us = auth_column_us(r, 7);
		x->last_used_us = auth_column_us(r, 8);
	}
	return rc < 0 ? NULL : steal(&k);
}

void auth_token_hash(const char *text, uint8_t out[HASH_BYTES])
{
	sha256(text, strlen(text), out);
}

void auth_random_text(char *out, size_t n)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (size_t i = 0; i < n;) {
		uint8_t b;

		random_bytes(&b, 1);
		/* 248 is the largest multiple of 62: each digit is as likely as any other. */
		if (b < 248)
			out[i++] = digits[b % 62];
	}
	out[n] = 0;
}

static void make_text(const char *kind, char out[TOKEN_TEXT])
{
	int n = snprintf(out, TOKEN_TEXT, "%s",
			 !strcmp(kind, TOKEN_SESSION) || !strcmp(kind, TOKEN_KEYSTONE) ? "hfs_"
			 : !strcmp(kind, TOKEN_MOVER)				       ? "hfm_"
			 : !strcmp(kind, TOKEN_JOIN)				       ? "hfj_"
										       : "hf_");

	auth_random_text(out + n, DIGITS);
}

static int check_owner(struct db_tx *t, const struct token_new *k, struct err *e)
{
	if (strcmp(k->kind, TOKEN_MOVER) != 0 && strcmp(k->kind, TOKEN_KEYSTONE) != 0) {
		AUTO(users) u = users_get(t, k->user, e);

		if (!u)
			return -1;
		if (!u->v[0].enabled)
			return err_set(e, ERR_CONFLICT, "user %s is disabled", u->v[0].name);
	}
	if (k->project) {
		AUTO(projects) p = projects_get(t, k->project, e);

		if (!p)
			return err_wrap(e, "project_id");
	}
	return 0;
}

/* Not more than who asks has by the token that was presented. */
static int check_by(const struct token_new *k, unsigned *roles, const char **project, struct err *e)
{
	const struct identity *by = k->by;

	if (!by)
		return 0;
	if (by->only && *project && strcmp(*project, by->project_id) != 0)
		return err_set(e, ERR_DENIED,
			       "project_id: your token is for project %s only, and cannot make one "
			       "for another",
			       by->project_id);
	if (by->only)
		*project = by->project_id;
	if (by->most && (*roles & ~by->most))
		return err_set(e, ERR_DENIED,
			       "roles: your token has not all of these roles itself");
	if (by->most && !*roles)
		*roles = by->most;
	return 0;
}

int tokens_add(struct db_tx *t, const struct token_new *k, char ret_id[AUTH_ID],
	       char ret_text[TOKEN_TEXT], struct err *e)
{
	const char *project = k->project;
	uint64_t now = clock_wall_us();
	unsigned roles = k->roles;
	uint8_t hash[HASH_BYTES];
	char text[TOKEN_TEXT];
	char id[AUTH_ID];

	if (auth_check_name("name", k->name, e) || check_owner(t, k, e) ||
	    check_by(k, &roles, &project, e))
		return -1;
	if (roles & ~AUTH_ROLES_GRANTED)
		return err_set(e, ERR_INVALID, "roles: not such a role");
	if (k->expires_us && k->expires_us <= now)
		return err_set(e, ERR_INVALID, "expires_at: this is in the past");
	auth_new_id(id);
	make_text(k->kind, text);
	auth_token_hash(text, hash);
	if (db_exec(t, NULL, e,
		    "INSERT INTO tokens (id, hash, user_id, project_id, roles, name, kind, "
		    "created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		    db_t(id), db_b(hash, sizeof(hash)), db_t(k->user), db_t(project), db_i(roles),
		    db_t(k->name), db_t(k->kind), db_i(now), auth_us_or_null(k->expires_us)))
		return -1;
	memcpy(ret_id, id, sizeof(id));
	memcpy(ret_text, text, sizeof(text));
	secret_wipe(text, sizeof(text));
	return 0;
}

struct tokens *tokens_get(struct db_tx *t, const char *id, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT " COLUMNS " FROM tokens WHERE id = $1 AND revoked_at IS NULL",
		     db_t(id));
	AUTO(tokens) k = read_all(r, e);

	if (k && !k->n) {
		err_set(e, ERR_NOENT, "there is no token %.70s", id);
		return NULL;
	}
	return steal(&k);
}

struct tokens *tokens_list(struct db_tx *t, const char *user, const char *kind, const char *marker,
			   size_t limit, struct err *e)
{
	uint64_t before = INT64_MAX;
	AUTO(tokens) at = NULL;

	if (marker) {
		at = tokens_get(t, marker, e);
		if (!at) {
			err_wrap(e, "marker");
			return NULL;
		}
		before = at->v[0].created_us;
	}
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT " COLUMNS " FROM tokens WHERE revoked_at IS NULL AND "
		     "(created_at < $1 OR (created_at = $1 AND id < $2)) AND "
		     "($3 = '' OR user_id = $3) AND ($4 = '' OR kind = $4) "
		     "ORDER BY created_at DESC, id DESC LIMIT $5",
		     db_i(before), db_t(marker ? marker : ""), db_t(user ? user : ""),
		     db_t(kind ? kind : ""), db_i(limit));
	return read_all(r, e);
}

int tokens_revoke(struct db_tx *t, const char *id, struct err *e)
{
	uint64_t n;

	if (db_exec(t, &n, e,
		    "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
		    db_i(clock_wall_us()), db_t(id)))
		return -1;
	if (!n)
		return err_set(e, ERR_NOENT, "there is no token %.70s", id);
	return auth_changed(t, e);
}

int tokens_revoke_all(struct db_tx *t, const char *user, struct err *e)
{
	if (db_exec(t, NULL, e,
		    "UPDATE tokens SET revoked_at = $1 WHERE user_id = $2 AND revoked_at IS NULL",
		    db_i(clock_wall_us()), db_t(user)))
		return -1;
	return auth_changed(t, e);
}

int tokens_use_up(struct db_tx *t, const char *text, char ret_id[AUTH_ID], struct err *e)
{
	uint64_t now = clock_wall_us();
	uint8_t hash[HASH_BYTES];
	int rc;

	auth_token_hash(text, hash);
	AUTO(db_rows)
	r = db_query(t, e,
		     "UPDATE tokens SET revoked_at = $1, last_used_at = $1 "
		     "WHERE hash = $2 AND kind = 'join' AND revoked_at IS NULL AND "
		     "(expires_at IS NULL OR expires_at > $1) RETURNING id",
		     db_i(now), db_b(hash, sizeof(hash)));
	rc = r ? db_next(r, e) : -1;
	if (!rc)
		return err_set(e, ERR_DENIED,
			       "this token lets nobody register: it was used, has expired, or was "
			       "never made; make a new one");
	if (rc > 0)
		auth_column_id(r, 0, ret_id);
	return rc < 0 ? -1 : 0;
}
