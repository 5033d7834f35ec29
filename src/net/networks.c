/* SPDX-License-Identifier: Apache-2.0 */
#include "net/networks.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NETWORK_TEXT 64

struct networks {
	struct network *v;
	size_t n;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* ---- addresses ---- */

void network_map(const void *four, uint8_t ret[NETWORK_ADDRESS])
{
	memcpy(ret, mapped, sizeof(mapped));
	memcpy(ret + sizeof(mapped), four, 4);
}

bool network_is_mapped(const uint8_t a[NETWORK_ADDRESS])
{
	return memcmp(a, mapped, sizeof(mapped)) == 0;
}

bool network_address(const char *text, uint8_t ret[NETWORK_ADDRESS])
{
	unsigned char four[4];

	if (inet_pton(AF_INET, text, four) != 1)
		return inet_pton(AF_INET6, text, ret) == 1;
	network_map(four, ret);
	return true;
}

bool network_of_socket(const struct sockaddr *a, uint8_t ret[NETWORK_ADDRESS])
{
	if (a && a->sa_family == AF_INET)
		network_map(&((const struct sockaddr_in *)(const void *)a)->sin_addr, ret);
	else if (a && a->sa_family == AF_INET6)
		memcpy(ret, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		       NETWORK_ADDRESS);
	else
		return false;
	return true;
}

void network_text(const uint8_t a[NETWORK_ADDRESS], char ret[INET6_ADDRSTRLEN])
{
	if (network_is_mapped(a))
		inet_ntop(AF_INET, a + sizeof(mapped), ret, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, a, ret, INET6_ADDRSTRLEN);
}

/* ---- networks ---- */

/* "ADDRESS[/BITS]" */
static int read_network(const char *text, struct network *ret, struct err *e)
{
	char address[NETWORK_TEXT];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long bits;
	unsigned most;
	char *end;

	if (n >= sizeof(address))
		return err_set(e, ERR_INVALID, "it is no address");
	snprintf(address, sizeof(address), "%.*s", (int)n, text);
	if (!network_address(address, ret->address))
		return err_set(e, ERR_INVALID,
			       "write a network as 10.1.0.0/16 or fd00:1::/32, or an address");
	bits = most = strchr(address, ':') ? 128 : 32;
	if (slash) {
		bits = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end || bits > most)
			return err_set(e, ERR_INVALID, "behind the / there are 0 to %u bits", most);
	}
	ret->bits = (unsigned)bits + 128 - most;
	return 0;
}

bool network_has(const struct network *n, const uint8_t a[NETWORK_ADDRESS])
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(a, n->address, whole) != 0)
		return false;
	return !rest || (a[whole] ^ n->address[whole]) >> (8 - rest) == 0;
}

struct networks *networks_new(const char *const *list, struct err *e)
{
	AUTO(networks) n = xcalloc(1, sizeof(*n));

	for (; list && *list; list++) {
		n->v = xreallocarray(n->v, n->n + 1, sizeof(*n->v));
		if (read_network(*list, &n->v[n->n], e) < 0) {
			err_wrap(e, "'%.60s'", *list);
			return NULL;
		}
		n->n++;
	}
	return steal(&n);
}

void networks_free(struct networks *n)
{
	if (!n)
		return;
	free(n->v);
	free(n);
}

int networks_check(const char *text, struct err *e)
{
	struct network n;

	return read_network(text, &n, e);
}

bool networks_have(const struct networks *n, const uint8_t a[NETWORK_ADDRESS])
{
	for (size_t i = 0; i < n->n; i++)
		if (network_has(&n->v[i], a))
			return true;
	return false;
}
