/* SPDX-License-Identifier: Apache-2.0 */
#include "core/scheduled.h"

#include <stdio.h>
#include <string.h>

#include "core/ids.h"
#include "core/plan.h"
#include "core/trigger.h"

#define FIELD "Invalid input for field/attribute scheduled_operation."
#define DAYS_MAX 36500
#define BACKUPS_MAX 100000

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"description", "description", COLUMN_TEXT, false},
	{"operation_type", "operation_type", COLUMN_TEXT, true},
	{"trigger_id", "trigger_id", COLUMN_TEXT, false},
	{"operation_definition", "operation_definition", COLUMN_JSON, false},
	{"enabled", "enabled", COLUMN_FLAG, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"created_by", "created_by", COLUMN_TEXT, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_CONTAINS},	 {"operation_type", "operation_type", FILTER_IS},
	{"trigger_id", "trigger_id", FILTER_IS}, {"plan_id", "plan_id", FILTER_IS},
	{"enabled", "enabled", FILTER_FLAG},
};
const struct table scheduled_table = {.sql = "scheduled_operations",
				      .item = "scheduled_operation",
				      .items = "operations",
				      TABLE_OF(columns, filters)};

void scheduled_free(struct scheduled_operation *s)
{
	if (!s)
		return;
	free(s->name);
	free(s->description);
	free(s->operation_type);
	free(s->created_by);
	json_decref(s->definition);
	free(s);
}

#define COLUMNS                                                                                    \
	"SELECT id, project_id, trigger_id, plan_id, name, description, operation_type, "          \
	"created_by, operation_definition, enabled FROM scheduled_operations WHERE "

static struct scheduled_operation *from_row(const struct db_rows *r)
{
	struct scheduled_operation *s = xcalloc(1, sizeof(*s));

	snprintf(s->id, sizeof(s->id), "%s", db_text(r, 0));
	snprintf(s->project, sizeof(s->project), "%s", db_text(r, 1));
	snprintf(s->trigger, sizeof(s->trigger), "%s", db_text(r, 2));
	snprintf(s->plan, sizeof(s->plan), "%s", db_text(r, 3));
	s->name = xstrdup(db_text(r, 4));
	s->description = xstrdup0(db_text_or_null(r, 5));
	s->operation_type = xstrdup(db_text(r, 6));
	s->created_by = xstrdup(db_text(r, 7));
	s->definition = json_of(db_text(r, 8), "{}");
	s->enabled = db_int(r, 9) != 0;
	return s;
}

struct scheduled_operation *scheduled_load(struct db_tx *x, const char *project, const char *id,
					   struct err *e)
{
	AUTO(db_rows) r = NULL;
	int have;

	r = project ? db_query(x, e, COLUMNS "id = $1 AND project_id = $2", db_t(id), db_t(project))
		    : db_query(x, e, COLUMNS "id = $1", db_t(id));
	have = r ? db_next(r, e) : -1;
	if (have == 0)
		err_set(e, ERR_NOENT, "There is no scheduled operation '%s'.", id);
	return have > 0 ? from_row(r) : NULL;
}

void scheduled_list_free(struct scheduled_operation **list, size_t n)
{
	while (n > 0)
		scheduled_free(list[--n]);
	free(list);
}

int scheduled_of_claim(struct db_tx *x, const char *claim, const char *trigger,
		       struct scheduled_operation ***ret_list, size_t *ret_n, struct err *e)
{
	AUTO(db_rows) r = NULL;
	struct scheduled_operation **list = NULL;
	size_t n = 0, room = 0;
	int have;

	r = trigger ? db_query(x, e,
			       COLUMNS "trigger_id = $1 AND enabled = 1 ORDER BY created_at, id",
			       db_t(trigger))
		    : db_query(x, e,
			       COLUMNS
			       "trigger_id IN (SELECT id FROM triggers WHERE claim = $1) AND "
			       "enabled = 1 ORDER BY trigger_id, created_at, id",
			       db_t(claim));
	have = r ? 1 : -1;
	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (n == room) {
			room = MAX(64, room * 2);
			list = xreallocarray(list, room, sizeof(struct scheduled_operation *));
		}
		list[n++] = from_row(r);
	}
	if (have < 0) {
		scheduled_list_free(list, n);
		return -1;
	}
	*ret_list = list;
	*ret_n = n;
	return 0;
}

/* ---- checks ---- */

int64_t scheduled_number(const json_t *definition, const char *key)
{
	const json_t *v = json_object_get(definition, key);
	char *end;
	int64_t n;

	if (!json_is_string(v))
		return json_integer_value(v);
	n = strtoll(json_string_value(v), &end, 10);
	return *end ? 0 : n;
}

