/* SPDX-License-Identifier: Apache-2.0 */
#include "core/restore.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/checkpoint.h"
#include "core/ids.h"
#include "core/keep.h"
#include "core/limits.h"
#include "core/notify.h"
#include "core/operation.h"
#include "core/platform.h"
#include "core/protectable.h"
#include "core/storage.h"
#include "core/table.h"
#include "core/usage.h"
#include "core/window.h"

/* Restores and verifications differ in this alone. */
struct work {
	const char *table;     /* and link */
	const char *operation; /* kind of it */
	const char *step;      /* kind of its steps */
	const char *verb;
	bool verifies;
};
static const struct work restoring = {"restores", "restore", "checkpoint.restore", "restore",
				      false};
static const struct work verifying = {"verifications", "verify", "checkpoint.verify", "verify",
				      true};

/* ---- parameters ---- */

static int check_parameters(const struct work *w, const json_t *parameters, struct err *e)
{
	const char *key, *name;
	json_t *options, *v;

	json_object_foreach((json_t *)parameters, key, options)
	{
		const char *hash = strchr(key, '#');
		AUTO_FREE char *type =
			hash ? xasprintf("%.*s", (int)(hash - key), key) : xstrdup(key);
		const struct protectable *p = protectable_get(type);

		if (!p || !json_is_object(options))
			return err_set(e, ERR_INVALID,
				       "Invalid input for field/attribute %s.parameters. Value: "
				       "%.80s. The key has to be TYPE or TYPE#ID of a protectable "
				       "type, and its value an object.",
				       w->verb, key);
		json_object_foreach(options, name, v)
		{
			if (!protectable_has_option(w->verifies ? p->verify : p->restore, name))
				return err_set(e, ERR_INVALID,
					       "Invalid input for field/attribute "
					       "%s.parameters.%.80s. Value: %.60s. There is no "
					       "such option.",
					       w->verb, key, name);
		}
	}
	return 0;
}

static bool names_some(const json_t *parameters)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)parameters, key, v)
	{
		if (strchr(key, '#'))
			return true;
	}
	return false;
}

/* The type's options, with those of this very resource on top. The caller's. */
static json_t *options_of(const json_t *parameters, const char *type, const char *id)
{
	AUTO_FREE char *key = xasprintf("%s#%s", type, id);
	json_t *o = json_object();

	if (json_object_get(parameters, type))
		json_object_update(o, json_object_get(parameters, type));
	if (json_object_get(parameters, key))
		json_object_update(o, json_object_get(parameters, key));
	return o;
}

static bool chosen(const json_t *parameters, const char *type, const char *id)
{
	AUTO_FREE char *key = xasprintf("%s#%s", type, id);

	return !names_some(parameters) || json_object_get(parameters, key);
}

/* ---- starting ---- */

static int insert(struct db_tx *t, const struct work *w, const struct restore_new *n,
		  const char *id, struct err *e)
{
	AUTO_FREE char *parameters = n->parameters ? json_text(n->parameters) : xstrdup("{}");
	AUTO_FREE char *sql = xasprintf(
		"INSERT INTO %s (id, project_id, provider_id, checkpoint_id, parameters, status, "
		"resources_status, resources_reason, created_by, created_at%s) VALUES ($1, $2, $3, "
		"$4, $5, 'in_progress', '{}', '{}', $6, $7%s)",
		w->table, w->verifies ? "" : ", restore_target", w->verifies ? "" : ", $8");
	const struct db_value v[] = {
		db_t(id),	  db_t(n->project),    db_t(n->provider),     db_t(n->checkpoint),
		db_t(parameters), db_t(n->created_by), db_i(clock_wall_us()), db_t(n->target)};

	return db_exec_v(t, sql, v, w->verifies ? 7 : 8, NULL, e);
}

/* A resource of the checkpoint, as a row has it. */
struct item {
	const char *type, *id, *name, *platform, *repository, *point, *extra;
};

static int add_step(struct core *c, struct db_tx *t, const struct work *w,
		    const struct restore_new *n, const char *plan, const char *operation,
		    const struct item *i, struct err *e)
{
	const char *platform = n->target ? n->target : i->platform;
	AUTO_FREE char *name = xasprintf("%s %s", w->verb, i->name);
	AUTO_LIMITS limits = {0};
	char place[OPERATION_PLACE], step[UUID_TEXT];
	struct flow_step_new s = {.kind = w->step, .place = place, .name = name};
	json_t *extra = json_of(i->extra, "{}");
	int done = w->verifies ? repository_place(t, i->repository, place, e)
			       : platform_place(t, platform, place, e);

	/* Nobody who restores waits for what a policy says of backups. */
	if (!w->verifies)
		limits_add(&limits, "platform", platform);
	else if (done == 0)
		done = limits_of_plan(c, t, plan, i->repository, &limits, e);
	limits_of_step(&limits, &s);
	s.input = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "checkpoint_id",
			    n->checkpoint, "platform_id", platform, "repository_id", i->repository,
			    "point", i->point, "type", i->type, "id", i->id, "name", i->name,
			    "options", options_of(n->parameters, i->type, i->id), "state",
			    json_text_in(extra, "state"));
	if (done == 0)
		done = flow_add(c->flow, t, operation, &s, step, e);
	json_decref(s.input);
	json_decref(extra);
	return done;
}

