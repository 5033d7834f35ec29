/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reach.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NETWORK_TEXT 64

/* All as IPv6; IPv4 is ::ffff:a.b.c.d. */
struct network {
	uint8_t address[16];
	unsigned bits;
};

struct reach {
	struct network *v;
	size_t n;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void map(const void *four, uint8_t out[16])
{
	memcpy(out, mapped, sizeof(mapped));
	memcpy(out + sizeof(mapped), four, 4);
}

/* "ADDRESS[/BITS]" */
static int read_network(const char *text, struct network *ret, struct err *e)
{
	char address[NETWORK_TEXT];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned char four[4];
	unsigned most = 128;
	unsigned long bits;
	char *end;

	if (n >= sizeof(address))
		return err_set(e, ERR_INVALID, "it is no address");
	snprintf(address, sizeof(address), "%.*s", (int)n, text);
	if (inet_pton(AF_INET, address, four) == 1) {
		most = 32;
		map(four, ret->address);
	} else if (inet_pton(AF_INET6, address, ret->address) != 1) {
		return err_set(e, ERR_INVALID,
			       "write a network as 10.1.0.0/16 or fd00:1::/32, or an address");
	}
	bits = most;
	if (slash) {
		bits = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end || bits > most)
			return err_set(e, ERR_INVALID, "behind the / there are 0 to %u bits", most);
	}
	ret->bits = (unsigned)bits + 128 - most;
	return 0;
}

static bool is_in(const uint8_t a[16], const struct network *n)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(a, n->address, whole) != 0)
		return false;
	return !rest || (a[whole] ^ n->address[whole]) >> (8 - rest) == 0;
}

struct reach *reach_new(const char *const *networks, struct err *e)
{
	AUTO(reach) r = xcalloc(1, sizeof(*r));

	for (; networks && *networks; networks++) {
		r->v = xreallocarray(r->v, r->n + 1, sizeof(*r->v));
		if (read_network(*networks, &r->v[r->n], e) < 0) {
			err_wrap(e, "'%.60s'", *networks);
			return NULL;
		}
		r->n++;
	}
	return steal(&r);
}

void reach_free(struct reach *r)
{
	if (!r)
		return;
	free(r->v);
	free(r);
}

int reach_check_network(const char *text, struct err *e)
{
	struct network n;

	return read_network(text, &n, e);
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
	uint8_t a[16];

	map(four, a);
	for (size_t i = 0; i < ARRAY_LEN(closed4); i++) {
		map(closed4[i].address, n.address);
		n.bits = 96 + closed4[i].bits;
		if (is_in(a, &n))
			return false;
	}
	return true;
}

static bool is_public(const uint8_t a[16])
{
	if (memcmp(a, mapped, sizeof(mapped)) == 0 || is_in(a, &nat64))
		return is_public4(a + 12);
	if (!is_in(a, &given_out))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(closed6); i++)
		if (is_in(a, &closed6[i]))
			return false;
	return true;
}

bool reach_allows(const struct reach *r, const struct sockaddr *sa)
{
	uint8_t a[16];

	if (sa->sa_family == AF_INET)
		map(&((const struct sockaddr_in *)(const void *)sa)->sin_addr, a);
	else if (sa->sa_family == AF_INET6)
		memcpy(a, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	else
		return false;
	for (size_t i = 0; i < r->n; i++)
		if (is_in(a, &r->v[i]))
			return true;
	return is_public(a);
}
