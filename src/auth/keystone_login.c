/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People who log in here with their name and password of Keystone. The password goes to Keystone
 * once; what is kept for the session is a token for no project ("unscoped"), which is exchanged for
 * one of a project when the session asks for something there. So what somebody may is always
 * Keystone's word, as old as keystone_remembered() allows, and the session is over when Keystone
 * says so. Source of the format: OpenStack Identity API v3, "Authentication and token management".
 */
#include "auth/keystone_priv.h"

#include <stdio.h>
#include <string.h>

#include "auth/account.h"

static void reply_done(struct http_reply *r)
{
	if (r->headers.len)
		secret_wipe(r->headers.data, r->headers.len);
	buf_done(&r->body);
	buf_done(&r->headers);
}

static void token_done(char *token)
{
	if (token)
		secret_wipe(token, strlen(token));
	free(token);
}

/* An answer that is neither yes nor no. */
static int odd(const struct keystone *k, int status, struct err *e)
{
	return err_set(e, ERR_UNREACHABLE, "Keystone at %s answers with status %d", k->url, status);
}

/* ---- in a project ---- */

static int scope_now(struct keystone *k, const char *token, const char *project,
		     struct identity **ret_id, struct err *e)
{
	struct http_reply r = {.body = BUF_INIT};
	char *scoped = NULL;
	int rc;

	*ret_id = NULL;
	if (keystone_is_up(k, e))
		return -1;
	rc = keystone_post(k,
			   json_pack("{s:[s], s:{s:s}}", "methods", "token", "token", "id", token),
			   json_pack("{s:{s:s}}", "project", "id", project), &r, &scoped, e);
	if (!rc && scoped)
		rc = keystone_read_token(k, (const char *)r.body.data, r.body.len, ret_id, e);
	else if (!rc && r.status / 100 != 4)
		rc = odd(k, r.status, e);
	token_done(scoped);
	reply_done(&r);
	keystone_note(k, !rc);
	return rc;
}

int keystone_in_project(struct keystone *k, const char *token, const char *project,
			struct identity **ret_id, struct err *e)
{
	return keystone_remembered(k, token, project, scope_now, ret_id, e);
}

/* ---- which projects ---- */

static int with_token(struct keystone *k, const char *method, const char *path, const char *token,
		      const char *subject, struct http_reply *r, struct err *e)
{
	AUTO_FREE char *url = xasprintf("%s%s", k->url, path);
	AUTO_FREE char *auth = xasprintf("X-Auth-Token: %s", token);
	AUTO_FREE char *about = xasprintf("X-Subject-Token: %s", subject ? subject : "");
	const char *const headers[] = {auth, "Accept: application/json", about};
	const struct http_request q = {.method = method,
				       .url = url,
				       .headers = headers,
				       .n_headers = subject ? 3 : 2,
				       .timeout_ms = k->timeout_ms};
	int rc = http_do(k->http, &q, r, e);

	secret_wipe(auth, strlen(auth));
	secret_wipe(about, strlen(about));
	return rc;
}

struct projects *keystone_projects(struct keystone *k, const char *token, struct err *e)
{
	struct http_reply r = {.body = BUF_INIT};
	struct projects *p = NULL;

	if (!keystone_is_up(k, e) && !with_token(k, "GET", "/auth/projects", token, NULL, &r, e)) {
		if (r.status == 200)
			p = keystone_parse_projects((const char *)r.body.data, r.body.len, e);
		else
			odd(k, r.status, e);
	}
	buf_done(&r.body);
	return p;
}

void keystone_end(struct keystone *k, const char *token)
{
	struct http_reply r = {.body = BUF_INIT};

	/* Where it cannot be told, the token ends by itself. */
	(void)with_token(k, "DELETE", "/auth/tokens", token, token, &r, NULL);
	buf_done(&r.body);
}

/* ---- logging in ---- */

/* The id of the project to be in first. */
static int choose(const struct projects *all, const char *wanted, char ret[AUTH_ID], struct err *e)
{
	if (!all->n)
		return err_set(e, ERR_DENIED,
			       "Keystone knows no project in which you have a role: ask its "
			       "administrator for one");
	for (size_t i = 0; i < all->n; i++) {
		const struct project *p = &all->v[i];

		if (wanted && strcmp(p->id, wanted) != 0 && strcmp(p->name, wanted) != 0)
			continue;
		memcpy(ret, p->id, sizeof(p->id));
		return 0;
	}
	return err_set(e, ERR_DENIED, "project: you have no role in \"%.70s\"", wanted);
}

/* The token for no project, and until when it is good. */
static int open_door(struct keystone *k, const struct keystone_person *p, char **ret_token,
		     uint64_t *ret_expires_us, struct err *e)
{
	AUTO(identity) user = NULL;
	struct http_reply r = {.body = BUF_INIT};
	const char *domain = p->domain ? p->domain : "Default";
	int rc = keystone_is_up(k, e);

	*ret_token = NULL;
	if (!rc)
		rc = keystone_post(
			k, keystone_password(p->name, domain, p->password, strlen(p->password)),
			json_string("unscoped"), &r, ret_token, e);
	if (!rc && *ret_token)
		rc = keystone_read_user((const char *)r.body.data, r.body.len, &user, e);
	else if (!rc)
		rc = r.status / 100 == 4
			     ? err_set(e, ERR_DENIED, "the name or the password is wrong")
			     : odd(k, r.status, e);
	if (!rc)
		*ret_expires_us = user->expires_us;
	reply_done(&r);
	return rc;
}

int keystone_login(struct keystone *k, const struct keystone_person *p, struct secret **ret_token,
		   struct identity **ret_id, struct err *e)
{
	AUTO(projects) all = NULL;
	AUTO(identity) id = NULL;
	char project[AUTH_ID];
	uint64_t expires_us = 0;
	char *token = NULL;
	int rc = open_door(k, p, &token, &expires_us, e);

	if (!rc) {
		all = keystone_projects(k, token, e);
		rc = all ? choose(all, p->project, project, e) : -1;
	}
	if (!rc)
		rc = keystone_in_project(k, token, project, &id, e);
	if (!rc) {
		*ret_token = secret_of(token, strlen(token));
		*ret_id = steal(&id);
	}
	token_done(token);
	return rc;
}
