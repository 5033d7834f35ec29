/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "net/s3_xml.h"

#define LIST                                                                                       \
	"<?xml version=\"1.0\"?><ListBucketResult "                                                \
	"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define END "</ListBucketResult>"
#define OBJECT(key, size)                                                                          \
	"<Contents><Key>" key "</Key><ETag>&quot;x&quot;</ETag><Size>" size                        \
	"</Size><Owner><ID>Key</ID></Owner></Contents>"

static void test_page(void **state)
{
	static const char xml[] =
		LIST "<Name>b</Name><Prefix>p/</Prefix><IsTruncated>true</IsTruncated>" OBJECT(
			"p/a&amp;b", "0")
			OBJECT("p/c", "5497558138880") "<NextContinuationToken>next/==</"
						       "NextContinuationToken>" END;
	struct s3_page p;

	(void)state;
	OK(s3_page_parse(xml, strlen(xml), &p, e));
	assert_int_equal(p.n, 2);
	assert_string_equal(p.objects[0].key, "p/a&b");
	assert_int_equal(p.objects[0].size, 0);
	assert_string_equal(p.objects[1].key, "p/c");
	assert_int_equal(p.objects[1].size, 5497558138880);
	assert_string_equal(p.next, "next/==");
	s3_page_done(&p);
	OK(s3_page_parse(LIST END, strlen(LIST END), &p, e));
	assert_int_equal(p.n, 0);
	assert_string_equal(p.next, "");
}

static void test_wrong_pages(void **state)
{
	static const char *const rows[] = {
		"",
		"<html>",
		"<Other/>",
		LIST,
		LIST OBJECT("a", "") END,
		LIST OBJECT("a", "-1") END,
		LIST OBJECT("a", "1e3") END,
		LIST OBJECT("a", "9999999999999999999") END,
		LIST OBJECT("", "1") END,
		LIST "<Contents><Key>a</Key></Contents>" END,
		LIST "<Contents><Size>1</Size></Contents>" END,
		LIST "<IsTruncated>true</IsTruncated>" END,
		"<!DOCTYPE x [<!ENTITY a \"b\">]>" LIST END,
		LIST "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
	};
	struct s3_page p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		FAILS(ERR_IO, s3_page_parse(rows[i], strlen(rows[i]), &p, e));
}

static void test_limits(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct s3_page p;

	(void)state;
	buf_text(&b, LIST "<Contents><Key>");
	buf_fill(&b, 'k', S3_TEXT);
	buf_text(&b, "</Key><Size>1</Size></Contents>" END);
	FAILS(ERR_IO, s3_page_parse(b.data, b.len, &p, e));
	b.len = 0;
	buf_text(&b, LIST);
	for (int i = 0; i < S3_PAGE_MAX; i++)
		buf_text(&b, OBJECT("a", "1"));
	FAILS(ERR_IO, s3_page_parse(b.data, b.len, &p, e));
	buf_text(&b, END);
	OK(s3_page_parse(b.data, b.len, &p, e));
	assert_int_equal(p.n, S3_PAGE_MAX);
	s3_page_done(&p);
	b.len -= strlen(END);
	buf_text(&b, OBJECT("a", "1") END);
	FAILS(ERR_IO, s3_page_parse(b.data, b.len, &p, e));
}

#define DELETED "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define UPLOADS "<ListMultipartUploadsResult>"

static void test_tables(void **state)
{
	static const char deleted[] =
		DELETED "<Deleted><Key>p/gone</Key></Deleted><Error><Key>p/a</Key><Code>SlowDown"
			"</Code></Error><Error><Code>x</Code><Key>p/b</Key></Error></DeleteResult>";
	static const char uploads[] = UPLOADS
		"<IsTruncated>true</IsTruncated><Upload><Key>p/a</Key><UploadId>2~x</UploadId>"
		"<Initiator><UploadId>no</UploadId></Initiator></Upload>"
		"</ListMultipartUploadsResult>";
	static const char nameless[] = DELETED "<Error><Code>x</Code></Error></DeleteResult>";
	static const char half[] =
		UPLOADS "<Upload><Key>a</Key></Upload></ListMultipartUploadsResult>";
	struct s3_page p;

	(void)state;
	OK(s3_kept_parse(deleted, strlen(deleted), &p, e));
	assert_int_equal(p.n, 2);
	assert_string_equal(p.objects[0].key, "p/a");
	assert_string_equal(p.objects[1].key, "p/b");
	s3_page_done(&p);
	FAILS(ERR_IO, s3_kept_parse(deleted, strlen(deleted) - 1, &p, e));
	FAILS(ERR_IO, s3_kept_parse(uploads, strlen(uploads), &p, e));
	FAILS(ERR_IO, s3_kept_parse(nameless, strlen(nameless), &p, e));
	OK(s3_uploads_parse(uploads, strlen(uploads), &p, e));
	assert_int_equal(p.n, 1);
	assert_string_equal(p.objects[0].key, "p/a");
	assert_string_equal(p.objects[0].upload, "2~x");
	s3_page_done(&p);
	FAILS(ERR_IO, s3_uploads_parse(deleted, strlen(deleted), &p, e));
	FAILS(ERR_IO, s3_uploads_parse(half, strlen(half), &p, e));
}

static void test_values(void **state)
{
	static const char xml[] = "<A><B><C>deep</C></B><C>one</C></A>";
	char value[S3_TEXT] = "kept";
	AUTO_BUF b = BUF_INIT;

	(void)state;
	FAILS(ERR_IO, s3_value_parse(xml, strlen(xml), "B", "C", value, e));
	FAILS(ERR_IO, s3_value_parse(xml, strlen(xml) - 1, "A", "C", value, e));
	assert_string_equal(value, "kept");
	OK(s3_value_parse(xml, strlen(xml), "A", "C", value, e));
	assert_string_equal(value, "one");
	OK(s3_value_parse(xml, strlen(xml), "A", "D", value, e));
	assert_string_equal(value, "");
	buf_text(&b, "<A><C>");
	buf_fill(&b, 'x', S3_TEXT);
	buf_text(&b, "</C></A>");
	FAILS(ERR_IO, s3_value_parse(b.data, b.len, "A", "C", value, e));
}

static void test_errors(void **state)
{
	static const char xml[] =
		"<Error><Code>NoSuchKey</Code><Message>none \x1b[1m of it</Message>"
		"<Resource><Code>x</Code></Resource></Error>";
	static const char plain[] =
		"<Error><Code>NoSuchKey</Code><Message>none\n of it\xc3\xbc</Message></Error>";
	struct s3_error x;

	(void)state;
	s3_error_parse(plain, strlen(plain), &x);
	assert_string_equal(x.code, "NoSuchKey");
	assert_string_equal(x.message, "none? of it??");
	/* An escape is no XML; what came before it counts. */
	s3_error_parse(xml, strlen(xml), &x);
	assert_string_equal(x.code, "NoSuchKey");
	s3_error_parse("", 0, &x);
	assert_string_equal(x.code, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),   cmocka_unit_test(test_wrong_pages),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_tables),
		cmocka_unit_test(test_values), cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
