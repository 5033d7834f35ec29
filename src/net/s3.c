/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/uuid.h"
#include "net/s3_lock.h"
#include "net/s3_priv.h"

#define MD5_BYTES 16
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 10000
#define PAGE "1000"

struct s3 *s3_open(const char *url, const struct sigv4_key *key, struct err *e)
{
	struct s3 *s = xcalloc(1, sizeof(*s));

	if (s3_place_parse(url, &s->place, e) < 0) {
		free(s);
		return NULL;
	}
	s->keys = key ? s3_keys_of(key) : s3_keys_open(e);
	if (!s->keys) {
		s3_free(s);
		return NULL;
	}
	s->http = http_new(s->place.ca);
	return s;
}

void s3_stop_with(struct s3 *s, const struct cancel *cancel)
{
	s->cancel = cancel;
}

void s3_free(struct s3 *s)
{
	if (!s)
		return;
	http_free(s->http);
	s3_keys_free(s->keys);
	s3_place_done(&s->place);
	free(s);
}

/* ---- one try ---- */

static void add_header(struct sigv4_request *r, const char *name, const char *value)
{
	r->headers[r->n_headers++] = (struct sigv4_header){name, value};
}

static int send_signed(struct s3 *s, struct s3_call *c, const char *url,
		       const struct sigv4_request *r, const struct sigv4_key *key, const char *date,
		       struct err *e)
{
	const char *lines[SIGV4_HEADERS_MAX + 1];
	AUTO_BUF authorization = BUF_INIT;
	size_t n = 0;
	int rc;

	buf_text(&authorization, "Authorization: ");
	sigv4_sign(key, s->place.region, "s3", date, r, &authorization);
	lines[n++] = buf_str(&authorization);
	for (size_t i = 0; i < r->n_headers; i++)
		lines[n++] = xasprintf("%s: %s", r->headers[i].name, r->headers[i].value);
	c->http.method = c->method;
	c->http.url = url;
	c->http.headers = lines;
	c->http.n_headers = n;
	rc = http_do(s->http, &c->http, &c->reply, e);
	while (n > 1)
		free((char *)lines[--n]);
	return rc;
}

/* Headers in the order of their names. */
static int try_with(struct s3 *s, struct s3_call *c, const struct sigv4_key *key, struct err *e)
{
	time_t now = (time_t)(clock_wall_us() / 1000000) + (time_t)atomic_load(&s->clock_off);
	const char *query = c->query ? c->query : "";
	struct sigv4_request r = {.method = c->method, .query = query, .payload = c->sha256};
	char date[SIGV4_DATE], range[64], until[CLOCK_TEXT], checksum[S3_BASE64_SHA];
	AUTO_BUF path = BUF_INIT;
	AUTO_FREE char *url = NULL;

	sigv4_date(now, date);
	buf_text(&path, s->place.path);
	if (c->key) {
		sigv4_encode(s->place.prefix, true, &path);
		sigv4_encode(c->key, true, &path);
	}
	r.path = buf_str(&path);
	url = xasprintf("%s%s%s%s", s->place.base, r.path, *query ? "?" : "", query);
	if (c->md5)
		add_header(&r, "content-md5", c->md5);
	add_header(&r, "host", s->place.host);
	if (c->condition)
		add_header(&r, c->condition, c->condition_value);
	if (c->ranged) {
		snprintf(range, sizeof(range), "bytes=%llu-%llu", (unsigned long long)c->from,
			 (unsigned long long)c->to);
		add_header(&r, "range", range);
	}
	if (c->bypass)
		add_header(&r, "x-amz-bypass-governance-retention", "true");
	/* Services take nothing that is to be locked without one. */
	if (c->lock && !c->copy_source)
		add_header(&r, "x-amz-checksum-sha256", s3_checksum(c->sha256, checksum));
	add_header(&r, "x-amz-content-sha256", c->sha256);
	if (c->copy_source)
		add_header(&r, "x-amz-copy-source", c->copy_source);
	add_header(&r, "x-amz-date", date);
	if (c->lock) {
		add_header(&r, "x-amz-object-lock-mode", s3_lock_name(c->lock->mode));
		add_header(&r, "x-amz-object-lock-retain-until-date",
			   clock_rfc3339((uint64_t)c->lock->until * 1000000, until));
	}
	if (key->token)
		add_header(&r, "x-amz-security-token", key->token);
	return send_signed(s, c, url, &r, key, date, e);
}

