/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers. Headers are copied when the request begins, so that a handler that a stop
 * did not wait for reads nothing of a connection that is gone.
 */
#include "net/httpd_priv.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "net/forwarded.h"

struct httpd_call *call_new(struct httpd *h, const char *raw)
{
	struct httpd_call *c = xcalloc(1, sizeof(*c));
	struct uuid u = uuid_random();

	atomic_init(&c->refs, 1);
	c->httpd = h;
	c->raw = xstrdup(raw);
	memcpy(c->id, "req-", 4);
	uuid_text(&u, c->id + 4);
	return c;
}

void call_unref(struct httpd_call *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	if (c->stream)
		stream_over(c->stream);
	if (c->attached_done)
		c->attached_done(c->attached);
	for (size_t i = 0; i < c->n_out; i++) {
		free(c->out[i].name);
		free(c->out[i].value);
	}
	for (size_t i = 0; i < c->n_cookies; i++) {
		free(c->cookies[i].name);
		free(c->cookies[i].value);
	}
	free(c->out);
	free(c->cookies);
	free(c->headers);
	free(c->content_type);
	free(c->answer);
	target_done(&c->target);
	buf_done(&c->body);
	free(c->raw);
	free(c);
}

void call_refuse(struct httpd_call *c, int status, const char *reason)
{
	if (c->refused)
		return;
	c->refused = status;
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

/* ---- headers ---- */

struct copying {
	struct httpd_field *fields;
	char *text;
	size_t n, bytes;
	unsigned lengths, codings;
	bool chunked;
};

static enum MHD_Result count_header(void *arg, enum MHD_ValueKind kind, const char *name,
				    const char *value)
{
	struct copying *k = arg;

	(void)kind;
	k->n++;
	k->bytes += strlen(name) + (value ? strlen(value) : 0) + 2;
	return MHD_YES;
}

static enum MHD_Result copy_header(void *arg, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	struct copying *k = arg;
	struct httpd_field *f = &k->fields[k->n++];

	(void)kind;
	f->name = k->text;
	k->text = stpcpy(k->text, name) + 1;
	f->value = k->text;
	k->text = stpcpy(k->text, value ? value : "") + 1;
	if (strcasecmp(name, "content-length") == 0)
		k->lengths++;
	if (strcasecmp(name, "transfer-encoding") == 0) {
		k->codings++;
		k->chunked = strcasecmp(f->value, "chunked") == 0;
	}
	return MHD_YES;
}

void call_read_headers(struct httpd_call *c)
{
	struct copying k = {0};

	MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, count_header, &k);
	c->headers = xmalloc(k.n * sizeof(*c->headers) + k.bytes);
	k.fields = c->headers;
	k.text = (char *)(c->headers + k.n);
	if (k.bytes + strlen(c->raw) > HTTPD_HEADER_MAX) {
		c->close = true;
		call_refuse(c, 431, "the headers are too long");
	}
	k.n = 0;
	MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, copy_header, &k);
	c->n_headers = k.n;
	/* Where a request ends must not be a matter of opinion: a proxy may have another. */
	if (k.lengths + k.codings > 1 || (k.codings && !k.chunked)) {
		c->close = true;
		call_refuse(c, 400, "the length of the body is not said in one way only");
	}
}

void call_find_client(struct httpd_call *c)
{
	const struct networks *trusted = c->httpd->o.trusted_proxies;
	bool back = trusted != NULL;

	for (size_t i = c->n_headers; i-- > 0 && back;)
		if (strcasecmp(c->headers[i].name, "x-forwarded-for") == 0)
			back = forwarded_back(trusted, c->headers[i].value, c->address);
}

const char *httpd_header(const struct httpd_call *c, const char *name)
{
	for (size_t i = 0; i < c->n_headers; i++) {
		if (strcasecmp(c->headers[i].name, name) == 0)
			return c->headers[i].value;
	}
	return NULL;
}

const char *httpd_cookie(struct httpd_call *c, const char *name)
{
	struct httpd_field *f;
	char *value = NULL;

	for (size_t i = 0; i < c->n_cookies; i++) {
		if (strcmp(c->cookies[i].name, name) == 0)
			return c->cookies[i].value;
	}
	for (size_t i = 0; i < c->n_headers && !value; i++) {
		if (strcasecmp(c->headers[i].name, "cookie") == 0)
			value = cookie_find(c->headers[i].value, name);
	}
	if (!value)
		return NULL;
	c->cookies = xreallocarray(c->cookies, c->n_cookies + 1, sizeof(*c->cookies));
	f = &c->cookies[c->n_cookies++];
	f->name = xstrdup(name);
	return f->value = value;
}

/* ---- what else is asked ---- */

const char *httpd_method(const struct httpd_call *c)
{
	return c->method;
}

const char *httpd_path(const struct httpd_call *c)
{
	return c->target.path ? c->target.path : "";
}

const char *httpd_route_path(const struct httpd_call *c)
{
	return c->route ? c->route->path : NULL;
}

const char *httpd_part(const struct httpd_call *c, const char *name)
{
	return c->route ? route_part(c->route, &c->target, name) : NULL;
}

const char *httpd_query(const struct httpd_call *c, const char *name)
{
	for (size_t i = 0; i < c->target.n_query; i++) {
		if (strcmp(c->target.query[i].name, name) == 0)
			return c->target.query[i].value;
	}
	return NULL;
}

