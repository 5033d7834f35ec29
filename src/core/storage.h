/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h: targets, the repositories in them, and providers. Each project has a repository of its
 * own in each target that it uses, with a key of its own: nothing is deduplicated between tenants,
 * so nobody learns what another has.
 *
 * Secrets (a target's credentials, a repository's key) are sealed (auth/sealed.h) and never shown,
 * but for the key of a repository to an administrator who exports it (rule 8 of the architecture).
 * Threads: as transactions.
 */
#ifndef HF_CORE_STORAGE_H
#define HF_CORE_STORAGE_H

#include <jansson.h>

#include "core/operation.h"

struct target_new {
	const char *project; /* NULL: every project's */
	const char *name, *description, *url;
	const char *mover;	   /* NULL: any */
	const json_t *options;	   /* {"parity": percent} */
	const json_t *credentials; /* {"access_key", "secret_key", "session_token"}; NULL: none */
};
/* Does it use a directory of a machine, as itself or as its arbiter? */
bool target_uses_directory(const char *url);
int target_insert(struct core *c, struct db_tx *t, const struct target_new *n,
		  char ret_id[UUID_TEXT], struct err *e);
int target_set_credentials(struct core *c, struct db_tx *t, const char *id,
			   const json_t *credentials, struct err *e);
/* ERR_BUSY: a provider uses it, or checkpoints lie in it. What is stored there stays. */
int target_remove(struct db_tx *t, const char *id, struct err *e);
/* {url, credentials}, without any key: to look at it only. As repository_access. */
int target_access(struct core *c, struct db_tx *t, const char *id, json_t **ret, struct err *e);
/* Look whether it can be reached and how full it is: starts an operation. */
int target_check(struct core *c, struct db_tx *t, const char *project, const char *id,
		 const char *created_by, char ret_operation[UUID_TEXT], struct err *e);

/* The project's repository in the provider's target, made (in the database) where there is none. */
int repository_of(struct core *c, struct db_tx *t, const char *provider, const char *project,
		  char ret_id[UUID_TEXT], struct err *e);
/* {url, key, credentials}, as a mover takes it. To be handed to one only, and wiped with
 * json_decref. */
int repository_access(struct core *c, struct db_tx *t, const char *id, json_t **ret, struct err *e);
/* Who reaches it: operation_place(). */
int repository_place(struct db_tx *t, const char *id, char ret[OPERATION_PLACE], struct err *e);
/* The step that every step which stores in it needs: makes it, if it was not made yet. */
int repository_add_init(struct core *c, struct db_tx *t, const char *operation, const char *id,
			char ret_step[UUID_TEXT], struct err *e);

/* ERR_BUSY: a plan uses it. */
int provider_remove(struct db_tx *t, const char *id, struct err *e);

extern const struct flow_kind storage_init, storage_check;
extern const struct flow_operation_kind operation_target_check;

#endif
