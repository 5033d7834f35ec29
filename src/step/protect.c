/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protecting resources that belong together; mostly one. An attempt that died before its commit
 * leaves nothing but reclaimable space; one that died after it left a point with the tags of its
 * checkpoint and resources, which the next attempt finds and takes for its own result. So what
 * comes out is one point. (Two attempts can only both commit if the first was taken for dead and
 * lives: who deletes a checkpoint deletes by its tag, and so both.)
 */
#include <stdio.h>
#include <string.h>

#include "net/fields.h"
#include "step/kinds.h"
#include "step/open.h"
#include "step/points.h"

#define TAGS_MAX 50
#define FREEZE_DEFAULT_MS 10000
#define FREEZE_MAX_MS 60000
#define LOCK_MAX_S ((int64_t)100 * 366 * 86400)

struct protecting {
	const json_t *platform, *target, *list, *tags, *disks, *except, *lock;
	const char *checkpoint, *project, *plan, *plan_name, *consistency, *scratch;
	int64_t freeze_ms, scratch_reserve, level, bytes_per_s;
	bool full;
	struct protect_machine machines[STEP_TOGETHER_MOST];
	size_t n;
};

static const char *const consistencies[] = {"off", "best-effort", "required", NULL};
static const char *const lock_modes[] = {"governance", "compliance", NULL};
static const char *const types[] = {"domain", NULL};

static enum consistency consistency_of(const char *name)
{
	if (!name || strcmp(name, "best-effort") == 0)
		return CONSISTENCY_BEST_EFFORT;
	return strcmp(name, "off") == 0 ? CONSISTENCY_OFF : CONSISTENCY_REQUIRED;
}

/* One of the resources; what it does not say is as for all. */
static int take_resource(const json_t *resource, struct protecting *p, size_t i, struct err *e)
{
	struct protect_machine *m = &p->machines[i];
	const char *type, *name = NULL, *consistency = p->consistency;
	char path[32];
	const struct field f[] = {
		{"type", FIELD_TEXT, &type, .needed = true, .among = types},
		{"id", FIELD_UUID, &m->resource, .needed = true},
		{"name", FIELD_TEXT, &name, .most = 255},
		{"consistency", FIELD_TEXT, &consistency, .among = consistencies},
		{"full", FIELD_FLAG, &m->full},
	};

	snprintf(path, sizeof(path), "resources[%zu]", i);
	m->full = p->full;
	if (fields_take(resource, path, f, ARRAY_LEN(f), e) < 0)
		return -1;
	m->consistency = consistency_of(consistency);
	return 0;
}

static int take_input(const struct step *s, struct protecting *p, struct err *e)
{
	const struct field f[] = {
		{"platform", FIELD_OBJECT, &p->platform, .needed = true},
		{"target", FIELD_OBJECT, &p->target, .needed = true},
		{"resources", FIELD_LIST, &p->list, .needed = true, .most = STEP_TOGETHER_MOST},
		{"checkpoint", FIELD_UUID, &p->checkpoint, .needed = true},
		{"project", FIELD_TEXT, &p->project, .needed = true, .most = 255},
		{"plan", FIELD_TEXT, &p->plan, .most = 255},
		{"plan_name", FIELD_TEXT, &p->plan_name, .most = 255},
		{"tags", FIELD_OBJECT, &p->tags, .most = TAGS_MAX},
		{"disks", FIELD_LIST, &p->disks},
		{"except", FIELD_LIST, &p->except},
		{"consistency", FIELD_TEXT, &p->consistency, .among = consistencies},
		{"freeze_timeout_ms", FIELD_NUMBER, &p->freeze_ms, .least = 1,
		 .most = FREEZE_MAX_MS},
		{"scratch", FIELD_TEXT, &p->scratch},
		{"scratch_reserve_bytes", FIELD_NUMBER, &p->scratch_reserve, .most = INT64_MAX},
		{"full", FIELD_FLAG, &p->full},
		{"compression", FIELD_NUMBER, &p->level, .least = 1, .most = 19},
		{"bytes_per_s", FIELD_NUMBER, &p->bytes_per_s, .most = INT64_MAX},
		{"lock", FIELD_OBJECT, &p->lock},
	};

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0)
		return -1;
	if (json_array_size(p->list) == 0)
		return err_set(e, ERR_INVALID, "resources must hold at least one");
	for (p->n = 0; p->n < json_array_size(p->list); p->n++)
		if (take_resource(json_array_get(p->list, p->n), p, p->n, e) < 0)
			return -1;
	return 0;
}

/* ---- tags ---- */

static void add_tag(struct point *p, const char *key, const char *value)
{
	AUTO_FREE char *tag = value ? xasprintf("%s=%s", key, value) : NULL;

	if (tag)
		point_add_tag(p, tag);
}

static int add_tags(const struct protecting *p, struct point *point, struct err *e)
{
	const char *key;
	json_t *value;

	add_tag(point, TAG_PROJECT, p->project);
	add_tag(point, TAG_PLAN, p->plan);
	add_tag(point, TAG_PLAN_NAME, p->plan_name);
	add_tag(point, TAG_CHECKPOINT, p->checkpoint);
	for (size_t i = 0; i < p->n; i++)
		add_tag(point, TAG_RESOURCE, p->machines[i].resource);
	json_object_foreach((json_t *)p->tags, key, value)
	{
		if (!*key || strchr(key, '=') || strlen(key) > 255 ||
		    strncmp(key, TAG_OURS, strlen(TAG_OURS)) == 0)
			return err_set(
				e, ERR_INVALID,
				"tags: '%.64s' is no name for a tag: it has no '=' in it and "
				"does not begin with '" TAG_OURS "'",
				key);
		if (!json_is_string(value) || json_string_length(value) > 255)
			return err_set(e, ERR_INVALID,
				       "tags.%.64s must be a text of at most 255 bytes", key);
		add_tag(point, key, json_string_value(value));
	}
	return 0;
}

