/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line at a time. An entry is handed on when it is known to have ended: at the next line that
 * does not go on with it, or at the end of the text.
 */
#include "base/ini.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

struct reader {
	const struct ini_handler *h;
	unsigned line;
	unsigned entries;
	char section[INI_NAME_MAX + 1];
	bool in_section; /* entries have a section to belong to; false after a bad head, too */
	bool section_bad;
	/* The entry that is being read. */
	char name[INI_NAME_MAX + 1];
	struct buf value;
	unsigned name_line, name_column, value_column;
	bool open; /* there is one */
	bool skip; /* its first line was wrong: so what goes on with it is not looked at */
};

static void problem(struct reader *r, size_t column, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void problem(struct reader *r, size_t column, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	r->h->problem(r->h->arg, r->line, (unsigned)column + 1, what);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static size_t skip_spaces(const char *s, size_t i, size_t n)
{
	while (i < n && is_space(s[i]))
		i++;
	return i;
}

/* How many bytes of a name begin at `i`. */
static size_t name_length(const char *s, size_t i, size_t n)
{
	size_t start = i;

	while (i < n && ((s[i] >= 'a' && s[i] <= 'z') ||
			 (i > start && ((s[i] >= '0' && s[i] <= '9') || s[i] == '_'))))
		i++;
	return i - start;
}

/* ---- characters ---- */

/* Nothing in the line that a terminal, a log or another reader could take for something else. */
static bool check_characters(struct reader *r, const char *s, size_t n)
{
	for (size_t i = 0, step; i < n; i += step) {
		uint8_t c = (uint8_t)s[i];

		step = text_utf8(s + i, n - i);
		if (step == 0) {
			problem(r, i, "byte 0x%02x is not UTF-8", c);
			return false;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			problem(r, i, "control character 0x%02x", c);
			return false;
		}
	}
	return true;
}

/* ---- lines ---- */

static void end_entry(struct reader *r)
{
	struct ini_entry i = {r->section,   r->name,	    NULL,
			      r->name_line, r->name_column, r->value_column};

	if (r->open) {
		i.value = buf_str(&r->value);
		r->h->entry(r->h->arg, &i);
	}
	r->open = false;
	r->skip = false;
	r->value.len = 0;
}

static void read_head(struct reader *r, const char *s, size_t i, size_t n)
{
	size_t start = skip_spaces(s, i + 1, n), len = name_length(s, start, n);
	size_t end = skip_spaces(s, start + len, n);

	r->in_section = false;
	r->section_bad = true;
	if (len == 0 || end == n || s[end] != ']')
		problem(r, len ? end : start,
			"a section is named like [server]: small letters, "
			"digits and _");
	else if (len > INI_NAME_MAX)
		problem(r, start, "a name has at most %u characters", INI_NAME_MAX);
	else if (skip_spaces(s, end + 1, n) != n)
		problem(r, skip_spaces(s, end + 1, n),
			"nothing may follow ']': a comment has a line of its own");
	else {
		struct ini_entry head = {.line = r->line, .column = (unsigned)start + 1};

		snprintf(r->section, sizeof(r->section), "%.*s", (int)len, s + start);
		r->in_section = true;
		r->section_bad = false;
		head.section = r->section;
		if (r->h->section)
			r->h->section(r->h->arg, &head);
	}
}

/* What stands between the spaces around it; quotes around it are taken off. */
static void trim(const char *s, size_t *i, size_t *n)
{
	*i = skip_spaces(s, *i, *n);
	while (*n > *i && is_space(s[*n - 1]))
		--*n;
	if (*n >= *i + 2 && s[*i] == '"' && s[*n - 1] == '"') {
		++*i;
		--*n;
	}
}

static void read_entry(struct reader *r, const char *s, size_t n)
{
	size_t len = name_length(s, 0, n), at = skip_spaces(s, len, n), from = at + 1, to = n;

	r->skip = true; /* until it turns out to be right */
	if (len == 0 || at == n || s[at] != '=') {
		problem(r, len ? at : 0, "a line is [section], name = value, or a # comment");
		return;
	}
	if (len > INI_NAME_MAX) {
		problem(r, 0, "a name has at most %u characters", INI_NAME_MAX);
		return;
	}
	if (!r->in_section) {
		/* Under a bad head one message is enough. */
		if (!r->section_bad)
			problem(r, 0, "'%.*s' stands before the first [section]", (int)len, s);
		return;
	}
	if (r->entries == INI_ENTRIES_MAX) {
		problem(r, 0, "there are more than %u entries; the rest is not read",
			INI_ENTRIES_MAX);
		r->entries++;
	}
	if (r->entries > INI_ENTRIES_MAX)
		return;
	r->entries++;
	trim(s, &from, &to);
	snprintf(r->name, sizeof(r->name), "%.*s", (int)len, s);
	r->name_line = r->line;
	r->name_column = 1;
	r->value_column = to > from ? (unsigned)from + 1 : 0;
	buf_add(&r->value, s + from, to - from);
	r->open = true;
	r->skip = false;
}

static void go_on(struct reader *r, const char *s, size_t i, size_t n)
{
	size_t from = i, to = n;

	if (r->skip)
		return;
	if (!r->open) {
		problem(r, i,
			"a line that begins with a space goes on with a value, and there is "
			"none above it");
		return;
	}
	trim(s, &from, &to);
	if (r->value.len + 1 + (to - from) > INI_VALUE_MAX) {
		problem(r, i, "'%s' is longer than %u bytes", r->name, INI_VALUE_MAX);
		r->open = false;
		r->skip = true;
		return;
	}
	buf_add(&r->value, "\n", 1);
	buf_add(&r->value, s + from, to - from);
}

static void read_line(struct reader *r, const char *s, size_t n)
{
	size_t i = skip_spaces(s, 0, n);

	r->line++;
	if (n > INI_LINE_MAX) {
		end_entry(r);
		problem(r, INI_LINE_MAX, "a line has at most %u bytes", INI_LINE_MAX);
		r->skip = true;
		return;
	}
	if (!check_characters(r, s, n)) {
		end_entry(r);
		r->skip = true;
		return;
	}
	if (i == n) {
		end_entry(r);
		return;
	}
	if (s[i] == '#' || s[i] == ';')
		return; /* also between the lines of a value */
	if (i > 0) {
		go_on(r, s, i, n);
		return;
	}
	end_entry(r);
	if (s[i] == '[')
		read_head(r, s, i, n);
	else
		read_entry(r, s, n);
}

void ini_read(const char *text, size_t len, const struct ini_handler *h)
{
	struct reader r = {.h = h};
	size_t at = 0;

	if (len > INI_FILE_MAX) {
		r.line = 1;
		problem(&r, 0, "the file has %zu bytes; at most %u are read", len, INI_FILE_MAX);
		return;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		at = 3; /* a byte order mark, as some editors write it */
	while (at < len) {
		const char *line = text + at, *end = memchr(line, '\n', len - at);
		size_t n = end ? (size_t)(end - line) : len - at;

		at += n + 1;
		if (n > 0 && line[n - 1] == '\r')
			n--;
		read_line(&r, line, n);
	}
	end_entry(&r);
	buf_done(&r.value);
}
