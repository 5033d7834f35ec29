/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth_fixture.h"
#include "base/clock.h"
#include "base/fio.h"

struct world {
	struct auth_fixture x;
	struct db *d;
	char p[AUTH_ID], q[AUTH_ID]; /* projects */
	char admin[AUTH_ID], alice[AUTH_ID], bob[AUTH_ID];
	char t_admin[TOKEN_TEXT], t_alice[TOKEN_TEXT]; /* wherever they may be */
	char alice_token[AUTH_ID];
};

static void world_open(struct world *w, struct db_fixture *f)
{
	char id[AUTH_ID];

	w->d = f->db;
	auth_fixture_open(&w->x, f->db);
	OK(in_add_project(w->d, "p", w->p, e));
	OK(in_add_project(w->d, "q", w->q, e));
	OK(in_add_user(&w->x, "admin", w->admin, e));
	OK(in_add_user(&w->x, "alice", w->alice, e));
	OK(in_add_user(&w->x, "bob", w->bob, e));
	OK(in_grant(w->d, w->admin, "*", AUTH_ADMIN, e));
	OK(in_grant(w->d, w->alice, w->p, AUTH_MEMBER, e));
	OK(in_grant(w->d, w->bob, w->q, AUTH_VIEWER, e));
	OK(in_add_token(w->d, (struct token_new){TOKEN_API, "t", w->admin}, id, w->t_admin, e));
	OK(in_add_token(w->d, (struct token_new){TOKEN_API, "t", w->alice}, w->alice_token,
			w->t_alice, e));
}

static void world_close(struct world *w)
{
	auth_fixture_close(&w->x);
}

static struct identity *who(struct world *w, struct auth_request q, struct err *e)
{
	struct identity *id;

	if (!q.address)
		q.address = "192.0.2.1";
	return auth_identify(w->x.a, &q, &id, NULL, e) ? NULL : id;
}

static void test_tokens(void **state)
{
	struct world w;

	world_open(&w, *state);
	for (int i = 0; i < 2; i++) { /* looked up, and remembered */
		AUTO(identity)
		a = OK_PTR(who(&w, (struct auth_request){.token = w.t_alice, .project = w.p}, e));
		AUTO(identity)
		b = OK_PTR(who(&w, (struct auth_request){.token = w.t_alice, .project = w.q}, e));
		AUTO(identity) c = OK_PTR(who(&w, (struct auth_request){.token = w.t_alice}, e));
		AUTO(identity)
		d = OK_PTR(who(&w, (struct auth_request){.token = w.t_admin, .project = w.q}, e));

		assert_string_equal(a->user_name, "alice");
		assert_string_equal(a->user_id, w.alice);
		assert_string_equal(a->project_id, w.p);
		assert_string_equal(a->project_name, "p");
		assert_string_equal(a->token_id, w.alice_token);
		assert_int_equal(a->roles, AUTH_MEMBER);
		assert_int_equal(a->how, AUTH_HOW_TOKEN);
		assert_false(a->admin);
		OK(auth_allow(w.x.a, a, "plan:create", w.p, e));
		FAILS(ERR_DENIED, auth_allow(w.x.a, a, "plan:create", w.q, e));
		/* A stranger in q. */
		assert_string_equal(b->project_id, "");
		assert_int_equal(b->roles, 0);
		FAILS(ERR_DENIED, auth_allow(w.x.a, b, "plan:get", w.q, e));
		FAILS(ERR_DENIED, auth_allow(w.x.a, b, "plan:get", w.p, e));
		assert_string_equal(c->project_id, "");
		assert_true(d->admin);
		assert_string_equal(d->project_id, w.q);
		OK(auth_allow(w.x.a, d, "plan:create", w.p, e));
		OK(auth_allow(w.x.a, d, "user:create", NULL, e));
	}
	world_close(&w);
}

