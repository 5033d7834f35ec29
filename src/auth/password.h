/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password.h: passwords as they are stored ("$argon2id$v=19$m=…"), and whether one is right.
 *
 * A verification takes its memory (64 MiB) and a tenth of a second: only a few are made at the same
 * time, some more wait for their turn, the rest is told to come back. What was right is remembered
 * for some minutes (as an HMAC under a key of this process, over the stored text too, so a changed
 * password is not mistaken for it): programs send theirs with every request. Guessing is slowed
 * down (throttle.h), for a user from one address, for an address, and a little for a user from
 * everywhere, so that strangers cannot shut out who knows the password.
 *
 * Threads: thread-safe.
 */
#ifndef HF_AUTH_PASSWORD_H
#define HF_AUTH_PASSWORD_H

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024

struct passwords;

struct passwords_options {
	unsigned kib, passes, slots; /* 0: 64 MiB, 2, 2 */
};

struct passwords *passwords_new(const struct passwords_options *o);
void passwords_free(struct passwords *p);
DEFINE_AUTO(passwords, passwords_free);

/* The text to store, to be freed. ERR_INVALID, ERR_LIMIT. */
char *passwords_hash(struct passwords *p, const char *password, struct err *e);

/*
 * Is `password` that of user `name`, of whom `stored` is stored? `stored` NULL: there is no such
 * user, or no password; that takes as long. 0; ERR_DENIED: no; ERR_BUSY: not now, in *ret_retry_s
 * (may be NULL) seconds.
 */
int passwords_check(struct passwords *p, const char *name, const char *address, const char *stored,
		    const char *password, unsigned *ret_retry_s, struct err *e);

/* Is the password right, that somebody else knows? ERR_DENIED: no; anything else: not known. */
typedef int passwords_ask_fn(void *arg, struct err *e);
/* Ask, with the same brakes for guessing as passwords_check(). */
int passwords_guard(struct passwords *p, const char *name, const char *address,
		    passwords_ask_fn *ask, void *arg, unsigned *ret_retry_s, struct err *e);

#endif
