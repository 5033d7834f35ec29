/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: what a request is to its handler, and what its answer is on the wire.
 */
#include "testing.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/http.h"
#include "net/httpd.h"
#include "wire.h"

#define HOST "Host: h\r\n"

static struct {
	atomic_int before, after, refused, freed, statuses[600];
} seen;

/* What the request is, as text. */
static void echo(struct httpd_call *c, void *arg)
{
	static const char *const parts[] = {"project_id", "plan_id", "rest"};
	const char *name, *value;
	AUTO_BUF b = BUF_INIT;
	const void *body;
	size_t len;

	buf_fmt(&b, "%s %s %s", (const char *)arg, httpd_method(c), httpd_path(c));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (httpd_part(c, parts[i]))
			buf_fmt(&b, " %s=%s", parts[i], httpd_part(c, parts[i]));
	}
	for (size_t i = 0; httpd_query_at(c, i, &name, &value); i++)
		buf_fmt(&b, " ?%s=%s", name, value);
	body = httpd_body(c, &len);
	if (len)
		buf_fmt(&b, " body %zu %.*s", len, (int)MIN(len, 20u), (const char *)body);
	httpd_answer(c, 200, "text/plain", b.data, b.len);
}

static void no_content(struct httpd_call *c, void *arg)
{
	(void)arg;
	httpd_set_header(c, "X-One", "a");
	httpd_set_header(c, "x-one", "b");
	httpd_set_header(c, "X-Bad", "a\r\nX-Evil: b");
	httpd_set_header(c, "Set-Cookie", "a=1");
	httpd_set_header(c, "Set-Cookie", "b=2");
	httpd_answer(c, 204, NULL, NULL, 0);
}

static void silent(struct httpd_call *c, void *arg)
{
	(void)c;
	(void)arg;
}

static void large(struct httpd_call *c, void *arg)
{
	size_t n = 4 << 20;
	AUTO_FREE char *text = xmalloc(n);

	(void)arg;
	memset(text, 'x', n);
	httpd_answer(c, 200, "text/plain", text, n);
}

static void slow(struct httpd_call *c, void *arg)
{
	(void)arg;
	if (httpd_later(c))
		return;
	clock_sleep_ms(200);
	httpd_answer(c, 200, "text/plain", "slow", 4);
}

static void cookies(struct httpd_call *c, void *arg)
{
	AUTO_FREE char *text = xasprintf("%s|%s|%s|%s", httpd_cookie(c, "a"), httpd_cookie(c, "b"),
					 httpd_header(c, "x-ONE"), httpd_address(c));

	(void)arg;
	assert(!httpd_cookie(c, "c") && httpd_cookie(c, "a") == httpd_cookie(c, "a"));
	httpd_answer(c, 200, "text/plain", text, strlen(text));
}

static void free_attached(void *data)
{
	seen.freed++;
	free(data);
}

static void before(struct httpd_call *c, void *arg)
{
	assert_ptr_equal(arg, &seen);
	seen.before++;
	httpd_attach(c, xstrdup("x"), free_attached);
	if (httpd_header(c, "X-Deny"))
		httpd_answer(c, 401, "text/plain", "no", 2);
}

static void refuse(struct httpd_call *c, int status, const char *reason, void *arg)
{
	AUTO_FREE char *text = xasprintf("refused %d: %s", status, reason);

	(void)arg;
	seen.refused++;
	httpd_answer(c, status, "text/plain", text, strlen(text));
}

static void after(const struct httpd_call *c, int status, uint64_t us, void *arg)
{
	(void)arg;
	assert(us < 10000000 && strlen(httpd_request_id(c)) == 40);
	seen.after++;
	seen.statuses[status]++;
}

static char one[] = "one", all[] = "all", quick[] = "quick", detail[] = "detail", file[] = "file";

static const struct httpd_route routes[] = {
	{"GET", "/", echo, one, 0, 0},
	{"GET", "/v1/{project_id}/plans", echo, all, 0, 0},
	{"POST", "/v1/{project_id}/plans", echo, all, 0, 100},
	{"GET", "/v1/{project_id}/plans/{plan_id}", echo, one, 0, 0},
	{"DELETE", "/v1/{project_id}/plans/{plan_id}", no_content, NULL, 0, 0},
	{"GET", "/v1/{project_id}/plans/detail", echo, detail, 0, 0},
	{"GET", "/quick", echo, quick, HTTPD_QUICK, 0},
	{"*", "/files/{rest*}", echo, file, 0, 0},
	{"GET", "/silent", silent, NULL, 0, 0},
	{"GET", "/large", large, NULL, HTTPD_QUICK, 0},
	{"GET", "/slow", slow, NULL, HTTPD_QUICK, 0},
	{"GET", "/cookies", cookies, NULL, 0, 0},
};

