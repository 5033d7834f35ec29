/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate authority of our own: what it makes is right to other eyes (the openssl program),
 * and what is outdated is seen.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fio.h"
#include "base/spawn.h"
#include "net/tls_ca.h"

static time_t shift; /* of the clock */

time_t __real_time(time_t *t);
time_t __wrap_time(time_t *t);

time_t __wrap_time(time_t *t)
{
	time_t now = __real_time(NULL) + shift;

	if (t)
		*t = now;
	return now;
}

static const char *const names[] = {"backup.example.org", "*.cloud.example", "localhost",
				    "127.0.0.1", "::1"};

struct made {
	struct tls_pair ca, server;
	char *folder;
	char *ca_file, *server_file;
};

static void put(const char *path, const char *text)
{
	OK(fio_replace(path, text, strlen(text), 0600, e));
}

static int set_up(void **state)
{
	struct made *m = xcalloc(1, sizeof(*m));

	OK(tls_ca_new("test", &m->ca, e));
	OK(tls_ca_issue(&m->ca, names, ARRAY_LEN(names), &m->server, e));
	m->folder = test_folder();
	m->ca_file = test_path(m->folder, "ca.pem");
	m->server_file = test_path(m->folder, "server.pem");
	put(m->ca_file, m->ca.certificate);
	put(m->server_file, m->server.certificate);
	*state = m;
	return 0;
}

static int tear_down(void **state)
{
	struct made *m = *state;

	tls_pair_done(&m->ca);
	tls_pair_done(&m->server);
	test_folder_done(m->folder);
	free(m->ca_file);
	free(m->server_file);
	free(m);
	return 0;
}

static char *openssl_text(const char *file)
{
	/* Names as in RFC 2253: OpenSSL has another way of its own in each release. */
	const char *const argv[] = {"openssl",	"x509",	     "-noout",	 "-text",
				    "-certopt", "ext_parse", "-nameopt", "RFC2253",
				    "-in",	file,	     NULL};
	AUTO_BUF b = BUF_INIT;

	OK(spawn_run(argv, 65536, &b, NULL, e));
	return xstrdup(buf_str(&b));
}

static void says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in %s", part, text);
}

static void test_made(void **state)
{
	static const char *const in_ca[] = {"Issuer: CN=Holdfast CA test",
					    "Subject: CN=Holdfast CA test",
					    "NIST CURVE: P-256",
					    "CA:TRUE, pathlen:0",
					    "Certificate Sign, CRL Sign",
					    "ecdsa-with-SHA256",
					    "X509v3 Subject Key Identifier",
					    "X509v3 Basic Constraints: critical"};
	static const char *const in_server[] = {
		"Issuer: CN=Holdfast CA test",
		"Subject: CN=backup.example.org",
		"CA:FALSE",
		"TLS Web Server Authentication",
		"X509v3 Authority Key Identifier",
		("DNS:backup.example.org, DNS:*.cloud.example, DNS:localhost, "
		 "IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1")};
	struct made *m = *state;
	AUTO_FREE char *ca = openssl_text(m->ca_file);
	AUTO_FREE char *server = openssl_text(m->server_file);
	char print[TLS_FINGERPRINT], again[TLS_FINGERPRINT];

	for (size_t i = 0; i < ARRAY_LEN(in_ca); i++)
		says(ca, in_ca[i]);
	for (size_t i = 0; i < ARRAY_LEN(in_server); i++)
		says(server, in_server[i]);
	OK(tls_fingerprint(m->ca.certificate, print, e));
	OK(tls_fingerprint(m->server.certificate, again, e));
	assert_int_equal(strlen(print), 95);
	assert_string_not_equal(print, again);
	assert_int_equal(m->server.key->data[m->server.key->len], 0);
	assert_int_equal(strlen((char *)m->server.key->data), m->server.key->len);
}

/* OpenSSL's own verification, for one name. */
static int verify(struct made *m, const char *option, const char *name)
{
	const char *const argv[] = {
		"openssl",  "verify", "-x509_strict", "-purpose",     "sslserver", "-CAfile",
		m->ca_file, option,   name,	      m->server_file, NULL};

	return spawn_run(argv, 65536, NULL, NULL, NULL);
}

