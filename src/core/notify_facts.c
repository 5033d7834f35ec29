/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify_facts.c: what is said of what happened: a title that stands for itself, what happened and
 * what that means, and what to do.
 */
#include "core/notify.h"

#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "flow/flow.h"

/* ---- operations ---- */

static const struct wording {
	const char *kind, *noun;
	const char *means; /* that it failed */
	bool by_plan;	   /* the next one of the plan tells whether it works again */
} wordings[] = {
	{"protect", "Backup",
	 "No new recovery point was made; those that there were are as they were.", true},
	{"copy", "Copy", "There is no new copy; the original is as it was.", true},
	{"delete", "Deletion", "The checkpoint still takes up space.", true},
	{"restore", "Restore",
	 "What was restored so far was removed again; the checkpoint is as it was.", false},
	{"verify", "Verification", "Whether the checkpoint can be restored is not known.", false},
	{"target_verify", "Verification", "Whether the target is whole is not known.", false},
	{"collect", "Giving space back", "Space of deleted checkpoints is still taken.", false},
};

static const struct wording *wording_of(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(wordings); i++)
		if (strcmp(wordings[i].kind, kind) == 0)
			return &wordings[i];
	return NULL;
}

/* When the plan's newest good recovery point is from: a sentence; the caller frees it. */
static int newest_point(struct db_tx *t, const char *plan, char **ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT good_at FROM plans WHERE id = $1 AND good_at IS NOT NULL",
		     db_t(plan));
	char text[CLOCK_TEXT];
	int have = r ? db_next(r, e) : -1;

	if (have < 0)
		return -1;
	if (have == 0)
		*ret = xstrdup("There is no good recovery point of this plan.");
	else
		*ret = xasprintf("The newest good recovery point is from %s.",
				 clock_rfc3339((uint64_t)db_int(r, 0), text));
	return 0;
}

/* The columns: project, kind, subject, name, reason, plan. */
static int operation_failed(struct db_tx *t, const char *operation, const struct db_rows *r,
			    const struct wording *w, const char *trouble, uint64_t now_us,
			    struct err *e)
{
	const char *plan = db_text_or_null(r, 5);
	AUTO_FREE char *title = xasprintf("%s failed: %s", w->noun, db_text(r, 3));
	AUTO_FREE char *newest = NULL;
	AUTO_FREE char *text = NULL;
	struct notify_event ev = {
		.event = "operation.failed",
		.trouble = trouble,
		.project = db_text(r, 0),
		.plan = plan,
		.operation = operation,
		.subject = {"operation", operation, db_text(r, 3)},
		.title = title,
		.action = "Look at its steps and its log, remove the cause, and retry it.",
	};

	if (plan && strcmp(w->kind, "protect") == 0 && newest_point(t, plan, &newest, e) < 0)
		return -1;
	text = xasprintf("%s%s%s%s%s", db_text(r, 4), *db_text(r, 4) ? "\n" : "", w->means,
			 newest ? " " : "", newest ? newest : "");
	ev.text = text;
	return notify_tell(t, &ev, now_us, e);
}

static int operation_succeeded(struct db_tx *t, const char *operation, const struct db_rows *r,
			       const struct wording *w, const char *trouble, uint64_t now_us,
			       struct err *e)
{
	AUTO_FREE char *title = xasprintf("%s succeeded: %s", w->noun, db_text(r, 3));
	const struct notify_event ev = {
		.event = "operation.succeeded",
		.project = db_text(r, 0),
		.plan = db_text_or_null(r, 5),
		.operation = operation,
		.subject = {"operation", operation, db_text(r, 3)},
		.title = title,
		.text = "It has ended as it should.",
	};

	if (notify_tell(t, &ev, now_us, e) < 0)
		return -1;
	return notify_end(t, trouble, "It works again.", operation, now_us, e);
}

