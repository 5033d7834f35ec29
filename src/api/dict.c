/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dict.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static const char *skip(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* What stands behind a backslash; 0: nothing that is known. */
static char escaped(char c)
{
	static const char from[] = "\\'\"nrt", to[] = "\\'\"\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	return at ? to[at - from] : 0;
}

/* A string; *at goes behind it. NULL: it is none. The caller frees. */
static char *take_string(const char **at)
{
	AUTO_BUF out = BUF_INIT;
	const char *p = *at;
	char quote, c;

	if ((*p == 'u' || *p == 'U') && (p[1] == '\'' || p[1] == '"'))
		p++;
	quote = *p;
	if (quote != '\'' && quote != '"')
		return NULL;
	for (p++; *p != quote; p++) {
		c = *p == '\\' ? escaped(*++p) : *p;
		if (!c)
			return NULL;
		buf_add(&out, &c, 1);
	}
	*at = p + 1;
	return xstrdup(buf_str(&out));
}

/* 'name': 'text' */
static bool take_member(const char **at, json_t *o)
{
	AUTO_FREE char *name = take_string(at);
	AUTO_FREE char *text = NULL;

	*at = skip(*at);
	if (!name || **at != ':')
		return false;
	*at = skip(*at + 1);
	text = take_string(at);
	*at = skip(*at);
	return text && json_object_size(o) < DICT_MEMBERS && !json_object_get(o, name) &&
	       json_object_set_new(o, name, json_string(text)) == 0;
}

static bool take_dict(const char *at, json_t *o)
{
	at = skip(at);
	if (*at != '{')
		return false;
	at = skip(at + 1);
	while (*at != '}') {
		if (!take_member(&at, o))
			return false;
		if (*at == ',')
			at = skip(at + 1);
		else if (*at != '}')
			return false;
	}
	return !*skip(at + 1);
}

static bool all_texts(const json_t *o)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)o, name, v) if (!json_is_string(v)) return false;
	return json_is_object(o) && json_object_size(o) <= DICT_MEMBERS;
}

json_t *dict_parse(const char *name, const char *text, struct err *e)
{
	json_t *o = NULL;

	if (strlen(text) <= DICT_BYTES) {
		o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		if (o && all_texts(o))
			return o;
		json_decref(o);
		o = json_object();
		if (take_dict(text, o))
			return o;
		json_decref(o);
	}
	err_set(e, ERR_INVALID,
		"%s '%.80s': give an object of at most %d texts, like {\"name\": \"web\"}.", name,
		text, DICT_MEMBERS);
	return NULL;
}
