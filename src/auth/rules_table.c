/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules as they are without a policy file. Those of Karbor have its names. In the order of
 * names, for looking up.
 *
 * An operator may do all that a member may. Who may only back up sees what there is to back up, and
 * never what is in a checkpoint; who may only restore cannot make or remove one.
 */
#include "auth/rules.h"

#define ADMIN AUTH_ADMIN
#define CARE (AUTH_ADMIN | AUTH_OPERATOR)
#define WORK (CARE | AUTH_MEMBER)
#define BACKUP (WORK | AUTH_BACKUP)
#define RESTORE (WORK | AUTH_RESTORE)
#define LOOK (WORK | AUTH_VIEWER | AUTH_BACKUP | AUTH_RESTORE)
#define WATCH (CARE | AUTH_VIEWER)

/* What belongs to no project is asked for with project NULL: then roles count where they are held
 * everywhere. The third column is for what no project may do to itself. */
static const struct rule table[] = {
	{"audit:get", CARE, 0},
	{"audit:verify", 0, WATCH},
	{"checkpoint:hold", CARE, 0},
	{"checkpoint:lock", CARE, 0},
	{"copy:create", WORK, 0},
	{"copy:get", LOOK, 0},
	{"copy:get_all", LOOK, 0},
	{"coverage:get", LOOK, 0},
	{"coverage:update", WORK, 0},
	{"event:get", LOOK, 0},
	{"grant:create", ADMIN, 0},
	{"grant:delete", ADMIN, 0},
	{"grant:get", WATCH, 0},
	{"metrics:get", 0, WATCH},
	{"mover:connect", 0, AUTH_MOVER},
	{"mover:delete", 0, CARE},
	{"mover:get", 0, WATCH},
	{"mover:join", 0, CARE},
	{"mover:update", 0, CARE},
	{"notification:create", WORK, 0},
	{"notification:delete", WORK, 0},
	{"notification:get", LOOK, 0},
	{"notification:update", WORK, 0},
	{"operation:cancel", BACKUP | RESTORE, 0},
	{"operation:delete", WORK, 0},
	{"operation:get", LOOK, 0},
	{"operation:retry", BACKUP | RESTORE, 0},
	{"operation_log:get", LOOK, 0},
	{"operation_log:list", LOOK, 0},
	{"plan:create", WORK, 0},
	{"plan:delete", WORK, 0},
	{"plan:get", LOOK, 0},
	{"plan:get_all", LOOK, 0},
	{"plan:update", WORK, 0},
	{"platform:create", CARE, 0},
	{"platform:delete", CARE, 0},
	{"platform:get", LOOK, 0},
	{"platform:test", CARE, 0},
	{"platform:update", CARE, 0},
	{"policy:create", WORK, 0},
	{"policy:delete", WORK, 0},
	{"policy:get", LOOK, 0},
	{"policy:mandate", 0, CARE},
	{"policy:simulate", LOOK, 0},
	{"policy:update", WORK, 0},
	{"project:create", 0, ADMIN},
	{"project:delete", 0, ADMIN},
	{"project:get", LOOK, 0},
	{"project:get_all", 0, WATCH},
	{"project:update", 0, ADMIN},
	{"protectable:get", LOOK, 0},
	{"protectable:get_all", LOOK, 0},
	{"protectable:instance_get", LOOK, 0},
	{"protectable:instance_get_all", LOOK, 0},
	{"provider:checkpoint_create", BACKUP, 0},
	{"provider:checkpoint_delete", WORK, 0},
	{"provider:checkpoint_get", LOOK, 0},
	{"provider:checkpoint_get_all", LOOK, 0},
	{"provider:checkpoint_update", WORK, 0},
	{"provider:create", CARE, 0},
	{"provider:delete", CARE, 0},
	{"provider:get", LOOK, 0},
	{"provider:get_all", LOOK, 0},
	{"provider:key", ADMIN, 0},
	{"provider:update", CARE, 0},
	{"quota:delete", 0, ADMIN},
	{"quota:get", LOOK, 0},
	{"quota:get_default", LOOK, 0},
	{"quota:update", 0, ADMIN},
	{"quota_class:get", 0, WATCH},
	{"quota_class:update", 0, ADMIN},
	{"report:get", WORK | AUTH_VIEWER, 0},
	{"restore:create", RESTORE, 0},
	{"restore:delete", RESTORE, 0},
	{"restore:get", LOOK, 0},
	{"restore:get_all", LOOK, 0},
	{"restore:update", RESTORE, 0},
	{"scheduled_operation:create", WORK, 0},
	{"scheduled_operation:delete", WORK, 0},
	{"scheduled_operation:get", LOOK, 0},
	{"scheduled_operation:list", LOOK, 0},
	{"scheduled_operation:update", WORK, 0},
	{"search:get", LOOK, 0},
	{"server:rotate_key", 0, ADMIN},
	{"service:get_all", 0, CARE},
	{"service:update", 0, CARE},
	{"target:collect", CARE, 0},
	{"target:create", CARE, 0},
	{"target:delete", CARE, 0},
	{"target:get", LOOK, 0},
	{"target:test", CARE, 0},
	{"target:update", CARE, 0},
	{"target:verify", CARE, 0},
	{"token:create", LOOK, 0},
	{"token:delete", LOOK, 0},
	{"token:get", LOOK, 0},
	{"trigger:create", WORK, 0},
	{"trigger:delete", WORK, 0},
	{"trigger:fire", BACKUP, 0},
	{"trigger:get", LOOK, 0},
	{"trigger:list", LOOK, 0},
	{"trigger:update", WORK, 0},
	{"usage:get", WORK | AUTH_VIEWER, 0},
	{"user:create", 0, ADMIN},
	{"user:delete", 0, ADMIN},
	{"user:get", 0, WATCH},
	{"user:update", 0, ADMIN},
	{"verification:create", RESTORE | AUTH_BACKUP, 0},
	{"verification:get", LOOK, 0},
	{"verification:get_all", LOOK, 0},
};

const struct rule *rules_table(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(table);
	return table;
}
