/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/text.h"
#include "base/uuid.h"

#define CACHE 8192
#define SESSION_S (12 * 3600)
#define SWEEP_US (60 * 1000000ull)
#define KEEP_ENDED_US (24 * 3600 * 1000000ull) /* tokens that have expired or were revoked */

/* ---- small things for this folder ---- */

char *auth_new_id(char out[AUTH_ID])
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	return hex_encode(b, sizeof(b), out);
}

int auth_check_text(const char *field, const char *text, size_t max, struct err *e)
{
	if (strlen(text) > max)
		return err_set(e, ERR_INVALID, "%s: it has %zu bytes, at most %zu are allowed",
			       field, strlen(text), max);
	for (size_t i = 0, n; text[i]; i += n) {
		n = text_utf8(text + i, SIZE_MAX);
		if (!n)
			return err_set(e, ERR_INVALID, "%s: it is not UTF-8", field);
	}
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (iscntrl(*p) && *p < 0x80)
			return err_set(e, ERR_INVALID, "%s: control characters are not allowed",
				       field);
	return 0;
}

int auth_check_name(const char *field, const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (!n)
		return err_set(e, ERR_INVALID, "%s: it is empty", field);
	if (name[0] == ' ' || name[n - 1] == ' ')
		return err_set(e, ERR_INVALID, "%s: a blank at an end is not allowed", field);
	return auth_check_text(field, name, 255, e);
}

char *auth_column(const struct db_rows *r, int column)
{
	return xstrdup(db_text(r, column));
}

void auth_column_id(const struct db_rows *r, int column, char out[AUTH_ID])
{
	snprintf(out, AUTH_ID, "%s", db_text(r, column));
}

uint64_t auth_column_us(const struct db_rows *r, int column)
{
	return db_is_null(r, column) ? 0 : (uint64_t)db_int(r, column);
}

struct db_value auth_us_or_null(uint64_t us)
{
	return us ? db_i(us) : db_null();
}

int auth_changed(struct db_tx *t, struct err *e)
{
	return db_wake(t, AUTH_CHANNEL, e);
}

/* ---- opening ---- */

static int read_key_id(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT value FROM settings WHERE name = 'server_key'");
	char *id = arg;
	int rc;

	id[0] = 0;
	if (!r)
		return -1;
	rc = db_next(r, e);
	if (rc > 0)
		snprintf(id, SERVER_KEY_ID, "%s", db_text(r, 0));
	return rc < 0 ? -1 : 0;
}

static int write_key_id(struct db_tx *t, void *arg, struct err *e)
{
	return db_exec(t, NULL, e,
		       "INSERT INTO settings (name, value) VALUES ('server_key', $1) "
		       "ON CONFLICT (name) DO NOTHING",
		       db_t(arg));
}

/*
 * The file first, then its id in the database. If interrupted between them: a key that nothing was
 * sealed with yet, which the next start takes.
 */
static int open_keys(struct auth *a, const char *path, struct err *e)
{
	char wanted[SERVER_KEY_ID];
	char id[SERVER_KEY_ID];
	struct err why = {0};

	if (db_read(a->db, read_key_id, wanted, e))
		return -1;
	a->keys = server_keys_load(path, &why);
	if (!a->keys && why.kind == ERR_NOENT && wanted[0])
		return err_set(e, ERR_KEY,
			       "there is no server key at %s, and the database was sealed with "
			       "key %s: put that file back from its backup",
			       path, wanted);
	if (!a->keys && why.kind == ERR_NOENT) {
		a->keys = server_keys_make(path, &why);
		/* Another process of this host was quicker. */
		if (!a->keys && why.kind == ERR_EXISTS)
			a->keys = server_keys_load(path, &why);
	}
	if (!a->keys) {
		if (e)
			*e = why;
		return -1;
	}
	if (!wanted[0]) {
		secret_free(server_keys_current(a->keys, id));
		if (db_write(a->db, write_key_id, id, e) || db_read(a->db, read_key_id, wanted, e))
			return -1;
	}
	AUTO(secret) key = server_keys_find(a->keys, wanted, e);
	return key ? 0 : -1;
}

struct auth *auth_open(struct db *d, const struct auth_options *o, struct err *e)
{
	AUTO(auth) a = xcalloc(1, sizeof(*a));
	const struct passwords_options p = {o->password_kib, o->password_passes, o->password_slots};

