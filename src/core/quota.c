/* SPDX-License-Identifier: Apache-2.0 */
#include "core/quota.h"

#include <stdio.h>
#include <string.h>

static const struct quota_kind kinds[] = {
	{"plans", 50, "SELECT count(*) FROM plans WHERE project_id = $1"},
	{"checkpoints", QUOTA_UNLIMITED,
	 "SELECT count(*) FROM checkpoints WHERE project_id = $1 AND status NOT IN "
	 "('deleted', 'error')"},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct quota_kind *quota_kinds(size_t *ret_n)
{
	*ret_n = N_KINDS;
	return kinds;
}

static const struct quota_kind *kind_of(const char *name)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* One number, or `otherwise` where there is no row. */
static int number(struct db_tx *t, const char *sql, const char *a, const char *b, int64_t *ret,
		  struct err *e)
{
	const struct db_value v[] = {db_t(a), db_t(b)};
	AUTO(db_rows) r = db_query_v(t, sql, v, b ? 2 : 1, e);
	int have = r ? db_next(r, e) : -1;

	if (have > 0)
		*ret = db_int(r, 0);
	return have;
}

#define OWN "SELECT most FROM quotas WHERE project_id = $1 AND resource = $2"
#define OF_CLASS                                                                                   \
	"SELECT q.most FROM quotas q JOIN projects p ON q.project_id = 'class:' || p.quota_class " \
	"WHERE p.id = $1 AND q.resource = $2"

static int limit_of(struct db_tx *t, const char *of, const struct quota_kind *k, int64_t *ret,
		    struct err *e)
{
	int have;

	*ret = k->standard;
	have = number(t, OWN, of, k->name, ret, e);
	if (have == 0)
		have = number(t, OF_CLASS, of, k->name, ret, e);
	return have < 0 ? -1 : 0;
}

int quota_get(struct db_tx *t, const char *of, json_t **ret, struct err *e)
{
	json_t *o = json_object();
	int64_t n;

	for (size_t i = 0; i < N_KINDS; i++) {
		if (limit_of(t, of, &kinds[i], &n, e) < 0) {
			json_decref(o);
			return -1;
		}
		json_object_set_new(o, kinds[i].name, json_integer(n));
	}
	*ret = o;
	return 0;
}

int quota_detail(struct db_tx *t, const char *project, json_t **ret, struct err *e)
{
	json_t *o = json_object();
	int64_t n, used = 0;

	for (size_t i = 0; i < N_KINDS; i++) {
		if (limit_of(t, project, &kinds[i], &n, e) < 0 ||
		    number(t, kinds[i].in_use, project, NULL, &used, e) < 0) {
			json_decref(o);
			return -1;
		}
		json_object_set_new(o, kinds[i].name,
				    json_pack("{s:I, s:I, s:i}", "limit", (json_int_t)n, "in_use",
					      (json_int_t)used, "reserved", 0));
	}
	*ret = o;
	return 0;
}

json_t *quota_defaults(void)
{
	json_t *o = json_object();

	for (size_t i = 0; i < N_KINDS; i++)
		json_object_set_new(o, kinds[i].name, json_integer(kinds[i].standard));
	return o;
}

int quota_set(struct db_tx *t, const char *of, const char *name, int64_t most, struct err *e)
{
	return db_exec(t, NULL, e,
		       "INSERT INTO quotas (project_id, resource, most) VALUES ($1, $2, $3) "
		       "ON CONFLICT (project_id, resource) DO UPDATE SET most = excluded.most",
		       db_t(of), db_t(name), db_i(most));
}

int quota_reset(struct db_tx *t, const char *of, struct err *e)
{
	return db_exec(t, NULL, e, "DELETE FROM quotas WHERE project_id = $1", db_t(of));
}

int quota_check(struct db_tx *t, const char *project, const char *name, struct err *e)
{
	const struct quota_kind *k = kind_of(name);
	int64_t most, used = 0;

	if (limit_of(t, project, k, &most, e) < 0)
		return -1;
	if (most == QUOTA_UNLIMITED)
		return 0;
	if (number(t, k->in_use, project, NULL, &used, e) < 0)
		return -1;
	if (used < most)
		return 0;
	return err_set(e, ERR_LIMIT,
		       "Maximum number of %s allowed (%lld) exceeded: remove some, or ask an "
		       "administrator for a higher quota.",
		       name, (long long)most);
}
