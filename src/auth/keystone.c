/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tokens go with each question: that of the client, which is asked about, and one of our own,
 * which says that we may ask. When Keystone refuses ours, another one is got once.
 *
 * A Keystone that does not answer is left alone for a few seconds: else every request would wait as
 * long as it takes to find out again.
 */
#include "auth/keystone_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define S 1000000ull
#define KEEP_S 60
#define KEEP_REFUSED_US (10 * S)
#define KEEP_AWAY_US (300 * S) /* longer, while Keystone is away */
#define DOWN_US (5 * S)
#define RENEW_US (120 * S) /* before our own token ends */
#define CACHE 16384

/* ---- making one ---- */

static char * or (const char *text, const char *otherwise)
{
	return xstrdup(text && *text ? text : otherwise);
}

struct keystone *keystone_new(const struct keystone_options *o, struct err *e)
{
	AUTO(keystone) k = xcalloc(1, sizeof(*k));
	size_t n;

	pthread_mutex_init(&k->lock, NULL);
	if (!http_is_url(o->url)) {
		err_set(e, ERR_INVALID, "url: write https://HOST:5000/v3");
		return NULL;
	}
	if (!o->user || !o->project || !o->password) {
		err_set(e, ERR_INVALID,
			"user, project and password of Holdfast's own user in Keystone are needed");
		return NULL;
	}
	k->url = xstrdup(o->url);
	for (n = strlen(k->url); n && k->url[n - 1] == '/';)
		k->url[--n] = 0;
	k->user = xstrdup(o->user);
	k->user_domain = or (o->user_domain, "Default");
	k->project = xstrdup(o->project);
	k->project_domain = or (o->project_domain, "Default");
	k->region = or (o->region, "RegionOne");
	k->password = secret_of(o->password->data, o->password->len);
	k->timeout_ms = o->timeout_ms ? o->timeout_ms : 10000;
	k->keep_us = (o->keep_s ? o->keep_s : KEEP_S) * S;
	k->http = http_new(o->ca);
	k->cache = idcache_new(CACHE);
	if (role_map_parse(o->roles ? o->roles : KEYSTONE_ROLES, &k->roles, e))
		return NULL;
	return steal(&k);
}

