/* SPDX-License-Identifier: Apache-2.0 */
/* /notifications: who is told of what, and what he was told. */
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/notify_channel.h"

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"name", "name", COLUMN_TEXT, true},
	{"description", "description", COLUMN_TEXT, false},
	{"kind", "kind", COLUMN_TEXT, true},
	{"enabled", "enabled", COLUMN_FLAG, false},
	{"url", "url", COLUMN_TEXT, false},
	{"recipients", "recipients", COLUMN_JSON, false},
	{"events", "events", COLUMN_JSON, false},
	{"severity", "severity", COLUMN_TEXT, false},
	{"plan_ids", "plan_ids", COLUMN_JSON, false},
	{"remind_hours", "remind_hours", COLUMN_INT, false},
	{"status", "status", COLUMN_TEXT, true},
	{"reason", "reason", COLUMN_TEXT, false},
	{"sent_at", "sent_at", COLUMN_TIME, false},
	{"old_secret_until", "old_secret_until", COLUMN_TIME, false},
	{"created_by", "created_by", COLUMN_TEXT, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_CONTAINS},
	{"kind", "kind", FILTER_IS},
	{"status", "status", FILTER_IS},
};
static const struct table notifications = {.sql = "notifications",
					   .item = "notification",
					   .items = "notifications",
					   TABLE_OF(columns, filters)};

static const struct column delivery_columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"notification_id", "notification_id", COLUMN_TEXT, false},
	{"event", "event", COLUMN_TEXT, true},
	{"severity", "severity", COLUMN_TEXT, false},
	{"title", "title", COLUMN_TEXT, false},
	{"message", "message", COLUMN_JSON, false},
	{"state", "state", COLUMN_TEXT, true},
	{"attempts", "attempts", COLUMN_INT, false},
	{"code", "code", COLUMN_INT, false},
	{"reason", "reason", COLUMN_TEXT, false},
	{"log", "log", COLUMN_JSON, false},
	{"next_at", "next_at", COLUMN_TIME, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"ended_at", "ended_at", COLUMN_TIME, false},
};
static const struct filter delivery_filters[] = {
	{"notification_id", "notification_id", FILTER_IS},
	{"event", "event", FILTER_IS},
	{"state", "state", FILTER_IS},
	{"severity", "severity", FILTER_IS},
};
static const struct table deliveries = {
	.sql = "deliveries",
	.item = "delivery",
	.items = "deliveries",
	TABLE_OF(delivery_columns, delivery_filters),
	.project = "(SELECT n.project_id FROM notifications n WHERE n.id = notification_id)",
	.shared = true, /* that the notification is the caller's is looked at first */
};

/* What may be given at first and changed later. */
static void take(struct input *in, struct notify_channel *n)
{
	int severity;

	n->description = input_text(in, "description", OPTIONAL, 255);
	n->url = input_text(in, "url", OPTIONAL, 2000);
	n->secret = input_text(in, "secret", OPTIONAL, 255);
	n->recipients = input_json(in, "recipients", OPTIONAL, JSON_ARRAY, 100);
	n->events = input_json(in, "events", OPTIONAL, JSON_ARRAY, 100);
	n->plans = input_json(in, "plan_ids", OPTIONAL, JSON_ARRAY, 1000);
	severity = input_word(in, "severity", OPTIONAL, notify_severities);
	n->severity = severity < 0 ? NULL : notify_severities[severity];
	n->remind_hours = input_number(in, "remind_hours", OPTIONAL, 0, 8760, -1);
	n->enabled = input_has(in, "enabled") ? input_flag(in, "enabled", true) : -1;
}

/* One that was made: in this answer alone. */
static void show_secret(struct api_call *c, char secret[NOTIFY_SECRET_TEXT])
{
	if (!*secret)
		return;
	httpd_set_header(c->http, "Cache-Control", "no-store");
	json_object_set_new(json_object_get(c->reply, notifications.item), "secret",
			    json_string(secret));
	secret_wipe(secret, NOTIFY_SECRET_TEXT);
}

