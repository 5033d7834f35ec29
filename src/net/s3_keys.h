/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_keys.h: the key that requests are signed with: the first that is found in
 *
 *   AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN);
 *   the profile AWS_PROFILE in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials);
 *   what the cloud gives to a container or an instance (s3_metadata.h), which is renewed before it
 *   expires. If that fails, the old key is used as long as the service takes it.
 *
 * Threads: thread-safe.
 */
#ifndef HF_NET_S3_KEYS_H
#define HF_NET_S3_KEYS_H

#include <stdbool.h>

#include "base/err.h"
#include "net/sigv4.h"

struct s3_keys;

/* A key in use; read-only. */
struct s3_key {
	struct sigv4_key key;
	unsigned refs; /* s3_keys.c's */
};

/* Find a key. ERR_INVALID: there is none, and the message says where one can be put. */
struct s3_keys *s3_keys_open(struct err *e);
/* This key, copied, and no other. */
struct s3_keys *s3_keys_of(const struct sigv4_key *key);
void s3_keys_free(struct s3_keys *k);
/* The key to sign with now, to be given back; never NULL. */
struct s3_key *s3_keys_hold(struct s3_keys *k);
void s3_keys_release(struct s3_keys *k, struct s3_key *key);
/* The service says that the key has expired: false when there will not be another. */
bool s3_keys_expired(struct s3_keys *k);

/* The key of a profile in the text of a credentials file; false when it has none. */
bool s3_credentials_parse(const char *text, size_t n, const char *profile, struct sigv4_key *ret);

DEFINE_AUTO(s3_keys, s3_keys_free);

#endif
