/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

#define SHA 32

void sigv4_key_done(struct sigv4_key *k)
{
	free(k->id);
	secret_free(k->secret);
	free(k->token);
	*k = (struct sigv4_key){0};
}

void sigv4_date(time_t now, char out[SIGV4_DATE])
{
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, SIGV4_DATE, "%Y%m%dT%H%M%SZ", &tm);
}

void sigv4_encode(const char *text, bool path, struct buf *out)
{
	for (const char *p = text; *p; p++) {
		if ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
		    (*p >= '0' && *p <= '9') || strchr("-._~", *p) || (path && *p == '/'))
			buf_u8(out, (uint8_t)*p);
		else
			buf_fmt(out, "%%%02X", (unsigned)(uint8_t)*p);
	}
}

static void hmac(const uint8_t *key, size_t key_len, const void *data, size_t n, uint8_t out[SHA])
{
	if (!HMAC(EVP_sha256(), key, (int)key_len, data, n, out, NULL))
		abort();
}

static void hmac_text(const uint8_t key[SHA], const char *text, uint8_t out[SHA])
{
	uint8_t made[SHA]; /* `out` may be the key */

	hmac(key, SHA, text, strlen(text), made);
	memcpy(out, made, SHA);
	secret_wipe(made, SHA);
}

/* "host;x-amz-date" */
static void signed_names(const struct sigv4_request *r, struct buf *out)
{
	for (size_t i = 0; i < r->n_headers; i++)
		buf_fmt(out, "%s%s", i ? ";" : "", r->headers[i].name);
}

static void canonical(const struct sigv4_request *r, struct buf *out)
{
	buf_fmt(out, "%s\n%s\n%s\n", r->method, r->path, r->query);
	for (size_t i = 0; i < r->n_headers; i++)
		buf_fmt(out, "%s:%s\n", r->headers[i].name, r->headers[i].value);
	buf_text(out, "\n");
	signed_names(r, out);
	buf_fmt(out, "\n%s", r->payload);
}

static void hash_hex(const struct buf *b, char out[2 * SHA + 1])
{
	uint8_t hash[SHA];

	if (!EVP_Digest(b->data, b->len, hash, NULL, EVP_sha256(), NULL))
		abort();
	hex_encode(hash, SHA, out);
}

/* The key of a day, a region and a service. */
static void signing_key(const struct sigv4_key *k, const char *day, const char *region,
			const char *service, uint8_t out[SHA])
{
	struct secret *first = secret_new(4 + k->secret->len);

	memcpy(first->data, "AWS4", 4);
	memcpy(first->data + 4, k->secret->data, k->secret->len);
	hmac(first->data, first->len, day, strlen(day), out);
	secret_free(first);
	hmac_text(out, region, out);
	hmac_text(out, service, out);
	hmac_text(out, "aws4_request", out);
}

void sigv4_sign(const struct sigv4_key *k, const char *region, const char *service,
		const char *date, const struct sigv4_request *r, struct buf *out)
{
	AUTO_BUF request = BUF_INIT;
	AUTO_BUF text = BUF_INIT;
	char day[9], hash[2 * SHA + 1], hex[2 * SHA + 1];
	uint8_t key[SHA], signature[SHA];

	memcpy(day, date, 8);
	day[8] = 0;
	canonical(r, &request);
	hash_hex(&request, hash);
	buf_fmt(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", date, day, region,
		service, hash);
	signing_key(k, day, region, service, key);
	hmac(key, SHA, text.data, text.len, signature);
	secret_wipe(key, SHA);
	buf_fmt(out, "AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request,SignedHeaders=", k->id,
		day, region, service);
	signed_names(r, out);
	buf_fmt(out, ",Signature=%s", hex_encode(signature, SHA, hex));
}
