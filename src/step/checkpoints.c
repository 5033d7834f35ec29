/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with checkpoints that are there: delete, verify, copy, list. */
#include <stdio.h>
#include <string.h>

#include "mover/copy.h"
#include "mover/verify.h"
#include "net/fields.h"
#include "step/kinds.h"
#include "step/open.h"
#include "step/points.h"

#define FINDINGS_MAX 100
#define POINTS_MAX 1000 /* damaged ones that are named */
#define LIST_MAX 1000

/* ---- delete ---- */

static int delete_all(const struct step *s, struct repo *r, const struct step_points *p,
		      json_t *deleted, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct uuid *id = &p->v[i]->id;
		int rc = cancel_check(s->watch.cancel, e);

		if (rc == 0)
			rc = step_point_delete(r, id, deleted, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			json_array_append_new(p->missing, step_uuid_json(id));
	}
	return 0;
}

/* What is not among the points may be a damaged one. */
static int delete_damaged(struct repo *r, const struct step_points *p, json_t *deleted,
			  struct err *e)
{
	for (size_t i = json_array_size(p->missing); i-- > 0;) {
		struct uuid u;
		int rc;

		uuid_parse(json_string_value(json_array_get(p->missing, i)), &u);
		rc = step_point_delete(r, &u, deleted, e);
		if (rc < 0)
			return -1;
		if (rc > 0)
			json_array_remove(p->missing, i);
	}
	return 0;
}

int step_checkpoint_delete(const struct step *s, json_t **ret, struct err *e)
{
	const json_t *target = NULL, *ids = NULL;
	const char *checkpoint = NULL;
	struct step_target t = {0};
	struct step_points p = {0};
	json_t *deleted;
	int rc;
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"points", FIELD_LIST, &ids},
		{"checkpoint", FIELD_UUID, &checkpoint},
	};

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    step_open_target(s, target, "target", &t, e) < 0)
		return -1;
	deleted = json_array();
	rc = repo_check_writable(t.repo, e);
	if (rc == 0)
		rc = step_points_choose(t.repo, ids, checkpoint, false, &p, e);
	if (rc == 0)
		rc = delete_damaged(t.repo, &p, deleted, e);
	if (rc == 0)
		rc = delete_all(s, t.repo, &p, deleted, e);
	if (rc == 0)
		*ret = json_pack("{s:O,s:O}", "deleted", deleted, "absent", p.missing);
	json_decref(deleted);
	step_points_done(&p);
	step_target_done(&t);
	return rc;
}

/* ---- verify ---- */

struct verifying {
	const struct step *s;
	json_t *findings, *points; /* the latter: ids of those that are damaged */
	const struct point *last;  /* that was found damaged */
	uint64_t damaged, hurt;	   /* ranges, and points with any */
};

static void on_damage(void *arg, const struct point *p, const struct point_resource *r,
		      const char *what, uint64_t offset, uint64_t len, const char *why)
{
	struct verifying *v = arg;

	v->hurt += v->last != p;
	if (v->last != p && json_array_size(v->points) < POINTS_MAX)
		json_array_append_new(v->points, step_uuid_json(&p->id));
	v->last = p;
	if (++v->damaged > FINDINGS_MAX)
		return;
	json_array_append_new(v->findings, json_pack("{s:o,s:s?,s:s?,s:I,s:I,s:s}", "point",
						     step_uuid_json(&p->id), "resource", r->name,
						     "disk", what, "offset", (json_int_t)offset,
						     "length", (json_int_t)len, "message", why));
}

/* The points as if they held nothing but this resource (NULL: as they are). They borrow from `p`;
 * the caller frees the two arrays. */
static const struct point **narrowed(const struct step_points *p, const char *resource,
				     struct point **ret_copies)
{
	struct point *copies = xcalloc(p->n, sizeof(*copies));
	const struct point **v = xcalloc(p->n, sizeof(*v));

	for (size_t i = 0; i < p->n; i++) {
		copies[i] = *p->v[i];
		copies[i].n_resources = resource ? 0 : p->v[i]->n_resources;
		for (size_t k = 0; resource && k < p->v[i]->n_resources; k++) {
			struct point_resource *r = &p->v[i]->resources[k];

			if (strcmp(r->id, resource) != 0)
				continue;
			copies[i].resources = r;
			copies[i].n_resources = 1;
		}
		v[i] = &copies[i];
	}
	*ret_copies = copies;
	return v;
}

static uint64_t content_of(const struct point *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n_resources; i++)
		for (size_t k = 0; k < p->resources[i].n_disks; k++)
			sum += p->resources[i].disks[k].stats.content;
	return sum;
}

