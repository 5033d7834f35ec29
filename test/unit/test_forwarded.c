/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, behind proxies: nobody who is not trusted can say that he is somebody else. */
#include "testing.h"

#include <stdio.h>
#include <string.h>

#include "net/forwarded.h"

static const char *const proxies[] = {"10.0.0.0/8", "2001:db8::/32", NULL};

static void test_lines(void **state)
{
	static const struct {
		const char *peer, *line, *client;
		bool on; /* to the line before */
	} cases[] = {
		/* Who is not trusted says nothing. */
		{"192.0.2.9", "198.51.100.1", "192.0.2.9", false},
		{"", "198.51.100.1", "", false},
		{"10.0.0.1", "198.51.100.1", "198.51.100.1", false},
		{"10.0.0.1", " 198.51.100.1 ", "198.51.100.1", false},
		/* What the client wrote is before what the proxy added. */
		{"10.0.0.1", "203.0.113.5, 198.51.100.1", "198.51.100.1", false},
		{"10.0.0.1", "198.51.100.1,10.9.9.9", "198.51.100.1", false},
		{"10.0.0.1", "203.0.113.5,198.51.100.1,\t10.9.9.9 ,10.0.0.2", "198.51.100.1",
		 false},
		/* All are trusted: the first. */
		{"10.0.0.1", "10.0.0.7, 10.0.0.2", "10.0.0.7", true},
		/* Ports, and the other family. */
		{"10.0.0.1", "198.51.100.1:5000", "198.51.100.1", false},
		{"2001:db8::1", "2a00::1", "2a00::1", false},
		{"2001:db8::1", "[2A00:0::1]", "2a00::1", false},
		{"2001:db8::1", "[2a00::1]:443", "2a00::1", false},
		{"10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1", false},
		{"10.0.0.1", "198.51.100.1, ::ffff:10.0.0.3", "198.51.100.1", false},
		/* What cannot be made out stops there: whoever passed it on. */
		{"10.0.0.1", "", "10.0.0.1", false},
		{"10.0.0.1", "unknown", "10.0.0.1", false},
		{"10.0.0.1", "198.51.100.1,", "10.0.0.1", false},
		{"10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2", false},
		{"10.0.0.1", "198.51.100.1:", "10.0.0.1", false},
		{"10.0.0.1", "198.51.100.1:x", "10.0.0.1", false},
		{"10.0.0.1", "[198.51.100.1]", "10.0.0.1", false},
		{"10.0.0.1", "[2a00::1", "10.0.0.1", false},
		{"10.0.0.1", "[2a00::1]x", "10.0.0.1", false},
		{"10.0.0.1", "198.51.100.1 203.0.113.5", "10.0.0.1", false},
		{"10.0.0.1", "fe80::1%eth0", "10.0.0.1", false},
	};
	AUTO(networks) n = networks_new(proxies, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char address[INET6_ADDRSTRLEN];

		snprintf(address, sizeof(address), "%s", cases[i].peer);
		if (forwarded_back(n, cases[i].line, address) != cases[i].on ||
		    strcmp(address, cases[i].client) != 0)
			fail_msg("'%s' from %s: %s", cases[i].line, cases[i].peer, address);
	}
}

static void test_nobody(void **state)
{
	AUTO(networks) n = networks_new(NULL, NULL);
	char address[INET6_ADDRSTRLEN] = "127.0.0.1";

	(void)state;
	assert_false(forwarded_back(n, "198.51.100.1", address));
	assert_string_equal(address, "127.0.0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