static int try_once(struct s3 *s, struct s3_call *c, struct err *e)
{
	struct s3_key *key = s3_keys_hold(s->keys);
	int rc = try_with(s, c, &key->key, e);

	s3_keys_release(s->keys, key);
	return rc;
}

/* ---- trying again ---- */

static bool is_code(const struct s3_call *c, const char *code)
{
	return strcmp(c->error.code, code) == 0;
}

/* Take the time from the service. It is only for signatures. */
static bool set_clock(struct s3 *s, const struct http_reply *r)
{
	time_t there = curl_getdate(r->date, NULL);

	if (there <= 0)
		return false;
	atomic_store(&s->clock_off, (long long)there - (long long)(clock_wall_us() / 1000000));
	return true;
}

static bool may_pass(struct s3 *s, const struct s3_call *c)
{
	const struct http_reply *r = &c->reply;

	if (is_code(c, "RequestTimeTooSkewed"))
		return set_clock(s, r);
	if (is_code(c, "ExpiredToken"))
		return s3_keys_expired(s->keys);
	return (r->status >= 500 && r->status != 501) || r->status == 429 || r->status == 408 ||
	       is_code(c, "ConditionalRequestConflict") || is_code(c, "OperationAborted") ||
	       is_code(c, "RequestTimeout") || is_code(c, "SlowDown");
}

int s3_refused(struct s3 *s, const struct s3_call *c, struct err *e)
{
	const struct http_reply *r = &c->reply;
	const struct s3_error *x = &c->error;
	const char *region = r->region[0] ? r->region : x->region[0] ? x->region : "?";
	enum err_kind kind = r->status == 404			    ? ERR_NOENT
			     : r->status == 403 || r->status == 401 ? ERR_DENIED
								    : ERR_IO;

	if (is_code(c, "NoSuchBucket"))
		return err_set(e, ERR_NOENT,
			       "%s: there is no bucket '%s': create it first, or check its name "
			       "and the service's address",
			       s->place.base, s->place.bucket);
	if (r->status == 301 || r->status == 307 || is_code(c, "AuthorizationHeaderMalformed"))
		return err_set(e, ERR_INVALID,
			       "%s: the bucket '%s' is in region '%s': add ?region=NAME to the "
			       "target, or set AWS_REGION",
			       s->place.base, s->place.bucket, region);
	if (is_code(c, "QuotaExceeded") || r->status == 507)
		kind = ERR_NOSPACE;
	return err_set(e, kind, "%s %s/%s%s: the service answers %d%s%s%s%s", c->method,
		       s->place.bucket, s->place.prefix, c->key ? c->key : "", r->status,
		       x->code[0] ? " " : "", x->code, x->message[0] ? ": " : "", x->message);
}

/* Growing, and different each time, so that many that failed together do not return together. */
static unsigned pause_ms(unsigned tries, unsigned retry_after_s)
{
	unsigned most = PAUSE_FIRST_MS << MIN(tries, 7U), r;

	random_bytes(&r, sizeof(r));
	most = MIN(most, (unsigned)PAUSE_MAX_MS);
	return MAX(most / 2 + r % (most / 2 + 1), MIN(retry_after_s * 1000, 30000U));
}

static bool wanted(int status, const int *statuses)
{
	for (; *statuses; statuses++) {
		if (*statuses == status)
			return true;
	}
	return false;
}

static void take_body(struct s3_call *c)
{
	bool fine = c->reply.status >= 200 && c->reply.status < 300;

	c->error = (struct s3_error){0};
	if (!fine || strcmp(c->method, "POST") == 0)
		s3_error_parse(c->reply.body.data, c->reply.body.len, &c->error);
	/* What takes long is begun with 200, and may end as an error all the same. */
	if (fine && c->error.code[0]) {
		c->reply.status = 500;
		fine = false;
	}
	if (fine && c->body)
		*c->body = c->reply.body;
	else
		buf_done(&c->reply.body);
}

/* -1 when it is asked to stop. */
static int wait_before(struct s3 *s, unsigned ms, struct err *e)
{
	for (; ms && !cancel_asked(s->cancel); ms -= MIN(ms, 100U))
		clock_sleep_ms(MIN(ms, 100U));
	return cancel_check(s->cancel, e);
}

/* What every answer tells besides. */
static void take_notice(struct s3 *s, const struct http_reply *r)
{
	time_t there = curl_getdate(r->date, NULL);

	if (there > 0)
		atomic_store(&s->ahead, (long long)there - (long long)(clock_wall_us() / 1000000));
	if (r->version[0] && strcmp(r->version, "null") != 0)
		atomic_store(&s->versions, true);
}

