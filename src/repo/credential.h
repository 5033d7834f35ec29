/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential.h: the secret that a person or a program brings to open a repository (format section
 * 5).
 *
 * A key file made by credential_make_file holds 256 random bits and needs no stretching; any other
 * file, and what is typed, is a passphrase. Threads: a credential is read-only once made.
 */
#ifndef HF_REPO_CREDENTIAL_H
#define HF_REPO_CREDENTIAL_H

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

#define CREDENTIAL_MAX 4096

enum credential_kind {
	CREDENTIAL_PASSPHRASE = 1,
	CREDENTIAL_KEY_FILE = 2,
	CREDENTIAL_MANAGER = 3,
};

struct credential {
	enum credential_kind kind;
	struct secret *secret;
};

/* A key file or a file with a passphrase. */
struct credential *credential_load(const char *path, struct err *e);
/* The bytes of a passphrase, copied; refuses an empty one. */
struct credential *credential_passphrase(const void *text, size_t n, struct err *e);
/* What a file holds, as credential_load sees it. */
struct credential *credential_parse(const void *bytes, size_t n, struct err *e);
/* Create a key file with a new key, readable by its owner only; refuses to replace a file. */
struct credential *credential_make_file(const char *path, struct err *e);
void credential_free(struct credential *c);

/* "passphrase", "key file", "key manager" */
const char *credential_kind_name(enum credential_kind kind);

DEFINE_AUTO(credential, credential_free);

#endif
