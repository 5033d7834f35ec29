/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities that somebody else vouches for. Their projects get a row of their own when they are
 * first seen, so that everything else here has something to point to.
 */
#include "auth/auth_priv.h"

#include <string.h>

#include "auth/keystone.h"
#include "base/clock.h"

#define SOURCE "keystone"

struct seen {
	struct identity *id;
	bool there, enabled;
};

static int look(struct db_tx *t, void *arg, struct err *e)
{
	struct seen *s = arg;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT enabled FROM projects WHERE id = $1", db_t(s->id->project_id));
	int rc = r ? db_next(r, e) : -1;

	s->there = rc > 0;
	s->enabled = rc > 0 && db_int(r, 0);
	return rc < 0 ? -1 : 0;
}

/* Two domains may have projects of one name; here names are unique. */
static int add(struct db_tx *t, void *arg, struct err *e)
{
	struct seen *s = arg;
	struct project_new p = {.id = s->id->project_id, .source = SOURCE};
	AUTO_FREE char *longer = NULL;
	char id[AUTH_ID];

	if (look(t, s, e))
		return -1;
	if (s->there)
		return 0;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT 1 FROM projects WHERE name = $1", db_t(s->id->project_name));
	int rc = r ? db_next(r, e) : -1;
	if (rc < 0)
		return -1;
	p.name = s->id->project_name;
	if (rc || auth_check_name("name", p.name, NULL))
		p.name = longer = xasprintf("%.100s %s", rc ? p.name : SOURCE, p.id);
	s->enabled = true;
	return projects_add(t, &p, id, e);
}

/* The project of the identity: made here when it is new, left out of the identity when it is
 * disabled here. */
static int settle_project(struct auth *a, struct identity *id, struct err *e)
{
	struct seen s = {.id = id};

	if (!id->project_id[0])
		return 0;
	if (db_read(a->db, look, &s, e) || (!s.there && db_write(a->db, add, &s, e)))
		return -1;
	if (!s.enabled) {
		id->project_id[0] = 0;
		id->roles = id->everywhere;
	}
	return 0;
}

/* A copy: what Keystone's cache has is shared, and read-only. */
static struct identity *copy(const struct identity *from)
{
	struct identity *id = identity_new();
	unsigned refs = id->refs;

	free(id->user_name);
	free(id->project_name);
	*id = *from;
	id->refs = refs;
	id->user_name = xstrdup(from->user_name);
	id->project_name = xstrdup(from->project_name);
	return id;
}

int auth_by_keystone(struct auth *a, const char *token, struct identity **ret_id, struct err *e)
{
	AUTO(identity) known = NULL;
	AUTO(identity) id = NULL;

	if (keystone_validate(a->keystone, token, &known, e))
		return -1;
	id = copy(known);
	if (settle_project(a, id, e))
		return -1;
	*ret_id = steal(&id);
	return 0;
}

/* ---- sessions of Keystone's users ---- */

/* Secrets are text here, and end with a NUL for those who take them as such. */
static char *text_of(const struct secret *s)
{
	return xstrndup((const char *)s->data, s->len);
}

static void text_done(char *text)
{
	secret_wipe(text, strlen(text));
	free(text);
}

static int in_project(struct auth *a, const char *token, const char *project, const char *home,
		      struct identity **ret_id, struct err *e)
{
	struct err why = {0};

	if (project && strcmp(project, home) != 0) {
		if (!keystone_in_project(a->keystone, token, project, ret_id, &why))
			return 0;
		if (why.kind != ERR_DENIED) {
			if (e)
				*e = why;
			return -1;
		}
	}
	return keystone_in_project(a->keystone, token, home, ret_id, e);
}

int auth_by_door(struct auth *a, const struct secret *door, const char *project, const char *home,
		 const struct identity *session, struct identity **ret_id, struct err *e)
{
	AUTO(identity) known = NULL;
	AUTO(identity) id = NULL;
	char *token;
	int rc;

	if (!a->keystone_login)
		return err_set(e, ERR_DENIED, "Keystone's users cannot log in here any more");
	token = text_of(door);
	rc = in_project(a, token, project, home, &known, e);
	text_done(token);
	if (rc)
		return -1;
	id = copy(known);
	id->how = AUTH_HOW_SESSION;
	id->only = false; /* it may go to another project, and is somebody else there */
	id->expires_us = MIN(id->expires_us, session->expires_us);
	memcpy(id->token_id, session->token_id, sizeof(id->token_id));
	if (settle_project(a, id, e))
		return -1;
	*ret_id = steal(&id);
	return 0;
}