static void test_refused(void **state)
{
	static const char *const headers[] = {"",	  "Bearer",	  "Bearer ",
					      "Basic",	  "Basic !!!!",	  "Basic YWxpY2U=",
					      "Digest x", "Bearer a.b.c", "Basic AGFsaWNlOmE="};
	struct world w;
	AUTO_FREE char *longest = xcalloc(1, 100001);

	world_open(&w, *state);
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.project = w.p}, e));
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.token = ""}, e));
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.token = "notused"}, e));
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.token = "hf_"}, e));
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.cookie = "hfs_rubbish"}, e));
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.user = "alice"}, e));
	FAILS_PTR(ERR_DENIED,
		  who(&w, (struct auth_request){.user = "alice\n", .key = "password"}, e));
	FAILS_PTR(ERR_DENIED,
		  who(&w, (struct auth_request){.user = "\xff\xfe", .key = "password"}, e));
	FAILS_PTR(ERR_DENIED,
		  who(&w, (struct auth_request){.user = "\xed\xa0\x80", .key = "password"}, e));
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		FAILS_PTR(ERR_DENIED,
			  who(&w, (struct auth_request){.authorization = headers[i]}, e));
	w.t_alice[20] ^= 1;
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.token = w.t_alice}, e));
	memset(longest, 'A', 100000);
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.token = longest}, e));
	memcpy(longest, "Basic ", 6);
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.authorization = longest}, e));
	longest[6 + 8000] = 0;
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.authorization = longest}, e));
	world_close(&w);
}

static char *basic(const char *name, const char *password)
{
	AUTO_FREE char *plain = xasprintf("%s:%s", name, password);
	char coded[1000];

	EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)plain, (int)strlen(plain));
	return xasprintf("Basic %s", coded);
}

static void test_passwords(void **state)
{
	AUTO_FREE char *right = basic("alice", "password of alice");
	AUTO_FREE char *wrong = basic("alice", "password of alic");
	struct world w;

	world_open(&w, *state);
	for (int i = 0; i < 2; i++) {
		AUTO(identity)
		a = OK_PTR(
			who(&w, (struct auth_request){.authorization = right, .project = w.p}, e));
		AUTO(identity)
		b = OK_PTR(who(&w,
			       (struct auth_request){
				       .user = "alice", .key = "password of alice", .project = w.p},
			       e));

		assert_int_equal(a->how, AUTH_HOW_PASSWORD);
		assert_string_equal(a->project_id, w.p);
		assert_int_equal(b->roles, AUTH_MEMBER);
		FAILS_PTR(
			ERR_DENIED,
			who(&w, (struct auth_request){.authorization = wrong, .project = w.p}, e));
	}
	OK(in_change_user(w.d, w.alice, (struct user_change){.enabled = 0}, e));
	FAILS_PTR(ERR_DENIED,
		  who(&w, (struct auth_request){.authorization = right, .project = w.p}, e));
	world_close(&w);
}

/* What is taken away stops working at once, though it was remembered. */
static void test_revocation_is_quick(void **state)
{
	struct world w;
	struct auth_request q;
	char id[AUTH_ID];
	char text[TOKEN_TEXT];

	world_open(&w, *state);
	q = (struct auth_request){.token = w.t_alice, .project = w.p};
	identity_free(OK_PTR(who(&w, q, e)));
	OK(in_grant(w.d, w.alice, w.p, AUTH_OPERATOR, e));
	for (int i = 0;; i++) { /* PostgreSQL tells a moment later */
		AUTO(identity) a = OK_PTR(who(&w, q, e));

		if (a->roles == (AUTH_MEMBER | AUTH_OPERATOR))
			break;
		assert_true(i < 100);
		clock_sleep_ms(10);
	}
	OK(in_revoke_token(w.d, w.alice_token, e));
	for (int i = 0;; i++) {
		AUTO(identity) a = who(&w, q, NULL);

		if (!a)
			break;
		assert_true(i < 100);
		clock_sleep_ms(10);
	}
	OK(in_add_token(w.d, (struct token_new){TOKEN_API, "t", w.alice}, id, text, e));
	q.token = text;
	identity_free(OK_PTR(who(&w, q, e)));
	OK(in_remove_user(w.d, w.alice, e));
	for (int i = 0;; i++) {
		AUTO(identity) a = who(&w, q, NULL);

		if (!a)
			break;
		assert_true(i < 100);
		clock_sleep_ms(10);
	}
	world_close(&w);
}

static void test_expiry(void **state)
{
	struct world w;
	char id[AUTH_ID];
	char text[TOKEN_TEXT];
	struct token_new k = {TOKEN_API, "t", .expires_us = clock_wall_us() + 400000};

	world_open(&w, *state);
	k.user = w.alice;
	OK(in_add_token(w.d, k, id, text, e));
	identity_free(OK_PTR(who(&w, (struct auth_request){.token = text}, e)));
	clock_sleep_ms(450);
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.token = text}, e));
	world_close(&w);
}

