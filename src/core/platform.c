/* SPDX-License-Identifier: Apache-2.0 */
#include "core/platform.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/coverage.h"
#include "core/ids.h"
#include "core/notify.h"
#include "core/operation.h"
#include "core/protectable.h"
#include "core/table.h"

int platform_insert(struct db_tx *t, const struct platform_new *n, char ret_id[UUID_TEXT],
		    struct err *e)
{
	if (strcmp(n->kind, "libvirt") != 0)
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute platform.kind. Value: %.60s. It "
			       "has to be one of: libvirt.",
			       n->kind);
	new_id(ret_id);
	return db_exec(t, NULL, e,
		       "INSERT INTO platforms (id, project_id, name, description, kind, uri, "
		       "mover_id, status, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, "
		       "$7, 'unknown', $8, $8)",
		       db_t(ret_id), db_t0(n->project), db_t(n->name), db_t(n->description),
		       db_t(n->kind), db_t(n->uri), db_t0(n->mover), db_i(clock_wall_us()));
}

struct row {
	char *kind, *uri, *name, *mover, *project;
};

static void row_done(struct row *r)
{
	free(r->kind);
	free(r->uri);
	free(r->name);
	free(r->mover);
	free(r->project);
}

static int load(struct db_tx *t, const char *id, struct row *ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT kind, uri, name, mover_id, project_id FROM platforms WHERE id = $1",
		     db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no platform '%s' any more.", id);
	if (have < 0)
		return -1;
	ret->kind = xstrdup(db_text(r, 0));
	ret->uri = xstrdup(db_text(r, 1));
	ret->name = xstrdup(db_text(r, 2));
	ret->mover = xstrdup(db_text(r, 3));
	ret->project = xstrdup(db_text(r, 4));
	return 0;
}

int platform_place(struct db_tx *t, const char *id, char ret[OPERATION_PLACE], struct err *e)
{
	CLEANUP(row_done) struct row r = {NULL};

	if (load(t, id, &r, e) < 0)
		return -1;
	operation_place(r.mover, ret);
	return 0;
}

int platform_access(struct db_tx *t, const char *id, json_t **ret, struct err *e)
{
	CLEANUP(row_done) struct row r = {NULL};

	if (load(t, id, &r, e) < 0)
		return -1;
	*ret = json_pack("{s:s, s:s}", "kind", r.kind, "uri", r.uri);
	return 0;
}

/* Plans of this project see it, or do not any more. */
static int found_one(struct core *c, struct db_tx *t, const char *project, const char *type,
		     const char *id, struct err *e)
{
	struct coverage_things one = {NULL};
	int done;

	coverage_add(&one, type, id);
	done = coverage_found(t, c->zones, project, &one, e);
	coverage_things_done(&one);
	return done;
}

int resource_assign(struct core *c, struct db_tx *t, const char *platform, const char *type,
		    const char *id, const char *project, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT project_id FROM resources WHERE platform_id = $1 AND type = $2 AND id "
		     "= $3",
		     db_t(platform), db_t(type), db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have < 0)
		return -1;
	if (!have)
		return err_set(e, ERR_NOENT, "There is no %s '%s' on platform '%s'.", type, id,
			       platform);
	/* What the new one's plans have of it is worked out below; nobody's is unprotected. */
	if (db_exec(t, NULL, e,
		    "UPDATE resources SET project_id = $4, plans = '[]', n_plans = 0, good_at = "
		    "NULL, checkpoint_id = NULL, size_bytes = NULL, due_at = NULL, failing = 0, "
		    "failed_reason = NULL, excluded = 0, excluded_reason = NULL WHERE platform_id "
		    "= $1 AND type = $2 AND id = $3",
		    db_t(platform), db_t(type), db_t(id), db_t0(project)) < 0)
		return -1;
	if (!db_is_null(r, 0) && found_one(c, t, db_text(r, 0), type, id, e) < 0)
		return -1;
	return *project ? found_one(c, t, project, type, id, e) : 0;
}

/* ---- discovery ---- */

static int add_list(struct core *c, struct db_tx *t, const char *operation, const char *id,
		    const struct row *r, char ret_step[UUID_TEXT], struct err *e)
{
	AUTO_FREE char *name = xasprintf("list what is on %s", r->name);
	char place[OPERATION_PLACE];
	struct flow_step_new s = {
		.kind = "platform.list", .place = operation_place(r->mover, place), .name = name};
	int done;

	s.input = json_pack("{s:s}", "platform_id", id);
	done = flow_add(c->flow, t, operation, &s, ret_step, e);
	json_decref(s.input);
	return done;
}

