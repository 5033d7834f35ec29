/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h: telling people what happened. Who wants to hear of what is a notification: a webhook,
 * mail addresses, a channel of Slack. It belongs to a project and hears of that project, or to no
 * project: then it is an administrator's and hears of all, and of what belongs to none.
 *
 * Messages are written to the outbox (the table deliveries) in the transaction of what they tell
 * of, so none is lost and none is told of what did not happen; src/outbox delivers them.
 *
 * A trouble has a name, such as "late:PLAN". It is told to a notification once when it begins, and
 * not again while it goes on (unless it wants to be reminded); its end is told to those who
 * were told of it.
 *
 * A message is an object: event, severity, at, trouble (or null), project_id, project_name,
 * subject {type, id, name}, plan_id, operation_id, title (a line), text (what happened and what it
 * means), action (what to do).
 *
 * Threads: a call belongs to its transaction's.
 */
#ifndef HF_CORE_NOTIFY_H
#define HF_CORE_NOTIFY_H

#include <jansson.h>

#include "base/uuid.h"
#include "db/db.h"

/* db_wait(): something is in the outbox. */
#define NOTIFY_WAKE "notify"
#define NOTIFY_MOST 20 /* notifications of a project, or of the server */
#define NOTIFY_TRIES 9 /* of a delivery; then it is given up */
#define NOTIFY_RECIPIENTS 20
#define NOTIFY_SECRET_MIN 24 /* bytes of a webhook's secret */
#define NOTIFY_SECRET_MAX 64

enum notify_severity { NOTIFY_INFO, NOTIFY_WARNING, NOTIFY_ERROR, NOTIFY_CRITICAL };
extern const char *const notify_severities[]; /* their words, NULL-terminated */
extern const char *const notify_kinds[];      /* webhook, mail, slack; NULL-terminated */

/* What can be asked for. */
struct notify_event_kind {
	const char *name; /* "operation.failed" */
	enum notify_severity severity;
	bool asked; /* told only to those who name it */
};
const struct notify_event_kind *notify_event_kind(const char *name); /* NULL: there is none */

struct notify_event {
	const char *event;
	const char *trouble; /* NULL: it is none, and told each time */
	bool lasts;	     /* a state that is looked at, not something that happened once more */
	const char *project; /* NULL: of the server */
	const char *plan;    /* NULL: of none */
	const char *operation; /* NULL: none */
	struct {
		const char *type, *id, *name;
	} subject;
	const char *title, *text, *action;
};

/* It has happened. */
int notify_tell(struct db_tx *t, const struct notify_event *ev, uint64_t now_us, struct err *e);
/* The trouble is over, if anybody was told of it. `text` says how that is known; `operation` may be
 * NULL. */
int notify_end(struct db_tx *t, const char *trouble, const char *text, const char *operation,
	       uint64_t now_us, struct err *e);
/* Into the outbox of one notification: it is tried at once, and `tries` times at most. */
int notify_put(struct db_tx *t, const char *notification, const json_t *message, unsigned tries,
	       uint64_t now_us, char ret_id[UUID_TEXT], struct err *e);
/* 1: somebody may want to hear of this project (NULL: the server); 0: nobody. */
int notify_wanted(struct db_tx *t, const char *project, struct err *e);

/* ---- what is told ---- */

/* An operation has ended so. */
int notify_operation(struct db_tx *t, const char *operation, const char *state, uint64_t now_us,
		     struct err *e);
/* A firing of a trigger; `why` NULL: it has started what it should. */
int notify_firing(struct db_tx *t, const char *project, const char *trigger, const char *name,
		  const char *plan, const char *why, uint64_t now_us, struct err *e);
/* A target was looked at; `why` NULL: it can be reached, and has these bytes (0: unknown). */
int notify_target(struct db_tx *t, const char *id, const char *why, int64_t total, int64_t free,
		  uint64_t now_us, struct err *e);
/* A platform was listed; `why` NULL: that worked. */
int notify_platform(struct db_tx *t, const char *id, const char *why, uint64_t now_us,
		    struct err *e);
/* A checkpoint was verified from end to end. */
int notify_verified(struct db_tx *t, const char *checkpoint, bool whole, const char *operation,
		    uint64_t now_us, struct err *e);
/* All that is stored in it was read; `damaged`: so many of its objects. */
int notify_repository(struct db_tx *t, const char *repository, int64_t damaged,
		      const char *operation, uint64_t now_us, struct err *e);

/*
 * Look for what nobody tells: plans whose newest good recovery point is older than their schedules
 * say, movers that are not heard of, quotas that are used up. In transactions of its own; any
 * number of processes may do it.
 */
int notify_watch(struct db *d, uint64_t now_us, struct err *e);

#endif