static int add_steps(struct core *c, struct db_tx *t, const struct work *w,
		     const struct restore_new *n, const char *plan, const char *operation,
		     struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT type, id, name, platform_id, repository_id, point_id, extra_info FROM "
		     "checkpoint_resources WHERE checkpoint_id = $1 ORDER BY type, name",
		     db_t(n->checkpoint));
	size_t added = 0;
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		const struct item i = {.type = db_text(r, 0),
				       .id = db_text(r, 1),
				       .name = db_text(r, 2),
				       .platform = db_text(r, 3),
				       .repository = db_text(r, 4),
				       .point = db_text(r, 5),
				       .extra = db_text(r, 6)};

		if (!chosen(n->parameters, i.type, i.id))
			continue;
		if (add_step(c, t, w, n, plan, operation, &i, e) < 0)
			return -1;
		added++;
	}
	if (have < 0 || added)
		return have;
	return err_set(
		e, ERR_INVALID,
		"Invalid input for field/attribute %s.parameters. None of the resources that "
		"they name is in checkpoint '%s'.",
		w->verb, n->checkpoint);
}

static int check(struct db_tx *t, const struct work *w, const struct restore_new *n,
		 struct checkpoint **ret, struct err *e)
{
	AUTO(checkpoint) k = checkpoint_load(t, n->project, n->checkpoint, e);

	if (!k)
		return -1;
	if (strcmp(k->provider, n->provider) != 0)
		return err_set(e, ERR_NOENT, "There is no checkpoint '%s' of provider '%s'.",
			       n->checkpoint, n->provider);
	if (strcmp(k->status, "available") != 0)
		return err_set(e, ERR_CONFLICT,
			       "Checkpoint '%s' is %s: only one that is available can be used.",
			       n->checkpoint, k->status);
	if (check_parameters(w, n->parameters, e) < 0)
		return -1;
	*ret = steal(&k);
	return 0;
}

static int start(struct core *c, struct db_tx *t, const struct work *w, const struct restore_new *n,
		 char ret_id[UUID_TEXT], char ret_operation[UUID_TEXT], struct err *e)
{
	AUTO(checkpoint) k = NULL;
	AUTO_FREE char *name = NULL;
	struct operation_link links[4] = {{"checkpoint", n->checkpoint},
					  {"provider", n->provider},
					  {"plan", NULL},
					  {w->verifies ? "verification" : "restore", ret_id}};
	struct flow_operation_new o = {.kind = w->operation,
				       .project = n->project,
				       .subject = ret_id,
				       .created_by = n->created_by,
				       .priority = w->verifies ? -5 : 20};

	if (check(t, w, n, &k, e) < 0)
		return -1;
	name = xasprintf("%s %s", w->verb, k->name ? k->name : "a checkpoint");
	o.name = name;
	links[2].id = k->plan;
	new_id(ret_id);
	if (insert(t, w, n, ret_id, e) < 0 ||
	    operation_start(c, t, &o, links, 4, ret_operation, e) < 0)
		return -1;
	return add_steps(c, t, w, n, k->plan, ret_operation, e);
}

int restore_start(struct core *c, struct db_tx *t, const struct restore_new *n,
		  char ret_id[UUID_TEXT], char ret_operation[UUID_TEXT], struct err *e)
{
	return start(c, t, &restoring, n, ret_id, ret_operation, e);
}

int verification_start(struct core *c, struct db_tx *t, const struct restore_new *n,
		       char ret_id[UUID_TEXT], char ret_operation[UUID_TEXT], struct err *e)
{
	return start(c, t, &verifying, n, ret_id, ret_operation, e);
}

/* ---- what came of it ---- */

/* Note what became of one resource: {"TYPE#ID": text} in two columns. */
static int note(struct db_tx *t, const struct work *w, const struct flow_step *s, const char *id,
		const char *status, const char *reason, struct err *e)
{
	AUTO_FREE char *read = xasprintf(
		"SELECT resources_status, resources_reason FROM %s WHERE id = $1", w->table);
	AUTO_FREE char *write = xasprintf(
		"UPDATE %s SET resources_status = $2, resources_reason = $3 WHERE id = $1",
		w->table);
	AUTO_FREE char *key = xasprintf("%s#%s", json_text_in(s->input, "type"), id);
	AUTO_FREE char *a = NULL;
	AUTO_FREE char *b = NULL;
	AUTO(db_rows) r = db_query(t, e, read, db_t(s->subject));
	json_t *statuses, *reasons;
	int have = r ? db_next(r, e) : -1;

	if (have <= 0)
		return have;
	statuses = json_of(db_text(r, 0), "{}");
	reasons = json_of(db_text(r, 1), "{}");
	json_object_set_new(statuses, key, json_string(status));
	if (reason)
		json_object_set_new(reasons, key, json_string(reason));
	a = json_text(statuses);
	b = json_text(reasons);
	json_decref(statuses);
	json_decref(reasons);
	return db_exec(t, NULL, e, write, db_t(s->subject), db_t(a), db_t(b));
}

