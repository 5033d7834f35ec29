/* SPDX-License-Identifier: Apache-2.0 */
/*
 * points.h: which points of a target a step is about, by id or by the tags that protect gave them.
 *
 * Threads: for the step's.
 */
#ifndef HF_STEP_POINTS_H
#define HF_STEP_POINTS_H

#include <jansson.h>

#include "repo/point.h"

/* Of the server's things; values are as the server gave them. */
#define TAG_PROJECT "holdfast.project"
#define TAG_PLAN "holdfast.plan"
#define TAG_PLAN_NAME "holdfast.plan_name"
#define TAG_CHECKPOINT "holdfast.checkpoint"
#define TAG_RESOURCE "holdfast.resource"
#define TAG_OURS "holdfast." /* no other tag begins so */

bool step_point_has_tag(const struct point *p, const char *key, const char *value);

/* Those that were chosen: by a list of ids, by the checkpoint that they belong to, or `every` one;
 * oldest first. */
struct step_points {
	struct point_list all;
	const struct point **v; /* of `all` */
	size_t n;
	json_t *missing; /* ids that are not there */
};
int step_points_choose(struct repo *r, const json_t *ids, const char *checkpoint, bool every,
		       struct step_points *ret, struct err *e);
void step_points_done(struct step_points *p);

/*
 * Delete one, a damaged one too: it is named by its id, and not read. 1: it is gone, and is in
 * `deleted`; 0: it was not there.
 */
int step_point_delete(struct repo *r, const struct uuid *id, json_t *deleted, struct err *e);

/* As point_json.h, with the times also as numbers (instant_us, window_us, complete_us) and tags as
 * an object: to a list of texts where there are several of a name. */
json_t *step_point_json(const struct point *p);
json_t *step_uuid_json(const struct uuid *u);

#endif
