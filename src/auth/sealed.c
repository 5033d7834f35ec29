/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed value:
 *
 *	1	version, 1
 *	8	id of the server key
 *	32	salt, random
 *	…	AES-256-GCM of the value, and its tag
 *
 * The key is derived from the server key with the salt, for this value only, so the nonce is 0 and
 * no nonce is ever used twice. Associated data: the bytes before, and the place.
 */
#include "auth/sealed.h"

#include "auth/auth_priv.h"

#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/uuid.h"

#define VERSION 1
#define ID_BYTES ((SERVER_KEY_ID - 1) / 2)
#define HEAD (1 + ID_BYTES + SEAL_SALT)
#define INFO "holdfast sealed value"
#define BATCH 100

static struct aead *value_aead(const struct secret *server_key, const uint8_t *head)
{
	AUTO(secret) key = secret_new(SEAL_KEY);

	hkdf(server_key->data, server_key->len, head + 1 + ID_BYTES, SEAL_SALT, INFO, key->data,
	     SEAL_KEY);
	return aead_new(key->data);
}

static void aad(struct buf *b, const uint8_t *head, const char *place)
{
	buf_add(b, head, HEAD);
	buf_text(b, place);
}

static void seal(struct auth *a, const char *place, const struct secret *value, struct buf *ret,
		 char ret_key[SERVER_KEY_ID])
{
	AUTO(secret) key = server_keys_current(a->keys, ret_key);
	AUTO_BUF with = BUF_INIT;
	uint8_t *p = buf_reserve(ret, HEAD + value->len + SEAL_TAG);

	p[0] = VERSION;
	hex_decode(ret_key, ID_BYTES, p + 1);
	random_bytes(p + 1 + ID_BYTES, SEAL_SALT);
	AUTO(aead) x = value_aead(key, p);
	aad(&with, p, place);
	aead_seal(x, 0, with.data, with.len, value->data, value->len, p + HEAD);
	ret->len += HEAD + value->len + SEAL_TAG;
}

static struct secret *unseal(struct auth *a, const char *place, const uint8_t *p, size_t n,
			     struct err *e)
{
	char id[SERVER_KEY_ID];

	if (n < HEAD + SEAL_TAG || p[0] != VERSION) {
		err_set(e, ERR_CORRUPT, "the secret at %s is not one", place);
		return NULL;
	}
	hex_encode(p + 1, ID_BYTES, id);
	AUTO(secret) key = server_keys_find(a->keys, id, e);
	if (!key)
		return NULL;
	AUTO(aead) x = value_aead(key, p);
	AUTO(secret) value = secret_new(n - HEAD - SEAL_TAG);
	AUTO_BUF with = BUF_INIT;
	aad(&with, p, place);
	if (!aead_open(x, 0, with.data, with.len, p + HEAD, n - HEAD, value->data)) {
		err_set(e, ERR_CORRUPT,
			"the secret at %s was changed, or belongs elsewhere: set it anew", place);
		return NULL;
	}
	return steal(&value);
}

void sealed_wrap(struct auth *a, const char *place, const struct secret *value, struct buf *ret)
{
	char key[SERVER_KEY_ID];

	seal(a, place, value, ret, key);
}

struct secret *sealed_unwrap(struct auth *a, const char *place, const void *data, size_t n,
			     struct err *e)
{
	return unseal(a, place, data, n, e);
}

/* "table/row/name", or NULL. */
static char *place_of(const char *table, const char *row, const char *name, struct err *e)
{
	if (strchr(table, '/') || strchr(row, '/') || strchr(name, '/') || !*row) {
		err_set(e, ERR_INVALID, "a secret cannot be kept at \"%s\", \"%s\", \"%s\"", table,
			row, name);
		return NULL;
	}
	return xasprintf("%s/%s/%s", table, row, name);
}

int sealed_set(struct auth *a, struct db_tx *t, const char *table, const char *row,
	       const char *name, const struct secret *value, struct err *e)
{
	AUTO_FREE char *place = place_of(table, row, name, e);
	char key[SERVER_KEY_ID];
	AUTO_BUF b = BUF_INIT;

	if (!place)
		return -1;
	if (value->len > SEALED_MAX)
		return err_set(e, ERR_LIMIT, "%s: it has %zu bytes, at most %zu are allowed", name,
			       value->len, SEALED_MAX);
	seal(a, place, value, &b, key);
	return db_exec(t, NULL, e,
		       "INSERT INTO secrets (place, key_id, value) VALUES ($1, $2, $3) "
		       "ON CONFLICT (place) DO UPDATE SET key_id = excluded.key_id, "
		       "value = excluded.value",
		       db_t(place), db_t(key), db_b(b.data, b.len));
}

