/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of things that a server has: where each is in the API, what a list of them shows, and
 * how one is found by what a person types.
 */
#include <string.h>

#include "base/uuid.h"
#include "cmd/remote.h"

#define SERVERS "protectables/OS::Nova::Server/instances"

#define ID_AND_NAME                                                                                \
	{"id", "id", CELL_ID},                                                                     \
	{                                                                                          \
		"name", "name", CELL_TEXT                                                          \
	}

static const struct remote_column plans[] = {
	ID_AND_NAME,
	{"status", "status", CELL_TEXT},
	{"provider", "provider_id", CELL_REF, "provider"},
	{"policy", "policy_id", CELL_REF, "policy"},
	{"resources", "resources", CELL_COUNT},
	{"selectors", "selectors", CELL_COUNT},
	{"group", "consistency_group", CELL_FLAG},
	{0},
};
static const struct remote_column policies[] = {
	ID_AND_NAME,
	{"schedules", "spec.schedules", CELL_COUNT},
	{"mandatory", "mandatory", CELL_FLAG},
	{"shared", "project_id", CELL_ABSENT},
	{"description", "description", CELL_TEXT},
	{0},
};
static const struct remote_column providers[] = {
	ID_AND_NAME,
	{"target", "target_id", CELL_REF, "target"},
	{"shared", "project_id", CELL_ABSENT},
	{"description", "description", CELL_TEXT},
	{0},
};
static const struct remote_column targets[] = {
	ID_AND_NAME,
	{"status", "status", CELL_TEXT},
	{"stored", "stored_bytes", CELL_BYTES},
	{"free", "free_bytes", CELL_BYTES},
	{"shared", "project_id", CELL_ABSENT},
	{"checked", "checked_at", CELL_TIME},
	{"url", "url", CELL_TEXT},
	{"reason", "reason", CELL_TEXT},
	{0},
};
static const struct remote_column platforms[] = {
	ID_AND_NAME,
	{"kind", "kind", CELL_TEXT},
	{"status", "status", CELL_TEXT},
	{"resources", "resources", CELL_NUMBER},
	{"shared", "project_id", CELL_ABSENT},
	{"checked", "checked_at", CELL_TIME},
	{"uri", "uri", CELL_TEXT},
	{"reason", "reason", CELL_TEXT},
	{0},
};
static const struct remote_column movers[] = {
	ID_AND_NAME,
	{"host", "host", CELL_TEXT},
	{"version", "version", CELL_TEXT},
	{"state", "state", CELL_TEXT},
	{"drain", "drain", CELL_FLAG},
	{"last seen", "last_seen_at", CELL_TIME},
	{0},
};
static const struct remote_column triggers[] = {
	ID_AND_NAME,
	{"type", "type", CELL_TEXT},
	{"enabled", "enabled", CELL_FLAG},
	{"next", "next_at", CELL_TIME},
	{"last", "last_fired_at", CELL_TIME},
	{"zone", "properties.timezone", CELL_TEXT},
	{"pattern", "properties.pattern", CELL_TEXT},
	{0},
};
static const struct remote_column schedules[] = {
	ID_AND_NAME,
	{"type", "operation_type", CELL_TEXT},
	{"enabled", "enabled", CELL_FLAG},
	{"trigger", "trigger_id", CELL_REF, "trigger"},
	{"plan", "operation_definition.plan_id", CELL_REF, "plan"},
	{0},
};
static const struct remote_column operations[] = {
	{"id", "id", CELL_ID},
	{"time", "created_at", CELL_TIME},
	{"kind", "kind", CELL_TEXT},
	{"state", "state", CELL_TEXT},
	{"took", "started_at", CELL_TOOK, "ended_at"},
	{"name", "name", CELL_TEXT},
	{"reason", "reason", CELL_TEXT},
	{0},
};
static const struct remote_column resources[] = {
	{"type", "type", CELL_TEXT},
	{"name", "name", CELL_TEXT},
	{"state", "status", CELL_TEXT},
	{"protected", "protected", CELL_FLAG},
	{"platform", "platform_id", CELL_REF, "platform"},
	{"seen", "seen_at", CELL_TIME},
	{"id", "id", CELL_TEXT},
	{0},
};
static const struct remote_column coverage[] = {
	{"name", "name", CELL_TEXT},
	{"platform", "platform_name", CELL_TEXT},
	{"protection", "protection", CELL_TEXT},
	{"plans", "plans", CELL_COUNT},
	{"newest good", "newest_good_at", CELL_TIME},
	{"due by", "due_by", CELL_TIME},
	{"reason", "reason", CELL_TEXT},
	{0},
};
static const struct remote_column checkpoints[] = {
	{"id", "id", CELL_ID},
	{"time", "instant_at", CELL_TIME},
	{"plan", "protection_plan.name", CELL_TEXT},
	{"status", "status", CELL_TEXT},
	{"made by", "made_by", CELL_TEXT},
	{"provider", "provider_id", CELL_REF, "provider"},
	{"size", "bytes_total", CELL_BYTES},
	{"read", "bytes_read", CELL_BYTES},
	{"new", "bytes_new", CELL_BYTES},
	{"stored", "bytes_stored", CELL_BYTES},
	{"took", "started_at", CELL_TOOK, "ended_at"},
	{"hold", "hold", CELL_FLAG},
	{0},
};