static int verify(struct verifying *v, const struct step_target *t, const struct step_points *p,
		  const char *resource, bool structure, struct pace *pace, json_t **ret,
		  struct err *e)
{
	AUTO(presence) packs = structure ? presence_new(t->store) : NULL;
	AUTO_FREE struct point *copies = NULL;
	AUTO_FREE const struct point **points = narrowed(p, resource, &copies);
	const struct verify job = {.repo = t->repo,
				   .points = points,
				   .n = p->n,
				   .packs = packs,
				   .progress = v->s->watch.progress,
				   .cancel = v->s->watch.cancel,
				   .damage = on_damage,
				   .arg = v,
				   .pace = pace};
	uint64_t total = 0;

	for (size_t i = 0; i < p->n; i++)
		total += content_of(points[i]);
	atomic_store(&v->s->watch.progress->total, total);
	if (verify_run(&job, e) < 0)
		return -1;
	*ret = json_pack("{s:I,s:I,s:I,s:I,s:O,s:O,s:O,s:I}", "checkpoints", (json_int_t)p->n,
			 "damaged_checkpoints", (json_int_t)v->hurt, "damaged_ranges",
			 (json_int_t)v->damaged, "read_bytes",
			 (json_int_t)progress_get(&v->s->watch.progress->read), "missing",
			 p->missing, "findings", v->findings, "damaged_points", v->points,
			 "damaged_objects", (json_int_t)p->all.n_damaged);
	return 0;
}

/* Points that are damaged themselves: nobody can choose them. */
static void add_unreadable(struct verifying *v, const struct point_list *l)
{
	v->hurt += l->n_damaged;
	v->damaged += l->n_damaged;
	for (size_t i = 0; i < MIN(l->n_damaged, (size_t)FINDINGS_MAX); i++)
		json_array_append_new(v->findings, json_pack("{s:s}", "message", l->damaged[i]));
}

int step_checkpoint_verify(const struct step *s, json_t **ret, struct err *e)
{
	static const char *const depths[] = {"structure", "content", NULL};
	const char *checkpoint = NULL, *resource = NULL, *depth = depths[1];
	const json_t *target = NULL, *ids = NULL;
	struct verifying v = {.s = s};
	struct step_target t = {0};
	struct step_points p = {0};
	int64_t bytes_per_s = 0;
	bool every = false;
	struct pace pace;
	int rc;
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"points", FIELD_LIST, &ids},
		{"checkpoint", FIELD_UUID, &checkpoint},
		{"every", FIELD_FLAG, &every},
		{"resource", FIELD_TEXT, &resource, .most = 255},
		{"depth", FIELD_TEXT, &depth, .among = depths},
		{"bytes_per_s", FIELD_NUMBER, &bytes_per_s, .most = INT64_MAX},
	};

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    step_open_target(s, target, "target", &t, e) < 0)
		return -1;
	rc = step_points_choose(t.repo, ids, checkpoint, every, &p, e);
	if (rc == 0) {
		v.findings = json_array();
		v.points = json_array();
		if (every)
			add_unreadable(&v, &p.all);
		pace_init(&pace, (uint64_t)bytes_per_s);
		rc = verify(&v, &t, &p, resource, strcmp(depth, "structure") == 0, &pace, ret, e);
		pace_done(&pace);
		json_decref(v.findings);
		json_decref(v.points);
	}
	step_points_done(&p);
	step_target_done(&t);
	return rc;
}

/* ---- copy ---- */

struct copies {
	const struct step *s;
	struct step_target from, to;
	struct step_points chosen;
	struct point_list there;
	int64_t bytes_per_s;
	json_t *list;
};

static void add_copy(struct copies *c, const struct point *from, const struct point *copy,
		     bool made)
{
	json_array_append_new(c->list, json_pack("{s:o,s:b,s:o}", "from", step_uuid_json(&from->id),
						 "copied", made, "point", step_point_json(copy)));
}

/* Oldest first: each is the ground for the next. */
static int copy_all(struct copies *c, struct pace *pace, struct err *e)
{
	const struct copying job = {.from = c->from.repo,
				    .to = c->to.repo,
				    .source = &c->chosen.all,
				    .there = &c->there,
				    .pace = pace,
				    .progress = c->s->watch.progress,
				    .cancel = c->s->watch.cancel};
	uint64_t total = 0;

	for (size_t i = 0; i < c->chosen.n; i++)
		total += copy_size(c->chosen.v[i]);
	atomic_store(&c->s->watch.progress->total, total);
	for (size_t i = 0; i < c->chosen.n; i++) {
		const struct point *p = c->chosen.v[i], *old = copy_find(&c->there, p);
		struct point *copy = old ? NULL : copy_point(&job, p, e);

		if (old) {
			add_copy(c, p, old, false);
			progress_add(&c->s->watch.progress->passed, copy_size(p));
		} else if (copy) {
			add_copy(c, p, copy, true);
			point_list_add(&c->there, copy);
		} else {
			return -1;
		}
	}
	return 0;
}

