/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.h: the platform and the target that a step names.
 *
 *	platform: {kind: "libvirt", uri}
 *	target: {url: "dir:/…" or "s3:…", key or passphrase, credentials}
 *
 * `key` is what a key file holds, or its 64 hexadecimal digits alone. `credentials`, for S3:
 * {access_key, secret_key, session_token}, or {from_host: true}: those of the mover's machine,
 * which are never taken where a step does not say so: a tenant's target must not be read with the
 * rights of the host.
 *
 * Threads: for the step's.
 */
#ifndef HF_STEP_OPEN_H
#define HF_STEP_OPEN_H

#include "repo/credential.h"
#include "step/step.h"

struct step_target {
	struct store *store;
	struct credential *key;
	struct repo *repo; /* NULL: only the store was opened */
};

/* The store and the key. `where` names it in messages. With `create` a directory is made. */
int step_open_store(const struct step *s, const json_t *spec, const char *where, bool create,
		    struct step_target *ret, struct err *e);
/* The store alone, for looking at it without a key; the caller's. */
struct store *step_open_bare(const struct step *s, const json_t *spec, const char *where,
			     struct err *e);
/* And the repository; ERR_KEY. `cache`: what is read of a distant one may come from this machine.
 */
int step_open_target(const struct step *s, const json_t *spec, const char *where,
		     struct step_target *ret, struct err *e);
void step_target_done(struct step_target *t);

struct platform *step_open_platform(const json_t *spec, struct err *e);

#endif
