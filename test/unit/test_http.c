/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client where it reads streams, against our own server.
 */
#include "testing.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http.h"
#include "net/httpd.h"
#include "net/sse.h"

static struct httpd_stream *open_stream;
static atomic_int closed;

static void count_closed(void *arg)
{
	(void)arg;
	closed++;
}

/* Ten events, and then nothing until somebody ends it. */
static void events(struct httpd_call *c, void *arg)
{
	AUTO_BUF b = BUF_INIT;

	(void)arg;
	open_stream = httpd_stream(c, "text/event-stream", 65536, count_closed, NULL);
	for (int i = 0; i < 10; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", i);
		sse_write(&b, "call", text, text, strlen(text));
	}
	httpd_stream_send(open_stream, b.data, b.len);
	if (httpd_query(c, "end"))
		httpd_stream_end(open_stream);
}

static void no(struct httpd_call *c, void *arg)
{
	(void)arg;
	httpd_set_header(c, "X-Subject-Token", "  a long one  ");
	httpd_answer(c, 403, "text/plain", "not for you", 11);
}

static void sleeps(struct httpd_call *c, void *arg)
{
	(void)arg;
	clock_sleep_ms(2500);
	httpd_answer(c, 200, NULL, NULL, 0);
}

static const struct httpd_route routes[] = {{"GET", "/events", events, NULL, 0, 0},
					    {"GET", "/no", no, NULL, 0, 0},
					    {"GET", "/sleep", sleeps, NULL, 0, 0}};

struct fixture {
	struct httpd *h;
	struct http *http;
	char *url;
	struct http_request q;
	struct http_reply r;
	struct sse *parser;
	int n, fail_at;
};

static int take_event(void *arg, const struct sse_event *event, struct err *e)
{
	struct fixture *f = arg;

	assert_string_equal(event->type, "call");
	assert_int_equal(strtol(event->data, NULL, 10), f->n);
	if (++f->n == f->fail_at)
		return err_set(e, ERR_CONFLICT, "seen enough");
	return 0;
}

static int take(void *arg, const void *data, size_t n, struct err *e)
{
	struct fixture *f = arg;

	return sse_feed(f->parser, data, n, e);
}

static int begin(void **state)
{
	struct httpd_options o = {.address = "127.0.0.1"};
	struct fixture *f = xcalloc(1, sizeof(*f));

	closed = 0;
	f->h = OK_PTR(httpd_start(&o, routes, ARRAY_LEN(routes), e));
	f->http = http_new(NULL);
	f->parser = sse_new(1000, take_event, f);
	f->q = (struct http_request){.method = "GET", .no_proxy = true};
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	httpd_stop(f->h, 1000);
	http_free(f->http);
	sse_free(f->parser);
	buf_done(&f->r.body);
	buf_done(&f->r.headers);
	free(f->url);
	free(f);
	return 0;
}

static void at(struct fixture *f, const char *path)
{
	f->url = xasprintf("http://127.0.0.1:%u%s", httpd_port(f->h), path);
	f->q.url = f->url;
}

static void test_stream(void **state)
{
	struct fixture *f = *state;

	at(f, "/events?end");
	f->q.keep_headers = true;
	OK(http_stream(f->http, &f->q, take, f, &f->r, e));
	assert_int_equal(f->r.status, 200);
	assert_int_equal(f->n, 10);
	assert_int_equal(f->r.body.len, 0);
	{
		AUTO_FREE char *type = http_reply_header(&f->r, "content-TYPE");

		assert_string_equal(type, "text/event-stream");
		assert_null(http_reply_header(&f->r, "content"));
	}
}

static void test_other_status(void **state)
{
	struct fixture *f = *state;

	at(f, "/no");
	OK(http_stream(f->http, &f->q, take, f, &f->r, e));
	assert_int_equal(f->r.status, 403);
	assert_string_equal(buf_str(&f->r.body), "not for you");
	assert_null(http_reply_header(&f->r, "X-Subject-Token"));
	buf_done(&f->r.body);
	f->q.keep_headers = true;
	OK(http_do(f->http, &f->q, &f->r, e));
	{
		AUTO_FREE char *token = http_reply_header(&f->r, "x-subject-token");

		assert_string_equal(token, "a long one");
	}
}

