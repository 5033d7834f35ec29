/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_metadata.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/fio.h"

#define INSTANCE "http://169.254.169.254"
#define CONTAINER "http://169.254.170.2"
#define ROLES "/latest/meta-data/iam/security-credentials/"
#define TOKEN_SECONDS "300" /* of the service's own token: it is for the requests of one moment */
#define INSTANCE_MS 1000
#define CONTAINER_MS 5000
#define TRIES 2
#define DOCUMENT_MAX ((size_t)64 << 10)
#define TEXT_MAX 4096
#define TOKEN_MAX 16384

/* It becomes part of a header, or of a path. */
static bool is_printable(const char *text, size_t most)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	}
	return n && n <= most;
}

static void wipe_text(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}

/* ---- the document ---- */

static const char *member(const json_t *o, const char *name, size_t most)
{
	const json_t *v = json_object_get(o, name);

	return json_is_string(v) && is_printable(json_string_value(v), most) ? json_string_value(v)
									     : NULL;
}

static int take_key(const json_t *o, struct s3_given_key *ret, struct err *e)
{
	const char *code = member(o, "Code", TEXT_MAX), *id = member(o, "AccessKeyId", TEXT_MAX);
	const char *secret = member(o, "SecretAccessKey", TEXT_MAX);
	const char *token = member(o, "Token", TOKEN_MAX), *end = member(o, "Expiration", 64);
	struct s3_given_key k = {.expires_us = UINT64_MAX};

	if (code && strcmp(code, "Success") != 0)
		return err_set(e, ERR_DENIED, "no key is given: %.100s", code);
	if (!id || !secret || (end && !clock_parse_rfc3339(end, &k.expires_us)))
		return err_set(e, ERR_IO,
			       "this is no key: it has no AccessKeyId, no SecretAccessKey, or an "
			       "Expiration that is no time");
	k.key = (struct sigv4_key){xstrdup(id), secret_of(secret, strlen(secret)), xstrdup0(token)};
	*ret = k;
	return 0;
}

int s3_metadata_parse(const void *json, size_t n, struct s3_given_key *ret, struct err *e)
{
	json_error_t why;
	json_t *o = n <= DOCUMENT_MAX ? json_loadb(json, n, JSON_REJECT_DUPLICATES, &why) : NULL;
	const json_t *secret = json_object_get(o, "SecretAccessKey");
	int rc;

	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(e, ERR_IO, "this is no key: it is no object in JSON, or too long");
	}
	rc = take_key(o, ret, e);
	if (json_is_string(secret))
		secret_wipe((char *)json_string_value(secret), json_string_length(secret));
	json_decref(o);
	return rc;
}

/* ---- asking ---- */

/* The body of a 200 answer, to be wiped. */
static int ask(struct http *h, const char *method, const char *url, const char *header,
	       unsigned timeout_ms, struct buf *ret_body, struct err *e)
{
	struct http_request q = {.method = method,
				 .url = url,
				 .headers = &header,
				 .n_headers = header != NULL,
				 .data = "",
				 .timeout_ms = timeout_ms,
				 .no_proxy = true};
	struct http_reply r;

	for (int tries = 1;; tries++) {
		if (http_do(h, &q, &r, e) < 0)
			return -1;
		if (r.status == 200 && r.body.len <= DOCUMENT_MAX) {
			*ret_body = r.body;
			return 0;
		}
		buf_done(&r.body);
		if (tries == TRIES || (r.status < 500 && r.status != 429))
			break;
	}
	return err_set(e, r.status == 404 ? ERR_NOENT : ERR_DENIED, "%s answers %d", url, r.status);
}

static void wipe_body(struct buf *b)
{
	if (b->len)
		secret_wipe(b->data, b->len);
	buf_done(b);
}

static int ask_for_key(struct http *h, const char *url, const char *header, unsigned timeout_ms,
		       struct s3_given_key *ret, struct err *e)
{
	struct buf body = BUF_INIT;
	int rc = ask(h, "GET", url, header, timeout_ms, &body, e);

	if (rc == 0 && s3_metadata_parse(body.data, body.len, ret, e) < 0)
		rc = err_wrap(e, "%s", url);
	wipe_body(&body);
	return rc;
}

/* The first line of the answer. */
static char *ask_for_line(struct http *h, const char *method, const char *url, const char *header,
			  struct err *e)
{
	struct buf body = BUF_INIT;
	char *line = NULL;

	if (ask(h, method, url, header, INSTANCE_MS, &body, e) < 0)
		return NULL;
	line = xstrndup(buf_str(&body), strcspn(buf_str(&body), "\r\n"));
	wipe_body(&body);
	if (is_printable(line, TEXT_MAX))
		return line;
	wipe_text(line);
	err_set(e, ERR_IO, "%s: the answer is empty, too long or no text", url);
	return NULL;
}

