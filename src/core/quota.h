/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota.h: how much of something a project may have. A project's own number counts, else that of
 * its quota class, else the default. Threads: as transactions.
 */
#ifndef HF_CORE_QUOTA_H
#define HF_CORE_QUOTA_H

#include <jansson.h>

#include "db/db.h"

#define QUOTA_UNLIMITED (-1)

struct quota_kind {
	const char *name; /* "plans" */
	int64_t standard;
	const char *in_use; /* a query with the project as $1 */
};
const struct quota_kind *quota_kinds(size_t *ret_n);

/* Of a project, or of a class ("class:NAME"), as {name: number}; the caller's. */
int quota_get(struct db_tx *t, const char *of, json_t **ret, struct err *e);
/* As {name: {"limit", "in_use", "reserved"}}. */
int quota_detail(struct db_tx *t, const char *project, json_t **ret, struct err *e);
json_t *quota_defaults(void);
int quota_set(struct db_tx *t, const char *of, const char *name, int64_t most, struct err *e);
/* Back to the defaults. */
int quota_reset(struct db_tx *t, const char *of, struct err *e);
/* ERR_LIMIT: one more would be too many. */
int quota_check(struct db_tx *t, const char *project, const char *name, struct err *e);

#endif
