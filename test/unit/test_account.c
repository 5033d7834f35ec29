/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/account.h"

#include <string.h>

#include "auth_fixture.h"
#include "base/clock.h"

/* ---- lists, in a transaction of their own ---- */

struct list {
	int what;
	const char *a, *b, *marker;
	size_t limit;
	void *ret;
};
enum { PROJECTS, USERS, GRANTS, TOKENS };

static int list(struct db_tx *t, void *arg, struct err *e)
{
	struct list *l = arg;

	if (l->what == PROJECTS)
		l->ret = projects_list(t, l->a, l->marker, l->limit, e);
	else if (l->what == USERS)
		l->ret = users_list(t, l->marker, l->limit, e);
	else if (l->what == GRANTS)
		l->ret = grants_list(t, l->a, l->b, e);
	else
		l->ret = tokens_list(t, l->a, l->b, l->marker, l->limit, e);
	return l->ret ? 0 : -1;
}

static void *in_list(struct db *d, struct list l)
{
	OK(db_read(d, list, &l, e));
	return l.ret;
}

static void test_projects(void **state)
{
	struct db_fixture *f = *state;
	char a[AUTH_ID], b[AUTH_ID], id[AUTH_ID];
	char names[5] = "";
	const char *marker = NULL;

	OK(in_add_project(f->db, "b", b, e));
	OK(in_add_project(f->db, "a", a, e));
	OK(in_add_project(f->db, "c", id, e));
	OK(in_add_project(f->db, "Z", id, e));
	assert_int_equal(strlen(a), 32);
	FAILS(ERR_EXISTS, in_add_project(f->db, "a", id, e));
	FAILS(ERR_INVALID, in_add_project(f->db, "", id, e));
	FAILS(ERR_INVALID, in_add_project(f->db, " a", id, e));
	FAILS(ERR_INVALID, in_add_project(f->db, "a\nb", id, e));
	FAILS(ERR_INVALID, in_add_project(f->db, "\xc3", id, e));
	FAILS(ERR_INVALID, in_add_project(f->db, "\xff", id, e));
	FAILS(ERR_INVALID, in_add_project(f->db, "\xe0\x80\x80", id, e));
	FAILS(ERR_INVALID, in_add_project(f->db, "\xed\xa0\x80", id, e));
	/* By pages of one, in the order of bytes. */
	for (size_t i = 0; i < 5; i++) {
		AUTO(projects)
		p = in_list(f->db, (struct list){.what = PROJECTS, .marker = marker, .limit = 1});

		if (!p->n)
			break;
		names[i] = p->v[0].name[0];
		memcpy(id, p->v[0].id, sizeof(id));
		marker = id;
		assert_true(p->v[0].enabled);
		assert_string_equal(p->v[0].quota_class, "default");
	}
	assert_string_equal(names, "Zabc");
	OK(in_change_project(
		f->db, a, (struct project_change){.name = "a2", .description = "new", .enabled = 0},
		e));
	FAILS(ERR_EXISTS,
	      in_change_project(f->db, a, (struct project_change){.name = "b", .enabled = -1}, e));
	OK(in_change_project(f->db, a, (struct project_change){.name = "a2", .enabled = -1}, e));
	FAILS(ERR_NOENT,
	      in_change_project(f->db, "none", (struct project_change){.enabled = -1}, e));
	OK(in_remove_project(f->db, b, e));
	FAILS(ERR_NOENT, in_remove_project(f->db, b, e));
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM projects WHERE name = 'a2' AND "
				       "description = 'new' AND enabled = 0"),
			 1);
}

static void test_users(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	char a[AUTH_ID], b[AUTH_ID], id[AUTH_ID];

	auth_fixture_open(&x, f->db);
	OK(in_add_user(&x, "alice", a, e));
	OK(in_add_user(&x, "bob", b, e));
	FAILS(ERR_EXISTS, in_add_user(&x, "bob", id, e));
	FAILS(ERR_INVALID, in_add_user(&x, "a:b", id, e));
	OK(in_grant(f->db, a, "*", AUTH_ADMIN, e));
	OK(in_grant(f->db, a, "*", AUTH_ADMIN, e));
	OK(in_grant(f->db, a, "*", AUTH_VIEWER, e));
	{
		AUTO(users) u = in_list(f->db, (struct list){.what = USERS, .limit = 10});

		assert_int_equal(u->n, 2);
		assert_string_equal(u->v[0].name, "alice");
		assert_int_equal(u->v[0].everywhere, AUTH_ADMIN | AUTH_VIEWER);
		assert_int_equal(u->v[1].everywhere, 0);
		assert_true(u->v[1].has_password);
		assert_int_equal(u->v[1].last_login_us, 0);
	}
	OK(in_change_user(f->db, b,
			  (struct user_change){.name = "bert", .email = "b@x.org", .enabled = -1},
			  e));
	FAILS(ERR_EXISTS,
	      in_change_user(f->db, b, (struct user_change){"alice", .enabled = -1}, e));
	FAILS(ERR_NOENT, in_change_user(f->db, "x", (struct user_change){.enabled = 1}, e));
	FAILS(ERR_NOENT, in_remove_user(f->db, "x", e));
	OK(in_remove_user(f->db, b, e));
	auth_fixture_close(&x);
}

