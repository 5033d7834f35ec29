/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ini.h: reads configuration files.
 *
 *	# a comment, on a line of its own; ; begins one, too
 *	[section]
 *	name = value
 *	list = first,
 *	       second
 *
 * Lines end with LF or CR LF. Names are [a-z][a-z0-9_]*. A value is what stands between the spaces
 * around it; everything in it counts, also # and ;. A value between double quotes keeps its spaces
 * and loses the quotes. A line that begins with a space goes on with the value above it, after a
 * line feed. The text is UTF-8 without control characters.
 *
 * Everything that is wrong is told, with line and column, and reading goes on at the next line: who
 * mends a file wants to see all of it. Pure functions, any thread.
 */
#ifndef HF_BASE_INI_H
#define HF_BASE_INI_H

#include <stddef.h>

#define INI_FILE_MAX 1048576u /* bytes */
#define INI_LINE_MAX 4096u
#define INI_NAME_MAX 64u
#define INI_VALUE_MAX 65536u /* with all its lines */
#define INI_ENTRIES_MAX 10000u

/* Strings live during the call. Lines and columns count from 1, columns in bytes. */
struct ini_entry {
	const char *section, *name, *value;
	unsigned line, column; /* of the name; a section's name for `section` */
	unsigned value_column; /* 0: the value is empty */
};

struct ini_handler {
	/* A section's head, with `section`, `line` and `column` only; may be NULL. */
	void (*section)(void *arg, const struct ini_entry *i);
	void (*entry)(void *arg, const struct ini_entry *i);
	/* `what` is a sentence without a full stop. */
	void (*problem)(void *arg, unsigned line, unsigned column, const char *what);
	void *arg;
};

/* Read `len` bytes. The handler hears everything in the order of the file. */
void ini_read(const char *text, size_t len, const struct ini_handler *h);

#endif