int notify_operation(struct db_tx *t, const char *operation, const char *state, uint64_t now_us,
		     struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT o.project_id, o.kind, o.subject, o.name, o.reason, (SELECT l.id FROM "
		     "operation_links l WHERE l.operation_id = o.id AND l.kind = 'plan') FROM "
		     "operations o WHERE o.id = $1",
		     db_t(operation));
	AUTO_FREE char *trouble = NULL;
	const struct wording *w;
	int have = r ? db_next(r, e) : -1;

	if (have > 0)
		have = notify_wanted(t, db_text(r, 0), e);
	w = have > 0 ? wording_of(db_text(r, 1)) : NULL;
	if (have < 0 || !w)
		return have < 0 ? -1 : 0;
	trouble = xasprintf("operation:%s:%s", w->kind,
			    w->by_plan && !db_is_null(r, 5) ? db_text(r, 5) : db_text(r, 2));
	if (strcmp(state, FLOW_SUCCEEDED) == 0)
		return operation_succeeded(t, operation, r, w, trouble, now_us, e);
	if (strcmp(state, FLOW_FAILED) == 0)
		return operation_failed(t, operation, r, w, trouble, now_us, e);
	return 0; /* who cancelled it knows */
}

/* ---- what else is told as it is seen ---- */

int notify_firing(struct db_tx *t, const char *project, const char *trigger, const char *name,
		  const char *plan, const char *why, uint64_t now_us, struct err *e)
{
	AUTO_FREE char *trouble = xasprintf("schedule:%s", trigger);
	AUTO_FREE char *title = NULL;
	AUTO_FREE char *text = NULL;

	if (!why)
		return notify_end(t, trouble, "It has started what it should.", NULL, now_us, e);
	title = xasprintf("Schedule could not start its operation: %s", name);
	text = xasprintf("%s\nNothing was done at this time.", why);
	return notify_tell(
		t,
		&(const struct notify_event){
			.event = "schedule.failed",
			.trouble = trouble,
			.project = project,
			.plan = plan,
			.subject = {"trigger", trigger, name},
			.title = title,
			.text = text,
			.action = "Look at the firings of the trigger, and remove the cause; it "
				  "tries again at its next time."},
		now_us, e);
}

/* Name and project of a row; 1: there is one. */
static int find(struct db_tx *t, const char *sql, const char *id, struct db_rows **ret,
		struct err *e)
{
	*ret = db_query(t, e, sql, db_t(id));
	return *ret ? db_next(*ret, e) : -1;
}

/* `why` NULL: it is fine. */
static int told_state(struct db_tx *t, const struct notify_event *ev, const char *why,
		      const char *fine, uint64_t now_us, struct err *e)
{
	return why ? notify_tell(t, ev, now_us, e)
		   : notify_end(t, ev->trouble, fine, NULL, now_us, e);
}

#define FULL_PERCENT 10 /* less free than that is nearly full */
#define ROOMY_PERCENT 12

static int told_space(struct db_tx *t, const char *id, const struct db_rows *r, int64_t total,
		      int64_t free, uint64_t now_us, struct err *e)
{
	AUTO_FREE char *trouble = xasprintf("full:%s", id);
	AUTO_FREE char *title = xasprintf("Target is nearly full: %s", db_text(r, 0));
	AUTO_FREE char *text = NULL;
	int64_t percent = total > 0 ? (int64_t)((double)free * 100 / (double)total) : 100;
	char a[HUMAN_TEXT], b[HUMAN_TEXT];

	if (percent >= FULL_PERCENT && percent < ROOMY_PERCENT)
		return 0;
	text = xasprintf("%s of %s are free (%lld %%). When it is full, backups to it fail.",
			 human_bytes((uint64_t)free, a), human_bytes((uint64_t)total, b),
			 (long long)percent);
	return told_state(
		t,
		&(const struct notify_event){
			.event = "target.full",
			.trouble = trouble,
			.lasts = true,
			.project = db_text_or_null(r, 1),
			.subject = {"target", id, db_text(r, 0)},
			.title = title,
			.text = text,
			.action = "Make it larger, keep less, or move plans to another target."},
		percent < FULL_PERCENT ? text : NULL, "There is room again.", now_us, e);
}

int notify_target(struct db_tx *t, const char *id, const char *why, int64_t total, int64_t free,
		  uint64_t now_us, struct err *e)
{
	AUTO_FREE char *trouble = xasprintf("target:%s", id);
	AUTO_FREE char *title = NULL;
	AUTO(db_rows) r = NULL;
	int have = find(t, "SELECT name, project_id FROM targets WHERE id = $1", id, &r, e);

	if (have <= 0)
		return have;
	title = xasprintf("Target cannot be reached: %s", db_text(r, 0));
	if (told_state(t,
		       &(const struct notify_event){
			       .event = "target.unreachable",
			       .trouble = trouble,
			       .lasts = true,
			       .project = db_text_or_null(r, 1),
			       .subject = {"target", id, db_text(r, 0)},
			       .title = title,
			       .text = why,
			       .action = "Backups to it fail until it can be reached: see that it "
					 "is up, and check it again."},
		       why, "It can be reached again.", now_us, e) < 0)
		return -1;
	return why ? 0 : told_space(t, id, r, total, free, now_us, e);
}