/* ---- what an earlier attempt did ---- */

/* The tags of a step's resources are those of its point, and of no other of the checkpoint. */
static bool is_ours(const struct point *point, const struct protecting *p)
{
	return uuid_is_zero(&point->origin) &&
	       step_point_has_tag(point, TAG_CHECKPOINT, p->checkpoint) &&
	       step_point_has_tag(point, TAG_RESOURCE, p->machines[0].resource);
}

static const struct point *find_done(const struct point_list *l, const struct protecting *p)
{
	for (size_t i = 0; i < l->n; i++) {
		if (is_ours(l->points[i], p))
			return l->points[i];
	}
	return NULL;
}

/* ---- running ---- */

static int take_lock(const json_t *lock, struct lock_ask *ret, struct err *e)
{
	const char *mode = NULL;
	int64_t seconds = 0;
	const struct field f[] = {
		{"mode", FIELD_TEXT, &mode, .needed = true, .among = lock_modes},
		{"seconds", FIELD_NUMBER, &seconds, .needed = true, .least = 1, .most = LOCK_MAX_S},
	};

	if (!lock)
		return 0;
	if (fields_take(lock, "lock", f, ARRAY_LEN(f), e) < 0)
		return -1;
	ret->mode = strcmp(mode, "compliance") == 0 ? LOCK_COMPLIANCE : LOCK_GOVERNANCE;
	ret->for_us = (uint64_t)seconds * 1000000;
	return 0;
}

static int protect(const struct step *s, struct protecting *p, const struct step_target *t,
		   const struct point_list *history, struct pace *pace, json_t **ret, struct err *e)
{
	AUTO_FREE const char **only = p->disks ? fields_texts(p->disks, "disks", e) : NULL;
	AUTO_FREE const char **except = p->except ? fields_texts(p->except, "except", e) : NULL;
	AUTO(point) point = point_new();
	AUTO(platform) platform = NULL;
	struct protect job = {.machines = p->machines,
			      .n_machines = p->n,
			      .freeze_timeout_us = (uint64_t)p->freeze_ms * 1000,
			      .scratch = p->scratch,
			      .scratch_reserve = (uint64_t)p->scratch_reserve,
			      .pace = pace,
			      .self = s->self,
			      .packing = {.level = (int)p->level},
			      .repo = t->repo,
			      .history = history,
			      .point = point,
			      .watch = s->watch};

	if ((p->disks && !only) || (p->except && !except) ||
	    take_lock(p->lock, &job.packing.lock, e) < 0 || add_tags(p, point, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		p->machines[i].only = only;
		p->machines[i].except = except;
	}
	platform = step_open_platform(p->platform, e);
	if (!platform || platform->ops->protect(platform, &job, e) < 0)
		return -1;
	*ret = step_point_json(point);
	return 0;
}

static int protect_once(const struct step *s, struct protecting *p, const struct step_target *t,
			json_t **ret, struct err *e)
{
	struct point_list history = {0};
	const struct point *done;
	struct pace pace;
	int rc = 0;

	if (repo_check_writable(t->repo, e) < 0 || point_list_load(t->repo, &history, e) < 0)
		return -1;
	done = find_done(&history, p);
	if (done) {
		platform_note(&s->watch, LOG_LEVEL_INFO,
			      "an earlier attempt had completed this: its result is taken");
		*ret = step_point_json(done);
	} else {
		pace_init(&pace, (uint64_t)p->bytes_per_s);
		rc = protect(s, p, t, &history, &pace, ret, e);
		pace_done(&pace);
	}
	point_list_done(&history);
	return rc;
}

int step_protect(const struct step *s, json_t **ret, struct err *e)
{
	struct protecting p = {.freeze_ms = FREEZE_DEFAULT_MS};
	struct step_target t = {0};
	int rc;

	if (take_input(s, &p, e) < 0 || step_open_target(s, p.target, "target", &t, e) < 0)
		return -1;
	rc = protect_once(s, &p, &t, ret, e);
	step_target_done(&t);
	return rc;
}

/* ---- undoing ---- */

static int delete_ours(const struct step_target *t, const struct protecting *p, json_t *deleted,
		       struct err *e)
{
	struct point_list l = {0};
	int rc = point_list_load(t->repo, &l, e);

	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		if (is_ours(l.points[i], p) &&
		    step_point_delete(t->repo, &l.points[i]->id, deleted, e) < 0)
			rc = -1;
	}
	point_list_done(&l);
	return rc;
}

int step_protect_undo(const struct step *s, json_t **ret, struct err *e)
{
	struct protecting p = {.freeze_ms = FREEZE_DEFAULT_MS};
	struct step_target t = {0};
	json_t *deleted;
	int rc;

	if (take_input(s, &p, e) < 0 || step_open_target(s, p.target, "target", &t, e) < 0)
		return -1;
	deleted = json_array();
	rc = delete_ours(&t, &p, deleted, e);
	if (rc == 0)
		*ret = json_pack("{s:O}", "deleted", deleted);
	json_decref(deleted);
	step_target_done(&t);
	return rc;
}
