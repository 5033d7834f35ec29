/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trigger.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "core/ids.h"
#include "core/spec.h"
#include "core/trigger_priv.h"
#include "sched/schedule.h"

#define FIELD "Invalid input for field/attribute trigger_info."

static const struct column columns[] = {
	{"id", "id", COLUMN_TEXT, true},
	{"name", "name", COLUMN_TEXT, true},
	{"type", "type", COLUMN_TEXT, true},
	{"properties", "properties", COLUMN_JSON, false},
	{"enabled", "enabled", COLUMN_FLAG, false},
	{"next_at", "next_at", COLUMN_TIME, false},
	{"last_fired_at",
	 "(SELECT max(f.at) FROM firings f WHERE f.trigger_id = triggers.id AND f.state = 'fired')",
	 COLUMN_TIME, false},
	{"project_id", "project_id", COLUMN_TEXT, false},
	{"created_by", "created_by", COLUMN_TEXT, false},
	{"created_at", "created_at", COLUMN_TIME, true},
	{"updated_at", "updated_at", COLUMN_TIME, true},
};
static const struct filter filters[] = {
	{"name", "name", FILTER_CONTAINS},
	{"type", "type", FILTER_IS},
	{"enabled", "enabled", FILTER_FLAG},
};
const struct table trigger_table = {
	.sql = "triggers", .item = "trigger_info", .items = "triggers", TABLE_OF(columns, filters)};

static const struct column firing_columns[] = {
	{"id", "trigger_id || '@' || at", COLUMN_TEXT, true},
	{"trigger_id", "trigger_id", COLUMN_TEXT, false},
	{"at", "at", COLUMN_TIME, true},
	{"event_id", "event_id", COLUMN_TEXT, false},
	{"state", "state", COLUMN_TEXT, false},
	{"reason", "reason", COLUMN_TEXT, false},
	{"operations", "operations", COLUMN_JSON, false},
	{"created_at", "created_at", COLUMN_TIME, true},
};
static const struct filter firing_filters[] = {
	{"trigger_id", "trigger_id", FILTER_IS},
	{"state", "state", FILTER_IS},
	{"at_from", "at", FILTER_FROM},
	{"at_before", "at", FILTER_BEFORE},
};
const struct table firing_table = {
	.sql = "firings",
	.item = "firing",
	.items = "firings",
	TABLE_OF(firing_columns, firing_filters),
	.id = "(trigger_id || '@' || at)",
	.project = "(SELECT t.project_id FROM triggers t WHERE t.id = firings.trigger_id)"};

void trigger_free(struct trigger *t)
{
	if (!t)
		return;
	free(t->name);
	free(t->type);
	json_decref(t->properties);
	free(t);
}

struct trigger *trigger_from_row(const struct db_rows *r)
{
	struct trigger *t = xcalloc(1, sizeof(*t));

	snprintf(t->id, sizeof(t->id), "%s", db_text(r, 0));
	snprintf(t->project, sizeof(t->project), "%s", db_text(r, 1));
	t->name = xstrdup(db_text(r, 2));
	t->type = xstrdup(db_text(r, 3));
	t->properties = json_of(db_text(r, 4), "{}");
	t->enabled = db_int(r, 5) != 0;
	t->last_at_us = (uint64_t)db_int(r, 6);
	t->next_at_us = (uint64_t)db_int(r, 7);
	return t;
}

struct trigger *trigger_load(struct db_tx *x, const char *project, const char *id, struct err *e)
{
	AUTO(db_rows) r = NULL;
	int have;

	r = project ? db_query(x, e, TRIGGER_SELECT "id = $1 AND project_id = $2", db_t(id),
			       db_t(project))
		    : db_query(x, e, TRIGGER_SELECT "id = $1", db_t(id));
	have = r ? db_next(r, e) : -1;
	if (have == 0)
		err_set(e, ERR_NOENT, "There is no trigger '%s'.", id);
	return have > 0 ? trigger_from_row(r) : NULL;
}

/* ---- checks ---- */

/* All properties are texts; only those of an operation have more than the event. */
static int check_event_names(const json_t *p, bool operation, struct err *e)
{
	static const char *const of_webhook[] = {"event", NULL};
	static const char *const of_operation[] = {"event", "kind", "state", "plan_id", NULL};
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)p, key, v)
	{
		if (!spec_is_known(key, operation ? of_operation : of_webhook) ||
		    !json_is_string(v))
			return err_set(e, ERR_INVALID,
				       FIELD
				       "properties.%.60s. There is no such text in the properties "
				       "of a trigger for this event.",
				       key);
	}
	return 0;
}

