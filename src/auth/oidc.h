/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oidc.h: people and programs that an OpenID provider vouches for (OpenID Connect Core 1.0,
 * Discovery 1.0; RFC 7519, 7636, 6750).
 *
 * Programs bring a token of the provider (client credentials) as "Authorization: Bearer"; people
 * log in at the provider in a browser (authorization code with PKCE) and get a session of ours.
 *
 * A token counts if it is signed by one of the provider's keys with an algorithm that we allow
 * (RSA, RSA-PSS or ECDSA; never none, never a shared secret), is issued by the provider, for us,
 * and is valid now, give or take a minute. The keys are fetched when they are first needed, every
 * hour, and when a token names one that is not known.
 *
 * Threads: an oidc is thread-safe.
 */
#ifndef HF_AUTH_OIDC_H
#define HF_AUTH_OIDC_H

#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

struct oidc;

struct oidc_options {
	const char *issuer; /* "https://login.example.com/realm", as the provider writes it */
	const char *ca;	    /* file of certificates; NULL: the system's */
	const char *client_id;
	const char *name;		    /* of the provider, for people; NULL: its host */
	const struct secret *client_secret; /* copied; NULL: a public client */
	const char
		*audience;  /* whom tokens of programs may be for besides client_id; NULL: nobody */
	const char *scopes; /* NULL: "openid profile email" */
	const char *user_claim;	  /* NULL: "preferred_username" */
	const char *groups_claim; /* NULL: "groups" */
	/* What members of a group may be: "ops = operator@*, web = member@PROJECT"; the group "*":
	 * everybody. NULL: nothing, but what is granted here. */
	const char *roles;
	unsigned timeout_ms; /* 0: 10 s */
};
/* Does not ask anything yet. ERR_INVALID. */
struct oidc *oidc_new(const struct oidc_options *o, struct err *e);
void oidc_free(struct oidc *o);
DEFINE_AUTO(oidc, oidc_free);

/* ---- logging in with a browser ---- */

#define OIDC_STATE 44

/*
 * *ret_url, to be freed, is where the browser goes; `ret_state` goes into a cookie (HttpOnly,
 * SameSite=Lax), so that nobody else can end this login. `redirect` is our own address that the
 * provider knows, to which the browser comes back; `back` is kept for auth_oidc_back().
 * ERR_UNREACHABLE; ERR_BUSY: too many are at it.
 */
int auth_oidc_begin(struct auth *a, const char *redirect, const char *back, char **ret_url,
		    char ret_state[OIDC_STATE], struct err *e);
/* What `back` was of a login that has begun and not ended, to be freed; NULL: it is not known. */
char *auth_oidc_back(struct auth *a, const char *state);

struct oidc_return {
	const char *state, *code; /* of the query */
	const char *cookie;	  /* the state that the browser was given; each may be NULL */
	const char *address;	  /* of the client */
};
/* The browser is back: a session, as auth_login gives one. ERR_DENIED, ERR_UNREACHABLE. */
int auth_oidc_finish(struct auth *a, const struct oidc_return *r, char *ret_token,
		     uint64_t *ret_expires_us, struct err *e);

/*
 * Where a browser goes to end its session at the provider, too, and then comes back to `back`, an
 * address of ours (OpenID Connect RP-Initiated Logout 1.0); to be freed. NULL: the provider has no
 * such place, or cannot be asked now.
 */
char *auth_oidc_end(struct auth *a, const char *back);

/* ---- for the fuzz target and tests ---- */

/*
 * Is this token signed by one of `keys` (a JSON Web Key Set), issued by `issuer` for `audience`,
 * and valid at `now_s`? `nonce` NULL: none is asked for. *ret_claims: its claims as JSON text, to
 * be freed. ERR_DENIED; ERR_NOENT: it names a key that is not among them.
 */
int oidc_check(const char *keys, const char *token, const char *issuer, const char *audience,
	       const char *nonce, int64_t now_s, char **ret_claims, struct err *e);

#endif
