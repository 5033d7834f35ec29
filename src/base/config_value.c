/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value: from what was written to what it means, or what is wrong with it.
 */
#include "base/config_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/human.h"

#define TEXT_MAX 4096u /* of a value that is no list, and of a list's member */

const char *config_value_word(const struct config_option *o)
{
	static const char *const words[] = {
		[CONFIG_TEXT] = "TEXT",		[CONFIG_FILE] = "FILE",	  [CONFIG_SECRET] = "FILE",
		[CONFIG_PATH] = "PATH",		[CONFIG_INT] = "NUMBER",  [CONFIG_SIZE] = "SIZE",
		[CONFIG_DURATION] = "DURATION", [CONFIG_BOOL] = "yes|no", [CONFIG_URL] = "URL",
		[CONFIG_LIST] = "LIST",
	};

	return o->value ? o->value : words[o->type];
}

void config_value_done(struct config_value *v)
{
	for (size_t i = 0; v->list && v->list[i]; i++)
		free(v->list[i]);
	free(v->list);
	free(v->text);
	free(v->where);
	*v = (struct config_value){0};
}

/* ---- kinds of text ---- */

static int check_choice(const char *const *choices, const char *text, struct err *e)
{
	AUTO_BUF all = BUF_INIT;

	for (const char *const *c = choices; c && *c; c++) {
		if (strcmp(*c, text) == 0)
			return 0;
		buf_fmt(&all, "%s%s", all.len ? ", " : "", *c);
	}
	if (!choices)
		return 0;
	return err_set(e, ERR_INVALID, "one of these is expected: %s", buf_str(&all));
}

static int check_path(const char *text, struct err *e)
{
	if (text[0] != '/')
		return err_set(e, ERR_INVALID, "a path that begins with / is expected");
	return 0;
}

static int check_url(const struct config_option *o, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	AUTO_FREE char *scheme = xstrndup(text, colon ? (size_t)(colon - text) : 0);
	const char *rest = colon ? colon + 1 : "";

	if (!colon || check_choice(o->choices, scheme, e) < 0) {
		AUTO_BUF all = BUF_INIT;

		for (const char *const *c = o->choices; c && *c; c++)
			buf_fmt(&all, "%s%s:", all.len ? " or " : "", *c);
		return err_set(e, ERR_INVALID, "a URL that begins with %s is expected",
			       all.len ? buf_str(&all) : "its scheme");
	}
	/* A file's URL may be sqlite:/path; what has a host has two slashes. */
	if (rest[0] != '/' || (rest[1] == '/' && rest[2] == 0) || rest[1] == 0)
		return err_set(e, ERR_INVALID, "nothing to reach is named after %s:", scheme);
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p <= ' ')
			return err_set(e, ERR_INVALID, "a URL has no spaces");
	}
	return 0;
}

/* ---- numbers ---- */

static int out_of_range(const struct config_option *o, struct err *e)
{
	char low[HUMAN_TEXT], high[HUMAN_TEXT];

	if (o->type == CONFIG_SIZE) {
		human_bytes((uint64_t)o->min, low);
		human_bytes((uint64_t)o->max, high);
	} else if (o->type == CONFIG_DURATION) {
		human_duration((uint64_t)o->min, low);
		human_duration((uint64_t)o->max, high);
	} else {
		snprintf(low, sizeof(low), "%" PRId64, o->min);
		snprintf(high, sizeof(high), "%" PRId64, o->max);
	}
	return err_set(e, ERR_INVALID, "it must lie between %s and %s", low, high);
}

static int parse_int(const char *text, int64_t *ret_v, struct err *e)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (isspace((unsigned char)text[0]) || end == text || *end || errno)
		return err_set(e, ERR_INVALID, "a whole number is expected");
	*ret_v = v;
	return 0;
}

static int parse_bool(const char *text, int64_t *ret_v, struct err *e)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*ret_v = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return err_set(e, ERR_INVALID, "yes or no is expected");
}

static int parse_number(const struct config_option *o, const char *text, int64_t *ret_v,
			struct err *e)
{
	uint64_t u = 0;

	switch (o->type) {
	case CONFIG_BOOL:
		return parse_bool(text, ret_v, e);
	case CONFIG_SIZE:
		if (!human_parse_bytes(text, &u))
			return err_set(e, ERR_INVALID, "a size is expected, such as 64K or 1MiB");
		break;
	case CONFIG_DURATION:
		if (!human_parse_duration(text, &u))
			return err_set(e, ERR_INVALID,
				       "a duration is expected, such as 30s, 5m or 12h");
		break;
	default:
		if (parse_int(text, ret_v, e) < 0)
			return -1;
		return *ret_v < o->min || *ret_v > o->max ? out_of_range(o, e) : 0;
	}
	*ret_v = u > INT64_MAX ? INT64_MAX : (int64_t)u;
	return *ret_v < o->min || *ret_v > o->max ? out_of_range(o, e) : 0;
}

/* ---- lists ---- */

static int check_member(const struct config_option *o, const char *member, struct err *e)
{
	if (check_choice(o->choices, member, e) < 0 || (o->check && o->check(member, e) < 0))
		return err_wrap(e, "'%s'", member);
	return 0;
}

