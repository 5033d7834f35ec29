/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "net/sigv4.h"

#define TIMEOUT_MS 60000
#define STALL_S 45 /* the server says every 10 s that it lives */
#define PATIENCE_US UINT64_C(3000000)
#define PAUSE_MS 250
#define PAUSE_MOST_MS 5000
#define PAGES_MOST 10000

struct client {
	struct http *http;
	char *url, *project;
	struct secret *token;
	const struct cancel *cancel;
};

struct client *client_new(const struct client_setup *s)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->http = http_new(s->ca_file);
	if (s->ca)
		http_trust(c->http, s->ca);
	c->url = xstrdup(s->url);
	c->project = xstrdup0(s->project);
	c->token = s->token ? secret_of(s->token->data, s->token->len) : NULL;
	c->cancel = s->cancel;
	return c;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	http_free(c->http);
	free(c->url);
	free(c->project);
	secret_free(c->token);
	free(c);
}

const char *client_url(const struct client *c)
{
	return c->url;
}

const char *client_project(const struct client *c)
{
	return c->project;
}

void client_set_project(struct client *c, const char *id)
{
	free(c->project);
	c->project = xstrdup0(id);
}

/* ---- paths ---- */

void client_query(struct buf *path, const char *name, const char *value)
{
	bool first = !path->len || !memchr(path->data, '?', path->len);

	if (!value)
		return;
	buf_fmt(path, "%s%s=", first ? "?" : "&", name);
	sigv4_encode(value, false, path);
}

void client_part(struct buf *path, const char *part)
{
	sigv4_encode(part, false, path);
}

static char *full_url(const struct client *c, const char *path, struct err *e)
{
	if (path[0] == '/')
		return xasprintf("%s%s", c->url, path);
	if (c->project)
		return xasprintf("%s/v1/%s/%s", c->url, c->project, path);
	err_set(e, ERR_INVALID, "no project: give one with --project NAME");
	return NULL;
}

const char *client_text(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

/* ---- one try ---- */

/* A request's headers; what is in them is wiped. */
struct headers {
	char *token, *again, *type;
	const char *v[4];
	size_t n;
};

static void headers_init(struct headers *h, const struct client *c, const char *key)
{
	*h = (struct headers){.n = 0};
	if (c->token)
		h->v[h->n++] = h->token =
			xasprintf("Authorization: Bearer %.*s", (int)c->token->len,
				  (const char *)c->token->data);
	if (key)
		h->v[h->n++] = h->again = xasprintf("Idempotency-Key: %s", key);
	h->v[h->n++] = "Content-Type: application/json";
}

static void headers_done(struct headers *h)
{
	if (h->token)
		secret_wipe(h->token, strlen(h->token));
	free(h->token);
	free(h->again);
	free(h->type);
}

static enum err_kind kind_of(int status)
{
	static const struct {
		int status;
		enum err_kind kind;
	} kinds[] = {
		{401, ERR_DENIED},   {403, ERR_DENIED},	 {404, ERR_NOENT},   {409, ERR_CONFLICT},
		{412, ERR_CONFLICT}, {413, ERR_LIMIT},	 {429, ERR_BUSY},    {502, ERR_UNREACHABLE},
		{503, ERR_BUSY},     {504, ERR_TIMEOUT}, {507, ERR_NOSPACE},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].status == status)
			return kinds[i].kind;
	}
	return status >= 500 ? ERR_IO : ERR_INVALID;
}

/* {"itemNotFound": {"code": 404, "message": "…"}}; what else it may be, a proxy's page, has no
 * message for people. */
static int refused(const struct client *c, int status, const json_t *body, struct err *e)
{
	json_t *error = json_object_iter_value(json_object_iter((json_t *)body));
	const char *text = json_string_value(json_object_get(error, "message"));

	if (status == 401)
		return err_set(e, ERR_DENIED, "%s: %s%slog in with 'holdfast login %s'", c->url,
			       text && c->token ? text : "", text && c->token ? " " : "", c->url);
	if (text)
		return err_set(e, kind_of(status), "%s", text);
	return err_set(e, kind_of(status), "%s answers with status %d, and not as a Holdfast does",
		       c->url, status);
}

static int try_once(struct client *c, const struct http_request *q, struct http_reply *r,
		    json_t **ret, struct err *e)
{
	json_error_t why;
	json_t *body = NULL;
	int rc = 0;

	if (http_do(c->http, q, r, e) < 0)
		return -1;
	if (r->body.len)
		body = json_loadb((const char *)r->body.data, r->body.len, 0, &why);
	if (r->status < 200 || r->status > 299)
		rc = refused(c, r->status, body, e);
	else if (r->body.len && !body)
		rc = err_set(e, ERR_CORRUPT, "%s answers with what is no JSON: %s", q->url,
			     why.text);
	if (r->body.len)
		secret_wipe(r->body.data, r->body.len);
	buf_done(&r->body);
	if (rc == 0)
		*ret = body;
	else
		json_decref(body);
	return rc;
}

/* ---- and again ---- */

static bool worth_another(int status, const struct err *why)
{
	if (status == 0)
		return why->kind == ERR_UNREACHABLE || why->kind == ERR_TIMEOUT;
	return status == 429 || (status >= 502 && status <= 504);
}

static int pause_for(struct client *c, unsigned ms, struct err *e)
{
	for (; ms > 0; ms -= MIN(ms, 100u)) {
		if (cancel_check(c->cancel, e) < 0)
			return -1;
		clock_sleep_ms(MIN(ms, 100u));
	}
	return 0;
}

