/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Against a provider that is a table here; a real one is in test/it/test_oidc.py.
 */
#include "auth/oidc.h"

#include <jansson.h>
#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/jws.h>
#include <pthread.h>
#include <string.h>

#include "auth_fixture.h"
#include "base/clock.h"
#include "net/http.h"
#include "repo/seal.h"

#define ISSUER "https://login.example.org/realm"
#define NOW 1800000000

/* ---- keys and tokens ---- */

static json_t *key(const char *template, const char *kid)
{
	json_t *k = json_loads(template, 0, NULL);

	assert_true(jose_jwk_gen(NULL, k));
	json_object_set_new(k, "kid", json_string(kid));
	return k;
}

static json_t *public_of(const json_t *k)
{
	json_t *copy = json_deep_copy(k);

	assert_true(jose_jwk_pub(NULL, copy));
	json_object_del(copy, "key_ops");
	return copy;
}

static char *set_of(json_t *a, json_t *b)
{
	json_t *set = json_pack("{s:[o, o]}", "keys", public_of(a), public_of(b));
	char *text = json_dumps(set, 0);

	json_decref(set);
	return text;
}

static char *b64(const char *text)
{
	size_t n = jose_b64_enc_buf(NULL, strlen(text), NULL, 0);
	char *out = xcalloc(1, n + 1);

	jose_b64_enc_buf(text, strlen(text), out, n);
	return out;
}

static char *sign(json_t *k, const char *header, const char *claims)
{
	AUTO_FREE char *payload = b64(claims);
	json_t *jws = json_pack("{s:s}", "payload", payload);
	json_t *sig = json_pack("{s:o}", "protected", json_loads(header, 0, NULL));
	char *token;

	assert_true(jose_jws_sig(NULL, jws, sig, k));
	token = xasprintf("%s.%s.%s", json_string_value(json_object_get(jws, "protected")), payload,
			  json_string_value(json_object_get(jws, "signature")));
	json_decref(sig);
	json_decref(jws);
	return token;
}

#define CLAIMS(iss, aud, sub, more)                                                                \
	"{\"iss\": \"" iss "\", \"aud\": " aud ", \"sub\": \"" sub "\"" more "}"
#define VALID ", \"exp\": 1800000600, \"nbf\": 1799999990"

static int check(const char *keys, const char *token, const char *nonce, struct err *e)
{
	char *claims = NULL;
	int rc = oidc_check(keys, token, ISSUER, "holdfast", nonce, NOW, &claims, e);

	free(claims);
	return rc;
}

struct keys {
	json_t *rsa, *ec, *other;
	char *set;
};

static int keys_up(void **state)
{
	struct keys *k = xcalloc(1, sizeof(*k));

	k->rsa = key("{\"kty\": \"RSA\", \"bits\": 2048}", "r1");
	k->ec = key("{\"kty\": \"EC\", \"crv\": \"P-256\"}", "e1");
	k->other = key("{\"kty\": \"RSA\", \"bits\": 2048}", "r1");
	k->set = set_of(k->rsa, k->ec);
	*state = k;
	return 0;
}

static int keys_down(void **state)
{
	struct keys *k = *state;

	json_decref(k->rsa);
	json_decref(k->ec);
	json_decref(k->other);
	free(k->set);
	free(k);
	return 0;
}

#define GOOD CLAIMS(ISSUER, "\"holdfast\"", "u1", VALID)
#define RS256 "{\"alg\": \"RS256\", \"kid\": \"r1\"}"

static void test_algorithms(void **state)
{
	static const struct {
		const char *header;
		bool ec;
	} t[] = {
		{RS256, false},
		{"{\"alg\": \"RS512\", \"kid\": \"r1\"}", false},
		{"{\"alg\": \"PS256\", \"kid\": \"r1\"}", false},
		{"{\"alg\": \"RS256\"}", false},
		{"{\"alg\": \"ES256\", \"kid\": \"e1\"}", true},
	};
	const struct keys *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO_FREE char *token = sign(t[i].ec ? k->ec : k->rsa, t[i].header, GOOD);

		OK(check(k->set, token, NULL, e));
	}
}

