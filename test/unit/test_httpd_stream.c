/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that go on: what arrives, who notices when a side has gone, what they cost.
 */
#include "testing.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/httpd.h"
#include "wire.h"

#define MANY 400
#define ASK "GET /events HTTP/1.1\r\nHost: h\r\n\r\n"

/* Every stream that a handler began, in order. */
static struct {
	pthread_mutex_t lock;
	struct httpd_stream *all[4 * MANY];
	size_t n;
	atomic_int closed;
} hub = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void count_closed(void *arg)
{
	assert_ptr_equal(arg, &hub);
	hub.closed++;
}

static void events(struct httpd_call *c, void *arg)
{
	struct httpd_stream *s;

	(void)arg;
	if (httpd_query(c, "slow"))
		clock_sleep_ms(300);
	s = httpd_stream(c, "text/event-stream", 65536, count_closed, &hub);
	httpd_stream_send(s, "hello\n", 6);
	pthread_mutex_lock(&hub.lock);
	hub.all[hub.n++] = s;
	pthread_mutex_unlock(&hub.lock);
}

static const struct httpd_route routes[] = {{"GET", "/events", events, NULL, 0, 0},
					    {"GET", "/quick", events, NULL, HTTPD_QUICK, 0}};

static struct httpd *start(void)
{
	struct httpd_options o = {.address = "127.0.0.1", .threads = 4};

	hub.n = 0;
	hub.closed = 0;
	return OK_PTR(httpd_start(&o, routes, ARRAY_LEN(routes), e));
}

static struct httpd_stream *stream(size_t i)
{
	struct httpd_stream *s = NULL;

	for (int tries = 0; !s && tries < 1000; tries++) {
		pthread_mutex_lock(&hub.lock);
		s = i < hub.n ? hub.all[i] : NULL;
		pthread_mutex_unlock(&hub.lock);
		if (!s)
			clock_sleep_ms(5);
	}
	assert_non_null(s);
	return s;
}

static bool closed_within(int n, int ms)
{
	for (; hub.closed < n && ms > 0; ms -= 10)
		clock_sleep_ms(10);
	return hub.closed == n;
}

/* The next bytes that arrive, whatever they are, hold this text. */
static void arrives(int fd, const char *text)
{
	AUTO_BUF b = BUF_INIT;
	char part[512];
	ssize_t n;

	while (!b.len || !strstr(buf_str(&b), text)) {
		n = recv(fd, part, sizeof(part), 0);
		if (n <= 0)
			fail_msg("'%s' does not arrive, but '%s'", text, b.len ? buf_str(&b) : "");
		buf_add(&b, part, (size_t)n);
	}
}