void keystone_free(struct keystone *k)
{
	if (!k)
		return;
	http_free(k->http);
	idcache_free(k->cache);
	role_map_done(&k->roles);
	secret_free(k->password);
	free(k->url);
	free(k->user);
	free(k->user_domain);
	free(k->project);
	free(k->project_domain);
	free(k->region);
	free(k->token);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* ---- a token of our own ---- */

json_t *keystone_password(const char *name, const char *domain, const char *password, size_t n)
{
	return json_pack("{s:[s], s:{s:{s:s, s:{s:s}, s:s%}}}", "methods", "password", "password",
			 "user", "name", name, "domain", "name", domain, "password", password, n);
}

int keystone_post(struct keystone *k, json_t *identity, json_t *scope, struct http_reply *r,
		  char **ret_token, struct err *e)
{
	AUTO_FREE char *url = xasprintf("%s/auth/tokens?nocatalog", k->url);
	static const char *const headers[] = {"Content-Type: application/json",
					      "Accept: application/json"};
	json_t *o = json_pack("{s:{s:o, s:o}}", "auth", "identity", identity, "scope", scope);
	char *body = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const struct http_request q = {.method = "POST",
				       .url = url,
				       .headers = headers,
				       .n_headers = ARRAY_LEN(headers),
				       .data = body,
				       .len = body ? strlen(body) : 0,
				       .keep_headers = true,
				       .timeout_ms = k->timeout_ms};
	int rc = body ? http_do(k->http, &q, r, e)
		      : err_set(e, ERR_INVALID, "what is to be told to Keystone is not UTF-8");

	json_decref(o);
	if (body)
		secret_wipe(body, strlen(body));
	free(body);
	*ret_token = !rc && r->status == 201 ? http_reply_header(r, "X-Subject-Token") : NULL;
	return rc;
}

static uint64_t login_ends(const struct buf *b)
{
	json_t *o = json_loadb((const char *)b->data, b->len, JSON_REJECT_DUPLICATES, NULL);
	const char *ends =
		json_string_value(json_object_get(json_object_get(o, "token"), "expires_at"));
	uint64_t us = 0;

	if (ends)
		clock_parse_rfc3339(ends, &us);
	json_decref(o);
	return us;
}

/* Is there a token of which `old` is not the text, and that lasts? A copy of it. */
static char *known_token(struct keystone *k, const char *old)
{
	char *token = NULL;

	pthread_mutex_lock(&k->lock);
	if (k->token && (!old || strcmp(k->token, old) != 0) &&
	    k->token_ends_us > clock_wall_us() + RENEW_US)
		token = xstrdup(k->token);
	pthread_mutex_unlock(&k->lock);
	return token;
}

static char *log_in(struct keystone *k, struct err *e)
{
	struct http_reply r = {.body = BUF_INIT};
	char *token = NULL;
	int rc = keystone_post(k,
			       keystone_password(k->user, k->user_domain,
						 (const char *)k->password->data, k->password->len),
			       json_pack("{s:{s:s, s:{s:s}}}", "project", "name", k->project,
					 "domain", "name", k->project_domain),
			       &r, &token, e);

	if (!rc && !token) {
		/* Not the client's fault, so not ERR_DENIED. */
		rc = err_set(e, ERR_UNREACHABLE,
			     "Keystone at %s does not let Holdfast's own user \"%s\" in (status "
			     "%d): look at user, password, project and their domains",
			     k->url, k->user, r.status);
	}
	if (!rc) {
		pthread_mutex_lock(&k->lock);
		free(k->token);
		k->token = xstrdup(token);
		k->token_ends_us = login_ends(&r.body);
		pthread_mutex_unlock(&k->lock);
	}
	buf_done(&r.body);
	buf_done(&r.headers);
	return token;
}

char *keystone_token(struct keystone *k, const char *old, struct err *e)
{
	char *token = known_token(k, old);

	return token ? token : log_in(k, e);
}

/* ---- asking about a token ---- */

static int ask_with(struct keystone *k, const char *ours, const char *token, struct http_reply *r,
		    struct err *e)
{
	AUTO_FREE char *url = xasprintf("%s/auth/tokens?nocatalog", k->url);
	AUTO_FREE char *auth = xasprintf("X-Auth-Token: %s", ours);
	AUTO_FREE char *subject = xasprintf("X-Subject-Token: %s", token);
	const char *const headers[] = {auth, subject, "Accept: application/json"};
	const struct http_request q = {.method = "GET",
				       .url = url,
				       .headers = headers,
				       .n_headers = ARRAY_LEN(headers),
				       .timeout_ms = k->timeout_ms};

	return http_do(k->http, &q, r, e);
}

static int ask(struct keystone *k, const char *token, struct http_reply *r, struct err *e)
{
	AUTO_FREE char *ours = keystone_token(k, NULL, e);
	AUTO_FREE char *next = NULL;

	if (!ours || ask_with(k, ours, token, r, e))
		return -1;
	if (r->status != 401)
		return 0;
	buf_done(&r->body);
	next = keystone_token(k, ours, e);
	return next ? ask_with(k, next, token, r, e) : -1;
}

static int read_answer(struct keystone *k, const struct http_reply *r, struct identity **ret_id,
		       struct err *e)
{
	struct err why = {0};

	*ret_id = NULL;
	if (r->status == 404)
		return 0;
	if (r->status != 200)
		return err_set(e, ERR_UNREACHABLE, "Keystone at %s answers with status %d", k->url,
			       r->status);
	if (!keystone_read_token(k, (const char *)r->body.data, r->body.len, ret_id, &why))
		return 0;
	if (why.kind == ERR_DENIED)
		return 0;
	return err_set(e, ERR_UNREACHABLE, "%s", why.msg);
}

int keystone_is_up(struct keystone *k, struct err *e)
{
	uint64_t now = clock_mono_us();
	bool down;

	pthread_mutex_lock(&k->lock);
	down = now < k->down_until_us;
	pthread_mutex_unlock(&k->lock);
	return down ? err_set(e, ERR_UNREACHABLE, "Keystone at %s does not answer", k->url) : 0;
}

void keystone_note(struct keystone *k, bool good)
{
	pthread_mutex_lock(&k->lock);
	k->down_until_us = good ? 0 : clock_mono_us() + DOWN_US;
	pthread_mutex_unlock(&k->lock);
}

/* What Keystone says now. */
static int ask_now(struct keystone *k, const char *token, const char *project,
		   struct identity **ret_id, struct err *e)
{
	struct http_reply r = {.body = BUF_INIT};
	int rc;

	(void)project;
	if (keystone_is_up(k, e))
		return -1;
	rc = ask(k, token, &r, e);
	if (!rc)
		rc = read_answer(k, &r, ret_id, e);
	buf_done(&r.body);
	keystone_note(k, !rc);
	return rc;
}

static int refuse(struct err *e)
{
	return err_set(
		e, ERR_DENIED,
		"Keystone does not know this token, or it has expired, or is for no project");
}

static bool lasts(const struct identity *id)
{
	return id->expires_us > clock_wall_us();
}

static bool fits_header(const char *token)
{
	const char *p = token;

	while (*p > ' ' && *p <= '~' && p - token < KEYSTONE_TOKEN_MAX)
		p++;
	return !*p && p > token;
}

static bool usable(const struct identity *id, uint64_t age_us, uint64_t keep_us)
{
	return id && age_us < keep_us && lasts(id);
}

int keystone_remembered(struct keystone *k, const char *token, const char *project,
			keystone_ask_fn *ask_fn, struct identity **ret_id, struct err *e)
{
	AUTO(identity) known = NULL;
	struct identity *id = NULL;
	struct err why = {0};
	uint8_t key[IDCACHE_KEY];
	uint64_t age = 0;
	bool found;

	if (!fits_header(token))
		return refuse(e);
	idcache_key(k->cache, project != NULL, token, project, key);
	found = idcache_get(k->cache, key, 0, clock_mono_us(), &known, &age);
	if (found && !known && age < KEEP_REFUSED_US)
		return refuse(e);
	if (usable(known, age, k->keep_us)) {
		*ret_id = steal(&known);
		return 0;
	}
	if (ask_fn(k, token, project, &id, &why)) {
		if (usable(known, age, k->keep_us + KEEP_AWAY_US)) {
			*ret_id = steal(&known);
			return 0;
		}
		if (e)
			*e = why;
		return -1;
	}
	idcache_put(k->cache, key, 0, clock_mono_us(), id);
	if (!id)
		return refuse(e);
	*ret_id = id;
	return 0;
}

int keystone_validate(struct keystone *k, const char *token, struct identity **ret_id,
		      struct err *e)
{
	return keystone_remembered(k, token, NULL, ask_now, ret_id, e);
}
