/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.h: a message (core/notify.h) in the form that each kind of receiver takes. Pure functions;
 * what is returned is the caller's.
 */
#ifndef HF_OUTBOX_BODY_H
#define HF_OUTBOX_BODY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define BODY_SIGNATURE 48 /* "v1," and base64 of 32 bytes */

/* Where to look: the operation's page, or the dashboard's first; "" without a `public_url`. */
char *body_link(const json_t *message, const char *public_url);

/* {"type", "timestamp", "data"}, as Standard Webhooks has it. */
char *body_webhook(const json_t *message, const char *link);
/*
 * The value of webhook-signature: HMAC-SHA256 over "ID.TIMESTAMP.BODY", the timestamp in seconds.
 * Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
 */
void body_sign(const uint8_t *key, size_t n, const char *id, uint64_t timestamp_s, const char *body,
	       char out[BODY_SIGNATURE]);
/* {"text"} with Slack's marks, which Mattermost and Rocket.Chat take, too. */
char *body_slack(const json_t *message, const char *link);
char *body_mail_subject(const json_t *message);
/* `name`: of the notification. */
char *body_mail(const json_t *message, const char *link, const char *name);

#endif