	pthread_rwlock_init(&a->rules_lock, NULL);
	pthread_mutex_init(&a->lock, NULL);
	a->db = d;
	a->keystone = o->keystone;
	a->keystone_login = o->keystone && o->keystone_login;
	a->oidc = o->oidc;
	a->session_s = o->session_s ? o->session_s : SESSION_S;
	a->policy_file = xstrdup0(o->policy_file);
	a->passwords = passwords_new(&p);
	a->cache = idcache_new(CACHE);
	a->rules = o->policy_file ? rules_load(o->policy_file, e) : rules_new();
	if (!a->rules || open_keys(a, o->key_file, e) || audit_log_open(a, e))
		return NULL;
	return steal(&a);
}

void auth_close(struct auth *a)
{
	if (!a)
		return;
	server_keys_free(a->keys);
	passwords_free(a->passwords);
	idcache_free(a->cache);
	rules_free(a->rules);
	secret_free(a->audit_key);
	free(a->policy_file);
	pthread_rwlock_destroy(&a->rules_lock);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- rules ---- */

int auth_reload(struct auth *a, struct err *e)
{
	AUTO(rules) r = a->policy_file ? rules_load(a->policy_file, e) : rules_new();
	struct rules *old;

	if (!r)
		return -1;
	pthread_rwlock_wrlock(&a->rules_lock);
	old = a->rules;
	a->rules = steal(&r);
	pthread_rwlock_unlock(&a->rules_lock);
	rules_free(old);
	return 0;
}

int auth_allow(struct auth *a, const struct identity *id, const char *action, const char *project,
	       struct err *e)
{
	int rc;

	pthread_rwlock_rdlock(&a->rules_lock);
	rc = rules_allow(a->rules, id, action, project, e);
	pthread_rwlock_unlock(&a->rules_lock);
	return rc;
}

/* ---- looking after ---- */

void auth_touch(struct auth *a, const char *token_id)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->n_touched; i++)
		if (!strcmp(a->touched[i], token_id)) {
			token_id = NULL;
			break;
		}
	/* When there is no room, the next use will be noted. */
	if (token_id && a->n_touched < AUTH_TOUCHED)
		memcpy(a->touched[a->n_touched++], token_id, strlen(token_id) + 1);
	pthread_mutex_unlock(&a->lock);
}

struct touched {
	char (*v)[AUTH_ID];
	size_t n;
	uint64_t now_us;
};

static int write_touched(struct db_tx *t, void *arg, struct err *e)
{
	const struct touched *x = arg;

	for (size_t i = 0; i < x->n; i++)
		if (db_exec(t, NULL, e,
			    "UPDATE tokens SET last_used_at = $1 WHERE id = $2 AND "
			    "(last_used_at IS NULL OR last_used_at < $3)",
			    db_i(x->now_us), db_t(x->v[i]), db_i(x->now_us - SWEEP_US)))
			return -1;
	return 0;
}

static int sweep(struct db_tx *t, void *arg, struct err *e)
{
	uint64_t now = *(uint64_t *)arg;
	uint64_t before = now - KEEP_ENDED_US;

	if (db_exec(t, NULL, e, "DELETE FROM oidc_logins WHERE expires_at < $1", db_i(now)) ||
	    db_exec(t, NULL, e,
		    "DELETE FROM secrets WHERE SUBSTR(place, 1, 7) = 'tokens/' AND NOT EXISTS "
		    "(SELECT 1 FROM tokens t WHERE t.id = SUBSTR(place, 8, 32) AND t.revoked_at IS "
		    "NULL AND t.expires_at > $1)",
		    db_i(now)))
		return -1;
	return db_exec(t, NULL, e, "DELETE FROM tokens WHERE expires_at < $1 OR revoked_at < $1",
		       db_i(before));
}

int auth_look_after(struct auth *a, uint64_t now_us, bool forget, struct err *e)
{
	AUTO_FREE char(*v)[AUTH_ID] = NULL;
	struct touched x = {.now_us = now_us};
	bool due;

	if (audit_link(a, 5000, NULL, e))
		return -1;
	pthread_mutex_lock(&a->lock);
	x.n = a->n_touched;
	if (x.n) {
		x.v = v = xreallocarray(NULL, x.n, AUTH_ID);
		memcpy(v, a->touched, x.n * AUTH_ID);
	}
	a->n_touched = 0;
	due = forget && now_us - a->swept_us >= SWEEP_US;
	if (due)
		a->swept_us = now_us;
	pthread_mutex_unlock(&a->lock);
	if (x.n && db_write(a->db, write_touched, &x, e))
		return -1;
	return due ? db_write(a->db, sweep, &now_us, e) : 0;
}
