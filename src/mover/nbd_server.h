/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd_server.h: a program that serves NBD for us, on a unix socket or a TCP port, until it is
 * stopped or this process ends. One thread.
 */
#ifndef HF_MOVER_NBD_SERVER_H
#define HF_MOVER_NBD_SERVER_H

#include "base/spawn.h"

#define NBD_SOCKET_MAX 107 /* bytes of a unix socket's path, as the system has it */

/* Where it listens: a unix socket, or (that NULL) a numeric address and a port. */
struct nbd_place {
	const char *socket, *address, *port;
};

/* The address of an export there as a URI, to be freed. */
char *nbd_uri(const struct nbd_place *at, const char *export_name);

/*
 * Can a server be started there? A socket that nobody answers at any more, as a killed server
 * leaves it, is removed. ERR_EXISTS, ERR_BUSY: it is taken; ERR_LIMIT: the path is too long.
 */
int nbd_place_check(const struct nbd_place *at, struct err *e);

struct nbd_server;

/* Start argv[0] and wait until it greets at `at`, which is copied; `in` is its standard input, or
 * -1. ERR_CANCELLED when `cancel` (or NULL) is raised meanwhile. */
struct nbd_server *nbd_server_start(const char *const argv[], int in, const struct nbd_place *at,
				    const struct cancel *cancel, struct err *e);
/* Its process, to be listened to or asked whether it has ended. */
struct spawn *nbd_server_process(struct nbd_server *s);
/* Let it close what it has open, however long that takes within a minute. -1 when it ended with an
 * error. Frees. */
int nbd_server_stop(struct nbd_server *s, struct err *e);
/* End it soon. NULL is fine. */
void nbd_server_free(struct nbd_server *s);

DEFINE_AUTO(nbd_server, nbd_server_free);

#endif
