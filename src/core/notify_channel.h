/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify_channel.h: notifications themselves: making, changing, removing and trying them. URLs and
 * secrets are sealed and never shown again; what is shown of a webhook's URL ends before its query,
 * of a Slack URL behind its host.
 *
 * Threads: as transactions.
 */
#ifndef HF_CORE_NOTIFY_CHANNEL_H
#define HF_CORE_NOTIFY_CHANNEL_H

#include <jansson.h>

#include "core/core.h"
#include "core/notify.h"

#define NOTIFY_SECRET_TEXT 100 /* "whsec_" and base64 */

/* When one is changed, NULL is: as it is. Everything is borrowed. */
struct notify_channel {
	const char *project; /* NULL: the server's */
	const char *name, *description;
	const char *kind;	  /* of notify_kinds; does not change */
	const char *url;	  /* webhook, slack */
	const char *secret;	  /* webhook; made where there is none */
	const json_t *recipients; /* mail: array of addresses */
	const json_t *events;	  /* array of names; empty: every kind of trouble */
	const char *severity;
	const json_t *plans;  /* array of ids; empty: all */
	int64_t remind_hours; /* -1: as it is */
	int enabled;	      /* 0, 1; -1: as it is */
	const char *created_by;
};

/* *ret_secret is "", or the secret that was made: to be shown once. ERR_INVALID, ERR_LIMIT. */
int notify_channel_insert(struct core *c, struct db_tx *t, const struct notify_channel *n,
			  char ret_id[UUID_TEXT], char ret_secret[NOTIFY_SECRET_TEXT],
			  struct err *e);
int notify_channel_update(struct core *c, struct db_tx *t, const char *id,
			  const struct notify_channel *n, struct err *e);
#define NOTIFY_OLD_SECRET "old_secret" /* what the one that was replaced is sealed under */
/*
 * A webhook gets another secret; until `old_until_us` the one that it had signs, too (0: not any
 * more). `secret` NULL: one is made, and is in `ret_secret` to be shown once, else "".
 * ERR_INVALID.
 */
int notify_channel_rotate(struct core *c, struct db_tx *t, const char *id, const char *secret,
			  uint64_t old_until_us, char ret_secret[NOTIFY_SECRET_TEXT],
			  struct err *e);
/* Forget replaced secrets that sign no more; *ret_due of the first: there are some. */
int notify_channel_stale(struct db_tx *t, uint64_t now_us, bool *ret_due, struct err *e);
int notify_channel_forget(struct db_tx *t, uint64_t now_us, struct err *e);
int notify_channel_remove(struct db_tx *t, const char *id, struct err *e);
/* A message that says that it is a test; tried once. */
int notify_channel_test(struct db_tx *t, const char *id, const char *by,
			char ret_delivery[UUID_TEXT], struct err *e);

/* "whsec_BASE64": its bytes, NOTIFY_SECRET_MIN to _MAX, into `out`. ERR_INVALID. */
int notify_secret_bytes(const char *text, uint8_t out[NOTIFY_SECRET_MAX], size_t *ret_n,
			struct err *e);

#endif
