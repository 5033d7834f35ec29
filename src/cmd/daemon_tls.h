/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon_tls.h: the certificate that the server shows: one that the configuration names, or one by
 * an authority of our own in the state directory, made when it is needed.
 *
 *	ca-key.pem	the authority: certificate and private key
 *	ca.pem		its certificate, for whoever is to trust the server
 *	server.pem	the server's certificate and private key
 *
 * Threads: the main thread.
 */
#ifndef HF_CMD_DAEMON_TLS_H
#define HF_CMD_DAEMON_TLS_H

#include "base/config.h"
#include "net/tls_ca.h"

/*
 * The pair to use now; a certificate of our own that ends soon, or lacks a name of this machine, is
 * made anew. *ret_ca: the authority's certificate, to be freed; NULL if the pair was named. Errors
 * name the file.
 */
int daemon_tls_load(const struct config *c, struct tls_pair *ret_p, char **ret_ca, struct err *e);
/* Does it end within two weeks? Then say so in the log; for one that we cannot make anew. */
void daemon_tls_warn(const char *certificate);

#endif