int s3_perform(struct s3 *s, struct s3_call *c, const int *statuses, struct err *e)
{
	uint64_t end = clock_mono_us() + s->place.retry_us;

	if (!c->sha256)
		c->sha256 = EMPTY_SHA256;
	for (unsigned tries = 0;; tries++) {
		struct err why = {0};
		bool again;

		if (try_once(s, c, &why) == 0) {
			take_notice(s, &c->reply);
			take_body(c);
			if (wanted(c->reply.status, statuses))
				return 0;
			again = may_pass(s, c);
			s3_refused(s, c, &why);
		} else {
			again = why.kind == ERR_UNREACHABLE || why.kind == ERR_TIMEOUT;
		}
		if (!again || clock_mono_us() >= end) {
			if (e)
				*e = why;
			return -1;
		}
		log_debug("trying again: %s", why.msg);
		if (wait_before(s, pause_ms(tries, c->reply.retry_after), e) < 0)
			return err_wrap(e, "%s", why.msg);
	}
}

/* ---- calls ---- */

static int absent(struct s3 *s, const char *key, struct err *e)
{
	return err_set(e, ERR_NOENT, "%s/%s%s: no such object", s->place.bucket, s->place.prefix,
		       key);
}

static void take_info(const struct http_reply *r, struct s3_info *ret)
{
	ret->size = r->total != UINT64_MAX ? r->total : r->length;
	memcpy(ret->etag, r->etag, S3_ETAG);
	memcpy(ret->version, r->version, S3_VERSION);
	s3_lock_parse(r->lock_mode, r->lock_until, r->lock_hold, &ret->lock);
}

int s3_head(struct s3 *s, const char *key, struct s3_info *ret, struct err *e)
{
	struct s3_call c = {.method = "HEAD", .key = key};
	uint8_t byte;

	if (s3_perform(s, &c, (const int[]){200, 404, 301, 307, 400, 403, 503, 0}, e) < 0)
		return -1;
	if (c.reply.status == 404)
		return absent(s, key, e);
	/* The answer to a HEAD cannot say why; that to a GET does. */
	if (c.reply.status != 200)
		return s3_get(s, key, 0, &byte, 1, ret, e) < 0 ? -1 : 0;
	if (c.reply.length == UINT64_MAX)
		return err_set(e, ERR_IO, "%s: the service does not say how long %s is",
			       s->place.base, key);
	take_info(&c.reply, ret);
	return 0;
}

ssize_t s3_get(struct s3 *s, const char *key, uint64_t off, void *data, size_t len,
	       struct s3_info *ret, struct err *e)
{
	struct s3_call c = {.method = "GET", .key = key, .ranged = true};

	c.from = off;
	c.to = off + len - 1;
	c.http.into = data;
	c.http.into_len = len;
	if (s3_perform(s, &c, (const int[]){200, 206, 404, 416, 0}, e) < 0)
		return -1;
	if (c.reply.status == 404)
		return is_code(&c, "NoSuchBucket") ? s3_refused(s, &c, e) : absent(s, key, e);
	if (c.reply.status == 200 && off > 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: the service sends whole objects where a range is asked for: "
			       "it cannot be a target",
			       s->place.base);
	if (ret)
		take_info(&c.reply, ret);
	return c.reply.status == 416 ? 0 : (ssize_t)c.reply.n_into;
}

const char *s3_hash(const void *data, size_t n, char text[S3_SHA_TEXT])
{
	uint8_t hash[32];

	if (!EVP_Digest(data, n, hash, NULL, EVP_sha256(), NULL))
		abort();
	return hex_encode(hash, sizeof(hash), text);
}

bool s3_md5(const void *data, size_t n, char text[S3_BASE64_MD5])
{
	uint8_t md5[MD5_BYTES];

	if (!EVP_Digest(data, n, md5, NULL, EVP_md5(), NULL))
		return false;
	EVP_EncodeBlock((unsigned char *)text, md5, sizeof(md5));
	return true;
}

void s3_flip_etags(struct s3 *s)
{
	atomic_store(&s->bare_etags, !atomic_load(&s->bare_etags));
}