static int open_copies(struct copies *c, struct err *e)
{
	const json_t *target = NULL, *to = NULL, *ids = NULL;
	const char *checkpoint = NULL;
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"to", FIELD_OBJECT, &to, .needed = true},
		{"points", FIELD_LIST, &ids},
		{"checkpoint", FIELD_UUID, &checkpoint},
		{"bytes_per_s", FIELD_NUMBER, &c->bytes_per_s, .most = INT64_MAX},
	};

	if (fields_take(c->s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    step_open_target(c->s, target, "target", &c->from, e) < 0 ||
	    step_open_target(c->s, to, "to", &c->to, e) < 0 ||
	    repo_check_writable(c->to.repo, e) < 0 ||
	    step_points_choose(c->from.repo, ids, checkpoint, false, &c->chosen, e) < 0)
		return -1;
	if (json_array_size(c->chosen.missing))
		return err_set(e, ERR_NOENT, "there is no checkpoint %s in %s",
			       json_string_value(json_array_get(c->chosen.missing, 0)),
			       c->from.store->url);
	return point_list_load(c->to.repo, &c->there, e);
}

int step_checkpoint_copy(const struct step *s, json_t **ret, struct err *e)
{
	struct copies c = {.s = s, .list = json_array()};
	struct pace pace;
	int rc = open_copies(&c, e);

	pace_init(&pace, (uint64_t)c.bytes_per_s);
	if (rc == 0)
		rc = copy_all(&c, &pace, e);
	pace_done(&pace);
	if (rc == 0)
		*ret = json_pack("{s:O}", "copies", c.list);
	json_decref(c.list);
	point_list_done(&c.there);
	step_points_done(&c.chosen);
	step_target_done(&c.to);
	step_target_done(&c.from);
	return rc;
}

/* Only what the result says was copied: what was there before stays. */
static int delete_copies(struct repo *r, const json_t *copies, json_t *deleted, struct err *e)
{
	const json_t *copy;
	size_t i;

	json_array_foreach((json_t *)copies, i, copy)
	{
		const char *id =
			json_string_value(json_object_get(json_object_get(copy, "point"), "id"));
		struct uuid u;

		if (json_is_true(json_object_get(copy, "copied")) && id && uuid_parse(id, &u) &&
		    step_point_delete(r, &u, deleted, e) < 0)
			return -1;
	}
	return 0;
}

int step_checkpoint_copy_undo(const struct step *s, json_t **ret, struct err *e)
{
	struct step_target to = {0};
	json_t *deleted;
	int rc;

	if (step_open_target(s, json_object_get(s->input, "to"), "to", &to, e) < 0)
		return -1;
	deleted = json_array();
	rc = delete_copies(to.repo, json_object_get(s->result, "copies"), deleted, e);
	if (rc == 0)
		*ret = json_pack("{s:O}", "deleted", deleted);
	json_decref(deleted);
	step_target_done(&to);
	return rc;
}

/* ---- list ---- */

static int by_id(const void *a, const void *b)
{
	const struct point *const *x = a, *const *y = b;

	return memcmp((*x)->id.b, (*y)->id.b, sizeof((*x)->id.b));
}

static json_t *page(struct point_list *l, const struct uuid *after, size_t most)
{
	json_t *points = json_array(), *damaged = json_array(), *next = NULL;
	AUTO_FREE const struct point **v = xcalloc(l->n, sizeof(*v));

	for (size_t i = 0; i < l->n; i++)
		v[i] = l->points[i];
	qsort(v, l->n, sizeof(*v), by_id);
	for (size_t i = 0; i < l->n; i++) {
		if (memcmp(v[i]->id.b, after->b, sizeof(after->b)) <= 0)
			continue;
		json_array_append_new(points, step_point_json(v[i]));
		if (json_array_size(points) == most && i + 1 < l->n)
			next = step_uuid_json(&v[i]->id);
		if (json_array_size(points) == most)
			break;
	}
	for (size_t i = 0; i < MIN(l->n_damaged, (size_t)FINDINGS_MAX); i++)
		json_array_append_new(damaged, json_string(l->damaged[i]));
	return json_pack("{s:o,s:o,s:o}", "points", points, "next", next ? next : json_null(),
			 "damaged", damaged);
}

int step_checkpoint_list(const struct step *s, json_t **ret, struct err *e)
{
	const json_t *target = NULL;
	struct step_target t = {0};
	struct point_list l = {0};
	const char *after = NULL;
	int64_t limit = LIST_MAX;
	struct uuid u = {0};
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"after", FIELD_UUID, &after},
		{"limit", FIELD_NUMBER, &limit, .least = 1, .most = LIST_MAX},
	};
	int rc;

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    step_open_target(s, target, "target", &t, e) < 0)
		return -1;
	if (after)
		uuid_parse(after, &u);
	rc = point_list_load(t.repo, &l, e);
	if (rc == 0)
		*ret = page(&l, &u, (size_t)limit);
	point_list_done(&l);
	step_target_done(&t);
	return rc;
}
