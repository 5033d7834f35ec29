/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed besides operations, for /events: kinds of things, never which.
 *
 * What somebody asked for is in the audit log, whichever server took the request. Lines are written
 * by other servers' clocks, so the last seconds are read each time, and what was told is
 * remembered.
 *
 * What belongs to no project, and what changes without being asked for (a mover that falls silent,
 * a plan that becomes late), is summed up, and told when the sum differs from that of the last
 * look. Sums are of numbers that differ from row to row, so that two changes do not make up for
 * each other; they are taken modulo a prime, because times are large.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "auth/audit.h"
#include "base/clock.h"
#include "core/service.h"
#include "link/movers.h"

#define HEAR_US UINT64_C(500000)    /* so often at most */
#define HEARD_US UINT64_C(10000000) /* so far back */
#define HEARD_MAX 256
#define KIND_MAX 64

struct api_changes {
	/* Lines of the audit log that were told, the oldest overwritten. */
	char heard[HEARD_MAX][AUTH_ID];
	size_t n_heard;
	uint64_t at_us; /* by the clock that only goes on; 0: never */
	json_t *sums;	/* by kind and project; NULL: nothing was summed up yet */
};

/* ---- the audit log ---- */

static bool was_heard(struct api_changes *x, const char *id)
{
	size_t n = x->n_heard < HEARD_MAX ? x->n_heard : HEARD_MAX;

	for (size_t i = 0; i < n; i++)
		if (strcmp(x->heard[i], id) == 0)
			return true;
	snprintf(x->heard[x->n_heard++ % HEARD_MAX], AUTH_ID, "%s", id);
	return false;
}

/* "/v1/PROJECT/providers/ID/checkpoints" to ["providers", "checkpoints"]: what no id is, after
 * `skipped` parts. */
static json_t *kinds_of(const char *path, int skipped)
{
	json_t *kinds = json_array();
	char part[KIND_MAX];

	for (int i = 0; *path; i++) {
		size_t len = strcspn(path += *path == '/', "/");

		if (i >= skipped && len > 0 && len < sizeof(part) &&
		    strspn(path, "abcdefghijklmnopqrstuvwxyz_-") == len) {
			snprintf(part, sizeof(part), "%.*s", (int)len, path);
			json_array_append_new(kinds, json_string(part));
		}
		path += len;
	}
	return kinds;
}

static void tell_line(const struct audit_line *l, api_changes_fn *fn, void *arg)
{
	/* Whoever logs in may be new, or have other roles than before. */
	bool login = strcmp(l->action, "login") == 0;
	const char *project = *l->project_id && !login ? l->project_id : NULL;
	json_t *kinds = login ? json_pack("[s, s]", "users", "grants")
			      : kinds_of(l->subject, project ? 2 : 1);
	const struct api_change c = {.kinds = kinds, .project = project, .user = l->user_id};

	if (json_array_size(kinds) > 0)
		fn(arg, &c);
	json_decref(kinds);
}

/* ---- sums ---- */

#define BY(n) " || ' ' || coalesce(sum(" n " % 1000003), 0)"

/* Each row: whose (NULL: nobody's), and what differs when something has changed. */
static const struct look {
	const char *kinds; /* separated by one space */
	bool is_of_all;	   /* what is nobody's is shown to everybody */
	bool has_time;	   /* $1 is so long ago: */
	uint64_t ago_us;
	const char *sql;
} looks[] = {
	{"targets", true, false, 0,
	 "SELECT NULL, count(*)" BY("updated_at") BY("checked_at") " FROM targets "
								   "WHERE project_id IS NULL"},
	{"platforms", true, false, 0,
	 "SELECT NULL, count(*)" BY("updated_at") BY("checked_at") " FROM platforms "
								   "WHERE project_id IS NULL"},
	{"providers", true, false, 0,
	 "SELECT NULL, count(*)" BY("updated_at") " FROM providers WHERE project_id IS NULL"},
	{"policies", true, false, 0,
	 "SELECT NULL, count(*)" BY("updated_at") " FROM policies WHERE project_id IS NULL"},
	{"movers", false, true, MOVER_SILENT_US,
	 "SELECT NULL, count(*) || coalesce(max(version), '')" BY("drain * created_at")
		 BY("revoked_at") BY("CASE WHEN last_seen_at < $1 THEN created_at ELSE 0 END")
			 BY("capacity") " FROM movers"},
	{"os-services", false, true, SERVICE_ALIVE_US,
	 "SELECT NULL, count(*)" BY("CASE WHEN updated_at < $1 THEN 1 ELSE 0 END")
		 BY("CASE status WHEN 'disabled' THEN 1 ELSE 0 END") " FROM services"},
	/* What the server itself does with them. */
	{"notifications", false, false, 0,
	 "SELECT project_id, max(status) || coalesce(max(reason), '')" BY(
		 "sent_at") " FROM "
			    "notifications GROUP BY project_id"},
	{"deliveries notifications", false, false, 0,
	 "SELECT n.project_id, count(*)" BY("d.created_at")
		 BY("d.attempts") " FROM deliveries d "
				  "JOIN notifications n ON n.id = d.notification_id WHERE d.state "
				  "= 'pending' "
				  "GROUP BY n.project_id"},
	/* As they become late. In this order, those that are not late yet are not read. */
	{"plans overview coverage protectables instances", false, true, 0,
	 "SELECT p.project_id, count(*)" BY(
		 "p.due_at") " FROM projects j "
			     "CROSS JOIN plans p WHERE p.project_id = j.id AND p.due_at <= $1 "
			     "GROUP BY p.project_id"},
};