static int settle_restore(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	const char *id = json_text_in(s->result, "id");

	if (usage_restored(t, s->subject, json_text_in(s->input, "type"),
			   json_text_in(s->input, "id"), 1, e) < 0)
		return -1;
	return note(t, &restoring, s, *id ? id : json_text_in(s->input, "id"), "success", NULL, e);
}

static int failed_restore(struct db_tx *t, const struct flow_step *s, const struct err *why,
			  struct err *e)
{
	return note(t, &restoring, s, json_text_in(s->input, "id"), "fail", why->msg, e);
}

/* What was restored is gone again because something else failed. */
static int undone_restore(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	const char *id = json_text_in(s->result, "id");

	if (usage_restored(t, s->subject, json_text_in(s->input, "type"),
			   json_text_in(s->input, "id"), -1, e) < 0)
		return -1;
	return note(t, &restoring, s, *id ? id : json_text_in(s->input, "id"), "fail",
		    "It was restored, and removed again because the restore failed.", e);
}

static bool is_whole(const json_t *result)
{
	return json_integer_value(json_object_get(result, "damaged_checkpoints")) == 0 &&
	       json_array_size(json_object_get(result, "missing")) == 0;
}

static int settle_verify(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	bool whole = is_whole(s->result);
	const json_t *missing = json_object_get(s->result, "missing");
	char why[160];

	snprintf(why, sizeof(why), "%s: %lld damaged ranges; repair the target from a copy",
		 json_array_size(missing) ? "its recovery point is gone" : "it is damaged",
		 (long long)json_integer_value(json_object_get(s->result, "damaged_ranges")));
	return note(t, &verifying, s, json_text_in(s->input, "id"), whole ? "success" : "fail",
		    whole ? NULL : why, e);
}

static int failed_verify(struct db_tx *t, const struct flow_step *s, const struct err *why,
			 struct err *e)
{
	return note(t, &verifying, s, json_text_in(s->input, "id"), "fail", why->msg, e);
}

static int end(struct db_tx *t, const struct work *w, const char *id, bool good, const char *reason,
	       struct err *e)
{
	AUTO_FREE char *sql = xasprintf(
		"UPDATE %s SET status = $2, reason = $3, ended_at = $4 WHERE id = $1", w->table);

	return db_exec(t, NULL, e, sql, db_t(id), db_t(good ? "success" : "fail"), db_t(reason),
		       db_i(clock_wall_us()));
}

static int ended_restore(struct db_tx *t, const char *operation, const char *subject,
			 const char *state, const char *reason, struct err *e)
{
	bool good = strcmp(state, FLOW_SUCCEEDED) == 0;

	if (end(t, &restoring, subject, good, good ? NULL : reason, e) < 0)
		return -1;
	return operation_ended(t, operation, state, e);
}

static int ended_verify(struct db_tx *t, const char *operation, const char *subject,
			const char *state, const char *reason, struct err *e)
{
	AUTO(db_rows) r = NULL;
	bool ran = strcmp(state, FLOW_SUCCEEDED) == 0, whole;
	int have;

	r = db_query(t, e,
		     "SELECT resources_status, checkpoint_id FROM verifications WHERE id = $1",
		     db_t(subject));
	have = r ? db_next(r, e) : -1;
	if (have <= 0)
		return have;
	whole = ran && !strstr(db_text(r, 0), "\"fail\"");
	if (end(t, &verifying, subject, whole,
		whole ? NULL
		: ran ? "It is damaged."
		      : reason,
		e) < 0)
		return -1;
	if (operation_ended(t, operation, state, e) < 0)
		return -1;
	if (!ran)
		return 0;
	if (checkpoint_verified(core_current(), t, db_text(r, 1), whole, operation, clock_wall_us(),
				e) < 0)
		return -1;
	return keep_after_checkpoint(core_current(), t, operation, db_text(r, 1), e);
}

const struct flow_kind checkpoint_restore_kind = {.name = "checkpoint.restore",
						  .settle = settle_restore,
						  .failed = failed_restore,
						  .undone = undone_restore,
						  .mover_undoes = true,
						  .attempts = 3};
const struct flow_kind checkpoint_verify_kind = {.name = "checkpoint.verify",
						 .may_begin = window_may_begin,
						 .settle = settle_verify,
						 .failed = failed_verify,
						 .attempts = 3};
const struct flow_operation_kind operation_restore = {.name = "restore", .ended = ended_restore};
const struct flow_operation_kind operation_verify = {.name = "verify", .ended = ended_verify};
