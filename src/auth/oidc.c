/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/oidc_priv.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/sigv4.h"

#define S 1000000ull
#define KEYS_US (3600 * S)
#define RETRY_US (10 * S) /* a provider that was asked is left alone for so long */
#define ROLES_MAX 1000
#define ANSWER_MAX ((size_t)1 << 20)

/* ---- making one ---- */

/* "group = role@project" */
static int add_role(struct oidc *o, char *one, struct err *e)
{
	char *equals = strchr(one, '=');
	char *at = equals ? strchr(equals, '@') : NULL;
	struct oidc_role *r;
	unsigned role;

	if (!at)
		return err_set(e, ERR_INVALID,
			       "roles: write \"GROUP = role@PROJECT\" instead of \"%.60s\"", one);
	*equals = 0;
	*at = 0;
	role = auth_role_of(text_trim(equals + 1));
	if (!(role & AUTH_ROLES_GRANTED) || !*text_trim(one) || !*text_trim(at + 1))
		return err_set(e, ERR_INVALID,
			       "roles: \"%.40s\": the role has to be one of admin, operator, "
			       "member, viewer, backup-only and restore-only",
			       text_trim(equals + 1));
	if (o->n_roles == ROLES_MAX)
		return err_set(e, ERR_LIMIT, "roles: more than %d", ROLES_MAX);
	o->roles = xreallocarray(o->roles, o->n_roles + 1, sizeof(*o->roles));
	r = &o->roles[o->n_roles++];
	r->group = xstrdup(text_trim(one));
	r->project = xstrdup(text_trim(at + 1));
	r->role = role;
	return 0;
}

static int add_roles(struct oidc *o, const char *roles, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(roles ? roles : "");
	char *save = NULL;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		if (add_role(o, p, e))
			return -1;
	return 0;
}

/* "login.example.com" */
static char *host_of(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return xstrndup(host, strcspn(host, ":/?#"));
}

struct oidc *oidc_new(const struct oidc_options *p, struct err *e)
{
	AUTO(oidc) o = xcalloc(1, sizeof(*o));

	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->asked, NULL);
	if (!http_is_url(p->issuer) || !p->client_id || !*p->client_id) {
		err_set(e, ERR_INVALID,
			"issuer: write the provider's URL, and client_id: our name there");
		return NULL;
	}
	o->issuer = xstrdup(p->issuer);
	o->name = p->name ? xstrdup(p->name) : host_of(p->issuer);
	o->client_id = xstrdup(p->client_id);
	o->audience = xstrdup(p->audience ? p->audience : p->client_id);
	o->scopes = xstrdup(p->scopes ? p->scopes : "openid profile email");
	o->user_claim = xstrdup(p->user_claim ? p->user_claim : "preferred_username");
	o->groups_claim = xstrdup(p->groups_claim ? p->groups_claim : "groups");
	if (p->client_secret)
		o->client_secret = secret_of(p->client_secret->data, p->client_secret->len);
	o->timeout_ms = p->timeout_ms ? p->timeout_ms : 10000;
	o->http = http_new(p->ca);
	if (add_roles(o, p->roles, e))
		return NULL;
	return steal(&o);
}

static void places_done(struct oidc_places *p)
{
	free(p->authorize);
	free(p->token);
	free(p->keys);
	free(p->end);
	*p = (struct oidc_places){0};
}

void oidc_free(struct oidc *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n_roles; i++) {
		free(o->roles[i].group);
		free(o->roles[i].project);
	}
	free(o->roles);
	places_done(&o->places);
	json_decref(o->keys);
	http_free(o->http);
	secret_free(o->client_secret);
	free(o->name);
	free(o->issuer);
	free(o->client_id);
	free(o->audience);
	free(o->scopes);
	free(o->user_claim);
	free(o->groups_claim);
	pthread_cond_destroy(&o->asked);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* ---- asking the provider ---- */

