/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust.h: the certificate authority that a server made for itself, as the server shows it
 * (GET /ca.pem). Nothing vouches for the answer: a person compares its fingerprint with the one in
 * the server's log before it is trusted.
 *
 * Threads: any.
 */
#ifndef HF_CLIENT_TRUST_H
#define HF_CLIENT_TRUST_H

#include "base/err.h"
#include "net/tls_ca.h"

/* Its PEM text, the caller's, and its SHA-256. ERR_NOENT: the server has none of its own. */
int trust_fetch(const char *url, char **ret_pem, char ret_print[TLS_FINGERPRINT], struct err *e);
/* Are these the same fingerprint, whatever the case, with colons or without? */
bool trust_same(const char *a, const char *b);

#endif
