/* SPDX-License-Identifier: Apache-2.0 */
/*
 * movers.h: the movers that the server knows.
 *
 * A new one is invited: whoever starts it gives it a word that is good once and for a while. It
 * makes its own token, and registers with both; from then on the token is what it is known by. A
 * registration whose answer was lost may be made again with the same token.
 *
 * A mover that drains takes no more steps; one that is revoked is not listened to, and its steps
 * are given to others when their leases end.
 *
 * Threads: a call belongs to its transaction's.
 */
#ifndef HF_LINK_MOVERS_H
#define HF_LINK_MOVERS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/uuid.h"
#include "db/db.h"
#include "link/token.h"

/* db_wait(): drain or revoked_at of any has changed. */
#define MOVERS_WAKE "movers"

#define MOVER_NAME_MAX 100
#define MOVER_SILENT_US ((uint64_t)90 * 1000000) /* after that it counts as offline */

struct mover_row {
	char id[UUID_TEXT];
	char *name, *host, *version, *created_by;
	json_t *kinds; /* array of texts */
	int64_t capacity;
	bool drain;
	uint64_t created_at, last_seen_at;
	uint64_t revoked_at; /* 0: it is not */
};
void mover_row_done(struct mover_row *m);

#define MOVER_PLACE (6 + UUID_TEXT)
/* Where the steps that only it can do wait, and who has its leases (flow.h): "mover:ID"; returns
 * `out`. */
char *mover_place(const char *id, char out[MOVER_PLACE]);
/* Whose place it is: an id in it; NULL: no single mover's. */
const char *mover_at(const char *place);

/* "online", "offline", "draining", "revoked". */
const char *mover_state(const struct mover_row *m, uint64_t now_us);

/* What a mover says of itself; strings are borrowed. */
struct mover_hello {
	const char *host, *version;
	const json_t *kinds;
	int64_t capacity;
};

/* A word for one new mover, named `name`. */
int mover_invite(struct db_tx *t, const char *name, const char *created_by, uint64_t now_us,
		 uint64_t good_for_us, char ret_word[TOKEN_TEXT], struct err *e);
/* ERR_DENIED: the invitation is unknown, expired, or was used by another; ERR_INVALID: the token.
 */
int mover_register(struct db_tx *t, const char *invitation, const char *token,
		   const struct mover_hello *hello, uint64_t now_us, char ret_id[UUID_TEXT],
		   struct err *e);
/* Who has this token. ERR_DENIED: nobody, or it was revoked. */
int mover_identify(struct db_tx *t, const char *token, struct mover_row *ret, struct err *e);
/* It was seen; what it says of itself is noted if it is new (`hello` NULL: it said nothing). */
int mover_seen(struct db_tx *t, const char *id, const struct mover_hello *hello, uint64_t now_us,
	       struct err *e);

/* ---- for who administers them ---- */

/* ERR_NOENT. */
int mover_get(struct db_tx *t, const char *id, struct mover_row *ret, struct err *e);
/* All, by name; up to `most` of those after name and id (NULL: from the first). */
typedef int mover_each_fn(void *arg, const struct mover_row *m, struct err *e);
int mover_each(struct db_tx *t, const char *after_name, const char *after_id, unsigned most,
	       mover_each_fn *fn, void *arg, struct err *e);
int mover_each_revoked(struct db_tx *t, uint64_t since_us, mover_each_fn *fn, void *arg,
		       struct err *e);
int mover_set_drain(struct db_tx *t, const char *id, bool drain, struct err *e);
/* For good. That it is revoked already is no error. */
int mover_revoke(struct db_tx *t, const char *id, uint64_t now_us, struct err *e);
/* Forget one that is revoked; ERR_CONFLICT: it is not. */
int mover_forget(struct db_tx *t, const char *id, struct err *e);
/* Invitations that are over go. */
int mover_tidy(struct db_tx *t, uint64_t now_us, struct err *e);

#endif
