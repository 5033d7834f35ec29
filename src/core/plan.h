/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h: what is protected: resources by name, or selectors that are looked up again at each run,
 * with one provider and perhaps a policy. Threads: as transactions.
 *
 * A selector is {"type": "OS::Nova::Server", and any of "name": a pattern with * and ?,
 * "platform_id", "state"}; what matches all that it names is selected. The resource
 * OS::Keystone::Project selects everything that the project has.
 */
#ifndef HF_CORE_PLAN_H
#define HF_CORE_PLAN_H

#include <jansson.h>

#include "auth/identity.h"
#include "base/uuid.h"
#include "db/db.h"

#define PLAN_RESOURCES 1000
#define PLAN_SELECTORS 50
#define PLAN_TOGETHER 50 /* of a consistency group, on one platform; movers take as many */

struct plan {
	char id[UUID_TEXT], project[AUTH_ID], provider[UUID_TEXT], policy[UUID_TEXT]; /* "": none */
	char *name, *description, *status;
	json_t *resources, *selectors, *parameters;
	bool paused;		/* the schedules of its policies do not fire */
	bool consistency_group; /* its machines are of one instant, those of each platform */
};
void plan_free(struct plan *p);
DEFINE_AUTO(plan, plan_free);

/* `project` NULL: of any. ERR_NOENT. */
struct plan *plan_load(struct db_tx *t, const char *project, const char *id, struct err *e);
/*
 * Check and insert; p->id is made. ERR_INVALID names the field: a provider or policy that the
 * project cannot use, a resource without id, type or name, an unknown parameter. ERR_LIMIT: the
 * quota.
 */
int plan_insert(struct db_tx *t, struct plan *p, const char *created_by, struct err *e);
/* Check and store all but id, project and provider. */
int plan_store(struct db_tx *t, const struct plan *p, struct err *e);
/* Its checkpoints stay. ERR_BUSY: a scheduled operation uses it. */
int plan_remove(struct db_tx *t, const char *project, const char *id, struct err *e);

/* Everything that it means now: an array of {platform_id, id, type, name, extra_info}. The
 * caller's. */
int plan_expand(struct db_tx *t, const struct plan *p, json_t **ret_resources, struct err *e);

/* Something that was found: texts as in the table of resources. Borrowed. */
struct plan_candidate {
	const char *platform, *type, *id, *name, *state;
};
/* Is it meant by a selector, or because all of the project is? By name is another matter. */
bool plan_selects(const struct plan *p, const struct plan_candidate *r);
/* Does it mean more than what it names? */
bool plan_has_selectors(const struct plan *p);

/* "provider" and the like: one of the project's or of everybody's? ERR_INVALID with `message` if
 * not. */
int plan_check_exists(struct db_tx *t, const char *table, const char *id, const char *project,
		      const char *message, struct err *e);

#endif
