/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that are sent in parts: an upload is begun, each part is a request that is tried again
 * alone, and one request makes the object of them. Until then nothing is there under its name.
 *
 * If interrupted before that: an upload that no listing of objects shows, and that is paid for. It
 * is ended here if this process can, and by a collector if it cannot (store.h).
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/fio.h"
#include "base/hex.h"
#include "net/s3_priv.h"

#define PARTS_MAX 10000
#define PIECE ((size_t)1 << 20)
#define UPLOADS_PAGE "1000"

struct sending {
	struct s3 *s;
	const struct s3_put *put;
	uint64_t part_bytes;
	char upload[S3_TEXT];
	struct buf list; /* of the parts that are there, as the last request names them */
};

/* "NAME=VALUE" of an upload, behind what stands before it in the order of names. */
static char *query_of(const char *before, const char *upload)
{
	AUTO_BUF b = BUF_INIT;

	buf_fmt(&b, "%suploadId=", before);
	sigv4_encode(upload, false, &b);
	return xstrdup(buf_str(&b));
}

static int begin(struct sending *g, struct err *e)
{
	AUTO_BUF answer = BUF_INIT;
	struct s3_call c = {
		.method = "POST", .key = g->put->key, .query = "uploads=", .lock = g->put->lock};

	c.http.data = "";
	c.body = &answer;
	if (s3_perform(g->s, &c, (const int[]){200, 0}, e) < 0)
		return -1;
	if (s3_value_parse(answer.data, answer.len, "InitiateMultipartUploadResult", "UploadId",
			   g->upload, e) < 0)
		return err_wrap(e, "%s", g->s->place.base);
	return g->upload[0]
		       ? 0
		       : err_set(e, ERR_IO, "%s: the service does not name an upload that it began",
				 g->s->place.base);
}

/* The SHA-256 of a part of the file. */
static int hash_part(const struct s3_put *put, uint64_t off, uint64_t len, char text[S3_SHA_TEXT],
		     struct err *e)
{
	AUTO_FREE uint8_t *piece = xmalloc(PIECE);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t hash[32];
	int rc = 0;

	if (!md || !EVP_DigestInit_ex(md, EVP_sha256(), NULL))
		abort();
	while (len && rc == 0) {
		size_t n = (size_t)MIN(len, (uint64_t)PIECE);
		ssize_t got = fio_pread(put->fd, piece, n, off, put->key, e);

		if (got >= 0 && (size_t)got < n)
			err_set(e, ERR_IO, "%s: what is to be sent is cut short", put->key);
		rc = got < 0 || (size_t)got < n ? -1 : 0;
		if (rc == 0 && !EVP_DigestUpdate(md, piece, n))
			abort();
		off += n;
		len -= n;
	}
	if (!EVP_DigestFinal_ex(md, hash, NULL))
		abort();
	EVP_MD_CTX_free(md);
	hex_encode(hash, sizeof(hash), text);
	return rc;
}

static int send_part(struct sending *g, unsigned number, uint64_t off, uint64_t len, struct err *e)
{
	char before[32], hash[S3_SHA_TEXT];
	AUTO_FREE char *query = NULL;
	struct s3_call c = {.method = "PUT", .key = g->put->key, .sha256 = hash};

	snprintf(before, sizeof(before), "partNumber=%u&", number);
	c.query = query = query_of(before, g->upload);
	if (g->put->data)
		c.http.data = (const uint8_t *)g->put->data + off;
	c.http.fd = g->put->fd;
	c.http.off = off;
	c.http.len = len;
	if (c.http.data)
		s3_hash(c.http.data, len, hash);
	else if (hash_part(g->put, off, len, hash, e) < 0)
		return -1;
	if (s3_perform(g->s, &c, (const int[]){200, 0}, e) < 0)
		return -1;
	buf_fmt(&g->list, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", number,
		c.reply.etag);
	return 0;
}

static int send_parts(struct sending *g, struct err *e)
{
	unsigned number = 0;

	for (uint64_t off = 0; off < g->put->len; off += g->part_bytes) {
		uint64_t len = MIN(g->part_bytes, g->put->len - off);

		if (cancel_check(g->s->cancel, e) < 0 || send_part(g, ++number, off, len, e) < 0)
			return -1;
	}
	return 0;
}

/* The upload is gone. It may be that an earlier try made the object, and the answer was lost. */
static int look_for(struct sending *g, const struct s3_call *c, struct err *e)
{
	struct s3_info info;

	if (s3_head(g->s, g->put->key, &info, NULL) == 0 && info.size == g->put->len)
		return 0;
	return s3_refused(g->s, c, e);
}

static int complete(struct sending *g, struct err *e)
{
	AUTO_FREE char *query = query_of("", g->upload);
	AUTO_BUF request = BUF_INIT;
	AUTO_BUF answer = BUF_INIT;
	struct s3_call c = {.method = "POST", .key = g->put->key, .query = query, .body = &answer};
	char hash[S3_SHA_TEXT], nothing[S3_TEXT];

	buf_text(&request, "<CompleteMultipartUpload>");
	buf_add(&request, g->list.data, g->list.len);
	buf_text(&request, "</CompleteMultipartUpload>");
	c.sha256 = s3_hash(request.data, request.len, hash);
	c.http.data = request.data;
	c.http.len = request.len;
	if (s3_perform(g->s, &c, (const int[]){200, 404, 0}, e) < 0)
		return -1;
	if (c.reply.status == 404)
		return look_for(g, &c, e);
	return s3_value_parse(answer.data, answer.len, "CompleteMultipartUploadResult", "ETag",
			      nothing, e);
}

int s3_abort(struct s3 *s, const char *key, const char *upload, struct err *e)
{
	AUTO_FREE char *query = query_of("", upload);
	struct s3_call c = {.method = "DELETE", .key = key, .query = query};

	return s3_perform(s, &c, (const int[]){200, 204, 404, 0}, e);
}

int s3_put_parts(struct s3 *s, const struct s3_put *put, struct err *e)
{
	uint64_t least = DIV_UP(put->len, (uint64_t)PARTS_MAX);
	struct sending g = {.s = s, .put = put, .part_bytes = MAX(s->place.part_bytes, least)};
	int rc = begin(&g, e);

	if (rc == 0) {
		rc = send_parts(&g, e);
		if (rc == 0)
			rc = complete(&g, e);
		if (rc < 0)
			s3_abort(s, put->key, g.upload, NULL);
	}
	buf_done(&g.list);
	return rc;
}

int s3_uploads(struct s3 *s, s3_upload_fn *fn, void *arg, struct err *e)
{
	struct s3_call c = {.method = "GET"};
	size_t skip = strlen(s->place.prefix);
	AUTO_BUF query = BUF_INIT;
	AUTO_BUF answer = BUF_INIT;
	struct s3_page page;
	int rc = 0;

	buf_text(&query, "max-uploads=" UPLOADS_PAGE "&prefix=");
	sigv4_encode(s->place.prefix, false, &query);
	buf_text(&query, "&uploads=");
	c.query = buf_str(&query);
	c.body = &answer;
	if (s3_perform(s, &c, (const int[]){200, 0}, e) < 0)
		return -1;
	if (s3_uploads_parse(answer.data, answer.len, &page, e) < 0)
		return err_wrap(e, "%s", s->place.base);
	for (size_t i = 0; i < page.n && rc == 0; i++) {
		const struct s3_object *o = &page.objects[i];

		if (strncmp(o->key, s->place.prefix, skip) == 0)
			rc = fn(arg, o->key + skip, o->upload, e);
	}
	s3_page_done(&page);
	return rc;
}
