/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a resource back.
 *
 * To a new one: what an attempt makes is in its journal before it is made. An attempt that finds
 * the journal of one that died removes what that made, and begins anew; one that finds a result
 * takes it. Undoing removes what was made.
 *
 * In place: the driver writes beside the old disks and exchanges them when all are whole; doing it
 * again completes it. It cannot be undone: `keep_old` leaves the old disks beside the new ones.
 */
#include <stdio.h>
#include <string.h>

#include "net/fields.h"
#include "step/journal.h"
#include "step/kinds.h"
#include "step/open.h"
#include "step/points.h"

#define NETWORKS_MAX 64

struct restoring {
	const json_t *platform, *target, *resource, *networks, *disks;
	const char *point, *mode, *name, *directory, *pool, *type, *id;
	int64_t bytes_per_s;
	bool start, stop, keep_old, keep_identity, definition_only;
	struct rename_pair pairs[NETWORKS_MAX];
	size_t n_pairs;
};

static const char *const modes[] = {"new", "in_place", NULL};

static int take_networks(struct restoring *r, struct err *e)
{
	const char *from;
	json_t *to;

	json_object_foreach((json_t *)r->networks, from, to)
	{
		if (!json_is_string(to) || !json_string_length(to))
			return err_set(e, ERR_INVALID, "networks.%.64s must be a text", from);
		r->pairs[r->n_pairs++] = (struct rename_pair){from, json_string_value(to)};
	}
	return 0;
}

static int check(const struct restoring *r, struct err *e)
{
	bool in_place = strcmp(r->mode, "in_place") == 0;

	if (in_place && (r->name || r->directory || r->pool || r->definition_only))
		return err_set(e, ERR_INVALID,
			       "mode in_place does not go with name, directory, pool or "
			       "definition_only");
	if (!in_place && (r->stop || r->keep_old))
		return err_set(e, ERR_INVALID, "stop and keep_old go with mode in_place only");
	if (r->directory && r->pool)
		return err_set(e, ERR_INVALID, "give one of directory and pool");
	if (r->directory && r->directory[0] != '/')
		return err_set(e, ERR_INVALID, "directory '%.100s': write the whole path",
			       r->directory);
	return 0;
}

static int take_input(const struct step *s, struct restoring *r, struct err *e)
{
	const struct field f[] = {
		{"platform", FIELD_OBJECT, &r->platform, .needed = true},
		{"target", FIELD_OBJECT, &r->target, .needed = true},
		{"point", FIELD_UUID, &r->point, .needed = true},
		{"resource", FIELD_OBJECT, &r->resource},
		{"mode", FIELD_TEXT, &r->mode, .needed = true, .among = modes},
		{"name", FIELD_TEXT, &r->name, .most = 255},
		{"directory", FIELD_TEXT, &r->directory},
		{"pool", FIELD_TEXT, &r->pool, .most = 255},
		{"networks", FIELD_OBJECT, &r->networks, .most = NETWORKS_MAX},
		{"disks", FIELD_LIST, &r->disks},
		{"start", FIELD_FLAG, &r->start},
		{"stop", FIELD_FLAG, &r->stop},
		{"keep_old", FIELD_FLAG, &r->keep_old},
		{"keep_identity", FIELD_FLAG, &r->keep_identity},
		{"definition_only", FIELD_FLAG, &r->definition_only},
		{"bytes_per_s", FIELD_NUMBER, &r->bytes_per_s, .most = INT64_MAX},
	};
	const struct field g[] = {
		{"type", FIELD_TEXT, &r->type, .most = 64},
		{"id", FIELD_TEXT, &r->id, .most = 255},
	};

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    (r->resource && fields_take(r->resource, "resource", g, ARRAY_LEN(g), e) < 0))
		return -1;
	return take_networks(r, e) < 0 ? -1 : check(r, e);
}

/* ---- running ---- */

static const struct point_resource *find_resource(const struct point *p, const struct restoring *r,
						  struct err *e)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *x = &p->resources[i];

		if (r->id ? strcmp(x->id, r->id) == 0 : strcmp(x->type, "domain") == 0)
			return x;
	}
	err_set(e, ERR_NOENT, "the checkpoint %s does not hold the resource %s", r->point,
		r->id ? r->id : "of type domain");
	return NULL;
}