/* The object that it answers with, to be released. */
static json_t *ask(struct oidc *o, const struct http_request *q, struct err *e)
{
	struct http_reply r = {.body = BUF_INIT};
	json_t *answer = NULL;

	if (http_do(o->http, q, &r, e))
		return NULL;
	if (r.status == 200 && r.body.len <= ANSWER_MAX)
		answer = json_loadb((const char *)r.body.data, r.body.len, JSON_REJECT_DUPLICATES,
				    NULL);
	if (!json_is_object(answer)) {
		json_decref(answer);
		answer = NULL;
		err_set(e, r.status / 100 == 4 && q->data ? ERR_DENIED : ERR_UNREACHABLE,
			"the OpenID provider: %s answers with status %d%s", q->url, r.status,
			r.status == 200 ? " and no object" : "");
	}
	buf_done(&r.body);
	return answer;
}

static json_t *get(struct oidc *o, const char *url, struct err *e)
{
	static const char *const headers[] = {"Accept: application/json"};
	const struct http_request q = {.method = "GET",
				       .url = url,
				       .headers = headers,
				       .n_headers = 1,
				       .timeout_ms = o->timeout_ms};

	return ask(o, &q, e);
}

/* Not less protected than the issuer. */
static char *place(const struct oidc *o, const json_t *d, const char *name)
{
	const char *url = json_string_value(json_object_get(d, name));

	if (!http_is_url(url) ||
	    (!strncmp(o->issuer, "https:", 6) && strncmp(url, "https:", 6) != 0))
		return NULL;
	return xstrdup(url);
}

static int fetch_places(struct oidc *o, struct oidc_places *ret, struct err *e)
{
	size_t n = strlen(o->issuer);
	AUTO_FREE char *url = xasprintf("%s%s.well-known/openid-configuration", o->issuer,
					o->issuer[n - 1] == '/' ? "" : "/");
	json_t *d = get(o, url, e);
	const char *issuer = json_string_value(json_object_get(d, "issuer"));
	int rc = 0;

	if (!d)
		return -1;
	ret->authorize = place(o, d, "authorization_endpoint");
	ret->token = place(o, d, "token_endpoint");
	ret->keys = place(o, d, "jwks_uri");
	ret->end = place(o, d, "end_session_endpoint");
	if (!issuer || strcmp(issuer, o->issuer) != 0)
		rc = err_set(e, ERR_UNREACHABLE,
			     "%s calls the provider \"%.200s\": write the issuer exactly so", url,
			     issuer ? issuer : "");
	else if (!ret->keys)
		rc = err_set(e, ERR_UNREACHABLE, "%s does not say where the keys are", url);
	json_decref(d);
	if (rc)
		places_done(ret);
	return rc;
}

static struct oidc_places copy(const struct oidc_places *p)
{
	return (struct oidc_places){xstrdup0(p->authorize), xstrdup0(p->token), xstrdup0(p->keys),
				    xstrdup0(p->end)};
}

/* Fetched where need be; copies, to be freed by places_done. */
static int find_places(struct oidc *o, struct oidc_places *ret, struct err *e)
{
	struct oidc_places p = {0};

	pthread_mutex_lock(&o->lock);
	if (o->places.keys)
		p = copy(&o->places);
	pthread_mutex_unlock(&o->lock);
	if (!p.keys) {
		if (fetch_places(o, &p, e))
			return -1;
		pthread_mutex_lock(&o->lock);
		places_done(&o->places);
		o->places = copy(&p);
		pthread_mutex_unlock(&o->lock);
	}
	*ret = p;
	return 0;
}

/* Threads share the keys, and jansson looks at their count before it changes it. */
static void drop_keys(struct oidc *o, json_t *keys)
{
	pthread_mutex_lock(&o->lock);
	json_decref(keys);
	pthread_mutex_unlock(&o->lock);
}

static json_t *fetch_keys(struct oidc *o, struct err *e)
{
	struct oidc_places p;
	json_t *keys;

	if (find_places(o, &p, e))
		return NULL;
	keys = get(o, p.keys, e);
	places_done(&p);
	if (!keys)
		return NULL;
	pthread_mutex_lock(&o->lock);
	json_decref(o->keys);
	o->keys = json_incref(keys);
	o->keys_us = clock_mono_us();
	pthread_mutex_unlock(&o->lock);
	return keys;
}