static const struct remote_column users[] = {
	ID_AND_NAME,
	{"email", "email", CELL_TEXT},
	{"from", "source", CELL_TEXT},
	{"enabled", "enabled", CELL_FLAG},
	{"everywhere", "everywhere", CELL_TEXT},
	{"last login", "last_login_at", CELL_TIME},
	{0},
};
static const struct remote_column tokens[] = {
	ID_AND_NAME,
	{"project", "project_id", CELL_TEXT},
	{"roles", "roles", CELL_TEXT},
	{"until", "expires_at", CELL_TIME},
	{"last used", "last_used_at", CELL_TIME},
	{0},
};
static const struct remote_column notifications[] = {
	ID_AND_NAME,
	{"kind", "kind", CELL_TEXT},
	{"enabled", "enabled", CELL_FLAG},
	{"status", "status", CELL_TEXT},
	{"from", "severity", CELL_TEXT},
	{"events", "events", CELL_COUNT},
	{"sent", "sent_at", CELL_TIME},
	{"url", "url", CELL_TEXT},
	{0},
};

static const struct remote_kind kinds[] = {
	{"plan", "plans", "plan", "plans", plans, "name", NULL, {"name"}},
	{"policy", "policies", "policy", "policies", policies, "name", NULL, {"name"}},
	{"provider", "providers", "provider", "providers", providers, "name", NULL, {"name"}},
	{"target", "targets", "target", "targets", targets, "name", NULL, {"name", "url"}},
	{"platform",
	 "platforms",
	 "platform",
	 "platforms",
	 platforms,
	 "name",
	 NULL,
	 {"name", "uri"}},
	{"mover", "movers", "mover", "movers", movers, NULL, "invitation", {"name"}},
	{"trigger", "triggers", "trigger_info", "triggers", triggers, "name", NULL, {"name"}},
	{"schedule",
	 "scheduled_operations",
	 "scheduled_operation",
	 "operations",
	 schedules,
	 "name",
	 NULL,
	 {"name"}},
	{"operation", "operations", "operation", "operations", operations, NULL, NULL, {NULL}},
	{"resource", SERVERS, "instance", "instances", resources, "name", NULL, {NULL}},
	{"coverage", "coverage", "coverage", "coverage", coverage, "name", NULL, {NULL}},
	{"user", "/v1/users", "user", "users", users, NULL, NULL, {"name"}},
	{"token", "/v1/tokens", "token", "tokens", tokens, NULL, NULL, {"name"}, .listed = true},
	{"notification",
	 "notifications",
	 "notification",
	 "notifications",
	 notifications,
	 "name",
	 NULL,
	 {"name"}},
	{"checkpoint", NULL, "checkpoint", "checkpoints", checkpoints, NULL, NULL, {NULL}},
};

const struct remote_kind *remote_kind(const char *noun)
{
	size_t n = strcspn(noun, " ");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strlen(kinds[i].noun) == n && strncmp(kinds[i].noun, noun, n) == 0)
			return &kinds[i];
	}
	abort(); /* a row of the table of commands that has none here */
}

const struct remote_kind *remote_kind_of(const struct cli *c)
{
	return remote_kind(c->p.command->name);
}

char *remote_path(const struct remote_kind *k, const char *id, const char *action)
{
	AUTO_BUF b = BUF_INIT;

	buf_fmt(&b, "%s/", k->path);
	client_part(&b, id);
	if (action)
		buf_fmt(&b, "/%s", action);
	return xstrdup(buf_str(&b));
}

