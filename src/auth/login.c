/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/account.h"

#include <stdio.h>
#include <string.h>

#include "auth/auth_priv.h"
#include "base/clock.h"

struct session {
	struct auth *a;
	const struct login *l;
	struct identity *id;
	uint64_t expires_us;
	char *token; /* TOKEN_TEXT bytes */
};

static int begin_session(struct db_tx *t, void *arg, struct err *e)
{
	const struct session *s = arg;
	const struct token_new k = {.kind = TOKEN_SESSION,
				    .name = s->l->address ? s->l->address : "login",
				    .user = s->id->user_id,
				    .project = s->l->project,
				    .expires_us = s->expires_us};
	const struct audit_entry x = {.who = s->id,
				      .address = s->l->address,
				      .project = s->l->project,
				      .action = "login",
				      .outcome = "done"};
	char id[AUTH_ID];

	if (tokens_add(t, &k, id, s->token, e) ||
	    db_exec(t, NULL, e, "UPDATE users SET last_login_at = $1 WHERE id = $2",
		    db_i(clock_wall_us()), db_t(s->id->user_id)))
		return -1;
	if (s->l->project && auth_place(t, s->id, s->l->project, true, 0, e))
		return -1;
	if (s->l->project && !s->id->project_id[0])
		return err_set(e, ERR_DENIED, "user %s has no role in project %.70s",
			       s->id->user_name, s->l->project);
	return audit_add(s->a, t, &x, e);
}

static int note_refusal(struct db_tx *t, void *arg, struct err *e)
{
	const struct session *s = arg;
	const struct audit_entry x = {.address = s->l->address,
				      .action = "login",
				      .subject = s->l->name,
				      .outcome = "denied"};

	return audit_add(s->a, t, &x, e);
}

/* What is slowed down is not noted each time: guessing must not fill the log. */
static int refused(struct session *s, const struct err *why, struct err *e)
{
	if (why->kind == ERR_DENIED && !auth_check_name("name", s->l->name, NULL))
		db_write(s->a->db, note_refusal, s, NULL);
	if (e)
		*e = *why;
	return -1;
}

int auth_login(struct auth *a, const struct login *l, char ret_token[TOKEN_TEXT],
	       uint64_t *ret_expires_us, unsigned *ret_retry_s, struct err *e)
{
	AUTO(identity) id = identity_new();
	char token[TOKEN_TEXT];
	struct session s = {a, l, id, clock_wall_us() + a->session_s * 1000000ull, token};
	struct err why = {0};

	if (l->keystone) {
		if (!auth_login_keystone(a, l, ret_token, ret_expires_us, ret_retry_s, &why))
			return 0;
		return refused(&s, &why, e);
	}
	id->how = AUTH_HOW_SESSION;
	if (auth_by_password(a, l->name, l->password, l->address, id, ret_retry_s, &why))
		return refused(&s, &why, e);
	if (db_write(a->db, begin_session, &s, e))
		return -1;
	memcpy(ret_token, token, sizeof(token));
	secret_wipe(token, sizeof(token));
	*ret_expires_us = s.expires_us;
	return 0;
}

/* ---- changing a password ---- */

struct changing {
	struct auth *a;
	const char *user_id, *address;
	char *name;
	char *hash;
};

static int find_name(struct db_tx *t, void *arg, struct err *e)
{
	struct changing *c = arg;
	AUTO(users) u = users_get(t, c->user_id, e);

	if (!u)
		return -1;
	free(c->name);
	c->name = xstrdup(u->v[0].name);
	return 0;
}

static int write_password(struct db_tx *t, void *arg, struct err *e)
{
	const struct changing *c = arg;
	const struct user_change to = {.password_hash = c->hash, .enabled = -1};
	AUTO(identity) who = identity_new();
	const struct audit_entry x = {.who = who,
				      .address = c->address,
				      .action = "user:password",
				      .subject = c->user_id,
				      .outcome = "done"};

	snprintf(who->user_id, sizeof(who->user_id), "%s", c->user_id);
	free(who->user_name);
	who->user_name = xstrdup(c->name);
	return users_change(t, c->user_id, &to, e) || audit_add(c->a, t, &x, e) ? -1 : 0;
}

int auth_change_password(struct auth *a, const char *user_id, const char *old_password,
			 const char *new_password, const char *address, unsigned *ret_retry_s,
			 struct err *e)
{
	AUTO(identity) id = identity_new();
	struct changing c = {.a = a, .user_id = user_id, .address = address};
	int rc = db_read(a->db, find_name, &c, e);

	if (!rc)
		rc = auth_by_password(a, c.name, old_password, address, id, ret_retry_s, e);
	if (!rc) {
		c.hash = passwords_hash(a->passwords, new_password, e);
		rc = c.hash ? db_write(a->db, write_password, &c, e) : -1;
	}
	free(c.name);
	free(c.hash);
	return rc;
}
