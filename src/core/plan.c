/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/coverage.h"
#include "core/ids.h"
#include "core/protectable.h"
#include "core/quota.h"
#include "core/scheduled.h"
#include "core/table.h"

void plan_free(struct plan *p)
{
	if (!p)
		return;
	free(p->name);
	free(p->description);
	free(p->status);
	json_decref(p->resources);
	json_decref(p->selectors);
	json_decref(p->parameters);
	free(p);
}

#define COLUMNS                                                                                    \
	"id, project_id, provider_id, policy_id, name, description, status, resources, "           \
	"selectors, parameters, paused, consistency_group"

struct plan *plan_load(struct db_tx *t, const char *project, const char *id, struct err *e)
{
	AUTO(db_rows) r = NULL;
	struct plan *p;
	int have;

	r = project ? db_query(t, e,
			       "SELECT " COLUMNS " FROM plans WHERE id = $1 AND project_id = $2",
			       db_t(id), db_t(project))
		    : db_query(t, e, "SELECT " COLUMNS " FROM plans WHERE id = $1", db_t(id));
	have = r ? db_next(r, e) : -1;
	if (have == 0)
		err_set(e, ERR_NOENT, "There is no plan '%s'.", id);
	if (have <= 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	snprintf(p->id, sizeof(p->id), "%s", db_text(r, 0));
	snprintf(p->project, sizeof(p->project), "%s", db_text(r, 1));
	snprintf(p->provider, sizeof(p->provider), "%s", db_text(r, 2));
	snprintf(p->policy, sizeof(p->policy), "%s", db_text(r, 3));
	p->name = xstrdup(db_text(r, 4));
	p->description = xstrdup0(db_text_or_null(r, 5));
	p->status = xstrdup(db_text(r, 6));
	p->resources = json_of(db_text(r, 7), "[]");
	p->selectors = json_of(db_text(r, 8), "[]");
	p->parameters = json_of(db_text(r, 9), "{}");
	p->paused = db_int(r, 10) != 0;
	p->consistency_group = db_int(r, 11) != 0;
	return p;
}

/* ---- checks ---- */

int plan_check_exists(struct db_tx *t, const char *table, const char *id, const char *project,
		      const char *message, struct err *e)
{
	AUTO_FREE char *sql = xasprintf("SELECT 1 FROM %s WHERE id = $1 AND (project_id = $2 OR "
					"project_id IS NULL)",
					table);
	AUTO(db_rows) r = db_query(t, e, sql, db_t(id), db_t(project));
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_INVALID, "%s", message);
	return have < 0 ? -1 : 0;
}

static int check_resource(const json_t *r, size_t i, struct err *e)
{
	const char *type = json_text_in(r, "type");
	const json_t *extra = json_object_get(r, "extra_info"), *v;
	const char *key;

	if (!*json_text_in(r, "id") || !*type || !*json_text_in(r, "name"))
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute plan.resources[%zu]. It needs "
			       "id, type and name.",
			       i);
	if (!protectable_get(type))
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute plan.resources[%zu].type. Value: "
			       "%.60s. Invalid protectable type provided.",
			       i, type);
	json_object_foreach((json_t *)r, key, v)
	{
		if (strcmp(key, "id") != 0 && strcmp(key, "type") != 0 &&
		    strcmp(key, "name") != 0 && strcmp(key, "extra_info") != 0)
			return err_set(
				e, ERR_INVALID,
				"Invalid input for field/attribute plan.resources[%zu].%.60s. "
				"There is no such field.",
				i, key);
	}
	if (extra && !json_is_object(extra) && !json_is_null(extra))
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute plan.resources[%zu].extra_info. "
			       "It has to be an object.",
			       i);
	return 0;
}

static int check_selector(const json_t *s, size_t i, struct err *e)
{
	static const char *const names[] = {"type", "name", "platform_id", "state", NULL};
	const char *key;
	json_t *v;

	if (!protectable_get(json_text_in(s, "type")))
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute plan.selectors[%zu].type. It has "
			       "to be a protectable type.",
			       i);
	json_object_foreach((json_t *)s, key, v)
	{
		size_t k = 0;

		while (names[k] && strcmp(names[k], key) != 0)
			k++;
		if (!names[k] || !json_is_string(v))
			return err_set(
				e, ERR_INVALID,
				"Invalid input for field/attribute plan.selectors[%zu].%.60s. "
				"A selector has texts: type, name, platform_id, state.",
				i, key);
	}
	return 0;
}

