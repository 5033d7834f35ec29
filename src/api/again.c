/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same request again. A client that got no answer sends its request once more with the same
 * Idempotency-Key, and gets the answer that it missed; the answer is kept in the transaction of
 * what it tells of.
 */
#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "auth/sealed.h"
#include "base/clock.h"
#include "base/hex.h"

#define KEY_MAX 255

void api_etag(const char *text, char out[API_ETAG])
{
	uint8_t hash[HASH_BYTES];
	char hex[33];

	sha256(text, strlen(text), hash);
	hex_encode(hash, 16, hex);
	snprintf(out, API_ETAG, "\"%s\"", hex);
}

int api_request_hash(const struct api_call *c, const char *key, uint8_t ret[HASH_BYTES],
		     struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	size_t len;
	const void *body = httpd_body(c->http, &len);

	if (!*key || strlen(key) > KEY_MAX)
		return err_set(e, ERR_INVALID, "Idempotency-Key: it has to have 1 to %d characters",
			       KEY_MAX);
	buf_fmt(&b, "%s %s\n", httpd_method(c->http), httpd_path(c->http));
	buf_add(&b, body, len);
	sha256(b.data, b.len, ret);
	return 0;
}

static const char *project_of(const struct api_call *c)
{
	return c->project ? c->project : "";
}

/* What an answer is sealed for: it can be read only for the same request of the same one. */
static char *place_of(const struct api_call *c, const char *key)
{
	return xasprintf("idempotency/%s/%s/%s", project_of(c), c->who->user_id, key);
}

static int read_answer(struct api_call *c, const char *key, struct db_rows *r, struct err *e)
{
	AUTO_FREE char *place = place_of(c, key);
	size_t len;
	const void *sealed = db_bytes(r, 2, &len);
	AUTO(secret) text = sealed_unwrap(c->core->auth, place, sealed, len, e);

	if (!text)
		return -1;
	c->reply = json_loadb((const char *)text->data, text->len, 0, NULL);
	return 0;
}

static void seal_answer(const struct api_call *c, const char *key, struct buf *ret)
{
	AUTO_FREE char *place = place_of(c, key);
	char *text = json_dumps(c->reply, JSON_COMPACT);
	AUTO(secret) s = secret_of(text, strlen(text));

	secret_wipe(text, strlen(text));
	free(text);
	sealed_wrap(c->core->auth, place, s, ret);
}

int api_replay(struct api_call *c, const char *key, const uint8_t request[HASH_BYTES],
	       bool *ret_done, struct err *e)
{
	AUTO(db_rows)
	r = db_query(c->t, e,
		     "SELECT request, status, body FROM idempotency WHERE project_id = $1 AND "
		     "user_id = $2 AND idempotency_key = $3",
		     db_t(project_of(c)), db_t(c->who->user_id), db_t(key));
	const void *was;
	size_t len;
	int have = r ? db_next(r, e) : -1;

	*ret_done = have > 0;
	if (have <= 0)
		return have;
	was = db_bytes(r, 0, &len);
	if (len != HASH_BYTES || memcmp(was, request, len) != 0) {
		c->status = 422;
		return err_set(e, ERR_CONFLICT,
			       "Idempotency-Key '%.60s': it was used for another request.", key);
	}
	c->status = (int)db_int(r, 1);
	return db_is_null(r, 2) ? 0 : read_answer(c, key, r, e);
}

int api_remember(struct api_call *c, const char *key, const uint8_t request[HASH_BYTES],
		 struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (c->reply)
		seal_answer(c, key, &body);
	return db_exec(c->t, NULL, e,
		       "INSERT INTO idempotency (project_id, user_id, idempotency_key, request, "
		       "status, body, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		       db_t(project_of(c)), db_t(c->who->user_id), db_t(key),
		       db_b(request, HASH_BYTES),
		       db_i(c->status  ? c->status
			    : c->reply ? 200
				       : 204),
		       c->reply ? db_b(body.data, body.len) : db_null(), db_i(clock_wall_us()));
}
