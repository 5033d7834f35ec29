/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ini.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "testing.h"

/* What the handler hears, as text. */
static void on_section(void *arg, const struct ini_entry *i)
{
	buf_fmt(arg, "%u:%u [%s]\n", i->line, i->column, i->section);
}

static void on_entry(void *arg, const struct ini_entry *i)
{
	buf_fmt(arg, "%u:%u:%u %s.%s=", i->line, i->column, i->value_column, i->section, i->name);
	for (const char *c = i->value; *c; c++)
		buf_fmt(arg, "%c", *c == '\n' ? '|' : *c);
	buf_text(arg, "\n");
}

static void on_problem(void *arg, unsigned line, unsigned column, const char *what)
{
	buf_fmt(arg, "%u:%u %s\n", line, column, what);
}

static const char *hear(struct buf *b, const char *text, size_t len)
{
	struct ini_handler h = {on_section, on_entry, on_problem, b};

	b->len = 0;
	ini_read(text, len, &h);
	return buf_str(b);
}

#define HEARS(text, want)                                                                          \
	do {                                                                                       \
		AUTO_BUF b_ = BUF_INIT;                                                            \
		assert_string_equal(hear(&b_, text, sizeof(text) - 1), want);                      \
	} while (0)

static void test_what_is_right(void **state)
{
	(void)state;
	HEARS("", "");
	HEARS("\n\n# c\n ; c\n", "");
	HEARS("[a]\nb = c", "1:2 [a]\n2:1:5 a.b=c\n");
	HEARS("\xef\xbb\xbf[ a ]\r\nb=c d \r\n", "1:3 [a]\n2:1:3 a.b=c d\n");
	HEARS("[a_1]\nb_2\t=\t# no comment ; = \n", "1:2 [a_1]\n2:1:7 a_1.b_2=# no comment ; =\n");
	HEARS("[a]\nb=\nc =   \n", "1:2 [a]\n2:1:0 a.b=\n3:1:0 a.c=\n");
	HEARS("[a]\nb=\" c \"\nc=\"\nd=\"\"\ne=\"a\" \"b\"\n",
	      "1:2 [a]\n2:1:4 a.b= c \n3:1:3 a.c=\"\n4:1:0 a.d=\n5:1:4 a.e=a\" \"b\n");
	HEARS("[a]\nb = c,\n  d\n# e\n\tf = g\n\nc=1",
	      "1:2 [a]\n2:1:5 a.b=c,|d|f = g\n7:1:3 a.c=1\n");
	HEARS("[a]\nb=c\n[b]\n[a]\nb=d", "1:2 [a]\n2:1:3 a.b=c\n3:2 [b]\n4:2 [a]\n5:1:3 a.b=d\n");
	HEARS("[a]\nb=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
	      "1:2 [a]\n2:1:3 a.b=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n");
}

#define LINE "a line is [section], name = value, or a # comment\n"
#define HEAD "a section is named like [server]: small letters, digits and _\n"

static void test_what_is_wrong(void **state)
{
	(void)state;
	HEARS("b=c\nc=d\n", "1:1 'b' stands before the first [section]\n"
			    "2:1 'c' stands before the first [section]\n");
	HEARS("[a]\nb\n=c\nB=c\nb c=d\n1=2\nd=e\n",
	      "1:2 [a]\n2:2 " LINE "3:1 " LINE "4:1 " LINE "5:3 " LINE "6:1 " LINE "7:1:3 a.d=e\n");
	HEARS("[a\nb=c\n[]\n[A]\n[a b]\n[a]]\n[a] # c\nd=e",
	      "1:3 " HEAD "3:2 " HEAD "4:2 " HEAD "5:4 " HEAD
	      "6:4 nothing may follow ']': a comment has a line of its own\n"
	      "7:5 nothing may follow ']': a comment has a line of its own\n");
	HEARS("[a]\n  b=c\n[b]\n!\n  goes on\nc=d\n\n  e\n",
	      "1:2 [a]\n2:3 a line that begins with a space goes on with a value, and there is "
	      "none above it\n3:2 [b]\n4:1 " LINE
	      "6:1:3 b.c=d\n8:3 a line that begins with a space "
	      "goes on with a value, and there is none above it\n");
	HEARS("[a]\nb=c\x01\n  d\ne=\x7f\nf=\0g\n", "1:2 [a]\n2:4 control character 0x01\n"
						    "4:3 control character 0x7f\n"
						    "5:3 control character 0x00\n");
}

