/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks.h: IP addresses and networks, of both families alike: an IPv4 address is
 * ::ffff:a.b.c.d.
 *
 * Threads: what is made does not change: any number.
 */
#ifndef HF_NET_NETWORKS_H
#define HF_NET_NETWORKS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"

#define NETWORK_ADDRESS 16 /* bytes */

struct network {
	uint8_t address[NETWORK_ADDRESS];
	unsigned bits; /* of 128 */
};
bool network_has(const struct network *n, const uint8_t a[NETWORK_ADDRESS]);

/* "192.0.2.1", "2001:db8::1" */
bool network_address(const char *text, uint8_t ret[NETWORK_ADDRESS]);
/* From the four bytes of IPv4. */
void network_map(const void *four, uint8_t ret[NETWORK_ADDRESS]);
bool network_is_mapped(const uint8_t a[NETWORK_ADDRESS]);
/* false: of another family. */
bool network_of_socket(const struct sockaddr *a, uint8_t ret[NETWORK_ADDRESS]);
/* As people write it. */
void network_text(const uint8_t a[NETWORK_ADDRESS], char ret[INET6_ADDRSTRLEN]);

struct networks;
/* "10.1.0.0/16", "fd00:1::/32", "192.0.2.7"; NULL-terminated, or NULL: none. ERR_INVALID. */
struct networks *networks_new(const char *const *list, struct err *e);
void networks_free(struct networks *n);
DEFINE_AUTO(networks, networks_free);
/* For `check` in a table of options: it is such a network. */
int networks_check(const char *text, struct err *e);
bool networks_have(const struct networks *n, const uint8_t a[NETWORK_ADDRESS]);

#endif