static void test_claims(void **state)
{
	static const struct {
		const char *claims, *nonce;
		bool good;
	} t[] = {
		{GOOD, NULL, true},
		{CLAIMS(ISSUER, "[\"x\", \"holdfast\"]", "u", VALID), NULL, true},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", VALID ", \"nonce\": \"n1\""), "n1", true},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", ", \"exp\": 1799999950"), NULL, true},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", ", \"exp\": 1799999940"), NULL, false},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", ", \"exp\": \"1800000600\""), NULL, false},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", ""), NULL, false},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", VALID ", \"nonce\": \"n2\""), "n1", false},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", VALID), "n1", false},
		{CLAIMS(ISSUER, "\"holdfast\"", "u", ", \"exp\": 1800000600, \"nbf\": 1800000100"),
		 NULL, false},
		{CLAIMS(ISSUER "/", "\"holdfast\"", "u", VALID), NULL, false},
		{CLAIMS(ISSUER, "\"holdfas\"", "u", VALID), NULL, false},
		{CLAIMS(ISSUER, "[]", "u", VALID), NULL, false},
		{CLAIMS(ISSUER, "7", "u", VALID), NULL, false},
		{CLAIMS(ISSUER, "\"holdfast\"", "", VALID), NULL, false},
		{"{}", NULL, false},
		{"[]", NULL, false},
		{"rubbish", NULL, false},
	};
	const struct keys *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO_FREE char *token = sign(k->rsa, RS256, t[i].claims);
		struct err err = {0};
		int rc = check(k->set, token, t[i].nonce, &err);

		if (!rc != t[i].good)
			fail_msg("row %zu: %s", i, err.msg);
		if (rc)
			assert_int_equal(err.kind, ERR_DENIED);
	}
}

/* "alg": "none", a public key taken for a shared secret, somebody else's key. */
static void test_forged(void **state)
{
	const struct keys *k = *state;
	AUTO_FREE char *payload = b64(GOOD);
	AUTO_FREE char *none = b64("{\"alg\": \"none\"}");
	AUTO_FREE char *unsigned_token = xasprintf("%s.%s.", none, payload);
	AUTO_FREE char *foreign = sign(k->other, RS256, GOOD);
	AUTO_FREE char *unknown = sign(k->other, "{\"alg\": \"RS256\", \"kid\": \"r9\"}", GOOD);
	AUTO_FREE char *crossed = sign(k->rsa, "{\"alg\": \"RS256\", \"kid\": \"e1\"}", GOOD);
	AUTO_FREE char *critical = sign(k->rsa, "{\"alg\": \"RS256\", \"crit\": [\"x\"]}", GOOD);
	json_t *secret = json_pack("{s:s, s:o}", "kty", "oct", "k",
				   json_incref(json_object_get(k->rsa, "n")));
	AUTO_FREE char *shared = sign(secret, "{\"alg\": \"HS256\", \"kid\": \"r1\"}", GOOD);

	FAILS(ERR_DENIED, check(k->set, unsigned_token, NULL, e));
	FAILS(ERR_DENIED, check(k->set, foreign, NULL, e));
	FAILS(ERR_NOENT, check(k->set, unknown, NULL, e));
	FAILS(ERR_NOENT, check(k->set, crossed, NULL, e));
	FAILS(ERR_DENIED, check(k->set, critical, NULL, e));
	FAILS(ERR_DENIED, check(k->set, shared, NULL, e));
	FAILS(ERR_DENIED, check(k->set, "", NULL, e));
	FAILS(ERR_DENIED, check(k->set, "..", NULL, e));
	FAILS(ERR_DENIED, check(k->set, "a.b.c", NULL, e));
	FAILS(ERR_DENIED, check(k->set, "a.b.c.d", NULL, e));
	FAILS(ERR_NOENT, check("rubbish", foreign, NULL, e));
	FAILS(ERR_NOENT, check("{\"keys\": 7}", foreign, NULL, e));
	FAILS(ERR_NOENT, check("{\"keys\": [7, {}]}", foreign, NULL, e));
	json_decref(secret);
}

