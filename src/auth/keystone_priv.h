/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keystone_priv.h: what a keystone is made of, for its files.
 */
#ifndef HF_AUTH_KEYSTONE_PRIV_H
#define HF_AUTH_KEYSTONE_PRIV_H

#include <jansson.h>
#include <pthread.h>

#include "auth/idcache.h"
#include "auth/keystone.h"
#include "net/http.h"

#define KEYSTONE_TOKEN_MAX 8192
#define KEYSTONE_JSON_MAX ((size_t)1 << 20)
#define KEYSTONE_ROLES "admin = admin@*, manager = operator, member = member, reader = viewer"

struct role_map {
	struct {
		char *name;
		unsigned here, everywhere;
	} * v;
	size_t n;
};
void role_map_done(struct role_map *m);
/* "name = role, name = role@*" */
int role_map_parse(const char *text, struct role_map *ret, struct err *e);

struct keystone {
	struct http *http;
	char *url, *user, *user_domain, *project, *project_domain, *region;
	struct secret *password;
	struct role_map roles;
	unsigned timeout_ms;
	uint64_t keep_us;
	struct idcache *cache;
	pthread_mutex_t lock; /* of what follows; not held while asking */
	char *token;	      /* our own; NULL: none yet */
	uint64_t token_ends_us;
	uint64_t down_until_us; /* by clock_mono_us: did not answer, is not asked before */
};

/* A token of our own, to be freed; a new one where `old` (may be NULL) is the one that is known. */
char *keystone_token(struct keystone *k, const char *old, struct err *e);
/* What proves who one is, for keystone_post(). */
json_t *keystone_password(const char *name, const char *domain, const char *password, size_t n);
/*
 * POST /auth/tokens: `identity` and `scope` are taken over. 0: there is an answer in `r`, which the
 * caller ends (body, headers); *ret_token: a token, to be freed, or NULL: it was refused.
 */
int keystone_post(struct keystone *k, json_t *identity, json_t *scope, struct http_reply *r,
		  char **ret_token, struct err *e);

/* What Keystone says now of a token, in `project` where that is not NULL. *ret_id NULL: nobody. */
typedef int keystone_ask_fn(struct keystone *k, const char *token, const char *project,
			    struct identity **ret_id, struct err *e);
/* What it said before, if that still counts; else ask. Errors as keystone_validate(). */
int keystone_remembered(struct keystone *k, const char *token, const char *project,
			keystone_ask_fn *ask_fn, struct identity **ret_id, struct err *e);
/* ERR_UNREACHABLE: it did not answer a moment ago, and is left alone. */
int keystone_is_up(struct keystone *k, struct err *e);
void keystone_note(struct keystone *k, bool good);

/* As keystone_parse_token, with the roles of `k`. */
int keystone_read_token(const struct keystone *k, const char *json, size_t n,
			struct identity **ret_id, struct err *e);
/* Of a token that is for no project: only whose it is, and until when. */
int keystone_read_user(const char *json, size_t n, struct identity **ret_id, struct err *e);

#endif
