/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line has a mac, HMAC-SHA-256 over all that it says, from the moment that it is written. Linking
 * gives it the next number and a hash:
 *
 *	hash(n) = SHA-256(hash(n - 1), n, mac(n))		hash(0) = 32 zero bytes
 *
 * and the end of the chain, its number and hash, is signed with the same key. Who can write to the
 * database, and has not the server key, can change or add no line; and can remove none, but those
 * that were not linked yet, or all from some line on together with putting back an old end. For
 * the last, ends are to be kept elsewhere: auth_look_after's caller logs them.
 *
 * The key of the audit log is a sealed secret, so it outlives a rotation of the server key.
 */
#include "auth/audit.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "auth/auth_priv.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/uuid.h"

#define LINK_BATCH 500
#define VERIFY_BATCH 1000
#define TEXT_MAX 4000 /* of one field; the rest is cut off */
#define FIELDS 9

/* The columns that say something, in the order in which they are signed. */
#define COLUMNS "id, at, project_id, user_id, user_name, address, action, subject, outcome, detail"

struct end {
	uint64_t seq;
	uint8_t hash[HASH_BYTES];
};

/* ---- signing ---- */

static void sign(const struct auth *a, const struct buf *b, uint8_t out[HASH_BYTES])
{
	AUTO(mac) m = mac_new(a->audit_key->data);

	mac_once(m, b->data, b->len, out);
}

static void sign_line(const struct auth *a, const char *const field[FIELDS], uint64_t at_us,
		      uint8_t out[HASH_BYTES])
{
	AUTO_BUF b = BUF_INIT;

	buf_u64(&b, at_us);
	for (size_t i = 0; i < FIELDS; i++) {
		buf_u32(&b, (uint32_t)strlen(field[i]));
		buf_text(&b, field[i]);
	}
	sign(a, &b, out);
}

static void sign_end(const struct auth *a, const struct end *x, uint8_t out[HASH_BYTES])
{
	AUTO_BUF b = BUF_INIT;

	buf_text(&b, "end of the audit log");
	buf_u64(&b, x->seq);
	buf_add(&b, x->hash, HASH_BYTES);
	sign(a, &b, out);
}

static void next_hash(struct end *x, const uint8_t mac[HASH_BYTES])
{
	AUTO_BUF b = BUF_INIT;

	x->seq++;
	buf_add(&b, x->hash, HASH_BYTES);
	buf_u64(&b, x->seq);
	buf_add(&b, mac, HASH_BYTES);
	sha256(b.data, b.len, x->hash);
}

/* Of a row that begins with COLUMNS: its mac as it should be. */
static void row_mac(const struct auth *a, const struct db_rows *r, uint8_t out[HASH_BYTES])
{
	const char *text[FIELDS];

	for (int i = 0; i < FIELDS; i++)
		text[i] = db_text(r, i ? i + 1 : 0);
	sign_line(a, text, (uint64_t)db_int(r, 1), out);
}

static bool column_is(const struct db_rows *r, int column, const uint8_t want[HASH_BYTES])
{
	size_t n;
	const void *p = db_bytes(r, column, &n);

	return p && n == HASH_BYTES && !CRYPTO_memcmp(p, want, HASH_BYTES);
}

/* ---- writing ---- */