/* Every bit of a token counts, but for those that base 64 leaves unused at the end of a part. */
static void test_every_character(void **state)
{
	const struct keys *k = *state;
	AUTO_FREE char *token = sign(k->ec, "{\"alg\": \"ES256\", \"kid\": \"e1\"}", GOOD);

	OK(check(k->set, token, NULL, e));
	for (char *p = token; *p; p++) {
		char was = *p;

		if (p[1] == '.' || !p[1])
			continue;
		*p = was == 'A' ? 'B' : 'A';
		if (!check(k->set, token, NULL, NULL))
			fail_msg("character %d", (int)(p - token));
		*p = was;
	}
}

/* ---- a provider ---- */

static struct {
	json_t *key, *next;
	char *set;
	unsigned keys_asked, codes;
	bool away, slow;
	char nonce[64], challenge[64];
	const char *groups;
	const char *audience; /* NULL: us */
} lab;

static uint64_t ahead_us;
uint64_t __real_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void);
int __wrap_http_do(struct http *h, const struct http_request *q, struct http_reply *ret,
		   struct err *e);

uint64_t __wrap_clock_mono_us(void)
{
	return __real_clock_mono_us() + ahead_us;
}

static char *token_of(json_t *k, const char *sub, const char *name, const char *nonce)
{
	AUTO_FREE char *claims = xasprintf(
		"{\"iss\": \"" ISSUER "\", \"aud\": \"%s\", \"sub\": \"%s\", "
		"\"preferred_username\": \"%s\", \"groups\": %s, \"nonce\": \"%s\", \"exp\": %llu}",
		lab.audience ? lab.audience : "holdfast", sub, name, lab.groups, nonce,
		(unsigned long long)(clock_wall_us() / 1000000 + 60));
	AUTO_FREE char *header = xasprintf("{\"alg\": \"ES256\", \"kid\": \"%s\"}",
					   json_string_value(json_object_get(k, "kid")));

	return sign(k, header, claims);
}

static void exchange(const struct http_request *q, struct http_reply *ret)
{
	AUTO_FREE char *form = xstrndup(q->data, q->len);
	char *verifier = strstr(form, "code_verifier=") + strlen("code_verifier=");
	AUTO_FREE char *token = NULL;
	uint8_t hash[HASH_BYTES];
	char coded[64] = "";

	lab.codes++;
	verifier[strcspn(verifier, "&")] = 0;
	sha256(verifier, strlen(verifier), hash);
	jose_b64_enc_buf(hash, sizeof(hash), coded, sizeof(coded));
	assert_string_equal(coded, lab.challenge);
	/* "holdfast:s%2Fcret" */
	assert_string_equal(q->headers[2], "Authorization: Basic aG9sZGZhc3Q6cyUyRmNyZXQ=");
	ret->status = strstr(form, "code=right&") ? 200 : 400;
	token = token_of(lab.key, "s1", "alice", lab.nonce);
	buf_fmt(&ret->body, "{\"id_token\": \"%s\", \"token_type\": \"Bearer\"}", token);
}

int __wrap_http_do(struct http *h, const struct http_request *q, struct http_reply *ret,
		   struct err *e)
{
	(void)h;
	*ret = (struct http_reply){.status = 200};
	if (lab.away)
		return err_set(e, ERR_UNREACHABLE, "no answer");
	if (!strcmp(q->url, ISSUER "/.well-known/openid-configuration")) {
		buf_text(&ret->body, "{\"issuer\": \"" ISSUER "\", "
				     "\"authorization_endpoint\": \"" ISSUER "/auth?x=1\", "
				     "\"token_endpoint\": \"" ISSUER "/token\", "
				     "\"jwks_uri\": \"" ISSUER "/keys\"}");
	} else if (!strcmp(q->url, ISSUER "/keys")) {
		lab.keys_asked++;
		clock_sleep_ms(lab.slow ? 300 : 0);
		buf_text(&ret->body, lab.set);
	} else if (!strcmp(q->url, ISSUER "/token")) {
		exchange(q, ret);
	} else {
		ret->status = 404;
	}
	return 0;
}

struct site {
	struct oidc *o;
	struct auth *a;
	struct db *d;
	char *folder, *key;
	char p[AUTH_ID];
};

