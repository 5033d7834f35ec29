/* SPDX-License-Identifier: Apache-2.0 */
#include "core/protectable.h"

#include <string.h>

static const char *const consistencies[] = {"off", "best-effort", "required", NULL};
static const char *const modes[] = {"new", "in_place", NULL};
static const char *const depths[] = {"structure", "content", NULL};

static const struct protect_option none[] = {{NULL, NULL, NULL, NULL, NULL}};

static const struct protect_option server_options[] = {
	{"consistency", "string", consistencies, "Consistency",
	 "Freeze the guest's file systems for the instant: off, best-effort, or required."},
	{"full", "boolean", NULL, "Full read",
	 "Read everything, without trusting change tracking."},
	{"backup_name", "string", NULL, "Name", "A name for the checkpoint, for people."},
	{NULL, NULL, NULL, NULL, NULL},
};

static const struct protect_option server_restore[] = {
	{"restore_name", "string", NULL, "Name", "Name of the restored machine; else as it was."},
	{"mode", "string", modes, "Mode", "A new machine, or in place of the one that is there."},
	{"directory", "string", NULL, "Directory", "Where its disks go; else where they were."},
	{"pool", "string", NULL, "Pool", "Storage pool for its disks, instead of a directory."},
	{"networks", "object", NULL, "Networks", "From the name of a network to that of another."},
	{"disks", "array", NULL, "Disks", "Only these disks."},
	{"start", "boolean", NULL, "Start", "Start it when it is complete; else as it was."},
	{"stop", "boolean", NULL, "Stop", "In place: shut it down if it runs."},
	{"keep_identity", "boolean", NULL, "Keep identity", "UUID and MAC addresses, too."},
	{NULL, NULL, NULL, NULL, NULL},
};

static const struct protect_option server_verify[] = {
	{"depth", "string", depths, "Depth", "Only the structure, or every block."},
	{NULL, NULL, NULL, NULL, NULL},
};

static const char *const no_types[] = {NULL};
static const char *const in_server[] = {PROTECTABLE_VOLUME, NULL};
static const char *const in_project[] = {PROTECTABLE_SERVER, NULL};

static const struct protectable table[] = {
	{PROTECTABLE_PROJECT, in_project, none, none, none},
	{PROTECTABLE_SERVER, in_server, server_options, server_restore, server_verify},
	{PROTECTABLE_VOLUME, no_types, none, none, none},
};
#define N_TABLE (sizeof(table) / sizeof(table[0]))

const struct protectable *protectables(size_t *ret_n)
{
	*ret_n = N_TABLE;
	return table;
}

const struct protectable *protectable_get(const char *type)
{
	for (size_t i = 0; i < N_TABLE; i++)
		if (strcmp(table[i].type, type) == 0)
			return &table[i];
	return NULL;
}

bool protectable_has_option(const struct protect_option *o, const char *name)
{
	for (; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return true;
	return false;
}

static json_t *words_json(const char *const *words)
{
	json_t *a = json_array();

	for (; *words; words++)
		json_array_append_new(a, json_string(*words));
	return a;
}

json_t *protectable_schema(const char *title, const struct protect_option *o)
{
	json_t *properties = json_object();

	for (; o->name; o++) {
		json_t *p = json_pack("{s:s, s:s, s:s}", "type", o->type, "title", o->title,
				      "description", o->description);

		if (o->words)
			json_object_set_new(p, "enum", words_json(o->words));
		json_object_set_new(properties, o->name, p);
	}
	return json_pack("{s:s, s:s, s:o, s:[]}", "title", title, "type", "object", "properties",
			 properties, "required");
}

json_t *protectable_schemas(void)
{
	json_t *options = json_object(), *restore = json_object(), *verify = json_object();
	json_t *saved = json_object();

	for (size_t i = 0; i < N_TABLE; i++) {
		const struct protectable *p = &table[i];

		json_object_set_new(options, p->type,
				    protectable_schema("Protection Options", p->options));
		json_object_set_new(restore, p->type,
				    protectable_schema("Restore Options", p->restore));
		json_object_set_new(verify, p->type,
				    protectable_schema("Verify Options", p->verify));
		json_object_set_new(saved, p->type, protectable_schema("Saved Info", none));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "options_schema", options, "restore_schema",
			 restore, "verify_schema", verify, "saved_info_schema", saved);
}
