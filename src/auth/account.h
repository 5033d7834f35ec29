/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h: projects, users, what they are granted, and their tokens.
 *
 * Everything works in the caller's transaction, so that what was done and the line in the audit log
 * that tells of it are one. What takes time (passwords) is done before, outside of it.
 *
 * There is always an administrator: who would take the last enabled one away gets ERR_CONFLICT.
 * Removing or disabling a user ends all its tokens, changing a password its sessions.
 *
 * Texts are checked: names have 1 to 255 bytes of UTF-8 without control characters or blanks at the
 * ends; ERR_INVALID names the field. Lists are in the order of names (tokens: newest first), at
 * most `limit`, after the one with the id `marker` (NULL: from the start; unknown: ERR_NOENT).
 *
 * Threads: as transactions; functions with a struct auth are thread-safe.
 */
#ifndef HF_AUTH_ACCOUNT_H
#define HF_AUTH_ACCOUNT_H

#include "auth/auth.h"

/* ---- projects: a tenant, with 32 hexadecimal digits for an id as in OpenStack ---- */

struct project {
	char id[AUTH_ID];
	char *name, *description;
	char *quota_class;
	char *source; /* "local", "keystone" or "oidc": who knows of it */
	bool enabled;
	uint64_t created_us;
};
struct projects {
	struct project *v;
	size_t n;
};
void projects_free(struct projects *p);
DEFINE_AUTO(projects, projects_free);

struct project_new {
	const char *id; /* NULL: a random one */
	const char *name, *description;
	const char *quota_class; /* NULL: "default" */
	const char *source;	 /* NULL: "local" */
};
int projects_add(struct db_tx *t, const struct project_new *p, char ret_id[AUTH_ID], struct err *e);
/* One, or ERR_NOENT. */
struct projects *projects_get(struct db_tx *t, const char *id, struct err *e);
/* `user`: only those in which that user has a role; NULL: all. */
struct projects *projects_list(struct db_tx *t, const char *user, const char *marker, size_t limit,
			       struct err *e);
struct project_change {
	const char *name, *description, *quota_class; /* NULL: stays */
	int enabled;				      /* -1: stays */
};
int projects_change(struct db_tx *t, const char *id, const struct project_change *c, struct err *e);
/* Only itself, its grants and tokens: who keeps other things in a project looks for them first. */
int projects_remove(struct db_tx *t, const char *id, struct err *e);

/* ---- users ---- */

struct user {
	char id[AUTH_ID];
	char *name, *email;
	char *source; /* "local" or "oidc" */
	bool enabled;
	bool has_password;   /* false: can only come with a token, or from the OpenID provider */
	unsigned everywhere; /* roles held everywhere */
	uint64_t created_us, last_login_us; /* 0: never */
};
struct users {
	struct user *v;
	size_t n;
};
void users_free(struct users *u);
DEFINE_AUTO(users, users_free);

/*
 * The text that is stored of a password ($argon2id$…), to be freed. Takes a tenth of a second:
 * outside of transactions. ERR_INVALID: shorter than 8 bytes or longer than 1024.
 */
char *auth_password_hash(struct auth *a, const char *password, struct err *e);

struct user_new {
	const char *name, *email;  /* email may be NULL */
	const char *password_hash; /* NULL: no password */
};
int users_add(struct db_tx *t, const struct user_new *u, char ret_id[AUTH_ID], struct err *e);
struct users *users_get(struct db_tx *t, const char *id, struct err *e);
struct users *users_list(struct db_tx *t, const char *marker, size_t limit, struct err *e);
struct user_change {
	const char *name, *email, *password_hash; /* NULL: stays */
	int enabled;				  /* -1: stays */
};
int users_change(struct db_tx *t, const char *id, const struct user_change *c, struct err *e);
int users_remove(struct db_tx *t, const char *id, struct err *e);

/* ---- grants ---- */

struct grant {
	char user_id[AUTH_ID], project_id[AUTH_ID]; /* AUTH_EVERYWHERE */
	char *user_name, *project_name;
	unsigned role;
};
struct grants {
	struct grant *v;
	size_t n;
};
void grants_free(struct grants *g);
DEFINE_AUTO(grants, grants_free);

/* There already: nothing changes. ERR_NOENT names what is not there. */
int grants_add(struct db_tx *t, const char *user, const char *project, unsigned role,
	       struct err *e);
/* ERR_NOENT: it was not granted. */
int grants_remove(struct db_tx *t, const char *user, const char *project, unsigned role,
		  struct err *e);
/* Of a user, in a project; either may be NULL: all. */
struct grants *grants_list(struct db_tx *t, const char *user, const char *project, struct err *e);