static int sum_up(struct db_tx *t, const struct look *l, json_t *sums, struct err *e)
{
	struct db_value at = db_i(clock_wall_us() - l->ago_us);
	AUTO(db_rows) r = db_query_v(t, l->sql, &at, l->has_time ? 1 : 0, e);
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		AUTO_FREE char *key = xasprintf("%s/%s", l->kinds, db_text(r, 0));

		json_object_set_new(sums, key, json_string(db_text(r, 1)));
	}
	return have;
}

/* "plans overview/PROJECT" is told of. */
static void tell_sum(const char *key, api_changes_fn *fn, void *arg)
{
	const char *slash = strchr(key, '/');
	struct api_change c = {.kinds = json_array(), .project = slash[1] ? slash + 1 : NULL};

	for (size_t i = 0; i < ARRAY_LEN(looks); i++)
		if (strncmp(looks[i].kinds, key, (size_t)(slash - key)) == 0)
			c.is_of_all = looks[i].is_of_all;
	for (const char *kind = key; kind < slash;) {
		size_t len = strcspn(kind, " /");

		json_array_append_new(c.kinds, json_stringn(kind, len));
		kind += len + 1;
	}
	fn(arg, &c);
	json_decref(c.kinds);
}

/* What is in one and not the same in the other: rows that came, changed, or went. */
static void compare(json_t *before, json_t *now, api_changes_fn *fn, void *arg)
{
	const char *key;
	json_t *v;

	json_object_foreach(now, key, v)
	{
		if (!json_equal(json_object_get(before, key), v))
			tell_sum(key, fn, arg);
	}
	json_object_foreach(before, key, v)
	{
		if (!json_object_get(now, key))
			tell_sum(key, fn, arg);
	}
}

/* ---- both ---- */

struct hearing {
	struct audit_lines *lines;
	json_t *sums;
};

static int hear(struct db_tx *t, void *arg, struct err *e)
{
	struct hearing *h = arg;
	const struct audit_filter f = {
		.outcome = "done", .since_us = clock_wall_us() - HEARD_US, .limit = HEARD_MAX};
	int rc = 0;

	audit_lines_free(h->lines);
	json_decref(h->sums);
	h->sums = json_object();
	h->lines = audit_list(t, &f, e);
	for (size_t i = 0; i < ARRAY_LEN(looks) && rc == 0; i++)
		rc = h->lines ? sum_up(t, &looks[i], h->sums, e) : -1;
	return rc;
}

int api_changes_look(struct api_changes *x, struct db *d, api_changes_fn *fn, void *arg,
		     struct err *e)
{
	struct hearing h = {.lines = NULL};
	uint64_t now = clock_mono_us();
	int rc = 0;

	if (x->at_us && now - x->at_us < HEAR_US)
		return 0;
	x->at_us = now;
	rc = db_read(d, hear, &h, e);
	for (size_t i = 0; rc == 0 && i < h.lines->n; i++)
		if (!was_heard(x, h.lines->v[i].id))
			tell_line(&h.lines->v[i], fn, arg);
	if (rc == 0) {
		if (x->sums)
			compare(x->sums, h.sums, fn, arg);
		json_decref(x->sums);
		x->sums = json_incref(h.sums);
	}
	audit_lines_free(h.lines);
	json_decref(h.sums);
	return rc;
}

struct api_changes *api_changes_new(void)
{
	return xcalloc(1, sizeof(struct api_changes));
}

void api_changes_free(struct api_changes *x)
{
	if (!x)
		return;
	json_decref(x->sums);
	free(x);
}