static int ask_with_token(struct http *h, const char *base, const char *token,
			  struct s3_given_key *ret, struct err *e)
{
	char *header = xasprintf("X-aws-ec2-metadata-token: %s", token);
	AUTO_FREE char *roles = xasprintf("%s" ROLES, base);
	AUTO_FREE char *role = ask_for_line(h, "GET", roles, header, e);
	int rc = -1;

	if (!role && e && e->kind == ERR_NOENT)
		err_set(e, ERR_NOENT, "this instance has no role that gives a key");
	if (role && strspn(role, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "+=,.@_-") == strlen(role)) {
		AUTO_FREE char *url = xasprintf("%s%s", roles, role);

		rc = ask_for_key(h, url, header, INSTANCE_MS, ret, e);
	} else if (role) {
		err_set(e, ERR_IO, "%s: the name of the role is none", roles);
	}
	wipe_text(header);
	return rc;
}

static int ask_instance(struct http *h, struct s3_given_key *ret, struct err *e)
{
	const char *given = env_text("AWS_EC2_METADATA_SERVICE_ENDPOINT"), *off;
	const char *base = given ? given : INSTANCE;
	AUTO_FREE char *trimmed = NULL, *url = NULL;
	size_t n = strlen(base);
	char *token;
	int rc;

	off = env_text("AWS_EC2_METADATA_DISABLED");
	if (off && strcasecmp(off, "true") == 0)
		return err_set(e, ERR_NOENT, "AWS_EC2_METADATA_DISABLED is set");
	while (n && base[n - 1] == '/')
		n--;
	trimmed = xstrndup(base, n);
	url = xasprintf("%s/latest/api/token", trimmed);
	token = ask_for_line(h, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: " TOKEN_SECONDS,
			     e);
	if (!token)
		return -1;
	rc = ask_with_token(h, trimmed, token, ret, e);
	wipe_text(token);
	return rc;
}

/* Without TLS, a token and a key go no further than this machine, or a service of its cloud. */
static bool may_be_plain(const char *host)
{
	static const char *const near[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
					   "[fd00:ec2::23]"};

	for (size_t i = 0; i < ARRAY_LEN(near); i++) {
		if (strcasecmp(host, near[i]) == 0)
			return true;
	}
	return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host);
}

static int check_full(const char *url, struct err *e)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL;
	bool fine = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;

	if (fine)
		fine = strcmp(scheme, "https") == 0 ||
		       (strcmp(scheme, "http") == 0 && may_be_plain(host));
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(u);
	return fine ? 0
		    : err_set(e, ERR_INVALID,
			      "AWS_CONTAINER_CREDENTIALS_FULL_URI '%s': write https://…, or "
			      "http://… of this machine",
			      url);
}

/* "Authorization: …", or NULL where there is no token. */
static int authorization(char **ret, struct err *e)
{
	const char *path = env_text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = env_text("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct buf b = BUF_INIT;
	char *text;

	*ret = NULL;
	if (path && fio_slurp(path, TOKEN_MAX, &b, e) < 0)
		return -1;
	if (!path && !token)
		return 0;
	if (!path)
		buf_text(&b, token);
	text = buf_str(&b);
	text[strcspn(text, "\r\n")] = 0;
	/* "Bearer X" has a blank. */
	if (strlen(text) && strspn(text, " ") == 0 && !strpbrk(text, "\t\x7f"))
		*ret = xasprintf("Authorization: %s", text);
	wipe_body(&b);
	return *ret ? 0
		    : err_set(e, ERR_INVALID, "%s holds no token",
			      path ? path : "AWS_CONTAINER_AUTHORIZATION_TOKEN");
}

static int ask_container(struct http *h, const char *url, struct s3_given_key *ret, struct err *e)
{
	char *header;
	int rc;

	if (authorization(&header, e) < 0)
		return -1;
	rc = ask_for_key(h, url, header, CONTAINER_MS, ret, e);
	wipe_text(header);
	return rc;
}

int s3_metadata_ask(struct http *h, struct s3_given_key *ret, struct err *e)
{
	const char *relative = env_text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = env_text("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	AUTO_FREE char *url = NULL;

	if (!relative && !full)
		return ask_instance(h, ret, e);
	if (relative && relative[0] != '/')
		return err_set(e, ERR_INVALID,
			       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI '%s': it begins with '/'",
			       relative);
	if (!relative && check_full(full, e) < 0)
		return -1;
	url = relative ? xasprintf(CONTAINER "%s", relative) : xstrdup(full);
	return ask_container(h, url, ret, e);
}
