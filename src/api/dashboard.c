/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dashboard's files: / for browsers, /web/NAME for what the page loads. A file is read when it
 * is asked for, so that a new build is served at once; browsers ask once, because names hold a hash
 * of what is in them. Beside a file lie NAME.br and NAME.gz, for those who take them. A name is one
 * part of a path, of letters, digits, "-", "_" and ".", so it leads nowhere but into the folder.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "base/fio.h"

#define FILE_MAX ((size_t)4 << 20)
#define NAME_LONGEST 128

static const struct {
	const char *suffix, *type;
} types[] = {
	{".js", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".svg", "image/svg+xml"},
	{".woff2", "font/woff2"},
	{".html", "text/html; charset=utf-8"},
};

/* NULL: no file of ours. */
static const char *type_of(const char *name)
{
	static const char taken[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.";
	size_t len = strlen(name);

	if (len > NAME_LONGEST || *name == '.' || name[strspn(name, taken)])
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t n = strlen(types[i].suffix);

		if (len > n && strcmp(name + len - n, types[i].suffix) == 0)
			return types[i].type;
	}
	return NULL;
}

/* `coding` among what is taken, and not with a weight of nothing. */
static bool takes(const struct httpd_call *http, const char *coding)
{
	const char *list = httpd_header(http, "Accept-Encoding");
	size_t n = strlen(coding);

	while (list && *list) {
		list += strspn(list, " ");
		if (strncasecmp(list, coding, n) == 0 && !isalnum((unsigned char)list[n])) {
			const char *rest = list + n + strspn(list + n, " ");

			return strncasecmp(rest, ";q=0", 4) != 0 || rest[4] == '.';
		}
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return false;
}

/* What a page of ours may do: load its own files, ask this server, nothing else. */
static void guard(struct httpd_call *http)
{
	httpd_set_header(http, "Content-Security-Policy",
			 "default-src 'none'; script-src 'self'; style-src 'self'; "
			 "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
			 "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
	httpd_set_header(http, "X-Content-Type-Options", "nosniff");
	httpd_set_header(http, "Referrer-Policy", "no-referrer");
}

static int read_variant(const char *folder, const char *name, const char *suffix, struct buf *ret,
			struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s%s", folder, name, suffix);

	return fio_slurp(path, FILE_MAX, ret, e);
}

/* ERR_NOENT: there is no such file. */
static int send_file(struct api_call *c, const char *name, const char *type, struct err *e)
{
	static const struct {
		const char *coding, *suffix;
	} variants[] = {{"br", ".br"}, {"gzip", ".gz"}};
	const char *folder = api_dashboard(c->api);
	struct err ignored = {ERR_NONE};
	AUTO_BUF b = BUF_INIT;

	guard(c->http);
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		if (!takes(c->http, variants[i].coding))
			continue;
		if (read_variant(folder, name, variants[i].suffix, &b, &ignored) == 0) {
			httpd_set_header(c->http, "Content-Encoding", variants[i].coding);
			httpd_answer(c->http, 200, type, b.data, b.len);
			return 0;
		}
		buf_done(&b);
	}
	if (read_variant(folder, name, "", &b, e) < 0)
		return -1;
	httpd_answer(c->http, 200, type, b.data, b.len);
	return 0;
}

/* For when the files are not installed: says so, and what there is. */
static void send_absent(struct api_call *c)
{
	static const char page[] =
		"<!doctype html><html lang=\"en\"><title>Holdfast</title><h1>Holdfast</h1>"
		"<p>The server runs, but the files of its dashboard are not installed here. "
		"They are in the package of the server; <code>[server] dashboard</code> names the "
		"folder.</p><p><a href=\"docs\">The API</a> is there.</p></html>";

	guard(c->http);
	httpd_answer(c->http, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
}

bool api_wants_page(const struct api_call *c)
{
	const char *accept = httpd_header(c->http, "Accept");

	return accept && strstr(accept, "text/html");
}

int api_send_page(struct api_call *c, struct err *e)
{
	const char *known = httpd_header(c->http, "If-None-Match");
	struct err ignored = {ERR_NONE};
	AUTO_BUF b = BUF_INIT;
	char tag[API_ETAG];

	httpd_set_header(c->http, "Cache-Control", "no-cache");
	httpd_set_header(c->http, "Vary", "Accept, Accept-Encoding");
	if (read_variant(api_dashboard(c->api), "index.html", "", &b, &ignored) < 0) {
		send_absent(c);
		return 0;
	}
	api_etag(buf_str(&b), tag);
	httpd_set_header(c->http, "ETag", tag);
	if (known && strcmp(known, tag) == 0) {
		httpd_answer(c->http, 304, NULL, NULL, 0);
		return 0;
	}
	return send_file(c, "index.html", "text/html; charset=utf-8", e);
}

static int asset(struct api_call *c, struct err *e)
{
	const char *name = httpd_part(c->http, "file");
	const char *type = type_of(name);

	if (!type)
		return err_set(e, ERR_NOENT, "There is no file '%.80s'.", name);
	httpd_set_header(c->http, "Vary", "Accept-Encoding");
	if (send_file(c, name, type, e) < 0)
		return err_set(e, ERR_NOENT, "There is no file '%.80s'.", name);
	httpd_set_header(c->http, "Cache-Control", "public, max-age=31536000, immutable");
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/web/{file}", NULL, asset, API_OPEN | API_OUTSIDE},
};
const struct api_resource api_dashboard_files = {routes, ARRAY_LEN(routes)};
