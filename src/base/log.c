/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 2048u

static _Atomic enum log_level max_level = LOG_LEVEL_INFO;
static _Atomic enum log_format line_format = LOG_FORMAT_PLAIN;
static const char *_Atomic program = "holdfast";
static void (*_Atomic before_line)(void);

static const struct {
	const char *prefix, *journal, *name;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error: ", "<3>", "error"},
	[LOG_LEVEL_WARN] = {"warning: ", "<4>", "warning"},
	[LOG_LEVEL_INFO] = {"", "<6>", "info"},
	[LOG_LEVEL_DEBUG] = {"debug: ", "<7>", "debug"},
};

void log_set_level(enum log_level max)
{
	max_level = max;
}

void log_set_format(enum log_format format)
{
	line_format = format;
}

void log_set_program(const char *name)
{
	program = name;
}

void log_set_before(void (*before)(void))
{
	before_line = before;
}

/* Both leave room for the end of the line. */
static size_t put_text(char *line, size_t len, const char *text)
{
	for (; *text && len < LINE_MAX_BYTES - 8; text++) {
		unsigned char c = (unsigned char)*text;

		line[len++] = (c < 0x20 && c != '\t') || c == 0x7f ? '?' : *text;
	}
	return len;
}

static size_t put_json(char *line, size_t len, const char *text)
{
	for (; *text && len < LINE_MAX_BYTES - 8; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			line[len++] = '\\';
			line[len++] = *text;
		} else {
			line[len++] = c < 0x20 || c == 0x7f ? '?' : *text;
		}
	}
	return len;
}

static size_t json_line(char *line, enum log_level level, const char *text)
{
	char time[CLOCK_TEXT];
	size_t len;

	snprintf(line, LINE_MAX_BYTES,
		 "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"message\":\"",
		 clock_rfc3339(clock_wall_us(), time), levels[level].name, program);
	len = put_json(line, strlen(line), text);
	line[len++] = '"';
	line[len++] = '}';
	return len;
}

static size_t text_line(char *line, enum log_level level, const char *text)
{
	/* journald reads standard error of a service as a stream socket and says so here. */
	bool journal = getenv("JOURNAL_STREAM") != NULL;
	char time[CLOCK_TEXT] = "";
	size_t len;

	if (line_format == LOG_FORMAT_TEXT && !journal)
		clock_rfc3339(clock_wall_us(), time);
	snprintf(line, LINE_MAX_BYTES, "%s%s%s%s: %s", journal ? levels[level].journal : "", time,
		 time[0] ? " " : "", program, levels[level].prefix);
	if (line_format == LOG_FORMAT_TEXT)
		return put_text(line, strlen(line), text);
	len = strlen(line);
	snprintf(line + len, LINE_MAX_BYTES - 1 - len, "%s", text);
	return strlen(line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES];
	void (*before)(void) = before_line;
	va_list ap;
	size_t len;

	if (level > max_level)
		return;
	if (before)
		before();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = line_format == LOG_FORMAT_JSON ? json_line(line, level, text)
					     : text_line(line, level, text);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nowhere left to say it */
}
