/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_fixture.h: an auth over a database of its own, with passwords that are quick to verify; and
 * what the functions of account.h do in a transaction of their own. For AUTH_TEST of db_fixture's
 * tests.
 */
#ifndef HF_TEST_AUTH_FIXTURE_H
#define HF_TEST_AUTH_FIXTURE_H

#include "auth/account.h"
#include "auth/audit.h"
#include "auth/auth.h"
#include "auth/rules.h"
#include "auth/sealed.h"
#include "db_fixture.h"

struct auth_fixture {
	struct db_fixture f;
	char *folder;
	char *key_file, *policy_file; /* the second is not used until it is there and reopened */
	struct auth *a;
};

/* Opens the database and the auth; `f` is a db_fixture that is open. */
void auth_fixture_open(struct auth_fixture *x, struct db *d);
void auth_fixture_close(struct auth_fixture *x);
/* -1 and the error of auth_open. */
int auth_fixture_reopen(struct auth_fixture *x, struct err *e);

int in_add_project(struct db *d, const char *name, char id[AUTH_ID], struct err *e);
int in_change_project(struct db *d, const char *id, struct project_change c, struct err *e);
int in_remove_project(struct db *d, const char *id, struct err *e);
/* A user with the password "password of NAME". */
int in_add_user(struct auth_fixture *x, const char *name, char id[AUTH_ID], struct err *e);
int in_change_user(struct db *d, const char *id, struct user_change c, struct err *e);
int in_remove_user(struct db *d, const char *id, struct err *e);
int in_grant(struct db *d, const char *user, const char *project, unsigned role, struct err *e);
int in_revoke_grant(struct db *d, const char *user, const char *project, unsigned role,
		    struct err *e);
int in_add_token(struct db *d, struct token_new k, char id[AUTH_ID], char text[TOKEN_TEXT],
		 struct err *e);
int in_revoke_token(struct db *d, const char *id, struct err *e);
int in_revoke_tokens(struct db *d, const char *user, struct err *e);
int in_use_up(struct db *d, const char *text, char id[AUTH_ID], struct err *e);
int in_audit(struct auth_fixture *x, struct audit_entry entry, struct err *e);
/* Run one statement without parameters. */
int in_exec(struct db *d, const char *sql, struct err *e);
int64_t in_int(struct db *d, const char *sql);

int in_seal(struct auth_fixture *x, const char *table, const char *row, const char *name,
	    const char *value, struct err *e);
/* The value, to be freed; NULL. */
char *in_unseal(struct auth_fixture *x, const char *table, const char *row, const char *name,
		struct err *e);

#endif