static void test_narrow_tokens(void **state)
{
	struct world w;
	char id[AUTH_ID];
	char text[TOKEN_TEXT];
	struct token_new k = {TOKEN_API, "t"};

	world_open(&w, *state);
	k.user = w.admin;
	k.project = w.p;
	OK(in_add_token(w.d, k, id, text, e));
	{
		/* An administrator's, for one project: not an administrator's any more. */
		AUTO(identity)
		a = OK_PTR(who(&w, (struct auth_request){.token = text, .project = w.q}, e));

		assert_false(a->admin);
		assert_true(a->only);
		assert_string_equal(a->project_id, w.p);
		OK(auth_allow(w.x.a, a, "plan:create", w.p, e));
		FAILS(ERR_DENIED, auth_allow(w.x.a, a, "plan:get", w.q, e));
		FAILS(ERR_DENIED, auth_allow(w.x.a, a, "user:create", NULL, e));
	}
	k.project = NULL;
	k.roles = AUTH_VIEWER;
	OK(in_add_token(w.d, k, id, text, e));
	{
		/* The administrator has not the role of a viewer: nothing is left. */
		AUTO(identity)
		a = OK_PTR(who(&w, (struct auth_request){.token = text, .project = w.q}, e));

		assert_int_equal(a->roles, 0);
	}
	world_close(&w);
}

static void test_mover(void **state)
{
	struct world w;
	char id[AUTH_ID];
	char text[TOKEN_TEXT];

	world_open(&w, *state);
	OK(in_add_token(w.d, (struct token_new){TOKEN_MOVER, "host 7", "mover-7"}, id, text, e));
	assert_int_equal(strncmp(text, "hfm_", 4), 0);
	AUTO(identity) m = OK_PTR(who(&w, (struct auth_request){.token = text, .project = w.p}, e));
	assert_int_equal(m->how, AUTH_HOW_MOVER);
	assert_string_equal(m->user_id, "mover-7");
	assert_string_equal(m->user_name, "host 7");
	assert_string_equal(m->project_id, "");
	OK(auth_allow(w.x.a, m, "mover:connect", NULL, e));
	FAILS(ERR_DENIED, auth_allow(w.x.a, m, "plan:get", w.p, e));
	OK(in_revoke_tokens(w.d, "mover-7", e));
	world_close(&w);
}

static void test_disabled_project(void **state)
{
	struct world w;

	world_open(&w, *state);
	OK(in_change_project(w.d, w.p, (struct project_change){.enabled = 0}, e));
	AUTO(identity)
	a = OK_PTR(who(&w, (struct auth_request){.token = w.t_alice, .project = w.p}, e));
	FAILS(ERR_DENIED, auth_allow(w.x.a, a, "plan:get", w.p, e));
	world_close(&w);
}

static void test_login(void **state)
{
	struct world w;
	struct login l = {"alice", "password of alice", NULL, "192.0.2.9"};
	char token[TOKEN_TEXT];
	uint64_t expires;

	world_open(&w, *state);
	OK(auth_login(w.x.a, &l, token, &expires, NULL, e));
	assert_true(expires > clock_wall_us());
	{
		AUTO(identity)
		a = OK_PTR(who(&w, (struct auth_request){.cookie = token, .project = w.p}, e));

		assert_int_equal(a->how, AUTH_HOW_SESSION);
		assert_int_equal(a->expires_us, expires);
	}
	l.project = w.p;
	OK(auth_login(w.x.a, &l, token, &expires, NULL, e));
	l.project = w.q;
	FAILS(ERR_DENIED, auth_login(w.x.a, &l, token, &expires, NULL, e));
	l.project = NULL;
	l.password = "wrong password";
	FAILS(ERR_DENIED, auth_login(w.x.a, &l, token, &expires, NULL, e));
	l.name = "nobody";
	FAILS(ERR_DENIED, auth_login(w.x.a, &l, token, &expires, NULL, e));
	assert_int_equal(in_int(w.d, "SELECT COUNT(*) FROM audit WHERE action = 'login' AND "
				     "outcome = 'done'"),
			 2);
	assert_int_equal(in_int(w.d, "SELECT COUNT(*) FROM audit WHERE outcome = 'denied'"), 2);
	assert_int_equal(in_int(w.d, "SELECT COUNT(*) FROM users WHERE last_login_at > 0"), 1);

	/* A new password: sessions end, API tokens stay. */
	FAILS(ERR_DENIED,
	      auth_change_password(w.x.a, w.alice, "wrong", "a new password", "a", NULL, e));
	FAILS(ERR_INVALID,
	      auth_change_password(w.x.a, w.alice, "password of alice", "short", "a", NULL, e));
	OK(auth_change_password(w.x.a, w.alice, "password of alice", "a new password", "a", NULL,
				e));
	clock_sleep_ms(100);
	FAILS_PTR(ERR_DENIED, who(&w, (struct auth_request){.cookie = token}, e));
	identity_free(OK_PTR(who(&w, (struct auth_request){.token = w.t_alice}, e)));
	l.name = "alice";
	l.password = "a new password";
	OK(auth_login(w.x.a, &l, token, &expires, NULL, e));
	world_close(&w);
}

