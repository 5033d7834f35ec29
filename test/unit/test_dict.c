/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dict.h"

#include <string.h>

#include "base/mem.h"
#include "testing.h"

static void what_clients_send(void **state)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{"{}", "{}"},
		{" { } ", "{}"},
		{"{'a': 'b'}", "{\"a\":\"b\"}"},
		{"{u'a': \"it's\", 'b': 'say \"x\"',}", "{\"a\":\"it's\",\"b\":\"say \\\"x\\\"\"}"},
		{"{'a': 'x\\\\y\\'z\\n'}", "{\"a\":\"x\\\\y'z\\n\"}"},
		{"{\"a\": \"\\u00e4\"}", "{\"a\":\"ä\"}"},
		{"{'a': 'ä'}", "{\"a\":\"ä\"}"},
		{"{'a':''}", "{\"a\":\"\"}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *o = OK_PTR(dict_parse("parameters", cases[i].text, e));
		AUTO_FREE char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);

		assert_string_equal(text, cases[i].json);
		json_decref(o);
	}
}

static void what_is_none(void **state)
{
	static const char *const cases[] = {
		"",
		"5",
		"[]",
		"'a'",
		"{",
		"{'a'",
		"{'a':",
		"{'a': 'b'",
		"{'a': 'b'} x",
		"{'a' 'b'}",
		"{'a': 5}",
		"{'a': None}",
		"{'a': ['b']}",
		"{,}",
		"{'a': 'b' 'c': 'd'}",
		"{'a': 'b\\",
		"{'a': '\\x41'}",
		"{'a': 'b', 'a': 'c'}",
		"{\"a\": 1}",
		"{'\xff': 'a'}",
	};
	AUTO_FREE char *large = xasprintf("{'a': '%0*d'}", DICT_BYTES, 5);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		FAILS_PTR(ERR_INVALID, dict_parse("parameters", cases[i], e));
	FAILS_PTR(ERR_INVALID, dict_parse("parameters", large, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_clients_send),
		cmocka_unit_test(what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
