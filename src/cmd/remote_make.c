/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and changing things: positional words and options become members of the object that is
 * sent. One table says which; what is more than a word, a number or the id of something has a
 * function.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fio.h"
#include "base/secret.h"
#include "cmd/remote.h"

#define SERVER "OS::Nova::Server"
#define FILE_MAX ((size_t)1 << 20)

enum take {
	TAKE_TEXT,
	TAKE_FLAG,
	TAKE_YES, /* "yes", or "no" */
	TAKE_NUMBER,
	TAKE_WORDS, /* all that are given */
	TAKE_REF,   /* the id of what is named */
	TAKE_FILE,  /* the text that lies in the file, without the line break at its end */
	TAKE_JSON   /* the JSON that lies in the file */
};

static const struct {
	const char *noun; /* "": any that has such an option */
	const char *opt, *member;
	enum take how;
	const char *ref;
} rows[] = {
	{"", "name", "name", TAKE_TEXT},
	{"", "description", "description", TAKE_TEXT},
	{"", "shared", "shared", TAKE_FLAG},
	{"", "enabled", "enabled", TAKE_YES},
	{"", "mover", "mover_id", TAKE_REF, "mover"},
	{"plan", "provider", "provider_id", TAKE_REF, "provider"},
	{"plan", "policy", "policy_id", TAKE_REF, "policy"},
	{"plan", "status", "status", TAKE_TEXT},
	{"plan", "consistency-group", "consistency_group", TAKE_YES},
	{"plan", "consistency", "parameters." SERVER ".consistency", TAKE_TEXT},
	{"policy", "spec", "spec", TAKE_JSON},
	{"policy", "mandatory", "mandatory", TAKE_FLAG},
	{"provider", "to", "target_id", TAKE_REF, "target"},
	{"target", "access-key", "credentials.access_key", TAKE_TEXT},
	{"target", "secret-key-file", "credentials.secret_key", TAKE_FILE},
	{"target", "from-host", "credentials.from_host", TAKE_FLAG},
	{"platform", "kind", "kind", TAKE_TEXT},
	{"platform", "uri", "uri", TAKE_TEXT},
	{"mover", "hours", "hours", TAKE_NUMBER},
	{"mover", "drain", "drain", TAKE_YES},
	{"schedule", "trigger", "trigger_id", TAKE_REF, "trigger"},
	{"user", "email", "email", TAKE_TEXT},
	{"user", "password-file", "password", TAKE_FILE},
	{"token", "days", "days", TAKE_NUMBER},
	{"token", "role", "roles", TAKE_WORDS},
	{"notification", "kind", "kind", TAKE_TEXT},
	{"notification", "url", "url", TAKE_TEXT},
	{"notification", "secret-file", "secret", TAKE_FILE},
	{"notification", "recipient", "recipients", TAKE_WORDS},
	{"notification", "event", "events", TAKE_WORDS},
	{"notification", "severity", "severity", TAKE_TEXT},
	{"notification", "remind-hours", "remind_hours", TAKE_NUMBER},
	{"rotate", "secret-file", "secret", TAKE_FILE},
	{"rotate", "old-hours", "old_hours", TAKE_NUMBER},
};

/* ---- members ---- */

/* Set "a.b" of an object, whose parts are made; `v` is taken. Names have dots of their own only in
 * the middle of a type, "OS::Nova::Server", which has none. */
static void set_member(json_t *o, const char *path, json_t *v)
{
	const char *dot;

	for (; (dot = strchr(path, '.')); path = dot + 1) {
		AUTO_FREE char *name = xstrndup(path, (size_t)(dot - path));

		if (!json_object_get(o, name))
			json_object_set_new(o, name, json_object());
		o = json_object_get(o, name);
	}
	json_object_set_new(o, path, v);
}

static json_t *file_text(const char *path, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	json_t *v;

	if (fio_slurp(path, FILE_MAX, &b, e) < 0)
		return NULL;
	while (b.len && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == '\r'))
		b.len--;
	v = json_stringn(b.len ? (const char *)b.data : "", b.len);
	if (b.cap)
		secret_wipe(b.data, b.cap);
	if (!v)
		err_set(e, ERR_INVALID, "%s is not UTF-8", path);
	return v;
}

static json_t *file_json(const char *path, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	json_error_t why;
	json_t *v;

	if (fio_slurp(strcmp(path, "-") == 0 ? "/dev/stdin" : path, FILE_MAX, &b, e) < 0)
		return NULL;
	v = json_loadb(b.len ? (const char *)b.data : "", b.len, JSON_REJECT_DUPLICATES, &why);
	if (!v)
		err_set(e, ERR_INVALID, "%s:%d:%d: %s", path, why.line, why.column, why.text);
	return v;
}

