/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People whom the provider vouches for are users here, too: with an id that follows from issuer and
 * subject, never from the name, which may be somebody else's tomorrow. What their groups grant is
 * kept beside what is granted here, and follows each token.
 */
#include "auth/oidc_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"

#define WANTED_MAX 256

struct wanted {
	char project[AUTH_ID];
	unsigned role;
};

struct settling {
	const struct oidc *o;
	const struct oidc_person *p;
	struct identity *id;
	bool write; /* else only look whether there is something to do */
	bool dirty, there, enabled;
	struct wanted wanted[WANTED_MAX];
	size_t n_wanted;
};

static void make_id(const struct oidc *o, const struct oidc_person *p, char id[AUTH_ID])
{
	AUTO_FREE char *both = xasprintf("%s\n%s", o->issuer, p->subject);
	uint8_t hash[HASH_BYTES];

	sha256(both, strlen(both), hash);
	hex_encode(hash, 16, id);
}

static bool is_member(const struct oidc_person *p, const char *group)
{
	if (!strcmp(group, "*"))
		return true;
	for (size_t i = 0; i < p->n_groups; i++)
		if (!strcmp(p->groups[i], group))
			return true;
	return false;
}

static void want(struct settling *s, const char *project, unsigned role)
{
	for (size_t i = 0; i < s->n_wanted; i++)
		if (s->wanted[i].role == role && !strcmp(s->wanted[i].project, project))
			return;
	if (s->n_wanted == WANTED_MAX)
		return;
	snprintf(s->wanted[s->n_wanted].project, AUTH_ID, "%s", project);
	s->wanted[s->n_wanted++].role = role;
}

/* Projects are named; one that is not there grants nothing. */
static int find_wanted(struct db_tx *t, struct settling *s, struct err *e)
{
	s->n_wanted = 0;
	for (size_t i = 0; i < s->o->n_roles; i++) {
		const struct oidc_role *r = &s->o->roles[i];

		if (!is_member(s->p, r->group))
			continue;
		if (!strcmp(r->project, AUTH_EVERYWHERE)) {
			want(s, AUTH_EVERYWHERE, r->role);
			continue;
		}
		AUTO(db_rows)
		rows = db_query(t, e, "SELECT id FROM projects WHERE name = $1 OR id = $1",
				db_t(r->project));
		int rc = rows ? db_next(rows, e) : -1;
		if (rc < 0)
			return -1;
		if (rc)
			want(s, db_text(rows, 0), r->role);
	}
	return 0;
}

static int compare_grants(struct db_tx *t, struct settling *s, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT project_id, role FROM grants WHERE user_id = $1 AND "
		     "source = 'oidc'",
		     db_t(s->id->user_id));
	int rc = r ? db_next(r, e) : -1;
	size_t n = 0;

	for (; rc > 0; rc = db_next(r, e), n++) {
		bool found = false;

		for (size_t i = 0; i < s->n_wanted && !found; i++)
			found = !strcmp(s->wanted[i].project, db_text(r, 0)) &&
				s->wanted[i].role == auth_role_of(db_text(r, 1));
		s->dirty |= !found;
	}
	s->dirty |= n != s->n_wanted;
	return rc;
}

static int look(struct db_tx *t, struct settling *s, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT name, enabled FROM users WHERE id = $1", db_t(s->id->user_id));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	s->there = rc;
	s->enabled = !rc || db_int(r, 1);
	s->dirty = !rc;
	if (rc) {
		free(s->id->user_name);
		s->id->user_name = auth_column(r, 0);
	}
	return find_wanted(t, s, e) || compare_grants(t, s, e) ? -1 : 0;
}

/* A name that nobody has here: a user of ours is never taken for one of theirs. */
static char *free_name(struct db_tx *t, const struct settling *s, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT 1 FROM users WHERE name = $1", db_t(s->p->name));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return NULL;
	if (!rc && !auth_check_name("name", s->p->name, NULL))
		return xstrdup(s->p->name);
	return xasprintf("%s %.8s", rc ? s->p->name : "oidc", s->id->user_id);
}

static int add_user(struct db_tx *t, struct settling *s, struct err *e)
{
	AUTO_FREE char *name = free_name(t, s, e);
	const char *email = auth_check_text("email", s->p->email, 255, NULL) ? "" : s->p->email;

	if (!name)
		return -1;
	free(s->id->user_name);
	s->id->user_name = xstrdup(name);
	return db_exec(t, NULL, e,
		       "INSERT INTO users (id, name, email, source, password, enabled, created_at) "
		       "VALUES ($1, $2, $3, 'oidc', NULL, 1, $4)",
		       db_t(s->id->user_id), db_t(name), db_t(email), db_i(clock_wall_us()));
}

static int write_grants(struct db_tx *t, const struct settling *s, struct err *e)
{
	if (db_exec(t, NULL, e, "DELETE FROM grants WHERE user_id = $1 AND source = 'oidc'",
		    db_t(s->id->user_id)))
		return -1;
	for (size_t i = 0; i < s->n_wanted; i++)
		if (db_exec(t, NULL, e,
			    "INSERT INTO grants (user_id, project_id, role, source) "
			    "VALUES ($1, $2, $3, 'oidc')",
			    db_t(s->id->user_id), db_t(s->wanted[i].project),
			    db_t(auth_role_name(s->wanted[i].role))))
			return -1;
	return auth_changed(t, e);
}

static int settle(struct db_tx *t, void *arg, struct err *e)
{
	struct settling *s = arg;

	if (look(t, s, e))
		return -1;
	if (!s->write || !s->dirty || !s->enabled)
		return 0;
	if (!s->there && add_user(t, s, e))
		return -1;
	return write_grants(t, s, e);
}

int oidc_settle_user(struct auth *a, const struct oidc_person *p, struct identity *id,
		     struct err *e)
{
	AUTO_FREE struct settling *s = xcalloc(1, sizeof(*s));

	*s = (struct settling){.o = a->oidc, .p = p, .id = id};
	make_id(a->oidc, p, id->user_id);
	if (db_read(a->db, settle, s, e))
		return -1;
	s->write = true;
	if (s->enabled && s->dirty && db_write(a->db, settle, s, e))
		return -1;
	return s->enabled ? 0 : err_set(e, ERR_DENIED, "user %s is disabled here", id->user_name);
}