static int create(struct api_call *c, struct err *e)
{
	struct notify_channel n = {.project = c->project};
	char id[UUID_TEXT], secret[NOTIFY_SECRET_TEXT], actor[300];
	struct input in;
	int kind;

	api_input(c, "notification", &in);
	n.name = input_name(&in, "name", REQUIRED);
	kind = input_word(&in, "kind", REQUIRED, notify_kinds);
	take(&in, &n);
	if (input_flag(&in, "shared", false)) {
		n.project = NULL;
		if (!c->who->admin)
			input_wrong(&in, "shared",
				    "Only an administrator can be told of all projects.");
	}
	if (input_done(&in, e) < 0)
		return -1;
	n.kind = notify_kinds[kind];
	n.created_by = api_actor(c, actor, sizeof(actor));
	if (notify_channel_insert(c->core, c->t, &n, id, secret, e) < 0 ||
	    api_show(c, &notifications, id, e) < 0)
		return -1;
	show_secret(c, secret);
	c->status = 201;
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	struct notify_channel n = {.project = c->project};
	char id[UUID_TEXT];
	struct input in;

	if (api_own(c, &notifications, "notification_id", id, e) < 0)
		return -1;
	api_input(c, "notification", &in);
	n.name = input_name(&in, "name", OPTIONAL);
	take(&in, &n);
	if (input_done(&in, e) < 0 || notify_channel_update(c->core, c->t, id, &n, e) < 0)
		return -1;
	return api_show(c, &notifications, id, e);
}

#define OLD_HOURS 24 /* that a secret which is replaced signs, if nothing else is said */
#define OLD_HOURS_MOST 720

static int rotate_secret(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], made[NOTIFY_SECRET_TEXT];
	const char *secret;
	struct input in;
	int64_t hours;

	if (api_own(c, &notifications, "notification_id", id, e) < 0)
		return -1;
	api_input(c, "rotate_secret", &in);
	secret = input_text(&in, "secret", OPTIONAL, 255);
	hours = input_number(&in, "old_hours", OPTIONAL, 0, OLD_HOURS_MOST, OLD_HOURS);
	if (input_done(&in, e) < 0 ||
	    notify_channel_rotate(c->core, c->t, id, secret,
				  hours ? clock_wall_us() + (uint64_t)hours * 3600000000 : 0, made,
				  e) < 0 ||
	    api_show(c, &notifications, id, e) < 0)
		return -1;
	show_secret(c, made);
	return 0;
}

static int delete (struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_own(c, &notifications, "notification_id", id, e) < 0
		       ? -1
		       : notify_channel_remove(c->t, id, e);
}

static int try(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], delivery[UUID_TEXT], actor[300];

	if (api_own(c, &notifications, "notification_id", id, e) < 0 ||
	    notify_channel_test(c->t, id, api_actor(c, actor, sizeof(actor)), delivery, e) < 0 ||
	    api_show(c, &deliveries, delivery, e) < 0)
		return -1;
	c->status = 202;
	return 0;
}

static int list_deliveries(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];
	const struct list_filter of = {.name = "notification_id", .value = id};

	return api_own(c, &notifications, "notification_id", id, e) < 0
		       ? -1
		       : api_list(c, &deliveries, &of, 1, e);
}

static int show_delivery(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT], delivery[UUID_TEXT];

	if (api_own(c, &notifications, "notification_id", id, e) < 0 ||
	    api_uuid(c, "delivery_id", delivery, e) < 0 ||
	    api_show(c, &deliveries, delivery, e) < 0)
		return -1;
	if (strcmp(json_text_in(json_object_get(c->reply, deliveries.item), "notification_id"),
		   id) == 0)
		return 0;
	json_decref(c->reply);
	c->reply = NULL;
	return err_set(e, ERR_NOENT, "There is no delivery '%s' of notification '%s'.", delivery,
		       id);
}

#define ONE "/v1/{project_id}/notifications/{notification_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/notifications", "notification:get", api_list_rows, 0,
	 &notifications},
	{"POST", "/v1/{project_id}/notifications", "notification:create", create, API_WRITES},
	{"GET", ONE, "notification:get", api_show_row, 0, &notifications},
	{"PUT", ONE, "notification:update", update, API_WRITES},
	{"DELETE", ONE, "notification:delete", delete, API_WRITES},
	{"POST", ONE "/test", "notification:update", try, API_WRITES},
	{"POST", ONE "/rotate_secret", "notification:update", rotate_secret, API_WRITES},
	{"GET", ONE "/deliveries", "notification:get", list_deliveries, 0},
	{"GET", ONE "/deliveries/{delivery_id}", "notification:get", show_delivery, 0},
};
const struct api_resource api_notifications = {routes, ARRAY_LEN(routes)};
