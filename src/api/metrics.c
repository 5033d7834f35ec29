/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics: for Prometheus, in its text format (version 0.0.4): how old each plan's newest good
 * checkpoint is, what runs, how full targets are. Of all projects: for who may watch the whole
 * server.
 */
#include <string.h>

#include "api/api_priv.h"
#include "base/buf.h"
#include "base/clock.h"

#define PLANS_MOST 100000

/* A value of a label: backslash, quote and line end are escaped. */
static void add_label(struct buf *b, const char *name, const char *value, bool last)
{
	buf_fmt(b, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			buf_text(b, "\\n");
		else if (*value == '\\' || *value == '"')
			buf_fmt(b, "\\%c", *value);
		else
			buf_add(b, value, 1);
	}
	buf_text(b, last ? "\"} " : "\",");
}

static void head(struct buf *b, const char *name, const char *help)
{
	buf_fmt(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

#define AGE "holdfast_plan_newest_checkpoint_age_seconds"
#define NONE "holdfast_plan_without_checkpoint"

static int add_plans(struct api_call *c, struct buf *b, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e,
		     "SELECT project_id, id, name, good_at FROM plans ORDER BY id LIMIT $1",
		     db_i(PLANS_MOST));
	AUTO_BUF without = BUF_INIT;
	uint64_t now = clock_wall_us();
	int have = r ? 1 : -1;

	head(b, AGE, "Age of the newest checkpoint that is available and not known to be damaged.");
	while (have > 0 && (have = db_next(r, e)) > 0) {
		bool none = db_is_null(r, 3);
		struct buf *to = none ? &without : b;

		buf_text(to, none ? NONE "{" : AGE "{");
		add_label(to, "project", db_text(r, 0), false);
		add_label(to, "plan", db_text(r, 1), false);
		add_label(to, "name", db_text(r, 2), true);
		if (none)
			buf_text(to, "1\n");
		else
			buf_fmt(to, "%.0f\n", ((double)now - (double)db_int(r, 3)) / 1e6);
	}
	head(b, NONE, "Plans that have no checkpoint yet.");
	buf_add(b, without.data, without.len);
	return have;
}

/* Rows of (label, number) under one name. */
static int add_counts(struct api_call *c, struct buf *b, const char *name, const char *help,
		      const char *label, const char *sql, struct err *e)
{
	AUTO(db_rows) r = db_query(c->t, e, sql);
	int have = r ? 1 : -1;

	head(b, name, help);
	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (db_is_null(r, 1))
			continue;
		buf_fmt(b, "%s{", name);
		add_label(b, label, db_text(r, 0), true);
		buf_fmt(b, "%lld\n", (long long)db_int(r, 1));
	}
	return have;
}

static const struct {
	const char *name, *help, *label, *sql;
} counts[] = {
	{"holdfast_operations_live", "Operations that have not ended.", "state",
	 "SELECT state, count(*) FROM operations WHERE ended_at IS NULL GROUP BY state"},
	{"holdfast_checkpoints", "Checkpoints that are not deleted.", "status",
	 "SELECT status, count(*) FROM checkpoints WHERE status <> 'deleted' GROUP BY status"},
	{"holdfast_target_free_bytes", "Free space, when it was last looked at.", "target",
	 "SELECT name, free_bytes FROM targets"},
	{"holdfast_target_stored_bytes", "Stored bytes, when it was last looked at.", "target",
	 "SELECT name, stored_bytes FROM targets"},
	{"holdfast_notification_deliveries",
	 "Messages to notifications that are kept: on their way "
	 "(pending), delivered, or given up (failed).",
	 "state", "SELECT state, count(*) FROM deliveries GROUP BY state"},
	{"holdfast_notifications", "Notifications, by how their last delivery went.", "status",
	 "SELECT status, count(*) FROM notifications WHERE enabled = 1 GROUP BY status"},
	{"holdfast_platform_up", "Whether a platform could be listed the last time.", "platform",
	 "SELECT name, CASE status WHEN 'available' THEN 1 WHEN 'error' THEN 0 END FROM platforms"},
};

static int metrics(struct api_call *c, struct err *e)
{
	AUTO_BUF b = BUF_INIT;

	if (add_plans(c, &b, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		if (add_counts(c, &b, counts[i].name, counts[i].help, counts[i].label,
			       counts[i].sql, e) < 0)
			return -1;
	httpd_answer(c->http, 200, "text/plain; version=0.0.4; charset=utf-8", b.data, b.len);
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/metrics", "metrics:get", metrics, 0},
};
const struct api_resource api_metrics = {routes, ARRAY_LEN(routes)};
