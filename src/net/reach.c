/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reach.h"

#include <string.h>

#include "net/networks.h"

struct reach {
	struct networks *besides;
};

struct reach *reach_new(const char *const *networks, struct err *e)
{
	AUTO(reach) r = xcalloc(1, sizeof(*r));

	r->besides = networks_new(networks, e);
	return r->besides ? steal(&r) : NULL;
}

void reach_free(struct reach *r)
{
	if (!r)
		return;
	networks_free(r->besides);
	free(r);
}

/* What is of IPv4, and not for everybody. */
static const struct {
	uint8_t address[4];
	unsigned bits;
} closed4[] = {
	{{0}, 8},
	{{10}, 8},
	{{100, 64}, 10},
	{{127}, 8},
	{{169, 254}, 16},
	{{172, 16}, 12},
	{{192, 0, 0}, 24},
	{{192, 0, 2}, 24},
	{{192, 88, 99}, 24},
	{{192, 168}, 16},
	{{198, 18}, 15},
	{{198, 51, 100}, 24},
	{{203, 0, 113}, 24},
	{{224}, 4},
	{{240}, 4},
};
/* Of what is given out of IPv6 (2000::/3): addresses that lead elsewhere, or nowhere. */
static const struct network closed6[] = {
	{{0x20, 0x01}, 23},		/* 2001::/23, protocols: Teredo, ORCHID */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x20, 0x02}, 16},		/* 6to4 */
	{{0x3f, 0xff}, 20},		/* documentation */
};
static const struct network given_out = {{0x20}, 3};
/* NAT64: the IPv4 address is at the end. */
static const struct network nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};

static bool is_public4(const uint8_t four[4])
{
	struct network n;
	uint8_t a[NETWORK_ADDRESS];

	network_map(four, a);
	for (size_t i = 0; i < ARRAY_LEN(closed4); i++) {
		network_map(closed4[i].address, n.address);
		n.bits = 96 + closed4[i].bits;
		if (network_has(&n, a))
			return false;
	}
	return true;
}

static bool is_public(const uint8_t a[NETWORK_ADDRESS])
{
	if (network_is_mapped(a) || network_has(&nat64, a))
		return is_public4(a + 12);
	if (!network_has(&given_out, a))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(closed6); i++)
		if (network_has(&closed6[i], a))
			return false;
	return true;
}

bool reach_allows(const struct reach *r, const struct sockaddr *sa)
{
	uint8_t a[NETWORK_ADDRESS];

	if (!network_of_socket(sa, a))
		return false;
	return networks_have(r->besides, a) || is_public(a);
}