static int check_event(const json_t *p, struct err *e)
{
	static const char *const events[] = {"webhook", "operation", NULL};
	static const char *const states[] = {"succeeded", "failed", "cancelled", NULL};
	const char *event = json_string_value(json_object_get(p, "event")), *state;
	bool operation;

	if (!event || !spec_is_known(event, events))
		return err_set(e, ERR_INVALID,
			       FIELD "properties.event. It has to be webhook or operation.");
	operation = strcmp(event, "operation") == 0;
	if (check_event_names(p, operation, e) < 0)
		return -1;
	if (operation && !json_object_get(p, "kind"))
		return err_set(e, ERR_INVALID,
			       FIELD "properties.kind. It is missing: protect, restore, verify …");
	state = json_string_value(json_object_get(p, "state"));
	if (state && !spec_is_known(state, states))
		return err_set(e, ERR_INVALID,
			       FIELD
			       "properties.state. Value: %.60s. It has to be succeeded, failed or "
			       "cancelled.",
			       state);
	return 0;
}

static struct schedule *parse(struct zones *zones, const json_t *properties, uint64_t now_us,
			      struct err *e)
{
	struct schedule *s = schedule_parse(properties, zones, now_us, e);

	if (s)
		return s;
	/* Whatever it was, what was given cannot be used. */
	if (e && e->kind != ERR_IO)
		e->kind = ERR_INVALID;
	err_wrap(e, FIELD "properties");
	return NULL;
}

/* When a scheduler is to look at it; 0: never. */
static int find_next(struct zones *zones, const struct trigger *t, const json_t *properties,
		     uint64_t after_us, uint64_t *ret_next_us, struct err *e)
{
	AUTO(schedule) s = NULL;
	uint64_t at_us;

	*ret_next_us = 0;
	if (strcmp(t->type, TRIGGER_EVENT) == 0)
		return check_event(properties, e);
	s = parse(zones, properties, after_us, e);
	if (!s)
		return -1;
	if (schedule_next(s, after_us, &at_us))
		*ret_next_us = schedule_begin(s, t->id, at_us);
	return 0;
}

static int check(const struct trigger *t, struct err *e)
{
	if (!t->name || !*t->name || strlen(t->name) > TRIGGER_NAME_MAX)
		return err_set(e, ERR_INVALID, FIELD "name. It needs 1 to %d characters.",
			       TRIGGER_NAME_MAX);
	if (!t->type || (strcmp(t->type, TRIGGER_TIME) != 0 && strcmp(t->type, TRIGGER_EVENT) != 0))
		return err_set(e, ERR_INVALID,
			       FIELD
			       "type. Invalid trigger type:%.60s. It has to be time or event.",
			       t->type ? t->type : "");
	if (!json_is_object(t->properties))
		return err_set(e, ERR_INVALID, FIELD "properties. It has to be an object.");
	return 0;
}

/* ---- tokens ---- */

char *trigger_token_hash(const char *token, char out[TRIGGER_TOKEN])
{
	uint8_t digest[32];

	if (EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	return hex_encode(digest, sizeof(digest), out);
}

static bool is_webhook(const json_t *properties)
{
	const char *event = json_string_value(json_object_get(properties, "event"));

	return event && strcmp(event, "webhook") == 0;
}

static void make_token(char out[TRIGGER_TOKEN])
{
	uint8_t bytes[32];

	random_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), out);
	OPENSSL_cleanse(bytes, sizeof(bytes));
}

int trigger_new_token(struct db_tx *x, const char *project, const char *id,
		      char ret_token[TRIGGER_TOKEN], struct err *e)
{
	AUTO(trigger) t = trigger_load(x, project, id, e);
	char hash[TRIGGER_TOKEN];

	if (!t)
		return -1;
	if (!is_webhook(t->properties))
		return err_set(e, ERR_INVALID, "Trigger '%s' is no webhook: it has no token.", id);
	make_token(ret_token);
	return db_exec(x, NULL, e, "UPDATE triggers SET token_hash = $2 WHERE id = $1", db_t(t->id),
		       db_t(trigger_token_hash(ret_token, hash)));
}

/* ---- storing ---- */

static struct db_value or_null(uint64_t us)
{
	return us ? db_i(us) : db_null();
}

