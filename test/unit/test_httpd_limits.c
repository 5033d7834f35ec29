/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an HTTP server does to clients that are many, slow or in its way, and how it stops.
 */
#include "testing.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/httpd.h"
#include "net/networks.h"
#include "wire.h"

#define ASK "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"

static atomic_int began, ended;

static void quick(struct httpd_call *c, void *arg)
{
	(void)arg;
	httpd_answer(c, 200, "text/plain", httpd_address(c), strlen(httpd_address(c)));
}

static void sleeps(struct httpd_call *c, void *arg)
{
	const char *ms = httpd_query(c, "ms");

	(void)arg;
	began++;
	clock_sleep_ms((unsigned)strtoul(ms, NULL, 10));
	if (httpd_query(c, "stream"))
		httpd_stream_end(httpd_stream(c, "text/plain", 100, NULL, NULL));
	else
		httpd_answer(c, 200, "text/plain", "slept", 5);
	ended++;
}

static const struct httpd_route routes[] = {{"GET", "/quick", quick, NULL, HTTPD_QUICK, 0},
					    {"POST", "/quick", quick, NULL, HTTPD_QUICK, 0},
					    {"GET", "/sleep", sleeps, NULL, 0, 0}};

static struct httpd *start(struct httpd_options o)
{
	if (!o.address)
		o.address = "127.0.0.1";
	began = ended = 0;
	return OK_PTR(httpd_start(&o, routes, ARRAY_LEN(routes), e));
}

static int status_of(int fd, const char *request)
{
	struct wire_answer a;
	int status;

	wire_text(fd, request);
	a = wire_read(fd, false);
	status = a.status;
	wire_done(&a);
	return status;
}

/* Two lines are one list; the server that trusts nobody believes neither. */
static void test_behind_a_proxy(void **state)
{
	static const char *const proxies[] = {"127.0.0.0/8", NULL};
	AUTO(networks) n = networks_new(proxies, NULL);

	(void)state;
	for (int trusts = 0; trusts < 2; trusts++) {
		struct httpd *h =
			start((struct httpd_options){.trusted_proxies = trusts ? n : NULL});
		struct wire_answer a =
			wire_ask(httpd_port(h), "GET /quick HTTP/1.1\r\nHost: h\r\n"
						"X-Forwarded-For: 192.0.2.1, 198.51.100.1\r\n"
						"x-forwarded-for: 127.0.0.9\r\n\r\n");

		assert_string_equal(buf_str(&a.body), trusts ? "198.51.100.1" : "127.0.0.1");
		wire_done(&a);
		httpd_stop(h, 1000);
	}
}

static void test_connections(void **state)
{
	struct httpd *h = start((struct httpd_options){.connections = 8});
	int fds[9], last;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = wire_open(httpd_port(h));
		assert_int_equal(status_of(fds[i], ASK), i < 8 ? 200 : 503);
	}
	assert_true(wire_closed(fds[8], 2000));
	close(fds[0]);
	for (int tries = 0, status = 0; status != 200; tries++) {
		assert_in_range(tries, 0, 200);
		clock_sleep_ms(10);
		last = wire_open(httpd_port(h));
		status = status_of(last, ASK);
		close(last);
	}
	for (size_t i = 1; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	httpd_stop(h, 1000);
}

