/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trust.h"

#include <ctype.h>
#include <string.h>

#include "net/http.h"

#define TIMEOUT_MS 20000
#define PEM_MAX 65536

int trust_fetch(const char *url, char **ret_pem, char ret_print[TLS_FINGERPRINT], struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/ca.pem", url);
	AUTO(http) h = http_new(NULL);
	const struct http_request q = {
		.method = "GET", .url = path, .timeout_ms = TIMEOUT_MS, .unverified = true};
	AUTO_FREE char *pem = NULL;
	struct http_reply r;

	if (http_do(h, &q, &r, e) < 0)
		return -1;
	if (r.status == 200 && r.body.len && r.body.len <= PEM_MAX)
		pem = xstrdup(buf_str(&r.body));
	buf_done(&r.body);
	if (!pem)
		return err_set(e, ERR_NOENT, "%s shows no certificate authority of its own", url);
	if (tls_fingerprint(pem, ret_print, e) < 0)
		return err_wrap(e, "%s", path);
	*ret_pem = steal(&pem);
	return 0;
}

/* The next hexadecimal digit, or 0 at the end. */
static int next_digit(const char **p)
{
	while (**p == ':' || **p == ' ')
		(*p)++;
	return **p ? tolower((unsigned char)*(*p)++) : 0;
}

bool trust_same(const char *a, const char *b)
{
	for (;;) {
		int x = next_digit(&a), y = next_digit(&b);

		if (x != y)
			return false;
		if (!x)
			return true;
	}
}