/* ---- tokens ---- */

#define TOKEN_TEXT 64 /* "hf_", "hfs_" or "hfm_", 43 digits (256 bits in base 62), NUL */
#define TOKEN_API "api"
#define TOKEN_SESSION "session"
#define TOKEN_KEYSTONE "keystone" /* a session of a user of Keystone; user_id is its id there */
#define TOKEN_MOVER "mover"	  /* the identity of a mover; user_id is the mover's id */
#define TOKEN_JOIN "join"	  /* lets one mover register, once */

struct token {
	char id[AUTH_ID], user_id[AUTH_ID];
	char project_id[AUTH_ID]; /* "": wherever the user may be */
	char *name, *kind;
	unsigned roles;				       /* at most these; 0: all that the user has */
	uint64_t created_us, expires_us, last_used_us; /* 0: never */
};
struct tokens {
	struct token *v;
	size_t n;
};
void tokens_free(struct tokens *k);
DEFINE_AUTO(tokens, tokens_free);

struct token_new {
	const char *kind, *name;
	const char *user;    /* whose; of TOKEN_MOVER: the mover's id; of TOKEN_JOIN: who made it */
	const char *project; /* NULL: wherever the user may be */
	unsigned roles;	     /* at most these; 0: all that the user has */
	uint64_t expires_us; /* 0: never */
	/* Who asks for it; NULL: nobody in particular. A token that is for one project or some
	 * roles cannot make one that is for more: it gets what `by` has, or ERR_DENIED. */
	const struct identity *by;
};
/*
 * Make one. `ret_text` is the only copy of it there will ever be: the database has its SHA-256.
 * A transaction that is run again makes another one: use what the last run returned.
 */
int tokens_add(struct db_tx *t, const struct token_new *k, char ret_id[AUTH_ID],
	       char ret_text[TOKEN_TEXT], struct err *e);
struct tokens *tokens_get(struct db_tx *t, const char *id, struct err *e);
/* Those that are not revoked, of a user and of a kind; either may be NULL: all. */
struct tokens *tokens_list(struct db_tx *t, const char *user, const char *kind, const char *marker,
			   size_t limit, struct err *e);
int tokens_revoke(struct db_tx *t, const char *id, struct err *e);
/* All of a user or mover. */
int tokens_revoke_all(struct db_tx *t, const char *user, struct err *e);
/* Use up a TOKEN_JOIN. ERR_DENIED: there is no such one, it was used, or it has expired. */
int tokens_use_up(struct db_tx *t, const char *text, char ret_id[AUTH_ID], struct err *e);

/* ---- logging in ---- */

struct login {
	const char *name, *password;
	/* The session is for this one; NULL: wherever the user may be. Of Keystone: its id or name,
	 * where the session is when a request names none. */
	const char *project;
	const char *address;
	bool keystone;	    /* a user of Keystone */
	const char *domain; /* of Keystone; NULL: "Default" */
};
/*
 * A new session; errors and `ret_retry_s` as auth_identify has them. Not in a transaction. Users of
 * Keystone have a session for as long as Keystone lets them: what they may is asked there.
 */
int auth_login(struct auth *a, const struct login *l, char ret_token[TOKEN_TEXT],
	       uint64_t *ret_expires_us, unsigned *ret_retry_s, struct err *e);
/* The projects of a session of a user of Keystone; *ret NULL: `id` is nothing like that. */
int auth_keystone_projects(struct auth *a, const struct identity *id, struct projects **ret,
			   struct err *e);
/* A session has ended: Keystone is told, where it was one of its. */
void auth_session_ended(struct auth *a, const char *token_id);
/* ERR_DENIED, ERR_BUSY: as auth_identify. The user's sessions end. */
int auth_change_password(struct auth *a, const char *user_id, const char *old_password,
			 const char *new_password, const char *address, unsigned *ret_retry_s,
			 struct err *e);

/*
 * Where there is no user yet: make the project "default" and the administrator "admin", whose
 * password lies in the new file `path`, which only its owner can read; 1. Else 0. A start that was
 * interrupted is finished by the next: there is never an administrator without a file. Safe when
 * many start at once: one of them makes it.
 */
int auth_first_start(struct auth *a, const char *path, struct err *e);

#define AUTH_PASSWORD 23 /* 22 digits: 130 bits */
/* A new password for the local user `name` (NULL: "admin"), who is enabled, too; sessions end, the
 * audit log tells of it. ERR_NOENT; ERR_INVALID: not a local user. */
int auth_reset_password(struct auth *a, const char *name, char ret_password[AUTH_PASSWORD],
			struct err *e);

#endif
