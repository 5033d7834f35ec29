/* SPDX-License-Identifier: Apache-2.0 */
#include "core/usage.h"

#include <string.h>

#include "testing.h"

static void fields_are_quoted_where_they_must_be(void **state)
{
	static const struct {
		const char *text, *csv;
	} cases[] = {
		{"", ""},
		{"web", "web"},
		{"a,b", "\"a,b\""},
		{"say \"hi\"", "\"say \"\"hi\"\"\""},
		{"two\r\nlines", "\"two\r\nlines\""},
		{"a=b", "a=b"},
		/* What a spreadsheet would run. */
		{"=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""},
		{"+1", "\"'+1\""},
		{"-1", "\"'-1\""},
		{"@SUM(A1)", "\"'@SUM(A1)\""},
		{"\t=1", "\"'\t=1\""},
		{"\r=1", "\"'\r=1\""},
		{"=\"", "\"'=\"\"\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF b = BUF_INIT;

		usage_csv_text(&b, cases[i].text);
		assert_string_equal(buf_str(&b), cases[i].csv);
	}
}

static void a_table_has_a_line_of_names(void **state)
{
	json_t *rows =
		json_pack("[{s:s, s:n, s:s, s:i, s:I}]", "project_id", "p", "plan_id", "plan_name",
			  "=x", "points", 2, "stored_bytes", (json_int_t)-5000000000);
	AUTO_BUF b = BUF_INIT;
	char *second;

	(void)state;
	usage_csv(rows, &b);
	json_decref(rows);
	assert_true(strncmp(buf_str(&b), "project_id,project_name,target_id,", 34) == 0);
	second = strstr(buf_str(&b), "\r\n") + 2;
	/* Numbers are numbers, also below zero. */
	assert_string_equal(second, "p,,,,,\"'=x\",,,,2,,,-5000000000,,,,\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_quoted_where_they_must_be),
		cmocka_unit_test(a_table_has_a_line_of_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