/* "OS::Nova::Server" or "OS::Nova::Server#id" to the options that this type has. */
static int check_parameter(const char *key, const json_t *options, struct err *e)
{
	const char *hash = strchr(key, '#');
	AUTO_FREE char *type = hash ? xasprintf("%.*s", (int)(hash - key), key) : xstrdup(key);
	const struct protectable *p = protectable_get(type);
	const char *name;
	json_t *v;

	if (!p)
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute plan.parameters. Value: %.80s. "
			       "The key has to be TYPE or TYPE#ID of a protectable type.",
			       key);
	if (!json_is_object(options))
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute plan.parameters.%.80s. It has to "
			       "be an object.",
			       key);
	json_object_foreach((json_t *)options, name, v)
	{
		if (!protectable_has_option(p->options, name))
			return err_set(e, ERR_INVALID,
				       "Invalid input for field/attribute plan.parameters.%.80s. "
				       "Value: %.60s. The provider has no such option.",
				       key, name);
	}
	return 0;
}

static int check(struct db_tx *t, const struct plan *p, struct err *e)
{
	const char *key;
	json_t *v;
	size_t i;

	if (plan_check_exists(t, "providers", p->provider, p->project,
			      "Invalid input for field/attribute plan.provider_id. The provider "
			      "could not be found.",
			      e) < 0)
		return -1;
	if (*p->policy && plan_check_exists(t, "policies", p->policy, p->project,
					    "Invalid input for field/attribute plan.policy_id. The "
					    "policy could not be found.",
					    e) < 0)
		return -1;
	if (json_array_size(p->resources) + json_array_size(p->selectors) == 0)
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute plan.resources. A plan needs "
			       "resources or selectors.");
	json_array_foreach(p->resources, i, v) if (check_resource(v, i, e) < 0) return -1;
	json_array_foreach(p->selectors, i, v) if (check_selector(v, i, e) < 0) return -1;
	json_object_foreach(p->parameters, key, v) if (check_parameter(key, v, e) < 0) return -1;
	return 0;
}

/* ---- storing ---- */

int plan_insert(struct db_tx *t, struct plan *p, const char *created_by, struct err *e)
{
	AUTO_FREE char *resources = json_text(p->resources);
	AUTO_FREE char *selectors = json_text(p->selectors);
	AUTO_FREE char *parameters = json_text(p->parameters);

	if (check(t, p, e) < 0 || quota_check(t, p->project, "plans", e) < 0)
		return -1;
	new_id(p->id);
	return db_exec(t, NULL, e,
		       "INSERT INTO plans (id, project_id, provider_id, policy_id, name, "
		       "description, status, resources, selectors, parameters, created_by, "
		       "created_at, updated_at, paused, consistency_group) VALUES ($1, $2, $3, "
		       "$4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)",
		       db_t(p->id), db_t(p->project), db_t(p->provider), db_t0(p->policy),
		       db_t(p->name), db_t(p->description), db_t(p->status), db_t(resources),
		       db_t(selectors), db_t(parameters), db_t(created_by), db_i(clock_wall_us()),
		       db_i(p->paused), db_i(p->consistency_group));
}

int plan_store(struct db_tx *t, const struct plan *p, struct err *e)
{
	AUTO_FREE char *resources = json_text(p->resources);
	AUTO_FREE char *selectors = json_text(p->selectors);
	AUTO_FREE char *parameters = json_text(p->parameters);

	if (check(t, p, e) < 0)
		return -1;
	return db_exec(t, NULL, e,
		       "UPDATE plans SET name = $2, description = $3, status = $4, policy_id = $5, "
		       "resources = $6, selectors = $7, parameters = $8, updated_at = $9, paused = "
		       "$10, consistency_group = $11 WHERE id = $1",
		       db_t(p->id), db_t(p->name), db_t(p->description), db_t(p->status),
		       db_t0(p->policy), db_t(resources), db_t(selectors), db_t(parameters),
		       db_i(clock_wall_us()), db_i(p->paused), db_i(p->consistency_group));
}

int plan_remove(struct db_tx *t, const char *project, const char *id, struct err *e)
{
	AUTO(plan) p = plan_load(t, project, id, e);

	int used = p ? scheduled_uses_plan(t, p->id, e) : -1;

	if (used > 0)
		return err_set(e, ERR_BUSY,
			       "Plan '%s' is in use: remove its scheduled operations first.", id);
	if (used < 0 || coverage_plan_gone(t, p->id, e) < 0)
		return -1;
	return db_exec(t, NULL, e, "DELETE FROM plans WHERE id = $1", db_t(p->id));
}

/* ---- what it means now ---- */

static bool matches(const json_t *selector, const struct plan_candidate *r)
{
	const char *name = json_text_in(selector, "name"),
		   *platform = json_text_in(selector, "platform_id");
	const char *state = json_text_in(selector, "state");

	return (!*name || fnmatch(name, r->name, 0) == 0) &&
	       (!*platform || strcmp(platform, r->platform) == 0) &&
	       (!*state || strcmp(state, r->state) == 0);
}