struct starting {
	struct auth *a;
	const char *path;
	_Atomic unsigned made, failed;
};

static void start(void *arg, unsigned number)
{
	struct starting *s = arg;
	int rc = auth_first_start(s->a, s->path, NULL);

	(void)number;
	s->made += rc > 0;
	s->failed += rc < 0;
}

/* The password in `path` is that of an administrator. */
static void assert_first(struct auth_fixture *x, const char *path)
{
	AUTO_BUF b = BUF_INIT;
	char token[TOKEN_TEXT];
	struct identity *id;
	uint64_t expires;

	OK(fio_slurp(path, 100, &b, e));
	struct login l = {.name = "admin", .password = buf_str(&b), .address = "a"};
	assert_int_equal(b.len, AUTH_PASSWORD);
	b.data[b.len - 1] = 0; /* the end of the line */
	OK(auth_login(x->a, &l, token, &expires, NULL, e));
	const struct auth_request q = {.token = token};
	OK(auth_identify(x->a, &q, &id, NULL, e));
	assert_true(id->admin);
	identity_free(id);
}

static void test_first_start(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;

	auth_fixture_open(&x, f->db);
	AUTO_FREE char *path = xasprintf("%s/first", x.folder);
	AUTO_FREE char *early = xasprintf("%s.new", path);
	/* Interrupted before it was committed: what lies there is nobody's. */
	OK(fio_replace(early, "left over\n", 10, 0600, e));
	assert_int_equal(auth_first_start(x.a, path, NULL), 1);
	assert_int_equal(auth_first_start(x.a, path, NULL), 0);
	assert_first(&x, path);
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM projects WHERE name = 'default'"), 1);
	/* Interrupted between the commit and the name. */
	assert_int_equal(rename(path, early), 0);
	assert_int_equal(auth_first_start(x.a, path, NULL), 1);
	assert_first(&x, path);
	/* Another was quicker. */
	OK(fio_replace(early, "not it\n", 7, 0600, e));
	assert_int_equal(auth_first_start(x.a, path, NULL), 0);
	assert_int_equal(access(early, F_OK), -1);
	assert_first(&x, path);
	unlink(path);
	auth_fixture_close(&x);
}

static void test_first_start_of_many(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	struct starting s = {0};

	auth_fixture_open(&x, f->db);
	AUTO_FREE char *path = xasprintf("%s/first", x.folder);
	s.a = x.a;
	s.path = path;
	test_threads(4, start, &s);
	assert_int_equal(s.failed, 0);
	assert_int_equal(s.made, 1);
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM users"), 1);
	assert_first(&x, path);
	unlink(path);
	auth_fixture_close(&x);
}

static void test_reset_password(void **state)
{
	struct world w;
	char password[AUTH_PASSWORD], token[TOKEN_TEXT];
	struct login l = {.name = "alice", .password = "password of alice", .address = "a"};
	struct err err = {0};
	uint64_t expires;

	world_open(&w, *state);
	OK(in_change_user(w.d, w.alice, (struct user_change){.enabled = 0}, e));
	OK(auth_reset_password(w.x.a, "alice", password, e));
	assert_int_equal(auth_login(w.x.a, &l, token, &expires, NULL, &err), -1);
	l.password = password;
	OK(auth_login(w.x.a, &l, token, &expires, NULL, e));
	assert_int_equal(auth_reset_password(w.x.a, "nobody", password, &err), -1);
	assert_int_equal(err.kind, ERR_NOENT);
	assert_int_equal(in_int(w.d, "SELECT COUNT(*) FROM audit WHERE action = 'user:password' "
				     "AND detail = 'on the server''s machine'"),
			 1);
	world_close(&w);
}

