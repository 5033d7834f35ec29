/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_priv.h: what an auth is made of, for the files of this folder.
 */
#ifndef HF_AUTH_AUTH_PRIV_H
#define HF_AUTH_AUTH_PRIV_H

#include <pthread.h>

#include "auth/account.h"
#include "auth/audit.h"
#include "auth/auth.h"
#include "auth/idcache.h"
#include "auth/password.h"
#include "auth/rules.h"
#include "auth/sealed.h"
#include "auth/server_key.h"
#include "repo/seal.h"

#define AUTH_TOUCHED 512

struct auth {
	struct db *db;
	struct server_keys *keys;
	struct passwords *passwords;
	struct idcache *cache;
	struct keystone *keystone;
	bool keystone_login;
	struct oidc *oidc;
	unsigned session_s;
	char *policy_file;
	pthread_rwlock_t rules_lock;
	struct rules *rules;
	struct secret *audit_key;	     /* lines and the end of the chain are signed with it */
	pthread_mutex_t lock;		     /* of what follows */
	char touched[AUTH_TOUCHED][AUTH_ID]; /* tokens used since auth_look_after */
	size_t n_touched;
	uint64_t swept_us; /* when what has expired was last removed */
};

/* A random id of 32 digits. */
char *auth_new_id(char out[AUTH_ID]);
/* ERR_INVALID names `field`. */
int auth_check_name(const char *field, const char *name, struct err *e);
/* Longer texts, which may be empty. */
int auth_check_text(const char *field, const char *text, size_t max, struct err *e);
/* The column as a text of its own. */
char *auth_column(const struct db_rows *r, int column);
void auth_column_id(const struct db_rows *r, int column, char out[AUTH_ID]);
/* 0 for NULL. */
uint64_t auth_column_us(const struct db_rows *r, int column);
struct db_value auth_us_or_null(uint64_t us);

/* `was_admin`: an administrator was taken away. ERR_CONFLICT: it was the last. */
int auth_keep_admin(struct db_tx *t, bool was_admin, struct err *e);
/* `n` random digits of base 62, and a NUL. */
void auth_random_text(char *out, size_t n);
/* SHA-256 of a token's text. */
void auth_token_hash(const char *text, uint8_t out[HASH_BYTES]);
/* Note that it was used. */
void auth_touch(struct auth *a, const char *token_id);

/*
 * Put the project into the identity, and the roles that its user is granted there and everywhere,
 * of `most` (0: all). `only`: the project is all that it is for. A project that is not there or
 * not enabled, or in which the user has no role, is left out.
 */
int auth_place(struct db_tx *t, struct identity *id, const char *project, bool only, unsigned most,
	       struct err *e);
/* Name, password, address: who is it? The user's id and name go into *ret_id. Not in a transaction.
 */
int auth_by_password(struct auth *a, const char *name, const char *password, const char *address,
		     struct identity *id, unsigned *ret_retry_s, struct err *e);

/* A session of a user of Keystone, of which `door` is kept: who it is in `project` (may be NULL),
 * or where it may not be there, in `home`. */
int auth_by_door(struct auth *a, const struct secret *door, const char *project, const char *home,
		 const struct identity *session, struct identity **ret_id, struct err *e);
int auth_login_keystone(struct auth *a, const struct login *l, char *ret_token,
			uint64_t *ret_expires_us, unsigned *ret_retry_s, struct err *e);
/* The place of a door: "tokens", ID of the session, this. */
#define AUTH_DOOR "keystone"

int auth_by_keystone(struct auth *a, const char *token, struct identity **ret_id, struct err *e);
int auth_by_oidc(struct auth *a, const char *token, const char *project, struct identity **ret_id,
		 struct err *e);

/* The key of the audit log, made when the log is new. */
int audit_log_open(struct auth *a, struct err *e);

#endif