static json_t *ask_for_keys(struct oidc *o, struct err *e)
{
	json_t *keys = fetch_keys(o, e);

	pthread_mutex_lock(&o->lock);
	o->asking = false;
	pthread_cond_broadcast(&o->asked);
	pthread_mutex_unlock(&o->lock);
	return keys;
}

/* The keys, for drop_keys(). `fresh`: one is missing among those that are known. */
static json_t *find_keys(struct oidc *o, bool fresh, struct err *e)
{
	struct err why = {0};
	uint64_t now;
	json_t *known;
	json_t *keys = NULL;
	bool ask_now;

	pthread_mutex_lock(&o->lock);
	/* What somebody else is being told is news for us, too. */
	while (o->asking && (!o->keys || fresh))
		pthread_cond_wait(&o->asked, &o->lock);
	now = clock_mono_us();
	known = json_incref(o->keys);
	ask_now = !o->asking && (!known || fresh || now - o->keys_us > KEYS_US) &&
		  (!o->tried_us || now - o->tried_us > RETRY_US);
	if (ask_now) {
		o->tried_us = now;
		o->asking = true;
	}
	pthread_mutex_unlock(&o->lock);
	if (ask_now)
		keys = ask_for_keys(o, &why);
	else if (!known)
		err_set(&why, ERR_UNREACHABLE, "the OpenID provider %s does not answer", o->issuer);
	if (keys) {
		drop_keys(o, known);
		return keys;
	}
	/* Old keys are better than none while the provider is away. */
	if (!known && e)
		*e = why;
	return known;
}

/* ---- people ---- */

void oidc_person_done(struct oidc_person *p)
{
	for (size_t i = 0; i < p->n_groups; i++)
		free(p->groups[i]);
	free(p->groups);
	free(p->subject);
	free(p->name);
	free(p->email);
	*p = (struct oidc_person){0};
}

static const char *claim(const json_t *claims, const char *name)
{
	const char *t = json_string_value(json_object_get(claims, name));

	return t && *t && strlen(t) <= 255 ? t : NULL;
}

static void read_person(const struct oidc *o, const json_t *claims, struct oidc_person *p)
{
	const json_t *groups = json_object_get(claims, o->groups_claim);
	const char *name = claim(claims, o->user_claim);
	const char *email = claim(claims, "email");

	p->subject = xstrdup(claim(claims, "sub"));
	p->name = xstrdup(name ? name : p->subject);
	p->email = xstrdup(email ? email : "");
	p->expires_us = (uint64_t)(json_number_value(json_object_get(claims, "exp")) * 1e6);
	for (size_t i = 0; i < json_array_size(groups) && i < OIDC_GROUPS_MAX; i++) {
		const char *g = json_string_value(json_array_get(groups, i));

		if (!g)
			continue;
		p->groups = xreallocarray(p->groups, p->n_groups + 1, sizeof(*p->groups));
		p->groups[p->n_groups++] = xstrdup(g);
	}
}

int oidc_read(struct oidc *o, const char *token, const char *nonce, struct oidc_person *ret,
	      struct err *e)
{
	int64_t now_s = (int64_t)(clock_wall_us() / S);
	json_t *keys = find_keys(o, false, e);
	struct err why = {0};
	json_t *claims = NULL;
	int rc;

	if (!keys)
		return -1;
	rc = oidc_verify(keys, token, o, nonce, now_s, &claims, &why);
	drop_keys(o, keys);
	if (rc && why.kind == ERR_NOENT) {
		keys = find_keys(o, true, e);
		if (!keys)
			return -1;
		rc = oidc_verify(keys, token, o, nonce, now_s, &claims, &why);
		drop_keys(o, keys);
	}
	if (rc)
		return err_set(e, ERR_DENIED, "%s", why.msg);
	read_person(o, claims, ret);
	json_decref(claims);
	return 0;
}

/* ---- a code for a token ---- */

static void add_field(struct buf *b, const char *name, const char *value)
{
	buf_fmt(b, "%s%s=", b->len ? "&" : "", name);
	sigv4_encode(value, false, b);
}