static struct httpd *start(void)
{
	struct httpd_options o = {.address = "127.0.0.1",
				  .before = before,
				  .refuse = refuse,
				  .after = after,
				  .arg = &seen,
				  .idle_s = 30};

	memset(&seen, 0, sizeof(seen));
	return OK_PTR(httpd_start(&o, routes, ARRAY_LEN(routes), e));
}

/* The answer has this status, and its body begins so. */
static void expect(uint16_t port, const char *request, int status, const char *body)
{
	struct wire_answer a = wire_ask(port, request);

	if (a.status != status || strncmp(buf_str(&a.body), body, strlen(body)) != 0)
		fail_msg("%.60s: %d %s instead of %d %s", request, a.status, buf_str(&a.body),
			 status, body);
	wire_done(&a);
}

static void test_routes(void **state)
{
	static const struct {
		const char *request;
		int status;
		const char *body;
	} rows[] = {
		{"GET /", 200, "one GET /"},
		{"GET /v1/p/plans", 200, "all GET /v1/p/plans project_id=p"},
		{"GET /v1/p/plans?a=b&c&a=%26+%2b&&=x", 200,
		 "all GET /v1/p/plans project_id=p ?a=b ?c= ?a=& + ?=x"},
		{"GET /v1/p/plans/detail", 200, "detail GET /v1/p/plans/detail project_id=p"},
		{"GET /v1/p/plans/OS::Nova::Server", 200,
		 "one GET /v1/p/plans/OS::Nova::Server project_id=p plan_id=OS::Nova::Server"},
		{"GET /v1/p/plans/a%2Fb%20c+d", 200,
		 "one GET /v1/p/plans/a/b c+d project_id=p plan_id=a/b c+d"},
		{"GET /v1/p/plans/%C3%A9", 200, "one GET /v1/p/plans/é project_id=p plan_id=é"},
		{"DELETE /v1/p/plans/detail", 204, ""},
		{"HEAD /v1/p/plans/x", 200, ""},
		{"GET /quick?x=1", 200, "quick GET /quick ?x=1"},
		{"PATCH /files/a/b.css", 200, "file PATCH /files/a/b.css rest=a/b.css"},
		{"GET /files/", 200, "file GET /files/ rest="},
		{"GET /silent", 500, "refused 500"},
		{"GET /files", 404, "refused 404"},
		{"GET /v1/p/plans/", 404, "refused 404"},
		{"GET //v1/p/plans", 404, "refused 404"},
		{"GET /v1//plans", 404, "refused 404"},
		{"GET /v1/p/../p/plans", 404, "refused 404"},
		{"GET /files/../secret", 404, "refused 404"},
		{"GET /files/%2e%2e/secret", 404, "refused 404"},
		{"GET /files/..%2fsecret", 404, "refused 404"},
		{"GET /files/a//b", 404, "refused 404"},
		{"PUT /v1/p/plans/x", 405, "refused 405"},
		{"POST /quick", 405, "refused 405"},
		{"get /quick", 405, "refused 405"},
		{"GET /v1/p/plans/%zz", 400, "refused 400: the path has a percent sign"},
		{"GET /v1/p/plans/%4", 400, "refused 400"},
		{"GET /v1/p/plans/a%00b", 400, "refused 400: the path has a zero"},
		{"GET /v1/p/plans/a%0ab", 400, "refused 400: the path has a control"},
		{"GET /v1/p/plans/a%ffb", 400, "refused 400: the path has a control"},
		{"GET /v1/p/plans?a=%0", 400, "refused 400: the query has a percent sign"},
		{"GET /v1/p/plans?a%00=b", 400, "refused 400: the query has a zero"},
		{"GET /v1/p/plans?a=%7f", 400, "refused 400: the query has a control"},
		{"GET http://h/quick", 400, "refused 400: the path does not begin"},
		{"GET /quick#x", 400, "refused 400: the address has a fragment"},
	};
	struct httpd *h = start();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *request = xasprintf("%s HTTP/1.1\r\n" HOST "\r\n", rows[i].request);

		expect(httpd_port(h), request, rows[i].status, rows[i].body);
	}
	httpd_stop(h, 1000);
	assert_int_equal(seen.after, ARRAY_LEN(rows));
	/* What is malformed is nobody's. */
	assert_int_equal(seen.before, seen.after - seen.statuses[400]);
	assert_int_equal(seen.freed, seen.before);
}

