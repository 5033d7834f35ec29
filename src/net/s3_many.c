/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing many objects with one request. What the service then says is still there is removed by a
 * request of its own, which is tried again, or tells why it cannot be. So are all from the
 * beginning where the service does not know this request.
 */
#include <string.h>

#include "net/s3_priv.h"

/* Names as we make them need no quoting in XML; others may not even be possible there. */
static bool is_plain(const char *key)
{
	for (; *key; key++) {
		if (*key <= ' ' || *key > '~' || strchr("<>&\"'", *key))
			return false;
	}
	return true;
}

static int delete_each(struct s3 *s, const char *const *keys, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (s3_delete(s, keys[i], e) < 0)
			return -1;
	}
	return 0;
}

static void list_keys(const struct s3 *s, const char *const *keys, size_t n, struct buf *out)
{
	buf_text(out, "<Delete><Quiet>true</Quiet>");
	for (size_t i = 0; i < n; i++) {
		if (is_plain(keys[i]))
			buf_fmt(out, "<Object><Key>%s%s</Key></Object>", s->place.prefix, keys[i]);
	}
	buf_text(out, "</Delete>");
}

static bool is_kept(const struct s3 *s, const struct s3_page *kept, const char *key)
{
	size_t skip = strlen(s->place.prefix);

	for (size_t i = 0; i < kept->n; i++) {
		const char *name = kept->objects[i].key;

		if (strncmp(name, s->place.prefix, skip) == 0 && strcmp(name + skip, key) == 0)
			return true;
	}
	return false;
}

static int delete_kept(struct s3 *s, const char *const *keys, size_t n, const struct s3_page *kept,
		       struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if ((!is_plain(keys[i]) || is_kept(s, kept, keys[i])) &&
		    s3_delete(s, keys[i], e) < 0)
			return -1;
	}
	return 0;
}

int s3_delete_many(struct s3 *s, const char *const *keys, size_t n, struct err *e)
{
	struct s3_call c = {.method = "POST", .query = "delete="};
	char hash[S3_SHA_TEXT], md5[S3_BASE64_MD5];
	AUTO_BUF request = BUF_INIT;
	AUTO_BUF answer = BUF_INIT;
	struct s3_page kept;
	int rc;

	list_keys(s, keys, n, &request);
	if (n < 2 || atomic_load(&s->one_by_one) || !s3_md5(request.data, request.len, md5))
		return delete_each(s, keys, n, e);
	c.sha256 = s3_hash(request.data, request.len, hash);
	c.md5 = md5;
	c.body = &answer;
	c.http.data = request.data;
	c.http.len = request.len;
	if (s3_perform(s, &c, (const int[]){200, 405, 501, 0}, e) < 0)
		return -1;
	if (c.reply.status != 200) {
		atomic_store(&s->one_by_one, true);
		return delete_each(s, keys, n, e);
	}
	if (s3_kept_parse(answer.data, answer.len, &kept, e) < 0)
		return err_wrap(e, "%s", s->place.base);
	rc = delete_kept(s, keys, n, &kept, e);
	s3_page_done(&kept);
	return rc;
}