static void site_open(struct site *s, struct db_fixture *f)
{
	AUTO(secret) secret = secret_of("s/cret", 6);
	const struct oidc_options o = {.issuer = ISSUER,
				       .client_id = "holdfast",
				       .client_secret = secret,
				       .audience = "backups",
				       .roles = "ops = operator@*, web = member@p, * = viewer@p, "
						"lost = admin@nowhere"};
	struct auth_options ao = {.password_kib = 64, .password_passes = 1};

	ahead_us = 0;
	memset(&lab, 0, sizeof(lab));
	lab.key = key("{\"kty\": \"EC\", \"crv\": \"P-256\"}", "k1");
	lab.next = key("{\"kty\": \"EC\", \"crv\": \"P-256\"}", "k2");
	lab.set = set_of(lab.key, lab.key);
	lab.groups = "[\"web\", \"lost\", 7]";
	s->d = f->db;
	s->folder = test_folder();
	ao.key_file = s->key = test_path(s->folder, "key");
	ao.oidc = s->o = OK_PTR(oidc_new(&o, e));
	s->a = OK_PTR(auth_open(f->db, &ao, e));
	OK(in_add_project(f->db, "p", s->p, e));
}

static void site_close(struct site *s)
{
	auth_close(s->a);
	oidc_free(s->o);
	free(s->key);
	test_folder_done(s->folder);
	json_decref(lab.key);
	json_decref(lab.next);
	free(lab.set);
}

static struct identity *who(struct site *s, const char *token, struct err *e)
{
	AUTO_FREE char *header = xasprintf("Bearer %s", token);
	const struct auth_request q = {.authorization = header, .project = s->p, .address = "a"};
	struct identity *id;

	return auth_identify(s->a, &q, &id, NULL, e) ? NULL : id;
}

static void test_bearer(void **state)
{
	struct site s;

	site_open(&s, *state);
	AUTO_FREE char *t = token_of(lab.key, "s1", "alice", "");
	for (int i = 0; i < 2; i++) {
		AUTO(identity) id = OK_PTR(who(&s, t, e));

		assert_string_equal(id->user_name, "alice");
		assert_int_equal(id->how, AUTH_HOW_OIDC);
		assert_int_equal(id->roles, AUTH_MEMBER | AUTH_VIEWER);
		assert_false(id->admin);
		OK(auth_allow(s.a, id, "plan:create", s.p, e));
		ahead_us += 6000000;
	}
	/* Another group: other roles; the same user. */
	lab.groups = "[\"ops\"]";
	AUTO_FREE char *ops = token_of(lab.key, "s1", "alice", "");
	AUTO(identity) op = OK_PTR(who(&s, ops, e));
	assert_int_equal(op->everywhere, AUTH_OPERATOR);
	assert_int_equal(op->roles, AUTH_OPERATOR | AUTH_VIEWER);
	/* Another subject of the same name is another user. */
	AUTO_FREE char *twin = token_of(lab.key, "s2", "alice", "");
	AUTO(identity) other = OK_PTR(who(&s, twin, e));
	assert_string_not_equal(other->user_id, op->user_id);
	assert_string_not_equal(other->user_name, "alice");
	assert_int_equal(in_int(s.d, "SELECT COUNT(*) FROM users WHERE source = 'oidc'"), 2);
	/* Disabled here. */
	OK(in_change_user(s.d, op->user_id, (struct user_change){.enabled = 0}, e));
	ahead_us += 6000000;
	FAILS_PTR(ERR_DENIED, who(&s, ops, e));
	site_close(&s);
}

static void test_new_keys(void **state)
{
	struct site s;

	site_open(&s, *state);
	AUTO_FREE char *old = token_of(lab.key, "s1", "alice", "");
	AUTO_FREE char *new = token_of(lab.next, "s1", "alice", "");
	identity_free(OK_PTR(who(&s, old, e)));
	assert_int_equal(lab.keys_asked, 1);
	/* Asked at once would be asked by everybody who sends rubbish. */
	FAILS_PTR(ERR_DENIED, who(&s, new, e));
	assert_int_equal(lab.keys_asked, 1);
	free(lab.set);
	lab.set = set_of(lab.key, lab.next);
	ahead_us += 11000000;
	identity_free(OK_PTR(who(&s, new, e)));
	assert_int_equal(lab.keys_asked, 2);
	/* The provider is away: what is known goes on. */
	lab.away = true;
	ahead_us += 3700000000;
	identity_free(OK_PTR(who(&s, old, e)));
	site_close(&s);
}