/* `value` NULL: it must not be there. */
static void has(struct wire_answer *a, const char *name, const char *value)
{
	AUTO_FREE char *got = wire_header(a, name);
	const char *is = got ? got : "(none)", *want = value ? value : "(none)";

	if (strcmp(is, want) != 0)
		fail_msg("%s: %s instead of %s", name, is, want);
}

static void test_headers(void **state)
{
	struct httpd *h = start();
	struct wire_answer a;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *date = NULL;
	AUTO_FREE char *second = NULL;

	(void)state;
	a = wire_ask(httpd_port(h), "HEAD /v1/p/plans/x HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(a.status, 200);
	id = wire_header(&a, "X-Openstack-Request-Id");
	assert_true(id && strncmp(id, "req-", 4) == 0 && strlen(id) == 40);
	has(&a, "x-compute-request-id", id);
	has(&a, "Server", NULL);
	has(&a, "Content-Type", "text/plain");
	has(&a, "Content-Length", "45");
	date = wire_header(&a, "Date");
	assert_non_null(date);
	wire_done(&a);

	a = wire_ask(httpd_port(h), "DELETE /v1/p/plans/x HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(a.status, 204);
	second = wire_header(&a, "X-Openstack-Request-Id");
	assert_string_not_equal(id, second);
	has(&a, "X-One", "b");
	has(&a, "X-Bad", NULL);
	has(&a, "X-Evil", NULL);
	has(&a, "Content-Length", NULL);
	assert_non_null(strstr(buf_str(&a.head), "a=1"));
	assert_non_null(strstr(buf_str(&a.head), "b=2"));
	wire_done(&a);

	a = wire_ask(httpd_port(h),
		     "PUT /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab");
	assert_int_equal(a.status, 405);
	has(&a, "Allow", "GET, HEAD, POST");
	wire_done(&a);
	expect(httpd_port(h),
	       "GET /cookies HTTP/1.1\r\n" HOST "X-One: 1\r\nCookie: b=\"2\"; a=1\r\n\r\n", 200,
	       "1|2|1|127.0.0.1");
	httpd_stop(h, 1000);
}

static void test_before(void **state)
{
	struct httpd *h = start();

	(void)state;
	expect(httpd_port(h), "GET /quick HTTP/1.1\r\n" HOST "X-Deny: 1\r\n\r\n", 401, "no");
	expect(httpd_port(h), "GET /nothing HTTP/1.1\r\n" HOST "X-Deny: 1\r\n\r\n", 401, "no");
	/* Once where it is read, once in the pool. */
	expect(httpd_port(h), "GET /slow HTTP/1.1\r\n" HOST "\r\n", 200, "slow");
	assert_int_equal(seen.before, 4);
	httpd_stop(h, 1000);
	assert_int_equal(seen.freed, 4);
}

static void test_bodies(void **state)
{
	static const char chunked[] =
		"POST /v1/p/plans HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n";
	struct httpd *h = start();
	uint16_t port = httpd_port(h);
	struct buf big = BUF_INIT;

	(void)state;
	expect(port, "POST /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200,
	       "all POST /v1/p/plans project_id=p body 3 abc");
	expect(port, chunked, 200, "all POST /v1/p/plans project_id=p body 8 abcdefgh");
	expect(port, "POST /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200,
	       "all POST /v1/p/plans project_id=p");
	/* Over the route's limit of 100: told after it is read, and after a chunked one. */
	buf_text(&big, "POST /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n");
	buf_fill(&big, 'x', 101);
	expect(port, buf_str(&big), 413, "refused 413");
	buf_done(&big);
	buf_text(&big,
		 "POST /v1/p/plans HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n65\r\n");
	buf_fill(&big, 'x', 101);
	buf_text(&big, "\r\n0\r\n\r\n");
	expect(port, buf_str(&big), 413, "refused 413");
	buf_done(&big);
	/* So much that nobody reads it. */
	expect(port, "POST /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: 1000000000\r\n\r\n", 413,
	       "refused 413");
	expect(port,
	       "POST /v1/p/plans HTTP/1.1\r\n" HOST
	       "Content-Length: 101\r\nExpect: 100-continue\r\n\r\n",
	       413, "refused 413");
	/* A body where none is of use. */
	expect(port, "POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 404,
	       "refused");
	assert_int_equal(seen.statuses[413], 4);
	httpd_stop(h, 1000);
}

static void test_continue(void **state)
{
	struct httpd *h = start();
	int fd = wire_open(httpd_port(h));
	struct wire_answer a;

	(void)state;
	wire_text(fd, "POST /v1/p/plans HTTP/1.1\r\n" HOST
		      "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	a = wire_read(fd, false);
	assert_int_equal(a.status, 100);
	wire_done(&a);
	wire_text(fd, "abc");
	a = wire_read(fd, false);
	assert_int_equal(a.status, 200);
	wire_done(&a);
	close(fd);
	httpd_stop(h, 1000);
}

/* One connection, many requests, sent before the answers are read. */
static void test_pipelined(void **state)
{
	struct httpd *h = start();
	int fd = wire_open(httpd_port(h));
	AUTO_BUF b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 50; i++) {
		buf_fmt(&b, "GET /v1/p/plans/%d HTTP/1.1\r\n" HOST "\r\n", i);
		buf_fmt(&b, "POST /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n%02d",
			i);
		buf_text(&b, "GET /quick HTTP/1.1\r\n" HOST "\r\n");
	}
	assert_true(wire_send(fd, (char *)b.data, b.len));
	for (int i = 0; i < 150; i++) {
		AUTO_FREE char *want = i % 3 == 0   ? xasprintf("plan_id=%d", i / 3)
				       : i % 3 == 1 ? xasprintf("body 2 %02d", i / 3)
						    : xstrdup("quick GET");
		struct wire_answer a = wire_read(fd, false);

		assert_int_equal(a.status, 200);
		assert_non_null(strstr(buf_str(&a.body), want));
		wire_done(&a);
	}
	/* It answers one of version 1.0, and closes. */
	wire_text(fd, "GET /quick HTTP/1.0\r\n\r\n");
	assert_true(wire_closed(fd, 5000));
	close(fd);
	httpd_stop(h, 1000);
}

static void test_malformed(void **state)
{
	static const char *const rows[] = {
		"\r\n\r\n\r\n\r\nX\r\n\r\n",
		"GET\r\n\r\n",
		"GET /quick\r\n\r\n",
		"GET /quick HTTP/1.1\r\nno colon\r\n\r\n",
		"GET /quick HTTP/1.1\r\n\r\n", /* no host */
		"GET /quick HTTP/9.9\r\n" HOST "\r\n",
		"POST /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\nabc",
		"POST /v1/p/plans HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\nabc",
		"POST /v1/p/plans HTTP/1.1\r\n" HOST
		"Content-Length: 99999999999999999999999999\r\n\r\nabc",
		"POST /v1/p/plans HTTP/1.1\r\n" HOST
		"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"POST /v1/p/plans HTTP/1.1\r\n" HOST
		"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /v1/p/plans HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
		"POST /v1/p/plans HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	struct httpd *h = start();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fd = wire_open(httpd_port(h));
		struct wire_answer a;

		assert_true(wire_text(fd, rows[i]));
		shutdown(fd, SHUT_WR);
		a = wire_read(fd, false);
		if (a.status && (a.status < 400 || a.status > 505))
			fail_msg("%zu: %s gets %d", i, rows[i], a.status);
		wire_done(&a);
		if (!wire_closed(fd, 5000))
			fail_msg("%zu: %s keeps its connection", i, rows[i]);
		close(fd);
	}
	expect(httpd_port(h), "GET /quick HTTP/1.1\r\n" HOST "\r\n", 200, "quick");
	httpd_stop(h, 1000);
}

static void test_oversize(void **state)
{
	struct httpd *h = start();
	AUTO_BUF b = BUF_INIT;

	(void)state;
	buf_text(&b, "GET /files/");
	buf_fill(&b, 'a', 4096);
	buf_text(&b, " HTTP/1.1\r\n" HOST "\r\n");
	expect(httpd_port(h), buf_str(&b), 400, "refused 400: the path has 4103 bytes");
	b.len = 0;
	buf_text(&b, "GET /quick?");
	for (int i = 0; i < 64; i++)
		buf_text(&b, "a&");
	buf_text(&b, " HTTP/1.1\r\n" HOST "\r\n");
	expect(httpd_port(h), buf_str(&b), 200, "quick");
	b.len -= strlen(" HTTP/1.1\r\n" HOST "\r\n");
	buf_text(&b, "a HTTP/1.1\r\n" HOST "\r\n");
	expect(httpd_port(h), buf_str(&b), 400, "refused 400: there are more than 64");
	b.len = 0;
	buf_text(&b, "GET /quick HTTP/1.1\r\n" HOST);
	for (int i = 0; i < 40; i++) {
		buf_fmt(&b, "X-%d: ", i);
		buf_fill(&b, 'a', 1000);
		buf_text(&b, "\r\n");
	}
	buf_text(&b, "\r\n");
	expect(httpd_port(h), buf_str(&b), 431, "refused 431");
	httpd_stop(h, 1000);
}

/* So much that the library itself has no room for it, or that never ends. */
static void test_endless(void **state)
{
	struct httpd *h = start();
	int fd = wire_open(httpd_port(h));
	struct wire_answer a;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	buf_text(&b, "GET /quick HTTP/1.1\r\n" HOST "X: ");
	buf_fill(&b, 'a', 100000);
	wire_send(fd, (char *)b.data, b.len);
	a = wire_read(fd, false);
	assert_true(a.status == 0 || a.status == 413 || a.status == 431);
	wire_done(&a);
	assert_true(wire_closed(fd, 5000));
	close(fd);
	b.len = 0;
	buf_text(&b, "10000\r\n");
	buf_fill(&b, 'x', 65536);
	buf_text(&b, "\r\n");
	fd = wire_open(httpd_port(h));
	wire_text(fd, "POST /v1/p/plans HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 1000 && wire_send(fd, (char *)b.data, b.len); i++)
		assert_in_range(i, 0, 500);
	assert_true(wire_closed(fd, 5000));
	close(fd);
	expect(httpd_port(h), "GET /quick HTTP/1.1\r\n" HOST "\r\n", 200, "quick");
	httpd_stop(h, 1000);
}

static void test_large_answer(void **state)
{
	struct httpd *h = start();
	struct wire_answer a = wire_ask(httpd_port(h), "GET /large HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	assert_int_equal(a.body.len, 4 << 20);
	wire_done(&a);
	httpd_stop(h, 1000);
}

/* ---- many at once ---- */

struct client {
	pthread_t thread;
	struct http *http;
	uint16_t port;
	int number, bad;
};

static void *ask_many(void *arg)
{
	struct client *k = arg;

	for (int i = 0; i < 60; i++) {
		AUTO_FREE char *url = xasprintf("http://127.0.0.1:%u/%s/%d-%d", k->port,
						i % 3 ? "v1/p/plans" : "files", k->number, i);
		AUTO_FREE char *want = xasprintf("=%d-%d", k->number, i);
		struct http_request q = {.method = "GET", .url = url, .no_proxy = true};
		struct http_reply r;
		struct err e = {0};

		if (http_do(k->http, &q, &r, &e) < 0 || r.status != 200 ||
		    !strstr(buf_str(&r.body), want))
			k->bad++;
		buf_done(&r.body);
	}
	return NULL;
}

static void test_concurrent(void **state)
{
	struct httpd *h = start();
	struct client clients[16];
	AUTO(http) http = http_new(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = (struct client){.http = http, .port = httpd_port(h), .number = (int)i};
		pthread_create(&clients[i].thread, NULL, ask_many, &clients[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		pthread_join(clients[i].thread, NULL);
		assert_int_equal(clients[i].bad, 0);
	}
	httpd_stop(h, 1000);
	assert_int_equal(seen.statuses[200], 16 * 60);
	assert_int_equal(seen.freed, 16 * 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),	   cmocka_unit_test(test_headers),
		cmocka_unit_test(test_before),	   cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_continue),   cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_malformed),  cmocka_unit_test(test_oversize),
		cmocka_unit_test(test_endless),	   cmocka_unit_test(test_large_answer),
		cmocka_unit_test(test_concurrent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
