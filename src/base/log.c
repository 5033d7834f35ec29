/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic enum log_level max_level = LOG_LEVEL_INFO;
static void (*_Atomic before_line)(void);

static const struct {
	const char *prefix, *journal;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error: ", "<3>"},
	[LOG_LEVEL_WARN] = {"warning: ", "<4>"},
	[LOG_LEVEL_INFO] = {"", "<6>"},
	[LOG_LEVEL_DEBUG] = {"debug: ", "<7>"},
};

void log_set_level(enum log_level max)
{
	max_level = max;
}

void log_set_before(void (*before)(void))
{
	before_line = before;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	/* journald reads standard error of a service as a stream socket and says so here. */
	const char *journal = getenv("JOURNAL_STREAM") ? levels[level].journal : "";
	void (*before)(void) = before_line;
	char line[1024];
	va_list ap;
	size_t len;

	if (level > max_level)
		return;
	if (before)
		before();
	snprintf(line, sizeof(line) - 1, "%sholdfast: %s", journal, levels[level].prefix);
	len = strlen(line);
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - 1 - len, fmt, ap);
	va_end(ap);
	len = strlen(line);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nowhere left to say it */
}