static void test_reader_fails(void **state)
{
	struct fixture *f = *state;

	at(f, "/events");
	f->fail_at = 4;
	FAILS(ERR_CONFLICT, http_stream(f->http, &f->q, take, f, &f->r, e));
	assert_int_equal(f->n, 4);
	/* The server notices. */
	for (int i = 0; i < 400 && !closed; i++)
		clock_sleep_ms(10);
	assert_int_equal(closed, 1);
	httpd_stream_end(open_stream);
}

static void test_silence(void **state)
{
	struct fixture *f = *state;
	uint64_t start = clock_mono_us();

	at(f, "/events");
	f->q.stall_s = 2;
	FAILS(ERR_TIMEOUT, http_stream(f->http, &f->q, take, f, &f->r, e));
	assert_in_range(clock_mono_us() - start, 1000000, 6000000);
	assert_int_equal(f->n, 10);
	httpd_stream_end(open_stream);
}

static void *cancel_soon(void *arg)
{
	clock_sleep_ms(300);
	cancel_set(arg);
	return NULL;
}

static void test_cancel(void **state)
{
	static const char *const paths[] = {"/events", "/sleep"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct cancel cancel = {false};
		uint64_t start = clock_mono_us();
		pthread_t thread;

		free(f->url);
		at(f, paths[i]);
		f->q.cancel = &cancel;
		pthread_create(&thread, NULL, cancel_soon, &cancel);
		FAILS(ERR_CANCELLED, i ? http_do(f->http, &f->q, &f->r, e)
				       : http_stream(f->http, &f->q, take, f, &f->r, e));
		assert_in_range(clock_mono_us() - start, 300000, 1800000);
		pthread_join(thread, NULL);
	}
	httpd_stream_end(open_stream);
}

static void test_server_stops(void **state)
{
	struct fixture *f = *state;

	at(f, "/events");
	f->fail_at = 10;
	FAILS(ERR_CONFLICT, http_stream(f->http, &f->q, take, f, &f->r, e));
	httpd_stream_end(open_stream);
	httpd_stop(f->h, 1000);
	FAILS(ERR_UNREACHABLE, http_stream(f->http, &f->q, take, f, &f->r, e));
	f->h = NULL;
}

#define HASTY 40

/* A server like Ceph's gateway: headers and body apart, the second not before the first is known to
 * have arrived. */
static void *answer_apart(void *arg)
{
	int listener = *(int *)arg, fd = accept(listener, NULL, NULL);
	char request[4096];

	for (int i = 0; i < HASTY && recv(fd, request, sizeof(request), 0) > 0; i++) {
		const char *head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";

		send(fd, head, strlen(head), MSG_NOSIGNAL);
		send(fd, "hello", 5, MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Waiting for each other costs 40 ms then: a bucket's restore took twice as long. */
static void test_no_delay(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);
	uint64_t took[HASTY];
	pthread_t thread;

	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(pthread_create(&thread, NULL, answer_apart, &listener), 0);
	f->url = xasprintf("http://127.0.0.1:%u/", ntohs(at.sin_port));
	f->q.url = f->url;
	for (int i = 0; i < HASTY; i++) {
		uint64_t from = clock_mono_us();

		OK(http_do(f->http, &f->q, &f->r, e));
		took[i] = clock_mono_us() - from;
		assert_int_equal(f->r.body.len, 5);
		buf_done(&f->r.body);
	}
	pthread_join(thread, NULL);
	close(listener);
	qsort(took, HASTY, sizeof(*took), by_value);
	assert_true(took[HASTY / 4] < 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stream, begin, end),
		cmocka_unit_test_setup_teardown(test_other_status, begin, end),
		cmocka_unit_test_setup_teardown(test_reader_fails, begin, end),
		cmocka_unit_test_setup_teardown(test_silence, begin, end),
		cmocka_unit_test_setup_teardown(test_cancel, begin, end),
		cmocka_unit_test_setup_teardown(test_no_delay, begin, end),
		cmocka_unit_test_setup_teardown(test_server_stops, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