struct secret *sealed_get(struct auth *a, struct db_tx *t, const char *table, const char *row,
			  const char *name, struct err *e)
{
	AUTO_FREE char *place = place_of(table, row, name, e);
	const uint8_t *p;
	size_t n;
	int rc;

	if (!place)
		return NULL;
	AUTO(db_rows) r = db_query(t, e, "SELECT value FROM secrets WHERE place = $1", db_t(place));
	rc = r ? db_next(r, e) : -1;
	if (rc < 0)
		return NULL;
	if (!rc) {
		err_set(e, ERR_NOENT, "there is no secret at %s", place);
		return NULL;
	}
	p = db_bytes(r, 0, &n);
	return unseal(a, place, p, n, e);
}

int sealed_has(struct db_tx *t, const char *table, const char *row, const char *name, struct err *e)
{
	AUTO_FREE char *place = place_of(table, row, name, e);

	if (!place)
		return -1;
	AUTO(db_rows) r = db_query(t, e, "SELECT 1 FROM secrets WHERE place = $1", db_t(place));
	return r ? db_next(r, e) : -1;
}

int sealed_remove(struct db_tx *t, const char *table, const char *row, const char *name,
		  struct err *e)
{
	AUTO_FREE char *from = place_of(table, row, name ? name : "", e);

	if (!from)
		return -1;
	if (name)
		return db_exec(t, NULL, e, "DELETE FROM secrets WHERE place = $1", db_t(from));
	/* Not LIKE, which finds more; not >=, which depends on the language. */
	return db_exec(t, NULL, e, "DELETE FROM secrets WHERE SUBSTR(place, 1, LENGTH($1)) = $1",
		       db_t(from));
}

/* ---- a new key ---- */

struct rotation {
	struct auth *a;
	char key[SERVER_KEY_ID];
	uint64_t n; /* of this run */
};

static int reseal_one(const struct rotation *x, struct db_tx *t, const char *place,
		      const struct buf *old, struct err *e)
{
	AUTO(secret) value = unseal(x->a, place, old->data, old->len, e);
	char key[SERVER_KEY_ID];
	AUTO_BUF b = BUF_INIT;

	if (!value)
		return -1;
	seal(x->a, place, value, &b, key);
	return db_exec(t, NULL, e, "UPDATE secrets SET key_id = $1, value = $2 WHERE place = $3",
		       db_t(key), db_b(b.data, b.len), db_t(place));
}

static int reseal(struct db_tx *t, void *arg, struct err *e)
{
	struct rotation *x = arg;
	char *places[BATCH] = {NULL};
	struct buf values[BATCH];
	size_t n = 0;
	int rc;

	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT place, value FROM secrets WHERE key_id <> $1 "
		     "ORDER BY place LIMIT $2",
		     db_t(x->key), db_i(BATCH));
	rc = r ? db_next(r, e) : -1;
	for (; rc > 0 && n < BATCH; rc = db_next(r, e)) {
		size_t len;
		const void *p = db_bytes(r, 1, &len);

		places[n] = auth_column(r, 0);
		values[n] = BUF_INIT;
		buf_add(&values[n++], p, len);
	}
	x->n = n;
	for (size_t i = 0; i < n; i++) {
		if (rc >= 0 && reseal_one(x, t, places[i], &values[i], e))
			rc = -1;
		free(places[i]);
		buf_done(&values[i]);
	}
	return rc < 0 ? -1 : 0;
}

static int count_old(struct db_tx *t, void *arg, struct err *e)
{
	struct rotation *x = arg;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT COUNT(*) FROM secrets WHERE key_id <> $1", db_t(x->key));
	int rc = r ? db_next(r, e) : -1;

	x->n = rc > 0 ? (uint64_t)db_int(r, 0) : 0;
	return rc < 0 ? -1 : 0;
}

static int set_key_id(struct db_tx *t, void *arg, struct err *e)
{
	const struct rotation *x = arg;

	return db_exec(t, NULL, e, "UPDATE settings SET value = $1 WHERE name = 'server_key'",
		       db_t(x->key));
}

int sealed_rotate(struct auth *a, uint64_t *ret_n, struct err *e)
{
	struct rotation x = {.a = a};
	uint64_t n = 0;

	secret_free(server_keys_current(a->keys, x.key));
	if (db_read(a->db, count_old, &x, e))
		return -1;
	/* What an interrupted rotation has left is finished with its key. */
	if (!x.n && server_keys_renew(a->keys, e))
		return -1;
	secret_free(server_keys_current(a->keys, x.key));
	if (db_write(a->db, set_key_id, &x, e))
		return -1;
	do {
		if (db_write(a->db, reseal, &x, e))
			return -1;
		n += x.n;
	} while (x.n);
	*ret_n = n;
	return 0;
}
