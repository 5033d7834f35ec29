/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy_store.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/ids.h"
#include "core/plan.h"
#include "core/table.h"
#include "flow/flow.h"

/* ---- writing ---- */

/* Copies go to providers that the project can use; those of everybody's policy, to everybody's. */
static int check_copies(struct db_tx *t, const struct policy *p, const char *project, struct err *e)
{
	for (size_t i = 0; i < p->n_copies; i++) {
		AUTO_FREE char *message = xasprintf(
			"copy[%zu].provider_id: there is no provider %s that %s can use.", i,
			p->copies[i].provider, project ? "the project" : "every project");

		if (plan_check_exists(t, "providers", p->copies[i].provider, project ? project : "",
				      message, e) < 0)
			return -1;
	}
	return 0;
}

/* How many steps of its plans may run at once: policy_limit_key(). */
static int set_limit(struct db_tx *t, const char *id, uint32_t most, struct err *e)
{
	char key[POLICY_LIMIT_KEY];

	return flow_set_limit(t, policy_limit_key(id, key), most, e);
}

char *policy_limit_key(const char *id, char out[POLICY_LIMIT_KEY])
{
	snprintf(out, POLICY_LIMIT_KEY, "policy:%s", id);
	return out;
}

/* The text of a document that was given, in its one form; *ret_concurrent: what limits it sets. */
static char *form_of(struct db_tx *t, struct zones *zones, const json_t *spec, const char *project,
		     uint32_t *ret_concurrent, struct err *e)
{
	AUTO(policy) p = policy_parse(spec, zones, clock_wall_us(), e);
	AUTO_FREE char *text = NULL;
	json_t *form;

	if (!p || check_copies(t, p, project, e) < 0)
		return NULL;
	*ret_concurrent = p->concurrent;
	form = policy_json(p);
	text = json_text(form);
	json_decref(form);
	if (strlen(text) > POLICY_SIZE_MAX) {
		err_set(e, ERR_LIMIT, "document: it has %zu bytes; at most %d are allowed",
			strlen(text), POLICY_SIZE_MAX);
		return NULL;
	}
	return steal(&text);
}

