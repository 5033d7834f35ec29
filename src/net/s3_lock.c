/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_lock.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "net/s3_priv.h"
#include "net/s3_versions.h"

#define SHA_BYTES 32
#define PAGE "1000"

/* ---- as the service writes it ---- */

const char *s3_lock_name(enum s3_lock_mode mode)
{
	return mode == S3_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE";
}

void s3_lock_parse(const char *mode, const char *until, const char *hold, struct s3_lock *ret)
{
	uint64_t us;

	*ret = (struct s3_lock){.held = strcmp(hold, "ON") == 0};
	if (!clock_parse_rfc3339(until, &us))
		return;
	if (strcmp(mode, "GOVERNANCE") == 0)
		ret->mode = S3_GOVERNANCE;
	else if (strcmp(mode, "COMPLIANCE") == 0)
		ret->mode = S3_COMPLIANCE;
	ret->until = ret->mode ? (int64_t)(us / 1000000) : 0;
}

const char *s3_checksum(const char *sha256, char out[S3_BASE64_SHA])
{
	uint8_t hash[SHA_BYTES] = {0};

	hex_decode(sha256, sizeof(hash), hash);
	EVP_EncodeBlock((unsigned char *)out, hash, sizeof(hash));
	return out;
}

/* ---- locks ---- */

int64_t s3_now(struct s3 *s)
{
	return (int64_t)(clock_wall_us() / 1000000) + atomic_load(&s->ahead);
}

bool s3_has_versions(struct s3 *s)
{
	return atomic_load(&s->versions);
}

/* Where there is no MD5, the service has to do without. */
static int put_property(struct s3 *s, const char *key, const char *query, const char *xml,
			bool bypass, struct err *e)
{
	struct s3_call c = {.method = "PUT", .key = key, .query = query, .bypass = bypass};
	char hash[S3_SHA_TEXT], md5[S3_BASE64_MD5];

	c.http.data = xml;
	c.http.len = strlen(xml);
	c.sha256 = s3_hash(xml, c.http.len, hash);
	if (s3_md5(xml, c.http.len, md5))
		c.md5 = md5;
	return s3_perform(s, &c, (const int[]){200, 204, 0}, e);
}

#define NAMESPACE " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

int s3_retain(struct s3 *s, const char *key, const struct s3_lock *lock, bool bypass, struct err *e)
{
	char until[CLOCK_TEXT];
	AUTO_FREE char *xml = xasprintf("<Retention" NAMESPACE "><Mode>%s</Mode>"
					"<RetainUntilDate>%s</RetainUntilDate></Retention>",
					s3_lock_name(lock->mode),
					clock_rfc3339((uint64_t)lock->until * 1000000, until));

	return put_property(s, key, "retention=", xml, bypass, e);
}

int s3_hold(struct s3 *s, const char *key, bool on, struct err *e)
{
	AUTO_FREE char *xml = xasprintf("<LegalHold" NAMESPACE "><Status>%s</Status></LegalHold>",
					on ? "ON" : "OFF");

	return put_property(s, key, "legal-hold=", xml, false, e);
}

/* ---- versions ---- */

static char *version_query(const char *version)
{
	AUTO_BUF query = BUF_INIT;

	buf_text(&query, "versionId=");
	sigv4_encode(version, false, &query);
	return xstrdup(buf_str(&query));
}

int s3_delete_version(struct s3 *s, const char *key, const char *version, bool bypass,
		      struct err *e)
{
	AUTO_FREE char *query = version_query(version);
	struct s3_call c = {.method = "DELETE", .key = key, .query = query, .bypass = bypass};

	return s3_perform(s, &c, (const int[]){200, 204, 404, 0}, e);
}

int s3_renew_version(struct s3 *s, const char *key, const char *version, const struct s3_lock *lock,
		     struct err *e)
{
	AUTO_BUF source = BUF_INIT;
	AUTO_BUF answer = BUF_INIT;
	struct s3_call c = {
		.method = "PUT", .key = key, .lock = lock->mode ? lock : NULL, .body = &answer};

