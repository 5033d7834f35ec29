/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hex.h"

void random_bytes(void *out, size_t n)
{
	uint8_t *p = out;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		p += got;
		n -= (size_t)got;
	}
}

struct uuid uuid_random(void)
{
	struct uuid u;

	random_bytes(u.b, sizeof(u.b));
	u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
	u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
	return u;
}

/* The five groups: first byte, number of bytes, position in the text. */
static const struct {
	int byte, n, at;
} groups[] = {{0, 4, 0}, {4, 2, 9}, {6, 2, 14}, {8, 2, 19}, {10, 6, 24}};

char *uuid_text(const struct uuid *u, char *out)
{
	for (int i = 0; i < 5; i++) {
		hex_encode(u->b + groups[i].byte, (size_t)groups[i].n, out + groups[i].at);
		out[groups[i].at + 2 * groups[i].n] = i < 4 ? '-' : 0;
	}
	return out;
}

bool uuid_parse(const char *text, struct uuid *ret_u)
{
	struct uuid u;

	if (strlen(text) != 36)
		return false;
	for (int i = 0; i < 5; i++) {
		if (!hex_decode(text + groups[i].at, (size_t)groups[i].n, u.b + groups[i].byte))
			return false;
		if (i < 4 && text[groups[i].at + 2 * groups[i].n] != '-')
			return false;
	}
	*ret_u = u;
	return true;
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool uuid_is_zero(const struct uuid *u)
{
	static const struct uuid zero;

	return uuid_equal(u, &zero);
}
