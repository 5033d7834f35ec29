/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities that somebody else vouches for. Their projects get a row of their own when they are
 * first seen, so that everything else here has something to point to.
 */
#include "auth/auth_priv.h"

#include <string.h>

#include "auth/keystone.h"

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