/* "Authorization: Basic …" of our name and secret, each encoded as in a form (RFC 6749, 2.3.1). */
static char *basic(const struct oidc *o)
{
	AUTO_FREE char *secret =
		xstrndup((const char *)o->client_secret->data, o->client_secret->len);
	AUTO_BUF plain = BUF_INIT;
	AUTO_BUF coded = BUF_INIT;
	char *header;

	buf_reserve(&plain, 3 * (strlen(o->client_id) + strlen(secret)) + 2);
	sigv4_encode(o->client_id, false, &plain);
	buf_text(&plain, ":");
	sigv4_encode(secret, false, &plain);
	buf_reserve(&coded, plain.len * 2 + 8);
	coded.len = (size_t)EVP_EncodeBlock(coded.data, plain.data, (int)plain.len);
	header = xasprintf("Authorization: Basic %.*s", (int)coded.len, (char *)coded.data);
	secret_wipe(plain.data, plain.len);
	secret_wipe(coded.data, coded.len);
	secret_wipe(secret, strlen(secret));
	return header;
}

static json_t *post_code(struct oidc *o, const char *url, const struct buf *form, struct err *e)
{
	AUTO_FREE char *auth = o->client_secret ? basic(o) : NULL;
	const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
				       "Accept: application/json", auth};
	const struct http_request q = {.method = "POST",
				       .url = url,
				       .headers = headers,
				       .n_headers = auth ? 3 : 2,
				       .data = form->data,
				       .len = form->len,
				       .timeout_ms = o->timeout_ms};
	json_t *answer = ask(o, &q, e);

	if (auth)
		secret_wipe(auth, strlen(auth));
	return answer;
}

char *oidc_exchange(struct oidc *o, const char *code, const char *verifier, const char *redirect,
		    struct err *e)
{
	struct oidc_places p;
	AUTO_BUF form = BUF_INIT;
	json_t *answer;
	char *token;

	if (find_places(o, &p, e))
		return NULL;
	add_field(&form, "grant_type", "authorization_code");
	add_field(&form, "code", code);
	add_field(&form, "redirect_uri", redirect);
	add_field(&form, "code_verifier", verifier);
	if (!o->client_secret)
		add_field(&form, "client_id", o->client_id);
	if (!p.token)
		err_set(e, ERR_UNREACHABLE, "the OpenID provider has no place for codes");
	answer = p.token ? post_code(o, p.token, &form, e) : NULL;
	places_done(&p);
	if (!answer)
		return NULL;
	token = xstrdup0(json_string_value(json_object_get(answer, "id_token")));
	json_decref(answer);
	if (!token)
		err_set(e, ERR_DENIED,
			"the OpenID provider does not say who it is: is \"openid\" among the "
			"scopes?");
	return token;
}

static char *with_query(const char *place, struct buf *query)
{
	return xasprintf("%s%c%s", place, strchr(place, '?') ? '&' : '?', buf_str(query));
}

char *oidc_url(struct oidc *o, const char *redirect, const char *state, const char *nonce,
	       const char *challenge, struct err *e)
{
	AUTO_BUF query = BUF_INIT;
	struct oidc_places p;
	char *url = NULL;

	if (find_places(o, &p, e))
		return NULL;
	add_field(&query, "response_type", "code");
	add_field(&query, "client_id", o->client_id);
	add_field(&query, "redirect_uri", redirect);
	add_field(&query, "scope", o->scopes);
	add_field(&query, "state", state);
	add_field(&query, "nonce", nonce);
	add_field(&query, "code_challenge", challenge);
	add_field(&query, "code_challenge_method", "S256");
	if (p.authorize)
		url = with_query(p.authorize, &query);
	else
		err_set(e, ERR_UNREACHABLE, "the OpenID provider has no place for logging in");
	places_done(&p);
	return url;
}

char *oidc_end_url(struct oidc *o, const char *back)
{
	AUTO_BUF query = BUF_INIT;
	struct oidc_places p;
	char *url = NULL;

	if (find_places(o, &p, NULL))
		return NULL;
	add_field(&query, "client_id", o->client_id);
	add_field(&query, "post_logout_redirect_uri", back);
	if (p.end)
		url = with_query(p.end, &query);
	places_done(&p);
	return url;
}