static json_t *number_json(const char *opt, const char *text, struct err *e)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end != text && !*end)
		return json_integer(n);
	err_set(e, ERR_INVALID, "--%s '%s': write a number", opt, text);
	return NULL;
}

static json_t *ref_json(struct cli *c, const char *noun, const char *name, struct err *e)
{
	AUTO_FREE char *id = NULL;

	if (strcmp(name, "none") == 0)
		return json_null();
	return remote_find_id(c, remote_kind(noun), name, &id, e) < 0 ? NULL : json_string(id);
}

static json_t *words_json(struct cli *c, const char *opt)
{
	AUTO_FREE const char **words = parsed_list(&c->p, opt);
	json_t *a = json_array();

	for (size_t i = 0; words && words[i]; i++)
		json_array_append_new(a, json_string(words[i]));
	return a;
}

static json_t *value_of(struct cli *c, size_t row, const char *text, struct err *e)
{
	switch (rows[row].how) {
	case TAKE_FLAG:
		return json_true();
	case TAKE_YES:
		return json_boolean(strcmp(text, "yes") == 0);
	case TAKE_NUMBER:
		return number_json(rows[row].opt, text, e);
	case TAKE_REF:
		return ref_json(c, rows[row].ref, text, e);
	case TAKE_FILE:
		return file_text(text, e);
	case TAKE_JSON:
		return file_json(text, e);
	case TAKE_WORDS:
		return words_json(c, rows[row].opt);
	case TAKE_TEXT:
		break;
	}
	return json_string(text);
}

int remote_take_options(struct cli *c, const char *noun, json_t *o, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *text;
		json_t *v;

		if (*rows[i].noun && strcmp(rows[i].noun, noun) != 0)
			continue;
		text = parsed_text(&c->p, rows[i].opt);
		if (!text)
			continue;
		v = value_of(c, i, text, e);
		if (!v)
			return -1;
		set_member(o, rows[i].member, v);
	}
	return 0;
}

/* ---- plans ---- */

static int add_resources(struct cli *c, json_t *o, struct err *e)
{
	AUTO_FREE const char **names = parsed_list(&c->p, "resource");
	json_t *list = json_array(), *r = NULL;
	int rc = 0;

	for (size_t i = 0; names && names[i] && rc == 0; i++) {
		rc = remote_find(c, remote_kind("resource"), names[i], &r, e);
		if (rc < 0)
			break;
		json_array_append_new(list,
				      json_pack("{s:O, s:O, s:O}", "id", json_object_get(r, "id"),
						"type", json_object_get(r, "type"), "name",
						json_object_get(r, "name")));
		json_decref(r);
	}
	if (rc == 0 && names)
		json_object_set(o, "resources", list);
	json_decref(list);
	return rc;
}

/* "name=web*,platform=kvm1,state=running" */
static json_t *selector_json(struct cli *c, const char *text, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(text);
	json_t *o = json_pack("{s:s}", "type", SERVER), *v;
	char *save, *word;

	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		char *value = strchr(word, '=');
		bool platform;

		if (value)
			*value++ = 0;
		platform = value && strcmp(word, "platform") == 0;
		if (!value || (!platform && strcmp(word, "name") && strcmp(word, "state"))) {
			err_set(e, ERR_INVALID,
				"--select '%s': write it as "
				"name=PATTERN,platform=NAME,state=STATE, "
				"or some of these",
				text);
			json_decref(o);
			return NULL;
		}
		v = platform ? ref_json(c, "platform", value, e) : json_string(value);
		if (!v) {
			json_decref(o);
			return NULL;
		}
		json_object_set_new(o, platform ? "platform_id" : word, v);
	}
	return o;
}

static int add_plan(struct cli *c, json_t *o, struct err *e)
{
	AUTO_FREE const char **selects = parsed_list(&c->p, "select");
	json_t *list = json_array(), *v;

	for (size_t i = 0; selects && selects[i]; i++) {
		v = selector_json(c, selects[i], e);
		if (!v) {
			json_decref(list);
			return -1;
		}
		json_array_append_new(list, v);
	}
	if (selects)
		json_object_set(o, "selectors", list);
	json_decref(list);
	return add_resources(c, o, e);
}

/* ---- times ---- */

