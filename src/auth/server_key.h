/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_key.h: the file with the server's keys.
 *
 * A line for each: 64 hexadecimal digits, the key that is used first; "#" begins a comment. A key
 * is known by its id: the first 16 digits of SHA-256 over a fixed text and the key. The others are
 * old ones, for what was sealed with them. Only its owner may read the file.
 *
 * Threads: thread-safe.
 */
#ifndef HF_AUTH_SERVER_KEY_H
#define HF_AUTH_SERVER_KEY_H

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

#define SERVER_KEY_ID 17 /* 16 digits and a NUL */
#define SERVER_KEYS_MAX 16
#define SERVER_KEY_FILE_MAX ((size_t)64 << 10)

struct server_keys;

/* ERR_NOENT: there is no such file. ERR_INVALID: with file:line; or others can read it. */
struct server_keys *server_keys_load(const char *path, struct err *e);
/* A file with a new key. ERR_EXISTS. */
struct server_keys *server_keys_make(const char *path, struct err *e);
void server_keys_free(struct server_keys *k);
DEFINE_AUTO(server_keys, server_keys_free);

/* A copy of the key that is used, and its id. */
struct secret *server_keys_current(struct server_keys *k, char ret_id[SERVER_KEY_ID]);
/* A copy of the key with this id; reads the file again where it is not known yet. ERR_KEY. */
struct secret *server_keys_find(struct server_keys *k, const char *id, struct err *e);
/* Put a new key first, in the file and here. ERR_LIMIT: there are SERVER_KEYS_MAX. */
int server_keys_renew(struct server_keys *k, struct err *e);

#endif
