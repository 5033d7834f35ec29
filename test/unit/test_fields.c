/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects: what is right is taken, and of what is wrong the field is named. */
#include <string.h>

#include "net/fields.h"
#include "testing.h"

#define UUID "6f1cbb2c-40dc-4a4b-9ff4-2d9b5c7c9a01"

static const struct {
	const char *json;
	enum err_kind kind; /* ERR_NONE: it is right */
	const char *says;
} cases[] = {
	{"{\"t\":\"x\"}", ERR_NONE, ""},
	{"{\"t\":\"x\",\"u\":\"" UUID "\",\"n\":5,\"f\":true,\"o\":{},\"l\":[],\"c\":\"red\"}",
	 ERR_NONE, ""},
	{"{\"t\":\"x\",\"u\":null,\"n\":null}", ERR_NONE, ""},
	{"{\"t\":\"x\",\"any\":\"a\\nb\"}", ERR_NONE, ""},
	{"[]", ERR_INVALID, "w must be an object"},
	{"{}", ERR_INVALID, "w.t is missing"},
	{"{\"t\":null}", ERR_INVALID, "w.t is missing"},
	{"{\"t\":\"\"}", ERR_INVALID, "w.t is empty"},
	{"{\"t\":1}", ERR_INVALID, "w.t must be a text"},
	{"{\"t\":\"a\\tb\"}", ERR_INVALID, "w.t has a control character"},
	{"{\"t\":\"\\u007f\"}", ERR_INVALID, "w.t has a control character"},
	{"{\"t\":\"12345\"}", ERR_LIMIT, "w.t is longer than 4 bytes"},
	{"{\"t\":\"x\",\"u\":\"6F1CBB2C-40DC-4A4B-9FF4-2D9B5C7C9A01\"}", ERR_INVALID, "w.u"},
	{"{\"t\":\"x\",\"u\":\"x\"}", ERR_INVALID, "no UUID"},
	{"{\"t\":\"x\",\"n\":0}", ERR_INVALID, "w.n is 0: it goes from 1 to 9"},
	{"{\"t\":\"x\",\"n\":10}", ERR_INVALID, "w.n is 10"},
	{"{\"t\":\"x\",\"n\":5.0}", ERR_INVALID, "w.n must be a number"},
	{"{\"t\":\"x\",\"f\":1}", ERR_INVALID, "w.f must be true or false"},
	{"{\"t\":\"x\",\"o\":[]}", ERR_INVALID, "w.o must be an object"},
	{"{\"t\":\"x\",\"l\":{}}", ERR_INVALID, "w.l must be a list"},
	{"{\"t\":\"x\",\"l\":[1,2,3]}", ERR_LIMIT, "w.l has 3 members"},
	{"{\"t\":\"x\",\"c\":\"blue\"}", ERR_INVALID, "w.c 'blue'"},
	{"{\"t\":\"x\",\"other\":1}", ERR_INVALID, "w.other: there is no such field"},
};

static void test_cases(void **state)
{
	static const char *const among[] = {"red", "green", NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *t = NULL, *u = NULL, *c = NULL, *any = NULL;
		const json_t *o = NULL, *l = NULL;
		int64_t n = 0;
		bool flag = false;
		const struct field f[] = {
			{"t", FIELD_TEXT, &t, .needed = true, .most = 4},
			{"u", FIELD_UUID, &u},
			{"n", FIELD_NUMBER, &n, .least = 1, .most = 9},
			{"f", FIELD_FLAG, &flag},
			{"o", FIELD_OBJECT, &o},
			{"l", FIELD_LIST, &l, .most = 2},
			{"c", FIELD_TEXT, &c, .among = among},
			{"any", FIELD_TEXT, &any, .any_text = true},
		};
		json_t *j = json_loads(cases[i].json, 0, NULL);
		struct err e = {0};

		assert_non_null(j);
		assert_int_equal(fields_take(j, "w", f, ARRAY_LEN(f), &e),
				 cases[i].kind == ERR_NONE ? 0 : -1);
		assert_int_equal(e.kind, cases[i].kind);
		assert_non_null(strstr(e.msg, cases[i].says));
		if (cases[i].kind == ERR_NONE)
			assert_string_equal(t, "x");
		json_decref(j);
	}
}

static void test_texts(void **state)
{
	json_t *good = json_pack("[s,s]", "a", "b"), *bad = json_pack("[s,i]", "a", 1);
	const char **v;
	struct err e = {0};

	(void)state;
	v = fields_texts(good, "l", &e);
	assert_non_null(v);
	assert_string_equal(v[1], "b");
	assert_null(v[2]);
	free(v);
	assert_null(fields_texts(bad, "l", &e));
	assert_non_null(strstr(e.msg, "l[1] must be a text"));
	json_decref(good);
	json_decref(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