/* However the last administrator is taken away: it does not work, and nothing has changed. */
static void test_last_administrator(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	char a[AUTH_ID], b[AUTH_ID], p[AUTH_ID];

	auth_fixture_open(&x, f->db);
	OK(in_add_project(f->db, "p", p, e));
	OK(in_add_user(&x, "alice", a, e));
	OK(in_add_user(&x, "bob", b, e));
	OK(in_grant(f->db, a, "*", AUTH_ADMIN, e));
	OK(in_grant(f->db, b, p, AUTH_ADMIN, e)); /* of a project: does not count */
	FAILS(ERR_CONFLICT, in_remove_user(f->db, a, e));
	FAILS(ERR_CONFLICT, in_revoke_grant(f->db, a, "*", AUTH_ADMIN, e));
	FAILS(ERR_CONFLICT, in_change_user(f->db, a, (struct user_change){.enabled = 0}, e));
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM users WHERE enabled = 1"), 2);
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM grants"), 2);
	OK(in_grant(f->db, b, "*", AUTH_ADMIN, e));
	OK(in_change_user(f->db, a, (struct user_change){.enabled = 0}, e));
	/* The other one is disabled: it does not count either. */
	FAILS(ERR_CONFLICT, in_remove_user(f->db, b, e));
	OK(in_remove_user(f->db, a, e));
	FAILS(ERR_CONFLICT, in_revoke_grant(f->db, b, "*", AUTH_ADMIN, e));
	auth_fixture_close(&x);
}

static void test_grants(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	char a[AUTH_ID], p[AUTH_ID], q[AUTH_ID];

	auth_fixture_open(&x, f->db);
	OK(in_add_project(f->db, "p", p, e));
	OK(in_add_project(f->db, "q", q, e));
	OK(in_add_user(&x, "alice", a, e));
	OK(in_grant(f->db, a, p, AUTH_MEMBER, e));
	OK(in_grant(f->db, a, p, AUTH_BACKUP, e));
	OK(in_grant(f->db, a, q, AUTH_VIEWER, e));
	FAILS(ERR_NOENT, in_grant(f->db, "nobody", p, AUTH_MEMBER, e));
	FAILS(ERR_NOENT, in_grant(f->db, a, "nowhere", AUTH_MEMBER, e));
	FAILS(ERR_INVALID, in_grant(f->db, a, p, AUTH_MOVER, e));
	FAILS(ERR_INVALID, in_grant(f->db, a, p, AUTH_MEMBER | AUTH_VIEWER, e));
	FAILS(ERR_INVALID, in_grant(f->db, a, p, 0, e));
	FAILS(ERR_NOENT, in_revoke_grant(f->db, a, q, AUTH_MEMBER, e));
	{
		AUTO(grants) g = in_list(f->db, (struct list){.what = GRANTS, .a = a});
		AUTO(grants) h = in_list(f->db, (struct list){.what = GRANTS, .b = p});
		AUTO(projects)
		mine = in_list(f->db, (struct list){.what = PROJECTS, .a = a, .limit = 9});

		assert_int_equal(g->n, 3);
		assert_int_equal(h->n, 2);
		assert_int_equal(h->v[0].role, AUTH_BACKUP);
		assert_string_equal(h->v[0].user_name, "alice");
		assert_string_equal(h->v[0].project_name, "p");
		assert_int_equal(mine->n, 2);
	}
	OK(in_remove_project(f->db, p, e));
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM grants"), 1);
	auth_fixture_close(&x);
}

