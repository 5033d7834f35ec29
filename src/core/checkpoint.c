/* SPDX-License-Identifier: Apache-2.0 */
#include "core/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/coverage.h"
#include "core/notify.h"
#include "core/operation.h"
#include "core/storage.h"
#include "core/table.h"
#include "core/target_work.h"
#include "core/usage.h"

void checkpoint_free(struct checkpoint *k)
{
	if (!k)
		return;
	free(k->status);
	free(k->name);
	free(k);
}

struct checkpoint *checkpoint_load(struct db_tx *t, const char *project, const char *id,
				   struct err *e)
{
	AUTO(db_rows) r = NULL;
	struct checkpoint *k;
	json_t *plan;
	int have;

	r = db_query(t, e,
		     "SELECT id, project_id, provider_id, plan_id, status, hold, plan FROM "
		     "checkpoints WHERE id = $1",
		     db_t(id));
	have = r ? db_next(r, e) : -1;
	if (have < 0)
		return NULL;
	if (!have || (project && strcmp(project, db_text(r, 1)) != 0)) {
		err_set(e, ERR_NOENT, "There is no checkpoint '%s'.", id);
		return NULL;
	}
	k = xcalloc(1, sizeof(*k));
	snprintf(k->id, sizeof(k->id), "%s", db_text(r, 0));
	snprintf(k->project, sizeof(k->project), "%s", db_text(r, 1));
	snprintf(k->provider, sizeof(k->provider), "%s", db_text(r, 2));
	snprintf(k->plan, sizeof(k->plan), "%s", db_text(r, 3));
	k->status = xstrdup(db_text(r, 4));
	k->hold = db_int(r, 5);
	plan = json_of(db_text(r, 6), "{}");
	k->name = xstrdup0(json_string_value(json_object_get(plan, "name")));
	json_decref(plan);
	return k;
}

int checkpoint_changed(struct core *c, struct db_tx *t, const char *id, struct err *e)
{
	return usage_checkpoint(t, id, e) < 0 ? -1 : coverage_checkpoint(t, c->zones, id, e);
}

int checkpoint_verified(struct core *c, struct db_tx *t, const char *id, bool whole,
			const char *operation, uint64_t now_us, struct err *e)
{
	if (db_exec(t, NULL, e,
		    "UPDATE checkpoints SET verified_at = $2, verified_ok = $3 WHERE id = $1",
		    db_t(id), db_i(now_us), db_i(whole)) < 0 ||
	    checkpoint_changed(c, t, id, e) < 0)
		return -1;
	return notify_verified(t, id, whole, operation, now_us, e);
}

/* ---- deleting ---- */

int checkpoint_set_status(struct core *c, struct db_tx *t, const char *id, const char *status,
			  const char *reason, struct err *e)
{
	if (db_exec(t, NULL, e,
		    "UPDATE checkpoints SET status = $2, reason = $3, ended_at = $4 WHERE id = $1",
		    db_t(id), db_t(status), db_t(reason), db_i(clock_wall_us())) < 0)
		return -1;
	return checkpoint_changed(c, t, id, e);
}

int checkpoint_no_point(struct db_tx *t, const struct flow_step *s, const char *status,
			const char *reason, struct err *e)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(s->input, "resources"), i, v)
	{
		if (db_exec(t, NULL, e,
			    "UPDATE checkpoint_resources SET status = $4, reason = $5, point_id = "
			    "NULL WHERE checkpoint_id = $1 AND type = $2 AND id = $3",
			    db_t(s->subject), db_t(json_text_in(v, "type")),
			    db_t(json_text_in(v, "id")), db_t(status), db_t(reason)) < 0)
			return -1;
	}
	return 0;
}

/* ---- what points tell ---- */

#define SIZES 4
static const char *const sizes[SIZES] = {"content_bytes", "read_bytes", "new_bytes",
					 "stored_bytes"};