static void set_condition(struct s3 *s, const struct s3_put *put, struct s3_call *c,
			  char etag[S3_ETAG])
{
	size_t n;

	if (put->if_absent) {
		c->condition = "if-none-match";
		c->condition_value = "*";
	} else if (put->if_match) {
		c->condition = "if-match";
		c->condition_value = etag;
		snprintf(etag, S3_ETAG, "%s", put->if_match);
		n = strlen(etag);
		if (atomic_load(&s->bare_etags) && n > 1 && etag[0] == '"') {
			memmove(etag, etag + 1, n - 2);
			etag[n - 2] = 0;
		}
	}
}

static int condition_failed(struct s3 *s, const struct s3_put *put, struct err *e)
{
	return err_set(e, put->if_absent ? ERR_EXISTS : ERR_CONFLICT, "%s/%s%s %s", s->place.bucket,
		       s->place.prefix, put->key,
		       put->if_absent ? "exists already" : "was changed meanwhile");
}

static int put_at_once(struct s3 *s, const struct s3_put *put, char *ret_etag, struct err *e)
{
	struct s3_call c = {.method = "PUT", .key = put->key, .sha256 = put->sha256};
	char hash[S3_SHA_TEXT], etag[S3_ETAG];

	if (!c.sha256 && put->len)
		c.sha256 = s3_hash(put->data, put->len, hash);
	c.http.data = put->data ? put->data : put->len ? NULL : "";
	c.http.fd = put->fd;
	c.http.len = put->len;
	c.lock = put->lock;
	set_condition(s, put, &c, etag);
	if (s3_perform(s, &c,
		       c.condition ? (const int[]){200, 412, put->if_match ? 404 : 412, 0}
				   : (const int[]){200, 0},
		       e) < 0)
		return -1;
	if (c.reply.status != 200)
		return condition_failed(s, put, e);
	if (ret_etag)
		memcpy(ret_etag, c.reply.etag, S3_ETAG);
	if (put->ret_version)
		memcpy(put->ret_version, c.reply.version, S3_VERSION);
	return 0;
}

int s3_put(struct s3 *s, const struct s3_put *put, char *ret_etag, struct err *e)
{
	bool in_parts = !put->if_absent && !put->if_match && !ret_etag;

	if (put->len > (in_parts ? S3_OBJECT_MAX : S3_PUT_MAX))
		return err_set(e, ERR_LIMIT, "%s: %llu bytes are more than the service takes",
			       put->key, (unsigned long long)put->len);
	return in_parts && put->len > s->place.part_bytes ? s3_put_parts(s, put, e)
							  : put_at_once(s, put, ret_etag, e);
}

int s3_delete(struct s3 *s, const char *key, struct err *e)
{
	struct s3_call c = {.method = "DELETE", .key = key};

	return s3_perform(s, &c, (const int[]){200, 204, 404, 0}, e);
}

/* ---- listing ---- */

static int give_page(struct s3 *s, const struct s3_page *page, s3_list_fn *fn, void *arg,
		     struct err *e)
{
	size_t skip = strlen(s->place.prefix);

	for (size_t i = 0; i < page->n; i++) {
		const struct s3_object *o = &page->objects[i];

		if (strncmp(o->key, s->place.prefix, skip) == 0 &&
		    fn(arg, o->key + skip, o->size, e) < 0)
			return -1;
	}
	return 0;
}

static int get_page(struct s3 *s, const char *prefix, const char *token, struct s3_page *ret,
		    struct err *e)
{
	AUTO_BUF query = BUF_INIT;
	AUTO_BUF body = BUF_INIT;
	struct s3_call c = {.method = "GET", .body = &body};

	if (*token) {
		buf_text(&query, "continuation-token=");
		sigv4_encode(token, false, &query);
		buf_text(&query, "&");
	}
	buf_text(&query, "list-type=2&max-keys=" PAGE "&prefix=");
	sigv4_encode(s->place.prefix, false, &query);
	sigv4_encode(prefix, false, &query);
	c.query = buf_str(&query);
	if (s3_perform(s, &c, (const int[]){200, 0}, e) < 0)
		return -1;
	return s3_page_parse(body.data, body.len, ret, e) < 0 ? err_wrap(e, "%s", s->place.base)
							      : 0;
}

int s3_list(struct s3 *s, const char *prefix, s3_list_fn *fn, void *arg, struct err *e)
{
	char token[S3_TEXT] = "";
	int rc = 0;

	do {
		struct s3_page page;

		if (get_page(s, prefix, token, &page, e) < 0)
			return -1;
		snprintf(token, sizeof(token), "%s", page.next);
		rc = give_page(s, &page, fn, arg, e);
		s3_page_done(&page);
	} while (rc == 0 && *token);
	return rc;
}
