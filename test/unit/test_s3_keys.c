/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the key comes from, and that it is renewed in time. What the cloud says is told by a
 * stand-in for s3_metadata_ask(); s3_metadata.c is asked for real by test/it.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fio.h"
#include "net/s3_keys.h"
#include "net/s3_metadata.h"

#define S ((uint64_t)1000000)

static struct {
	int asked;
	bool fails;
	uint64_t lasts_us; /* what is given; UINT64_MAX: for ever */
	uint64_t mono, wall;
} cloud;

int __wrap_s3_metadata_ask(struct http *h, struct s3_given_key *ret, struct err *e);
uint64_t __wrap_clock_mono_us(void);
uint64_t __wrap_clock_wall_us(void);

int __wrap_s3_metadata_ask(struct http *h, struct s3_given_key *ret, struct err *e)
{
	(void)h;
	cloud.asked++;
	if (cloud.fails)
		return err_set(e, ERR_TIMEOUT, "nobody answers");
	*ret = (struct s3_given_key){
		{xasprintf("id%d", cloud.asked), secret_of("s", 1), xstrdup("t")}, UINT64_MAX};
	if (cloud.lasts_us != UINT64_MAX)
		ret->expires_us = cloud.wall + cloud.lasts_us;
	return 0;
}

uint64_t __wrap_clock_mono_us(void)
{
	return cloud.mono;
}

uint64_t __wrap_clock_wall_us(void)
{
	return cloud.wall;
}

static int set_up(void **state)
{
	static const char *const unset[] = {"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ACCESS_KEY_ID",
					    "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unset); i++)
		unsetenv(unset[i]);
	setenv("HOME", "/nonexistent", 1);
	memset(&cloud, 0, sizeof(cloud));
	cloud.mono = 1000 * S;
	cloud.wall = 5000000 * S;
	cloud.lasts_us = UINT64_MAX;
	return 0;
}

static void assert_id(struct s3_keys *k, const char *id)
{
	struct s3_key *key = s3_keys_hold(k);

	assert_string_equal(key->key.id, id);
	s3_keys_release(k, key);
}

static void test_environment(void **state)
{
	AUTO(s3_keys) k = NULL;
	struct s3_key *key;

	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "one", 1);
	FAILS_PTR(ERR_INVALID, s3_keys_open(e));
	setenv("AWS_SECRET_ACCESS_KEY", "two", 1);
	setenv("AWS_SESSION_TOKEN", "three", 1);
	k = OK_PTR(s3_keys_open(e));
	key = s3_keys_hold(k);
	assert_string_equal(key->key.id, "one");
	assert_memory_equal(key->key.secret->data, "two", 3);
	assert_string_equal(key->key.token, "three");
	s3_keys_release(k, key);
	assert_false(s3_keys_expired(k));
	assert_int_equal(cloud.asked, 0);
}

static void test_file(void **state)
{
	static const char text[] = "[default]\naws_access_key_id=a\naws_secret_access_key=b\n"
				   "[p]\naws_access_key_id=c\naws_secret_access_key=d\n";
	char *folder = test_folder();
	AUTO_FREE char *path = test_path(folder, "c");
	struct s3_keys *k;

	(void)state;
	OK(fio_replace(path, text, strlen(text), 0600, e));
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	k = OK_PTR(s3_keys_open(e));
	assert_id(k, "a");
	s3_keys_free(k);
	setenv("AWS_PROFILE", "p", 1);
	k = OK_PTR(s3_keys_open(e));
	assert_id(k, "c");
	s3_keys_free(k);
	/* Who names a profile or a file does not get another key. */
	setenv("AWS_PROFILE", "x", 1);
	FAILS_PTR(ERR_INVALID, s3_keys_open(e));
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
	FAILS_PTR(ERR_NOENT, s3_keys_open(e));
	assert_int_equal(cloud.asked, 0);
	test_folder_done(folder);
}

static void test_renewed_before_it_expires(void **state)
{
	AUTO(s3_keys) k = NULL;
	struct s3_key *old;

	(void)state;
	cloud.lasts_us = 3600 * S;
	k = OK_PTR(s3_keys_open(e));
	assert_id(k, "id1");
	cloud.mono += 3299 * S;
	assert_id(k, "id1");
	old = s3_keys_hold(k);
	cloud.mono += 1 * S;
	cloud.wall += 3300 * S;
	assert_id(k, "id2");
	/* Who signs with the old one still has it. */
	assert_string_equal(old->key.id, "id1");
	s3_keys_release(k, old);
	assert_id(k, "id2");
	assert_int_equal(cloud.asked, 2);
}

