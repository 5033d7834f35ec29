/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c: who hears of what, and the outbox.
 *
 * A trouble has a row for each notification that was told of it. Who inserts it tells; who finds it
 * does not. So two transactions that see the same trouble tell it once, and a notification that is
 * new hears of what goes on when that is seen next.
 */
#include "core/notify.h"

#include <string.h>

#include "base/clock.h"
#include "core/ids.h"
#include "core/json.h"

#define HOUR_US INT64_C(3600000000)

const char *const notify_severities[] = {"info", "warning", "error", "critical", NULL};
const char *const notify_kinds[] = {"webhook", "mail", "slack", NULL};

static const struct notify_event_kind kinds[] = {
	{"operation.failed", NOTIFY_ERROR, false},	{"operation.succeeded", NOTIFY_INFO, true},
	{"schedule.failed", NOTIFY_ERROR, false},	{"plan.late", NOTIFY_ERROR, false},
	{"checkpoint.damaged", NOTIFY_CRITICAL, false}, {"target.unreachable", NOTIFY_ERROR, false},
	{"target.damaged", NOTIFY_CRITICAL, false},	{"target.full", NOTIFY_WARNING, false},
	{"platform.unreachable", NOTIFY_ERROR, false},	{"mover.lost", NOTIFY_ERROR, false},
	{"quota.reached", NOTIFY_WARNING, false},
};

const struct notify_event_kind *notify_event_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* ---- who wants it ---- */

static bool names(const char *array, const char *name, bool if_empty)
{
	json_t *list = json_of(array, "[]"), *v;
	bool found = json_array_size(list) == 0 && if_empty;
	size_t i;

	json_array_foreach(list, i, v)
	{
		found = found || (name && strcmp(json_string_value(v), name) == 0);
	}
	json_decref(list);
	return found;
}

static size_t rank(const char *severity)
{
	size_t i = 0;

	while (notify_severities[i + 1] && strcmp(notify_severities[i], severity) != 0)
		i++;
	return i;
}

/* The row: id, events, severity, plan_ids, remind_hours. */
static bool wants(const struct db_rows *r, const struct notify_event *ev,
		  const struct notify_event_kind *k)
{
	return rank(db_text(r, 2)) <= (size_t)k->severity &&
	       names(db_text(r, 1), ev->event, !k->asked) && names(db_text(r, 3), ev->plan, true);
}

int notify_wanted(struct db_tx *t, const char *project, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT 1 FROM notifications WHERE enabled = 1 AND (project_id = $1 OR "
		     "project_id IS NULL) LIMIT 1",
		     db_t(project ? project : ""));

	return r ? db_next(r, e) : -1;
}

/* ---- messages ---- */

static int project_name(struct db_tx *t, const char *id, json_t *m, struct err *e)
{
	AUTO(db_rows) r = NULL;
	int have;

	json_object_set_new(m, "project_id", id ? json_string(id) : json_null());
	json_object_set_new(m, "project_name", json_null());
	if (!id)
		return 0;
	r = db_query(t, e, "SELECT name FROM projects WHERE id = $1", db_t(id));
	have = r ? db_next(r, e) : -1;
	if (have > 0)
		json_object_set_new(m, "project_name", json_string(db_text(r, 0)));
	return have < 0 ? -1 : 0;
}

static json_t *subject_of(const struct notify_event *ev)
{
	if (!ev->subject.type)
		return json_null();
	return json_pack("{s:s, s:o, s:o}", "type", ev->subject.type, "id",
			 json_string_of(ev->subject.id), "name", json_string_of(ev->subject.name));
}

static int make_message(struct db_tx *t, const struct notify_event *ev,
			const struct notify_event_kind *k, uint64_t now_us, json_t **ret,
			struct err *e)
{
	json_t *m =
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "event", ev->event,
			  "severity", notify_severities[k->severity], "at", json_time(now_us),
			  "trouble", json_string_of(ev->trouble), "plan_id",
			  json_string_of(ev->plan), "operation_id", json_string_of(ev->operation),
			  "title", json_string_of(ev->title), "text", json_string_of(ev->text),
			  "action", json_string_of(ev->action), "subject", subject_of(ev));

	if (project_name(t, ev->project, m, e) < 0) {
		json_decref(m);
		return -1;
	}
	*ret = m;
	return 0;
}

int notify_put(struct db_tx *t, const char *notification, const json_t *message, unsigned tries,
	       uint64_t now_us, char ret_id[UUID_TEXT], struct err *e)
{
	AUTO_FREE char *text = json_text(message);

	if (db_exec(t, NULL, e,
		    "INSERT INTO deliveries (id, notification_id, event, severity, title, message, "
		    "state, attempts, attempts_most, log, next_at, created_at) VALUES ($1, $2, $3, "
		    "$4, $5, $6, 'pending', 0, $7, '[]', $8, $8)",
		    db_t(new_id(ret_id)), db_t(notification), db_t(json_text_in(message, "event")),
		    db_t(json_text_in(message, "severity")), db_t(json_text_in(message, "title")),
		    db_t(text), db_i(tries), db_i(now_us)) < 0)
		return -1;
	return db_wake(t, NOTIFY_WAKE, e);
}

