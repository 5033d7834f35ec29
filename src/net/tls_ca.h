/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_ca.h: a certificate authority of our own, so that a server speaks TLS from its first start:
 * it makes an authority once, and from it certificates for its names, which are made anew before
 * they run out. Who is to trust the server is given the authority's certificate.
 *
 * Keys are EC P-256. Everything is PEM text; where it is stored is the caller's matter. A key's
 * text is ended by a NUL that its length does not count.
 *
 * Threads: pure functions.
 */
#ifndef HF_NET_TLS_CA_H
#define HF_NET_TLS_CA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

#define TLS_CA_DAYS 3650
#define TLS_SERVER_DAYS 365
#define TLS_RENEW_DAYS 30  /* so long before a certificate ends, it is made anew */
#define TLS_FINGERPRINT 96 /* room for one: "AB:CD:…" */

struct tls_pair {
	char *certificate;
	struct secret *key;
};

void tls_pair_done(struct tls_pair *p);

/* A new authority "Holdfast CA NAME". `name` has at most 40 bytes. */
int tls_ca_new(const char *name, struct tls_pair *ret_ca, struct err *e);
/*
 * A certificate for a server with these names: host names (also "*.example.org") and addresses. The
 * first one is its common name, too. ERR_INVALID: a name, or an authority that is none.
 */
int tls_ca_issue(const struct tls_pair *ca, const char *const *names, size_t n_names,
		 struct tls_pair *ret_p, struct err *e);
/*
 * Why a certificate has to be made anew, as a word or two for a log: it ends soon or has not begun,
 * it lacks one of the names, another authority signed it, it is none. NULL: it need not.
 */
const char *tls_ca_outdated(const char *ca, const char *certificate, const char *const *names,
			    size_t n_names);
/* The SHA-256 of a certificate into `out` (TLS_FINGERPRINT bytes), for people to compare. */
int tls_fingerprint(const char *certificate, char *out, struct err *e);
/* When it ends: microseconds since 1970. */
int tls_expiry(const char *certificate, uint64_t *ret_us, struct err *e);

#endif