/* Sums over the disks of a resource. */
static void add_sizes(const json_t *resource, int64_t sum[SIZES])
{
	const json_t *d;
	size_t i;

	json_array_foreach(json_object_get(resource, "disks"), i, d)
	{
		for (size_t k = 0; k < SIZES; k++)
			sum[k] += json_integer_value(
				json_object_get(json_object_get(d, "stats"), sizes[k]));
	}
}

static const json_t *resource_in(const json_t *point, const char *id)
{
	const json_t *r;
	size_t i;

	json_array_foreach(json_object_get(point, "resources"), i, r)
	{
		if (strcmp(json_text_in(r, "id"), id) == 0)
			return r;
	}
	return NULL;
}

static int set_point(struct db_tx *t, const struct flow_step *s, const json_t *v,
		     const json_t *point, const int64_t sum[SIZES], struct err *e)
{
	const json_t *c = json_object_get(resource_in(point, json_text_in(v, "id")), "consistency");
	double frozen = json_number_value(json_object_get(c, "frozen_seconds"));

	return db_exec(
		t, NULL, e,
		"UPDATE checkpoint_resources SET status = 'available', reason = NULL, point_id = "
		"$4, consistency = $5, consistency_reason = $6, frozen_us = $7, instant_at = $8, "
		"window_us = $9, bytes_total = $10, bytes_read = $11, bytes_new = $12, "
		"bytes_stored = $13 WHERE checkpoint_id = $1 AND type = $2 AND id = $3",
		db_t(s->subject), db_t(json_text_in(v, "type")), db_t(json_text_in(v, "id")),
		db_t(json_text_in(point, "id")),
		db_t(json_string_value(json_object_get(c, "achieved"))),
		db_t(json_string_value(json_object_get(c, "why_less"))),
		db_i((int64_t)(frozen * 1e6)),
		db_i(json_integer_value(json_object_get(point, "instant_us"))),
		db_i(json_integer_value(json_object_get(point, "window_us"))), db_i(sum[0]),
		db_i(sum[1]), db_i(sum[2]), db_i(sum[3]));
}

int checkpoint_has_point(struct db_tx *t, const struct flow_step *s, const json_t *point,
			 struct err *e)
{
	const json_t *list = json_object_get(s->input, "resources"), *v;
	const json_t *stats = json_object_get(point, "stats");
	int64_t rest[SIZES];
	size_t i;

	/* What the disks do not account for, as what describes them, is counted with the first. */
	for (size_t k = 0; k < SIZES; k++)
		rest[k] = json_integer_value(json_object_get(stats, sizes[k]));
	json_array_foreach(list, i, v)
	{
		int64_t sum[SIZES] = {0};

		add_sizes(resource_in(point, json_text_in(v, "id")), sum);
		for (size_t k = 0; k < SIZES; k++)
			rest[k] -= sum[k];
	}
	json_array_foreach(list, i, v)
	{
		int64_t sum[SIZES] = {0};

		add_sizes(resource_in(point, json_text_in(v, "id")), sum);
		for (size_t k = 0; k < SIZES && i == 0; k++)
			sum[k] += rest[k];
		if (set_point(t, s, v, point, sum, e) < 0)
			return -1;
	}
	return 0;
}

static int check_unused(struct db_tx *t, const struct checkpoint *k, struct err *e)
{
	static const char *const users[] = {"restore", "verify", "copy"};
	char operation[UUID_TEXT];

	if (k->hold)
		return err_set(e, ERR_CONFLICT,
			       "Checkpoint '%s' is held: release it before it is deleted.", k->id);
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		int live = operation_live(t, "checkpoint", k->id, users[i], operation, e);

		if (live < 0)
			return -1;
		if (live)
			return err_set(e, ERR_CONFLICT,
				       "Checkpoint '%s' is in use by operation %s (%s): wait for "
				       "it, or cancel it.",
				       k->id, operation, users[i]);
	}
	return 0;
}

