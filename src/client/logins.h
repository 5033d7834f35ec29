/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logins.h: the servers that somebody is logged in to, in a file that only he can read:
 * $XDG_CONFIG_HOME/holdfast/logins.json (~/.config/holdfast/logins.json), of mode 0600.
 *
 *	{"version": 1, "current": URL, "logins": [{"url", "ca", "user", "project_id",
 *	 "project_name", "token_id", "token", "expires_at"}]}
 *
 * `ca` is PEM text to trust instead of the system's certificates, or null. The file is replaced at
 * once, so that it is whole whatever happens; of two that log in at the same moment the later wins.
 *
 * Threads: a value belongs to one thread.
 */
#ifndef HF_CLIENT_LOGINS_H
#define HF_CLIENT_LOGINS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

#define LOGINS_MAX 64
#define LOGINS_FILE_MAX ((size_t)1 << 20)

struct login_entry {
	char *url; /* as logins_url() writes it */
	char *ca;  /* NULL: the system's */
	char *user;
	char *project_id, *project_name;
	char *token_id; /* "": a token that was brought along, and is not ours to revoke */
	struct secret *token;
	char *expires_at; /* RFC 3339, or "": never */
};

struct logins {
	struct login_entry *v;
	size_t n;
	char *current; /* the URL of the one that is used unless another is named; or NULL */
};

void login_entry_done(struct login_entry *l);
void logins_done(struct logins *l);

/*
 * The URL of a server as it is kept: scheme, host and port alone. "host" is https://host:8799,
 * "host:port" has https, too. ERR_INVALID; also http:// to another machine, over which a token
 * could be read.
 */
char *logins_url(const char *text, struct err *e);

/* What the file's bytes say. ERR_CORRUPT names what is wrong; ERR_VERSION. */
int logins_parse(const void *data, size_t n, struct logins *ret, struct err *e);
/* The file's text, with its secrets: the caller wipes it. */
void logins_format(const struct logins *l, struct buf *out);

/* Where it lies; the caller's. ERR_INVALID: neither XDG_CONFIG_HOME nor HOME is set. */
char *logins_path(struct err *e);
/* The file; without one there are no logins. */
int logins_load(struct logins *ret, struct err *e);
int logins_save(const struct logins *l, struct err *e);

/* The entry of that URL, which stays in the list, or NULL. */
struct login_entry *logins_find(const struct logins *l, const char *url);
/* Add an entry, or put it in the place of that with its URL, and make it the current one. */
void logins_put_take(struct logins *l, struct login_entry *entry);
/* Take one out. The current one is then none. */
void logins_remove(struct logins *l, const char *url);

#endif
