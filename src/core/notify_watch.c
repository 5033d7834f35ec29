/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify_watch.c: troubles that are no event: nobody does anything, and that is the trouble.
 *
 * First all of them are read, on one moment and without holding up anybody; then those are told,
 * and those that were told of and are not among them any more have ended. What changes in between
 * is seen in the next round.
 */
#include <string.h>

#include "base/clock.h"
#include "core/json.h"
#include "core/notify.h"
#include "core/quota.h"

#define MOVER_LOST_US INT64_C(180000000)
#define PLANS_MOST 10000
#define PROJECTS_MOST 10000
#define BATCH 50 /* troubles in a transaction */

struct watch {
	uint64_t now_us;
	json_t *seen; /* object: trouble to {event, project …} */
	json_t *open; /* object: troubles that somebody was told of */
	/* What a transaction is to do. */
	void *at;
	bool ending;
};

static void see(struct watch *w, const char *trouble, const char *event, const char *project,
		const char *plan, json_t *subject, const char *title, const char *text,
		const char *action)
{
	json_object_set_new(w->seen, trouble,
			    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "event", event,
				      "project", json_string_of(project), "plan",
				      json_string_of(plan), "subject", subject, "title",
				      json_string_of(title), "text", json_string_of(text), "action",
				      action));
}

static json_t *subject_of(const char *type, const char *id, const char *name)
{
	return json_pack("{s:s, s:s, s:o}", "type", type, "id", id, "name", json_string_of(name));
}

/* ---- plans ---- */

/* When a plan is late is worked out where its schedules and checkpoints change (coverage_due.h).
 * Only those of projects where somebody wants to hear of it. */
static const char late[] =
	"SELECT id, name, project_id, good_at, due_at FROM plans WHERE due_at <= $1 AND (EXISTS "
	"(SELECT 1 FROM notifications WHERE enabled = 1 AND project_id IS NULL) OR project_id IN "
	"(SELECT project_id FROM notifications WHERE enabled = 1)) ORDER BY due_at LIMIT $2";

static int see_plans(struct db_tx *t, struct watch *w, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, late, db_i(w->now_us), db_i(PLANS_MOST));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		const char *id = db_text(r, 0), *name = db_text(r, 1);
		AUTO_FREE char *trouble = xasprintf("late:%s", id);
		AUTO_FREE char *title = xasprintf("Recovery point is overdue: plan %s", name);
		AUTO_FREE char *text = NULL;
		char due[CLOCK_TEXT], newest[CLOCK_TEXT];

		clock_rfc3339((uint64_t)db_int(r, 4), due);
		text = xasprintf("By its schedule there should have been another one at %s; the "
				 "newest good one is %s%s. What changed since then would be lost.",
				 due, db_is_null(r, 3) ? "none" : "of ",
				 db_is_null(r, 3) ? ""
						  : clock_rfc3339((uint64_t)db_int(r, 3), newest));
		see(w, trouble, "plan.late", db_text(r, 2), id, subject_of("plan", id, name), title,
		    text,
		    "Look at the plan's last operations, and at the firings of its triggers.");
	}
	return have;
}

/* ---- movers ---- */

static int see_movers(struct db_tx *t, struct watch *w, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id, name, host, last_seen_at FROM movers WHERE revoked_at IS NULL AND "
		     "last_seen_at < $1",
		     db_i((int64_t)w->now_us - MOVER_LOST_US));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		const char *id = db_text(r, 0), *name = db_text(r, 1);
		AUTO_FREE char *trouble = xasprintf("mover:%s", id);
		AUTO_FREE char *title = xasprintf("Mover is lost: %s", name);
		AUTO_FREE char *text = NULL;
		char at[CLOCK_TEXT];

		text = xasprintf("Mover %s on %s was last heard of at %s. What only it can reach "
				 "is not backed up until it is back.",
				 name, db_text(r, 2), clock_rfc3339((uint64_t)db_int(r, 3), at));
		see(w, trouble, "mover.lost", NULL, NULL, subject_of("mover", id, name), title,
		    text,
		    "See that the machine is up, that holdfast-mover runs on it, and that it "
		    "reaches this server; revoke it if it is gone for good.");
	}
	return have;
}

/* ---- quotas ---- */

