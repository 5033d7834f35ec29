/* SPDX-License-Identifier: Apache-2.0 */
/* What others may make the server connect to. */
#include "testing.h"

#include <arpa/inet.h>
#include <string.h>

#include "net/networks.h"
#include "net/reach.h"

static bool allows(const struct reach *r, const char *text)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return reach_allows(r, (struct sockaddr *)&four);
	assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
	return reach_allows(r, (struct sockaddr *)&six);
}

static void test_public(void **state)
{
	static const char *const open[] = {"1.1.1.1",	      "8.8.8.8",      "11.0.0.0",
					   "172.15.255.255",  "172.32.0.0",   "100.63.255.255",
					   "100.128.0.0",     "192.167.1.1",  "223.255.255.255",
					   "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8",
					   "64:ff9b::808:808"};
	static const char *const closed[] = {"0.0.0.0",
					     "10.0.0.1",
					     "127.0.0.1",
					     "127.255.255.255",
					     "169.254.169.254",
					     "172.16.0.1",
					     "172.31.255.255",
					     "192.168.1.1",
					     "100.64.0.1",
					     "198.18.0.1",
					     "224.0.0.1",
					     "240.0.0.1",
					     "255.255.255.255",
					     "::",
					     "::1",
					     "fe80::1",
					     "fc00::1",
					     "fd00::1",
					     "ff02::1",
					     "::ffff:127.0.0.1",
					     "::ffff:10.0.0.1",
					     "::127.0.0.1",
					     "64:ff9b::7f00:1",
					     "64:ff9b:1::1",
					     "2002:7f00:1::",
					     "2001::1",
					     "2001:db8::1",
					     "fec0::1",
					     "100::1"};
	AUTO(reach) r = reach_new(NULL, NULL);
	struct sockaddr other = {.sa_family = AF_UNIX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(open); i++)
		if (!allows(r, open[i]))
			fail_msg("%s", open[i]);
	for (size_t i = 0; i < ARRAY_LEN(closed); i++)
		if (allows(r, closed[i]))
			fail_msg("%s", closed[i]);
	assert_false(reach_allows(r, &other));
}

static void test_named(void **state)
{
	const char *const networks[] = {"10.1.0.0/16", "fd00:1::/33", "192.168.1.7", "127.0.0.0/9",
					NULL};
	AUTO(reach) r = reach_new(networks, NULL);

	(void)state;
	assert_true(allows(r, "10.1.255.1"));
	assert_true(allows(r, "::ffff:10.1.0.1"));
	assert_false(allows(r, "10.2.0.1"));
	assert_true(allows(r, "192.168.1.7"));
	assert_false(allows(r, "192.168.1.8"));
	assert_true(allows(r, "fd00:1:7fff::1"));
	assert_false(allows(r, "fd00:1:8000::1"));
	assert_true(allows(r, "127.127.0.1"));
	assert_false(allows(r, "127.128.0.1"));
	assert_true(allows(r, "8.8.8.8"));
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",	"x",	       "10.0.0.0/33", "fd00::/129",  "10.0.0.0/",
		"10/8", "10.0.0.0/-1", "10.0.0.0/ 8", "10.0.0.0/8x", "::/1/2"};
	struct err e = {ERR_NONE};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const networks[] = {bad[i], NULL};

		if (networks_check(bad[i], &e) == 0 || reach_new(networks, &e))
			fail_msg("%s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
