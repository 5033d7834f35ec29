/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform.h: the places where resources live, and what was found there. What a platform lists is
 * kept, with who it belongs to: the platform's project, or the one that an administrator gave it
 * to. What is not listed any more is marked as gone, not forgotten: its checkpoints remain, and it
 * can be restored. Threads: as transactions.
 */
#ifndef HF_CORE_PLATFORM_H
#define HF_CORE_PLATFORM_H

#include <jansson.h>

#include "core/operation.h"

struct platform_new {
	const char *project; /* NULL: an administrator gives its resources to projects */
	const char *name, *description, *kind, *uri;
	const char *mover; /* NULL: any */
};
int platform_insert(struct db_tx *t, const struct platform_new *n, char ret_id[UUID_TEXT],
		    struct err *e);
/* Its resources are forgotten; checkpoints stay. ERR_BUSY: an operation is at work on it. */
int platform_remove(struct core *c, struct db_tx *t, const char *id, struct err *e);

/* List its resources anew: starts an operation, or finds the one that has not begun yet. */
int platform_discover(struct core *c, struct db_tx *t, const char *id, const char *created_by,
		      char ret_operation[UUID_TEXT], struct err *e);
/* The step alone, within another operation. */
int platform_add_list(struct core *c, struct db_tx *t, const char *operation, const char *id,
		      char ret_step[UUID_TEXT], struct err *e);
/* Who reaches it: operation_place(). ERR_NOENT. */
int platform_place(struct db_tx *t, const char *id, char ret[OPERATION_PLACE], struct err *e);
/* {kind, uri}, as a mover takes it. */
int platform_access(struct db_tx *t, const char *id, json_t **ret, struct err *e);

/* Give a resource to a project; "" takes it away. ERR_NOENT. */
int resource_assign(struct core *c, struct db_tx *t, const char *platform, const char *type,
		    const char *id, const char *project, struct err *e);

extern const struct flow_kind platform_list_kind;
extern const struct flow_operation_kind operation_discover;

#endif