/* -1 and null mean none. */
static int check_number(const json_t *definition, const char *key, int64_t most, struct err *e)
{
	const json_t *v = json_object_get(definition, key);
	int64_t n = scheduled_number(definition, key);

	if (!v || json_is_null(v))
		return 0;
	if (n < -1 || n == 0 || n > most)
		return err_set(e, ERR_INVALID,
			       FIELD
			       "operation_definition.%s. It has to be a number from 1 to %lld, or "
			       "-1 for none.",
			       key, (long long)most);
	return 0;
}

static int check_definition(struct db_tx *x, struct scheduled_operation *s, struct err *e)
{
	const char *plan = json_string_value(json_object_get(s->definition, "plan_id"));
	const char *provider = json_string_value(json_object_get(s->definition, "provider_id"));
	AUTO(plan) p = NULL;

	if (!plan || !provider)
		return err_set(e, ERR_INVALID,
			       FIELD "operation_definition. It needs a plan_id and a provider_id.");
	if (check_number(s->definition, "max_backups", BACKUPS_MAX, e) < 0 ||
	    check_number(s->definition, "retention_duration", DAYS_MAX, e) < 0 ||
	    plan_check_exists(x, "plans", plan, s->project,
			      FIELD "operation_definition.plan_id. The plan could not be found.",
			      e) < 0)
		return -1;
	p = plan_load(x, s->project, plan, e);
	if (!p)
		return -1;
	if (strcmp(p->provider, provider) != 0)
		return err_set(e, ERR_INVALID,
			       FIELD "operation_definition.provider_id. Value: %.60s. The plan has "
				     "another provider.",
			       provider);
	snprintf(s->plan, sizeof(s->plan), "%s", p->id);
	return 0;
}

static int check(struct db_tx *x, struct scheduled_operation *s, struct err *e)
{
	if (!s->name || !*s->name || strlen(s->name) > TRIGGER_NAME_MAX)
		return err_set(e, ERR_INVALID, FIELD "name. It needs 1 to %d characters.",
			       TRIGGER_NAME_MAX);
	if (!s->operation_type || (strcmp(s->operation_type, "protect") != 0 &&
				   strcmp(s->operation_type, "retention_protect") != 0))
		return err_set(e, ERR_INVALID,
			       FIELD "operation_type. Value: %.60s. It has to be protect or "
				     "retention_protect.",
			       s->operation_type ? s->operation_type : "");
	if (plan_check_exists(x, "triggers", s->trigger, s->project,
			      FIELD "trigger_id. The trigger could not be found.", e) < 0)
		return -1;
	if (!json_is_object(s->definition))
		return err_set(e, ERR_INVALID,
			       FIELD "operation_definition. It has to be an object.");
	return check_definition(x, s, e);
}

int scheduled_insert(struct db_tx *x, struct scheduled_operation *s, uint64_t now_us, struct err *e)
{
	AUTO_FREE char *definition = NULL;

	if (check(x, s, e) < 0)
		return -1;
	definition = json_text(s->definition);
	new_id(s->id);
	return db_exec(
		x, NULL, e,
		"INSERT INTO scheduled_operations (id, project_id, name, description, "
		"operation_type, trigger_id, plan_id, operation_definition, enabled, "
		"created_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
		"$9, $10, $11, $11)",
		db_t(s->id), db_t(s->project), db_t(s->name), db_t(s->description),
		db_t(s->operation_type), db_t(s->trigger), db_t(s->plan), db_t(definition),
		db_i(s->enabled), db_t(s->created_by), db_i(now_us));
}

int scheduled_set_enabled(struct db_tx *x, const char *project, const char *id, bool enabled,
			  uint64_t now_us, struct err *e)
{
	AUTO(scheduled_operation) s = scheduled_load(x, project, id, e);

	return s ? db_exec(x, NULL, e,
			   "UPDATE scheduled_operations SET enabled = $2, updated_at = $3 WHERE id "
			   "= $1",
			   db_t(s->id), db_i(enabled), db_i(now_us))
		 : -1;
}

int scheduled_remove(struct db_tx *x, const char *project, const char *id, struct err *e)
{
	AUTO(scheduled_operation) s = scheduled_load(x, project, id, e);

	return s ? db_exec(x, NULL, e, "DELETE FROM scheduled_operations WHERE id = $1",
			   db_t(s->id))
		 : -1;
}

int scheduled_uses_plan(struct db_tx *x, const char *plan, struct err *e)
{
	AUTO(db_rows)
	r = db_query(x, e, "SELECT 1 FROM scheduled_operations WHERE plan_id = $1 LIMIT 1",
		     db_t(plan));

	return r ? db_next(r, e) : -1;
}