bool httpd_query_at(const struct httpd_call *c, size_t i, const char **ret_name,
		    const char **ret_value)
{
	if (i >= c->target.n_query)
		return false;
	*ret_name = c->target.query[i].name;
	*ret_value = c->target.query[i].value;
	return true;
}

const void *httpd_body(const struct httpd_call *c, size_t *ret_len)
{
	*ret_len = c->body.len;
	return c->body.data ? (const void *)c->body.data : "";
}

const char *httpd_address(const struct httpd_call *c)
{
	return c->address;
}

bool httpd_is_tls(const struct httpd_call *c)
{
	return c->tls;
}

const char *httpd_request_id(const struct httpd_call *c)
{
	return c->id;
}

void httpd_attach(struct httpd_call *c, void *data, void (*done)(void *data))
{
	if (c->attached_done)
		c->attached_done(c->attached);
	c->attached = data;
	c->attached_done = done;
}

void *httpd_attached(const struct httpd_call *c)
{
	return c->attached;
}

bool httpd_later(struct httpd_call *c)
{
	if (!c->quick)
		return false;
	c->later = true;
	return true;
}

/* ---- the answer ---- */

static bool sent_more_than_once(const char *name)
{
	return strcasecmp(name, "set-cookie") == 0 || strcasecmp(name, "www-authenticate") == 0;
}

void httpd_set_header(struct httpd_call *c, const char *name, const char *value)
{
	for (size_t i = 0; i < c->n_out && !sent_more_than_once(name); i++) {
		if (strcasecmp(c->out[i].name, name) == 0) {
			free(c->out[i].value);
			c->out[i].value = xstrdup(value);
			return;
		}
	}
	c->out = xreallocarray(c->out, c->n_out + 1, sizeof(*c->out));
	c->out[c->n_out++] = (struct httpd_field){xstrdup(name), xstrdup(value)};
}

void httpd_answer(struct httpd_call *c, int status, const char *content_type, const void *body,
		  size_t len)
{
	free(c->answer);
	free(c->content_type);
	c->status = status;
	c->content_type = xstrdup0(content_type);
	c->answer = xmalloc(len ? len : 1);
	c->answer_len = len;
	if (len)
		memcpy(c->answer, body, len);
}

bool httpd_answered(const struct httpd_call *c)
{
	return c->status != 0;
}

static void refuse(struct httpd_call *c, int status, const char *reason)
{
	const struct httpd_options *o = &c->httpd->o;

	if (status == 405)
		httpd_set_header(c, "Allow", c->allow);
	if (o->refuse)
		o->refuse(c, status, reason, o->arg);
	if (!c->status) {
		AUTO_FREE char *text = xasprintf("%s\n", reason);

		httpd_answer(c, status, "text/plain; charset=utf-8", text, strlen(text));
	}
}

void call_run(struct httpd_call *c)
{
	const struct httpd_options *o = &c->httpd->o;

	if (c->refused && c->refused != 404 && c->refused != 405) {
		refuse(c, c->refused, c->reason);
		return;
	}
	if (o->before)
		o->before(c, o->arg);
	if (c->status || c->later)
		return;
	if (c->refused)
		refuse(c, c->refused, c->reason);
	else
		c->route->fn(c, c->route->arg);
	if (!c->status && !c->later)
		refuse(c, 500, "nobody answered this request");
}

static void add_headers(struct httpd_call *c, struct MHD_Response *r, bool own)
{
	MHD_add_response_header(r, "X-Openstack-Request-Id", c->id);
	MHD_add_response_header(r, "x-compute-request-id", c->id);
	if (c->close || atomic_load(&c->httpd->stopping))
		MHD_add_response_header(r, "Connection", "close");
	if (!own)
		return;
	if (c->content_type)
		MHD_add_response_header(r, "Content-Type", c->content_type);
	/* One with a line break in it is not added. */
	for (size_t i = 0; i < c->n_out; i++)
		MHD_add_response_header(r, c->out[i].name, c->out[i].value);
}

/* The stop did not wait for the handler: nothing may be read that it may be writing. */
static enum MHD_Result send_abandoned(struct httpd_call *c)
{
	static const char text[] = "the server is stopping\n";
	struct MHD_Response *r = MHD_create_response_from_buffer(
		sizeof(text) - 1, (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	add_headers(c, r, false);
	result = MHD_queue_response(c->mhd, 503, r);
	MHD_destroy_response(r);
	return result;
}

enum MHD_Result call_send(struct httpd_call *c)
{
	const struct httpd_options *o = &c->httpd->o;
	struct MHD_Response *r;
	enum MHD_Result result;
	bool abandoned;

	pthread_mutex_lock(&c->httpd->lock);
	abandoned = c->abandoned;
	pthread_mutex_unlock(&c->httpd->lock);
	c->started_answer = true;
	if (abandoned)
		return send_abandoned(c);
	if (c->stream)
		r = stream_response(c->stream, c->mhd, c->conn);
	else
		r = MHD_create_response_from_buffer(c->answer_len, c->answer,
						    MHD_RESPMEM_MUST_FREE);
	if (!r)
		return MHD_NO;
	if (!c->stream)
		c->answer = NULL;
	add_headers(c, r, true);
	result = MHD_queue_response(c->mhd, (unsigned)c->status, r);
	MHD_destroy_response(r);
	if (o->after)
		o->after(c, c->status, clock_mono_us() - c->since, o->arg);
	return result;
}