/* At most TEXT_MAX bytes, not in the middle of a character. */
static char *cut(const char *text)
{
	size_t n = strlen(text ? text : "");

	if (n > TEXT_MAX)
		for (n = TEXT_MAX; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	return n ? xstrndup(text, n) : xstrdup("");
}

int audit_add(struct auth *a, struct db_tx *t, const struct audit_entry *x, struct err *e)
{
	const char *from[FIELDS] = {NULL,
				    x->project,
				    x->who ? x->who->user_id : "",
				    x->who ? x->who->user_name : "",
				    x->address,
				    x->action,
				    x->subject,
				    x->outcome,
				    x->detail};
	uint64_t at_us = clock_wall_us();
	char *text[FIELDS];
	char id[AUTH_ID];
	uint8_t mac[HASH_BYTES];
	int rc;

	from[0] = auth_new_id(id);
	for (size_t i = 0; i < FIELDS; i++)
		text[i] = cut(from[i]);
	sign_line(a, (const char *const *)text, at_us, mac);
	rc = db_exec(t, NULL, e,
		     "INSERT INTO audit (" COLUMNS
		     ", mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		     db_t(text[0]), db_i(at_us), db_t(text[1]), db_t(text[2]), db_t(text[3]),
		     db_t(text[4]), db_t(text[5]), db_t(text[6]), db_t(text[7]), db_t(text[8]),
		     db_b(mac, sizeof(mac)));
	for (size_t i = 0; i < FIELDS; i++)
		free(text[i]);
	return rc;
}

/* ---- the end of the chain ---- */

/* *ret_ok: it is there and signed. */
static int read_end(struct auth *a, struct db_tx *t, struct end *ret, bool *ret_ok, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT seq, hash, mac FROM audit_head WHERE one = 1");
	int rc = r ? db_next(r, e) : -1;
	uint8_t mac[HASH_BYTES];
	const void *hash;
	size_t n;

	*ret_ok = false;
	*ret = (struct end){.seq = 0};
	if (rc <= 0)
		return rc;
	ret->seq = (uint64_t)db_int(r, 0);
	hash = db_bytes(r, 1, &n);
	if (!hash || n != HASH_BYTES)
		return 0;
	memcpy(ret->hash, hash, n);
	sign_end(a, ret, mac);
	*ret_ok = column_is(r, 2, mac);
	return 0;
}

static int write_end(struct auth *a, struct db_tx *t, const struct end *x, struct err *e)
{
	uint8_t mac[HASH_BYTES];

	sign_end(a, x, mac);
	return db_exec(t, NULL, e,
		       "UPDATE audit_head SET seq = $1, hash = $2, mac = $3 WHERE one = 1",
		       db_i(x->seq), db_b(x->hash, HASH_BYTES), db_b(mac, sizeof(mac)));
}

/*
 * The key is made once, together with the first end: an end that is missing later was removed.
 */
static int open_log(struct db_tx *t, void *arg, struct err *e)
{
	struct auth *a = arg;
	struct end zero = {.seq = 0};
	uint8_t mac[HASH_BYTES];
	int has = sealed_has(t, "audit", "log", "key", e);

	if (has < 0)
		return -1;
	secret_free(steal(&a->audit_key));
	if (has) {
		a->audit_key = sealed_get(a, t, "audit", "log", "key", e);
		return a->audit_key ? 0 : -1;
	}
	a->audit_key = secret_new(SEAL_KEY);
	random_bytes(a->audit_key->data, SEAL_KEY);
	sign_end(a, &zero, mac);
	if (sealed_set(a, t, "audit", "log", "key", a->audit_key, e))
		return -1;
	return db_exec(t, NULL, e,
		       "INSERT INTO audit_head (one, seq, hash, mac) VALUES (1, 0, $1, $2)",
		       db_b(zero.hash, HASH_BYTES), db_b(mac, sizeof(mac)));
}

int audit_log_open(struct auth *a, struct err *e)
{
	return db_write(a->db, open_log, a, e);
}

/* ---- linking ---- */

struct linking {
	struct auth *a;
	size_t most, n;
};

struct waiting {
	char id[AUTH_ID];
	uint8_t mac[HASH_BYTES];
};

/* Lines as they were written: with their right mac, else they are linked as they are, and
 * audit_verify tells. */
static int read_waiting(struct db_tx *t, struct waiting *v, size_t most, size_t *ret_n,
			struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT id, mac FROM audit WHERE seq IS NULL "
		     "ORDER BY at, id LIMIT $1",
		     db_i(most));
	int rc = r ? db_next(r, e) : -1;
	size_t i = 0;

	for (; rc > 0 && i < most; rc = db_next(r, e), i++) {
		size_t n;
		const void *p = db_bytes(r, 1, &n);

		auth_column_id(r, 0, v[i].id);
		memset(v[i].mac, 0, HASH_BYTES);
		if (p)
			memcpy(v[i].mac, p, MIN(n, HASH_BYTES));
	}
	*ret_n = i;
	return rc < 0 ? -1 : 0;
}

static int link_some(struct db_tx *t, void *arg, struct err *e)
{
	struct linking *x = arg;
	AUTO_FREE struct waiting *v = xcalloc(x->most, sizeof(*v));
	struct end end;
	bool ok;

	x->n = 0;
	/* The end first: who else links waits here, or is told to begin again. */
	if (db_exec(t, NULL, e, "UPDATE audit_head SET seq = seq WHERE one = 1") ||
	    read_end(x->a, t, &end, &ok, e) || read_waiting(t, v, x->most, &x->n, e))
		return -1;
	if (!ok)
		return err_set(
			e, ERR_CORRUPT,
			"the end of the audit log is not as it was written: look into it with "
			"the audit log's verification; new lines wait until it is put right");
	for (size_t i = 0; i < x->n; i++) {
		next_hash(&end, v[i].mac);
		if (db_exec(t, NULL, e, "UPDATE audit SET seq = $1, hash = $2 WHERE id = $3",
			    db_i(end.seq), db_b(end.hash, HASH_BYTES), db_t(v[i].id)))
			return -1;
	}
	return x->n ? write_end(x->a, t, &end, e) : 0;
}

static int any_waiting(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT 1 FROM audit WHERE seq IS NULL LIMIT 1");
	int rc = r ? db_next(r, e) : -1;

	*(bool *)arg = rc > 0;
	return rc < 0 ? -1 : 0;
}