struct caller {
	struct site *s;
	const char *token;
	struct err e;
};

static void *call(void *arg)
{
	struct caller *c = arg;

	identity_free(who(c->s, c->token, &c->e));
	return NULL;
}

/* Who comes while the keys are asked for waits for them, and is not told that nobody answers. */
static void test_several_at_once(void **state)
{
	struct caller c[4];
	pthread_t threads[ARRAY_LEN(c)];
	struct site s;

	site_open(&s, *state);
	AUTO_FREE char *t = token_of(lab.key, "s1", "alice", "");
	AUTO_FREE char *new = token_of(lab.next, "s1", "alice", "");
	lab.slow = true;
	for (unsigned turn = 1; turn <= 2; turn++) {
		for (size_t i = 0; i < ARRAY_LEN(c); i++) {
			c[i] = (struct caller){&s, turn == 1 ? t : new, {0}};
			assert_int_equal(pthread_create(&threads[i], NULL, call, &c[i]), 0);
		}
		for (size_t i = 0; i < ARRAY_LEN(c); i++) {
			assert_int_equal(pthread_join(threads[i], NULL), 0);
			assert_int_equal(c[i].e.kind, ERR_NONE);
		}
		assert_int_equal(lab.keys_asked, turn);
		free(lab.set);
		lab.set = set_of(lab.key, lab.next);
		ahead_us += 11000000;
	}
	site_close(&s);
}

static void test_provider_away(void **state)
{
	struct site s;

	site_open(&s, *state);
	AUTO_FREE char *t = token_of(lab.key, "s1", "alice", "");
	lab.away = true;
	FAILS_PTR(ERR_UNREACHABLE, who(&s, t, e));
	lab.away = false;
	FAILS_PTR(ERR_UNREACHABLE, who(&s, t, e));
	ahead_us += 11000000;
	identity_free(OK_PTR(who(&s, t, e)));
	site_close(&s);
}

static void field(const char *url, const char *name, char *out, size_t n)
{
	const char *p = strstr(url, name);

	assert_non_null(p);
	snprintf(out, n, "%.*s", (int)strcspn(p + strlen(name), "&"), p + strlen(name));
}

static void test_browser(void **state)
{
	char session[TOKEN_TEXT], other_state[OIDC_STATE], state_text[OIDC_STATE];
	char *url, *other_url;
	uint64_t expires;
	struct site s;

	site_open(&s, *state);
	OK(auth_oidc_begin(s.a, "https://us/callback", "/", &url, state_text, e));
	OK(auth_oidc_begin(s.a, "https://us/callback", "/", &other_url, other_state, e));
	assert_non_null(strstr(url, ISSUER "/auth?x=1&response_type=code&client_id=holdfast&"
					   "redirect_uri=https%3A%2F%2Fus%2Fcallback&"
					   "scope=openid%20profile%20email&"));
	assert_non_null(strstr(url, "code_challenge_method=S256"));
	field(url, "nonce=", lab.nonce, sizeof(lab.nonce));
	field(url, "code_challenge=", lab.challenge, sizeof(lab.challenge));
	struct oidc_return r = {state_text, "right", other_state, "192.0.2.1"};
	/* Another browser's cookie, or none. */
	FAILS(ERR_DENIED, auth_oidc_finish(s.a, &r, session, &expires, e));
	r.cookie = NULL;
	FAILS(ERR_DENIED, auth_oidc_finish(s.a, &r, session, &expires, e));
	assert_int_equal(lab.codes, 0);
	r.cookie = state_text;
	OK(auth_oidc_finish(s.a, &r, session, &expires, e));
	const struct auth_request q = {.cookie = session, .project = s.p};
	struct identity *id;
	OK(auth_identify(s.a, &q, &id, NULL, e));
	assert_string_equal(id->user_name, "alice");
	assert_int_equal(id->how, AUTH_HOW_SESSION);
	assert_int_equal(id->roles, AUTH_MEMBER | AUTH_VIEWER);
	identity_free(id);
	/* Once. */
	FAILS(ERR_DENIED, auth_oidc_finish(s.a, &r, session, &expires, e));
	assert_int_equal(lab.codes, 1);
	/* The answer to another login. */
	field(other_url, "code_challenge=", lab.challenge, sizeof(lab.challenge));
	r = (struct oidc_return){other_state, "right", other_state, "192.0.2.1"};
	FAILS(ERR_DENIED, auth_oidc_finish(s.a, &r, session, &expires, e));
	free(url);
	free(other_url);
	site_close(&s);
}

