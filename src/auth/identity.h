/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h: who asks, and what that one may be: roles.
 *
 * A role is held in a project, or everywhere ("*"): in every project and for what belongs to none
 * (other people's projects, users, services, quotas). An administrator is who holds `admin`
 * everywhere.
 *
 * Threads: an identity is read-only and counted; references may be given up by any thread.
 */
#ifndef HF_AUTH_IDENTITY_H
#define HF_AUTH_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define AUTH_ID 65	    /* 32 or 64 hexadecimal digits, or a UUID, and a NUL */
#define AUTH_EVERYWHERE "*" /* in place of a project's id */
#define AUTH_ROLES_TEXT 80  /* room for the names of all roles */

enum auth_role {
	AUTH_ADMIN = 1 << 0,
	AUTH_OPERATOR = 1 << 1, /* targets, platforms, movers, providers, policies */
	AUTH_MEMBER = 1 << 2,	/* protects and restores */
	AUTH_VIEWER = 1 << 3,
	AUTH_BACKUP = 1 << 4,  /* "backup-only": makes checkpoints, cannot read or remove them */
	AUTH_RESTORE = 1 << 5, /* "restore-only" */
	AUTH_MOVER = 1 << 6,   /* a mover; is not granted to people */
};
#define AUTH_ROLES_GRANTED 0x3fu

/* "admin", "operator", "member", "viewer", "backup-only", "restore-only", "mover" */
const char *auth_role_name(enum auth_role r);
/* 0: no such role */
unsigned auth_role_of(const char *name);
/* "admin, member" into `out` (AUTH_ROLES_TEXT bytes); returns `out`. */
char *auth_roles_text(unsigned roles, char *out);

enum auth_how {
	AUTH_HOW_TOKEN,	   /* an API token */
	AUTH_HOW_SESSION,  /* logged in, here or by OpenID Connect */
	AUTH_HOW_PASSWORD, /* name and password with the request */
	AUTH_HOW_MOVER,
	AUTH_HOW_KEYSTONE,
	AUTH_HOW_OIDC, /* a bearer token of the OpenID provider */
};
/* "token", "session", "password", "mover", "keystone", "oidc" */
const char *auth_how_name(enum auth_how how);

struct identity {
	char user_id[AUTH_ID]; /* of a mover: the mover's */
	char *user_name;
	/*
	 * The project that the token is for; where it is for none, that of the path, if the user
	 * may be there; else "".
	 */
	char project_id[AUTH_ID];
	char *project_name;
	unsigned roles;	     /* held in project_id, those held everywhere included */
	unsigned everywhere; /* held everywhere */
	unsigned most;	     /* what the token allows at most; 0: all that the user has */
	bool only;	     /* the token is for project_id and nothing else */
	bool admin;	     /* everywhere has AUTH_ADMIN */
	enum auth_how how;
	char token_id[AUTH_ID]; /* "" where there is none */
	uint64_t expires_us;	/* 0: never */
	_Atomic unsigned refs;	/* identity_ref, identity_free */
};

/* One reference, all texts empty. Never NULL. */
struct identity *identity_new(void);
struct identity *identity_ref(struct identity *id);
void identity_free(struct identity *id);
DEFINE_AUTO(identity, identity_free);

#endif
