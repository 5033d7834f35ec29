/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

uint64_t random_next(struct random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dU;
}

uint64_t random_below(struct random *r, uint64_t n)
{
	return random_next(r) % n;
}

void random_fill(struct random *r, void *out, size_t n, bool noise)
{
	static const char words[] = "backup restore checkpoint mover target repository policy plan ";
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++) {
		uint64_t v = random_next(r);

		p[i] = noise ? (uint8_t)(v >> 32) : (uint8_t)words[(v >> 40) % 16 + i % 40];
	}
}

uint64_t random_seed(void)
{
	const char *s = getenv("HF_SEED");

	return s ? strtoull(s, NULL, 0) | 1 : 0x1d872b41f3a5c96dU;
}

struct credential *test_credential(uint8_t byte)
{
	struct credential *c = xcalloc(1, sizeof(*c));

	c->kind = CREDENTIAL_KEY_FILE;
	c->secret = secret_new(SEAL_KEY);
	memset(c->secret->data, byte, SEAL_KEY);
	return c;
}

struct repo *test_repo(struct store **ret_store)
{
	AUTO(credential) c = test_credential(1);
	struct store *s = store_mem_new();

	OK(repo_create(s, c, "test", NULL, e));
	*ret_store = s;
	return OK_PTR(repo_open(s, c, e));
}
