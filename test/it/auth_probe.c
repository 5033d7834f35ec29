/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_probe FOLDER: what holdfastd does with a request's credentials, for tests against real
 * services. Reads a JSON object on each line of its input, and answers with one.
 *
 *	{"do": "keystone", "url": …, "user": …, "project": …, "password": …}	first, or not at all
 *	{"do": "oidc", "issuer": …, "client_id": …, "secret": …, "audience": …, "roles": …}	so,
 *too
 *	{"do": "open"}
 *	{"do": "project", "name": …}
 *	{"do": "begin", "redirect": …}		{"do": "finish", "state": …, "code": …, "cookie": …}
 *	{"do": "identify", "token": …, "authorization": …, "project": …, "action": …}
 *	{"do": "register", "public": …, "internal": …, "admin": …}
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "auth/account.h"
#include "auth/auth.h"
#include "auth/keystone.h"
#include "auth/oidc.h"
#include "base/clock.h"

#define TIMEOUT_MS 30000 /* a Keystone beside other tests is slow */

struct probe {
	const char *folder;
	struct db *db;
	struct keystone *keystone;
	struct oidc *oidc;
	struct auth *auth;
};

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static json_t *failed(const struct err *e)
{
	return json_pack("{s:s, s:s}", "error", err_info(e->kind)->name, "message", e->msg);
}

static json_t *do_keystone(struct probe *p, const json_t *q)
{
	const char *password = text(q, "password");
	AUTO(secret) s = secret_of(password, strlen(password));
	const struct keystone_options o = {.url = text(q, "url"),
					   .user = text(q, "user"),
					   .project = text(q, "project"),
					   .password = s,
					   .timeout_ms = TIMEOUT_MS};
	struct err e = {0};

	p->keystone = keystone_new(&o, &e);
	return p->keystone ? json_object() : failed(&e);
}

static json_t *do_oidc(struct probe *p, const json_t *q)
{
	AUTO(secret) s = secret_of(text(q, "secret"), strlen(text(q, "secret")));
	const struct oidc_options o = {.issuer = text(q, "issuer"),
				       .client_id = text(q, "client_id"),
				       .client_secret = s,
				       .audience = text(q, "audience"),
				       .user_claim = "name",
				       .roles = text(q, "roles"),
				       .timeout_ms = TIMEOUT_MS};
	struct err e = {0};

	p->oidc = oidc_new(&o, &e);
	return p->oidc ? json_object() : failed(&e);
}

struct project_of {
	const char *name;
	char id[AUTH_ID];
};

static int add_project(struct db_tx *t, void *arg, struct err *e)
{
	struct project_of *p = arg;

	return projects_add(t, &(struct project_new){.name = p->name}, p->id, e);
}

static json_t *do_project(struct probe *p, const json_t *q)
{
	struct project_of n = {.name = text(q, "name")};
	struct err e = {0};

	return db_write(p->db, add_project, &n, &e) ? failed(&e) : json_pack("{s:s}", "id", n.id);
}

static json_t *do_begin(struct probe *p, const json_t *q)
{
	AUTO_FREE char *url = NULL;
	char state[OIDC_STATE];
	struct err e = {0};

	if (auth_oidc_begin(p->auth, text(q, "redirect"), "/", &url, state, &e))
		return failed(&e);
	return json_pack("{s:s, s:s}", "url", url, "state", state);
}

static json_t *do_finish(struct probe *p, const json_t *q)
{
	const struct oidc_return r = {text(q, "state"), text(q, "code"), text(q, "cookie"),
				      "192.0.2.1"};
	char token[TOKEN_TEXT];
	struct err e = {0};
	uint64_t expires;

	if (auth_oidc_finish(p->auth, &r, token, &expires, &e))
		return failed(&e);
	return json_pack("{s:s}", "token", token);
}

static json_t *do_open(struct probe *p, const json_t *q)
{
	AUTO_FREE char *url = xasprintf("sqlite:%s/db", p->folder);
	AUTO_FREE char *key = xasprintf("%s/server.key", p->folder);
	const struct auth_options o = {.key_file = key, .keystone = p->keystone, .oidc = p->oidc};
	struct err e = {0};

	(void)q;
	p->db = db_open(url, &e);
	if (p->db)
		p->auth = auth_open(p->db, &o, &e);
	return p->auth ? json_object() : failed(&e);
}

static json_t *do_identify(struct probe *p, const json_t *q)
{
	const struct auth_request r = {.token = text(q, "token"),
				       .authorization = text(q, "authorization"),
				       .cookie = text(q, "cookie"),
				       .project = text(q, "project"),
				       .address = "192.0.2.1"};
	const char *action = text(q, "action");
	uint64_t begun = clock_mono_us();
	AUTO(identity) id = NULL;
	char roles[AUTH_ROLES_TEXT];
	struct err e = {0};
	json_t *o;

	if (auth_identify(p->auth, &r, &id, NULL, &e))
		return failed(&e);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:I}", "user_id", id->user_id,
		      "user_name", id->user_name, "project_id", id->project_id, "project_name",
		      id->project_name, "roles", auth_roles_text(id->roles, roles), "admin",
		      id->admin, "how", auth_how_name(id->how), "us",
		      (json_int_t)(clock_mono_us() - begun));
	if (action)
		json_object_set_new(o, "allowed",
				    json_boolean(!auth_allow(p->auth, id, action, r.project, &e)));
	return o;
}

static json_t *do_register(struct probe *p, const json_t *q)
{
	const struct keystone_service s = {.name = "holdfast",
					   .type = "data-protect",
					   .description = "Backup as a service",
					   .public_url = text(q, "public"),
					   .internal_url = text(q, "internal"),
					   .admin_url = text(q, "admin")};
	struct err e = {0};

	return keystone_register(p->keystone, &s, &e) ? failed(&e) : json_object();
}

static json_t *answer(struct probe *p, const json_t *q)
{
	static const struct {
		const char *name;
		json_t *(*fn)(struct probe *p, const json_t *q);
	} verbs[] = {
		{"keystone", do_keystone}, {"oidc", do_oidc},	      {"open", do_open},
		{"project", do_project},   {"identify", do_identify}, {"register", do_register},
		{"begin", do_begin},	   {"finish", do_finish},
	};

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, text(q, "do")))
			return verbs[i].fn(p, q);
	return json_pack("{s:s}", "error", "what?");
}

int main(int argc, char **argv)
{
	struct probe p = {.folder = argc > 1 ? argv[1] : "."};
	char line[65536];

	while (fgets(line, sizeof(line), stdin)) {
		json_t *q = json_loads(line, 0, NULL);
		json_t *a =
			q && text(q, "do") ? answer(&p, q) : json_pack("{s:s}", "error", "what?");

		json_dumpf(a, stdout, JSON_COMPACT);
		puts("");
		fflush(stdout);
		json_decref(a);
		json_decref(q);
	}
	auth_close(p.auth);
	keystone_free(p.keystone);
	oidc_free(p.oidc);
	db_close(p.db);
	return 0;
}
