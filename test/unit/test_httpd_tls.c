/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server over TLS, seen by libcurl, curl and openssl.
 */
#include "testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fio.h"
#include "base/spawn.h"
#include "net/http.h"
#include "net/httpd.h"
#include "net/tls_ca.h"
#include "wire.h"

static const char *const names[] = {"127.0.0.1", "localhost"};

static struct tls_pair ca, other_ca, server, newer, others;
static char *folder, *ca_file, *other_file;

static void answer(struct httpd_call *c, void *arg)
{
	size_t len;
	const void *body = httpd_body(c, &len);

	(void)arg;
	httpd_set_header(c, "X-TLS", httpd_is_tls(c) ? "yes" : "no");
	httpd_answer(c, 200, "text/plain", len ? body : "hello", len ? len : 5);
}

static struct httpd_stream *silent_stream;
static atomic_int closed;

static void count_closed(void *arg)
{
	(void)arg;
	closed++;
}

/* Says one thing, and then nothing. */
static void silent(struct httpd_call *c, void *arg)
{
	(void)arg;
	silent_stream = httpd_stream(c, "text/plain", 100, count_closed, NULL);
	httpd_stream_send(silent_stream, "hello", 5);
}

static void events(struct httpd_call *c, void *arg)
{
	struct httpd_stream *s = httpd_stream(c, "text/plain", 1 << 20, NULL, NULL);

	(void)arg;
	for (int i = 0; i < 1000; i++)
		httpd_stream_send(s, "0123456789", 10);
	httpd_stream_end(s);
}

static const struct httpd_route routes[] = {{"GET", "/quick", answer, NULL, HTTPD_QUICK, 0},
					    {"POST", "/pool", answer, NULL, 0, 4 << 20},
					    {"GET", "/silent", silent, NULL, 0, 0},
					    {"GET", "/events", events, NULL, 0, 0}};

static int set_up(void **state)
{
	(void)state;

	OK(tls_ca_new("one", &ca, e));
	OK(tls_ca_new("two", &other_ca, e));
	OK(tls_ca_issue(&ca, names, 2, &server, e));
	OK(tls_ca_issue(&ca, names, 2, &newer, e));
	OK(tls_ca_issue(&other_ca, names, 2, &others, e));
	folder = test_folder();
	ca_file = test_path(folder, "ca.pem");
	other_file = test_path(folder, "other.pem");
	OK(fio_replace(ca_file, ca.certificate, strlen(ca.certificate), 0600, e));
	OK(fio_replace(other_file, other_ca.certificate, strlen(other_ca.certificate), 0600, e));
	return 0;
}

static int tear_down(void **state)
{
	struct tls_pair *all[] = {&ca, &other_ca, &server, &newer, &others};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		tls_pair_done(all[i]);
	test_folder_done(folder);
	free(ca_file);
	free(other_file);
	return 0;
}

static struct httpd *start(void)
{
	struct httpd_options o = {.address = "0.0.0.0", /* 127.0.0.2, too */
				  .certificate = server.certificate,
				  .key = (const char *)server.key->data};

	return OK_PTR(httpd_start(&o, routes, ARRAY_LEN(routes), e));
}

static int ask(struct http *http, const char *host, uint16_t port, const char *path, size_t body,
	       struct err *e)
{
	AUTO_FREE char *url = xasprintf("https://%s:%u%s", host, port, path);
	AUTO_FREE char *data = xcalloc(1, body + 1);
	struct http_request q = {.method = body ? "POST" : "GET",
				 .url = url,
				 .data = data,
				 .len = body,
				 .no_proxy = true};
	struct http_reply r;

	if (http_do(http, &q, &r, e) < 0)
		return -1;
	if (r.status != 200 || (body && r.body.len != body))
		err_set(e, ERR_INTERNAL, "status %d, %zu bytes", r.status, r.body.len);
	buf_done(&r.body);
	return r.status == 200 ? 0 : -1;
}

static void test_trust(void **state)
{
	struct httpd *h = start();
	AUTO(http) trusts = http_new(ca_file);
	AUTO(http) other = http_new(other_file);
	AUTO(http) system = http_new(NULL);
	uint16_t port = httpd_port(h);
	int fd;

	(void)state;
	OK(ask(trusts, "127.0.0.1", port, "/quick", 0, e));
	OK(ask(trusts, "localhost", port, "/quick", 0, e));
	OK(ask(trusts, "127.0.0.1", port, "/pool", 3 << 20, e));
	OK(ask(trusts, "127.0.0.1", port, "/events", 0, e));
	FAILS(ERR_DENIED, ask(trusts, "127.0.0.2", port, "/quick", 0, e));
	FAILS(ERR_DENIED, ask(other, "127.0.0.1", port, "/quick", 0, e));
	FAILS(ERR_DENIED, ask(system, "127.0.0.1", port, "/quick", 0, e));
	fd = wire_open(port);
	wire_text(fd, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_true(wire_closed(fd, 5000));
	close(fd);
	httpd_stop(h, 1000);
}

/* What openssl's client says of the connection. */
static char *s_client(uint16_t port, const char *option, const char *value)
{
	AUTO_FREE char *place = xasprintf("127.0.0.1:%u", port);
	const char *const argv[] = {
		"openssl", "s_client", "-connect", place,     "-CAfile",
		ca_file,   option,     value,	   "-cipher", "DEFAULT:@SECLEVEL=0",
		NULL};
	const char *const plain[] = {"openssl",		"s_client", "-connect", place,
				     "-CAfile",		ca_file,    option,	"-cipher",
				     "ALL:@SECLEVEL=0", NULL};
	AUTO_BUF b = BUF_INIT;

	spawn_run(value ? argv : plain, 65536, &b, NULL, NULL);
	return xstrdup(buf_str(&b));
}

static void test_versions(void **state)
{
	static const struct {
		const char *option, *value, *want;
	} rows[] = {
		{"-tls1_3", NULL, "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"},
		{"-tls1_2", NULL, "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"},
		{"-tls1_1", NULL, NULL}, /* fails */
		{"-tls1", NULL, NULL},
		{"-verify_ip", "127.0.0.1", "Verify return code: 0 (ok)"},
	};
	struct httpd *h = start();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *said = s_client(httpd_port(h), rows[i].option, rows[i].value);

		if (rows[i].want ? !strstr(said, rows[i].want) : said[0] != 0)
			fail_msg("%s: '%s' is not in %s", rows[i].option, rows[i].want, said);
	}
	httpd_stop(h, 1000);
}

