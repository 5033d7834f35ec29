/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduled.h: what is done when a trigger fires. Threads: as transactions.
 */
#ifndef HF_CORE_SCHEDULED_H
#define HF_CORE_SCHEDULED_H

#include <jansson.h>

#include "auth/identity.h"
#include "base/uuid.h"
#include "core/table.h"
#include "db/db.h"

struct scheduled_operation {
	char id[UUID_TEXT], project[AUTH_ID], trigger[UUID_TEXT];
	char plan[UUID_TEXT]; /* of the definition */
	char *name, *description /* may be NULL */, *operation_type, *created_by;
	json_t *definition; /* {"provider_id", "plan_id", "max_backups", "retention_duration" …} */
	bool enabled;
};
void scheduled_free(struct scheduled_operation *s);
DEFINE_AUTO(scheduled_operation, scheduled_free);
/* max_backups or retention_duration of a definition, which may be a text, as clients of Karbor's
 * send it; 0: it is no number. */
int64_t scheduled_number(const json_t *definition, const char *key);

extern const struct table scheduled_table;

/* `project` NULL: of any. ERR_NOENT. */
struct scheduled_operation *scheduled_load(struct db_tx *x, const char *project, const char *id,
					   struct err *e);
/*
 * Check and insert; s->id and s->plan are made. ERR_INVALID names the field: an operation type
 * other than protect and retention_protect, a trigger, plan or provider that is not the project's,
 * a number of backups or days that is none.
 */
int scheduled_insert(struct db_tx *x, struct scheduled_operation *s, uint64_t now_us,
		     struct err *e);
int scheduled_set_enabled(struct db_tx *x, const char *project, const char *id, bool enabled,
			  uint64_t now_us, struct err *e);
int scheduled_remove(struct db_tx *x, const char *project, const char *id, struct err *e);
/* 1: some scheduled operation uses this plan, 0: none, -1. */
int scheduled_uses_plan(struct db_tx *x, const char *plan, struct err *e);

/*
 * Those that are enabled of the triggers that a scheduler has marked with `claim`, or of one of
 * them (`trigger` not NULL): by trigger, the oldest first. The caller's, with
 * scheduled_list_free().
 */
int scheduled_of_claim(struct db_tx *x, const char *claim, const char *trigger,
		       struct scheduled_operation ***ret_list, size_t *ret_n, struct err *e);
void scheduled_list_free(struct scheduled_operation **list, size_t n);

#endif