/* ---- troubles ---- */

/* 1: it is to be told, 0: it was told already. */
static int open_trouble(struct db_tx *t, const char *notification, int64_t remind_hours,
			const struct notify_event *ev, const json_t *message, uint64_t now_us,
			struct err *e)
{
	AUTO_FREE char *text = json_text(message);
	uint64_t n;

	if (db_exec(t, &n, e,
		    "INSERT INTO notification_troubles (notification_id, trouble, message, "
		    "opened_at, told_at, times) VALUES ($1, $2, $3, $4, $4, 1) ON CONFLICT DO "
		    "NOTHING",
		    db_t(notification), db_t(ev->trouble), db_t(text), db_i(now_us)) < 0)
		return -1;
	if (n)
		return 1;
	if (!ev->lasts && db_exec(t, NULL, e,
				  "UPDATE notification_troubles SET times = times + 1 WHERE "
				  "notification_id = $1 AND trouble = $2",
				  db_t(notification), db_t(ev->trouble)) < 0)
		return -1;
	if (!remind_hours)
		return 0;
	if (db_exec(t, &n, e,
		    "UPDATE notification_troubles SET told_at = $3 WHERE notification_id = $1 AND "
		    "trouble = $2 AND told_at <= $4",
		    db_t(notification), db_t(ev->trouble), db_i(now_us),
		    db_i((int64_t)now_us - remind_hours * HOUR_US)) < 0)
		return -1;
	return n > 0;
}

int notify_tell(struct db_tx *t, const struct notify_event *ev, uint64_t now_us, struct err *e)
{
	const struct notify_event_kind *k = notify_event_kind(ev->event);
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id, events, severity, plan_ids, remind_hours FROM notifications WHERE "
		     "enabled = 1 AND (project_id = $1 OR project_id IS NULL) ORDER BY id",
		     db_t(ev->project ? ev->project : ""));
	json_t *m = NULL;
	char id[UUID_TEXT];
	int have = r ? 1 : -1, told;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (!wants(r, ev, k))
			continue;
		told = m ? 0 : make_message(t, ev, k, now_us, &m, e);
		if (told == 0)
			told = ev->trouble ? open_trouble(t, db_text(r, 0), db_int(r, 4), ev, m,
							  now_us, e)
					   : 1;
		if (told > 0)
			told = notify_put(t, db_text(r, 0), m, NOTIFY_TRIES, now_us, id, e);
		if (told < 0)
			have = -1;
	}
	json_decref(m);
	return have;
}

/* "plan.late" becomes "plan.recovered". */
static void turn_round(json_t *m, const char *text, const char *operation, int64_t opened_us,
		       int64_t times, uint64_t now_us)
{
	const char *event = json_text_in(m, "event");
	AUTO_FREE char *name = xasprintf("%.*s.recovered", (int)strcspn(event, "."), event);
	AUTO_FREE char *title = xasprintf("Over: %s", json_text_in(m, "title"));
	AUTO_FREE char *all = NULL;
	char since[CLOCK_TEXT];

	clock_rfc3339((uint64_t)opened_us, since);
	all = times > 1 ? xasprintf("%s It had begun at %s and was seen %lld times.", text, since,
				    (long long)times)
			: xasprintf("%s It had begun at %s.", text, since);
	json_object_set_new(m, "event", json_string(name));
	json_object_set_new(m, "severity", json_string(notify_severities[NOTIFY_INFO]));
	json_object_set_new(m, "at", json_time(now_us));
	json_object_set_new(m, "title", json_string_of(title));
	json_object_set_new(m, "text", json_string_of(all));
	json_object_set_new(m, "action", json_string("Nothing has to be done."));
	if (operation)
		json_object_set_new(m, "operation_id", json_string(operation));
}

int notify_end(struct db_tx *t, const char *trouble, const char *text, const char *operation,
	       uint64_t now_us, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT x.notification_id, x.message, x.opened_at, x.times, n.enabled FROM "
		     "notification_troubles x JOIN notifications n ON n.id = x.notification_id "
		     "WHERE x.trouble = $1 ORDER BY x.notification_id",
		     db_t(trouble));
	char id[UUID_TEXT];
	int have = r ? 1 : -1, told;
	uint64_t n;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		json_t *m;

		/* Who removes the row tells. */
		if (db_exec(t, &n, e,
			    "DELETE FROM notification_troubles WHERE notification_id = $1 AND "
			    "trouble = $2",
			    db_t(db_text(r, 0)), db_t(trouble)) < 0)
			return -1;
		if (n == 0 || !db_int(r, 4))
			continue;
		m = json_of(db_text(r, 1), "{}");
		turn_round(m, text, operation, db_int(r, 2), db_int(r, 3), now_us);
		told = notify_put(t, db_text(r, 0), m, NOTIFY_TRIES, now_us, id, e);
		json_decref(m);
		if (told < 0)
			return -1;
	}
	return have;
}