/* ---- finding one ---- */

#define PREFIX_LEAST 4
#define NAMED_MAX 6 /* ids in a message */

static bool is_prefix(const char *ref, const char *id)
{
	size_t n = strlen(ref);

	return n >= PREFIX_LEAST && strncmp(ref, id, n) == 0;
}

/* What is meant: all that have this name, or else this beginning of an id. */
static json_t *matches(const json_t *all, const char *ref)
{
	json_t *named = json_array(), *begun = json_array(), *o;
	size_t i;

	json_array_foreach((json_t *)all, i, o)
	{
		if (strcmp(client_text(o, "name"), ref) == 0)
			json_array_append(named, o);
		else if (is_prefix(ref, client_text(o, "id")))
			json_array_append(begun, o);
	}
	if (json_array_size(named)) {
		json_decref(begun);
		return named;
	}
	json_decref(named);
	return begun;
}

static int only_one(const struct remote_kind *k, const char *ref, const json_t *found, json_t **ret,
		    struct err *e)
{
	AUTO_BUF ids = BUF_INIT;
	json_t *o;
	size_t i;

	if (json_array_size(found) == 1) {
		*ret = json_incref(json_array_get(found, 0));
		return 0;
	}
	if (json_array_size(found) == 0)
		return err_set(e, ERR_NOENT, "there is no %s '%.80s': see 'holdfast %s list'",
			       k->noun, ref, k->noun);
	json_array_foreach((json_t *)found, i, o)
	{
		if (i < NAMED_MAX)
			buf_fmt(&ids, "%s%s", i ? ", " : "", client_text(o, "id"));
	}
	return err_set(e, ERR_INVALID,
		       "'%.80s' may be any of %zu of 'holdfast %s list': name it by its id: %s",
		       ref, json_array_size(found), k->noun, buf_str(&ids));
}

/* A list that is narrowed to the name has no ids that begin so; then all of it is looked at. */
static int find_listed(struct cli *c, const struct remote_kind *k, const char *ref, bool by_name,
		       json_t **ret_found, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	json_t *all = NULL;

	buf_text(&path, k->path);
	if (by_name)
		client_query(&path, k->filter, ref);
	if (client_list(c->client, buf_str(&path), k->items, 0, &all, e) < 0)
		return -1;
	*ret_found = matches(all, ref);
	json_decref(all);
	return 0;
}

int remote_find(struct cli *c, const struct remote_kind *k, const char *ref, json_t **ret,
		struct err *e)
{
	json_t *found = NULL;
	struct uuid u;
	int rc;

	if (!k->listed && uuid_parse(ref, &u)) {
		AUTO_FREE char *path = remote_path(k, ref, NULL);

		return client_get(c->client, path, k->item, ret, e);
	}
	rc = find_listed(c, k, ref, k->filter != NULL, &found, e);
	if (rc == 0 && k->filter && json_array_size(found) == 0) {
		json_decref(found);
		found = NULL;
		rc = find_listed(c, k, ref, false, &found, e);
	}
	if (rc == 0)
		rc = only_one(k, ref, found, ret, e);
	json_decref(found);
	return rc;
}

int remote_find_id(struct cli *c, const struct remote_kind *k, const char *ref, char **ret,
		   struct err *e)
{
	json_t *o = NULL;

	if (remote_find(c, k, ref, &o, e) < 0)
		return -1;
	*ret = xstrdup(client_text(o, "id"));
	json_decref(o);
	return 0;
}

/* ---- names ---- */

/* Names of a kind, by id. What may not be seen, or fails, has none: its id is shown. */
static json_t *load_names(struct cli *c, const struct remote_kind *k)
{
	json_t *names = json_object(), *all = NULL, *o;
	size_t i;

	if (client_list(c->client, k->path, k->items, 0, &all, NULL) < 0)
		return names;
	json_array_foreach(all, i, o)
	{
		json_object_set(names, client_text(o, "id"), json_object_get(o, "name"));
	}
	json_decref(all);
	return names;
}

const char *remote_name(struct cli *c, const char *noun, const char *id)
{
	const char *name;
	json_t *names;

	if (!c->names)
		c->names = json_object();
	names = json_object_get(c->names, noun);
	if (!names) {
		names = load_names(c, remote_kind(noun));
		json_object_set_new(c->names, noun, names);
	}
	name = json_string_value(json_object_get(names, id));
	return name ? name : id;
}
