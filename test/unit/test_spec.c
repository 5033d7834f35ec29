/* SPDX-License-Identifier: Apache-2.0 */
#include "core/spec.h"

#include <string.h>

#include "testing.h"

static const char *const fields[] = {"daily", "weekly", "name", "flag", "number", "list", NULL};

static json_t *parse(const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(v);
	return v;
}

/* The error that reading `text` gives, or "". */
static const char *error_of(const char *text)
{
	static const char *const words[] = {"all", "none", NULL};
	static struct err e;
	json_t *v = parse(text);
	const json_t *list = NULL;
	const char *name = NULL;
	uint32_t number = 1;
	bool flag = false;
	struct spec s;

	e = (struct err){0};
	if (spec_object(v, "a[0]", fields, &s, &e) == 0 &&
	    spec_text(&s, "name", 5, &name, &e) == 0 && spec_flag(&s, "flag", &flag, &e) == 0 &&
	    spec_number(&s, "number", 1, 9, &number, &e) == 0 &&
	    spec_word(&s, "daily", words, &name, &e) == 0)
		spec_array(&s, "list", 2, &list, &e);
	json_decref(v);
	return e.msg;
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"{}", ""},
		{"{\"name\": null, \"number\": null, \"flag\": null, \"daily\": null}", ""},
		{"{\"name\": \"\xc3\xa4\xc3\xb6\", \"number\": 9, \"list\": [1, 2]}", ""},
		{"[]", "a[0]: give an object"},
		{"{\"dayly\": 1}", "a[0].dayly: there is no such field; did you mean \"daily\"?"},
		{"{\"Name\": 1}", "a[0].Name: there is no such field; did you mean \"name\"?"},
		{"{\"zzz\": 1}", "a[0].zzz: there is no such field; there are daily, weekly, name, "
				 "flag, number, list"},
		{"{\"a\\nb\": 1}", "a[0].(a field): there is no such field; there are daily, "
				   "weekly, name, flag, number, list"},
		{"{\"name\": 7}", "a[0].name: 7 is not a text"},
		{"{\"name\": \"\"}", "a[0].name: it has to have 1 to 5 bytes"},
		{"{\"name\": \"123456\"}", "a[0].name: it has to have 1 to 5 bytes"},
		{"{\"name\": \"a\\u0007\"}", "a[0].name: it has characters that cannot be printed"},
		{"{\"flag\": 1}", "a[0].flag: 1 is not true or false"},
		{"{\"number\": 0}", "a[0].number: 0 is not a whole number from 1 to 9"},
		{"{\"number\": 1.0}", "a[0].number: 1.0 is not a whole number from 1 to 9"},
		{"{\"number\": -1}", "a[0].number: -1 is not a whole number from 1 to 9"},
		{"{\"number\": 4294967297}",
		 "a[0].number: 4294967297 is not a whole number from 1 to 9"},
		{"{\"daily\": \"some\"}", "a[0].daily: \"some\" is not one of all, none"},
		{"{\"daily\": {}}", "a[0].daily: {} is not one of all, none"},
		{"{\"list\": {}}", "a[0].list: give an array"},
		{"{\"list\": [1,2,3]}", "a[0].list: it has 3 members; at most 2 are allowed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(error_of(rows[i].text), rows[i].want);
}

static void test_nearest(void **state)
{
	char large[200];

	(void)state;
	assert_string_equal(spec_nearest("weeky", fields), "weekly");
	assert_null(spec_nearest("x", fields));
	assert_string_equal(spec_nearest("", (const char *const[]){"", NULL}), "");
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = 0;
	assert_null(spec_nearest(large, fields));
	assert_null(spec_nearest("name", (const char *const[]){large, NULL}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
