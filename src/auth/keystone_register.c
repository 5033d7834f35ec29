/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of Keystone: where clients find us. Source of the format: OpenStack Identity API
 * v3, "Service catalog and endpoints".
 */
#include "auth/keystone_priv.h"

#include <stdio.h>
#include <string.h>

#define ID_MAX 65

struct catalogue {
	struct keystone *k;
	char *auth; /* the header with our token */
};

/* One request. `body` may be NULL and is borrowed. *ret: the answer's object, to be released; NULL
 * where the answer is a refusal that `refused` allows. */
static int call(struct catalogue *c, const char *method, const char *path, const json_t *body,
		int refused, json_t **ret, struct err *e)
{
	AUTO_FREE char *url = xasprintf("%s%s", c->k->url, path);
	AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *const headers[] = {c->auth, "Content-Type: application/json",
				       "Accept: application/json"};
	const struct http_request q = {.method = method,
				       .url = url,
				       .headers = headers,
				       .n_headers = ARRAY_LEN(headers),
				       .data = text,
				       .len = text ? strlen(text) : 0,
				       .timeout_ms = c->k->timeout_ms};
	struct http_reply r = {.body = BUF_INIT};
	int rc = http_do(c->k->http, &q, &r, e);

	*ret = NULL;
	if (!rc && r.status / 100 == 2) {
		*ret = json_loadb((const char *)r.body.data, r.body.len, JSON_REJECT_DUPLICATES,
				  NULL);
		if (!*ret)
			rc = err_set(e, ERR_INVALID, "Keystone's answer to %s %s is not JSON",
				     method, path);
	} else if (!rc && r.status != refused) {
		rc = err_set(e, r.status == 403 || r.status == 401 ? ERR_DENIED : ERR_UNREACHABLE,
			     "Keystone answers %s %s with status %d%s", method, path, r.status,
			     r.status == 403
				     ? ": Holdfast's own user needs the role admin there to "
				       "register the service"
				     : "");
	}
	buf_done(&r.body);
	return rc;
}

static int make_region(struct catalogue *c, struct err *e)
{
	AUTO_FREE char *path = xasprintf("/regions/%s", c->k->region);
	json_t *found = NULL;
	json_t *body;
	int rc = call(c, "GET", path, NULL, 404, &found, e);

	if (rc || found) {
		json_decref(found);
		return rc;
	}
	body = json_pack("{s:{s:s}}", "region", "id", c->k->region);
	rc = call(c, "POST", "/regions", body, 409, &found, e);
	json_decref(body);
	json_decref(found);
	return rc;
}

static int take_id(const json_t *o, char out[ID_MAX], struct err *e)
{
	const char *id = json_string_value(json_object_get(o, "id"));
	size_t n = id ? strlen(id) : 0;

	if (!n || n >= ID_MAX || n != strspn(id, "0123456789abcdefABCDEF-"))
		return err_set(e, ERR_INVALID, "Keystone's answer has no id");
	memcpy(out, id, n + 1);
	return 0;
}

/* The first of an array in `o` whose `field` is `value`; NULL. */
static const json_t *first_with(const json_t *o, const char *array, const char *field,
				const char *value)
{
	const json_t *a = json_object_get(o, array);

	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *x = json_array_get(a, i);
		const char *is = json_string_value(json_object_get(x, field));

		if (is && !strcmp(is, value))
			return x;
	}
	return NULL;
}

/* POST the object, or PATCH the one with this id; its id goes to `id`. */
static int put(struct catalogue *c, const char *what, const char *folder, const json_t *old,
	       json_t *object, char id[ID_MAX], struct err *e)
{
	AUTO_FREE char *path = NULL;
	json_t *body = json_pack("{s:O}", what, object);
	json_t *made = NULL;
	int rc = 0;

	if (old)
		rc = take_id(old, id, e);
	path = old ? xasprintf("/%s/%s", folder, id) : xasprintf("/%s", folder);
	if (!rc)
		rc = call(c, old ? "PATCH" : "POST", path, body, 0, &made, e);
	if (!rc)
		rc = take_id(json_object_get(made, what), id, e);
	json_decref(body);
	json_decref(made);
	return rc;
}

static int make_service(struct catalogue *c, const struct keystone_service *s, char id[ID_MAX],
			struct err *e)
{
	AUTO_FREE char *path = xasprintf("/services?type=%s", s->type);
	json_t *object =
		json_pack("{s:s, s:s, s:s, s:b}", "name", s->name, "type", s->type, "description",
			  s->description ? s->description : "", "enabled", 1);
	json_t *all = NULL;
	int rc = call(c, "GET", path, NULL, 0, &all, e);

	if (!rc)
		rc = put(c, "service", "services", first_with(all, "services", "name", s->name),
			 object, id, e);
	json_decref(object);
	json_decref(all);
	return rc;
}

static int make_endpoint(struct catalogue *c, const char *service, const char *interface,
			 const char *url, struct err *e)
{
	AUTO_FREE char *path =
		xasprintf("/endpoints?service_id=%s&interface=%s", service, interface);
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:b}", "service_id", service, "interface",
				   interface, "region_id", c->k->region, "url", url, "enabled", 1);
	char id[ID_MAX];
	json_t *all = NULL;
	int rc = call(c, "GET", path, NULL, 0, &all, e);

	if (!rc)
		rc = put(c, "endpoint", "endpoints",
			 first_with(all, "endpoints", "region_id", c->k->region), object, id, e);
	json_decref(object);
	json_decref(all);
	return rc;
}

/* What goes into a path has to be a word. */
static int check_word(const char *field, const char *word, struct err *e)
{
	if (*word && strlen(word) < 100 &&
	    strlen(word) == strspn(word, "0123456789abcdefghijklmnopqrstuvwxyz"
					 "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_."))
		return 0;
	return err_set(e, ERR_INVALID, "%s: \"%.60s\" has to be letters, digits, -, _ and .", field,
		       word);
}

int keystone_register(struct keystone *k, const struct keystone_service *s, struct err *e)
{
	const char *const endpoints[][2] = {
		{"public", s->public_url}, {"internal", s->internal_url}, {"admin", s->admin_url}};
	AUTO_FREE char *token = NULL;
	AUTO_FREE char *auth = NULL;
	struct catalogue c = {.k = k};
	char id[ID_MAX];

	if (check_word("type", s->type, e) || check_word("region", k->region, e))
		return -1;
	token = keystone_token(k, NULL, e);
	if (!token)
		return -1;
	c.auth = auth = xasprintf("X-Auth-Token: %s", token);
	if (make_region(&c, e) || make_service(&c, s, id, e))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
		if (make_endpoint(&c, id, endpoints[i][0], endpoints[i][1], e))
			return -1;
	return 0;
}