static int see_quota(struct db_tx *t, struct watch *w, const char *project,
		     const char *project_name, const char *resource, struct err *e)
{
	AUTO_FREE char *trouble = xasprintf("quota:%s:%s", resource, project);
	AUTO_FREE char *title = NULL;
	struct err why = {ERR_NONE};

	if (quota_check(t, project, resource, &why) == 0)
		return 0;
	if (why.kind != ERR_LIMIT) {
		if (e)
			*e = why;
		return -1;
	}
	title = xasprintf("Quota of %s is used up: project %s", resource, project_name);
	see(w, trouble, "quota.reached", project, NULL,
	    subject_of("project", project, project_name), title, why.msg,
	    "Remove some, or have an administrator raise the quota.");
	return 0;
}

static int see_quotas(struct db_tx *t, struct watch *w, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id, name FROM projects WHERE enabled = 1 AND (EXISTS (SELECT 1 FROM "
		     "notifications WHERE enabled = 1 AND project_id IS NULL) OR id IN (SELECT "
		     "project_id FROM notifications WHERE enabled = 1)) ORDER BY id LIMIT $1",
		     db_i(PROJECTS_MOST));
	int have = r ? 1 : -1;
	size_t n;
	const struct quota_kind *k = quota_kinds(&n);

	while (have > 0 && (have = db_next(r, e)) > 0)
		for (size_t i = 0; i < n; i++)
			if (see_quota(t, w, db_text(r, 0), db_text(r, 1), k[i].name, e) < 0)
				return -1;
	return have;
}

/* ---- a round ---- */

static int see_open(struct db_tx *t, struct watch *w, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT DISTINCT trouble FROM notification_troubles WHERE trouble LIKE "
		     "'late:%' OR trouble LIKE 'mover:%' OR trouble LIKE 'quota:%'");
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		if (!json_object_get(w->seen, db_text(r, 0)))
			json_object_set_new(w->open, db_text(r, 0), json_true());
	return have;
}

static int look(struct db_tx *t, void *arg, struct err *e)
{
	struct watch *w = arg;
	AUTO(db_rows) r = db_query(t, e, "SELECT 1 FROM notifications WHERE enabled = 1 LIMIT 1");
	int have = r ? db_next(r, e) : -1;

	json_object_clear(w->seen);
	json_object_clear(w->open);
	if (have <= 0)
		return have;
	if (see_plans(t, w, e) < 0 || see_movers(t, w, e) < 0 || see_quotas(t, w, e) < 0)
		return -1;
	return see_open(t, w, e);
}

static int tell_one(struct db_tx *t, const char *trouble, const json_t *v, uint64_t now_us,
		    struct err *e)
{
	const json_t *subject = json_object_get(v, "subject");
	const struct notify_event ev = {
		.event = json_text_in(v, "event"),
		.trouble = trouble,
		.lasts = true,
		.project = json_string_value(json_object_get(v, "project")),
		.plan = json_string_value(json_object_get(v, "plan")),
		.subject = {json_text_in(subject, "type"), json_text_in(subject, "id"),
			    json_text_in(subject, "name")},
		.title = json_text_in(v, "title"),
		.text = json_text_in(v, "text"),
		.action = json_text_in(v, "action"),
	};

	return notify_tell(t, &ev, now_us, e);
}

static int do_batch(struct db_tx *t, void *arg, struct err *e)
{
	struct watch *w = arg;
	json_t *all = w->ending ? w->open : w->seen;
	void *at = w->at;

	for (int i = 0; at && i < BATCH; i++, at = json_object_iter_next(all, at)) {
		const char *trouble = json_object_iter_key(at);
		int done = w->ending
				   ? notify_end(t, trouble, "It is not so any more.", NULL,
						w->now_us, e)
				   : tell_one(t, trouble, json_object_iter_value(at), w->now_us, e);

		if (done < 0)
			return -1;
	}
	return 0;
}

static int do_all(struct db *d, struct watch *w, bool ending, struct err *e)
{
	json_t *all = ending ? w->open : w->seen;

	w->ending = ending;
	for (w->at = json_object_iter(all); w->at;) {
		if (db_write(d, do_batch, w, e) < 0)
			return -1;
		for (int i = 0; w->at && i < BATCH; i++)
			w->at = json_object_iter_next(all, w->at);
	}
	return 0;
}

int notify_watch(struct db *d, uint64_t now_us, struct err *e)
{
	struct watch w = {.now_us = now_us, .seen = json_object(), .open = json_object()};
	int done = db_read(d, look, &w, e);

	if (done == 0)
		done = do_all(d, &w, false, e);
	if (done == 0)
		done = do_all(d, &w, true, e);
	json_decref(w.seen);
	json_decref(w.open);
	return done;
}
