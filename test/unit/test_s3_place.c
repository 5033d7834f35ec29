/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of buckets.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "net/s3_place.h"

static int set_up(void **state)
{
	static const char *const unset[] = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION",
					    "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(unset); i++)
		unsetenv(unset[i]);
	return 0;
}

static void test_places(void **state)
{
	static const struct {
		const char *url, *base, *host, *path, *prefix, *region;
	} rows[] = {
		{"bucket", "https://bucket.s3.us-east-1.amazonaws.com",
		 "bucket.s3.us-east-1.amazonaws.com", "/", "", "us-east-1"},
		{"//bucket/a/b?region=eu-1", "https://bucket.s3.eu-1.amazonaws.com",
		 "bucket.s3.eu-1.amazonaws.com", "/", "a/b/", "eu-1"},
		/* No certificate fits a host with more dots. */
		{"my.bucket/a/", "https://s3.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com",
		 "/my.bucket/", "a/", "us-east-1"},
		{"http://localhost:9000/bucket", "http://localhost:9000", "localhost:9000",
		 "/bucket/", "", "us-east-1"},
		{"https://h.example/bucket/x?style=virtual&region=r", "https://bucket.h.example",
		 "bucket.h.example", "/", "x/", "r"},
		{"https://[::1]:80/bucket?retry=2m&part=5M", "https://[::1]:80", "[::1]:80",
		 "/bucket/", "", "us-east-1"},
	};
	struct s3_place p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		OK(s3_place_parse(rows[i].url, &p, e));
		assert_string_equal(p.base, rows[i].base);
		assert_string_equal(p.host, rows[i].host);
		assert_string_equal(p.path, rows[i].path);
		assert_string_equal(p.prefix, rows[i].prefix);
		assert_string_equal(p.region, rows[i].region);
		assert_int_equal(p.retry_us, strstr(rows[i].url, "retry") ? 120000000 : 60000000);
		assert_int_equal(p.part_bytes, (strstr(rows[i].url, "part") ? 5U : 128U) << 20);
		s3_place_done(&p);
	}
}

static void test_environment(void **state)
{
	struct s3_place p;

	(void)state;
	setenv("AWS_ENDPOINT_URL", "http://other", 1);
	setenv("AWS_ENDPOINT_URL_S3", "http://host:1/", 1);
	setenv("AWS_DEFAULT_REGION", "there", 1);
	setenv("AWS_CA_BUNDLE", "/ca", 1);
	OK(s3_place_parse("bucket/p", &p, e));
	assert_string_equal(p.base, "http://host:1");
	assert_string_equal(p.path, "/bucket/");
	assert_string_equal(p.region, "there");
	assert_string_equal(p.ca, "/ca");
	s3_place_done(&p);
	setenv("AWS_REGION", "here", 1);
	FAILS(ERR_INVALID, s3_place_parse("http://mine/bucket?region=", &p, e));
	OK(s3_place_parse("http://mine/bucket", &p, e));
	assert_string_equal(p.base, "http://mine");
	assert_string_equal(p.region, "here");
	s3_place_done(&p);
}

static void test_wrong_places(void **state)
{
	static const char *const rows[][2] = {
		{"", "bucket ''"},
		{"ab", "bucket 'ab'"},
		{"bu ck/et", "bucket 'bu ck'"},
		{"https://host", "bucket ''"},
		{"https:///bucket", "service 'https://'"},
		{"ftp://host/bucket", "service 'ftp://host'"},
		{"http://me:pw@host/bucket", "service 'http://me:pw@host'"},
		{"bucket//x", "prefix '/x'"},
		{"bucket/a//x", "prefix 'a//x'"},
		{"bucket/../x", "prefix '../x'"},
		{"bucket/\x9b", "prefix"},
		{"bucket?style=both", "style=both"},
		{"bucket?retry=soon", "retry=soon"},
		{"bucket?part=1M", "part=1M"},
		{"bucket?part=6G", "part=6G"},
		{"bucket?part=x", "part=x"},
		{"bucket?what", "what="},
	};
	struct s3_place p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err why = {0};

		assert_int_equal(s3_place_parse(rows[i][0], &p, &why), -1);
		assert_int_equal(why.kind, ERR_INVALID);
		if (!strstr(why.msg, rows[i][1]))
			fail_msg("'%s': %s", rows[i][0], why.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_places, set_up),
		cmocka_unit_test_setup(test_environment, set_up),
		cmocka_unit_test_setup(test_wrong_places, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
