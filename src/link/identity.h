/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h: what a mover is known by: STATE/identity.json.
 *
 * The token is made, and on the disk, before the server hears of it; so a registration whose answer
 * was lost is made again with the same token, and is the same one (movers.h).
 *
 * Threads: for one at a time.
 */
#ifndef HF_LINK_IDENTITY_H
#define HF_LINK_IDENTITY_H

#include "base/err.h"
#include "base/uuid.h"
#include "link/token.h"

struct identity {
	char token[TOKEN_TEXT];
	char id[UUID_TEXT]; /* "": it is not registered */
};

/* Load it, or make one. ERR_CORRUPT: the file is damaged. */
int identity_load(const char *state, struct identity *ret, struct err *e);
/* Registered as `id`. */
int identity_keep(const char *state, struct identity *i, const char *id, struct err *e);
/* The server does not know it any more: a new one takes its place. */
int identity_renew(const char *state, struct identity *i, struct err *e);

#endif
