/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h: who may do what: from what a request brings to an identity, and from an identity and an
 * action to yes or no.
 *
 * A request may bring (in this order; the first that is there counts)
 *   X-Auth-Token            "hf_…" one of our tokens; anything else is asked of Keystone, if there
 * is one Authorization: Bearer   "hf_…", or a token of the OpenID provider, if there is one
 *   Authorization: Basic    name and password
 *   X-Auth-User, X-Auth-Key name and password, as karborclient sends them without Keystone
 *   the cookie              a session's token
 * What was found out is kept for a few seconds. A token that is revoked, a user who is disabled, a
 * grant that is taken away stop working in every process when db_wake() arrives, and after
 * AUTH_CACHE_S seconds if it does not.
 *
 * Threads: an auth is thread-safe.
 */
#ifndef HF_AUTH_AUTH_H
#define HF_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "db/db.h"

#define AUTH_CACHE_S 5
#define AUTH_CHANNEL "access" /* woken whenever something here changes */

struct auth;
struct keystone;
struct oidc;

struct auth_options {
	const char
		*key_file; /* the server key; made when it is not there and the database is new */
	const char *policy_file;   /* rules.h; NULL: the rules in the program */
	unsigned session_s;	   /* how long a login lasts; 0: 12 hours */
	unsigned password_kib;	   /* memory for one verification of a password; 0: 64 MiB */
	unsigned password_passes;  /* 0: 2 */
	unsigned password_slots;   /* verifications at the same time; 0: 2 */
	struct keystone *keystone; /* borrowed; NULL: none. keystone.h */
	bool keystone_login;	   /* its users may log in here with their passwords */
	struct oidc *oidc;	   /* borrowed; NULL: none. oidc.h */
};

/*
 * ERR_KEY: the key file is not the one that this database was sealed with; ERR_INVALID: the policy
 * file, with file:line; errors of the database and of reading files.
 */
struct auth *auth_open(struct db *d, const struct auth_options *o, struct err *e);
void auth_close(struct auth *a);
DEFINE_AUTO(auth, auth_close);

/* Read the policy file again; on failure the old rules stay. */
int auth_reload(struct auth *a, struct err *e);

/*
 * To be called every second or two, by every process: links new lines of the audit log, notes when
 * tokens were last used and, with `forget`, removes what has expired: not while the clock may be
 * wrong, because what is removed does not come back when it is put right.
 */
int auth_look_after(struct auth *a, uint64_t now_us, bool forget, struct err *e);

struct auth_request {
	const char *token;	   /* X-Auth-Token; each may be NULL */
	const char *authorization; /* Authorization */
	const char *user, *key;	   /* X-Auth-User, X-Auth-Key */
	const char *cookie;	   /* the value of the session's cookie */
	const char *project;	   /* {project_id} of the path */
	const char *address;	   /* of the client */
};

/* Did it bring nothing but the cookie? A browser sends that also when a page of somebody else asks
 * it to. */
bool auth_is_cookie(const struct auth_request *q);

/* What a page for logging in can offer, besides name and password of a user of ours. */
struct auth_methods {
	const char *oidc; /* how the OpenID provider is called; NULL: there is none */
	bool keystone;	  /* name and password of Keystone */
};
/* The texts live as long as `a`. */
void auth_methods(const struct auth *a, struct auth_methods *ret);

/*
 * Who is it? Quick: mostly from memory, else a read of the database; a password or a token of
 * somebody else's that is new takes as long as verifying it does.
 *
 * ERR_DENIED: 401, nobody that we know, the message does not tell why to strangers; ERR_BUSY: 429,
 * too many wrong passwords or verifications, try again after *ret_retry_s (may be NULL) seconds;
 * ERR_UNREACHABLE: 503, Keystone or the OpenID provider or the database.
 */
int auth_identify(struct auth *a, const struct auth_request *q, struct identity **ret_id,
		  unsigned *ret_retry_s, struct err *e);

/*
 * May this one do `action` ("plan:create"; rules.h has them all) to something of `project`, NULL:
 * to something that belongs to no project, or to all? ERR_DENIED names the rule: 403. Never touches
 * the database.
 */
int auth_allow(struct auth *a, const struct identity *id, const char *action, const char *project,
	       struct err *e);

/* Wake everybody who keeps identities: after a change that this layer did not make itself. */
int auth_changed(struct db_tx *t, struct err *e);

#endif
