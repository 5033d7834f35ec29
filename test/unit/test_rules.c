/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/rules.h"

#include <string.h>

#include "base/fio.h"
#include "testing.h"

#define P "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

static struct identity *somebody(unsigned here, unsigned everywhere)
{
	struct identity *id = identity_new();

	memcpy(id->project_id, P, sizeof(P));
	id->roles = here | everywhere;
	id->everywhere = everywhere;
	id->admin = everywhere & AUTH_ADMIN;
	return id;
}

static bool may(const struct rules *r, unsigned here, unsigned everywhere, const char *action,
		const char *project)
{
	AUTO(identity) id = somebody(here, everywhere);
	struct err e = {0};
	int rc = rules_allow(r, id, action, project, &e);

	if (rc)
		assert_int_equal(e.kind, ERR_DENIED);
	if (rc)
		assert_non_null(strstr(e.msg, action));
	return !rc;
}

static void test_table_is_sorted(void **state)
{
	size_t n;
	const struct rule *t = rules_table(&n);

	(void)state;
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(t[i - 1].action, t[i].action) < 0);
	for (size_t i = 0; i < n; i++) {
		assert_true(t[i].roles | t[i].everywhere);
		assert_non_null(strchr(t[i].action, ':'));
	}
}

/* One line for each of Karbor's rules: they are what its client asks for. */
static void test_karbor_names(void **state)
{
	static const char *const names[] = {"plan:create",
					    "plan:update",
					    "plan:delete",
					    "plan:get",
					    "plan:get_all",
					    "restore:create",
					    "restore:update",
					    "restore:get",
					    "restore:get_all",
					    "protectable:get",
					    "protectable:get_all",
					    "protectable:instance_get",
					    "protectable:instance_get_all",
					    "provider:get",
					    "provider:get_all",
					    "provider:checkpoint_get",
					    "provider:checkpoint_get_all",
					    "provider:checkpoint_create",
					    "provider:checkpoint_delete",
					    "provider:checkpoint_update",
					    "trigger:create",
					    "trigger:update",
					    "trigger:delete",
					    "trigger:get",
					    "trigger:list",
					    "scheduled_operation:create",
					    "scheduled_operation:delete",
					    "scheduled_operation:get",
					    "scheduled_operation:list",
					    "operation_log:get",
					    "operation_log:list",
					    "verification:create",
					    "verification:get",
					    "verification:get_all",
					    "copy:create",
					    "quota:update",
					    "quota:delete",
					    "quota:get",
					    "quota:get_default",
					    "quota_class:update",
					    "quota_class:get",
					    "service:get_all",
					    "service:update"};
	AUTO(rules) r = rules_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!rules_get(r, names[i]))
			fail_msg("no rule %s", names[i]);
}

static void test_roles(void **state)
{
	static const struct {
		unsigned here, everywhere;
		const char *action, *project;
		bool may;
	} t[] = {
		{AUTH_MEMBER, 0, "plan:create", P, true},
		{AUTH_MEMBER, 0, "plan:create", OTHER, false},
		{AUTH_MEMBER, 0, "plan:create", NULL, false},
		{0, AUTH_MEMBER, "plan:create", OTHER, true},
		{0, 0, "plan:get", P, false},
		{AUTH_VIEWER, 0, "plan:get", P, true},
		{AUTH_VIEWER, 0, "plan:create", P, false},
		{AUTH_VIEWER, 0, "plan:get_all", NULL, false},
		{0, AUTH_VIEWER, "plan:get_all", NULL, true},
		{AUTH_BACKUP, 0, "provider:checkpoint_create", P, true},
		{AUTH_BACKUP, 0, "restore:create", P, false},
		{AUTH_BACKUP, 0, "provider:checkpoint_delete", P, false},
		{AUTH_RESTORE, 0, "restore:create", P, true},
		{AUTH_RESTORE, 0, "provider:checkpoint_create", P, false},
		{AUTH_RESTORE, 0, "provider:checkpoint_delete", P, false},
		{AUTH_OPERATOR, 0, "target:create", P, true},
		{AUTH_MEMBER, 0, "target:create", P, false},
		{AUTH_OPERATOR, 0, "target:create", NULL, false},
		{0, AUTH_OPERATOR, "target:create", NULL, true},
		/* An administrator of a project does not set its own quota. */
		{AUTH_ADMIN, 0, "quota:update", P, false},
		{AUTH_ADMIN, 0, "grant:create", P, true},
		{AUTH_ADMIN, 0, "grant:create", OTHER, false},
		{AUTH_ADMIN, 0, "user:create", NULL, false},
		{0, AUTH_ADMIN, "quota:update", P, true},
		{0, AUTH_ADMIN, "user:create", NULL, true},
		{AUTH_MOVER, AUTH_MOVER, "mover:connect", NULL, true},
		{AUTH_MOVER, AUTH_MOVER, "plan:get", P, false},
		{0, AUTH_ADMIN, "plan:conquer", P, false},
		{0, AUTH_ADMIN, "", P, false},
	};
	AUTO(rules) r = rules_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (may(r, t[i].here, t[i].everywhere, t[i].action, t[i].project) != t[i].may)
			fail_msg("row %zu: %s", i, t[i].action);
}