static int check_count(const struct config_option *o, size_t n, struct err *e)
{
	if ((int64_t)n < o->min)
		return err_set(e, ERR_INVALID, "at least %" PRId64 " must be named", o->min);
	if (o->max && (int64_t)n > o->max)
		return err_set(e, ERR_INVALID, "at most %" PRId64 " may be named", o->max);
	return 0;
}

static int parse_list(const struct config_option *o, const char *text, struct config_value *v,
		      struct err *e)
{
	size_t n = 0;

	v->list = xcalloc(1, sizeof(char *));
	for (const char *p = text; *p;) {
		size_t len, end;

		p += strspn(p, ", \t\n");
		len = strcspn(p, ",\n");
		for (end = len; end > 0 && (p[end - 1] == ' ' || p[end - 1] == '\t');)
			end--;
		if (end > TEXT_MAX)
			return err_set(e, ERR_INVALID, "a member of a list has at most %u bytes",
				       TEXT_MAX);
		if (end > 0) {
			v->list = xreallocarray(v->list, n + 2, sizeof(char *));
			v->list[n++] = xstrndup(p, end);
			v->list[n] = NULL;
			if (check_member(o, v->list[n - 1], e) < 0)
				return -1;
		}
		p += len;
	}
	return check_count(o, n, e);
}

/* ---- any ---- */

static int parse_text(const struct config_option *o, const char *text, struct err *e)
{
	int rc = 0;

	if (o->type == CONFIG_URL)
		rc = check_url(o, text, e);
	else if (o->type == CONFIG_TEXT)
		rc = check_choice(o->choices, text, e);
	else
		rc = check_path(text, e);
	return rc == 0 && o->check ? o->check(text, e) : rc;
}

static int parse(const struct config_option *o, const char *text, struct config_value *v,
		 struct err *e)
{
	bool is_number = o->type == CONFIG_INT || o->type == CONFIG_SIZE ||
			 o->type == CONFIG_DURATION || o->type == CONFIG_BOOL;

	if (o->type == CONFIG_LIST)
		return parse_list(o, text ? text : "", v, e);
	if (!text)
		return is_number ? err_set(e, ERR_INVALID, "a value is expected") : 0;
	if (strchr(text, '\n'))
		return err_set(e, ERR_INVALID,
			       "only a list may go on over several lines: does the line after it "
			       "begin with a space?");
	if (strlen(text) > TEXT_MAX)
		return err_set(e, ERR_INVALID, "it has more than %u bytes", TEXT_MAX);
	return is_number ? parse_number(o, text, &v->number, e) : parse_text(o, text, e);
}

int config_value_set(struct config_value *v, const struct config_option *o, const char *text,
		     struct err *e)
{
	struct config_value new = {0};

	if (text && !text[0])
		text = NULL;
	if (parse(o, text, &new, e) < 0) {
		config_value_done(&new);
		return -1;
	}
	new.text = xstrdup0(text);
	config_value_done(v);
	*v = new;
	return 0;
}

char *config_value_shown(const struct config_option *o, const char *text)
{
	const char *at, *host = strstr(text, "://");
	const char *user, *end;

	if (o->type != CONFIG_URL || !host)
		return xstrdup(text);
	host += 3;
	end = host + strcspn(host, "/?#");
	at = memrchr(host, '@', (size_t)(end - host));
	user = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
	if (user)
		return xasprintf("%.*s:***%s", (int)(user - text), text, at);
	/* libpq takes one from the query, too. */
	user = strstr(text, "password=");
	if (!user)
		return xstrdup(text);
	user += strlen("password=");
	return xasprintf("%.*s***%s", (int)(user - text), text, user + strcspn(user, "&"));
}

/* ---- addresses ---- */

int config_address(const char *text, char *ret_host, size_t size, uint16_t *ret_port, struct err *e)
{
	const char *colon = strrchr(text, ':');
	bool bracket = text[0] == '[' && colon && colon > text + 1 && colon[-1] == ']';
	AUTO_FREE char *host =
		xstrndup(text + bracket, colon ? (size_t)(colon - text) - 2u * bracket : 0);
	uint8_t address[16];
	int64_t port = 0;

	if (!colon || parse_int(colon + 1, &port, NULL) < 0 || port < 0 || port > 65535)
		return err_set(e, ERR_INVALID,
			       "an address and a port are expected, such as 127.0.0.1:8799, "
			       "[::1]:8799 or *:8799");
	if (strcmp(host, "*") != 0 && (bracket || inet_pton(AF_INET, host, address) != 1) &&
	    (!bracket || inet_pton(AF_INET6, host, address) != 1))
		return err_set(
			e, ERR_INVALID,
			"'%s' is no IP address: 127.0.0.1, [::1] and * (all of the machine's) "
			"are such",
			host);
	if (strlen(host) >= size)
		return err_set(e, ERR_INVALID, "the address is too long");
	snprintf(ret_host, size, "%s", host);
	*ret_port = (uint16_t)port;
	return 0;
}

int config_check_address(const char *text, struct err *e)
{
	char host[INET6_ADDRSTRLEN];
	uint16_t port;

	return config_address(text, host, sizeof(host), &port, e);
}
