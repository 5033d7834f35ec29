/* SPDX-License-Identifier: Apache-2.0 */
#include "step/points.h"

#include <string.h>

#include "repo/point_json.h"

bool step_point_has_tag(const struct point *p, const char *key, const char *value)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < p->n_tags; i++) {
		if (strncmp(p->tags[i], key, n) == 0 && p->tags[i][n] == '=' &&
		    strcmp(p->tags[i] + n + 1, value) == 0)
			return true;
	}
	return false;
}

json_t *step_uuid_json(const struct uuid *u)
{
	char text[UUID_TEXT];

	return json_string(uuid_text(u, text));
}

/* ---- choosing ---- */

static int note_ids(struct step_points *p, const json_t *ids, bool *chosen, struct err *e)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)ids, i, item)
	{
		bool found = false;
		struct uuid u;

		if (!json_is_string(item) || !uuid_parse(json_string_value(item), &u))
			return err_set(e, ERR_INVALID, "points[%zu] must be a UUID", i);
		for (size_t k = 0; k < p->all.n; k++) {
			if (!uuid_equal(&p->all.points[k]->id, &u))
				continue;
			chosen[k] = found = true;
		}
		if (!found)
			json_array_append_new(p->missing, step_uuid_json(&u));
	}
	return 0;
}

static int choose(struct step_points *p, const json_t *ids, const char *checkpoint, bool every,
		  struct err *e)
{
	AUTO_FREE bool *chosen = xcalloc(p->all.n, sizeof(bool));

	if (ids && note_ids(p, ids, chosen, e) < 0)
		return -1;
	p->v = xcalloc(p->all.n, sizeof(*p->v));
	for (size_t i = 0; i < p->all.n; i++) {
		if (every || chosen[i] ||
		    (checkpoint &&
		     step_point_has_tag(p->all.points[i], TAG_CHECKPOINT, checkpoint)))
			p->v[p->n++] = p->all.points[i];
	}
	return 0;
}

int step_points_choose(struct repo *r, const json_t *ids, const char *checkpoint, bool every,
		       struct step_points *ret, struct err *e)
{
	struct step_points p = {.missing = json_array()};

	if ((ids != NULL) + (checkpoint != NULL) + every != 1) {
		json_decref(p.missing);
		return err_set(e, ERR_INVALID, "give either points or checkpoint");
	}
	if (point_list_load(r, &p.all, e) < 0) {
		json_decref(p.missing);
		return -1;
	}
	if (choose(&p, ids, checkpoint, every, e) < 0) {
		step_points_done(&p);
		return -1;
	}
	*ret = p;
	return 0;
}

void step_points_done(struct step_points *p)
{
	point_list_done(&p->all);
	free(p->v);
	json_decref(p->missing);
	*p = (struct step_points){0};
}

/* ---- deleting ---- */

int step_point_delete(struct repo *r, const struct uuid *id, json_t *deleted, struct err *e)
{
	struct err why = {0};

	if (point_delete(r, id, &why) == 0) {
		json_array_append_new(deleted, step_uuid_json(id));
		return 1;
	}
	if (why.kind == ERR_NOENT)
		return 0;
	if (e)
		*e = why;
	return -1;
}

/* ---- telling ---- */

static json_t *tags_json(const struct point *p)
{
	json_t *tags = json_object();

	for (size_t i = 0; i < p->n_tags; i++) {
		const char *equals = strchr(p->tags[i], '=');
		AUTO_FREE char *key = equals ? xstrndup(p->tags[i], (size_t)(equals - p->tags[i]))
					     : xstrdup(p->tags[i]);

		json_t *value = json_string(equals ? equals + 1 : "");
		json_t *was = json_object_get(tags, key);

		/* One that is not UTF-8 is left out. */
		if (!was)
			json_object_set_new(tags, key, value);
		else if (json_is_array(was))
			json_array_append_new(was, value);
		else
			json_object_set_new(tags, key, json_pack("[O, o]", was, value));
	}
	return tags;
}

json_t *step_point_json(const struct point *p)
{
	json_t *j = point_json(p);

	json_object_set_new(j, "tags", tags_json(p));
	json_object_set_new(j, "instant_us", json_integer((json_int_t)p->instant_us));
	json_object_set_new(j, "window_us", json_integer((json_int_t)p->window_us));
	json_object_set_new(j, "complete_us", json_integer((json_int_t)p->complete_us));
	return j;
}
