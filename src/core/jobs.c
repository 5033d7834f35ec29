/* SPDX-License-Identifier: Apache-2.0 */
#include "core/jobs.h"

#include <string.h>

#include "core/checkpoint.h"
#include "core/copy.h"
#include "core/limits.h"
#include "core/platform.h"
#include "core/policy.h"
#include "core/restore.h"
#include "core/storage.h"
#include "core/table.h"
#include "core/target_work.h"

const struct flow_kind *const core_kinds[] = {
	&storage_init,
	&storage_check,
	&target_collect_kind,
	&target_verify_kind,
	&platform_list_kind,
	&protect_prepare,
	&checkpoint_protect_kind,
	&checkpoint_delete_kind,
	&checkpoint_restore_kind,
	&checkpoint_verify_kind,
	&checkpoint_copy_kind,
	NULL,
};
const struct flow_operation_kind *const core_operations[] = {
	&operation_target_check,
	&operation_target_verify,
	&operation_collect,
	&operation_discover,
	&operation_protect,
	&operation_clean,
	&operation_delete,
	&operation_restore,
	&operation_verify,
	&operation_copy,
	NULL,
};

static int add_platform(struct db_tx *t, const struct flow_step *s, json_t *o, struct err *e)
{
	json_t *v;

	if (platform_access(t, json_text_in(s->input, "platform_id"), &v, e) < 0)
		return -1;
	json_object_set_new(o, "platform", v);
	return 0;
}

static int add_target(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		      struct err *e)
{
	json_t *v;

	if (repository_access(c, t, json_text_in(s->input, "repository_id"), &v, e) < 0)
		return -1;
	json_object_set_new(o, "target", v);
	return 0;
}

/* ---- each kind ---- */

static int fill_platform(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
			 struct err *e)
{
	(void)c;
	return add_platform(t, s, o, e);
}

static int fill_init(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		     struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT t.options FROM repositories r JOIN targets t ON t.id = r.target_id "
		     "WHERE r.id = $1",
		     db_t(json_text_in(s->input, "repository_id")));
	json_t *options, *parity;
	int have = r ? db_next(r, e) : -1;

	if (have < 0)
		return -1;
	options = json_of(have ? db_text(r, 0) : NULL, "{}");
	parity = json_object_get(options, "parity");
	if (parity)
		json_object_set(o, "parity", parity);
	json_decref(options);
	return add_target(c, t, s, o, e);
}

/* With its options as they are. */
static int fill_target(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		       struct err *e)
{
	json_object_update(o, s->input);
	json_object_del(o, "repository_id");
	return add_target(c, t, s, o, e);
}

/* All that lie in a target, by their addresses. */
static int add_repositories(struct db_tx *t, const char *target, json_t *o, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT url FROM repositories WHERE target_id = $1 AND made_at IS NOT NULL "
		     "ORDER BY url",
		     db_t(target));
	json_t *urls = json_array();
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(urls, json_string(db_text(r, 0)));
	json_object_set_new(o, "repositories", urls);
	return have;
}

static int fill_check(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		      struct err *e)
{
	json_t *v;

	if (target_access(c, t, json_text_in(s->input, "target_id"), &v, e) < 0)
		return -1;
	json_object_set_new(o, "target", v);
	return add_repositories(t, json_text_in(s->input, "target_id"), o, e);
}

/* The points of a checkpoint that is a copy: they carry the tag of the first. */
static int points_of_copy(struct db_tx *t, const char *id, json_t **ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT DISTINCT r.point_id FROM checkpoint_resources r JOIN checkpoints k ON "
		     "k.id = "
		     "r.checkpoint_id WHERE k.id = $1 AND k.copy_of IS NOT NULL AND r.point_id IS "
		     "NOT NULL",
		     db_t(id));
	int have = r ? 1 : -1;

	*ret = json_array();
	while (have > 0 && (have = db_next(r, e)) > 0)
		json_array_append_new(*ret, json_string(db_text(r, 0)));
	return have < 0 ? -1 : 0;
}

/* The last look before points are removed: whatever led here, what is available stays. */
static int check_may_go(struct db_tx *t, const char *id, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT status FROM checkpoints WHERE id = $1", db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have < 0)
		return -1;
	if (have &&
	    (strcmp(db_text(r, 0), "available") == 0 || strcmp(db_text(r, 0), "protecting") == 0 ||
	     strcmp(db_text(r, 0), "copying") == 0))
		return err_set(e, ERR_CONFLICT, "checkpoint '%s' is %s: its points stay", id,
			       db_text(r, 0));
	return 0;
}

/* By its tag, and so also points that no result told of. */
static int fill_delete(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		       struct err *e)
{
	const char *id = json_text_in(s->input, "checkpoint_id");
	json_t *points;
	int done;

	if (check_may_go(t, id, e) < 0)
		return -1;
	done = points_of_copy(t, id, &points, e);

	if (json_array_size(points))
		json_object_set(o, "points", points);
	else
		json_object_set_new(o, "checkpoint", json_string(id));
	json_decref(points);
	if (done < 0)
		return -1;
	return add_target(c, t, s, o, e);
}

static json_t *resource_json(const json_t *of)
{
	return json_pack("{s:s, s:O}", "type", "domain", "id", json_object_get(of, "id"));
}

