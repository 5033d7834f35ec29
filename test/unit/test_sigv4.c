/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures against the examples of the Amazon S3 API Reference ("Signature Calculations for the
 * Authorization Header"). That whole requests are signed as botocore does is an integration test.
 */
#include "testing.h"

#include <string.h>

#include "net/sigv4.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DATE "20130524T000000Z"
#define HOST "examplebucket.s3.amazonaws.com"

static void assert_signed(const struct sigv4_request *r, const char *names, const char *signature)
{
	static const char id[] = "AKIAIOSFODNN7EXAMPLE";
	static const char secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
	struct sigv4_key k = {xstrdup(id), secret_of(secret, strlen(secret)), NULL};
	AUTO_FREE char *want =
		xasprintf("AWS4-HMAC-SHA256 Credential=%s/20130524/us-east-1/s3/aws4_request,"
			  "SignedHeaders=%s,Signature=%s",
			  id, names, signature);
	AUTO_BUF got = BUF_INIT;

	sigv4_sign(&k, "us-east-1", "s3", DATE, r, &got);
	assert_string_equal(buf_str(&got), want);
	sigv4_key_done(&k);
	assert_null(k.id);
}

static void test_get(void **state)
{
	struct sigv4_request r = {"GET",
				  "/test.txt",
				  "",
				  {{"host", HOST},
				   {"range", "bytes=0-9"},
				   {"x-amz-content-sha256", EMPTY},
				   {"x-amz-date", DATE}},
				  4,
				  EMPTY};

	(void)state;
	assert_signed(&r, "host;range;x-amz-content-sha256;x-amz-date",
		      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_put(void **state)
{
	static const char hash[] =
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	struct sigv4_request r = {.method = "PUT", .query = "", .payload = hash};
	AUTO_BUF path = BUF_INIT;

	(void)state;
	sigv4_encode("/test$file.text", true, &path);
	r.path = buf_str(&path);
	assert_string_equal(r.path, "/test%24file.text");
	r.headers[r.n_headers++] = (struct sigv4_header){"date", "Fri, 24 May 2013 00:00:00 GMT"};
	r.headers[r.n_headers++] = (struct sigv4_header){"host", HOST};
	r.headers[r.n_headers++] = (struct sigv4_header){"x-amz-content-sha256", hash};
	r.headers[r.n_headers++] = (struct sigv4_header){"x-amz-date", DATE};
	r.headers[r.n_headers++] =
		(struct sigv4_header){"x-amz-storage-class", "REDUCED_REDUNDANCY"};
	assert_signed(&r, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void test_query(void **state)
{
	struct sigv4_request r = {
		"GET",
		"/",
		"max-keys=2&prefix=J",
		{{"host", HOST}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", DATE}},
		3,
		EMPTY};

	(void)state;
	assert_signed(&r, "host;x-amz-content-sha256;x-amz-date",
		      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
	r.query = "lifecycle=";
	assert_signed(&r, "host;x-amz-content-sha256;x-amz-date",
		      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void test_date_and_encoding(void **state)
{
	AUTO_BUF b = BUF_INIT;
	char date[SIGV4_DATE];

	(void)state;
	sigv4_date(1369353600, date);
	assert_string_equal(date, DATE);
	sigv4_encode("a/b c+d=~ü", false, &b);
	assert_string_equal(buf_str(&b), "a%2Fb%20c%2Bd%3D~%C3%BC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_date_and_encoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
