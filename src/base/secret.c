/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void secret_harden(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

struct secret *secret_new(size_t len)
{
	struct secret *s = xcalloc(1, sizeof(*s));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	s->len = len;
	s->cap = DIV_UP(len ? len : 1, page) * page;
	p = mmap(NULL, s->cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	/* Both are best effort: a small RLIMIT_MEMLOCK must not keep anybody from a restore. */
	mlock(p, s->cap);
	madvise(p, s->cap, MADV_DONTDUMP);
	s->data = p;
	return s;
}

struct secret *secret_of(const void *data, size_t len)
{
	struct secret *s = secret_new(len);

	memcpy(s->data, data, len);
	return s;
}

void secret_free(struct secret *s)
{
	if (!s)
		return;
	secret_wipe(s->data, s->cap);
	munmap(s->data, s->cap);
	free(s);
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	uint8_t diff = 0;

	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		diff |= a->data[i] ^ b->data[i];
	return diff == 0;
}

void secret_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}
