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
/* As keystone_parse_token, with the roles of `k`. */
int keystone_read_token(const struct keystone *k, const char *json, size_t n,
			struct identity **ret_id, struct err *e);

#endif
