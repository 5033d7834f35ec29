/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h: which processes of holdfastd there are. Threads: as transactions.
 */
#ifndef HF_CORE_SERVICE_H
#define HF_CORE_SERVICE_H

#include "db/db.h"

#define SERVICE_ALIVE_US 60000000 /* a service that was not heard of for so long is down */

/* This host has `role` ("api", "scheduler", "worker", "conductor"), and it is alive now. */
int service_seen(struct db_tx *t, const char *host, const char *role, struct err *e);
/* `reason` NULL: enable. ERR_NOENT. */
int service_set(struct db_tx *t, const char *id, bool enabled, const char *reason, struct err *e);

#endif
