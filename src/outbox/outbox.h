/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox.h: delivers what is in the outbox (core/notify.h): to webhooks, mail addresses and Slack.
 *
 * Each message is delivered at least once: who dies between sending and writing that down leaves it
 * to be sent again, with the same id (webhook-id, Message-ID), by which a receiver knows it. A
 * process that delivers has a lease; several on one database do not send twice. What fails is
 * tried again with growing pauses, and given up in the end, with the reason.
 *
 * One delivery at a time for each notification and two for each project, so whose receiver hangs
 * does not hold up others.
 *
 * A project's webhook is connected only to public addresses and those that the administrator named
 * (net/reach.h); an administrator's, which belong to no project, to any.
 *
 * Threads: an outbox belongs to who started it; it has some of its own.
 */
#ifndef HF_OUTBOX_OUTBOX_H
#define HF_OUTBOX_OUTBOX_H

#include "auth/auth.h"
#include "db/db.h"
#include "net/mail.h"
#include "net/reach.h"

struct outbox_options {
	const char *public_url;	   /* of this server, for links; "" for none */
	const char *ca;		   /* of webhooks; as for http_new() */
	const struct reach *reach; /* of webhooks of projects */
	struct mail_server mail;   /* `url` NULL: none is sent */
	const char *mail_from;
	unsigned threads;
};

struct outbox;

/* Everything is borrowed, and there for longer than the outbox. */
struct outbox *outbox_start(struct db *d, struct auth *a, const struct outbox_options *o,
			    struct err *e);
/* Ends when what is being sent has ended or was broken off, which gives it back. */
void outbox_stop(struct outbox *o);

/* Forget deliveries that ended before this. */
int outbox_prune(struct db *d, uint64_t before_us, struct err *e);

#endif