static void test_messages(void **state)
{
	static const char *const asks[] = {ASK, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n"};
	struct httpd *h = start();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		int fd = wire_open(httpd_port(h));
		struct httpd_stream *s;
		struct wire_answer a;

		wire_text(fd, asks[i]);
		arrives(fd, "text/event-stream");
		s = stream(i);
		for (int k = 0; k < 20; k++) {
			char text[32];

			snprintf(text, sizeof(text), "message %d.", k);
			assert_true(httpd_stream_send(s, text, strlen(text)));
			arrives(fd, text);
		}
		httpd_stream_end(s);
		arrives(fd, "0\r\n\r\n");
		assert_true(closed_within((int)i + 1, 5000));
		/* The connection goes on. */
		wire_text(fd, "HEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
		a = wire_read(fd, true);
		assert_int_equal(a.status, 404);
		wire_done(&a);
		close(fd);
	}
	httpd_stop(h, 1000);
}

static void test_client_goes(void **state)
{
	struct httpd *h = start();
	struct httpd_stream *s;
	int fd = wire_open(httpd_port(h));

	(void)state;
	wire_text(fd, ASK);
	arrives(fd, "hello");
	s = stream(0);
	close(fd);
	/* Nobody sends anything, and still it is noticed. */
	assert_true(closed_within(1, 4000));
	assert_false(httpd_stream_send(s, "x", 1));
	httpd_stream_end(s);
	/* One that is gone before there is an answer. */
	fd = wire_open(httpd_port(h));
	wire_text(fd, "GET /events?slow HTTP/1.1\r\nHost: h\r\n\r\n");
	clock_sleep_ms(100);
	close(fd);
	s = stream(1);
	assert_true(closed_within(2, 4000));
	httpd_stream_end(s);
	/* One that wants no body. */
	fd = wire_open(httpd_port(h));
	wire_text(fd, "HEAD /events HTTP/1.1\r\nHost: h\r\n\r\n");
	s = stream(2);
	assert_true(closed_within(3, 4000));
	httpd_stream_end(s);
	close(fd);
	httpd_stop(h, 1000);
	assert_int_equal(hub.closed, 3);
}

static void test_slow_client(void **state)
{
	static char block[8192];
	struct httpd *h = start();
	struct httpd_stream *s;
	int fd = wire_open(httpd_port(h)), sent = 0;

	(void)state;
	wire_text(fd, ASK);
	arrives(fd, "hello");
	s = stream(0);
	/* What the system buffers is sent; then it waits in the queue; then it is too much. */
	while (sent < 10000 && httpd_stream_send(s, block, sizeof(block))) {
		sent++;
		if (sent % 4 == 0)
			clock_sleep_ms(1);
	}
	assert_in_range(sent, 4, 9999);
	assert_true(closed_within(1, 2000));
	httpd_stream_end(s);
	close(fd);
	/* A message that no queue holds. */
	fd = wire_open(httpd_port(h));
	wire_text(fd, ASK);
	s = stream(1);
	for (int i = 0; i < 8; i++)
		httpd_stream_send(s, block, sizeof(block));
	clock_sleep_ms(50);
	{
		AUTO_FREE char *huge = xcalloc(1, 65537);

		assert_false(httpd_stream_send(s, huge, 65537));
	}
	assert_true(closed_within(2, 2000));
	httpd_stream_end(s);
	close(fd);
	httpd_stop(h, 1000);
}

static void test_stop(void **state)
{
	struct httpd *h = start();
	int fds[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = wire_open(httpd_port(h));
		wire_text(fds[i], ASK);
		arrives(fds[i], "hello");
		stream(i);
	}
	httpd_stream_end(stream(2));
	assert_true(httpd_stream_send(stream(0), "last words", 10));
	httpd_stop(h, 2000);
	assert_int_equal(hub.closed, 3);
	arrives(fds[0], "last words");
	/* They outlive the server until their owner lets go. */
	assert_false(httpd_stream_send(stream(0), "x", 1));
	httpd_stream_end(stream(0));
	httpd_stream_end(stream(1));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static int threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_many(void **state)
{
	struct rlimit files = {4096, 4096};
	struct httpd *h;
	static int fds[MANY];
	int before;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	h = start();
	before = threads();
	for (int i = 0; i < MANY; i++) {
		fds[i] = wire_open(httpd_port(h));
		wire_text(fds[i], ASK);
		arrives(fds[i], "hello");
	}
	stream(MANY - 1);
	assert_int_equal(threads(), before);
	for (size_t i = 0; i < MANY; i++)
		assert_true(httpd_stream_send(stream(i), "to all", 6));
	for (int i = 0; i < MANY; i++)
		arrives(fds[i], "to all");
	for (int i = 0; i < MANY; i += 2)
		close(fds[i]);
	assert_true(closed_within(MANY / 2, 5000));
	httpd_stop(h, 5000);
	assert_int_equal(hub.closed, MANY);
	for (int i = 0; i < MANY; i++) {
		if (i % 2)
			close(fds[i]);
		httpd_stream_end(hub.all[i]);
	}
}

/* ---- senders and clients that come and go ---- */

static atomic_bool over;

static void *send_to_all(void *arg)
{
	(void)arg;
	for (size_t first = 0; !over;) {
		pthread_mutex_lock(&hub.lock);
		for (size_t i = first; i < hub.n; i++)
			httpd_stream_send(hub.all[i], "tick\n", 5);
		/* The oldest are let go. */
		while (hub.n - first > 8) {
			httpd_stream_end(hub.all[first]);
			hub.all[first++] = NULL;
		}
		pthread_mutex_unlock(&hub.lock);
		clock_sleep_ms(1);
	}
	return NULL;
}

static void *come_and_go(void *arg)
{
	uint16_t port = *(uint16_t *)arg;

	for (int i = 0; i < 60; i++) {
		char part[128];
		int fd = wire_open(port);

		wire_text(fd, ASK);
		for (int k = 0; k < i % 4; k++) {
			if (recv(fd, part, sizeof(part), 0) <= 0)
				break;
		}
		close(fd);
	}
	return NULL;
}

static void test_coming_and_going(void **state)
{
	struct httpd *h = start();
	uint16_t port = httpd_port(h);
	pthread_t sender, clients[6];
	size_t began;

	(void)state;
	over = false;
	pthread_create(&sender, NULL, send_to_all, NULL);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		pthread_create(&clients[i], NULL, come_and_go, &port);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		pthread_join(clients[i], NULL);
	httpd_stop(h, 3000);
	over = true;
	pthread_join(sender, NULL);
	began = hub.n;
	assert_in_range(began, 1, 6 * 60);
	for (size_t i = 0; i < began; i++) {
		if (hub.all[i])
			httpd_stream_end(hub.all[i]);
	}
	assert_int_equal(hub.closed, began);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),    cmocka_unit_test(test_client_goes),
		cmocka_unit_test(test_slow_client), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_many),	    cmocka_unit_test(test_coming_and_going),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