static int try_all(struct client *c, const struct http_request *q, json_t **ret, struct err *e)
{
	uint64_t until = clock_mono_us() + PATIENCE_US;
	unsigned pause = PAUSE_MS, ms;
	bool again = false;

	for (;; again = true) {
		struct http_reply r = {0};
		struct err why = {0};
		int rc = try_once(c, q, &r, ret, &why);

		/* The try before may have done it. */
		if (rc < 0 && again && r.status == 404 && strcmp(q->method, "DELETE") == 0)
			rc = 0;
		if (rc == 0)
			return 0;
		ms = r.retry_after ? MIN(r.retry_after, 60u) * 1000 : pause;
		if (!worth_another(r.status, &why) || clock_mono_us() + ms * 1000u > until) {
			if (e)
				*e = why;
			return -1;
		}
		log_debug("%s; trying again in %u ms", why.msg, ms);
		if (pause_for(c, ms, e) < 0)
			return -1;
		pause = MIN(2 * pause, PAUSE_MOST_MS);
	}
}

int client_do(struct client *c, const char *method, const char *path, const json_t *body,
	      json_t **ret, struct err *e)
{
	AUTO_FREE char *url = full_url(c, path, e);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct http_request q = {.method = method,
				 .url = url,
				 .data = text ? text : "",
				 .len = text ? strlen(text) : 0,
				 .timeout_ms = TIMEOUT_MS,
				 .cancel = c->cancel};
	struct uuid key = uuid_random();
	char key_text[UUID_TEXT];
	struct headers h;
	json_t *answer = NULL;
	int rc = -1;

	headers_init(&h, c, strcmp(method, "POST") == 0 ? uuid_text(&key, key_text) : NULL);
	q.headers = h.v;
	q.n_headers = h.n;
	if (url)
		rc = try_all(c, &q, &answer, e);
	headers_done(&h);
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
	if (rc == 0 && ret)
		*ret = answer;
	else
		json_decref(answer);
	return rc;
}

int client_get(struct client *c, const char *path, const char *item, json_t **ret, struct err *e)
{
	json_t *answer = NULL, *v;

	if (client_do(c, "GET", path, NULL, &answer, e) < 0)
		return -1;
	v = json_object_get(answer, item);
	if (v)
		*ret = json_incref(v);
	json_decref(answer);
	return v ? 0
		 : err_set(e, ERR_CORRUPT, "%s: the answer to GET %s has no '%s'", c->url, path,
			   item);
}

/* ---- lists ---- */

/* One page on top of `all`. *ret_marker: of the next one, or NULL. */
static int add_page(struct client *c, const char *path, const char *items, const char *marker,
		    json_t *all, char **ret_marker, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_FREE char *links = xasprintf("%s_links", items);
	json_t *answer = NULL, *page;
	size_t n;
	int rc;

	buf_text(&b, path);
	client_query(&b, "marker", marker);
	*ret_marker = NULL;
	rc = client_do(c, "GET", buf_str(&b), NULL, &answer, e);
	page = json_object_get(answer, items);
	n = json_array_size(page);
	if (rc == 0 && !json_is_array(page))
		rc = err_set(e, ERR_CORRUPT, "%s: the answer to GET %s has no list '%s'", c->url,
			     path, items);
	if (rc == 0 && n) {
		const char *last = client_text(json_array_get(page, n - 1), "id");

		/* Lists without links are short, and have a next page only when they are full. */
		if (*last && (json_object_get(answer, links) || n == CLIENT_PAGE))
			*ret_marker = xstrdup(last);
		json_array_extend(all, page);
	}
	json_decref(answer);
	return rc;
}

int client_list(struct client *c, const char *path, const char *items, size_t most, json_t **ret,
		struct err *e)
{
	char *marker = NULL, *next = NULL;
	json_t *all = json_array();
	int rc = 0;

	for (int i = 0; i < PAGES_MOST && rc == 0; i++) {
		rc = add_page(c, path, items, marker, all, &next, e);
		free(marker);
		marker = next;
		if (!marker || (most && json_array_size(all) >= most))
			break;
	}
	free(marker);
	while (most && json_array_size(all) > most)
		json_array_remove(all, json_array_size(all) - 1);
	if (rc < 0)
		json_decref(all);
	else
		*ret = all;
	return rc;
}

/* ---- streams ---- */

int client_stream(struct client *c, const char *path, const char *type, http_chunk_fn *fn,
		  void *arg, const struct cancel *hang_up, struct err *e)
{
	AUTO_FREE char *url = full_url(c, path, e);
	struct http_request q = {
		.method = "GET", .url = url, .stall_s = STALL_S, .cancel = hang_up};
	struct http_reply r = {0};
	struct headers h;
	int rc;

	if (!url)
		return -1;
	headers_init(&h, c, NULL);
	if (type)
		h.v[h.n++] = h.type = xasprintf("Accept: %s", type);
	q.headers = h.v;
	q.n_headers = h.n;
	rc = http_stream(c->http, &q, fn, arg, &r, e);
	headers_done(&h);
	if (rc == 0 && r.status != 200) {
		json_t *body = json_loadb(buf_str(&r.body), r.body.len, 0, NULL);

		rc = refused(c, r.status, body, e);
		json_decref(body);
	}
	buf_done(&r.body);
	return rc;
}
