/* SPDX-License-Identifier: Apache-2.0 */
/* The file of logins: what it may say, who may read it, and the URLs of servers. */
#include "testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/logins.h"

static void test_urls(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{"https://a.example:8799", "https://a.example:8799"},
		{"https://a.example:8799/", "https://a.example:8799"},
		{"https://a.example", "https://a.example"},
		{"a.example", "https://a.example:8799"},
		{"a.example:443", "https://a.example:443"},
		{"[2001:db8::1]", "https://[2001:db8::1]:8799"},
		{"[2001:db8::1]:443", "https://[2001:db8::1]:443"},
		{"http://localhost:8799", "http://localhost:8799"},
		{"http://127.0.0.1:8799", "http://127.0.0.1:8799"},
		{"http://[::1]:8799", "http://[::1]:8799"},
		{"http://127.0.0.1.example.org", NULL},
		{"http://localhost.example.org", NULL},
		{"http://a.example:8799", NULL},
		{"http://127.0.0.1@a.example", NULL},
		{"ftp://a.example", NULL},
		{"https://a.example/v1", NULL},
		{"https://user@a.example", NULL},
		{"https://a.example:", NULL},
		{"https://a.example:123456", NULL},
		{"https://[::1", NULL},
		{"https://", NULL},
		{"[", NULL},
		{"", NULL},
		{"a b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};
		AUTO_FREE char *url = logins_url(rows[i].text, &e);

		if (rows[i].want) {
			assert_non_null(url);
			assert_string_equal(url, rows[i].want);
		} else {
			assert_null(url);
			assert_int_equal(e.kind, ERR_INVALID);
		}
	}
}

#define ENTRY "{\"url\": \"https://a.example:1\", \"token\": \"secret\"}"

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *says;
	} rows[] = {
		{"", ERR_CORRUPT, "line"},
		{"[]", ERR_CORRUPT, ""},
		{"{}", ERR_CORRUPT, "version"},
		{"{\"version\": 1}", ERR_CORRUPT, "logins"},
		{"{\"version\": 2, \"logins\": []}", ERR_VERSION, "newer"},
		{"{\"version\": 1, \"logins\": [1]}", ERR_CORRUPT, "logins"},
		{"{\"version\": 1, \"logins\": [{}]}", ERR_CORRUPT, "url"},
		{"{\"version\": 1, \"logins\": [{\"url\": \"a\"}]}", ERR_CORRUPT, "token"},
		{"{\"version\": 1, \"logins\": [{\"url\": \"http://a\", \"token\": \"x\"}]}",
		 ERR_CORRUPT, "TLS"},
		{"{\"version\": 1, \"logins\": [" ENTRY "], \"other\": 1}", ERR_CORRUPT, "other"},
		{"{\"version\": 1, \"version\": 1, \"logins\": []}", ERR_CORRUPT, "duplicate"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};
		struct logins l;

		assert_int_equal(logins_parse(rows[i].text, strlen(rows[i].text), &l, &e), -1);
		assert_int_equal(e.kind, rows[i].kind);
		assert_non_null(strstr(e.msg, rows[i].says));
	}
}

static struct login_entry entry_of(const char *url, const char *token, const char *ca)
{
	return (struct login_entry){.url = xstrdup(url),
				    .ca = xstrdup0(ca),
				    .user = xstrdup("admin"),
				    .project_id = xstrdup("1"),
				    .project_name = xstrdup("default"),
				    .token_id = xstrdup("7"),
				    .token = secret_of(token, strlen(token)),
				    .expires_at = xstrdup("")};
}

static void put(struct logins *l, const char *url, const char *token, const char *ca)
{
	struct login_entry entry = entry_of(url, token, ca);

	logins_put_take(l, &entry);
	assert_null(entry.url);
}

static void test_putting(void **state)
{
	struct logins l = {0}, again;
	AUTO_BUF text = BUF_INIT;
	struct err e = {0};

	(void)state;
	put(&l, "https://a:1", "one", NULL);
	put(&l, "https://b:1", "two", "-----BEGIN\n-----END\n");
	put(&l, "https://a:1", "three", NULL);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.current, "https://a:1");
	logins_format(&l, &text);
	assert_int_equal(logins_parse(text.data, text.len, &again, &e), 0);
	assert_int_equal(again.n, 2);
	assert_string_equal(again.current, "https://a:1");
	assert_string_equal(logins_find(&again, "https://b:1")->ca, "-----BEGIN\n-----END\n");
	assert_int_equal(logins_find(&again, "https://a:1")->token->len, 5);
	assert_memory_equal(logins_find(&again, "https://a:1")->token->data, "three", 5);
	logins_remove(&again, "https://b:1");
	assert_string_equal(again.current, "https://a:1");
	logins_remove(&again, "https://a:1");
	logins_remove(&again, "https://c:1");
	assert_null(again.current);
	assert_int_equal(again.n, 0);
	assert_null(logins_find(&again, NULL));
	logins_done(&again);
	logins_done(&l);
}

static void test_file(void **state)
{
	char *folder = test_folder();
	AUTO_FREE char *config = xasprintf("%s/deep/config", folder);
	struct logins l = {0}, again;
	AUTO_FREE char *path = NULL;
	struct err e = {0};
	struct stat st;

	(void)state;
	setenv("XDG_CONFIG_HOME", config, 1);
	path = logins_path(&e);
	assert_non_null(strstr(path, "/deep/config/holdfast/logins.json"));
	assert_int_equal(logins_load(&again, &e), 0);
	assert_int_equal(again.n, 0);
	put(&l, "https://a:1", "one", NULL);
	umask(0);
	assert_int_equal(logins_save(&l, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(logins_load(&again, &e), 0);
	assert_int_equal(again.n, 1);
	logins_done(&again);
	/* Damaged, it is told with its name. */
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(logins_load(&again, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.msg, "logins.json"));
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("HOME");
	assert_null(logins_path(&e));
	assert_int_equal(e.kind, ERR_INVALID);
	logins_done(&l);
	test_folder_done(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_putting),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
