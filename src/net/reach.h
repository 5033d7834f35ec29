/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach.h: which addresses may be connected to where others choose the URL. What is public may be;
 * what is of this machine, of its link, of private networks, or set aside may not, unless it lies
 * in a network that was named. It is asked about the address that is connected to, so it does not
 * matter what a name meant when somebody looked before.
 *
 * Source: the IANA registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890).
 *
 * Threads: a reach does not change: any number.
 */
#ifndef HF_NET_REACH_H
#define HF_NET_REACH_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"

struct reach;

/* `networks` (networks_new) may be reached besides. ERR_INVALID. */
struct reach *reach_new(const char *const *networks, struct err *e);
void reach_free(struct reach *r);
DEFINE_AUTO(reach, reach_free);

bool reach_allows(const struct reach *r, const struct sockaddr *a);

#endif
