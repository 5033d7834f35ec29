/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protectable.h: the kinds of things that can be protected, with OpenStack's names, and the options
 * that protecting, restoring and verifying them takes. Constant tables; any thread.
 */
#ifndef HF_CORE_PROTECTABLE_H
#define HF_CORE_PROTECTABLE_H

#include <jansson.h>
#include <stdbool.h>

#define PROTECTABLE_SERVER "OS::Nova::Server"
#define PROTECTABLE_VOLUME "OS::Cinder::Volume"
#define PROTECTABLE_PROJECT "OS::Keystone::Project"

/* An option, as a property of a JSON schema. */
struct protect_option {
	const char *name;
	const char *type;	  /* "string", "boolean", "integer", "array", "object" */
	const char *const *words; /* the only values of a string; NULL: any */
	const char *title, *description;
};

struct protectable {
	const char *type;
	const char *const *dependents; /* types; NULL-terminated */
	/* NULL-terminated by name. */
	const struct protect_option *options, *restore, *verify;
};

const struct protectable *protectables(size_t *ret_n);
const struct protectable *protectable_get(const char *type); /* NULL: there is none */
bool protectable_has_option(const struct protect_option *o, const char *name);

/* {"title", "type": "object", "properties": {…}, "required": []} */
json_t *protectable_schema(const char *title, const struct protect_option *o);
/* {"options_schema": {type: schema}, "restore_schema": …, "verify_schema": …, "saved_info_schema":
 * …} */
json_t *protectable_schemas(void);

#endif
