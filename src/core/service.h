/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h: which processes of holdfastd there are, and which of them an administrator has
 * disabled. A service is a role on a host. One that is disabled goes on with what it has begun and
 * takes no new work: others do, and where there are none, work waits.
 *
 * Threads: a services is thread-safe; the rest as transactions.
 */
#ifndef HF_CORE_SERVICE_H
#define HF_CORE_SERVICE_H

#include <stdbool.h>

#include "db/db.h"

#define SERVICE_ALIVE_US 60000000  /* a service that was not heard of for so long is down */
#define SERVICE_CHANNEL "services" /* woken when one is enabled or disabled */

/* The same bits as daemon_role. */
enum service_role {
	SERVICE_API = 1 << 0,
	SERVICE_SCHEDULER = 1 << 1,
	SERVICE_WORKER = 1 << 2,
	SERVICE_CONDUCTOR = 1 << 3,
};

/* ---- those of this process ---- */

struct services;

/* `roles` of this process on `host`, which are told of at once. */
struct services *services_new(struct db *d, const char *host, unsigned roles, struct err *e);
void services_free(struct services *s);
DEFINE_AUTO(services, services_free);
/* They are alive now: to be called every few seconds. */
int services_hello(struct services *s, struct err *e);
/*
 * May `role` take new work? From memory, and from the database where something was changed, or has
 * not been looked at for some seconds. While that cannot be read, it is as it was.
 */
bool services_may(struct services *s, enum service_role role);
/* The same, as flow.h and conductor.h ask; `arg` is a services. */
bool services_worker_may(void *arg);
bool services_conductor_may(void *arg);

/* ---- all ---- */

/*
 * Enable, or disable, with a reason (NULL: none). ERR_NOENT; ERR_INVALID: it is an API, without
 * which nobody could enable it again.
 */
int service_set(struct db_tx *t, const char *id, bool enabled, const char *reason, struct err *e);

#endif
