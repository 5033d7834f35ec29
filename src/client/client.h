/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h: requests to a server's API, as openapi.yaml says it: JSON in, JSON out, its errors as
 * ours, pages put together.
 *
 * What fails on the way, or because the server starts or has too much to do, is tried again for
 * three seconds. So that nothing is done twice, each POST has an Idempotency-Key, which stays the
 * same over its tries.
 *
 * Threads: a client is thread-safe once it is set up.
 */
#ifndef HF_CLIENT_CLIENT_H
#define HF_CLIENT_CLIENT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "net/http.h"

#define CLIENT_PAGE 1000 /* items of a list in one answer */

struct client;

struct client_setup {
	const char *url;	     /* as logins_url() writes it */
	const char *ca_file;	     /* certificates to trust, or NULL */
	const char *ca;		     /* or their PEM text, or NULL */
	const struct secret *token;  /* or NULL: nobody yet */
	const char *project;	     /* id; NULL: only paths that begin with "/" can be asked */
	const struct cancel *cancel; /* or NULL */
};

/* Everything is copied. Nothing is asked yet. Never NULL. */
struct client *client_new(const struct client_setup *s);
void client_free(struct client *c);
const char *client_url(const struct client *c);
/* The id of the project, or NULL. */
const char *client_project(const struct client *c);
void client_set_project(struct client *c, const char *id);

/*
 * One request. A `path` that begins with "/" is the server's, any other is the project's: "plans".
 * `body` may be NULL. *ret is the answer's JSON, the caller's, NULL where it has none; `ret` may be
 * NULL.
 *
 * The server's no: its message, and the kind that its status means (ERR_INVALID, ERR_DENIED,
 * ERR_NOENT, ERR_CONFLICT, ERR_BUSY, ERR_LIMIT, ERR_IO: it failed). Else as http_do().
 */
int client_do(struct client *c, const char *method, const char *path, const json_t *body,
	      json_t **ret, struct err *e);
/* GET, and of the answer the member `item`; the caller's. ERR_CORRUPT: it is not there. */
int client_get(struct client *c, const char *path, const char *item, json_t **ret, struct err *e);
/*
 * All items of a list, page by page, at most `most` (0: all), in the server's order. `path` may
 * have a query already. The array is the caller's.
 */
int client_list(struct client *c, const char *path, const char *items, size_t most, json_t **ret,
		struct err *e);
/* An answer that goes on, or is no JSON, given to `fn` as it comes; until it ends. As
 * http_stream(). `type`: what is wanted ("text/csv"), or NULL. `hang_up` ends it. */
int client_stream(struct client *c, const char *path, const char *type, http_chunk_fn *fn,
		  void *arg, const struct cancel *hang_up, struct err *e);

/* Add "?name=value" or "&name=value" to a path, encoded; nothing where `value` is NULL. */
void client_query(struct buf *path, const char *name, const char *value);
/* Add a part of a path, encoded. */
void client_part(struct buf *path, const char *part);

/* The text of a member; "" where there is none. The object's. */
const char *client_text(const json_t *o, const char *name);

DEFINE_AUTO(client, client_free);

#endif