static void test_what_a_login_takes(void **state)
{
	char session[TOKEN_TEXT], state_text[OIDC_STATE];
	struct oidc_return r;
	uint64_t expires;
	struct site s;
	char *url;

	site_open(&s, *state);
	/* A token for what programs use does not end a login; with a request it is good. */
	lab.audience = "backups";
	OK(auth_oidc_begin(s.a, "https://us/callback", "/", &url, state_text, e));
	field(url, "nonce=", lab.nonce, sizeof(lab.nonce));
	field(url, "code_challenge=", lab.challenge, sizeof(lab.challenge));
	r = (struct oidc_return){state_text, "right", state_text, "192.0.2.1"};
	FAILS(ERR_DENIED, auth_oidc_finish(s.a, &r, session, &expires, e));
	free(url);
	AUTO_FREE char *program = token_of(lab.key, "p1", "program", "");
	identity_free(OK_PTR(who(&s, program, e)));
	lab.audience = "others";
	AUTO_FREE char *others = token_of(lab.key, "p1", "program", "");
	FAILS_PTR(ERR_DENIED, who(&s, others, e));
	lab.audience = NULL;
	/* A wrong code, and one that comes too late. */
	OK(auth_oidc_begin(s.a, "https://us/callback", "/", &url, state_text, e));
	field(url, "code_challenge=", lab.challenge, sizeof(lab.challenge));
	r = (struct oidc_return){state_text, "wrong", state_text, "192.0.2.1"};
	FAILS(ERR_DENIED, auth_oidc_finish(s.a, &r, session, &expires, e));
	free(url);
	OK(auth_oidc_begin(s.a, "https://us/callback", "/", &url, state_text, e));
	OK(in_exec(s.d, "UPDATE oidc_logins SET expires_at = 5", e));
	r = (struct oidc_return){state_text, "right", state_text, "192.0.2.1"};
	FAILS(ERR_DENIED, auth_oidc_finish(s.a, &r, session, &expires, e));
	free(url);
	site_close(&s);
}

static void test_options(void **state)
{
	static const char *const bad[] = {"ops",	"ops = operator", "ops = boss@p",
					  "= member@p", "ops = member@",  "ops = mover@*"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct oidc_options o = {.issuer = ISSUER, .client_id = "a", .roles = bad[i]};

		FAILS_PTR(ERR_INVALID, oidc_new(&o, e));
	}
	const struct oidc_options none = {.issuer = ISSUER};
	const struct oidc_options wrong = {.issuer = "login", .client_id = "a"};
	FAILS_PTR(ERR_INVALID, oidc_new(&none, e));
	FAILS_PTR(ERR_INVALID, oidc_new(&wrong, e));
}

#define KEYS_TEST(fn) cmocka_unit_test_setup_teardown(fn, keys_up, keys_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEYS_TEST(test_algorithms),	  KEYS_TEST(test_claims),
		KEYS_TEST(test_forged),		  KEYS_TEST(test_every_character),
		cmocka_unit_test(test_options),	  DB_TEST(test_bearer),
		DB_TEST(test_new_keys),		  DB_TEST(test_several_at_once),
		DB_TEST(test_provider_away),	  DB_TEST(test_browser),
		DB_TEST(test_what_a_login_takes),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