static void test_per_address(void **state)
{
	struct httpd *h = start((struct httpd_options){.connections_per_address = 3});
	int fds[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = wire_open(httpd_port(h));
		assert_int_equal(status_of(fds[i], ASK), i < 3 ? 200 : 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	httpd_stop(h, 1000);
}

/* A byte every so often; true: it was closed before all were taken. */
static bool drip(int fd, const char *text, unsigned ms)
{
	for (; *text; text++) {
		char c;

		if (!wire_send(fd, text, 1) || recv(fd, &c, 1, MSG_DONTWAIT) == 0)
			return true;
		clock_sleep_ms(ms);
	}
	return false;
}

static void test_slow_loris(void **state)
{
	static const char body[] = "POST /quick HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\n";
	struct httpd *h = start((struct httpd_options){.idle_s = 1});
	int fd = wire_open(httpd_port(h));

	(void)state;
	/* Silent from the start. */
	assert_true(wire_closed(fd, 4000));
	close(fd);
	/* Always something, never all of it. */
	fd = wire_open(httpd_port(h));
	assert_true(drip(fd, "GET /quick HTTP/1.1\r\nHost: a-host-with-a-long-name\r\n", 100));
	close(fd);
	fd = wire_open(httpd_port(h));
	wire_text(fd, body);
	assert_true(drip(fd, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", 100));
	close(fd);
	/* Slow, but in time. */
	fd = wire_open(httpd_port(h));
	assert_int_equal(status_of(fd, ASK), 200);
	assert_false(drip(fd, "GET /quick", 50));
	assert_int_equal(status_of(fd, " HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
	/* Nothing more after an answer. */
	assert_true(wire_closed(fd, 4000));
	close(fd);
	httpd_stop(h, 1000);
}

/* A handler may take as long as it likes. */
static void test_slow_handler(void **state)
{
	struct httpd *h = start((struct httpd_options){.idle_s = 1});
	int fd = wire_open(httpd_port(h));

	(void)state;
	assert_int_equal(status_of(fd, "GET /sleep?ms=3000 HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
	close(fd);
	httpd_stop(h, 1000);
}

static void wait_began(int n)
{
	for (int i = 0; i < 500 && began < n; i++)
		clock_sleep_ms(5);
	assert_int_equal(began, n);
}

static void test_drain(void **state)
{
	struct httpd *h = start((struct httpd_options){0});
	int fd = wire_open(httpd_port(h)), idle = wire_open(httpd_port(h));
	uint16_t port = httpd_port(h);
	struct wire_answer a;

	(void)state;
	assert_int_equal(status_of(idle, ASK), 200);
	wire_text(fd, "GET /sleep?ms=300 HTTP/1.1\r\nHost: h\r\n\r\n");
	wait_began(1);
	httpd_stop(h, 5000);
	assert_int_equal(ended, 1);
	a = wire_read(fd, false);
	assert_int_equal(a.status, 200);
	{
		AUTO_FREE char *close_header = wire_header(&a, "Connection");

		assert_string_equal(close_header, "close");
	}
	wire_done(&a);
	assert_true(wire_closed(idle, 100));
	assert_int_equal(wire_open(port), -1);
	close(fd);
	close(idle);
}

static void test_stop_does_not_wait(void **state)
{
	static const char *const asks[] = {
		"GET /sleep?ms=800 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /sleep?ms=800&stream HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /sleep?ms=1 HTTP/1.1\r\nHost: h\r\n\r\n", /* waits for a thread */
	};
	struct httpd *h = start((struct httpd_options){.threads = 2});
	int fds[3], half = wire_open(httpd_port(h));
	uint64_t start_us;

	(void)state;
	wire_text(half, "POST /quick HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
	for (int i = 0; i < 3; i++) {
		fds[i] = wire_open(httpd_port(h));
		wire_text(fds[i], asks[i]);
		wait_began(MIN(i + 1, 2));
	}
	clock_sleep_ms(50);
	start_us = clock_mono_us();
	httpd_stop(h, 100);
	/* Only the handlers themselves took so long. */
	assert_in_range(clock_mono_us() - start_us, 300000, 3000000);
	assert_int_equal(ended, 2);
	for (int i = 0; i < 3; i++) {
		struct wire_answer a = wire_read(fds[i], false);

		assert_int_equal(a.status, 503);
		wire_done(&a);
		close(fds[i]);
	}
	close(half);
}

static void test_start(void **state)
{
	struct httpd *h = start((struct httpd_options){.address = "::"});
	struct httpd_options o = {.address = "::", .port = httpd_port(h)};
	int fd = wire_open(httpd_port(h));
	struct wire_answer a;

	(void)state;
	FAILS_PTR(ERR_BUSY, httpd_start(&o, routes, 1, e));
	o.address = "not an address";
	FAILS_PTR(ERR_INVALID, httpd_start(&o, routes, 1, e));
	o.address = "192.0.2.1";
	FAILS_PTR(ERR_INVALID, httpd_start(&o, routes, 1, e));
	wire_text(fd, ASK);
	a = wire_read(fd, false);
	assert_string_equal(buf_str(&a.body), "127.0.0.1");
	wire_done(&a);
	close(fd);
	httpd_stop(h, 1000);
	httpd_stop(NULL, 0);
}

/* ---- stopping at any moment ---- */

static atomic_bool over;

static void *disturb(void *arg)
{
	static const char *const asks[] = {
		ASK,
		ASK ASK "GET /sleep?ms=1 HTTP/1.1\r\nHost: h\r\n\r\n" ASK,
		"GET /sleep?ms=3 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /sleep?ms=2&stream HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /quick HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab",
		"GET /none HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /qui",
		"",
	};
	uint16_t port = *(uint16_t *)arg;
	struct random r = {port + (uintptr_t)pthread_self()};

	while (!over) {
		int fd = wire_open(port);

		if (fd < 0)
			continue;
		wire_text(fd, asks[random_below(&r, ARRAY_LEN(asks))]);
		wire_closed(fd, (int)random_below(&r, 4));
		close(fd);
	}
	return NULL;
}

static void test_stop_at_any_moment(void **state)
{
	struct random r = {random_seed()};

	(void)state;
	for (int round = 0; round < 30; round++) {
		struct httpd *h = start((struct httpd_options){.threads = 3, .connections = 6});
		uint16_t port = httpd_port(h);
		pthread_t threads[8];

		over = false;
		for (size_t i = 0; i < ARRAY_LEN(threads); i++)
			pthread_create(&threads[i], NULL, disturb, &port);
		clock_sleep_ms((unsigned)random_below(&r, 40));
		httpd_stop(h, (unsigned)random_below(&r, 4));
		assert_int_equal(began, ended);
		over = true;
		for (size_t i = 0; i < ARRAY_LEN(threads); i++)
			pthread_join(threads[i], NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behind_a_proxy),	   cmocka_unit_test(test_connections),
		cmocka_unit_test(test_per_address),	   cmocka_unit_test(test_slow_loris),
		cmocka_unit_test(test_slow_handler),	   cmocka_unit_test(test_drain),
		cmocka_unit_test(test_stop_does_not_wait), cmocka_unit_test(test_start),
		cmocka_unit_test(test_stop_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
