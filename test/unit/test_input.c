/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a body is told with its path, its value and the way out; and only the first of
 * it. */
#include "testing.h"

#include <string.h>

#include "api/input.h"

static json_t *json(const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(v);
	return v;
}

/* Take everything that there is to take of a thing. */
static int take(json_t *o, struct err *e)
{
	static const char *const words[] = {"red", "green", NULL};
	char id[UUID_TEXT];
	struct input in, inner;

	input_init(&in, o, "thing");
	input_name(&in, "name", REQUIRED);
	input_text(&in, "text", OPTIONAL, 5);
	input_uuid(&in, "id", OPTIONAL, id);
	input_word(&in, "colour", OPTIONAL, words);
	input_number(&in, "count", OPTIONAL, -1, 10, 0);
	input_flag(&in, "on", false);
	input_json(&in, "list", OPTIONAL, JSON_ARRAY, 2);
	input_metadata(&in, "extra");
	if (input_object(&in, "inner", OPTIONAL, &inner)) {
		input_text(&inner, "a", REQUIRED, 5);
		input_done(&inner, NULL);
	}
	return input_done(&in, e);
}

static void good_input(void **state)
{
	static const char *const good[] = {
		"{\"name\": \"n\"}",
		"{\"name\": \"n\", \"text\": null, \"id\": null, \"colour\": null, \"list\": null}",
		"{\"name\": \"n\", \"text\": \"äöüäö\", \"count\": \"7\", \"colour\": \"red\"}",
		"{\"name\": \"n\", \"id\": \"0123456789abcdef0123456789ABCDEF\", \"count\": -1}",
		"{\"name\": \"n\", \"extra\": {\"a b\": 1, \"c#d\": true, \"e\": \"f\"}}",
		"{\"name\": \"n\", \"list\": [1, 2], \"on\": true, \"inner\": {\"a\": \"b\"}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct err e = {0};
		json_t *o = json(good[i]);

		if (take(o, &e) < 0)
			fail_msg("%s: %s", good[i], e.msg);
		json_decref(o);
	}
}

static void bad_input(void **state)
{
	static const struct {
		const char *body, *says;
	} bad[] = {
		{"[]", "The request has to have a JSON object 'thing'."},
		{"{}", "thing.name. It is required."},
		{"{\"name\": null}", "thing.name. Value: null. It must not be null."},
		{"{\"name\": \"  \"}", "An invalid 'name' value was provided."},
		{"{\"name\": 5}", "thing.name. Value: 5. It has to be a string."},
		{"{\"name\": \"n\", \"text\": \"123456\"}", "longer than 5 characters"},
		{"{\"name\": \"a\\nb\"}", "control characters"},
		{"{\"name\": \"n\", \"id\": \"xyz\"}",
		 "thing.id. Value: \"xyz\". It has to be a UUID."},
		{"{\"name\": \"n\", \"colour\": \"blue\"}", "one of: red, green."},
		{"{\"name\": \"n\", \"count\": 11}", "from -1 to 10"},
		{"{\"name\": \"n\", \"count\": \"1x\"}", "It has to be an integer."},
		{"{\"name\": \"n\", \"count\": \" 1\"}", "It has to be an integer."},
		{"{\"name\": \"n\", \"count\": 1.5}", "It has to be an integer."},
		{"{\"name\": \"n\", \"on\": 1}", "true or false"},
		{"{\"name\": \"n\", \"list\": {}}", "It has to be an array."},
		{"{\"name\": \"n\", \"list\": [1,2,3]}", "more than 2 members"},
		{"{\"name\": \"n\", \"extra\": {\"a\": null}}", "'a' has to be a string"},
		{"{\"name\": \"n\", \"extra\": {\"a/b\": 1}}", "'a/b' cannot be a name"},
		{"{\"name\": \"n\", \"inner\": {}}", "thing.inner.a. It is required."},
		{"{\"name\": \"n\", \"inner\": {\"a\": \"b\", \"z\": 1}}",
		 "thing.inner.z. Value: 1. There is no such field."},
		{"{\"name\": \"n\", \"else\": 1}", "thing.else. Value: 1. There is no such field."},
		/* The first is told, not the last. */
		{"{\"name\": 5, \"count\": \"x\"}", "thing.name"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = {0};
		json_t *o = json(bad[i].body);

		assert_int_equal(take(o, &e), -1);
		assert_int_equal(e.kind, ERR_INVALID);
		if (!strstr(e.msg, bad[i].says))
			fail_msg("%s says '%s', not '%s'", bad[i].body, e.msg, bad[i].says);
		json_decref(o);
	}
}

/* A long value is not repeated as a whole. */
static void long_values_are_cut(void **state)
{
	AUTO_FREE char *body = xcalloc(1, 5000);
	struct err e = {0};
	json_t *o;

	(void)state;
	snprintf(body, 5000, "{\"name\": \"n\", \"colour\": \"%0*d\"}", 60, 7);
	o = json(body);
	assert_int_equal(take(o, &e), -1);
	assert_true(strlen(e.msg) < 300);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_input),
		cmocka_unit_test(bad_input),
		cmocka_unit_test(long_values_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