static void test_look_after(void **state)
{
	struct world w;
	uint64_t now = clock_wall_us();

	world_open(&w, *state);
	identity_free(OK_PTR(who(&w, (struct auth_request){.token = w.t_alice}, e)));
	OK(auth_look_after(w.x.a, now, true, e));
	assert_int_equal(in_int(w.d, "SELECT COUNT(*) FROM tokens WHERE last_used_at > 0"), 1);
	OK(in_revoke_token(w.d, w.alice_token, e));
	OK(auth_look_after(w.x.a, now + 1000, true, e));
	assert_int_equal(in_int(w.d, "SELECT COUNT(*) FROM tokens"), 2);
	OK(auth_look_after(w.x.a, now + 48 * 3600 * 1000000ull, true, e));
	assert_int_equal(in_int(w.d, "SELECT COUNT(*) FROM tokens"), 1);
	world_close(&w);
}

static void test_policy_file(void **state)
{
	struct world w;
	AUTO(identity) a = NULL;
	struct err err = {0};

	world_open(&w, *state);
	OK(fio_replace(w.x.policy_file, "plan:get = operator\n", 20, 0600, e));
	OK(auth_fixture_reopen(&w.x, e));
	a = OK_PTR(who(&w, (struct auth_request){.token = w.t_alice, .project = w.p}, e));
	FAILS(ERR_DENIED, auth_allow(w.x.a, a, "plan:get", w.p, e));
	/* Broken: the old rules stay. */
	OK(fio_replace(w.x.policy_file, "plan:get = \nrubbish\n", 20, 0600, e));
	FAILS(ERR_INVALID, auth_reload(w.x.a, e));
	FAILS(ERR_DENIED, auth_allow(w.x.a, a, "plan:get", w.p, e));
	OK(fio_replace(w.x.policy_file, "plan:get = member  \n", 20, 0600, e));
	OK(auth_reload(w.x.a, e));
	OK(auth_allow(w.x.a, a, "plan:get", w.p, e));
	OK(fio_replace(w.x.policy_file, "rubbish", 7, 0600, e));
	assert_int_equal(auth_fixture_reopen(&w.x, &err), -1);
	assert_non_null(strstr(err.msg, "policy.conf:1:"));
	world_close(&w);
}

struct load {
	struct world *w;
	_Atomic unsigned bad;
};

static void identify_often(void *arg, unsigned number)
{
	struct load *l = arg;

	for (int i = 0; i < 300; i++) {
		struct auth_request q = {.token = number % 2 ? l->w->t_alice : l->w->t_admin,
					 .project = i % 2 ? l->w->p : l->w->q};
		struct identity *id = who(l->w, q, NULL);

		if (!id || id->admin == number % 2)
			l->bad++;
		if (id && auth_allow(l->w->x.a, id, "plan:get", q.project, NULL))
			l->bad += id->admin || i % 2;
		identity_free(id);
		if (!number && i % 50 == 0)
			l->bad += auth_reload(l->w->x.a, NULL) != 0;
		if (number == 1 && i % 60 == 0)
			l->bad += in_grant(l->w->d, l->w->bob, l->w->p, AUTH_VIEWER, NULL) != 0;
	}
}

static void test_threads_identify(void **state)
{
	struct world w;
	struct load l = {.w = &w};

	world_open(&w, *state);
	test_threads(4, identify_often, &l);
	assert_int_equal(l.bad, 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(test_tokens),
		DB_TEST(test_refused),
		DB_TEST(test_passwords),
		DB_TEST(test_revocation_is_quick),
		DB_TEST(test_expiry),
		DB_TEST(test_narrow_tokens),
		DB_TEST(test_mover),
		DB_TEST(test_disabled_project),
		DB_TEST(test_login),
		DB_TEST(test_first_start),
		DB_TEST(test_first_start_of_many),
		DB_TEST(test_reset_password),
		DB_TEST(test_look_after),
		DB_TEST(test_policy_file),
		DB_TEST(test_threads_identify),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
