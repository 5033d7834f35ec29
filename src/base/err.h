/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h: the error value.
 *
 * A function that can fail takes a `struct err *` as its last argument and returns 0 or -1 (NULL
 * for a function that returns a pointer). The caller owns the value, usually on its stack; it is
 * written only on failure. NULL means that the caller does not want to know. Library code never
 * prints an error: it hands it up, adding a name on the way where it knows one (err_wrap). A
 * message says what failed, why, and what to do next where that is known.
 *
 * Threads: a value belongs to one thread; the functions keep no state.
 */
#ifndef HF_BASE_ERR_H
#define HF_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum err_kind {
	ERR_NONE,
	ERR_INVALID, /* what was typed or given is wrong: field, value and the way out are named */
	ERR_NOENT,   /* the thing does not exist */
	ERR_EXISTS,  /* it exists already */
	ERR_DENIED,  /* the system or the peer does not allow it */
	ERR_KEY,     /* the key does not open the repository */
	ERR_CORRUPT, /* stored bytes are not what was written */
	ERR_VERSION, /* a newer format, or one that this program does not know */
	ERR_UNSUPPORTED, /* this system, store or resource cannot do it */
	ERR_BUSY,	 /* something else is at work on it */
	ERR_CONFLICT,	 /* a compare-and-swap was lost */
	ERR_NOSPACE,	 /* no room left */
	ERR_IO,		 /* reading or writing failed */
	ERR_UNREACHABLE, /* the other side does not answer */
	ERR_TIMEOUT,	 /* it took longer than allowed */
	ERR_CANCELLED,	 /* the user stopped it */
	ERR_LIMIT,	 /* larger, deeper or more than allowed */
	ERR_INTERNAL,	 /* a defect in this program */
	ERR_KINDS
};

#define ERR_TEXT 512 /* a longer message is cut */

struct err {
	enum err_kind kind;
	int sys;	  /* errno where the system said no, else 0 */
	const char *file; /* where it was first seen */
	int line;
	char msg[ERR_TEXT]; /* UTF-8: what is none of it, or was cut, is a ? */
};

/* What follows from a kind: one table for the command line and, later, for HTTP. */
struct err_info {
	const char *name;
	int exit_code; /* of the command line; part of its contract */
	int http;
	bool retryable; /* the same call may succeed later without a change */
};

/* The row for `kind`; never NULL. */
const struct err_info *err_info(enum err_kind kind);
/* The kind of that name, as another process told it; `otherwise` where there is none (or NULL). */
enum err_kind err_kind_named(const char *name, enum err_kind otherwise);

/* Set `e` (may be NULL) and return -1. */
int err_set_at(struct err *e, enum err_kind kind, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* As err_set_at with the kind that belongs to errno value `sys` and its text appended. */
int err_sys_at(struct err *e, int sys, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#define err_set(e, kind, ...) err_set_at((e), (kind), __FILE__, __LINE__, __VA_ARGS__)
#define err_sys(e, sys, ...) err_sys_at((e), (sys), __FILE__, __LINE__, __VA_ARGS__)

/* Put "fmt: " before the message of `e`; the kind stays. Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The kind that an errno value means. */
enum err_kind err_kind_of_errno(int sys);

#endif