struct opening {
	struct auth *a;
	const struct login *l;
	struct secret *door;
	struct identity *id;
	uint64_t expires_us;
	char *token; /* of the session */
};

static int begin_session(struct db_tx *t, void *arg, struct err *e)
{
	const struct opening *o = arg;
	const struct token_new k = {.kind = TOKEN_KEYSTONE,
				    .name = o->l->address ? o->l->address : "login",
				    .user = o->id->user_id,
				    .project = o->id->project_id,
				    .expires_us = o->expires_us};
	const struct audit_entry x = {.who = o->id,
				      .address = o->l->address,
				      .project = o->id->project_id,
				      .action = "login",
				      .outcome = "done",
				      .detail = "Keystone"};
	char id[AUTH_ID];

	if (tokens_add(t, &k, id, o->token, e) ||
	    sealed_set(o->a, t, "tokens", id, AUTH_DOOR, o->door, e))
		return -1;
	return audit_add(o->a, t, &x, e);
}

static int ask_keystone(void *arg, struct err *e)
{
	struct opening *o = arg;
	const struct keystone_person p = {.name = o->l->name,
					  .password = o->l->password,
					  .domain = o->l->domain,
					  .project = o->l->project};
	AUTO(identity) known = NULL;

	if (keystone_login(o->a->keystone, &p, &o->door, &known, e))
		return -1;
	o->id = copy(known);
	return 0;
}

/* Its project has a row here before the session points to it. */
static int open_session(struct opening *o, struct err *e)
{
	char home[AUTH_ID];

	memcpy(home, o->id->project_id, sizeof(home));
	if (settle_project(o->a, o->id, e))
		return -1;
	if (!o->id->project_id[0])
		return err_set(e, ERR_DENIED, "project %.70s is disabled here", home);
	o->expires_us = MIN(o->id->expires_us, clock_wall_us() + o->a->session_s * 1000000ull);
	return db_write(o->a->db, begin_session, o, e);
}

int auth_login_keystone(struct auth *a, const struct login *l, char *ret_token,
			uint64_t *ret_expires_us, unsigned *ret_retry_s, struct err *e)
{
	char token[TOKEN_TEXT];
	struct opening o = {.a = a, .l = l, .token = token};
	AUTO_FREE char *whom = xasprintf("%s@%s", l->name, l->domain ? l->domain : "Default");
	int rc;

	if (!a->keystone_login)
		return err_set(e, ERR_DENIED, "nobody logs in here with a password of Keystone");
	rc = passwords_guard(a->passwords, whom, l->address, ask_keystone, &o, ret_retry_s, e);
	if (!rc)
		rc = open_session(&o, e);
	if (!rc) {
		memcpy(ret_token, token, sizeof(token));
		*ret_expires_us = o.expires_us;
	}
	secret_wipe(token, sizeof(token));
	secret_free(o.door);
	identity_free(o.id);
	return rc;
}

struct door {
	struct auth *a;
	const char *id; /* of the session */
	bool remove;
	struct secret *token; /* NULL: it is no session of Keystone's user */
};

static int find_door(struct db_tx *t, void *arg, struct err *e)
{
	struct door *d = arg;
	int have = sealed_has(t, "tokens", d->id, AUTH_DOOR, e);

	secret_free(steal(&d->token));
	if (have <= 0)
		return have;
	d->token = sealed_get(d->a, t, "tokens", d->id, AUTH_DOOR, e);
	if (!d->token)
		return -1;
	return d->remove ? sealed_remove(t, "tokens", d->id, AUTH_DOOR, e) : 0;
}

int auth_keystone_projects(struct auth *a, const struct identity *id, struct projects **ret,
			   struct err *e)
{
	struct door d = {.a = a, .id = id->token_id};
	struct projects *p = NULL;
	char *token;

	*ret = NULL;
	if (!a->keystone || !id->token_id[0])
		return 0;
	if (db_read(a->db, find_door, &d, e))
		return -1;
	if (!d.token)
		return 0;
	token = text_of(d.token);
	p = keystone_projects(a->keystone, token, e);
	text_done(token);
	secret_free(d.token);
	*ret = p;
	return p ? 0 : -1;
}

void auth_session_ended(struct auth *a, const char *token_id)
{
	struct door d = {.a = a, .id = token_id, .remove = true};
	char *token;

	if (!a->keystone || !token_id[0])
		return;
	/* What stays behind, the sweep removes. */
	if (!db_write(a->db, find_door, &d, NULL) && d.token) {
		token = text_of(d.token);
		keystone_end(a->keystone, token);
		text_done(token);
	}
	secret_free(d.token);
}