static void test_bytes_that_are_no_characters(void **state)
{
	static const char *const rows[] = {"\x80",
					   "\xc3",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xe2\x82",
					   "\xe2\x82x",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xff"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *text = xasprintf("[a]\nb=%s\nc=d", rows[i]);
		AUTO_FREE char *want = xasprintf("1:2 [a]\n2:3 byte 0x%02x is not UTF-8\n"
						 "3:1:3 a.c=d\n",
						 (unsigned char)rows[i][0]);
		AUTO_BUF b = BUF_INIT;

		assert_string_equal(hear(&b, text, strlen(text)), want);
	}
}

static void add_many(struct buf *b, char c, size_t n)
{
	memset(buf_reserve(b, n), c, n);
	b->len += n;
}

static void test_limits(void **state)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	/* The longest line, and one that is longer. */
	buf_text(&text, "[a]\nb=");
	add_many(&text, 'x', INI_LINE_MAX - 2);
	buf_text(&text, "\n");
	hear(&b, (char *)text.data, text.len);
	assert_int_equal(strlen(strchr(buf_str(&b), '=')), INI_LINE_MAX);
	text.len--;
	buf_text(&text, "x\n goes on\nc=d");
	assert_string_equal(hear(&b, (char *)text.data, text.len),
			    "1:2 [a]\n2:4097 a line has at most 4096 bytes\n4:1:3 a.c=d\n");
	/* Names. */
	text.len = 0;
	buf_text(&text, "[");
	add_many(&text, 'x', INI_NAME_MAX + 1);
	buf_text(&text, "]\n[a]\n");
	add_many(&text, 'y', INI_NAME_MAX + 1);
	buf_text(&text, "=\n");
	assert_string_equal(hear(&b, (char *)text.data, text.len),
			    "1:2 a name has at most 64 characters\n2:2 [a]\n"
			    "3:1 a name has at most 64 characters\n");
	/* A value of many lines. */
	text.len = 0;
	buf_text(&text, "[a]\nb=\n");
	for (unsigned i = 0; i < 17; i++) {
		buf_text(&text, " ");
		add_many(&text, 'x', INI_LINE_MAX - 1);
		buf_text(&text, "\n");
	}
	assert_string_equal(hear(&b, (char *)text.data, text.len),
			    "1:2 [a]\n19:2 'b' is longer than 65536 bytes\n");
}

static void test_too_many(void **state)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	buf_text(&text, "[a]\n");
	for (unsigned i = 0; i < INI_ENTRIES_MAX + 2; i++)
		buf_text(&text, "b=\n");
	hear(&b, (char *)text.data, text.len);
	assert_non_null(strstr(buf_str(&b), "10002:1 there are more than 10000 entries; the rest "
					    "is not read\n"));
	assert_null(strstr(buf_str(&b), "10003:"));
	text.len = 0;
	add_many(&text, '\n', INI_FILE_MAX);
	assert_string_equal(hear(&b, (char *)text.data, text.len), "");
	add_many(&text, '\n', 1);
	assert_string_equal(hear(&b, (char *)text.data, text.len),
			    "1:1 the file has 1048577 bytes; at most 1048576 are read\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_right),
		cmocka_unit_test(test_what_is_wrong),
		cmocka_unit_test(test_bytes_that_are_no_characters),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
