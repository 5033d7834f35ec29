/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail.h: writing a mail and handing it to an SMTP server, over libcurl.
 *
 * Sources: RFC 5322 (form), RFC 2047 (subjects), RFC 2045 (quoted-printable), RFC 3834 (mail that
 * no person wrote). Nothing that a text holds can become a header or a recipient of its own.
 *
 * Threads: any; each call is a connection of its own.
 */
#ifndef HF_NET_MAIL_H
#define HF_NET_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/secret.h"

#define MAIL_REPLY 200

struct mail_server {
	const char *url;	       /* "smtp://host[:port]" or "smtps://host[:port]" */
	bool starttls;		       /* smtp: demand it; else nothing is encrypted */
	const char *user;	       /* NULL: no log-in */
	const struct secret *password; /* NULL: none */
	const char *ca;		       /* as for http_new() */
	unsigned timeout_ms;	       /* for all of it */
	const struct cancel *cancel;   /* NULL: never */
};

struct mail {
	const char *id; /* the Message-ID, without the <>: "ID@host" */
	const char *from;
	const char *const *to; /* of which at least one has to be taken */
	size_t n_to;
	const char *subject, *text; /* UTF-8; lines of `text` end with \n */
	uint64_t date_us;
};

/* For `check` in a table of options: it is an address (text_is_mail_address). */
int mail_check_address(const char *text, struct err *e);

/* The message with its headers, lines ended by CR LF; the caller frees it. */
char *mail_compose(const struct mail *m);
/*
 * 0: the server has taken it. *ret_status is the code of its last answer, or of one that refuses,
 * also where it fails (0: there was none), and `ret_reply` (MAIL_REPLY bytes) the text of that.
 * ERR_UNREACHABLE, ERR_TIMEOUT, ERR_DENIED (its certificate, our log-in, or what we sent),
 * ERR_CANCELLED.
 */
int mail_send(const struct mail_server *s, const struct mail *m, int *ret_status, char *ret_reply,
	      struct err *e);

#endif