int notify_platform(struct db_tx *t, const char *id, const char *why, uint64_t now_us,
		    struct err *e)
{
	AUTO_FREE char *trouble = xasprintf("platform:%s", id);
	AUTO_FREE char *title = NULL;
	AUTO(db_rows) r = NULL;
	int have = find(t, "SELECT name, project_id FROM platforms WHERE id = $1", id, &r, e);

	if (have <= 0)
		return have;
	title = xasprintf("Platform cannot be reached: %s", db_text(r, 0));
	return told_state(t,
			  &(const struct notify_event){
				  .event = "platform.unreachable",
				  .trouble = trouble,
				  .lasts = true,
				  .project = db_text_or_null(r, 1),
				  .subject = {"platform", id, db_text(r, 0)},
				  .title = title,
				  .text = why,
				  .action = "Its machines are not backed up until it can be "
					    "reached: see that it is up, and that a mover can "
					    "reach it."},
			  why, "It can be reached again.", now_us, e);
}

int notify_verified(struct db_tx *t, const char *checkpoint, bool whole, const char *operation,
		    uint64_t now_us, struct err *e)
{
	AUTO_FREE char *trouble = xasprintf("damaged:%s", checkpoint);
	AUTO_FREE char *title = NULL;
	AUTO_FREE char *text = NULL;
	AUTO(db_rows) r = NULL;
	char at[CLOCK_TEXT];
	int have;

	if (whole)
		return notify_end(t, trouble, "It was verified again and is whole.", operation,
				  now_us, e);
	have = find(t,
		    "SELECT k.project_id, k.plan_id, p.name, k.created_at FROM checkpoints k LEFT "
		    "JOIN plans p ON p.id = k.plan_id WHERE k.id = $1",
		    checkpoint, &r, e);
	if (have <= 0)
		return have;
	title = xasprintf("Checkpoint is damaged: %s",
			  db_is_null(r, 2) ? checkpoint : db_text(r, 2));
	text = xasprintf("Checkpoint %s, made at %s, was verified, and what is stored of it is not "
			 "what was written. It cannot be restored as a whole.",
			 checkpoint, clock_rfc3339((uint64_t)db_int(r, 3), at));
	return notify_tell(t,
			   &(const struct notify_event){
				   .event = "checkpoint.damaged",
				   .trouble = trouble,
				   .project = db_text(r, 0),
				   .plan = db_text(r, 1),
				   .operation = operation,
				   .subject = {"checkpoint", checkpoint, db_text_or_null(r, 2)},
				   .title = title,
				   .text = text,
				   .action = "Repair the target from a copy (holdfast target "
					     "repair), make a new backup, and look at the storage: "
					     "other checkpoints may share the damage."},
			   now_us, e);
}

int notify_repository(struct db_tx *t, const char *repository, int64_t damaged,
		      const char *operation, uint64_t now_us, struct err *e)
{
	AUTO_FREE char *trouble = xasprintf("damage:%s", repository);
	AUTO_FREE char *title = NULL;
	AUTO_FREE char *text = NULL;
	AUTO(db_rows) r = NULL;
	int have;

	if (!damaged)
		return notify_end(t, trouble, "All that is stored was read again and is whole.",
				  operation, now_us, e);
	have = find(t,
		    "SELECT t.id, t.name, r.project_id FROM repositories r JOIN targets t ON t.id "
		    "= r.target_id WHERE r.id = $1",
		    repository, &r, e);
	if (have <= 0)
		return have;
	title = xasprintf("Target is damaged: %s", db_text(r, 1));
	text = xasprintf("%lld of the objects stored in it are not as they were written. The "
			 "operation tells which.",
			 (long long)damaged);
	return notify_tell(t,
			   &(const struct notify_event){
				   .event = "target.damaged",
				   .trouble = trouble,
				   .lasts = true,
				   .project = db_text(r, 2),
				   .operation = operation,
				   .subject = {"target", db_text(r, 0), db_text(r, 1)},
				   .title = title,
				   .text = text,
				   .action =
					   "Verify its checkpoints to see which of them are hurt, "
					   "and repair the target from a copy (holdfast target "
					   "repair)."},
			   now_us, e);
}
