/* SPDX-License-Identifier: Apache-2.0 */
/* /quotas and /quota_classes */
#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "core/quota.h"

/* The project whose quota it is: the caller's own, or any for an administrator. */
static int subject(struct api_call *c, char ret[AUTH_ID], struct err *e)
{
	const char *id = httpd_part(c->http, "quota_id");
	char uuid[UUID_TEXT];

	if (!uuid_like(id, uuid))
		return err_set(e, ERR_INVALID,
			       "Invalid input for quota '%.80s': it has to be the id of a project.",
			       id);
	snprintf(ret, AUTH_ID, "%s", id);
	if (c->who->admin || strcmp(id, c->project) == 0)
		return 0;
	return err_set(e, ERR_DENIED, "The quota of project '%s' is not yours.", id);
}

static int reply(struct api_call *c, const char *id, json_t *v)
{
	json_object_set_new(v, "id", json_string(id));
	api_reply(c, 200, "quota", v);
	return 0;
}

static int show(struct api_call *c, struct err *e)
{
	char id[AUTH_ID];
	json_t *v;

	return subject(c, id, e) < 0 || quota_get(c->t, id, &v, e) < 0 ? -1 : reply(c, id, v);
}

static int detail(struct api_call *c, struct err *e)
{
	char id[AUTH_ID];
	json_t *v;

	return subject(c, id, e) < 0 || quota_detail(c->t, id, &v, e) < 0 ? -1 : reply(c, id, v);
}

static int defaults(struct api_call *c, struct err *e)
{
	char id[AUTH_ID];

	return subject(c, id, e) < 0 ? -1 : reply(c, id, quota_defaults());
}

/* The numbers that were sent, for `of`. */
static int set(struct api_call *c, const char *item, const char *of, struct err *e)
{
	struct input in;
	size_t n;
	const struct quota_kind *k = quota_kinds(&n);
	int64_t most[8];

	api_input(c, item, &in);
	for (size_t i = 0; i < n; i++)
		most[i] = input_number(&in, k[i].name, OPTIONAL, QUOTA_UNLIMITED, INT32_MAX,
				       INT64_MIN);
	if (input_done(&in, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (most[i] != INT64_MIN && quota_set(c->t, of, k[i].name, most[i], e) < 0)
			return -1;
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	char id[AUTH_ID];
	json_t *v;

	if (subject(c, id, e) < 0 || set(c, "quota", id, e) < 0 || quota_get(c->t, id, &v, e) < 0)
		return -1;
	api_reply(c, 200, "quota", v);
	return 0;
}

static int delete (struct api_call *c, struct err *e)
{
	char id[AUTH_ID];

	return subject(c, id, e) < 0 ? -1 : quota_reset(c->t, id, e);
}

static int class_of(struct api_call *c, char out[300], struct err *e)
{
	const char *name = httpd_part(c->http, "quota_class");

	if (strlen(name) > 255)
		return err_set(e, ERR_INVALID, "The name of a quota class has at most 255 bytes.");
	snprintf(out, 300, "class:%s", name);
	return 0;
}

static int reply_class(struct api_call *c, const char *of, struct err *e)
{
	json_t *v;

	if (quota_get(c->t, of, &v, e) < 0)
		return -1;
	json_object_set_new(v, "id", json_string(of + strlen("class:")));
	api_reply(c, 200, "quota_class", v);
	return 0;
}

static int show_class(struct api_call *c, struct err *e)
{
	char of[300];

	return class_of(c, of, e) < 0 ? -1 : reply_class(c, of, e);
}

static int update_class(struct api_call *c, struct err *e)
{
	char of[300];

	if (class_of(c, of, e) < 0 || set(c, "quota_class", of, e) < 0)
		return -1;
	return reply_class(c, of, e);
}

#define ONE "/v1/{project_id}/quotas/{quota_id}"
#define CLASS "/v1/{project_id}/quota_classes/{quota_class}"

static const struct api_route routes[] = {
	{"GET", ONE, "quota:get", show, 0},
	{"GET", ONE "/detail", "quota:get", detail, 0},
	{"GET", ONE "/defaults", "quota:get_default", defaults, 0},
	{"PUT", ONE, "quota:update", update, API_WRITES},
	{"DELETE", ONE, "quota:delete", delete, API_WRITES},
	{"GET", CLASS, "quota_class:get", show_class, 0},
	{"PUT", CLASS, "quota_class:update", update_class, API_WRITES},
};
const struct api_resource api_quotas = {routes, ARRAY_LEN(routes)};