static void test_tokens(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	char a[AUTH_ID], p[AUTH_ID], id[AUTH_ID];
	char text[TOKEN_TEXT], other[TOKEN_TEXT];
	struct token_new k = {.kind = TOKEN_API, .name = "ci", .user = a};

	auth_fixture_open(&x, f->db);
	OK(in_add_project(f->db, "p", p, e));
	OK(in_add_user(&x, "alice", a, e));
	OK(in_add_token(f->db, k, id, text, e));
	OK(in_add_token(f->db, k, id, other, e));
	assert_string_not_equal(text, other);
	assert_int_equal(strncmp(text, "hf_", 3), 0);
	assert_int_equal(strlen(text), 46);
	k.project = p;
	k.roles = AUTH_VIEWER;
	k.expires_us = clock_wall_us() + 1000000000;
	OK(in_add_token(f->db, k, id, text, e));
	{
		AUTO(tokens) l = in_list(f->db, (struct list){.what = TOKENS, .a = a, .limit = 2});
		AUTO(tokens)
		m = in_list(
			f->db,
			(struct list){.what = TOKENS, .a = a, .marker = l->v[1].id, .limit = 2});
		AUTO(tokens)
		none = in_list(f->db, (struct list){.what = TOKENS, .b = "session", .limit = 2});

		assert_int_equal(l->n, 2);
		assert_string_equal(l->v[0].id, id);
		assert_int_equal(l->v[0].roles, AUTH_VIEWER);
		assert_int_equal(l->v[0].expires_us, k.expires_us);
		assert_string_equal(l->v[0].project_id, p);
		assert_string_equal(l->v[1].project_id, "");
		assert_int_equal(m->n, 1);
		assert_int_equal(none->n, 0);
	}
	/* The text is nowhere. */
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM tokens WHERE name LIKE 'hf%'"), 0);
	k.expires_us = 5;
	FAILS(ERR_INVALID, in_add_token(f->db, k, id, text, e));
	k.expires_us = 0;
	k.project = "nowhere";
	FAILS(ERR_NOENT, in_add_token(f->db, k, id, text, e));
	k.project = NULL;
	k.user = "nobody";
	FAILS(ERR_NOENT, in_add_token(f->db, k, id, text, e));
	k.user = a;
	k.roles = AUTH_MOVER;
	FAILS(ERR_INVALID, in_add_token(f->db, k, id, text, e));
	FAILS(ERR_NOENT, in_revoke_token(f->db, "none", e));
	OK(in_change_user(f->db, a, (struct user_change){.enabled = 0}, e));
	k.roles = 0;
	FAILS(ERR_CONFLICT, in_add_token(f->db, k, id, text, e));
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM tokens WHERE revoked_at IS NULL"), 0);
	auth_fixture_close(&x);
}

/* A token that is for less cannot be used to get one that is for more. */
static void test_token_makes_no_more(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	char a[AUTH_ID], p[AUTH_ID], q[AUTH_ID], id[AUTH_ID];
	char text[TOKEN_TEXT];
	AUTO(identity) by = identity_new();

	auth_fixture_open(&x, f->db);
	OK(in_add_project(f->db, "p", p, e));
	OK(in_add_project(f->db, "q", q, e));
	OK(in_add_user(&x, "alice", a, e));
	struct token_new k = {.kind = TOKEN_API, .name = "ci", .user = a, .by = by};
	by->only = true;
	by->most = AUTH_VIEWER | AUTH_BACKUP;
	memcpy(by->project_id, p, sizeof(p));
	k.project = q;
	FAILS(ERR_DENIED, in_add_token(f->db, k, id, text, e));
	k.project = p;
	k.roles = AUTH_ADMIN;
	FAILS(ERR_DENIED, in_add_token(f->db, k, id, text, e));
	k.project = NULL;
	k.roles = 0;
	OK(in_add_token(f->db, k, id, text, e));
	AUTO(tokens) l = in_list(f->db, (struct list){.what = TOKENS, .limit = 9});
	assert_string_equal(l->v[0].project_id, p);
	assert_int_equal(l->v[0].roles, AUTH_VIEWER | AUTH_BACKUP);
	auth_fixture_close(&x);
}

static void test_join_once(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	char a[AUTH_ID], id[AUTH_ID], used[AUTH_ID];
	char text[TOKEN_TEXT];

	auth_fixture_open(&x, f->db);
	OK(in_add_user(&x, "alice", a, e));
	const struct token_new k = {.kind = TOKEN_JOIN, .name = "host 7", .user = a};
	OK(in_add_token(f->db, k, id, text, e));
	const struct auth_request q = {.token = text};
	struct identity *who;
	FAILS(ERR_DENIED, auth_identify(x.a, &q, &who, NULL, e));
	OK(in_use_up(f->db, text, used, e));
	assert_string_equal(used, id);
	FAILS(ERR_DENIED, in_use_up(f->db, text, used, e));
	FAILS(ERR_DENIED, in_use_up(f->db, "hfj_x", used, e));
	auth_fixture_close(&x);
}

struct race {
	struct db *d;
	const char *text;
	_Atomic unsigned won;
};

static void race(void *arg, unsigned number)
{
	struct race *r = arg;
	char id[AUTH_ID];

	(void)number;
	r->won += !in_use_up(r->d, r->text, id, NULL);
}

static void test_join_race(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	char a[AUTH_ID], id[AUTH_ID];
	char text[TOKEN_TEXT];
	struct race r = {.d = f->db, .text = text};

	auth_fixture_open(&x, f->db);
	OK(in_add_user(&x, "alice", a, e));
	const struct token_new k = {.kind = TOKEN_JOIN, .name = "host 7", .user = a};
	OK(in_add_token(f->db, k, id, text, e));
	test_threads(6, race, &r);
	assert_int_equal(r.won, 1);
	auth_fixture_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(test_projects),	 DB_TEST(test_users),	  DB_TEST(test_last_administrator),
		DB_TEST(test_grants),	 DB_TEST(test_tokens),	  DB_TEST(test_token_makes_no_more),
		DB_TEST(test_join_once), DB_TEST(test_join_race),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