bool plan_selects(const struct plan *p, const struct plan_candidate *r)
{
	const json_t *v;
	size_t i;

	json_array_foreach(p->resources, i, v) if (strcmp(json_text_in(v, "type"),
							  PROTECTABLE_PROJECT) == 0) return true;
	json_array_foreach(p->selectors, i, v) if (strcmp(json_text_in(v, "type"), r->type) == 0 &&
						   matches(v, r)) return true;
	return false;
}

bool plan_has_selectors(const struct plan *p)
{
	const json_t *v;
	size_t i;

	json_array_foreach(p->resources, i, v) if (strcmp(json_text_in(v, "type"),
							  PROTECTABLE_PROJECT) == 0) return true;
	return json_array_size(p->selectors) > 0;
}

/* The resources of a plan, as they are found. */
struct expanding {
	const struct plan *p;
	json_t *found;	     /* what the plan protects */
	json_t *named, *ids; /* as keys: what the plan names; what was found */
};

static char *key_of(const char *type, const char *id)
{
	return xasprintf("%s %s", type, id);
}

static void expand_row(struct expanding *x, const struct db_rows *r)
{
	const struct plan_candidate k = {db_text(r, 0), db_text(r, 1), db_text(r, 2), db_text(r, 3),
					 db_text(r, 4)};
	AUTO_FREE char *key = key_of(k.type, k.id);

	/* One that is on two platforms is moving between them: once is enough. */
	if (json_object_get(x->ids, key) ||
	    !(json_object_get(x->named, key) || plan_selects(x->p, &k)))
		return;
	json_object_set_new(x->ids, key, json_true());
	json_array_append_new(x->found,
			      json_pack("{s:s, s:s, s:s, s:s, s:o}", "platform_id", k.platform,
					"type", k.type, "id", k.id, "name", k.name, "extra_info",
					json_of(db_text(r, 5), "{}")));
}

#define CANDIDATES                                                                                 \
	"SELECT platform_id, type, id, name, state, extra_info FROM resources WHERE project_id = " \
	"$1 AND gone_at IS NULL "

static int expand_rows(struct expanding *x, struct db_rows *r, struct err *e)
{
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		expand_row(x, r);
	return have;
}

static int expand_all(struct db_tx *t, struct expanding *x, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, CANDIDATES "ORDER BY type, name, id", db_t(x->p->project));

	return expand_rows(x, r, e);
}

static int expand_named(struct db_tx *t, struct expanding *x, const json_t *v, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, CANDIDATES "AND type = $2 AND id = $3", db_t(x->p->project),
		     db_t(json_text_in(v, "type")), db_t(json_text_in(v, "id")));

	return expand_rows(x, r, e);
}

/* A project may have ten thousand resources, so they are looked through only for who selects. */
static int expand(struct db_tx *t, struct expanding *x, struct err *e)
{
	const json_t *v;
	size_t i;

	json_array_foreach(x->p->resources, i, v)
	{
		AUTO_FREE char *key = key_of(json_text_in(v, "type"), json_text_in(v, "id"));

		json_object_set_new(x->named, key, json_true());
	}
	if (plan_has_selectors(x->p))
		return expand_all(t, x, e);
	json_array_foreach(x->p->resources, i, v)
	{
		if (expand_named(t, x, v, e) < 0)
			return -1;
	}
	return 0;
}

/* What is named has to be there: a plan that quietly protects less than it says would be worse than
 * none. */
static int check_all_found(const struct expanding *x, struct err *e)
{
	const json_t *v;
	size_t i;

	json_array_foreach(x->p->resources, i, v)
	{
		const char *type = json_text_in(v, "type"), *id = json_text_in(v, "id");
		AUTO_FREE char *key = key_of(type, id);

		if (strcmp(type, PROTECTABLE_PROJECT) == 0 || json_object_get(x->ids, key))
			continue;
		return err_set(e, ERR_NOENT,
			       "%s '%s' (%s) of plan '%s' is not on any platform of its project: "
			       "take it out of the plan, or find out why its platform does not "
			       "show it.",
			       type, json_text_in(v, "name"), id, x->p->name);
	}
	if (json_array_size(x->found) > 0)
		return 0;
	return err_set(e, ERR_NOENT, "Nothing matches the selectors of plan '%s'.", x->p->name);
}

int plan_expand(struct db_tx *t, const struct plan *p, json_t **ret_resources, struct err *e)
{
	struct expanding x = {p, json_array(), json_object(), json_object()};
	int rc = expand(t, &x, e);

	if (rc == 0)
		rc = check_all_found(&x, e);
	json_decref(x.named);
	json_decref(x.ids);
	if (rc < 0) {
		json_decref(x.found);
		return -1;
	}
	*ret_resources = x.found;
	return 0;
}