int platform_add_list(struct core *c, struct db_tx *t, const char *operation, const char *id,
		      char ret_step[UUID_TEXT], struct err *e)
{
	CLEANUP(row_done) struct row r = {NULL};

	return load(t, id, &r, e) < 0 ? -1 : add_list(c, t, operation, id, &r, ret_step, e);
}

int platform_discover(struct core *c, struct db_tx *t, const char *id, const char *created_by,
		      char ret_operation[UUID_TEXT], struct err *e)
{
	const struct operation_link link = {"platform", id};
	CLEANUP(row_done) struct row r = {NULL};
	AUTO_FREE char *name = NULL;
	struct flow_operation_new o = {
		.kind = "discover", .subject = id, .created_by = created_by, .priority = 10};
	char step[UUID_TEXT];
	int live;

	if (load(t, id, &r, e) < 0)
		return -1;
	live = operation_live(t, "platform", id, "discover", ret_operation, e);
	if (live)
		return live < 0 ? -1 : 0;
	name = xasprintf("discover platform %s", r.name);
	o.name = name;
	o.project = r.project;
	if (operation_start(c, t, &o, &link, 1, ret_operation, e) < 0)
		return -1;
	return add_list(c, t, ret_operation, id, &r, step, e);
}

static const char *type_of(const char *driver_type)
{
	return strcmp(driver_type, "domain") == 0 ? PROTECTABLE_SERVER : NULL;
}

/* What of it plans look at, and whose it is, as it was. */
struct before {
	bool there;
	char *name, *state, *project;
};

static void before_done(struct before *b)
{
	free(b->name);
	free(b->state);
	free(b->project);
}

static int load_before(struct db_tx *t, const char *platform, const char *type, const char *id,
		       struct before *ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT name, state, project_id, gone_at FROM resources WHERE platform_id = "
		     "$1 AND type = $2 AND id = $3",
		     db_t(platform), db_t(type), db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	*ret = (struct before){db_is_null(r, 3), xstrdup(db_text(r, 0)), xstrdup(db_text(r, 1)),
			       xstrdup(db_text(r, 2))};
	return 0;
}

/* Those that changed, by project: their plans are looked at when all is stored. */
struct found {
	json_t *projects; /* project to an array of [type, id] */
};

static void note_change(struct found *f, const char *project, const char *type, const char *id)
{
	json_t *list = json_object_get(f->projects, project);

	if (!*project)
		return;
	if (!list) {
		list = json_array();
		json_object_set_new(f->projects, project, list);
	}
	json_array_append_new(list, json_pack("[s, s]", type, id));
}

static int look_at_plans(struct core *c, struct db_tx *t, const struct found *f, struct err *e)
{
	const char *project;
	json_t *list, *v;
	size_t i;

	json_object_foreach(f->projects, project, list)
	{
		struct coverage_things things = {NULL};
		int done;

		json_array_foreach(list, i, v)
			coverage_add(&things, json_string_value(json_array_get(v, 0)),
				     json_string_value(json_array_get(v, 1)));
		done = coverage_found(t, c->zones, project, &things, e);
		coverage_things_done(&things);
		if (done < 0)
			return -1;
	}
	return 0;
}

static int store_resource(struct db_tx *t, const char *platform, const struct row *p,
			  const json_t *v, uint64_t now, struct found *f, struct err *e)
{
	const char *type = type_of(json_text_in(v, "type")), *id = json_text_in(v, "id");
	const char *name = json_text_in(v, "name"), *state = json_text_in(v, "state");
	CLEANUP(before_done) struct before was = {false};
	AUTO_FREE char *text = NULL;
	json_t *extra;

	if (!type)
		return 0;
	extra = json_pack("{s:s, s:s, s:s, s:O?, s:O*}", "platform_id", platform, "platform",
			  p->name, "state", state, "disks", json_object_get(v, "disks"), "networks",
			  json_object_get(v, "networks"));
	text = json_text(extra);
	json_decref(extra);
	if (load_before(t, platform, type, id, &was, e) < 0 ||
	    db_exec(t, NULL, e,
		    "INSERT INTO resources (platform_id, type, id, project_id, name, state, "
		    "extra_info, first_seen_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
		    "$8) ON CONFLICT (platform_id, type, id) DO UPDATE SET name = excluded.name, "
		    "state = excluded.state, extra_info = excluded.extra_info, seen_at = "
		    "excluded.seen_at, gone_at = NULL",
		    db_t(platform), db_t(type), db_t(id), db_t0(p->project), db_t(name),
		    db_t(state), db_t(text), db_i(now)) < 0)
		return -1;
	if (!was.there || strcmp(was.name, name) != 0 || strcmp(was.state, state) != 0)
		note_change(f, was.project ? was.project : p->project, type, id);
	return 0;
}