/* What --cron or --calendar, and --timezone, say, as a trigger's properties; *ret NULL: nothing. */
static int take_time(struct cli *c, json_t **ret, struct err *e)
{
	const char *cron = parsed_text(&c->p, "cron"), *calendar = parsed_text(&c->p, "calendar");
	const char *zone = parsed_text(&c->p, "timezone");

	*ret = NULL;
	if (cron && calendar)
		return err_set(e, ERR_INVALID, "give one of --cron and --calendar");
	if (!cron && !calendar)
		return zone ? err_set(e, ERR_INVALID, "--timezone goes with --cron or --calendar")
			    : 0;
	*ret = json_pack("{s:s, s:s, s:s*}", "format", cron ? "crontab" : "calendar", "pattern",
			 cron ? cron : calendar, "timezone", zone);
	return 0;
}

/* --keep daily=14, --keep last=all; *ret NULL: nothing. */
static int take_keep(struct cli *c, json_t **ret, struct err *e)
{
	AUTO_FREE const char **list = parsed_list(&c->p, "keep");
	json_t *o = list ? json_object() : NULL;

	for (size_t i = 0; list && list[i]; i++) {
		const char *equals = strchr(list[i], '=');
		char *end = NULL;
		long n = equals ? strtol(equals + 1, &end, 10) : 0;
		bool all = equals && strcmp(equals + 1, "all") == 0;

		if (!equals || equals == list[i] || !equals[1] || (!all && *end)) {
			json_decref(o);
			return err_set(e, ERR_INVALID,
				       "--keep '%s': write it as daily=14, or as last=all",
				       list[i]);
		}
		json_object_setn_new(o, list[i], (size_t)(equals - list[i]),
				     all ? json_string("all") : json_integer(n));
	}
	*ret = o;
	return 0;
}

/* One schedule can be written as options; more of them, and all else, is --spec. */
static int add_policy(struct cli *c, json_t *o, struct err *e)
{
	json_t *time = NULL, *keep = NULL;

	if (take_time(c, &time, e) < 0)
		return -1;
	if (take_keep(c, &keep, e) < 0) {
		json_decref(time);
		return -1;
	}
	if (!time && !keep)
		return 0;
	if (json_object_get(o, "spec") || !time) {
		json_decref(time);
		json_decref(keep);
		return err_set(e, ERR_INVALID,
			       json_object_get(o, "spec")
				       ? "--spec says everything: it does not go with --cron, "
					 "--calendar and --keep"
				       : "--keep goes with --cron or --calendar");
	}
	json_object_set_new(o, "spec",
			    json_pack("{s:[{s:s, s:o, s:o*}]}", "schedules", "name", "main",
				      "trigger", time, "retention", keep));
	return 0;
}

static int add_trigger(struct cli *c, json_t *o, struct err *e)
{
	const char *after = parsed_text(&c->p, "after"), *plan = parsed_text(&c->p, "plan");
	bool webhook = parsed_flag(&c->p, "webhook");
	AUTO_FREE char *id = NULL;
	json_t *properties;

	if (take_time(c, &properties, e) < 0)
		return -1;
	if ((properties != NULL) + webhook + (after != NULL) > 1) {
		json_decref(properties);
		return err_set(e, ERR_INVALID,
			       "give one of --cron, --calendar, --webhook and --after");
	}
	if (plan && remote_find_id(c, remote_kind("plan"), plan, &id, e) < 0) {
		json_decref(properties);
		return -1;
	}
	if (properties || webhook || after)
		json_object_set_new(o, "type", json_string(properties ? "time" : "event"));
	if (webhook)
		properties = json_pack("{s:s}", "event", "webhook");
	if (after)
		properties = json_pack("{s:s, s:s, s:s*, s:s*}", "event", "operation", "kind",
				       after, "state", parsed_text(&c->p, "state"), "plan_id", id);
	if (properties)
		json_object_set_new(o, "properties", properties);
	return 0;
}

/* The number of an option into a member, where it was given. */
static int take_number(struct cli *c, const char *opt, const char *member, json_t *o, struct err *e)
{
	const char *text = parsed_text(&c->p, opt);
	json_t *v = text ? number_json(opt, text, e) : NULL;

	if (v)
		json_object_set_new(o, member, v);
	return text && !v ? -1 : 0;
}

