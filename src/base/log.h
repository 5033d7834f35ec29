/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: messages for whoever runs the program, on standard error.
 *
 * Library code logs at debug only; programs log errors once, where they are handled. A line is
 * written with one write(2). With the systemd prefix on ("<3>…"), journald knows the level. But for
 * PLAIN, control characters in a message are written as "?": what came from outside cannot look
 * like another line.
 * Thread-safe.
 */
#ifndef HF_BASE_LOG_H
#define HF_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format {
	LOG_FORMAT_PLAIN, /* "holdfast: warning: …", as a command speaks to who typed it */
	LOG_FORMAT_TEXT,  /* the same after the time, but for journald, which has its own */
	LOG_FORMAT_JSON,  /* {"time":…,"level":…,"program":…,"message":…} */
};

/* What is written from now on; INFO at first. */
void log_set_level(enum log_level max);
/* PLAIN at first. May be called again when a daemon is told to. */
void log_set_format(enum log_format format);
/* What the program is called in each line; "holdfast" at first. Kept by reference: a literal. */
void log_set_program(const char *name);
/* Called before a line is written, to clear a progress line from the terminal; may be NULL. */
void log_set_before(void (*before)(void));

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