/* What was not listed any more. */
static int mark_gone(struct db_tx *t, const char *platform, uint64_t now, struct found *f,
		     struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT project_id, type, id FROM resources WHERE platform_id = $1 AND "
		     "seen_at < $2 AND gone_at IS NULL",
		     db_t(platform), db_i(now));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		note_change(f, db_text(r, 0), db_text(r, 1), db_text(r, 2));
	if (have < 0)
		return -1;
	return db_exec(t, NULL, e,
		       "UPDATE resources SET gone_at = $2 WHERE platform_id = $1 AND seen_at < $2 "
		       "AND gone_at IS NULL",
		       db_t(platform), db_i(now));
}

static int forget_resources(struct core *c, struct db_tx *t, const char *platform, struct err *e)
{
	struct found f = {json_object()};
	int done = mark_gone(t, platform, INT64_MAX, &f, e);

	if (done == 0)
		done = db_exec(t, NULL, e, "DELETE FROM resources WHERE platform_id = $1",
			       db_t(platform));
	if (done == 0)
		done = look_at_plans(c, t, &f, e);
	json_decref(f.projects);
	return done;
}

int platform_remove(struct core *c, struct db_tx *t, const char *id, struct err *e)
{
	char operation[UUID_TEXT];
	uint64_t n;
	int live = operation_live(t, "platform", id, NULL, operation, e);

	if (live > 0)
		return err_set(
			e, ERR_BUSY,
			"Platform '%s' is in use by operation %s: wait for it, or cancel it.", id,
			operation);
	if (live < 0 || forget_resources(c, t, id, e) < 0 ||
	    db_exec(t, &n, e, "DELETE FROM platforms WHERE id = $1", db_t(id)) < 0)
		return -1;
	return n ? 0 : err_set(e, ERR_NOENT, "There is no platform '%s'.", id);
}

static int store_list(struct db_tx *t, const char *platform, const struct row *p,
		      const json_t *resources, uint64_t now, struct err *e)
{
	struct found f = {json_object()};
	const json_t *v;
	size_t i;
	int done = 0;

	json_array_foreach((json_t *)resources, i, v)
	{
		if (done == 0)
			done = store_resource(t, platform, p, v, now, &f, e);
	}
	if (done == 0)
		done = mark_gone(t, platform, now, &f, e);
	if (done == 0)
		done = look_at_plans(core_current(), t, &f, e);
	json_decref(f.projects);
	return done;
}

#define DISCOVER_EVERY_US 300000000

static int settle_list(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	const char *id = json_text_in(s->input, "platform_id");
	const json_t *offers = json_object_get(s->result, "offers");
	CLEANUP(row_done) struct row p = {NULL};
	AUTO_FREE char *offered = offers ? json_text(offers) : NULL;
	uint64_t now = clock_wall_us();

	if (load(t, id, &p, e) < 0 ||
	    store_list(t, id, &p, json_object_get(s->result, "resources"), now, e) < 0)
		return -1;
	if (db_exec(t, NULL, e,
		    "UPDATE platforms SET status = 'available', reason = NULL, checked_at = $2, "
		    "discover_at = $3, offers = $4 WHERE id = $1",
		    db_t(id), db_i(now), db_i(now + DISCOVER_EVERY_US), db_t0(offered)) < 0)
		return -1;
	return notify_platform(t, id, NULL, now, e);
}

static int failed_list(struct db_tx *t, const struct flow_step *s, const struct err *why,
		       struct err *e)
{
	const char *id = json_text_in(s->input, "platform_id");
	uint64_t now = clock_wall_us();

	if (db_exec(t, NULL, e,
		    "UPDATE platforms SET status = 'error', reason = $2, checked_at = $3, "
		    "discover_at = $4 WHERE id = $1",
		    db_t(id), db_t(why->msg), db_i(now), db_i(now + DISCOVER_EVERY_US)) < 0)
		return -1;
	return why->kind == ERR_CANCELLED ? 0 : notify_platform(t, id, why->msg, now, e);
}

const struct flow_kind platform_list_kind = {
	.name = "platform.list", .settle = settle_list, .failed = failed_list, .attempts = 3};
const struct flow_operation_kind operation_discover = {.name = "discover"};
