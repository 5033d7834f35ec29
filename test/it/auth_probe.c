/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_probe FOLDER: what holdfastd does with a request's credentials, for tests against real
 * services. Reads a JSON object on each line of its input, and answers with one.
 *
 *	{"do": "keystone", "url": …, "user": …, "project": …, "password": …}	first, or not at all
 *	{"do": "open"}
 *	{"do": "identify", "token": …, "authorization": …, "project": …, "action": …}
 *	{"do": "register", "url": …}
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "auth/account.h"
#include "auth/auth.h"
#include "auth/keystone.h"
#include "base/clock.h"

struct probe {
	const char *folder;
	struct db *db;
	struct keystone *keystone;
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
					   .timeout_ms = 5000};
	struct err e = {0};

	p->keystone = keystone_new(&o, &e);
	return p->keystone ? json_object() : failed(&e);
}

static json_t *do_open(struct probe *p)
{
	AUTO_FREE char *url = xasprintf("sqlite:%s/db", p->folder);
	AUTO_FREE char *key = xasprintf("%s/server.key", p->folder);
	const struct auth_options o = {.key_file = key, .keystone = p->keystone};
	struct err e = {0};

	p->db = db_open(url, &e);
	if (p->db)
		p->auth = auth_open(p->db, &o, &e);
	return p->auth ? json_object() : failed(&e);
}

static json_t *do_identify(struct probe *p, const json_t *q)
{
	const struct auth_request r = {.token = text(q, "token"),
				       .authorization = text(q, "authorization"),
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
	const char *what = text(q, "do");

	if (!strcmp(what, "keystone"))
		return do_keystone(p, q);
	if (!strcmp(what, "open"))
		return do_open(p);
	if (!strcmp(what, "register"))
		return do_register(p, q);
	return do_identify(p, q);
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
	db_close(p.db);
	return 0;
}