static int add_schedule(struct cli *c, json_t *o, struct err *e)
{
	const char *name = parsed_text(&c->p, "plan");
	json_t *plan = NULL, *definition;
	bool keeps;

	if (json_object_get(o, "enabled"))
		return 0; /* it is changed: that is all that can be */
	if (!name || !parsed_text(&c->p, "trigger"))
		return err_set(e, ERR_INVALID, "give --plan and --trigger: what, and when");
	if (remote_find(c, remote_kind("plan"), name, &plan, e) < 0)
		return -1;
	definition = json_pack("{s:O, s:O}", "plan_id", json_object_get(plan, "id"), "provider_id",
			       json_object_get(plan, "provider_id"));
	json_decref(plan);
	json_object_set_new(o, "operation_definition", definition);
	if (take_number(c, "keep-last", "max_backups", definition, e) < 0 ||
	    take_number(c, "keep-days", "retention_duration", definition, e) < 0)
		return -1;
	keeps = json_object_size(definition) > 2;
	json_object_set_new(o, "operation_type",
			    json_string(keeps ? "retention_protect" : "protect"));
	return 0;
}

/* One that is for this project alone. */
static int add_token(struct cli *c, json_t *o, struct err *e)
{
	(void)e;
	if (parsed_flag(&c->p, "this-project"))
		json_object_set_new(o, "project_id", json_string(client_project(c->client)));
	return 0;
}

/* What it is follows from where it goes to, but for Slack. */
static int add_notification(struct cli *c, json_t *o, struct err *e)
{
	bool makes = strcmp(strrchr(c->p.command->name, ' ') + 1, "create") == 0;
	AUTO_FREE const char **plans = parsed_list(&c->p, "plan");
	json_t *ids = json_array();
	int rc = 0;

	for (size_t i = 0; plans && plans[i] && rc == 0; i++) {
		json_t *id = ref_json(c, "plan", plans[i], e);

		rc = id ? json_array_append_new(ids, id) : -1;
	}
	if (rc == 0 && plans)
		json_object_set(o, "plan_ids", ids);
	json_decref(ids);
	if (makes && !json_object_get(o, "kind"))
		json_object_set_new(
			o, "kind",
			json_string(json_object_get(o, "recipients") ? "mail" : "webhook"));
	return rc;
}

static int add_more(struct cli *c, const struct remote_kind *k, json_t *o, struct err *e)
{
	static const struct {
		const char *noun;
		int (*add)(struct cli *c, json_t *o, struct err *e);
	} more[] = {
		{"plan", add_plan},	  {"policy", add_policy},
		{"trigger", add_trigger}, {"schedule", add_schedule},
		{"token", add_token},	  {"notification", add_notification},
	};

	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		if (strcmp(more[i].noun, k->noun) == 0)
			return more[i].add(c, o, e);
	}
	return 0;
}

/* ---- commands ---- */

/* Send it, wait for what follows from it, and show what came of it. */
static int send_object(struct cli *c, const char *method, const char *path, json_t *o,
		       const struct remote_kind *k, struct err *e)
{
	json_t *body = json_pack("{s:O}", k->item, o);
	const char *made = strcmp(method, "POST") == 0 && k->made ? k->made : k->item;
	json_t *answer = NULL;
	int rc = client_do(c->client, method, path, body, &answer, e);

	json_decref(body);
	if (rc < 0)
		return -1;
	rc = remote_started(c, json_object_get(answer, made), k->noun, false, e);
	if (rc == 0)
		remote_print_one(c, json_incref(json_object_get(answer, made)));
	json_decref(answer);
	return rc;
}

int remote_make(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind_of(c);
	json_t *o = json_object();
	int rc;

	for (int i = 0; i < c->p.n_args && k->args[i]; i++)
		json_object_set_new(o, k->args[i], json_string(c->p.args[i]));
	rc = remote_open(c, e);
	if (rc == 0)
		rc = remote_take_options(c, k->noun, o, e);
	if (rc == 0)
		rc = add_more(c, k, o, e);
	/* What has but one kind need not be told. */
	if (rc == 0 && strcmp(k->noun, "platform") == 0 && !json_object_get(o, "kind"))
		json_object_set_new(o, "kind", json_string("libvirt"));
	if (rc == 0)
		rc = send_object(c, "POST", k->path, o, k, e);
	json_decref(o);
	return rc;
}

int remote_update(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind_of(c);
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *path = NULL;
	json_t *o = json_object();
	int rc = remote_open(c, e);

	if (rc == 0)
		rc = remote_find_id(c, k, c->p.args[0], &id, e);
	if (rc == 0)
		rc = remote_take_options(c, k->noun, o, e);
	if (rc == 0)
		rc = add_more(c, k, o, e);
	if (rc == 0 && json_object_size(o) == 0)
		rc = err_set(e, ERR_INVALID, "nothing to change: see 'holdfast help %s'",
			     c->p.command->name);
	if (rc == 0) {
		path = remote_path(k, id, NULL);
		rc = send_object(c, "PUT", path, o, k, e);
	}
	json_decref(o);
	return rc;
}
