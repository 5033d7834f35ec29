/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trigger.h: when something is done by itself: at times (sched/schedule.h says what properties they
 * have), or when something happens:
 *
 *	{"event": "webhook"}			somebody calls, with the token that was given once
 *	{"event": "operation", "kind": "protect", "state": "succeeded", "plan_id": …}
 *			an operation of the project ended; kind, state (succeeded if missing: also
 *			failed, cancelled) and plan_id (any if missing) say which
 *
 * What is done then are its scheduled operations (scheduled.h); the scheduler (scheduler.h) starts
 * them, each firing exactly once.
 *
 * Threads: as transactions. `now_us` is what the clock says; only schedulers read it themselves.
 */
#ifndef HF_CORE_TRIGGER_H
#define HF_CORE_TRIGGER_H

#include <jansson.h>

#include "auth/identity.h"
#include "base/uuid.h"
#include "core/table.h"
#include "db/db.h"
#include "sched/zone.h"

#define TRIGGER_TIME "time"
#define TRIGGER_EVENT "event"
#define TRIGGER_NAME_MAX 255
#define TRIGGER_TOKEN 65 /* 64 hexadecimal digits and a NUL */
/* Waked when there may be something to fire. */
#define TRIGGER_CHANNEL "triggers"

struct trigger {
	char id[UUID_TEXT], project[AUTH_ID];
	char *name, *type;
	json_t *properties; /* object */
	bool enabled;
	uint64_t last_at_us;
	uint64_t next_at_us; /* 0: never */
};
void trigger_free(struct trigger *t);
DEFINE_AUTO(trigger, trigger_free);

/* For lists (table.h). */
extern const struct table trigger_table;
extern const struct table firing_table; /* its marker and id are "TRIGGER@microseconds" */

/* `project` NULL: of any. ERR_NOENT. */
struct trigger *trigger_load(struct db_tx *x, const char *project, const char *id, struct err *e);
/*
 * Check and insert; t->id is made, a missing start_time becomes `now_us`. Of a webhook, its token
 * is written to `ret_token` (may be NULL for others), which is the only time that it can be seen;
 * else "". ERR_INVALID names the field.
 */
int trigger_insert(struct db_tx *x, struct zones *zones, struct trigger *t, const char *created_by,
		   uint64_t now_us, char ret_token[TRIGGER_TOKEN], struct err *e);
/*
 * Check and store name, properties and enabled. Of another schedule, and of a trigger that was
 * disabled, only firings from now on count. A webhook keeps its token.
 */
int trigger_store(struct db_tx *x, struct zones *zones, const struct trigger *t, uint64_t now_us,
		  struct err *e);
/* ERR_BUSY: scheduled operations use it. */
int trigger_remove(struct db_tx *x, const char *project, const char *id, struct err *e);
/* A new token for a webhook; the old one does not count any more. ERR_INVALID: it is none. */
int trigger_new_token(struct db_tx *x, const char *project, const char *id,
		      char ret_token[TRIGGER_TOKEN], struct err *e);

/* ---- events ---- */

/* Something that happened to an operation. NULLs: not known. */
struct trigger_event {
	const char *id; /* of this event; it fires a trigger once, however often it is told */
	const char *project, *kind, *state, *plan;
	const char *trigger; /* the one that had started the operation: it is not fired again */
};

/* Firings waiting for a scheduler, of one trigger; more are not taken. */
#define TRIGGER_PENDING_MAX 100

/*
 * Mark the firings of the triggers that wait for this; a scheduler starts what belongs to them.
 * Fails only as the database does, so it may stand in the transaction that ends the operation.
 */
int trigger_tell(struct db_tx *x, const struct trigger_event *ev, uint64_t now_us,
		 unsigned *ret_fired, struct err *e);
/*
 * A call of a webhook. `event` NULL: each call counts. *ret_new: it was not told before.
 * ERR_DENIED: the token is wrong, or there is no such webhook, or it is disabled (the same message,
 * so that nothing can be probed); ERR_LIMIT: too many calls wait already.
 */
int trigger_call(struct db_tx *x, const char *id, const char *token, const char *event,
		 uint64_t now_us, bool *ret_new, struct err *e);

#endif