int policy_insert(struct db_tx *t, struct zones *zones, const struct policy_new *n,
		  char ret_id[UUID_TEXT], struct err *e)
{
	uint32_t most;
	AUTO_FREE char *spec = form_of(t, zones, n->spec, n->project, &most, e);
	uint64_t now = clock_wall_us();
	char id[UUID_TEXT];

	if (!spec ||
	    db_exec(t, NULL, e,
		    "INSERT INTO policies (id, project_id, name, description, spec, mandatory, "
		    "created_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
		    "$8)",
		    db_t(new_id(id)), db_t(n->project), db_t(n->name),
		    db_t(n->description ? n->description : ""), db_t(spec), db_i(n->mandatory),
		    db_t(n->created_by), db_i(now)) < 0 ||
	    set_limit(t, id, most, e) < 0)
		return -1;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

static int no_policy(const char *id, struct err *e)
{
	return err_set(e, ERR_NOENT, "There is no policy '%s'.", id);
}

/* The project of a policy, or NULL, to be freed. */
static int project_of(struct db_tx *t, const char *id, char **ret_project, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT project_id FROM policies WHERE id = $1", db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have < 0 ? -1 : no_policy(id, e);
	*ret_project = xstrdup0(db_text_or_null(r, 0));
	return 0;
}

int policy_update(struct db_tx *t, struct zones *zones, const char *id,
		  const struct policy_change *c, struct err *e)
{
	AUTO_FREE char *project = NULL;
	AUTO_FREE char *spec = NULL;
	uint32_t most;

	if (project_of(t, id, &project, e) < 0)
		return -1;
	if (c->spec) {
		spec = form_of(t, zones, c->spec, project, &most, e);
		if (!spec || set_limit(t, id, most, e) < 0)
			return -1;
	}
	return db_exec(t, NULL, e,
		       "UPDATE policies SET name = coalesce($2, name), description = coalesce($3, "
		       "description), spec = coalesce($4, spec), mandatory = coalesce($5, "
		       "mandatory), updated_at = $6 WHERE id = $1",
		       db_t(id), db_t(c->name), db_t(c->description), db_t(spec),
		       c->mandatory ? db_i(*c->mandatory) : db_null(), db_i(clock_wall_us()));
}

int policy_remove(struct db_tx *t, const char *id, struct err *e)
{
	AUTO_FREE char *project = NULL;
	AUTO(db_rows) r = NULL;

	if (project_of(t, id, &project, e) < 0)
		return -1;
	r = db_query(t, e, "SELECT count(*) FROM plans WHERE policy_id = $1", db_t(id));
	if (!r || db_next(r, e) < 0)
		return -1;
	if (db_int(r, 0) > 0)
		return err_set(e, ERR_BUSY,
			       "Policy '%s' is used by %lld plans: give them another one first.",
			       id, (long long)db_int(r, 0));
	return set_limit(t, id, 0, e) < 0
		       ? -1
		       : db_exec(t, NULL, e, "DELETE FROM policies WHERE id = $1", db_t(id));
}

/* ---- what holds for a plan ---- */

void plan_policy_free(struct plan_policy *p)
{
	if (!p)
		return;
	policy_free(p->merged);
	policy_free(p->own);
	for (size_t i = 0; i < p->n; i++) {
		policy_free(p->mandatory[i]);
		free((char *)p->parts[i].id);
	}
	free(p->mandatory);
	free(p->parts);
	free(p);
}

static struct policy *parse_stored(const char *id, const char *spec, struct zones *zones,
				   uint64_t now_us, struct err *e)
{
	json_t *document = json_loads(spec, 0, NULL);
	struct policy *p = policy_parse(document, zones, now_us, e);

	json_decref(document);
	if (!p)
		err_wrap(e, "policy %s", id);
	return p;
}

static void add_part(struct plan_policy *p, const char *id, const struct policy *policy,
		     struct policy *owned)
{
	p->mandatory = xreallocarray(p->mandatory, p->n + 1, sizeof(*p->mandatory));
	p->parts = xreallocarray(p->parts, p->n + 1, sizeof(*p->parts));
	p->mandatory[p->n] = owned;
	p->parts[p->n++] = (struct policy_mandatory){xstrdup(id), policy};
}

static bool is_draft(const struct policy_draft *draft, const char *id)
{
	return draft && draft->id && strcmp(draft->id, id) == 0;
}

static int load_mandatory(struct db_tx *t, struct zones *zones, const char *project,
			  const struct policy_draft *draft, struct plan_policy *p, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id, spec FROM policies WHERE mandatory = 1 AND (project_id IS NULL OR "
		     "project_id = $1) ORDER BY id",
		     db_t(project));
	int have;

	if (!r)
		return -1;
	while ((have = db_next(r, e)) > 0) {
		const char *id = db_text(r, 0);
		struct policy *one;

		if (is_draft(draft, id))
			continue;
		one = parse_stored(id, db_text(r, 1), zones, p->now_us, e);
		if (!one)
			return -1;
		add_part(p, id, one, one);
	}
	if (have == 0 && draft && draft->mandatory)
		add_part(p, draft->id ? draft->id : "new", draft->policy, NULL);
	return have;
}

static int load_own(struct db_tx *t, struct zones *zones, const char *id, struct plan_policy *p,
		    struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT spec FROM policies WHERE id = $1", db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have < 0 ? -1 : no_policy(id, e);
	snprintf(p->own_id, sizeof(p->own_id), "%s", id);
	p->own = parse_stored(id, db_text(r, 0), zones, p->now_us, e);
	return p->own ? 0 : -1;
}

struct plan_policy *plan_policy_load(struct db_tx *t, struct zones *zones, const char *project,
				     const char *policy, const struct policy_draft *draft,
				     uint64_t now_us, struct err *e)
{
	AUTO(plan_policy) p = xcalloc(1, sizeof(*p));
	const char *id = policy ? policy : "";
	bool of_draft = draft && !draft->mandatory && (!draft->id || is_draft(draft, id));

	p->now_us = now_us;
	if (load_mandatory(t, zones, project, draft, p, e) < 0)
		return NULL;
	/* Its own may be mandatory anyway: then it holds as that. */
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->parts[i].id, id) == 0)
			id = "";
	if (*id && !of_draft && !is_draft(draft, id) && load_own(t, zones, id, p, e) < 0)
		return NULL;
	p->merged = policy_merge(of_draft ? draft->policy : p->own, p->parts, p->n);
	return steal(&p);
}

int plan_policy_of(struct db_tx *t, struct zones *zones, const char *plan, struct plan_policy **ret,
		   struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT project_id, policy_id FROM plans WHERE id = $1", db_t(plan));
	struct plan_policy *p;
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	p = plan_policy_load(t, zones, db_text(r, 0), db_text_or_null(r, 1), NULL, clock_wall_us(),
			     e);
	if (!p)
		return err_wrap(e, "plan %s", plan);
	*ret = p;
	return 0;
}
