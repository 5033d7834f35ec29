/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds.h: what a mover can do. One row for each kind in step.c; each is a function here, whose
 * comment says what it takes besides platform and target (open.h), what it gives, and why it can be
 * run twice.
 */
#ifndef HF_STEP_KINDS_H
#define HF_STEP_KINDS_H

#include "step/step.h"

/* {platform} → {name, uri, host, version, hypervisor, hypervisor_version, local, resources: number}
 */
int step_platform_check(const struct step *s, json_t **ret, struct err *e);
/* {platform} → {resources: [{type, id, name, state, disks: [{name, source, format, bytes}]}]} */
int step_platform_list(const struct step *s, json_t **ret, struct err *e);

/*
 * {target, label, parity} → {id, url, created}. Makes a repository with that key if there is none,
 * else opens it: ERR_KEY if it has another key.
 */
int step_target_init(const struct step *s, json_t **ret, struct err *e);
/* {target} → {id, url, format, total_bytes, free_bytes (null: not known), stored_bytes, …} */
int step_target_check(const struct step *s, json_t **ret, struct err *e);
/* {target: {url, credentials}, repositories: [url]} → {total_bytes, free_bytes (null: not known),
 * stored_bytes}: without any key. */
int step_target_measure(const struct step *s, json_t **ret, struct err *e);
/* {target, waste, dry_run} → as 'holdfast target collect'. What one run left, the next goes on
 * with. */
int step_target_collect(const struct step *s, json_t **ret, struct err *e);
/* {target, depth: "stored", bytes, seconds, max_age_s, bytes_per_s} → as 'holdfast target verify';
 * with depth "structure" or "content", as checkpoint.verify of every point. */
int step_target_verify(const struct step *s, json_t **ret, struct err *e);

/* How many resources can be protected together; the server asks for no more (core/plan.h). */
#define STEP_TOGETHER_MOST 50

/*
 * {platform, target, checkpoint, project, plan, plan_name, resources: [{type, id, name,
 * consistency, full}], …} → a point (point_json.h), in which all of them are of one instant (see
 * struct protect in platform/driver.h). The point has tags that say all this, so that a catalogue
 * can be made from the target alone, and by which an attempt finds that an earlier one had done it.
 */
int step_protect(const struct step *s, json_t **ret, struct err *e);
int step_protect_undo(const struct step *s, json_t **ret, struct err *e);
/* {target, points: [id] or checkpoint} → {deleted: [id], absent: [id]} */
int step_checkpoint_delete(const struct step *s, json_t **ret, struct err *e);
/* {target, points, checkpoint or every, resource: only that id of theirs, depth: "structure" or
 * "content", bytes_per_s} → {checkpoints, damaged_checkpoints, damaged_ranges, read_bytes, missing:
 * [id], findings: […], damaged_points: [id], damaged_objects: points that cannot be read} */
int step_checkpoint_verify(const struct step *s, json_t **ret, struct err *e);
/* {target, to: target, points or checkpoint, bytes_per_s} → {copies: [{from, copied, point}]}. One
 * that is there already is not copied again. Undone: those that were copied are deleted. */
int step_checkpoint_copy(const struct step *s, json_t **ret, struct err *e);
int step_checkpoint_copy_undo(const struct step *s, json_t **ret, struct err *e);
/* {target, after, limit} → {points: […], next: id or null, damaged: […]}: all that is in the
 * target, by id, for a catalogue that has to be made anew. */
int step_checkpoint_list(const struct step *s, json_t **ret, struct err *e);
/* {platform, target, point, mode: "new" or "in_place", …} → {name, id, made: […]}; restore.c */
int step_restore(const struct step *s, json_t **ret, struct err *e);
int step_restore_undo(const struct step *s, json_t **ret, struct err *e);

#endif