static struct rules *parse(const char *text, struct err *e)
{
	return rules_parse(text, strlen(text), "policy.conf", e);
}

static void test_file(void **state)
{
	AUTO(rules)
	r = OK_PTR(parse("# ours\n"
			 "\n"
			 "plan:delete = operator   # careful\r\n"
			 "quota:* = operator@*, viewer\n"
			 "report:get =\n"
			 "restore:*=member\nrestore:get = viewer,restore-only",
			 e));

	(void)state;
	assert_false(may(r, AUTH_MEMBER, 0, "plan:delete", P));
	assert_true(may(r, AUTH_OPERATOR, 0, "plan:delete", P));
	assert_true(may(r, AUTH_MEMBER, 0, "plan:create", P));
	assert_true(may(r, 0, AUTH_OPERATOR, "quota:update", P));
	assert_false(may(r, AUTH_OPERATOR, 0, "quota:update", P));
	assert_true(may(r, AUTH_VIEWER, 0, "quota:update", P));
	assert_false(may(r, AUTH_MEMBER, 0, "quota:get", P));
	assert_false(may(r, AUTH_MEMBER | AUTH_OPERATOR, 0, "report:get", P));
	/* Administrators cannot be locked out. */
	assert_true(may(r, 0, AUTH_ADMIN, "report:get", P));
	assert_false(may(r, AUTH_ADMIN, 0, "report:get", P));
	assert_true(may(r, AUTH_RESTORE, 0, "restore:get", P));
	assert_false(may(r, AUTH_RESTORE, 0, "restore:create", P));
}

static void test_file_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{"plan:create member", "policy.conf:1: write"},
		{"\n\nplan:create = membr\n", "policy.conf:3: \"membr\" is no role"},
		{"plan:conquer = member\n", "plan:create"},
		{"\nplans:create = member\n", "policy.conf:2: there is no action"},
		{"pl* = member, ,viewer", "policy.conf:1: \"\" is no role"},
		{"= member", "policy.conf:1"},
		{"nothing:* = member", "there is no action"},
		{"plan:create = @*", "is no role"},
	};
	AUTO_FREE char *longest = xcalloc(1, RULES_FILE_MAX + 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct err e = {0};

		assert_null(parse(t[i].text, &e));
		assert_int_equal(e.kind, ERR_INVALID);
		if (!strstr(e.msg, t[i].says))
			fail_msg("row %zu: %s", i, e.msg);
	}
	memset(longest, '#', RULES_LINE_MAX);
	FAILS_PTR(ERR_INVALID, parse(longest, e));
	memset(longest, '\n', RULES_FILE_MAX + 1);
	FAILS_PTR(ERR_LIMIT, parse(longest, e));
	FAILS_PTR(ERR_INVALID, rules_parse("a\0b", 3, "x", e));
}

static void test_load(void **state)
{
	char *folder = test_folder();
	char *path = test_path(folder, "policy");

	(void)state;
	FAILS_PTR(ERR_NOENT, rules_load(path, e));
	OK(fio_replace(path, "plan:get = operator\n", 20, 0600, e));
	rules_free(OK_PTR(rules_load(path, e)));
	free(path);
	test_folder_done(folder);
}

static void test_names(void **state)
{
	char text[AUTH_ROLES_TEXT];

	(void)state;
	for (unsigned r = 1; r <= AUTH_MOVER; r <<= 1)
		assert_int_equal(auth_role_of(auth_role_name(r)), r);
	assert_int_equal(auth_role_of("Admin"), 0);
	assert_string_equal(auth_role_name(0), "?");
	assert_string_equal(auth_roles_text(AUTH_ADMIN | AUTH_BACKUP, text), "admin, backup-only");
	assert_string_equal(auth_roles_text(0, text), "");
	auth_roles_text(~0u, text);
	assert_non_null(strstr(text, "restore-only, mover"));
	assert_string_equal(auth_how_name(AUTH_HOW_OIDC), "oidc");
	assert_string_equal(auth_how_name(99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sorted), cmocka_unit_test(test_karbor_names),
		cmocka_unit_test(test_roles),		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_errors),	cmocka_unit_test(test_load),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
