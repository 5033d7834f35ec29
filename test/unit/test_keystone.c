/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Against a Keystone that is a table here, with clocks that are moved; the real one is in
 * test/it/test_keystone.py.
 */
#include "auth/keystone.h"

#include <string.h>

#include "auth_fixture.h"
#include "base/clock.h"
#include "net/http.h"

#define S 1000000ull
#define SERVICE "gAAAA-service"
#define P "b5b2a4ea6a364a3a8a9b3a1d1f6a4c11"

#define BODY(user, more)                                                                           \
	"{\"token\": {\"user\": {\"id\": \"" user "\", \"name\": \"" user "\"}, "                  \
	"\"expires_at\": \"2099-11-22T10:00:00.000000Z\"" more "}}"
#define PROJECT ", \"project\": {\"id\": \"" P "\", \"name\": \"demo\"}"
#define ROLES(r) ", \"roles\": [{\"name\": \"" r "\"}]"

static struct {
	bool away;
	int status;	     /* of questions; 0: by token */
	unsigned generation; /* of the service's token; older ones are refused */
	unsigned logins, questions;
	bool wrong_password;
	char last_url[200];
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

static const char *header_of(const struct http_request *q, const char *name)
{
	for (size_t i = 0; i < q->n_headers; i++)
		if (!strncmp(q->headers[i], name, strlen(name)))
			return q->headers[i] + strlen(name) + 2;
	return "";
}

static int log_in(const struct http_request *q, struct http_reply *ret)
{
	AUTO_FREE char *body = xstrndup(q->data, q->len);

	lab.logins++;
	assert_non_null(strstr(body, "\"password\":\"s3cret\""));
	assert_non_null(strstr(body, "\"methods\":[\"password\"]"));
	assert_non_null(strstr(body, "\"scope\":{\"project\":{\"name\":\"service\""));
	if (lab.wrong_password) {
		ret->status = 401;
		return 0;
	}
	ret->status = 201;
	buf_text(&ret->body, BODY("holdfast", ""));
	assert_true(q->keep_headers);
	buf_fmt(&ret->headers, "X-Subject-Token: " SERVICE "%u\r\n", lab.generation);
	return 0;
}

static void answer(const char *token, struct http_reply *ret)
{
	static const struct {
		const char *token, *body;
	} t[] = {
		{"member", BODY("u1", PROJECT ROLES("member"))},
		{"Reader", BODY("u2", PROJECT ROLES("Reader"))},
		{"admin", BODY("u3", PROJECT ROLES("admin"))},
		{"other", BODY("u4", PROJECT ROLES("heat_stack_user"))},
		{"unscoped", BODY("u5", "")},
		{"system", BODY("u6", ", \"system\": {\"all\": true}" ROLES("reader"))},
		{"rubbish", "<html>"},
		{"star", "{\"token\": {\"user\": {\"id\": \"u\", \"name\": \"u\"}, "
			 "\"expires_at\": \"2099-11-22T10:00:00Z\", \"project\": {\"id\": \"*\", "
			 "\"name\": \"x\"}, \"roles\": []}}"},
	};

	ret->status = 404;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (!strcmp(t[i].token, token)) {
			ret->status = 200;
			buf_text(&ret->body, t[i].body);
		}
}

int __wrap_http_do(struct http *h, const struct http_request *q, struct http_reply *ret,
		   struct err *e)
{
	char service[40];

	(void)h;
	*ret = (struct http_reply){.status = 0};
	if (lab.away)
		return err_set(e, ERR_UNREACHABLE, "%s: no answer", q->url);
	if (!strcmp(q->method, "POST"))
		return log_in(q, ret);
	lab.questions++;
	snprintf(service, sizeof(service), SERVICE "%u", lab.generation);
	if (strcmp(header_of(q, "X-Auth-Token"), service) != 0)
		ret->status = 401;
	else if (lab.status)
		ret->status = lab.status;
	else
		answer(header_of(q, "X-Subject-Token"), ret);
	return 0;
}

static struct keystone *connect_roles(const char *roles, struct err *e)
{
	AUTO(secret) password = secret_of("s3cret", 6);
	const struct keystone_options o = {.url = "http://keystone/v3/",
					   .user = "holdfast",
					   .project = "service",
					   .password = password,
					   .roles = roles};

	memset(&lab, 0, sizeof(lab));
	ahead_us = 0;
	return keystone_new(&o, e);
}

static struct identity *ask(struct keystone *k, const char *token, struct err *e)
{
	struct identity *id;

