/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "net/s3_lock.h"
#include "net/s3_versions.h"

#define LIST                                                                                       \
	"<?xml version=\"1.0\"?><ListVersionsResult "                                              \
	"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define END "</ListVersionsResult>"
#define VERSION(key, id, latest, size)                                                             \
	"<Version><Key>" key "</Key><VersionId>" id "</VersionId><IsLatest>" latest                \
	"</IsLatest><ETag>&quot;x&quot;</ETag><Size>" size                                         \
	"</Size><Owner><ID>Key</ID></Owner></Version>"
#define MARKER(key, id)                                                                            \
	"<DeleteMarker><Key>" key "</Key><VersionId>" id                                           \
	"</VersionId><IsLatest>true</IsLatest></DeleteMarker>"

static void test_versions(void **state)
{
	static const char xml[] =
		LIST "<Name>b</Name><IsTruncated>true</IsTruncated>" MARKER("p/a&amp;b", "v3")
			VERSION("p/a&amp;b", "v2", "false", "7")
				VERSION("p/c", "null", "true",
					"0") "<NextKeyMarker>p/c</NextKeyMarker>"
					     "<NextVersionIdMarker>null</NextVersionIdMarker>" END;
	struct s3_versions v;

	(void)state;
	OK(s3_versions_parse(xml, strlen(xml), &v, e));
	assert_int_equal(v.n, 3);
	assert_true(v.rows[0].marker && v.rows[0].latest && !v.rows[0].etag);
	assert_string_equal(v.rows[0].key, "p/a&b");
	assert_string_equal(v.rows[0].version, "v3");
	assert_false(v.rows[1].marker || v.rows[1].latest);
	assert_int_equal(v.rows[1].size, 7);
	assert_string_equal(v.rows[1].etag, "\"x\"");
	assert_string_equal(v.rows[2].version, "null");
	assert_string_equal(v.next_key, "p/c");
	assert_string_equal(v.next_version, "null");
	s3_versions_done(&v);
	OK(s3_versions_parse(LIST END, strlen(LIST END), &v, e));
	assert_int_equal(v.n, 0);
	assert_string_equal(v.next_key, "");
}

static void test_wrong_versions(void **state)
{
	static const char *const rows[] = {
		"",
		"<ListBucketResult/>",
		LIST,
		LIST VERSION("a", "v", "true", "-1") END,
		LIST VERSION("a", "v", "true", "9999999999999999999") END,
		LIST VERSION("", "v", "true", "1") END,
		LIST VERSION("a", "", "true", "1") END,
		LIST "<Version><Key>a</Key></Version>" END,
		LIST "<DeleteMarker><VersionId>a</VersionId></DeleteMarker>" END,
		LIST "<IsTruncated>true</IsTruncated>" END,
		"<!DOCTYPE x [<!ENTITY a \"b\">]>" LIST END,
		LIST "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
	};
	struct s3_versions v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		FAILS(ERR_IO, s3_versions_parse(rows[i], strlen(rows[i]), &v, e));
}

static void test_locks(void **state)
{
	static const struct {
		const char *mode, *until, *hold;
		struct s3_lock want;
	} rows[] = {
		{"GOVERNANCE",
		 "2026-11-22T07:19:02.000000000Z",
		 "",
		 {S3_GOVERNANCE, 1795331942, false}},
		{"COMPLIANCE", "2026-11-22T07:19:02Z", "OFF", {S3_COMPLIANCE, 1795331942, false}},
		{"", "", "ON", {S3_UNLOCKED, 0, true}},
		{"", "2026-11-22T07:19:02Z", "", {S3_UNLOCKED, 0, false}},
		{"GOVERNANCE", "", "", {S3_UNLOCKED, 0, false}},
		{"GOVERNANCE", "2026-11-22T07:19:02+01:00", "", {S3_UNLOCKED, 0, false}},
		{"GOVERNANCE", "22 Nov 2026", "", {S3_UNLOCKED, 0, false}},
		{"governance", "2026-11-22T07:19:02Z", "on", {S3_UNLOCKED, 0, false}},
	};
	char checksum[S3_BASE64_SHA];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct s3_lock l;

		s3_lock_parse(rows[i].mode, rows[i].until, rows[i].hold, &l);
		assert_int_equal(l.mode, rows[i].want.mode);
		assert_int_equal(l.until, rows[i].want.until);
		assert_int_equal(l.held, rows[i].want.held);
	}
	assert_string_equal(s3_lock_name(S3_COMPLIANCE), "COMPLIANCE");
	assert_string_equal(
		s3_checksum("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			    checksum),
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_wrong_versions),
		cmocka_unit_test(test_locks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
