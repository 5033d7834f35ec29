/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct err_info infos[ERR_KINDS] = {
	[ERR_NONE] = {"none", 0, 200, false},
	[ERR_INVALID] = {"invalid", 2, 400, false},
	[ERR_NOENT] = {"not-found", 3, 404, false},
	[ERR_EXISTS] = {"exists", 4, 409, false},
	[ERR_DENIED] = {"denied", 5, 403, false},
	[ERR_KEY] = {"wrong-key", 6, 403, false},
	[ERR_CORRUPT] = {"corrupt", 7, 500, false},
	[ERR_VERSION] = {"version", 8, 501, false},
	[ERR_UNSUPPORTED] = {"unsupported", 9, 501, false},
	[ERR_BUSY] = {"busy", 10, 409, true},
	[ERR_CONFLICT] = {"conflict", 11, 409, true},
	[ERR_NOSPACE] = {"no-space", 12, 507, true},
	[ERR_IO] = {"io", 13, 500, true},
	[ERR_UNREACHABLE] = {"unreachable", 14, 502, true},
	[ERR_TIMEOUT] = {"timeout", 15, 504, true},
	[ERR_CANCELLED] = {"cancelled", 16, 499, true},
	[ERR_LIMIT] = {"limit", 17, 413, false},
	[ERR_INTERNAL] = {"internal", 18, 500, false},
};

const struct err_info *err_info(enum err_kind kind)
{
	if ((unsigned)kind >= ERR_KINDS)
		kind = ERR_INTERNAL;
	return &infos[kind];
}

enum err_kind err_kind_named(const char *name, enum err_kind otherwise)
{
	for (int k = ERR_INVALID; name && k < ERR_KINDS; k++) {
		if (strcmp(infos[k].name, name) == 0)
			return (enum err_kind)k;
	}
	return otherwise;
}

/* Written down and sent as JSON, where half a character that was cut, or a path in another
 * encoding, would be refused. */
static void take_text(struct err *e, char msg[ERR_TEXT])
{
	text_clean(msg);
	memcpy(e->msg, msg, ERR_TEXT);
}

static void set(struct err *e, enum err_kind kind, int sys, const char *file, int line)
{
	e->kind = kind;
	e->sys = sys;
	e->file = file;
	e->line = line;
}

int err_set_at(struct err *e, enum err_kind kind, const char *file, int line, const char *fmt, ...)
{
	char msg[ERR_TEXT];
	va_list ap;

	if (!e)
		return -1;
	/* Through a copy, because the arguments may be the old message. */
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	set(e, kind, 0, file, line);
	take_text(e, msg);
	return -1;
}

int err_sys_at(struct err *e, int sys, const char *file, int line, const char *fmt, ...)
{
	char msg[ERR_TEXT], text[128];
	size_t len;
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	len = strlen(msg);
	snprintf(msg + len, sizeof(msg) - len, ": %s", strerror_r(sys, text, sizeof(text)));
	set(e, err_kind_of_errno(sys), sys, file, line);
	take_text(e, msg);
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char msg[ERR_TEXT];
	size_t len;
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	len = strlen(msg);
	snprintf(msg + len, sizeof(msg) - len, ": %s", e->msg);
	take_text(e, msg);
	return -1;
}

enum err_kind err_kind_of_errno(int sys)
{
	switch (sys) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOENT;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NOSPACE;
	case EBUSY:
	case ETXTBSY:
		return ERR_BUSY;
	case EINVAL:
	case ENAMETOOLONG:
	case EISDIR:
	case ELOOP:
		return ERR_INVALID;
	case EOPNOTSUPP:
	case ENOSYS:
		return ERR_UNSUPPORTED;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPIPE:
	case ESTALE:
		return ERR_UNREACHABLE;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return ERR_LIMIT;
	default:
		return ERR_IO;
	}
}