	return keystone_validate(k, token, &id, e) ? NULL : id;
}

static void test_who(void **state)
{
	static const struct {
		const char *token;
		unsigned roles, everywhere;
		const char *project;
	} t[] = {
		{"member", AUTH_MEMBER, 0, P},
		{"Reader", AUTH_VIEWER, 0, P},
		{"admin", AUTH_ADMIN, AUTH_ADMIN, P},
		{"other", 0, 0, P},
		{"system", AUTH_VIEWER, AUTH_VIEWER, ""},
	};
	AUTO(keystone) k = OK_PTR(connect_roles(NULL, e));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		AUTO(identity) id = OK_PTR(ask(k, t[i].token, e));

		assert_int_equal(id->how, AUTH_HOW_KEYSTONE);
		assert_int_equal(id->roles, t[i].roles);
		assert_int_equal(id->everywhere, t[i].everywhere);
		assert_string_equal(id->project_id, t[i].project);
	}
	FAILS_PTR(ERR_DENIED, ask(k, "unscoped", e));
	FAILS_PTR(ERR_DENIED, ask(k, "unknown", e));
	FAILS_PTR(ERR_UNREACHABLE, ask(k, "rubbish", e));
	ahead_us += 6 * S;
	FAILS_PTR(ERR_UNREACHABLE, ask(k, "star", e));
	assert_int_equal(lab.logins, 1);
}

/* What cannot be in a header never gets there. */
static void test_no_injection(void **state)
{
	AUTO(keystone) k = OK_PTR(connect_roles(NULL, e));
	AUTO_FREE char *longest = xcalloc(1, 9001);

	(void)state;
	FAILS_PTR(ERR_DENIED, ask(k, "member\r\nX-Auth-Token: other", e));
	FAILS_PTR(ERR_DENIED, ask(k, "a b", e));
	FAILS_PTR(ERR_DENIED, ask(k, "a\xc3\xa4", e));
	memset(longest, 'a', 9000);
	FAILS_PTR(ERR_DENIED, ask(k, longest, e));
	assert_int_equal(lab.questions, 0);
}

static void test_remembered(void **state)
{
	AUTO(keystone) k = OK_PTR(connect_roles(NULL, e));

	(void)state;
	for (int i = 0; i < 10; i++) {
		identity_free(OK_PTR(ask(k, "member", e)));
		FAILS_PTR(ERR_DENIED, ask(k, "unknown", e));
	}
	assert_int_equal(lab.questions, 2);
	ahead_us += 11 * S;
	FAILS_PTR(ERR_DENIED, ask(k, "unknown", e));
	identity_free(OK_PTR(ask(k, "member", e)));
	assert_int_equal(lab.questions, 3);
	ahead_us += 50 * S;
	identity_free(OK_PTR(ask(k, "member", e)));
	assert_int_equal(lab.questions, 4);
}

/* Our own token was revoked: another one is got, once. */
static void test_own_token(void **state)
{
	AUTO(keystone) k = OK_PTR(connect_roles(NULL, e));

	(void)state;
	identity_free(OK_PTR(ask(k, "member", e)));
	lab.generation++;
	identity_free(OK_PTR(ask(k, "admin", e)));
	assert_int_equal(lab.logins, 2);
	lab.generation++;
	lab.wrong_password = true;
	FAILS_PTR(ERR_UNREACHABLE, ask(k, "Reader", e));
	assert_int_equal(lab.logins, 3);
}

static void test_away(void **state)
{
	AUTO(keystone) k = OK_PTR(connect_roles(NULL, e));

	(void)state;
	identity_free(OK_PTR(ask(k, "member", e)));
	lab.away = true;
	ahead_us += 61 * S;
	/* What is known goes on, what is new has to wait. */
	identity_free(OK_PTR(ask(k, "member", e)));
	FAILS_PTR(ERR_UNREACHABLE, ask(k, "admin", e));
	/* It is left alone for a moment even when it is back. */
	lab.away = false;
	FAILS_PTR(ERR_UNREACHABLE, ask(k, "admin", e));
	ahead_us += 6 * S;
	identity_free(OK_PTR(ask(k, "admin", e)));
	/* Not for ever. */
	lab.status = 503;
	ahead_us += 359 * S;
	identity_free(OK_PTR(ask(k, "admin", e)));
	ahead_us += 10 * S;
	FAILS_PTR(ERR_UNREACHABLE, ask(k, "admin", e));
}

