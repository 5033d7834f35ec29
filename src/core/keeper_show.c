/* SPDX-License-Identifier: Apache-2.0 */
#include "core/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/keeper_priv.h"

#define MOMENTS 24 /* of a timeline */
#define LIVES 500  /* that are told one by one */

/* NULL for 0: never, or not known. */
static json_t *time_json(uint64_t at_us)
{
	char text[CLOCK_TEXT];

	return at_us ? json_string(clock_rfc3339(at_us, text)) : json_null();
}

static json_t *reasons_json(const struct keeping_group *group, const struct retention_verdict *v)
{
	json_t *array = json_array();
	char text[RETENTION_TEXT];

	for (size_t i = 0; i < v->n_reasons; i++) {
		const struct retention_reason *x = &group->result.reasons[v->first_reason + i];

		json_array_append_new(
			array, json_pack("{s:s, s:s, s:o}", "rule", retention_reason_word(x),
					 "text", retention_reason_text(&group->retention, x, text),
					 "until", time_json(x->ends_us)));
	}
	return array;
}

static json_t *checkpoint_json(const struct keeping *g, const struct keeping_group *group, size_t j)
{
	const struct keeping_row *r = &g->rows[group->first + j];
	const struct retention_point *p = &g->points[group->first + j];
	const struct retention_verdict *v = &group->result.verdicts[j];

	return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:o, s:b, s:o, s:o}", "id", r->id, "status",
			 r->status, "provider_id", r->provider, "copy_of", r->copy_of, "made_by",
			 r->maker, "instant_at", time_json(p->instant_us), "keep", v->keep,
			 "reasons", reasons_json(group, v), "goes_at", time_json(v->goes_at_us));
}

json_t *keeper_explain(struct db_tx *t, struct zones *zones, const char *project, const char *plan,
		       const char *checkpoint, size_t most, uint64_t now_us, struct err *e)
{
	AUTO(keeping) g = keeping_load(t, project, plan, e);
	json_t *array, *zone;
	size_t left;

	if (!g || keeping_judge(g, t, zones, NULL, KEEPING_FIRINGS, now_us, e) < 0)
		return NULL;
	array = json_array();
	left = g->n;
	for (size_t i = 0; i < g->n_groups; i++) {
		const struct keeping_group *group = &g->groups[i];

		for (size_t j = group->n; j-- > 0;) {
			if (checkpoint ? strcmp(g->rows[group->first + j].id, checkpoint) != 0
				       : json_array_size(array) >= most)
				continue;
			json_array_append_new(array, checkpoint_json(g, group, j));
			left--;
		}
	}
	if (checkpoint && json_array_size(array) == 0) {
		json_decref(array);
		err_set(e, ERR_NOENT, "There is no checkpoint '%s' of plan '%s'.", checkpoint,
			plan);
		return NULL;
	}
	zone = g->rules->merged->zone ? json_string(zone_name(g->rules->merged->zone))
				      : json_string("UTC");
	return json_pack("{s:s, s:o, s:I, s:I, s:o, s:b}", "plan_id", g->id, "timezone", zone,
			 "kept", (json_int_t)g->n_kept, "going", (json_int_t)(g->n - g->n_kept),
			 "checkpoints", array, "more", !checkpoint && left > 0);
}

/* ---- before a change ---- */

static uint64_t length_of(const struct retention_life *l)
{
	return (l->gone_us ? l->gone_us : UINT64_MAX) - l->born_us;
}

static int longer_first(const void *a, const void *b)
{
	const struct retention_life *const *x = a, *const *y = b;

	if (length_of(*x) != length_of(*y))
		return length_of(*x) > length_of(*y) ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static int older_first(const void *a, const void *b)
{
	const struct retention_life *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Those that live longest: the others would be points in a picture. In the order of time. */
static json_t *lives_json(const struct keeping *g, const struct retention_timeline *line)
{
	AUTO_FREE const struct retention_life **lives =
		xcalloc(line->n + 1, sizeof(*lives)); /* into line->lives */
	size_t n = MIN(line->n, LIVES);
	json_t *array = json_array();

	for (size_t i = 0; i < line->n; i++)
		lives[i] = &line->lives[i];
	qsort(lives, line->n, sizeof(struct retention_life *), longer_first);
	qsort(lives, n, sizeof(struct retention_life *), older_first);
	for (size_t i = 0; i < n; i++) {
		const struct retention_life *l = lives[i];
		const char *maker =
			l->future ? g->firings[l->index].maker : g->rows[l->index].maker;

		json_array_append_new(array,
				      json_pack("{s:s, s:o, s:o, s:b}", "made_by", maker, "at",
						time_json(l->born_us), "until",
						time_json(l->gone_us), "foretold", l->future));
	}
	return array;
}

/* Put "timeline", "lives" and "more_lives" into an object. */
static void add_future(const struct keeping *g, uint64_t now_us, uint64_t until_us, json_t *o)
{
	const struct keeping_group *group = g->n_groups ? &g->groups[0] : NULL;
	bool there = group && !g->rows[0].copy_of;
	struct retention r = policy_retention(g->rules->merged, NULL);
	struct retention_zone zone = policy_zone(g->rules->merged);
	struct retention_timeline line;
	json_t *array = json_array();

	retention_simulate(&r, g->points, there ? group->n : 0, g->firings, g->n_firings, now_us,
			   until_us, &zone, &line);
	for (uint64_t i = 0; i <= MOMENTS; i++) {
		uint64_t at = now_us + (until_us - now_us) / MOMENTS * i;

		json_array_append_new(array,
				      json_pack("{s:o, s:I}", "at", time_json(at), "checkpoints",
						(json_int_t)retention_timeline_alive(&line, at)));
	}
	json_object_set_new(o, "timeline", array);
	json_object_set_new(o, "lives", lives_json(g, &line));
	json_object_set_new(o, "more_lives", json_boolean(line.n > LIVES));
	retention_timeline_done(&line);
}

json_t *keeper_simulate(struct db_tx *t, struct zones *zones, const char *project, const char *plan,
			const struct policy_draft *draft, uint64_t now_us, uint64_t until_us,
			struct err *e)
{
	AUTO(keeping) g = keeping_load(t, project, plan, e);
	AUTO_FREE bool *stays = NULL; /* now, of each row */
	json_t *going, *staying, *o;

	if (!g || keeping_judge(g, t, zones, NULL, 0, now_us, e) < 0)
		return NULL;
	stays = xcalloc(g->n + 1, sizeof(*stays));
	for (size_t i = 0; i < g->n_groups; i++)
		for (size_t j = 0; j < g->groups[i].n; j++)
			stays[g->groups[i].first + j] = g->groups[i].result.verdicts[j].keep;
	if (keeping_judge(g, t, zones, draft, KEEPING_FIRINGS, now_us, e) < 0)
		return NULL;
	going = json_array();
	staying = json_array();
	for (size_t i = 0; i < g->n_groups; i++) {
		const struct keeping_group *group = &g->groups[i];

		for (size_t j = 0; j < group->n; j++) {
			size_t row = group->first + j;
			bool will = group->result.verdicts[j].keep;

			if (stays[row] && !will)
				json_array_append_new(going, checkpoint_json(g, group, j));
			else if (!stays[row] && will)
				json_array_append_new(staying, json_string(g->rows[row].id));
		}
	}
	o = json_pack("{s:s, s:s, s:I, s:o, s:o}", "plan_id", g->id, "plan_name", g->name,
		      "checkpoints", (json_int_t)g->n, "going_now", going, "staying_now", staying);
	add_future(g, now_us, until_us, o);
	return o;
}