int audit_link(struct auth *a, size_t most, size_t *ret_n, struct err *e)
{
	struct linking x = {.a = a};
	size_t n = 0;
	bool any;

	if (ret_n)
		*ret_n = 0;
	if (db_read(a->db, any_waiting, &any, e))
		return -1;
	while (any && n < most) {
		x.most = MIN(most - n, LINK_BATCH);
		if (db_write(a->db, link_some, &x, e))
			return -1;
		n += x.n;
		any = x.n == x.most;
	}
	if (ret_n)
		*ret_n = n;
	return 0;
}

/* ---- verifying ---- */

struct verifying {
	struct auth *a;
	struct audit_check *check;
	struct end at;	/* what was verified so far */
	struct end end; /* of the chain */
	bool end_ok;	/* it is there and signed */
	bool more;
};

static void break_at(struct audit_check *c, uint64_t seq, const char *why)
{
	c->broken = seq;
	snprintf(c->why, sizeof(c->why), "%s", why);
}

/* Columns after COLUMNS: 10 mac, 11 seq, 12 hash. */
static bool check_line(struct verifying *v, const struct db_rows *r)
{
	uint64_t want = v->at.seq + 1;
	uint8_t mac[HASH_BYTES];

	row_mac(v->a, r, mac);
	if ((uint64_t)db_int(r, 11) != want) {
		break_at(v->check, want, "the line is missing");
		return false;
	}
	if (!column_is(r, 10, mac)) {
		break_at(v->check, want, "the line does not say what was written");
		return false;
	}
	next_hash(&v->at, mac);
	if (!column_is(r, 12, v->at.hash)) {
		break_at(v->check, want, "the line is not linked to the one before it");
		return false;
	}
	return true;
}

static int verify_some(struct db_tx *t, void *arg, struct err *e)
{
	struct verifying *v = arg;
	const struct end from = v->at;
	int rc;

	/* A run that is repeated begins where this one did. */
	v->check->broken = 0;
	v->more = false;
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT " COLUMNS ", mac, seq, hash FROM audit "
		     "WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3",
		     db_i(from.seq), db_i(v->end.seq), db_i(VERIFY_BATCH));
	rc = r ? db_next(r, e) : -1;
	for (; rc > 0; rc = db_next(r, e)) {
		v->more = true;
		if (!check_line(v, r)) {
			v->more = false;
			return 0;
		}
	}
	if (rc < 0)
		v->at = from;
	return rc;
}

static int verify_waiting(struct db_tx *t, struct verifying *v, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT " COLUMNS ", mac FROM audit WHERE seq IS NULL");
	int rc = r ? db_next(r, e) : -1;

	v->check->waiting = 0;
	for (; rc > 0; rc = db_next(r, e)) {
		uint8_t mac[HASH_BYTES];

		row_mac(v->a, r, mac);
		v->check->waiting++;
		if (!column_is(r, 10, mac) && !v->check->broken)
			break_at(v->check, v->end.seq + 1,
				 "a line that waits to be linked does not say what was written");
	}
	return rc;
}

/* The end, what lies after it, and what waits, all at one moment. */
static int verify_end(struct db_tx *t, void *arg, struct err *e)
{
	struct verifying *v = arg;
	int rc;

	v->check->broken = 0;
	if (read_end(v->a, t, &v->end, &v->end_ok, e))
		return -1;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT COUNT(*) FROM audit WHERE seq > $1 OR seq < 1",
		     db_i(v->end.seq));
	rc = r ? db_next(r, e) : -1;
	if (rc <= 0)
		return -1;
	if (!v->end_ok)
		break_at(v->check, MAX(v->end.seq, 1),
			 "the end of the log is missing or not as it was written");
	else if (db_int(r, 0))
		break_at(v->check, v->end.seq + 1, "there are lines after the end of the log");
	return verify_waiting(t, v, e);
}

int audit_verify(struct auth *a, struct audit_check *ret, struct err *e)
{
	struct audit_check end;
	struct verifying v = {.a = a, .check = ret, .more = true};

	memset(ret, 0, sizeof(*ret));
	if (db_read(a->db, verify_end, &v, e))
		return -1;
	end = *ret;
	while (v.more)
		if (db_read(a->db, verify_some, &v, e))
			return -1;
	ret->lines = v.at.seq;
	hex_encode(v.at.hash, HASH_BYTES, ret->head);
	/* The first that is wrong counts: a line, else those missing before the end, else the end.
	 */
	if (ret->broken)
		return 0;
	if (v.end_ok && v.at.seq < v.end.seq)
		break_at(ret, v.at.seq + 1, "the line is missing");
	else if (v.end_ok && CRYPTO_memcmp(v.at.hash, v.end.hash, HASH_BYTES))
		break_at(ret, MAX(v.at.seq, 1), "the end of the log is of another chain");
	else if (end.broken)
		break_at(ret, end.broken, end.why);
	return 0;
}