/* What the plan says of resources of this type, with what it says of this very one on top. */
static void add_options(const json_t *parameters, const json_t *of, json_t *o)
{
	static const char *const names[] = {"consistency", "full"};
	AUTO_FREE char *own = xasprintf("%s#%s", json_text_in(of, "type"), json_text_in(of, "id"));
	const json_t *sets[] = {json_object_get(parameters, json_text_in(of, "type")),
				json_object_get(parameters, own)};

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (json_object_get(sets[i], names[k]))
				json_object_set(o, names[k], json_object_get(sets[i], names[k]));
}

/* Each with what the plan says of it, and no less than what the policies say of all, which is in
 * `o`. */
static json_t *resources_json(const json_t *list, const json_t *parameters, const json_t *o)
{
	const char *least = json_string_value(json_object_get(o, "consistency"));
	json_t *all = json_array();
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		json_t *r = resource_json(v);
		const char *consistency;

		json_object_set(r, "name", json_object_get(v, "name"));
		add_options(parameters, v, r);
		consistency = policy_stricter_consistency(
			json_string_value(json_object_get(r, "consistency")), least);
		if (consistency && least)
			json_object_set_new(r, "consistency", json_string(consistency));
		if (json_is_true(json_object_get(o, "full")))
			json_object_set_new(r, "full", json_true());
		json_array_append_new(all, r);
	}
	return all;
}

static int fill_protect(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
			struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT project_id, plan, plan_id, made_by FROM checkpoints WHERE id = $1",
		     db_t(s->subject));
	json_t *plan;
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no checkpoint '%s'.", s->subject);
	if (have < 0)
		return -1;
	plan = json_of(db_text(r, 1), "{}");
	json_object_set_new(o, "checkpoint", json_string(s->subject));
	json_object_set_new(o, "project", json_string(db_text(r, 0)));
	json_object_set(o, "plan", json_object_get(plan, "id"));
	json_object_set(o, "plan_name", json_object_get(plan, "name"));
	have = limits_add_ways(c, t, db_text(r, 2), db_text(r, 3), o, e);
	json_object_set_new(o, "resources",
			    resources_json(json_object_get(s->input, "resources"),
					   json_object_get(plan, "parameters"), o));
	json_decref(plan);
	if (have < 0)
		return -1;
	return add_platform(t, s, o, e) < 0 ? -1 : add_target(c, t, s, o, e);
}

/* How fast it may go: as the policies of the plan say that the operation is about. */
static int add_pace(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		    struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id FROM operation_links WHERE operation_id = $1 AND kind = 'plan'",
		     db_t(s->operation));
	int have = r ? db_next(r, e) : -1;

	return have > 0 ? limits_add_pace(c, t, db_text(r, 0), o, e) : have;
}

static int fill_restore(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
			struct err *e)
{
	static const char *const same[] = {"mode",  "directory", "pool", "networks",
					   "disks", "start",	 "stop", "keep_identity"};
	const json_t *options = json_object_get(s->input, "options");
	const char *state = json_text_in(s->input, "state");

	json_object_set_new(o, "mode", json_string("new"));
	json_object_set_new(o, "start", json_boolean(strcmp(state, "running") == 0));
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (json_object_get(options, same[i]))
			json_object_set(o, same[i], json_object_get(options, same[i]));
	if (json_object_get(options, "restore_name"))
		json_object_set(o, "name", json_object_get(options, "restore_name"));
	json_object_set(o, "point", json_object_get(s->input, "point"));
	json_object_set_new(o, "resource", resource_json(s->input));
	if (add_pace(c, t, s, o, e) < 0)
		return -1;
	return add_platform(t, s, o, e) < 0 ? -1 : add_target(c, t, s, o, e);
}

static int fill_copy(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		     struct err *e)
{
	json_t *to;

	if (repository_access(c, t, json_text_in(s->input, "to_repository_id"), &to, e) < 0)
		return -1;
	json_object_set_new(o, "to", to);
	json_object_set_new(o, "points", json_pack("[O]", json_object_get(s->input, "point")));
	if (add_pace(c, t, s, o, e) < 0)
		return -1;
	return add_target(c, t, s, o, e);
}

static int fill_verify(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		       struct err *e)
{
	const json_t *depth = json_object_get(json_object_get(s->input, "options"), "depth");

	json_object_set_new(o, "points", json_pack("[O]", json_object_get(s->input, "point")));
	/* Another step verifies the others of the point. */
	json_object_set(o, "resource", json_object_get(s->input, "id"));
	if (depth)
		json_object_set(o, "depth", (json_t *)depth);
	if (add_pace(c, t, s, o, e) < 0)
		return -1;
	return add_target(c, t, s, o, e);
}

static const struct {
	const char *kind;
	int (*fill)(struct core *c, struct db_tx *t, const struct flow_step *s, json_t *o,
		    struct err *e);
} fillers[] = {
	{"platform.list", fill_platform},   {"target.init", fill_init},
	{"target.measure", fill_check},	    {"target.collect", fill_target},
	{"target.verify", fill_target},	    {"checkpoint.protect", fill_protect},
	{"checkpoint.delete", fill_delete}, {"checkpoint.restore", fill_restore},
	{"checkpoint.verify", fill_verify}, {"checkpoint.copy", fill_copy},
};

int job_fill(void *arg, struct db_tx *t, const struct flow_step *s, json_t **ret_input,
	     struct err *e)
{
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
		if (strcmp(fillers[i].kind, s->kind) != 0)
			continue;
		if (fillers[i].fill(arg, t, s, o, e) == 0) {
			*ret_input = o;
			return 0;
		}
		json_decref(o);
		return -1;
	}
	json_decref(o);
	return err_set(e, ERR_INTERNAL, "nobody knows what a mover needs for '%s'", s->kind);
}