static void test_role_map(void **state)
{
	(void)state;
	AUTO(keystone)
	k = OK_PTR(connect_roles("member = backup-only, MEMBER=restore-only, admin=operator@*", e));
	AUTO(identity) id = OK_PTR(ask(k, "member", e));
	AUTO(identity) admin = OK_PTR(ask(k, "admin", e));
	assert_int_equal(id->roles, AUTH_BACKUP | AUTH_RESTORE);
	assert_int_equal(admin->everywhere, AUTH_OPERATOR);
	assert_false(admin->admin);
	FAILS_PTR(ERR_INVALID, connect_roles("member", e));
	FAILS_PTR(ERR_INVALID, connect_roles("member = boss", e));
	FAILS_PTR(ERR_INVALID, connect_roles("member = mover", e));
	FAILS_PTR(ERR_INVALID, connect_roles("= member", e));
}

static void test_options(void **state)
{
	const struct keystone_options none = {.url = "http://keystone/v3"};
	const struct keystone_options wrong = {.url = "keystone:5000"};

	(void)state;
	FAILS_PTR(ERR_INVALID, keystone_new(&none, e));
	FAILS_PTR(ERR_INVALID, keystone_new(&wrong, e));
}

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"token\": []}",
		"{\"token\": {\"user\": {\"id\": \"a\", \"name\": \"a\"}}}",
		"{\"token\": {\"user\": {\"id\": \"\", \"name\": \"a\"}, \"expires_at\": "
		"\"2099-11-22T10:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": \"a/b\", \"name\": \"a\"}, \"expires_at\": "
		"\"2099-11-22T10:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": \"a\"}, \"expires_at\": "
		"\"2099-11-22T10:00:00Z\"}}",
		"{\"token\": {\"user\": {\"id\": \"a\", \"name\": \"a\"}, \"expires_at\": "
		"\"soon\"}}",
		BODY("u", PROJECT),
		BODY("u", PROJECT ", \"roles\": [{}]"),
		BODY("u", PROJECT ROLES("a") ROLES("b")),
	};
	struct identity *id;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		if (!keystone_parse_token(bad[i], strlen(bad[i]), NULL, &id, &err))
			fail_msg("row %zu was taken", i);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

/* ---- through auth ---- */

static struct identity *who(struct auth *a, const char *token, const char *project, struct err *e)
{
	const struct auth_request q = {.token = token, .project = project, .address = "a"};
	struct identity *id;

	return auth_identify(a, &q, &id, NULL, e) ? NULL : id;
}

static void test_through_auth(void **state)
{
	struct db_fixture *f = *state;
	AUTO(keystone) k = OK_PTR(connect_roles(NULL, e));
	char *folder = test_folder();
	char *key = test_path(folder, "key");
	const struct auth_options o = {.key_file = key, .keystone = k};
	char id[AUTH_ID];

	/* Its project has the name of one that is here: it gets a longer one. */
	OK(in_add_project(f->db, "demo", id, e));
	struct auth *a = OK_PTR(auth_open(f->db, &o, e));
	for (int i = 0; i < 3; i++) {
		AUTO(identity) m = OK_PTR(who(a, "member", P, e));

		OK(auth_allow(a, m, "plan:create", P, e));
		FAILS(ERR_DENIED, auth_allow(a, m, "plan:create", id, e));
		FAILS(ERR_DENIED, auth_allow(a, m, "quota:update", P, e));
	}
	assert_int_equal(lab.questions, 1);
	AUTO(identity) admin = OK_PTR(who(a, "admin", P, e));
	OK(auth_allow(a, admin, "quota:update", P, e));
	FAILS_PTR(ERR_DENIED, who(a, "hf_unknown", P, e));
	FAILS_PTR(ERR_DENIED, who(a, "unknown", P, e));
	assert_int_equal(lab.questions, 3);
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM projects WHERE id = '" P "' AND "
				       "name = 'demo " P "' AND source = 'keystone'"),
			 1);
	OK(in_change_project(f->db, P, (struct project_change){.enabled = 0}, e));
	ahead_us += 6 * S;
	AUTO(identity) out = OK_PTR(who(a, "member", P, e));
	FAILS(ERR_DENIED, auth_allow(a, out, "plan:create", P, e));
	auth_close(a);
	free(key);
	test_folder_done(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who),	   cmocka_unit_test(test_no_injection),
		cmocka_unit_test(test_remembered), cmocka_unit_test(test_own_token),
		cmocka_unit_test(test_away),	   cmocka_unit_test(test_role_map),
		cmocka_unit_test(test_options),	   cmocka_unit_test(test_parse),
		DB_TEST(test_through_auth),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
