/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keystone.h: tokens of OpenStack's Identity service, API v3.
 *
 * A token is validated with a token of our own, which is got with the name and password of a
 * service user and renewed before it ends. Answers are kept for a minute (refusals 10 s), and not
 * longer than the token lives. While Keystone is away, what is kept counts for 5 minutes more.
 *
 * Threads: a keystone is thread-safe.
 */
#ifndef HF_AUTH_KEYSTONE_H
#define HF_AUTH_KEYSTONE_H

#include "auth/identity.h"
#include "base/secret.h"

struct keystone;

struct keystone_options {
	const char *url;		/* "https://keystone:5000/v3" */
	const char *ca;			/* file of certificates; NULL: the system's */
	const char *user, *user_domain; /* of the service; domain NULL: "Default" */
	const char *project, *project_domain;
	const struct secret *password; /* copied */
	const char *region;	       /* NULL: "RegionOne" */
	/* Roles of Keystone and what they mean, "name = role, name = role"; NULL: "admin = admin@*,
	 * manager = operator, member = member, reader = viewer". "@*": everywhere. */
	const char *roles;
	unsigned keep_s;     /* how long an answer is kept; 0: 60 */
	unsigned timeout_ms; /* 0: 10 s */
};
/* Does not ask anything yet. ERR_INVALID. */
struct keystone *keystone_new(const struct keystone_options *o, struct err *e);
void keystone_free(struct keystone *k);
DEFINE_AUTO(keystone, keystone_free);

/*
 * Whose is this token, and for which project? ERR_DENIED: Keystone does not know it, or it is for
 * no project; ERR_UNREACHABLE, ERR_TIMEOUT: Keystone does not answer as it should.
 */
int keystone_validate(struct keystone *k, const char *token, struct identity **ret_id,
		      struct err *e);

/* ---- people who log in here with their password ---- */

struct keystone_person {
	const char *name, *password;
	const char *domain;  /* NULL: "Default" */
	const char *project; /* its id or name; NULL: any that the user has */
};
/*
 * *ret_token: a token for no project in particular; *ret_id: who it is, in `project`. ERR_DENIED:
 * the name or the password is wrong, or the user has no role in the project; ERR_UNREACHABLE …
 */
int keystone_login(struct keystone *k, const struct keystone_person *p, struct secret **ret_token,
		   struct identity **ret_id, struct err *e);
/* Who is it in that project? Answers are kept, as those of keystone_validate(). */
int keystone_in_project(struct keystone *k, const char *token, const char *project,
			struct identity **ret_id, struct err *e);
/* Where a token's user may be. */
struct projects;
struct projects *keystone_projects(struct keystone *k, const char *token, struct err *e);
/* Keystone's answer to that, as text: for the fuzz target and tests. ERR_INVALID, ERR_LIMIT. */
struct projects *keystone_parse_projects(const char *json, size_t n, struct err *e);
/* Nobody is to use it any more. */
void keystone_end(struct keystone *k, const char *token);

/* ---- the catalogue ---- */

struct keystone_service {
	const char *name, *type; /* "holdfast", "data-protect" */
	const char *description;
	const char *public_url, *internal_url,
		*admin_url; /* "https://host:8799/v1/$(project_id)s" */
};
/* Make the service and its three endpoints, or correct them. Harmless to repeat. The service's user
 * needs Keystone's role `admin` for it. */
int keystone_register(struct keystone *k, const struct keystone_service *s, struct err *e);

/*
 * The answer to GET /v3/auth/tokens, as text: for the fuzz target and tests. `role_map` as in the
 * options. ERR_INVALID, ERR_LIMIT, ERR_DENIED (no project).
 */
int keystone_parse_token(const char *json, size_t n, const char *role_map, struct identity **ret_id,
			 struct err *e);

#endif