static int start_delete(struct core *c, struct db_tx *t, const char *kind,
			const struct checkpoint *k, const char *repository, const char *created_by,
			char ret_operation[UUID_TEXT], struct err *e)
{
	const struct operation_link links[] = {{"checkpoint", k->id},
					       {"plan", k->plan},
					       {"provider", k->provider},
					       {"repository", repository}};
	AUTO_FREE char *name = xasprintf("delete a checkpoint of %s", k->name ? k->name : "?");
	struct flow_operation_new o = {.kind = kind,
				       .project = k->project,
				       .subject = k->id,
				       .name = name,
				       .created_by = created_by};
	char place[OPERATION_PLACE];
	struct flow_step_new s = {
		.kind = "checkpoint.delete", .place = place, .name = "delete its points"};
	int done;

	if (repository_place(t, repository, place, e) < 0)
		return -1;
	s.input = json_pack("{s:s, s:s}", "repository_id", repository, "checkpoint_id", k->id);
	done = operation_start_one(c, t, &o, links, 4, &s, ret_operation, e);
	json_decref(s.input);
	return done;
}

/*
 * The repository that has points of this checkpoint; "" if none was ever made. That it cannot be
 * reached is not the same: then there may be points.
 */
static int repository_with(struct db_tx *t, const char *id, char ret[UUID_TEXT], struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT r.id FROM checkpoint_resources k JOIN repositories r ON r.id = "
		     "k.repository_id WHERE k.checkpoint_id = $1 AND r.made_at IS NOT NULL LIMIT 1",
		     db_t(id));
	int have = r ? db_next(r, e) : -1;

	snprintf(ret, UUID_TEXT, "%s", have > 0 ? db_text(r, 0) : "");
	return have < 0 ? -1 : 0;
}

int checkpoint_delete(struct core *c, struct db_tx *t, const char *project, const char *id,
		      const char *created_by, char ret_operation[UUID_TEXT], struct err *e)
{
	AUTO(checkpoint) k = checkpoint_load(t, project, id, e);
	char repository[UUID_TEXT];
	int live;

	ret_operation[0] = 0;
	if (!k || check_unused(t, k, e) < 0)
		return -1;
	if (strcmp(k->status, "deleted") == 0)
		return 0;
	live = operation_live(t, "checkpoint", id, "delete", ret_operation, e);
	if (live)
		return live < 0 ? -1 : 0;
	live = operation_live(t, "checkpoint", id, "protect", ret_operation, e);
	if (live < 0)
		return -1;
	if (live) /* the end of that operation sees that it is to go */
		return flow_cancel(c->flow, t, ret_operation, e) < 0 && e->kind != ERR_CONFLICT
			       ? -1
			       : checkpoint_set_status(c, t, id, "deleting", NULL, e);
	if (repository_with(t, id, repository, e) < 0)
		return -1;
	if (!*repository)
		return checkpoint_set_status(c, t, id, "deleted", NULL, e);
	if (checkpoint_set_status(c, t, id, "deleting", NULL, e) < 0)
		return -1;
	return start_delete(c, t, "delete", k, repository, created_by, ret_operation, e);
}

static int ended_delete(struct db_tx *t, const char *operation, const char *subject,
			const char *state, const char *reason, struct err *e)
{
	struct core *c = core_current();
	char repository[UUID_TEXT], collect[UUID_TEXT];

	if (operation_ended(t, operation, state, e) < 0)
		return -1;
	if (strcmp(state, FLOW_SUCCEEDED) != 0)
		return checkpoint_set_status(c, t, subject, "error-deleting", reason, e);
	if (repository_with(t, subject, repository, e) < 0 ||
	    checkpoint_set_status(c, t, subject, "deleted", NULL, e) < 0 ||
	    db_exec(t, NULL, e, "DELETE FROM checkpoint_resources WHERE checkpoint_id = $1",
		    db_t(subject)) < 0)
		return -1;
	return *repository ? repository_collect(c, t, repository, "retention", collect, e) : 0;
}

int checkpoint_clean(struct core *c, struct db_tx *t, const struct checkpoint *k, struct err *e)
{
	char repository[UUID_TEXT], operation[UUID_TEXT];

	if (repository_with(t, k->id, repository, e) < 0)
		return -1;
	return *repository ? start_delete(c, t, "clean", k, repository, "server", operation, e) : 0;
}

