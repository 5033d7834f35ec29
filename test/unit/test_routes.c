/* SPDX-License-Identifier: Apache-2.0 */
/* Every route is in the contract, and its action is one that there is a rule for. */
#include "testing.h"

#include <ctype.h>
#include <string.h>

#include "api/api_priv.h"
#include "auth/rules.h"

extern const char openapi_yaml[];

/* "  /path:" and, before the next path, "    method:" */
static bool in_contract(const struct api_route *r)
{
	AUTO_FREE char *path = xasprintf("\n  %s:\n", r->path);
	AUTO_FREE char *method = xasprintf("\n    %s:\n", r->method);
	const char *at = strstr(openapi_yaml, path), *next, *found;

	for (char *p = method; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!at)
		return false;
	found = strstr(at, method);
	next = strstr(at + 1, "\n  /");
	return found && (!next || found < next);
}

static void every_route_is_in_the_contract(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t i = 0; api_resources[i]; i++)
		for (size_t k = 0; k < api_resources[i]->n; k++, n++) {
			const struct api_route *r = &api_resources[i]->routes[k];

			if (!in_contract(r) && strncmp(r->path, "/v1", 3) == 0)
				fail_msg("%s %s is not in openapi.yaml", r->method, r->path);
		}
	assert_true(n > 50);
}

static void every_action_has_a_rule(void **state)
{
	AUTO(rules) rules = rules_new();

	(void)state;
	for (size_t i = 0; api_resources[i]; i++)
		for (size_t k = 0; k < api_resources[i]->n; k++) {
			const struct api_route *r = &api_resources[i]->routes[k];

			if (r->flags & API_OPEN)
				continue;
			assert_non_null(r->action);
			if (*r->action && !rules_get(rules, r->action))
				fail_msg("%s %s: there is no rule '%s'", r->method, r->path,
					 r->action);
		}
}

/* What is asked with GET changes nothing. */
static void reading_does_not_write(void **state)
{
	(void)state;
	for (size_t i = 0; api_resources[i]; i++)
		for (size_t k = 0; k < api_resources[i]->n; k++) {
			const struct api_route *r = &api_resources[i]->routes[k];

			if (strcmp(r->method, "GET") == 0)
				assert_false(r->flags & API_WRITES);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_in_the_contract),
		cmocka_unit_test(every_action_has_a_rule),
		cmocka_unit_test(reading_does_not_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