	buf_text(&source, "/");
	buf_text(&source, s->place.bucket);
	buf_text(&source, "/");
	sigv4_encode(s->place.prefix, true, &source);
	sigv4_encode(key, true, &source);
	buf_text(&source, "?versionId=");
	sigv4_encode(version, false, &source);
	c.copy_source = buf_str(&source);
	c.http.data = "";
	if (s3_perform(s, &c, (const int[]){200, 0}, e) < 0)
		return -1;
	/* It may fail after it has begun to answer. */
	s3_error_parse(answer.data, answer.len, &c.error);
	return c.error.code[0] ? s3_refused(s, &c, e) : 0;
}

int s3_head_version(struct s3 *s, const char *key, const char *version, struct s3_info *ret,
		    struct err *e)
{
	AUTO_FREE char *query = version_query(version);
	struct s3_call c = {.method = "HEAD", .key = key, .query = query};

	if (s3_perform(s, &c, (const int[]){200, 404, 0}, e) < 0)
		return -1;
	if (c.reply.status == 404)
		return err_set(e, ERR_NOENT, "%s/%s%s: there is no version %s", s->place.bucket,
			       s->place.prefix, key, version);
	*ret = (struct s3_info){.size = c.reply.length};
	s3_lock_parse(c.reply.lock_mode, c.reply.lock_until, c.reply.lock_hold, &ret->lock);
	return 0;
}

static int get_page(struct s3 *s, const char *prefix, const struct s3_versions *last,
		    struct s3_versions *ret, struct err *e)
{
	AUTO_BUF query = BUF_INIT;
	AUTO_BUF body = BUF_INIT;
	struct s3_call c = {.method = "GET", .body = &body};

	if (last->next_key[0]) {
		buf_text(&query, "key-marker=");
		sigv4_encode(last->next_key, false, &query);
		buf_text(&query, "&");
	}
	buf_text(&query, "max-keys=" PAGE "&prefix=");
	sigv4_encode(s->place.prefix, false, &query);
	sigv4_encode(prefix, false, &query);
	if (last->next_version[0]) {
		buf_text(&query, "&version-id-marker=");
		sigv4_encode(last->next_version, false, &query);
	}
	buf_text(&query, "&versions=");
	c.query = buf_str(&query);
	if (s3_perform(s, &c, (const int[]){200, 0}, e) < 0)
		return -1;
	return s3_versions_parse(body.data, body.len, ret, e) < 0 ? err_wrap(e, "%s", s->place.base)
								  : 0;
}

static int give_page(struct s3 *s, const struct s3_versions *page, s3_version_fn *fn, void *arg,
		     struct err *e)
{
	size_t skip = strlen(s->place.prefix);

	for (size_t i = 0; i < page->n; i++) {
		const struct s3_version_row *r = &page->rows[i];
		struct s3_version v = {NULL, r->version, r->etag, r->size, r->latest, r->marker};

		if (strncmp(r->key, s->place.prefix, skip) != 0)
			continue;
		v.key = r->key + skip;
		if (fn(arg, &v, e) < 0)
			return -1;
	}
	return 0;
}

int s3_list_versions(struct s3 *s, const char *prefix, s3_version_fn *fn, void *arg, struct err *e)
{
	struct s3_versions last = {0};
	int rc = 0;

	do {
		struct s3_versions page;

		if (get_page(s, prefix, &last, &page, e) < 0)
			return -1;
		rc = give_page(s, &page, fn, arg, e);
		memcpy(last.next_key, page.next_key, sizeof(last.next_key));
		memcpy(last.next_version, page.next_version, sizeof(last.next_version));
		s3_versions_done(&page);
	} while (rc == 0 && last.next_key[0]);
	return rc;
}
