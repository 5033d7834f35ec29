/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A browser sends our cookie with any request to us, whoever's page asks for it: SameSite keeps
 * other sites out, but not other ports and names of ours. So what changes something by cookie has
 * to show where it comes from. Browsers say so themselves (Sec-Fetch-Site, W3C Fetch Metadata;
 * else Origin, RFC 6454), in headers that no page can set; who is no browser sends
 * X-Requested-With, which a page of somebody else cannot send without asking us first (CORS), and
 * we never say yes to that.
 */
#include <string.h>

#include "api/api_priv.h"

/* "https://host:port" of a URL is its first bytes up to the path. */
static bool begins_url(const char *url, const char *origin)
{
	const char *host = strstr(url, "://");
	size_t n = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/") : strlen(url);

	return strlen(origin) == n && strncmp(url, origin, n) == 0;
}

static bool is_ours(const struct api_call *c, const char *origin)
{
	const char *host = httpd_header(c->http, "Host");
	AUTO_FREE char *called = xasprintf("http%s://%s", httpd_is_tls(c->http) ? "s" : "",
					   host ? host : "localhost");
	char base[512];

	return strcmp(origin, called) == 0 || begins_url(api_base(c, base, sizeof(base)), origin);
}

bool api_is_foreign(const struct api_call *c)
{
	const char *site = httpd_header(c->http, "Sec-Fetch-Site");
	const char *origin = httpd_header(c->http, "Origin");

	if (site)
		return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
	return origin && !is_ours(c, origin);
}

int api_check_origin(struct api_call *c, struct err *e)
{
	if (api_is_foreign(c))
		return err_set(e, ERR_DENIED,
			       "A page of another site asks for this with your cookie: it was not "
			       "done. If this page is ours, set [server] public_url to what the "
			       "browser shows.");
	if (httpd_header(c->http, "Sec-Fetch-Site") || httpd_header(c->http, "Origin") ||
	    httpd_header(c->http, "X-Requested-With"))
		return 0;
	return err_set(e, ERR_DENIED,
		       "With a cookie, what changes something needs the header X-Requested-With "
		       "(any value), or send the token as X-Auth-Token in place of the cookie.");
}

void api_set_cookie(struct api_call *c, const char *name, const char *value, const char *path,
		    const char *same_site)
{
	bool secure = httpd_is_tls(c->http);
	AUTO_FREE char *text = NULL;
	char base[512];

	if (!secure)
		secure = strncmp(api_base(c, base, sizeof(base)), "https:", 6) == 0;
	text = xasprintf("%s=%s; Path=%s%s; HttpOnly; SameSite=%s%s%s", name, value, api_prefix(c),
			 path, same_site, *value ? "" : "; Max-Age=0", secure ? "; Secure" : "");
	httpd_set_header(c->http, "Set-Cookie", text);
	secret_wipe(text, strlen(text));
}
