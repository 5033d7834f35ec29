/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A login with a browser: state, nonce and verifier are made here and kept in the database, because
 * the browser may come back to another process; they are used once. The state is also a cookie of
 * that browser: without it, somebody could have another one's browser end a login of his own.
 */
#include "auth/oidc_priv.h"

#include <jose/b64.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/clock.h"

#define PENDING_MAX 10000
#define VERIFIER 64 /* digits; RFC 7636 asks for 43 to 128 */
#define CODE_MAX 4096

struct pending {
	char state[OIDC_STATE], nonce[OIDC_STATE], verifier[VERIFIER + 1];
	char *redirect;
	const char *back; /* of a login that begins */
};

/* ---- going there ---- */

static int keep(struct db_tx *t, void *arg, struct err *e)
{
	const struct pending *p = arg;
	AUTO(db_rows) r = db_query(t, e, "SELECT COUNT(*) FROM oidc_logins");
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (db_int(r, 0) >= PENDING_MAX)
		return err_set(e, ERR_BUSY, "too many logins have begun: try again in a minute");
	return db_exec(t, NULL, e,
		       "INSERT INTO oidc_logins (state, nonce, verifier, redirect, back, "
		       "expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
		       db_t(p->state), db_t(p->nonce), db_t(p->verifier), db_t(p->redirect),
		       db_t(p->back), db_i(clock_wall_us() + OIDC_LOGIN_S * 1000000ull));
}

int auth_oidc_begin(struct auth *a, const char *redirect, const char *back, char **ret_url,
		    char ret_state[OIDC_STATE], struct err *e)
{
	struct pending p = {.redirect = (char *)redirect, .back = back};
	AUTO_FREE char *url = NULL;
	uint8_t hash[HASH_BYTES];
	char challenge[OIDC_STATE + 1] = "";

	if (!a->oidc)
		return err_set(e, ERR_UNSUPPORTED, "no OpenID provider is configured");
	auth_random_text(p.state, OIDC_STATE - 1);
	auth_random_text(p.nonce, OIDC_STATE - 1);
	auth_random_text(p.verifier, VERIFIER);
	sha256(p.verifier, VERIFIER, hash);
	jose_b64_enc_buf(hash, sizeof(hash), challenge, sizeof(challenge) - 1);
	url = oidc_url(a->oidc, redirect, p.state, p.nonce, challenge, e);
	if (!url || db_write(a->db, keep, &p, e))
		return -1;
	*ret_url = steal(&url);
	memcpy(ret_state, p.state, OIDC_STATE);
	return 0;
}

/* ---- coming back ---- */

struct looking_back {
	const char *state;
	char *back;
};

static int look_back(struct db_tx *t, void *arg, struct err *e)
{
	struct looking_back *l = arg;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT back FROM oidc_logins WHERE state = $1", db_t(l->state));
	int rc = r ? db_next(r, e) : -1;

	free(steal(&l->back));
	if (rc > 0)
		l->back = auth_column(r, 0);
	return rc < 0 ? -1 : 0;
}

char *auth_oidc_back(struct auth *a, const char *state)
{
	struct looking_back l = {.state = state};

	/* What is no state is not looked for: some databases refuse odd bytes. */
	if (!state || strlen(state) != OIDC_STATE - 1 || auth_check_name("state", state, NULL))
		return NULL;
	(void)db_read(a->db, look_back, &l, NULL);
	return l.back;
}

static int take(struct db_tx *t, void *arg, struct err *e)
{
	struct pending *p = arg;
	AUTO(db_rows)
	r = db_query(t, e,
		     "DELETE FROM oidc_logins WHERE state = $1 "
		     "RETURNING nonce, verifier, redirect, expires_at",
		     db_t(p->state));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (!rc || (uint64_t)db_int(r, 3) <= clock_wall_us())
		return err_set(e, ERR_DENIED,
			       "this login was ended already, or took too long: begin again");
	snprintf(p->nonce, sizeof(p->nonce), "%s", db_text(r, 0));
	snprintf(p->verifier, sizeof(p->verifier), "%s", db_text(r, 1));
	free(p->redirect);
	p->redirect = auth_column(r, 2);
	return 0;
}

