/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_priv.h: what is taken from the outbox and put back; for outbox.c, and tests. */
#ifndef HF_OUTBOX_OUTBOX_PRIV_H
#define HF_OUTBOX_OUTBOX_PRIV_H

#include <jansson.h>

#include "base/uuid.h"
#include "db/db.h"

/* Sending takes less; who died holds a message up for so long. */
#define OUTBOX_LEASE_US UINT64_C(30000000)
#define OUTBOX_TIMEOUT_MS 20000
#define OUTBOX_PER_PROJECT 2

struct parcel {
	char id[UUID_TEXT], notification[UUID_TEXT];
	char *kind, *name;
	bool shared; /* it belongs to no project */
	bool enabled;
	bool two_secrets; /* the one that was replaced signs, too */
	json_t *message, *recipients;
	int64_t attempt, attempts_most;
};
void parcel_done(struct parcel *p);

/*
 * Take what is due, in a transaction of its own: 1, or 0 with *ret_next_us: when something may be
 * (UINT64_MAX: nothing waits).
 */
int outbox_take(struct db *d, uint64_t now_us, struct parcel *ret, uint64_t *ret_next_us,
		struct err *e);

struct outcome {
	bool delivered;
	bool final;	 /* trying again is of no use */
	bool given_back; /* it was broken off and does not count */
	int code;	 /* of HTTP or SMTP, 0: none */
	char text[400];	 /* of the answer, or why there is none */
	unsigned retry_after_s;
	uint64_t took_us;
};
/* Write down how it went. If the lease was lost meanwhile, nothing is changed. */
int outbox_settle(struct db *d, const struct parcel *p, const struct outcome *o, uint64_t now_us,
		  struct err *e);

/* The pause after so many attempts, without the random part. */
uint64_t outbox_pause_us(int64_t attempts);

#endif
