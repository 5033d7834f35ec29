/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oidc_priv.h: what an oidc is made of, for its files.
 */
#ifndef HF_AUTH_OIDC_PRIV_H
#define HF_AUTH_OIDC_PRIV_H

#include <jansson.h>
#include <pthread.h>

#include "auth/auth_priv.h"
#include "auth/oidc.h"
#include "net/http.h"

#define OIDC_GROUPS_MAX 256
#define OIDC_LOGIN_S 600 /* in which a login has to come back */

/* What members of a group may be. */
struct oidc_role {
	char *group, *project; /* "*" */
	unsigned role;
};

/* What the provider says of itself. */
struct oidc_places {
	char *authorize, *token, *keys;
	char *end; /* of sessions; NULL: there is none */
};

struct oidc {
	struct http *http;
	char *name, *issuer, *client_id, *audience, *scopes, *user_claim, *groups_claim;
	struct secret *client_secret;
	unsigned timeout_ms;
	struct oidc_role *roles;
	size_t n_roles;
	pthread_mutex_t lock; /* of what follows; not held while asking */
	struct oidc_places places;
	json_t *keys; /* NULL: not fetched yet */
	uint64_t keys_us, tried_us;
	bool asking; /* somebody asks for keys */
	pthread_cond_t asked;
};

/* Whom a token is about. */
struct oidc_person {
	char *subject, *name, *email;
	char **groups;
	size_t n_groups;
	uint64_t expires_us;
};
void oidc_person_done(struct oidc_person *p);

/* As oidc_check, over keys that are parsed. *ret_claims is an object, to be released. */
int oidc_verify(const json_t *keys, const char *token, const struct oidc *o, const char *nonce,
		int64_t now_s, json_t **ret_claims, struct err *e);
/* Verify, with keys that are fetched where need be, and read its claims. */
int oidc_read(struct oidc *o, const char *token, const char *nonce, struct oidc_person *ret,
	      struct err *e);
/* Exchange a code for the token that says who it is, to be freed. */
char *oidc_exchange(struct oidc *o, const char *code, const char *verifier, const char *redirect,
		    struct err *e);
/* Where the browser goes, to be freed. */
char *oidc_url(struct oidc *o, const char *redirect, const char *state, const char *nonce,
	       const char *challenge, struct err *e);
/* Where the browser goes to end its session there, to be freed; NULL: nowhere. */
char *oidc_end_url(struct oidc *o, const char *back);
/* Make or correct the user and what the groups grant; the id goes to `id`. ERR_DENIED: disabled. */
int oidc_settle_user(struct auth *a, const struct oidc_person *p, struct identity *id,
		     struct err *e);

#endif