int trigger_insert(struct db_tx *x, struct zones *zones, struct trigger *t, const char *created_by,
		   uint64_t now_us, char ret_token[TRIGGER_TOKEN], struct err *e)
{
	AUTO_FREE char *text = NULL;
	char token[TRIGGER_TOKEN] = "", hash[TRIGGER_TOKEN];
	uint64_t next_us;

	new_id(t->id);
	if (check(t, e) < 0 || find_next(zones, t, t->properties, now_us, &next_us, e) < 0)
		return -1;
	if (strcmp(t->type, TRIGGER_TIME) == 0) {
		json_t *with = schedule_with_start(t->properties, now_us);

		json_decref(t->properties);
		t->properties = with;
	} else if (is_webhook(t->properties)) {
		make_token(token);
	}
	t->last_at_us = now_us;
	t->next_at_us = next_us;
	text = json_text(t->properties);
	if (db_exec(x, NULL, e,
		    "INSERT INTO triggers (id, project_id, name, type, properties, token_hash, "
		    "enabled, last_at, next_at, claim_until, created_by, created_at, updated_at) "
		    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $8, $8)",
		    db_t(t->id), db_t(t->project), db_t(t->name), db_t(t->type), db_t(text),
		    *token ? db_t(trigger_token_hash(token, hash)) : db_null(), db_i(t->enabled),
		    db_i(now_us), or_null(next_us), db_t(created_by)) < 0)
		return -1;
	if (ret_token)
		memcpy(ret_token, token, sizeof(token));
	OPENSSL_cleanse(token, sizeof(token));
	return db_wake(x, TRIGGER_CHANNEL, e);
}

/* Events that wait while it is disabled do not happen when it is enabled again. */
static int drop_pending(struct db_tx *x, const struct trigger *t, struct err *e)
{
	return db_exec(
		x, NULL, e,
		"UPDATE firings SET state = 'skipped', reason = 'the trigger was disabled' WHERE "
		"trigger_id = $1 AND state = 'pending'",
		db_t(t->id));
}

/* From when on, and when next. */
static int plan_ahead(struct db_tx *x, struct zones *zones, const struct trigger *old,
		      const struct trigger *t, const json_t *properties, uint64_t now_us,
		      uint64_t *last_us, uint64_t *next_us, struct err *e)
{
	*last_us = old->last_at_us;
	*next_us = old->next_at_us;
	if (strcmp(t->type, TRIGGER_EVENT) == 0) {
		if (check_event(properties, e) < 0)
			return -1;
		if (t->enabled)
			return 0;
		*next_us = 0;
		return drop_pending(x, t, e);
	}
	if (json_equal(properties, old->properties) && (!t->enabled || old->enabled))
		return 0;
	/* What was dealt with stays so, whatever the clock says. */
	*last_us = MAX(now_us, old->last_at_us);
	return find_next(zones, t, properties, *last_us, next_us, e);
}

int trigger_store(struct db_tx *x, struct zones *zones, const struct trigger *t, uint64_t now_us,
		  struct err *e)
{
	AUTO(trigger) old = trigger_load(x, t->project, t->id, e);
	AUTO_FREE char *text = NULL;
	uint64_t last_us, next_us;
	json_t *with;
	int status;

	if (!old || check(t, e) < 0)
		return -1;
	if (strcmp(old->type, t->type) != 0 ||
	    is_webhook(old->properties) != is_webhook(t->properties))
		return err_set(e, ERR_INVALID,
			       FIELD "type. A trigger stays what it is: make another one.");
	with = strcmp(t->type, TRIGGER_TIME) == 0 ? schedule_with_start(t->properties, now_us)
						  : json_incref(t->properties);
	text = json_text(with);
	status = plan_ahead(x, zones, old, t, with, now_us, &last_us, &next_us, e);
	json_decref(with);
	if (status < 0 ||
	    db_exec(x, NULL, e,
		    "UPDATE triggers SET name = $2, properties = $3, enabled = $4, last_at = $5, "
		    "next_at = $6, updated_at = $7 WHERE id = $1",
		    db_t(t->id), db_t(t->name), db_t(text), db_i(t->enabled), db_i(last_us),
		    or_null(next_us), db_i(now_us)) < 0)
		return -1;
	return db_wake(x, TRIGGER_CHANNEL, e);
}

int trigger_remove(struct db_tx *x, const char *project, const char *id, struct err *e)
{
	AUTO(trigger) t = trigger_load(x, project, id, e);
	AUTO(db_rows) r = NULL;
	int used;

	if (!t)
		return -1;
	r = db_query(x, e, "SELECT 1 FROM scheduled_operations WHERE trigger_id = $1 LIMIT 1",
		     db_t(t->id));
	used = r ? db_next(r, e) : -1;
	if (used > 0)
		return err_set(e, ERR_BUSY, "Trigger is being used by one or more operations");
	return used < 0 ? -1
			: db_exec(x, NULL, e, "DELETE FROM triggers WHERE id = $1", db_t(t->id));
}