static void test_verified(void **state)
{
	struct made *m = *state;

	assert_int_equal(verify(m, "-verify_hostname", "backup.example.org"), 0);
	assert_int_equal(verify(m, "-verify_hostname", "a.cloud.example"), 0);
	assert_int_equal(verify(m, "-verify_ip", "127.0.0.1"), 0);
	assert_int_equal(verify(m, "-verify_ip", "::1"), 0);
	assert_int_equal(verify(m, "-verify_hostname", "other.example.org"), -1);
	assert_int_equal(verify(m, "-verify_ip", "127.0.0.2"), -1);
}

static void test_outdated(void **state)
{
	struct made *m = *state;
	const char *const more[] = {"localhost", "new.example.org"};
	const char *const address[] = {"10.0.0.1"};
	struct tls_pair other = {0};
	uint64_t end;

	assert_null(
		tls_ca_outdated(m->ca.certificate, m->server.certificate, names, ARRAY_LEN(names)));
	assert_string_equal(tls_ca_outdated(m->ca.certificate, m->server.certificate, more, 2),
			    "it lacks a name of this server");
	assert_string_equal(tls_ca_outdated(m->ca.certificate, m->server.certificate, address, 1),
			    "it lacks a name of this server");
	assert_string_equal(tls_ca_outdated(m->ca.certificate, "nonsense", names, 1),
			    "it is no certificate");
	OK(tls_ca_new("test", &other, e));
	assert_string_equal(tls_ca_outdated(other.certificate, m->server.certificate, names, 1),
			    "another authority signed it");
	tls_pair_done(&other);
	OK(tls_expiry(m->server.certificate, &end, e));
	assert_in_range((end - clock_wall_us()) / 1000000 / 3600, 365 * 24 - 1, 365 * 24);
	shift = (365 - 29) * 86400L;
	assert_string_equal(tls_ca_outdated(m->ca.certificate, m->server.certificate, names, 1),
			    "it ends soon");
	shift = (365 - 31) * 86400L;
	assert_null(tls_ca_outdated(m->ca.certificate, m->server.certificate, names, 1));
	shift = 0;
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"",	  "a b",   "a,DNS:evil", "-a",	 ".a",
					  "a..b", "*.*.a", "a/b",	 "1:2:3"};
	struct made *m = *state;
	struct tls_pair p = {0}, wrong = m->ca;
	AUTO(secret) torn = secret_of("-----BEGIN", 10);
	char print[TLS_FINGERPRINT], name[300];
	const char *const long_name[] = {name};
	uint64_t end;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		FAILS(ERR_INVALID, tls_ca_issue(&m->ca, &bad[i], 1, &p, e));
	memset(name, 'a', sizeof(name));
	name[254] = 0;
	FAILS(ERR_INVALID, tls_ca_issue(&m->ca, long_name, 1, &p, e));
	FAILS(ERR_INVALID, tls_ca_new(name, &p, e));
	name[253] = 0; /* too long for a common name */
	OK(tls_ca_issue(&m->ca, long_name, 1, &p, e));
	tls_pair_done(&p);
	FAILS(ERR_INVALID, tls_ca_issue(&m->ca, NULL, 0, &p, e));
	FAILS(ERR_INVALID, tls_ca_issue(&m->server, names, 1, &p, e)); /* not an authority */
	wrong.key = m->server.key;
	FAILS(ERR_INVALID, tls_ca_issue(&wrong, names, 1, &p, e));
	wrong.key = torn;
	FAILS(ERR_INVALID, tls_ca_issue(&wrong, names, 1, &p, e));
	wrong.certificate = name;
	FAILS(ERR_INVALID, tls_ca_issue(&wrong, names, 1, &p, e));
	FAILS(ERR_INVALID, tls_fingerprint("nonsense", print, e));
	FAILS(ERR_INVALID, tls_expiry("nonsense", &end, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_outdated),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