static int restore_to(const struct step *s, const struct restoring *r, const struct step_target *t,
		      struct platform *platform, struct journal *j, struct pace *pace, json_t **ret,
		      struct err *e)
{
	AUTO_FREE const char **only = r->disks ? fields_texts(r->disks, "disks", e) : NULL;
	struct platform_restored made = {0};
	AUTO(point) point = NULL;
	struct uuid id;
	struct platform_restore job = {.repo = t->repo,
				       .in_place = strcmp(r->mode, "in_place") == 0,
				       .definition_only = r->definition_only,
				       .keep_identity = r->keep_identity,
				       .start = r->start,
				       .stop = r->stop,
				       .keep_old = r->keep_old,
				       .name = r->name,
				       .directory = r->directory,
				       .pool = r->pool,
				       .only = only,
				       .networks = r->pairs,
				       .n_networks = r->n_pairs,
				       .pace = pace,
				       .watch = s->watch,
				       .making = journal_making,
				       .making_arg = j};

	uuid_parse(r->point, &id);
	point = (r->disks && !only) ? NULL : point_load(t->repo, &id, e);
	job.point = point;
	job.resource = point ? find_resource(point, r, e) : NULL;
	if (!job.resource || platform->ops->restore(platform, &job, &made, e) < 0)
		return -1;
	*ret = json_pack("{s:s,s:s,s:s,s:O}", "name", made.name, "id", made.id, "mode", r->mode,
			 "made", j->made);
	platform_restored_done(&made);
	return 0;
}

/* What an attempt that died made goes. */
static int begin_anew(const struct step *s, struct journal *j, struct platform *p, struct err *e)
{
	if (!json_array_size(j->made))
		return 0;
	platform_note(&s->watch, LOG_LEVEL_INFO, "removing what an attempt left that did not end");
	return journal_unmake(j->made, p, e) < 0 ? -1 : journal_clear(j, e);
}

static int restore_once(const struct step *s, const struct restoring *r, struct journal *j,
			json_t **ret, struct err *e)
{
	AUTO(platform) platform = NULL;
	struct step_target t = {0};
	struct pace pace;
	int rc;

	if (j->result) {
		platform_note(&s->watch, LOG_LEVEL_INFO,
			      "an earlier attempt had completed this: its result is taken");
		*ret = json_incref(j->result);
		return 0;
	}
	platform = step_open_platform(r->platform, e);
	if (!platform || begin_anew(s, j, platform, e) < 0 ||
	    step_open_target(s, r->target, "target", &t, e) < 0)
		return -1;
	pace_init(&pace, (uint64_t)r->bytes_per_s);
	rc = restore_to(s, r, &t, platform, j, &pace, ret, e);
	pace_done(&pace);
	step_target_done(&t);
	return rc;
}

int step_restore(const struct step *s, json_t **ret, struct err *e)
{
	struct restoring r = {0};
	struct journal j = {0};
	struct err why = {0};
	int rc;

	if (take_input(s, &r, e) < 0 || journal_open(s->state, s->id, &j, e) < 0)
		return -1;
	rc = restore_once(s, &r, &j, ret, e);
	/* It is done, and if nobody hears of it, the next attempt removes it and does it again. */
	if (rc == 0 && journal_complete(&j, *ret, &why) < 0)
		platform_note(&s->watch, LOG_LEVEL_WARN, "%s", why.msg);
	journal_done(&j);
	return rc;
}

/* ---- undoing ---- */

int step_restore_undo(const struct step *s, json_t **ret, struct err *e)
{
	AUTO(platform) platform = NULL;
	struct restoring r = {0};
	const json_t *made;
	struct journal j;
	int rc = 0;

	if (take_input(s, &r, e) < 0 || journal_open(s->state, s->id, &j, e) < 0)
		return -1;
	/* The journal may be on another machine; then there is what the result says. */
	made = json_array_size(j.made) ? j.made : json_object_get(s->result, "made");
	if (strcmp(r.mode, "in_place") == 0) {
		platform_note(&s->watch, LOG_LEVEL_WARN,
			      "what was restored in place stays as it is");
	} else if (json_array_size(made)) {
		platform = step_open_platform(r.platform, e);
		rc = platform ? journal_unmake(made, platform, e) : -1;
	}
	if (rc == 0)
		rc = journal_clear(&j, e);
	if (rc == 0)
		*ret = json_object();
	journal_done(&j);
	return rc;
}