static void test_curl(void **state)
{
	struct httpd *h = start();
	AUTO_FREE char *url = xasprintf("https://127.0.0.1:%u/quick", httpd_port(h));
	const char *const good[] = {"curl", "-sSif",	"--noproxy", "*",
				    url,    "--cacert", ca_file,     NULL};
	const char *const bad[] = {"curl", "-sSf", "--noproxy", "*", url, NULL};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	OK(spawn_run(good, 65536, &b, NULL, e));
	assert_non_null(strstr(buf_str(&b), "X-TLS: yes"));
	assert_non_null(strstr(buf_str(&b), "hello"));
	assert_int_equal(spawn_run(bad, 65536, NULL, NULL, NULL), -1);
	httpd_stop(h, 1000);
}

/* The next connection gets the new certificate, those that are open go on. */
static void test_new_certificate(void **state)
{
	struct httpd *h = start();
	AUTO(http) first = http_new(ca_file);
	AUTO(http) second = http_new(other_file);
	AUTO(http) third = http_new(ca_file);
	uint16_t port = httpd_port(h);

	(void)state;
	OK(ask(first, "127.0.0.1", port, "/quick", 0, e));
	OK(httpd_set_certificate(h, others.certificate, (const char *)others.key->data, e));
	OK(ask(second, "127.0.0.1", port, "/quick", 0, e));
	OK(ask(first, "127.0.0.1", port, "/quick", 0, e)); /* over its connection */
	FAILS(ERR_DENIED, ask(third, "127.0.0.1", port, "/quick", 0, e));
	FAILS(ERR_INVALID,
	      httpd_set_certificate(h, server.certificate, (const char *)others.key->data, e));
	FAILS(ERR_INVALID, httpd_set_certificate(h, "nonsense", "nonsense", e));
	OK(ask(second, "127.0.0.1", port, "/pool", 1000, e));
	httpd_stop(h, 1000);
}

static int enough(void *arg, const void *data, size_t n, struct err *e)
{
	(void)arg;
	assert_int_equal(n, 5);
	assert_memory_equal(data, "hello", 5);
	return err_set(e, ERR_CANCELLED, "enough");
}

/* A client of a silent stream that goes is noticed here, too. */
static void test_client_goes(void **state)
{
	struct httpd *h = start();
	AUTO(http) http = http_new(ca_file);
	AUTO_FREE char *url = xasprintf("https://127.0.0.1:%u/silent", httpd_port(h));
	struct http_request q = {.method = "GET", .url = url, .no_proxy = true};
	struct http_reply r;

	(void)state;
	FAILS(ERR_CANCELLED, http_stream(http, &q, enough, NULL, &r, e));
	for (int i = 0; i < 400 && !closed; i++)
		clock_sleep_ms(10);
	assert_int_equal(closed, 1);
	httpd_stream_end(silent_stream);
	httpd_stop(h, 1000);
}

static atomic_int bad;

static void *ask_again(void *arg)
{
	uint16_t port = *(uint16_t *)arg;

	for (int i = 0; i < 25; i++) {
		AUTO(http) http = http_new(ca_file); /* a handshake each */
		struct err e = {0};

		if (ask(http, "127.0.0.1", port, i % 2 ? "/quick" : "/pool", i % 2 ? 0 : 70000,
			&e) < 0) {
			print_error("%s\n", e.msg);
			bad++;
		}
	}
	return NULL;
}

static void test_renewed_under_load(void **state)
{
	struct httpd *h = start();
	uint16_t port = httpd_port(h);
	pthread_t threads[4];

	(void)state;
	bad = 0;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, ask_again, &port);
	for (int i = 0; i < 40; i++) {
		struct tls_pair *p = i % 2 ? &server : &newer;

		OK(httpd_set_certificate(h, p->certificate, (const char *)p->key->data, e));
		clock_sleep_ms(5);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(bad, 0);
	httpd_stop(h, 1000);
}

static void test_start_refused(void **state)
{
	struct httpd_options o = {.address = "127.0.0.1",
				  .certificate = server.certificate,
				  .key = (const char *)others.key->data};

	(void)state;
	FAILS_PTR(ERR_INVALID, httpd_start(&o, routes, 1, e));
	o.key = "";
	FAILS_PTR(ERR_INVALID, httpd_start(&o, routes, 1, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_curl),
		cmocka_unit_test(test_new_certificate),
		cmocka_unit_test(test_renewed_under_load),
		cmocka_unit_test(test_start_refused),
		cmocka_unit_test(test_client_goes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