int checkpoint_available(struct core *c, struct db_tx *t, const char *id, struct err *e)
{
	if (db_exec(t, NULL, e,
		    "UPDATE checkpoints SET status = 'available', reason = NULL, ended_at = $2, "
		    "good_at = coalesce(good_at, $2), "
		    "instant_at = (SELECT min(instant_at) FROM checkpoint_resources r WHERE "
		    "r.checkpoint_id = checkpoints.id), bytes_total = (SELECT sum(bytes_total) "
		    "FROM checkpoint_resources r WHERE r.checkpoint_id = checkpoints.id), "
		    "bytes_read = (SELECT sum(bytes_read) FROM checkpoint_resources r WHERE "
		    "r.checkpoint_id = checkpoints.id), bytes_new = (SELECT sum(bytes_new) FROM "
		    "checkpoint_resources r WHERE r.checkpoint_id = checkpoints.id), "
		    "bytes_stored = (SELECT sum(bytes_stored) FROM checkpoint_resources r WHERE "
		    "r.checkpoint_id = checkpoints.id) WHERE id = $1",
		    db_t(id), db_i(clock_wall_us())) < 0)
		return -1;
	return checkpoint_changed(c, t, id, e);
}

/* ---- by hand ---- */

int checkpoint_reset(struct core *c, struct db_tx *t, const char *id, const char *state,
		     struct err *e)
{
	AUTO(db_rows) r = NULL;
	char operation[UUID_TEXT];
	int live = operation_live(t, "checkpoint", id, NULL, operation, e);

	if (live < 0)
		return -1;
	if (live)
		return err_set(e, ERR_INVALID,
			       "The state of checkpoint '%s' cannot be reset: operation %s is at "
			       "work on it; cancel it first.",
			       id, operation);
	if (strcmp(state, "available") != 0)
		return checkpoint_set_status(c, t, id, state, "Its state was reset by hand.", e);
	r = db_query(t, e,
		     "SELECT count(*), count(point_id) FROM checkpoint_resources WHERE "
		     "checkpoint_id = $1",
		     db_t(id));
	if (!r || db_next(r, e) < 0)
		return -1;
	if (db_int(r, 0) > 0 && db_int(r, 0) == db_int(r, 1))
		return checkpoint_set_status(c, t, id, state, NULL, e);
	return err_set(
		e, ERR_INVALID,
		"Checkpoint '%s' cannot be made available: %lld of its %lld resources have a "
		"recovery point.",
		id, (long long)db_int(r, 1), (long long)db_int(r, 0));
}

int checkpoint_hold(struct db_tx *t, const char *id, bool hold, const char *reason, struct err *e)
{
	return db_exec(t, NULL, e,
		       "UPDATE checkpoints SET hold = $2, hold_reason = $3 WHERE id = $1", db_t(id),
		       db_i(hold), db_t(reason));
}

/* ---- the graph ---- */

char *checkpoint_graph(const json_t *resources)
{
	json_t *nodes = json_object(), *graph, *v;
	AUTO_FREE char *text = NULL;
	char name[24];
	size_t i;

	json_array_foreach((json_t *)resources, i, v)
	{
		snprintf(name, sizeof(name), "0x%zx", i);
		json_object_set_new(nodes, name,
				    json_pack("[O, O, O, O?]", json_object_get(v, "type"),
					      json_object_get(v, "id"), json_object_get(v, "name"),
					      json_object_get(v, "extra_info")));
	}
	graph = json_pack("[o, []]", nodes);
	text = json_text(graph);
	json_decref(graph);
	return steal(&text);
}

const struct flow_kind checkpoint_delete_kind = {.name = "checkpoint.delete"};
const struct flow_operation_kind operation_clean = {.name = "clean"};
const struct flow_operation_kind operation_delete = {.name = "delete", .ended = ended_delete};