static void test_asked_seldom(void **state)
{
	AUTO(s3_keys) k = NULL;

	(void)state;
	/* A key that is about to expire, or did by a clock that is wrong. */
	cloud.lasts_us = 10 * S;
	k = OK_PTR(s3_keys_open(e));
	for (int i = 0; i < 600; i++) {
		cloud.mono += S;
		s3_keys_release(k, s3_keys_hold(k));
	}
	assert_int_equal(cloud.asked, 11);
	/* Nobody answers: the old one goes on. */
	cloud.fails = true;
	for (int i = 0; i < 600; i++) {
		cloud.mono += S;
		assert_id(k, "id11");
	}
	assert_int_equal(cloud.asked, 21);
	cloud.fails = false;
	assert_true(s3_keys_expired(k));
	assert_id(k, "id22");
}

static void test_for_ever(void **state)
{
	AUTO(s3_keys) k = OK_PTR(s3_keys_open(e));

	(void)state;
	cloud.mono += 1000000000 * S;
	assert_id(k, "id1");
	cloud.fails = true;
	FAILS_PTR(ERR_INVALID, s3_keys_open(e));
}

static void test_credentials(void **state)
{
	static const char text[] = "aws_access_key_id = nobody\n"
				   "[default]\r\n"
				   "  aws_access_key_id = one\r\n"
				   "aws_secret_access_key=two=2\r\n"
				   "# aws_session_token = three\n"
				   "region = x\nnonsense\n"
				   "[half]\naws_access_key_id = x\n"
				   "[session]\naws_secret_access_key = s\naws_access_key_id = i\n"
				   "aws_access_key_id = again\naws_secret_access_key = s2\n"
				   "aws_session_token = t\naws_session_token = t2";
	struct sigv4_key k;

	(void)state;
	assert_true(s3_credentials_parse(text, strlen(text), "default", &k));
	assert_string_equal(k.id, "one");
	assert_int_equal(k.secret->len, 5);
	assert_memory_equal(k.secret->data, "two=2", 5);
	assert_null(k.token);
	sigv4_key_done(&k);
	assert_true(s3_credentials_parse(text, strlen(text), "session", &k));
	assert_string_equal(k.id, "again");
	assert_memory_equal(k.secret->data, "s2", 2);
	assert_string_equal(k.token, "t2");
	sigv4_key_done(&k);
	assert_false(s3_credentials_parse(text, strlen(text), "half", &k));
	assert_false(s3_credentials_parse(text, strlen(text), "sess", &k));
	assert_false(s3_credentials_parse("", 0, "", &k));
}

static void test_given(void **state)
{
	static const struct {
		const char *json;
		enum err_kind kind;
		uint64_t expires_us;
	} rows[] = {
		{"{\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
		 "\"Expiration\":\"1970-01-02T00:00:01Z\",\"Code\":\"Success\"}",
		 ERR_NONE, 86401 * S},
		{"{\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
		 "\"Expiration\":\"1970-01-02T00:00:01.250Z\"}",
		 ERR_NONE, 86401 * S},
		{"{\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"x\":[1]}",
		 ERR_NONE, UINT64_MAX},
		{"{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", ERR_DENIED, 0},
		{"{\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"\"}", ERR_IO, 0},
		{"{\"AccessKeyId\":1,\"SecretAccessKey\":\"s\"}", ERR_IO, 0},
		{"{\"AccessKeyId\":\"i\\r\\nx: y\",\"SecretAccessKey\":\"s\"}", ERR_IO, 0},
		{"{\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\",\"Expiration\":\"soon\"}",
		 ERR_IO, 0},
		{"{\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\",\"Expiration\":"
		 "\"2026-11-22T06:00:00+01:00\"}",
		 ERR_IO, 0},
		{"[]", ERR_IO, 0},
		{"", ERR_IO, 0},
		{"{\"AccessKeyId\":\"i\"", ERR_IO, 0},
	};
	AUTO_BUF b = BUF_INIT;
	struct s3_given_key k;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].json);

		if (rows[i].kind) {
			FAILS(rows[i].kind, s3_metadata_parse(rows[i].json, n, &k, e));
			continue;
		}
		OK(s3_metadata_parse(rows[i].json, n, &k, e));
		assert_string_equal(k.key.id, "i");
		assert_memory_equal(k.key.secret->data, "s", 1);
		assert_string_equal(k.key.token, "t");
		assert_int_equal(k.expires_us, rows[i].expires_us);
		sigv4_key_done(&k.key);
	}
	buf_text(&b, "{");
	buf_fill(&b, ' ', 64 << 10);
	buf_text(&b, rows[2].json + 1);
	FAILS(ERR_IO, s3_metadata_parse(b.data, b.len, &k, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_environment, set_up),
		cmocka_unit_test_setup(test_file, set_up),
		cmocka_unit_test_setup(test_renewed_before_it_expires, set_up),
		cmocka_unit_test_setup(test_asked_seldom, set_up),
		cmocka_unit_test_setup(test_for_ever, set_up),
		cmocka_unit_test_setup(test_credentials, set_up),
		cmocka_unit_test_setup(test_given, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
