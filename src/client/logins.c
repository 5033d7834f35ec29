/* SPDX-License-Identifier: Apache-2.0 */
#include "client/logins.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/env.h"
#include "base/fio.h"
#include "net/fields.h"
#include "net/http.h"

#define VERSION 1
#define PORT "8799"
#define CA_MAX 65536

void login_entry_done(struct login_entry *l)
{
	free(l->url);
	free(l->ca);
	free(l->user);
	free(l->project_id);
	free(l->project_name);
	free(l->token_id);
	secret_free(l->token);
	free(l->expires_at);
	*l = (struct login_entry){0};
}

void logins_done(struct logins *l)
{
	for (size_t i = 0; i < l->n; i++)
		login_entry_done(&l->v[i]);
	free(l->v);
	free(l->current);
	*l = (struct logins){0};
}

/* ---- URLs ---- */

/* Is the host of "host:port" this machine? */
static bool is_loopback(const char *host)
{
	static const char *const own[] = {"localhost", "[::1]"};
	size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (strlen(own[i]) == n && strncmp(host, own[i], n) == 0)
			return true;
	}
	return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == n;
}

static bool good_host(const char *host)
{
	size_t name = host[0] == '[' ? strspn(host + 1, "0123456789abcdefABCDEF:.") + 2
				     : strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
						    "UVWXYZ0123456789.-_");

	if (name == 0 || name > strlen(host) || (host[0] == '[' && host[name - 1] != ']'))
		return false;
	if (host[name] == 0)
		return true;
	return host[name] == ':' && host[name + 1] &&
	       strspn(host + name + 1, "0123456789") == strlen(host + name + 1) &&
	       strlen(host + name + 1) <= 5;
}

char *logins_url(const char *text, struct err *e)
{
	bool has_scheme = strstr(text, "://") != NULL;
	AUTO_FREE char *url = has_scheme ? xstrdup(text) : xasprintf("https://%s", text);
	char *host, *end;

	end = url + strlen(url);
	while (end > url && end[-1] == '/')
		*--end = 0;
	host = strstr(url, "://"); /* NULL: the slashes were all there was behind the scheme */
	if (!host || !http_is_url(url) || !good_host(host += 3)) {
		err_set(e, ERR_INVALID, "'%.200s' is no server: write it as https://HOST:PORT",
			text);
		return NULL;
	}
	if (strncmp(url, "http://", 7) == 0 && !is_loopback(host)) {
		err_set(e, ERR_INVALID,
			"%.200s: without TLS a token could be read on the way; only a server on "
			"this machine is spoken to so. Use https://",
			url);
		return NULL;
	}
	if (!has_scheme && !strrchr(host[0] == '[' ? strchr(host, ']') : host, ':'))
		return xasprintf("%s:" PORT, url);
	return steal(&url);
}

/* ---- the file's text ---- */

static int parse_entry(const json_t *o, struct login_entry *ret, struct err *e)
{
	const char *url = NULL, *ca = NULL, *user = "", *project = "", *name = "";
	const char *id = "", *token = NULL, *expires = "";
	const struct field fields[] = {
		{"url", FIELD_TEXT, &url, .needed = true, .most = 1000},
		{"ca", FIELD_TEXT, &ca, .most = CA_MAX, .any_text = true},
		{"user", FIELD_TEXT, &user, .most = 255},
		{"project_id", FIELD_TEXT, &project, .most = 64},
		{"project_name", FIELD_TEXT, &name, .most = 255},
		{"token_id", FIELD_TEXT, &id, .most = 64},
		{"token", FIELD_TEXT, &token, .needed = true, .most = 4000},
		{"expires_at", FIELD_TEXT, &expires, .most = 64},
	};
	AUTO_FREE char *good = NULL;

	if (fields_take(o, "logins", fields, ARRAY_LEN(fields), e) < 0)
		return -1;
	good = logins_url(url, e);
	if (!good)
		return -1;
	*ret = (struct login_entry){.url = steal(&good),
				    .ca = xstrdup0(ca),
				    .user = xstrdup(user),
				    .project_id = xstrdup(project),
				    .project_name = xstrdup(name),
				    .token_id = xstrdup(id),
				    .token = secret_of(token, strlen(token)),
				    .expires_at = xstrdup(expires)};
	return 0;
}

static int parse_object(const json_t *o, struct logins *l, struct err *e)
{
	const char *current = NULL;
	const json_t *list = NULL;
	int64_t version = 0;
	const struct field fields[] = {
		{"version", FIELD_NUMBER, &version, .needed = true, .least = 1, .most = 1000000},
		{"current", FIELD_TEXT, &current, .most = 1000},
		{"logins", FIELD_LIST, &list, .needed = true, .most = LOGINS_MAX},
	};
	struct login_entry entry;
	json_t *v;
	size_t i;

	if (fields_take(o, "", fields, ARRAY_LEN(fields), e) < 0)
		return -1;
	if (version > VERSION)
		return err_set(e, ERR_VERSION, "it is of version %d: use a newer holdfast",
			       (int)version);
	json_array_foreach((json_t *)list, i, v)
	{
		if (parse_entry(v, &entry, e) < 0)
			return -1;
		logins_put_take(l, &entry);
	}
	free(l->current);
	l->current = current && logins_find(l, current) ? xstrdup(current) : NULL;
	return 0;
}