struct session {
	struct auth *a;
	const struct oidc_return *r;
	struct identity *id;
	uint64_t expires_us;
	char *token;
};

static int begin_session(struct db_tx *t, void *arg, struct err *e)
{
	const struct session *s = arg;
	const struct token_new k = {.kind = TOKEN_SESSION,
				    .name = s->r->address ? s->r->address : "login",
				    .user = s->id->user_id,
				    .expires_us = s->expires_us};
	const struct audit_entry x = {.who = s->id,
				      .address = s->r->address,
				      .action = "login",
				      .outcome = "done",
				      .detail = "OpenID Connect"};
	char id[AUTH_ID];

	if (tokens_add(t, &k, id, s->token, e) ||
	    db_exec(t, NULL, e, "UPDATE users SET last_login_at = $1 WHERE id = $2",
		    db_i(clock_wall_us()), db_t(s->id->user_id)))
		return -1;
	return audit_add(s->a, t, &x, e);
}

/* From the code to who it is. */
static int redeem(struct auth *a, const struct oidc_return *r, struct pending *p,
		  struct identity *id, struct err *e)
{
	struct oidc_person person = {0};
	char *token;
	int rc;

	if (db_write(a->db, take, p, e))
		return -1;
	token = oidc_exchange(a->oidc, r->code, p->verifier, p->redirect, e);
	if (!token)
		return -1;
	rc = oidc_read(a->oidc, token, p->nonce, &person, e);
	if (!rc)
		rc = oidc_settle_user(a, &person, id, e);
	oidc_person_done(&person);
	free(token);
	return rc;
}

int auth_oidc_finish(struct auth *a, const struct oidc_return *r, char *ret_token,
		     uint64_t *ret_expires_us, struct err *e)
{
	AUTO(identity) id = identity_new();
	struct pending p = {.redirect = NULL};
	char token[TOKEN_TEXT];
	struct session s = {a, r, id, clock_wall_us() + a->session_s * 1000000ull, token};
	int rc;

	if (!a->oidc)
		return err_set(e, ERR_UNSUPPORTED, "no OpenID provider is configured");
	if (!r->state || !r->code || !r->cookie || strlen(r->state) != OIDC_STATE - 1 ||
	    strlen(r->cookie) != OIDC_STATE - 1 || strlen(r->code) > CODE_MAX ||
	    CRYPTO_memcmp(r->state, r->cookie, OIDC_STATE - 1))
		return err_set(e, ERR_DENIED, "this browser has not begun this login: begin again");
	memcpy(p.state, r->state, OIDC_STATE);
	id->how = AUTH_HOW_SESSION;
	rc = redeem(a, r, &p, id, e);
	free(p.redirect);
	if (rc || db_write(a->db, begin_session, &s, e))
		return -1;
	memcpy(ret_token, token, sizeof(token));
	secret_wipe(token, sizeof(token));
	*ret_expires_us = s.expires_us;
	return 0;
}

void auth_methods(const struct auth *a, struct auth_methods *ret)
{
	*ret = (struct auth_methods){.oidc = a->oidc ? a->oidc->name : NULL,
				     .keystone = a->keystone_login};
}

char *auth_oidc_end(struct auth *a, const char *back)
{
	return a->oidc ? oidc_end_url(a->oidc, back) : NULL;
}

/* ---- with each request ---- */

struct placing {
	struct identity *id;
	const char *project;
};

static int place_in(struct db_tx *t, void *arg, struct err *e)
{
	const struct placing *p = arg;

	return auth_place(t, p->id, p->project, false, 0, e);
}

int auth_by_oidc(struct auth *a, const char *token, const char *project, struct identity **ret_id,
		 struct err *e)
{
	AUTO(identity) id = identity_new();
	struct oidc_person person = {0};
	struct placing p = {id, project};
	int rc = oidc_read(a->oidc, token, NULL, &person, e);

	if (rc)
		return -1;
	id->how = AUTH_HOW_OIDC;
	id->expires_us = person.expires_us;
	rc = oidc_settle_user(a, &person, id, e);
	oidc_person_done(&person);
	if (rc || db_read(a->db, place_in, &p, e))
		return -1;
	*ret_id = steal(&id);
	return 0;
}