int logins_parse(const void *data, size_t n, struct logins *ret, struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(n ? data : "", n, JSON_REJECT_DUPLICATES, &why);
	struct logins l = {0};
	int rc;

	if (!o)
		return err_set(e, ERR_CORRUPT, "line %d, column %d: %s", why.line, why.column,
			       why.text);
	rc = parse_object(o, &l, e);
	json_decref(o);
	if (rc == 0) {
		*ret = l;
		return 0;
	}
	logins_done(&l);
	if (e && e->kind != ERR_VERSION)
		e->kind = ERR_CORRUPT;
	return -1;
}

void logins_format(const struct logins *l, struct buf *out)
{
	json_t *list = json_array(), *all;
	char *text;

	for (size_t i = 0; i < l->n; i++) {
		const struct login_entry *v = &l->v[i];

		json_array_append_new(list, json_pack("{s:s, s:s?, s:s, s:s, s:s, s:s, s:s%, s:s}",
						      "url", v->url, "ca", v->ca, "user", v->user,
						      "project_id", v->project_id, "project_name",
						      v->project_name, "token_id", v->token_id,
						      "token", (const char *)v->token->data,
						      v->token->len, "expires_at", v->expires_at));
	}
	all = json_pack("{s:i, s:s?, s:o}", "version", VERSION, "current", l->current, "logins",
			list);
	text = json_dumps(all, JSON_INDENT(2));
	buf_text(out, text);
	buf_text(out, "\n");
	secret_wipe(text, strlen(text));
	free(text);
	json_decref(all);
}

/* ---- the file ---- */

static char *folder(struct err *e)
{
	const char *config = env_text("XDG_CONFIG_HOME"), *home = env_text("HOME");

	if (config)
		return xasprintf("%s/holdfast", config);
	if (home)
		return xasprintf("%s/.config/holdfast", home);
	err_set(e, ERR_INVALID,
		"neither XDG_CONFIG_HOME nor HOME is set: there is no place for logins");
	return NULL;
}

char *logins_path(struct err *e)
{
	AUTO_FREE char *in = folder(e);

	return in ? xasprintf("%s/logins.json", in) : NULL;
}

int logins_load(struct logins *ret, struct err *e)
{
	AUTO_FREE char *path = logins_path(e);
	AUTO_BUF b = BUF_INIT;
	struct err why = {0};
	int rc;

	if (!path)
		return -1;
	*ret = (struct logins){0};
	if (fio_slurp(path, LOGINS_FILE_MAX, &b, &why) < 0)
		return why.kind == ERR_NOENT ? 0 : err_set(e, why.kind, "%s", why.msg);
	rc = logins_parse(b.data, b.len, ret, e);
	if (b.len)
		secret_wipe(b.data, b.len);
	return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

static int make_folder(const char *path, struct err *e)
{
	AUTO_FREE char *part = xstrdup(path);

	for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = 0;
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return err_sys(e, errno, "make the folder %s", part);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

int logins_save(const struct logins *l, struct err *e)
{
	AUTO_FREE char *in = folder(e);
	AUTO_FREE char *path = logins_path(e);
	AUTO_BUF b = BUF_INIT;
	int rc;

	if (!path || make_folder(in, e) < 0)
		return -1;
	logins_format(l, &b);
	rc = fio_replace(path, b.data, b.len, 0600, e);
	secret_wipe(b.data, b.len);
	return rc;
}

/* ---- entries ---- */

struct login_entry *logins_find(const struct logins *l, const char *url)
{
	for (size_t i = 0; url && i < l->n; i++) {
		if (strcmp(l->v[i].url, url) == 0)
			return &l->v[i];
	}
	return NULL;
}

void logins_put_take(struct logins *l, struct login_entry *entry)
{
	struct login_entry *was = logins_find(l, entry->url);

	if (was) {
		login_entry_done(was);
		*was = *entry;
	} else {
		l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
		l->v[l->n++] = *entry;
	}
	free(l->current);
	l->current = xstrdup(entry->url);
	*entry = (struct login_entry){0};
}

void logins_remove(struct logins *l, const char *url)
{
	struct login_entry *was = logins_find(l, url);

	if (!was)
		return;
	if (l->current && strcmp(l->current, was->url) == 0) {
		free(l->current);
		l->current = NULL;
	}
	login_entry_done(was);
	*was = l->v[--l->n];
}
